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


cdef Py_ssize_t share_bytes(const Work *work) noexcept nogil:
    """Bytes of the scratch of take_moments_of_share, at least those of partition_bytes."""
    return partition_bytes(work) + align(work.n * sizeof(Py_ssize_t)) + align(work.d * sizeof(double))


cdef struct Partition:
    # Rows that each belong to one of k components, and their moments.
    const Py_ssize_t *labels    # (n,)
    Py_ssize_t k
    Moment moment
    double least                # a component of less weight has moments of zero, about the mean of all rows
    Py_ssize_t *order           # (n,): the rows of each component together
    Py_ssize_t *ends            # (k,): where in the order they end
    double *seconds             # (k, seconds_of(moment, d)): Tiles of each component, or variances
    char *memory                # aligned, of share_bytes for each thread; of labels and one thread, of partition_bytes
    int threads                 # that take components side by side
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


cdef void take_moments_of(const Work *work, const Partition *of, Py_ssize_t c, const Py_ssize_t *index,
                          Py_ssize_t rows, char *memory) noexcept nogil:
    """Those of a component, about its mean, of the rows of the index (rows,). IN its n_k, and first about its shift.
    OUT its n_k, first and shift; its seconds +=. SCRATCH memory, zero where add_moments_of says so."""
    cdef Py_ssize_t d = work.d, j
    cdef bint full = of.moment == FULL or of.moment == POOLED
    cdef double *shift = of.found.shift + c * d
    cdef double *first = of.found.first + c * d
    cdef double mass = of.found.n_k[c]
    for j in range(d):
        shift[j] += first[j] / mass if mass >= of.least else 0.0
        first[j] = 0.0
    of.found.n_k[c] = 0.0
    if mass >= of.least:
        add_moments_of(work, index, rows, shift, full, memory, of.found.n_k + c, first,
                       of.seconds + c * seconds_of(of.moment, d))


cdef void clear(const Work *work, const Partition *of) noexcept nogil:
    """What add_moments_of wants to be zero, in the memory of each thread."""
    cdef Py_ssize_t real = work.kernels.itemsize, each = share_bytes(work)
    cdef int thread
    for thread in range(of.threads):
        memset(of.memory + thread * each, 0, 2 * align(work.block * cgmm_pad4(work.d) * real) + align(work.d * real))


cdef void take_moments_in_order(const Work *work, const Partition *of, Py_ssize_t c, char *memory) noexcept nogil:
    """take_moments_of the rows of a label, which the order has together."""
    cdef Py_ssize_t start = of.ends[c - 1] if c else 0, size = seconds_of(of.moment, work.d)
    memset(of.seconds + c * size, 0, size * sizeof(double))
    take_moments_of(work, of, c, of.order + start, of.ends[c] - start, memory)


cdef void add_moments_apart(const Work *work, Partition *of) noexcept nogil:
    """add_moments_of_labels, where the rows of each component are put together first."""
    cdef Py_ssize_t d = work.d, each = share_bytes(work), c
    cdef int threads = of.threads
    sort_by_label(of.labels, work.n, of.k, 0, of.ends, of.order)
    column_means_of(work, of.found.shift)
    for c in range(1, of.k):
        memcpy(of.found.shift + c * d, of.found.shift, d * sizeof(double))
    add_masses(work, of.labels, of.k, of.found.shift, of.memory, of.found.n_k, of.found.first)
    clear(work, of)
    if threads == 1:
        for c in range(of.k):
            take_moments_in_order(work, of, c, of.memory)
    else:
        for c in prange(of.k, schedule="dynamic", chunksize=1, num_threads=threads):
            take_moments_in_order(work, of, c, of.memory + omp_get_thread_num() * each)


cdef void take_moments_of_share(const Work *rows, const Partition *of, const double *share, Py_ssize_t c,
                                char *memory) noexcept nogil:
    """Those of component c, of rows with these weights (n,): those of weight zero are left out. IN its shift, any point
    near to the rows. OUT its n_k, first, shift, seconds. SCRATCH memory of share_bytes."""
    cdef Work work = rows[0]
    cdef Py_ssize_t d = work.d, size = seconds_of(of.moment, d), count = 0, i
    cdef Py_ssize_t *index = <Py_ssize_t *> (memory + partition_bytes(rows))
    cdef double *variances = <double *> (memory + partition_bytes(rows) + align(rows.n * sizeof(Py_ssize_t)))
    work.row_weights = share
    for i in range(work.n):
        if share[i] > 0:
            index[count] = i
            count += 1
    memset(variances, 0, d * sizeof(double))
    memset(of.found.first + c * d, 0, d * sizeof(double))
    memset(of.seconds + c * size, 0, size * sizeof(double))
    of.found.n_k[c] = 0.0
    add_moments_of(&work, index, count, of.found.shift + c * d, False, memory, of.found.n_k + c,
                   of.found.first + c * d, variances)
    take_moments_of(&work, of, c, index, count, memory)


cdef void add_moments_of_shares(const Work *work, const Partition *of, const double *shares) noexcept nogil:
    """OUT of.seconds, of.found but for its second: of rows that count in components by shares (k,n)."""
    cdef Py_ssize_t each = share_bytes(work), c
    cdef int threads = of.threads
    column_means_of(work, of.found.shift)
    for c in range(1, of.k):
        memcpy(of.found.shift + c * work.d, of.found.shift, work.d * sizeof(double))
    clear(work, of)
    for c in prange(of.k, schedule="dynamic", chunksize=1, num_threads=threads):
        take_moments_of_share(work, of, shares + c * work.n, c, of.memory + omp_get_thread_num() * each)


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


cdef class _Moments:
    """Of rows X (n,d) in k components, each about its mean, or that of all rows for one of less weight than `least`,
    whose moments are zero; and the memory to add them up. `found`: (n_k, first, second, shift), see
    cgmm.mixture.statistics.
    """
    cdef Work work
    cdef Partition of
    cdef object X, seconds
    cdef readonly tuple found

    def __cinit__(self, X, Py_ssize_t k, moment, double least, int n_threads):
        cdef Partition *of = &self.of
        cdef Py_ssize_t n = bind(&self.work, X), d = self.work.d
        self.X, of.k, of.moment, of.least = X, k, MOMENTS[moment], least
        self.work.block, self.work.row_weights = cgmm_block_rows(d, 1, self.work.kernels.itemsize), NULL
        shape = {FULL: (k, d, d), POOLED: (d, d), DIAG: (k, d), RADIAL: (k,)}[of.moment]
        self.found = n_k, first, second, shift = np.empty(k), np.empty((k, d)), np.empty(shape), np.empty((k, d))
        self.seconds = np.empty(k * seconds_of(of.moment, d))
        of.seconds = <double *> address(self.seconds)
        of.found = Statistics(<double *> address(n_k), <double *> address(first), <double *> address(second),
                              <double *> address(shift))
        of.threads = team(<int> min(min(<Py_ssize_t> n_threads, k), n * seconds_of(of.moment, d) // THREAD_WORK),
                          n_threads)
        of.memory = <char *> cgmm_allocate(of.threads * share_bytes(&self.work))
        if of.memory == NULL:
            raise MemoryError("no memory for the moments of a partition")

    def __dealloc__(self):
        cgmm_release(self.of.memory)


def moments_of_labels(X, const Py_ssize_t[::1] labels, Py_ssize_t k, moment, double least, row_weights=None,
                      int n_threads=1):
    """_Moments.found of rows X (n,d) with labels (n,) and row_weights (n,)."""
    cdef _Moments moments = _Moments(X, k, moment, least, n_threads)
    cdef Partition *of = &moments.of
    cdef const double[::1] weights
    cdef Py_ssize_t n = moments.work.n
    cdef bint known
    if row_weights is not None and n:
        weights = row_weights
        moments.work.row_weights = &weights[0]
    if not n or labels.shape[0] != n or (row_weights is not None and weights.shape[0] != n):
        raise ValueError(f"{labels.shape[0]} labels for {n} rows")
    with nogil:
        known = all_below(&labels[0], n, k)
    if not known:
        raise ValueError(f"labels must be 0 … {k - 1}")
    order, ends = np.empty(n, dtype=np.intp), np.empty(k, dtype=np.intp)
    of.labels, of.order, of.ends = &labels[0], <Py_ssize_t *> address(order), <Py_ssize_t *> address(ends)
    with nogil:
        add_moments_of_labels(&moments.work, of)
        put_seconds(of, moments.work.d)
    return moments.found


def moments_of_shares(X, const double[:, ::1] shares, moment, double least, int n_threads=1):
    """_Moments.found of rows X (n,d) that count in k components by shares (k,n)."""
    cdef Py_ssize_t k = shares.shape[0]
    cdef _Moments moments = _Moments(X, k, moment, least, n_threads)
    cdef Py_ssize_t n = moments.work.n, d = moments.work.d
    if not n or shares.shape[1] != n:
        raise ValueError(f"shares of {shares.shape[1]} rows for {n} rows")
    with nogil:
        add_moments_of_shares(&moments.work, &moments.of, &shares[0, 0])
        put_seconds(&moments.of, d)
    return moments.found
