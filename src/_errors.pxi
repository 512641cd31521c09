# The MEASURED pass: rows whose values have errors of measurement, normal with covariances that are known (Bovy, Hogg
# and Roweis 2011). Part of _kernels.pyx.
#
# A block is worked on as in a DENSE pass, with densities and moments of its own: see errors_densities in
# simd/kernels.h.


cdef void lay_out_measured(Work *work) noexcept nogil:
    """Lay out a MEASURED pass. IN work.block; OUT work.sums, scratch, dense, measured, chunk, run_chunk."""
    cdef Py_ssize_t d = work.d, triangle = d * (d + 1) // 2, real = sizeof(double)
    cdef Py_ssize_t vectors = 3 * triangle + 5 * d + work.k
    cdef Scratch *scratch = &work.scratch
    cdef Measured *measured = &work.measured
    lay_out_sums(work, d if work.mixture.form == CGMM_VARIANCES else triangle, 0)
    lay_out_blocks(work)
    if measured.single_rows:
        measured.rows = claim(scratch, work.block * d * real)
    measured.packed = claim(scratch, work.block * (cgmm_pad4(d) if measured.diagonal else triangle) * real)
    if work.output == TRUTH:
        vectors += triangle + d + 2 * d * d
        measured.truth = claim(scratch, work.block * (d + triangle) * real)
    measured.vectors = claim(scratch, vectors * work.kernels.lanes * real)
    work.chunk = few_rows_chunk(work)
    work.run_chunk = measured_chunk


cdef void pack_measured(const Work *work, Py_ssize_t start, Py_ssize_t count, char *memory) noexcept nogil:
    """OUT memory: panel ← rows start … start + count about the centre, packed ← their errors. SCRATCH rows."""
    cdef const Measured *measured = &work.measured
    cdef Py_ssize_t d = work.d, i, j
    cdef double *rows
    cdef const char *row
    work.kernels.errors_pack(measured.errors + start * measured.strides[0], measured.strides, measured.diagonal,
                             measured.single, count, d, memory + measured.packed)
    if not measured.single_rows:
        pack_rows(work, start, count, memory)
        return
    rows = <double *> (memory + measured.rows)
    for i in range(count):
        row = work.X + (start + i) * work.row_stride
        for j in range(d):
            rows[i * d + j] = (<const float *> (row + j * work.column_stride))[0]
    work.kernels.pack(<const char *> rows, d * sizeof(double), sizeof(double), NULL, count, d, work.centre,
                      memory + work.scratch.panel)


cdef void measured_block(const Work *work, Py_ssize_t start, Py_ssize_t count, char *memory,
                         double *sums) noexcept nogil:
    """Rows start … start + count of a MEASURED pass. SCRATCH memory; IN/OUT as use_densities."""
    cdef Rows rows = Rows(start, count, NULL, work.k, NULL, NULL)
    pack_measured(work, start, count, memory)
    work.kernels.errors_densities(memory + work.scratch.panel, memory + work.measured.packed, work.measured.diagonal,
                                  count, &work.mixture, memory + work.measured.vectors, memory + work.scratch.logd)
    use_densities(work, &rows, memory, sums)


cdef void measured_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk. SCRATCH memory."""
    run_blocks(work, chunk, measured_block, memory, sums)


cdef void put_truth(const Work *work, const Rows *rows, char *memory) noexcept nogil:
    """OUT work.measured.means (n,d), covariances (n,d,d): of the true values of the rows. IN memory: panel, packed;
    logd: responsibilities. SCRATCH truth, vectors."""
    cdef const Measured *measured = &work.measured
    cdef Py_ssize_t d = work.d, group = work.kernels.group, width = d + d * (d + 1) // 2, i, j, m
    cdef double *truth = <double *> (memory + measured.truth)
    cdef double *row
    cdef const double *own
    work.kernels.errors_posterior(memory + work.scratch.panel, memory + measured.packed, measured.diagonal, rows.count,
                                  &work.mixture, memory + work.scratch.logd, memory + measured.vectors, truth)
    for i in range(rows.count):
        own = truth + i // group * width * group + i % group
        for j in range(d):
            measured.means[(rows.start + i) * d + j] = own[j * group] + work.centre[j]
        if measured.covariances == NULL:
            continue
        row = measured.covariances + (rows.start + i) * d * d
        own += d * group
        for j in range(d):
            for m in range(j + 1):
                row[j * d + m] = row[m * d + j] = own[0]
                own += group


cdef void expand_triangle(const double *triangle, Py_ssize_t d, double *to) noexcept nogil:
    """OUT to (d,d): a symmetric matrix from its lower triangle, row by row."""
    cdef Py_ssize_t i, j
    for i in range(d):
        for j in range(i + 1):
            to[i * d + j] = to[j * d + i] = triangle[0]
            triangle += 1


cdef void sandwich(const double *A, const double *M, Py_ssize_t d, double *AM, double *to) noexcept nogil:
    """to (d,d) += A M A, A and M symmetric (d,d); exactly symmetric. SCRATCH AM (d,d)."""
    cdef Py_ssize_t i, j, m
    cdef double total
    for i in range(d):
        for j in range(d):
            AM[i * d + j] = 0.0
            for m in range(d):
                AM[i * d + j] += A[i * d + m] * M[m * d + j]
    for i in range(d):
        for j in range(i + 1):
            total = 0.0
            for m in range(d):
                total += AM[i * d + m] * A[m * d + j]
            to[i * d + j] += total
            if j < i:
                to[j * d + i] += total


cdef void take_truth(const Work *work, const double *sums, double *scratch, double *first,
                     double *second) noexcept nogil:
    """OUT first (k,d), second (k,d,d), of variances (k,d): moments of the true values about the means. IN sums
    (sums.size,), see errors_moments. SCRATCH (3,d,d)."""
    cdef Py_ssize_t k = work.k, d = work.d, triangle = d * (d + 1) // 2, c, i, j
    cdef const double *n_k = sums + work.sums.n_k
    cdef const double *u = sums + work.sums.first
    cdef const double *own = sums + work.sums.second
    cdef const double *factor = <const double *> work.mixture.factor
    cdef double *covariance = scratch
    cdef double *middle = scratch + d * d
    if work.mixture.form == CGMM_VARIANCES:
        for i in range(k * d):
            first[i] = factor[i] * u[i]
            second[i] = n_k[i // d] * factor[i] + factor[i] * own[i] * factor[i]
        return
    for c in range(k):
        expand_triangle(factor + c * triangle, d, covariance)
        expand_triangle(own + c * triangle, d, middle)
        for i in range(d):
            first[c * d + i] = 0.0
            for j in range(d):
                first[c * d + i] += covariance[i * d + j] * u[c * d + j]
                second[(c * d + i) * d + j] = n_k[c] * covariance[i * d + j]
        sandwich(covariance, middle, d, scratch + 2 * d * d, second + c * d * d)


def truth(X, density, errors, bint covariances, int n_threads=1):
    """Means (n,d) of the true values of rows with errors, and their covariances (n,d,d), or None; density of the form
    "covariances", without noise."""
    cdef _Pass work = _Pass(X, density, None, None, "truth", errors=errors)
    cdef Py_ssize_t n = work.work.n, d = work.work.d
    means = np.empty((n, d))
    spreads = np.empty((n, d, d)) if covariances else None
    work.work.measured.means = <double *> address(means)
    work.work.measured.covariances = <double *> address(spreads) if covariances else NULL
    if n:
        work.run(n_threads)
    return means, spreads
