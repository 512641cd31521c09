# The moments of rows that each belong to one component. Part of _kernels.pyx.


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
    cdef double weight = 1.0
    memset(r, 0, panel_bytes(work, rows, 1))
    for i in range(rows):
        if work.row_weights != NULL:
            weight = work.row_weights[index[i]]
        work.kernels.convert(&weight, 1, NULL, 1, r + (i // group * 4 * group + i % group) * real)


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


def moments_of_labels(X, const Py_ssize_t[::1] labels, Py_ssize_t k, moment, double least, row_weights=None):
    """(n_k, first, second, shift) of rows X (n,d) with labels (n,), each component's moments about its mean; that of
    all rows for one of less weight than `least`, whose moments are zero. See cgmm.mixture.statistics."""
    cdef Work work
    cdef const double[::1] weights
    cdef Moment kind = MOMENTS[moment]
    cdef bint full = kind in (FULL, POOLED), known
    cdef Py_ssize_t n = bind(&work, X), d = work.d, real = work.kernels.itemsize, start, rows, c, j
    work.block = cgmm_block_rows(d, 1, real)
    work.row_weights = NULL
    if row_weights is not None and n:
        weights = row_weights
        work.row_weights = &weights[0]
    if not n or labels.shape[0] != n or (row_weights is not None and weights.shape[0] != n):
        raise ValueError(f"{labels.shape[0]} labels for {n} rows")
    cdef Py_ssize_t[::1] ends = np.empty(k, dtype=np.intp)
    cdef Py_ssize_t[::1] order = np.empty(n, dtype=np.intp)
    n_k, first, shift = np.zeros(k), np.zeros((k, d)), np.tile(column_means(X), (k, 1))
    second = np.zeros((k, cgmm_tiles(d) * 16 if full else d))
    cdef double[::1] masses = n_k
    cdef double[:, ::1] firsts = first
    cdef double[:, ::1] seconds = second
    cdef double[:, ::1] shifts = shift
    cdef double mass
    # panel, zeros, scaled panel, weights, their roots
    cdef Py_ssize_t size = 2 * align(work.block * cgmm_pad4(d) * real) + align(d * real)
    cdef char *memory = <char *> aligned_alloc(64, size + align(4 * work.block * real) + align(work.block * real))
    if memory == NULL:
        raise MemoryError("no memory for the moments of a partition")
    memset(memory, 0, size)
    with nogil:
        known = all_below(&labels[0], n, k)
        if known:
            sort_by_label(&labels[0], n, k, 0, &ends[0], &order[0])
        for c in range(k if known else 0):
            start = ends[c - 1] if c else 0
            rows, mass = ends[c] - start, 0.0
            add_moments_of(&work, &order[start], rows, &shifts[c, 0], False, memory, &mass, &firsts[c, 0],
                           &seconds[c, 0])
            for j in range(d):
                shifts[c, j] += firsts[c, j] / mass if mass >= least else 0.0
            memset(&firsts[c, 0], 0, d * sizeof(double))
            memset(&seconds[c, 0], 0, seconds.shape[1] * sizeof(double))
            if mass >= least:
                add_moments_of(&work, &order[start], rows, &shifts[c, 0], full, memory, &masses[c], &firsts[c, 0],
                               &seconds[c, 0])
    free(memory)
    if not known:
        raise ValueError(f"labels must be 0 … {k - 1}")
    if kind == FULL:
        tiles, second = second, np.empty((k, d, d))
        untile(<const double *> address(tiles), k, d, <double *> address(second))
    elif kind == POOLED:
        tiles, second = second.sum(axis=0), np.empty((d, d))
        untile(<const double *> address(tiles), 1, d, <double *> address(second))
    elif kind == RADIAL:
        second = second.sum(axis=1)
    return n_k, first, second, shift
