# Which centres may be the nearest of a row: centres that lie together in boxes, and boxes that are too far away are
# never looked into. See docs/pruning.md. Part of _kernels.pyx.


cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil


cdef struct Coordinates:
    # Points, of which the axis j of point i is at start + i·row_stride + j·column_stride.
    const char *start
    Py_ssize_t row_stride, column_stride, d
    bint single             # float, not double
    const double *scale     # (d,): the unit in which widths are compared, or NULL: one


cdef struct Tree:
    # Centres in boxes of CGMM_BOXES, as near takes them, and these in boxes of as many. Those past the last repeat it.
    Py_ssize_t d, boxes
    Py_ssize_t box_bytes     # of CGMM_BOXES boxes
    const char *outer        # the boxes around the centres of each of the inner ones
    const char *inner        # the centres
    const Py_ssize_t *order  # (boxes · CGMM_BOXES,): which they are


cdef enum:
    # How many points say along which axis a set of them is the widest: enough to be nearly right, and any axis will do.
    WIDTH_SAMPLE = 64

    # One point in so many says where many are cut in space: four for each leaf.
    CUT_SHARE = 8


cdef double coordinate(const Coordinates *points, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    cdef const char *at = points.start + i * points.row_stride + j * points.column_stride
    return <double> (<const float *> at)[0] if points.single else (<const double *> at)[0]


cdef Py_ssize_t widest_axis(const Coordinates *points, const Py_ssize_t *index, Py_ssize_t count) noexcept nogil:
    """The axis along which some of the points of an index (count,) spread the farthest."""
    cdef Py_ssize_t step = max(<Py_ssize_t> 1, count // WIDTH_SAMPLE), widest = 0, i, j
    cdef double low, high, value, most = -1.0
    for j in range(points.d):
        low = high = coordinate(points, index[0], j)
        i = step
        while i < count:
            value = coordinate(points, index[i], j)
            low, high = min(low, value), max(high, value)
            i += step
        if points.scale != NULL:
            low, high = low * points.scale[j], high * points.scale[j]
        if high - low > most:
            most, widest = high - low, j
    return widest


cdef void part_at(double *keys, Py_ssize_t *index, Py_ssize_t count, Py_ssize_t middle) noexcept nogil:
    """Order keys (count,), and an index with them, so that none before `middle` is larger than any from it on
    (Hoare's quickselect)."""
    cdef Py_ssize_t low = 0, high = count - 1, i, j
    cdef double pivot
    while low < high:
        i, j = low, high
        pivot = keys[(low + high) // 2]
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                index[i], index[j] = index[j], index[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


cdef void sort_in_space(const Coordinates *points, Py_ssize_t *index, Py_ssize_t count, Py_ssize_t size,
                        double *keys) noexcept nogil:
    """Order an index (count,) so that each `size` of its points, from the first on, lie together: those of a leaf of a
    tree that halves them along their widest axis (Bentley 1975). SCRATCH keys (count,)."""
    cdef Py_ssize_t half, axis, i
    while count > size:
        half = (count // 2 + size - 1) // size * size
        axis = widest_axis(points, index, count)
        for i in range(count):
            keys[i] = coordinate(points, index[i], axis)
        part_at(keys, index, count, half)
        sort_in_space(points, index, half, size, keys)
        index += half
        count -= half


cdef void grow_cuts(const Coordinates *points, Py_ssize_t *index, Py_ssize_t count, Py_ssize_t node, Py_ssize_t leaves,
                    Py_ssize_t *axes, double *values, double *keys) noexcept nogil:
    """OUT axes, values (leaves,): where each node of a tree of `leaves`, a power of two, cuts space, so that as many of
    the points of an index (count,), which is reordered, are on either side. SCRATCH keys (count,)."""
    cdef Py_ssize_t half = count // 2, i
    if node >= leaves:
        return
    axes[node] = widest_axis(points, index, count)
    for i in range(count):
        keys[i] = coordinate(points, index[i], axes[node])
    part_at(keys, index, count, half)
    values[node] = keys[half]
    grow_cuts(points, index, max(<Py_ssize_t> 1, half), 2 * node, leaves, axes, values, keys)
    grow_cuts(points, index + half, count - half, 2 * node + 1, leaves, axes, values, keys)


cdef Py_ssize_t leaf_of(const Coordinates *points, Py_ssize_t i, Py_ssize_t leaves, const Py_ssize_t *axes,
                        const double *values) noexcept nogil:
    """In which leaf a point is."""
    cdef Py_ssize_t node = 1
    while node < leaves:
        node = 2 * node + (coordinate(points, i, axes[node]) >= values[node])
    return node - leaves


cdef struct Leaves:
    # A tree that cuts space, by some points, and its scratch: as many points are on either side of each cut.
    Py_ssize_t count       # of the leaves, a power of two
    Py_ssize_t *axes       # (count,), and where along them a node is cut
    double *values         # (count,)
    double *keys           # (points,)
    Py_ssize_t *leaf       # (points,): of each
    Py_ssize_t *ends       # (count,): where the points of each leaf end in their order


cdef Py_ssize_t leaves_of(Py_ssize_t points, Py_ssize_t size) noexcept nogil:
    """How many leaves are of no more than so many points."""
    cdef Py_ssize_t leaves = 1
    while leaves * size < points:
        leaves *= 2
    return leaves


cdef void sort_into_leaves(const Coordinates *points, Py_ssize_t start, Py_ssize_t count, Leaves *of, Py_ssize_t *index,
                           int n_threads) noexcept nogil:
    """OUT index (count,): points start … start + count in the order of the leaves that one in CUT_SHARE of them
    grows, and in their own within a leaf. SCRATCH of."""
    cdef Py_ssize_t some = (count + CUT_SHARE - 1) // CUT_SHARE, i
    for i in range(some):
        index[i] = start + i * CUT_SHARE
    grow_cuts(points, index, some, 1, of.count, of.axes, of.values, of.keys)
    if n_threads == 1:
        for i in range(count):
            of.leaf[i] = leaf_of(points, start + i, of.count, of.axes, of.values)
    else:
        for i in prange(count, schedule="static", num_threads=n_threads):
            of.leaf[i] = leaf_of(points, start + i, of.count, of.axes, of.values)
    sort_by_label(of.leaf, count, of.count, start, of.ends, index)


def order_of_rows(X, const double[::1] scale, int n_threads=1):
    """Rows of X (n,d) in an order in which each few lie together, int32 (n,). scale (d,): the unit in which the width
    of a feature counts, inverted."""
    cdef Work work
    memset(&work, 0, sizeof(Work))
    bind(&work, X)
    cdef Py_ssize_t n = work.n, i, leaves = leaves_of(n, work.kernels.group)
    cdef Coordinates points = Coordinates(work.X, work.row_stride, work.column_stride, work.d,
                                          work.kernels.itemsize == sizeof(float), &scale[0])
    if scale.shape[0] != work.d:
        raise ValueError("scale must be (d,)")
    if n > 2147483647:
        raise ValueError(f"{n} rows are too many to be ordered")
    order, index, leaf = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    if not n:
        return order
    nodes = np.empty((2, leaves), dtype=np.intp)
    values, keys = np.empty(leaves), np.empty((n + CUT_SHARE - 1) // CUT_SHARE)
    cdef Py_ssize_t[:, ::1] at = nodes
    cdef Leaves of = Leaves(leaves, &at[0, 0], <double *> address(values), <double *> address(keys),
                            <Py_ssize_t *> address(leaf), &at[1, 0])
    cdef Py_ssize_t *found = <Py_ssize_t *> address(index)
    cdef int[::1] to = order
    with nogil:
        sort_into_leaves(&points, 0, n, &of, found, n_threads)
        for i in range(n):
            to[i] = <int> found[i]
    return order


def order_in_space(const double[:, ::1] points, Py_ssize_t size):
    """Indices (m,) of points (m,d), m ≥ 1, each `size` of which lie together."""
    cdef Py_ssize_t m = points.shape[0], d = points.shape[1]
    cdef Coordinates at = Coordinates(<const char *> &points[0, 0], d * 8, 8, d, False, NULL)
    order = np.arange(m)
    cdef Py_ssize_t[::1] index = order
    cdef double[::1] keys = np.empty(m)
    with nogil:
        sort_in_space(&at, &index[0], m, size, &keys[0])
    return order


cdef class _Centres:
    """A Tree of centres (k,d), which are as the kernels hold them, and the memory that holds it."""
    cdef Tree tree
    cdef list arrays

    def __cinit__(self, double[:, ::1] centres, bint single):
        cdef const cgmm_kernels *kernels = TARGETS[TARGET].f32 if single else TARGETS[TARGET].f64
        cdef Py_ssize_t k = centres.shape[0], d = centres.shape[1], boxes = (k + CGMM_BOXES - 1) // CGMM_BOXES
        cdef Py_ssize_t padded = boxes * CGMM_BOXES, outer = (boxes + CGMM_BOXES - 1) // CGMM_BOXES
        order = order_in_space(centres, CGMM_BOXES)[np.minimum(np.arange(padded), k - 1)]
        cdef const Py_ssize_t[::1] index = order
        inner = np.asarray(centres)[order].reshape(boxes, CGMM_BOXES, d).transpose(0, 2, 1)
        bounds = np.stack([inner.min(axis=2), inner.max(axis=2)], axis=-1)    # (boxes,d,2)
        bounds = bounds[np.minimum(np.arange(outer * CGMM_BOXES), boxes - 1)].reshape(outer, CGMM_BOXES, d, 2)
        self.arrays = [order, _aligned(np.repeat(inner[:, :, np.newaxis], 2, axis=2), single),
                       _aligned(bounds.transpose(0, 2, 3, 1), single)]
        self.tree = Tree(d, boxes, 2 * CGMM_BOXES * d * kernels.itemsize, <const char *> address(self.arrays[2]),
                         <const char *> address(self.arrays[1]), &index[0])

    def ranks(self, Py_ssize_t k):
        """Where each of the k centres is in the order of the tree."""
        ranks = np.empty(k, dtype=np.intp)
        ranks[self.arrays[0][:k]] = np.arange(k)
        return ranks


def _aligned(values, bint single=False):
    """A copy in C order, float32 if single, that begins at a multiple of 64 bytes."""
    dtype = np.dtype(np.float32 if single else np.float64)
    size = values.size * dtype.itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -<Py_ssize_t> address(memory) % 64
    if start < 0:
        start += 64
    copy = memory[start:start + size].view(dtype).reshape(values.shape)
    copy[...] = values
    return copy


cdef void find_near(const cgmm_kernels *kernels, const Tree *tree, const char *low, const char *high,
                    const char *limits, unsigned long long *found, Py_ssize_t *looked) noexcept nogil:
    """found, a bit for each centre: set those of the centres that come near the box low … high, REAL (d,).
    IN limits REAL (CGMM_BOXES,), all equal; IN/OUT looked += how many times CGMM_BOXES boxes were looked at."""
    cdef Py_ssize_t outer, inner, c
    cdef unsigned outside, inside
    for outer in range((tree.boxes + CGMM_BOXES - 1) // CGMM_BOXES):
        outside = kernels.near(tree.outer + outer * tree.box_bytes, tree.d, low, high, limits)
        looked[0] += 1
        while outside:
            inner = outer * CGMM_BOXES + __builtin_ctzll(outside)
            outside &= outside - 1
            if inner >= tree.boxes:
                break
            inside = kernels.near(tree.inner + inner * tree.box_bytes, tree.d, low, high, limits)
            looked[0] += 1
            while inside:
                c = tree.order[inner * CGMM_BOXES + __builtin_ctzll(inside)]
                inside &= inside - 1
                found[c >> 6] |= <unsigned long long> 1 << (c & 63)


cdef Py_ssize_t list_bits(const unsigned long long *found, Py_ssize_t k, Py_ssize_t *numbers) noexcept nogil:
    """OUT numbers (count,): which of k bits are set, ascending. Returns count."""
    cdef Py_ssize_t word, count = 0
    cdef unsigned long long bits
    for word in range((k + 63) >> 6):
        bits = found[word]
        while bits:
            numbers[count] = (word << 6) + __builtin_ctzll(bits)
            count += 1
            bits &= bits - 1
    return count
