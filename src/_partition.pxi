# The moments of rows that each belong to one component. Part of _kernels.pyx.


cdef enum:
    # So many components of one feature, or as many of more features as are no more work, all take moments of all rows,
    # in blocks of so many rows that these and the weights of each component stay in an L1 cache.
    MOST_TOGETHER = 32
    TOGETHER_ROWS = 128


cdef bint all_below(const Py_ssize_t *labels, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Whether each of the labels (n,) is one of 0 … k − 1."""
    cdef Py_ssize_t i
    for i in range(n):
        if not 0 <= labels[i] < k:
            return False
    return True


cdef void set_weights(const Work *work, const Py_ssize_t *index, Py_ssize_t rows, char *r) noexcept nogil:
    """OUT r, a panel of one component: the weights of the rows of the index (rows,); zero past the last."""
    cdef Py_ssize_t group = work.kernels.group, real = work.kernels.itemsize, i
    cdef bint single = real == sizeof(float)
    cdef double weight = 1.0
    cdef char *to
    memset(r, 0, panel_bytes(work, rows, 1))
    for i in range(rows):
        if work.row_weights != NULL:
            weight = work.row_weights[index[i]]
        to = r + (i // group * 4 * group + i % group) * real
        if single:
            (<float *> to)[0] = <float> weight
        else:
            (<double *> to)[0] = weight


cdef void add_moments_of(const Work *work, const Py_ssize_t *index, Py_ssize_t rows, const double *centre, bint full,
                         char *memory, double *mass, double *first, double *second) noexcept nogil:
    """mass, first (d,), second (Tiles of (d,d) if full, or (d,)) += the moments about the centre (d,) of the rows of an
    index (rows,). SCRATCH memory as moments_of_labels has it; zeros where it says so."""
    cdef Py_ssize_t real = work.kernels.itemsize, start = 0, count
    cdef char *zeros = memory + align(work.block * cgmm_pad4(work.d) * real)
    cdef char *sz = zeros + align(work.d * real)
    cdef char *r = sz + align(work.block * cgmm_pad4(work.d) * real)
    while start < rows:
        count = min(work.block, rows - start)
        work.kernels.pack(work.X, work.row_stride, work.column_stride, index + start, count, work.d, centre, memory)
        set_weights(work, index + start, count, r)
        if full:
            work.kernels.moments_full(memory, count, work.d, 1, zeros, NULL, NULL, r, sz,
                                      r + align(4 * work.block * real), mass, first, second)
        else:
            work.kernels.moments_diag(memory, count, work.d, 1, zeros, NULL, NULL, r, mass, first, second)
        start += count


cdef void add_masses(const Work *work, const Py_ssize_t *labels, Py_ssize_t k, const double *centre, char *memory,
                     double *n_k, double *first) noexcept nogil:
    """OUT n_k (k,), first (k,d): the weights of the rows of each label (n,), and their first moments about the centre
    (d,). SCRATCH memory."""
    cdef Py_ssize_t start = 0, count
    memset(n_k, 0, k * sizeof(double))
    memset(first, 0, k * work.d * sizeof(double))
    while start < work.n:
        count = min(work.block, work.n - start)
        fill_row_weights(work, NULL, start, count, memory)
        work.kernels.moments_hard(work.X + start * work.row_stride, work.row_stride, work.column_stride, count, work.d,
                                  centre, labels + start, memory, n_k, first)
        start += count


cdef Py_ssize_t partition_bytes(const Work *work) noexcept nogil:
    """Bytes of the scratch of add_moments_of. IN work.block."""
    cdef Py_ssize_t real = work.kernels.itemsize
    return (2 * align(work.block * cgmm_pad4(work.d) * real) + align(work.d * real) + align(4 * work.block * real) +
            align(work.block * real) +    # panel, scaled panel, zeros, weights, their roots
            align(TOGETHER_ROWS * MOST_TOGETHER * real))    # weights of all components


cdef struct Partition:
    # Rows that each belong to one of k components, and their moments.
    const Py_ssize_t *labels    # (n,)
    Py_ssize_t k
    Moment moment
    double least                # a component of less weight has moments of zero, about the mean of all rows
    Py_ssize_t *order           # (n,): the rows of each component together
    Py_ssize_t *ends            # (k,): where in the order they end
    double *seconds             # (k, seconds_of(moment, d)): Tiles of each component, or variances
    char *memory                # aligned, of partition_bytes
    Statistics found            # of each component about its mean; not the second moments yet


cdef Py_ssize_t seconds_of(Moment moment, Py_ssize_t d) noexcept nogil:
    """Doubles of a component's second moments as they are added up."""
    return cgmm_tiles(d) * 16 if moment == FULL or moment == POOLED else d


cdef bint are_together(const Work *work, Py_ssize_t k) noexcept nogil:
    """Whether all components take moments of all rows, by weights of which only one is not zero: that takes less time
    than to put the rows of each component together, if there are few. Not of float32 rows, which keep more digits if
    they are packed about the mean of their own component."""
    return (work.kernels.itemsize == sizeof(double) and cgmm_few(work.d, k)
            and k * (work.d + 1) * (work.d + 2) <= 6 * MOST_TOGETHER)


cdef void add_together(const Work *work, const Partition *of, const double *centre, const double *means) noexcept nogil:
    """of.found.n_k (k,), first (k,d), of.seconds += the moments of the rows of each label about the means (k,d), which
    are about the centre (d,); of means NULL only n_k and first, about the centre. SCRATCH of.memory."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef Py_ssize_t panel = align(work.block * cgmm_pad4(work.d) * kernels.itemsize), start = 0, count
    cdef const Py_ssize_t *labels
    cdef char *sz = of.memory + panel
    cdef char *weights = sz + panel
    cdef char *roots = weights + align(work.block * kernels.itemsize)
    cdef char *r = roots + align(work.block * kernels.itemsize)
    cdef const char *own = NULL if work.row_weights == NULL else weights
    while start < work.n:
        count = min(min(work.block, <Py_ssize_t> TOGETHER_ROWS), work.n - start)
        labels = of.labels + start
        kernels.pack(work.X + start * work.row_stride, work.row_stride, work.column_stride, NULL, count, work.d, centre,
                     of.memory)
        if own != NULL:
            fill_row_weights(work, NULL, start, count, weights)
        if means == NULL:
            kernels.assign(of.memory, count, work.d, of.k, NULL, own, <Py_ssize_t *> labels, NULL, of.found.n_k,
                           of.found.first)
        else:
            kernels.members(count, of.k, labels, own, r)
            if of.moment == FULL or of.moment == POOLED:
                kernels.moments_full(of.memory, count, work.d, of.k, means, NULL, NULL, r, sz, roots, of.found.n_k,
                                     of.found.first, of.seconds)
            else:
                kernels.moments_diag(of.memory, count, work.d, of.k, means, NULL, NULL, r, of.found.n_k,
                                     of.found.first, of.seconds)
        start += count


cdef void add_moments_together(const Work *work, Partition *of) noexcept nogil:
    """add_moments_of_labels of components that are_together."""
    cdef Py_ssize_t d = work.d, size = seconds_of(of.moment, d), c, j
    cdef double centre[CGMM_FEW_SUMS]
    cdef double means[CGMM_FEW_SUMS]
    cdef double *shift
    column_means_of(work, centre)
    memset(of.found.n_k, 0, of.k * sizeof(double))
    memset(of.found.first, 0, of.k * d * sizeof(double))
    memset(of.seconds, 0, of.k * size * sizeof(double))
    add_together(work, of, centre, NULL)
    for c in range(of.k):
        shift = of.found.shift + c * d
        for j in range(d):
            shift[j] = centre[j]
            if of.found.n_k[c] >= of.least:
                shift[j] += of.found.first[c * d + j] / of.found.n_k[c]
            means[c * d + j] = shift[j] - centre[j]
    memset(of.found.n_k, 0, of.k * sizeof(double))
    memset(of.found.first, 0, of.k * d * sizeof(double))
    add_together(work, of, centre, means)
    for c in range(of.k):
        if not of.found.n_k[c] >= of.least:
            of.found.n_k[c] = 0.0
            memset(of.found.first + c * d, 0, d * sizeof(double))
            memset(of.seconds + c * size, 0, size * sizeof(double))


cdef void add_moments_apart(const Work *work, Partition *of) noexcept nogil:
    """add_moments_of_labels, where the rows of each component are put together first."""
    cdef Py_ssize_t d = work.d, real = work.kernels.itemsize, size = seconds_of(of.moment, d), start, rows, c, j
    cdef bint full = of.moment == FULL or of.moment == POOLED
    cdef double *shift
    cdef double *first
    cdef double mass
    sort_by_label(of.labels, work.n, of.k, 0, of.ends, of.order)
    column_means_of(work, of.found.shift)
    for c in range(1, of.k):
        memcpy(of.found.shift + c * d, of.found.shift, d * sizeof(double))
    add_masses(work, of.labels, of.k, of.found.shift, of.memory, of.found.n_k, of.found.first)
    memset(of.memory, 0, 2 * align(work.block * cgmm_pad4(d) * real) + align(d * real))
    memset(of.seconds, 0, of.k * size * sizeof(double))
    for c in range(of.k):
        start = of.ends[c - 1] if c else 0
        rows, mass, shift, first = of.ends[c] - start, of.found.n_k[c], of.found.shift + c * d, of.found.first + c * d
        for j in range(d):
            shift[j] += first[j] / mass if mass >= of.least else 0.0
            first[j] = 0.0
        of.found.n_k[c] = 0.0
        if mass >= of.least:
            add_moments_of(work, of.order + start, rows, shift, full, of.memory, of.found.n_k + c, first,
                           of.seconds + c * size)


cdef void add_moments_of_labels(const Work *work, Partition *of) noexcept nogil:
    """OUT of.seconds, of.found but for its second. IN work: the rows, row_weights and block; of.labels, which are all
    of 0 … k − 1. SCRATCH the rest of it."""
    if are_together(work, of.k):
        add_moments_together(work, of)
    else:
        add_moments_apart(work, of)


cdef void put_seconds(const Partition *of, Py_ssize_t d) noexcept nogil:
    """OUT of.found.second, as the moment has it. IN/OUT of.seconds."""
    cdef Py_ssize_t size = seconds_of(of.moment, d), c, q
    if of.moment == FULL:
        untile(of.seconds, of.k, d, of.found.second)
    elif of.moment == DIAG:
        memcpy(of.found.second, of.seconds, of.k * d * sizeof(double))
    elif of.moment == RADIAL:
        for c in range(of.k):
            of.found.second[c] = total_of(of.seconds + c * d, d)
    else:
        for c in range(1, of.k):
            for q in range(size):
                of.seconds[q] += of.seconds[c * size + q]
        untile(of.seconds, 1, d, of.found.second)


def moments_of_labels(X, const Py_ssize_t[::1] labels, Py_ssize_t k, moment, double least, row_weights=None):
    """(n_k, first, second, shift) of rows X (n,d) with labels (n,), each component's moments about its mean; that of
    all rows for one of less weight than `least`, whose moments are zero. See cgmm.mixture.statistics."""
    cdef Work work
    cdef Partition of
    cdef const double[::1] weights
    cdef Py_ssize_t n = bind(&work, X), d = work.d
    cdef bint known
    work.block = cgmm_block_rows(d, 1, work.kernels.itemsize)
    work.row_weights = NULL
    if row_weights is not None and n:
        weights = row_weights
        work.row_weights = &weights[0]
    if not n or labels.shape[0] != n or (row_weights is not None and weights.shape[0] != n):
        raise ValueError(f"{labels.shape[0]} labels for {n} rows")
    with nogil:
        known = all_below(&labels[0], n, k)
    if not known:
        raise ValueError(f"labels must be 0 … {k - 1}")
    of.labels, of.k, of.moment, of.least = &labels[0], k, MOMENTS[moment], least
    shape = {FULL: (k, d, d), POOLED: (d, d), DIAG: (k, d), RADIAL: (k,)}[of.moment]
    n_k, first, second, shift = np.empty(k), np.empty((k, d)), np.empty(shape), np.empty((k, d))
    order, ends = np.empty(n, dtype=np.intp), np.empty(k, dtype=np.intp)
    seconds = np.empty(k * seconds_of(of.moment, d))
    of.found = Statistics(<double *> address(n_k), <double *> address(first), <double *> address(second),
                          <double *> address(shift))
    of.seconds = <double *> address(seconds)
    of.order, of.ends = <Py_ssize_t *> address(order), <Py_ssize_t *> address(ends)
    of.memory = <char *> cgmm_allocate(partition_bytes(&work))
    if of.memory == NULL:
        raise MemoryError("no memory for the moments of a partition")
    with nogil:
        add_moments_of_labels(&work, &of)
        put_seconds(&of, d)
    cgmm_release(of.memory)
    return n_k, first, second, shift
