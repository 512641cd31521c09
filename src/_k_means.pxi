# The passes of k-means: the nearest centre of each row, and what each candidate for a centre would do. Their densities
# are isotropic, −½ of squared distances. Part of _kernels.pyx.


cdef void lay_out_distances(Work *work) noexcept nogil:
    """OUT work.sums; work.scratch, which is empty: the parts of a pass that only takes distances. IN work.block."""
    cdef Py_ssize_t real = work.kernels.itemsize
    lay_out_tiles(work)
    work.scratch.panel = claim(&work.scratch, work.block * cgmm_pad4(work.d) * real)
    work.scratch.logd = claim(&work.scratch, work.block * cgmm_pad4(work.k) * real)


cdef void lay_out_k_means(Work *work) noexcept nogil:
    """Lay out a K_MEANS pass. IN work.block; OUT work.sums, scratch, k_means, chunk, run_chunk."""
    cdef Py_ssize_t real = work.kernels.itemsize
    lay_out_distances(work)
    work.k_means.top = claim(&work.scratch, work.block * real)
    work.k_means.label = claim(&work.scratch, work.block * sizeof(Py_ssize_t))
    work.k_means.row_weights = claim(&work.scratch, work.block * real)
    work.chunk = few_rows_chunk(work)
    work.run_chunk = k_means_chunk


cdef void lay_out_closer(Work *work) noexcept nogil:
    """Lay out a CLOSER pass, whose caller knows its chunks. IN work.block; OUT work.sums, scratch, chunk, run_chunk."""
    lay_out_distances(work)
    work.chunk = CGMM_CHUNK_ROWS
    work.run_chunk = closer_chunk


cdef void take_distances(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory) noexcept nogil:
    """OUT memory: logd ← −½ of the squared distances of rows start … start + rows; panel. An isotropic form needs no
    scratch."""
    pack_rows(work, start, rows, memory)
    work.kernels.densities(memory + work.scratch.panel, rows, &work.mixture, NULL, memory + work.scratch.logd)


cdef double inertia_of(const Work *work, Py_ssize_t rows, const char *top, const char *w) noexcept nogil:
    """Σ_i w_i |x_i − centre|². IN top (rows,), which holds −½ of the squared distances, and w (rows,), both REAL."""
    cdef double total = 0.0
    cdef Py_ssize_t i
    if work.kernels.itemsize == sizeof(double):
        for i in range(rows):
            total += (<const double *> w)[i] * -2.0 * (<const double *> top)[i]
    else:
        for i in range(rows):
            total += <double> (<const float *> w)[i] * -2.0 * <double> (<const float *> top)[i]
    return total


cdef void k_means_block(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory,
                        double *sums) noexcept nogil:
    """sums (sums.size,) += inertia, n_k and first moments about the centre, of rows start … start + rows; OUT
    work.labels, if they are asked for. SCRATCH memory."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef char *top = memory + work.k_means.top
    cdef char *weights = memory + work.k_means.row_weights
    cdef Py_ssize_t *label = <Py_ssize_t *> (memory + work.k_means.label)
    take_distances(work, start, rows, memory)
    kernels.argmax(rows, work.k, memory + work.scratch.logd, top, label)
    if work.labels != NULL:
        memcpy(work.labels + start, label, rows * sizeof(Py_ssize_t))
    fill_row_weights(work, NULL, start, rows, weights)
    sums[SUM_OF_LOGS] += inertia_of(work, rows, top, weights)
    kernels.moments_hard(work.X + start * work.row_stride, work.row_stride, work.column_stride, rows, work.d,
                         work.centre, label, weights, sums + work.sums.n_k, sums + work.sums.first)


cdef void k_means_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk. SCRATCH memory."""
    run_blocks(work, chunk, k_means_block, memory, sums)


cdef void closer_block(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory, double *_) noexcept nogil:
    """OUT work.closer.distances, and chunk_sums += them, of rows start … start + rows. SCRATCH memory."""
    cdef const Closer *closer = &work.closer
    take_distances(work, start, rows, memory)
    work.kernels.closer(rows, work.k, memory + work.scratch.logd, closer.closest, work.row_weights, start, work.n,
                        closer.distances, closer.chunk_sums + start // work.chunk * work.k)


cdef void closer_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """As k_means_chunk; there are no sums."""
    run_blocks(work, chunk, closer_block, memory, sums)


def assign(X, density, row_weights=None, labels=None, int n_threads=1):
    """One k-means pass, density isotropic with unit scale and no norm: n_k, centre sums about density.centre,
    inertia. The nearest centre of each row goes to labels (n,) intp, if given."""
    cdef _Pass work = _Pass(X, density, row_weights, kind=K_MEANS)
    cdef Py_ssize_t[::1] view
    cdef Py_ssize_t d = work.work.d, k = work.work.k
    if labels is not None and work.work.n:
        view = labels
        if view.shape[0] != work.work.n:
            raise ValueError("labels must be (n,)")
        work.work.labels = &view[0]
    flat = work.run(n_threads)
    at = work.work.sums
    return (flat[at.n_k:at.n_k + k].copy(), flat[at.first:at.first + k * d].reshape(k, d).copy(),
            float(flat[SUM_OF_LOGS]))


def closer(X, density, const double[::1] closest, double[:, ::1] distances, row_weights=None, int n_threads=1):
    """One round of k-means++ with k candidates, density isotropic with unit scale and no norm: into distances
    (k,n) each row's squared distance to the closest of what closest (n,) stands for and the candidate; returns
    their weighted sums over each CHUNK of rows, (chunks,k)."""
    cdef _Pass work = _Pass(X, density, row_weights, kind=CLOSER)
    cdef Py_ssize_t n = work.work.n, k = work.work.k
    sums = np.zeros(((n + CHUNK - 1) // CHUNK, k))
    cdef double[:, ::1] chunk_sums = sums
    if closest.shape[0] != n or distances.shape[0] != k or distances.shape[1] != n:
        raise ValueError("closest must be (n,), and distances (k,n)")
    work.work.closer = Closer(&closest[0], &distances[0, 0], &chunk_sums[0, 0])
    work.run(n_threads)
    return sums
