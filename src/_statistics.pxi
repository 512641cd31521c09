# What an expectation pass leaves behind: from the sums of the kernels to sufficient statistics. Part of _kernels.pyx.


cdef struct Statistics:
    # As cgmm.mixture.statistics.SufficientStatistics has them.
    double *n_k        # (k,)
    double *first      # (k,d)
    double *second     # of moment FULL (k,d,d), POOLED (d,d), DIAG (k,d) or RADIAL (k,)
    double *shift      # (k,d)


cdef Py_ssize_t second_size(Moment moment, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    return k * d * d if moment == FULL else d * d if moment == POOLED else k * d if moment == DIAG else k


cdef void mirror(Py_ssize_t m, double *full) noexcept nogil:
    """The upper triangle of full (m,m) from its lower one, in squares of one line of memory each way: to write whole
    columns takes ten times as long where they are 1024 or more."""
    cdef Py_ssize_t i, j, a, b
    for i in range(0, m, 8):
        for j in range(0, i + 1, 8):
            for b in range(j, min(j + 8, m)):
                for a in range(max(i, b + 1), min(i + 8, m)):
                    full[b * m + a] = full[a * m + b]


cdef void untile(const double *tiles, Py_ssize_t count, Py_ssize_t m, double *full) noexcept nogil:
    """OUT full (count,m,m): symmetric matrices from their Tiles."""
    cdef Py_ssize_t i, j, a, b, _c
    for _c in range(count):
        for i in range(0, m, 4):
            for j in range(0, i + 1, 4):
                for a in range(i, min(i + 4, m)):
                    for b in range(j, min(j + 4, a + 1)):
                        full[a * m + b] = tiles[4 * (a - i) + b - j]
                tiles += 16
        mirror(m, full)
        full += m * m


cdef void pool(const Work *work, const double *sums, const double *means, double *scratch,
               double *second) noexcept nogil:
    """OUT second (d,d): the scatter of all components about their means (k,d), see moments_pooled in kernels.h. IN sums
    (sums.size,). SCRATCH k × (k + d)."""
    cdef Py_ssize_t k = work.k, d = work.d, c, a, b, i, j
    cdef double *laplacian = scratch
    cdef double *product = scratch + k * k
    cdef double value
    untile(sums + work.sums.second, 1, d, second)
    untile(sums + work.sums.overlap, 1, k, laplacian)
    memset(product, 0, k * d * sizeof(double))
    for c in range(k):
        value = 0.0
        for b in range(k):
            if b != c:
                laplacian[c * k + b] = -laplacian[c * k + b]
                value -= laplacian[c * k + b]
        laplacian[c * k + c] = value
        for b in range(k):
            for j in range(d):
                product[c * d + j] += laplacian[c * k + b] * means[b * d + j]
    for i in range(d):
        for c in range(k):
            for j in range(d):
                second[i * d + j] += means[c * d + i] * product[c * d + j]
    for i in range(0, d, 8):
        for j in range(0, i + 1, 8):
            for a in range(i, min(i + 8, d)):
                for b in range(j, min(j + 8, a)):
                    second[a * d + b] = (second[a * d + b] + second[b * d + a]) / 2
    mirror(d, second)


cdef void take_sums(const Work *work, const double *sums, const double *factor, double *scratch,
                    Statistics *to) noexcept nogil:
    """OUT what `to` points to: the statistics of a pass. IN sums (sums.size,); factor (k,), of moment RADIAL. SCRATCH
    k × (k + d), of moment POOLED."""
    cdef Py_ssize_t k = work.k, d = work.d, c, j
    cdef double *means = to.shift
    work.kernels.widen(work.means, k * d, means)    # exactly as the kernels hold them
    memcpy(to.n_k, sums + work.sums.n_k, k * sizeof(double))
    memcpy(to.first, sums + work.sums.first, k * d * sizeof(double))
    if work.moment == FULL:
        untile(sums + work.sums.second, k, d, to.second)
    elif work.moment == DIAG:
        memcpy(to.second, sums + work.sums.second, k * d * sizeof(double))
    elif work.moment == POOLED:
        pool(work, sums, means, scratch, to.second)
    else:
        for c in range(k):
            to.second[c] = sums[work.sums.second + c] / (factor[c] * factor[c])
    for c in range(k):
        for j in range(d):
            if work.moment not in (FULL, DIAG):    # they were about the centre
                to.first[c * d + j] -= to.n_k[c] * means[c * d + j]
            means[c * d + j] += work.centre[j]


cdef class Expectation:
    """One E-step, over rows that come in parts: without an order of rows, the same bits for any cut at multiples of
    MOST_CHUNK rows.

    density as cgmm.mixture.density; moment "full" (k,d,d), "diag" (k,d), "radial" (k,) for an isotropic density,
    or "pooled" (d,d); guide, cgmm.rows.pruning.Guide, to leave out negligible components, or None; n: the rows of all
    parts.
    """
    cdef object density, moment, guide, flat
    cdef Py_ssize_t n, rows
    cdef _Pass last

    def __init__(self, density, moment, guide, Py_ssize_t n):
        self.density, self.moment, self.guide, self.n = density, moment, guide, n

    def add(self, X, row_weights=None, int n_threads=1, known=None, order=None, errors=None):
        """Rows X (m,d) float32 or float64, any strides; row_weights (m,) float64 or None; known (m,) intp, the
        component that each belongs to, −1 where it is not known, or None; order as order_of_rows, or None, for a guide
        of boxes; errors of moment "deblurred"."""
        self.last = _Pass(X, self.density, row_weights, self.moment, None, self.guide, self.n, known=known, order=order,
                          errors=errors)
        if self.flat is None:
            self.flat = np.zeros(self.last.work.sums.size)
        self.last.run(n_threads, self.flat)
        self.rows += self.last.work.n

    def result(self):
        """(n_k, first, second, log-likelihood, total weight, shift), where there is noise its weight, too; and the
        share of the dense work that was done."""
        cdef const Work *work = &self.last.work
        cdef double[::1] sums = self.flat
        cdef Py_ssize_t d = work.d, k = work.k
        cdef Statistics to
        if work.moment == DEBLURRED:
            return self.of_truth(), 1.0
        shape = {FULL: (k, d, d), POOLED: (d, d), DIAG: (k, d), RADIAL: (k,)}[work.moment]
        n_k, first, second, shift = np.empty(k), np.empty((k, d)), np.empty(shape), np.empty((k, d))
        to.n_k, to.first = <double *> address(n_k), <double *> address(first)
        to.second, to.shift = <double *> address(second), <double *> address(shift)
        scratch = np.empty(k * (k + d) if work.moment == POOLED else 0)
        factor = np.ascontiguousarray(self.density.factor)
        take_sums(work, &sums[0], <const double *> address(factor), <double *> address(scratch), &to)
        found = n_k, first, second, sums[SUM_OF_LOGS], sums[SUM_OF_WEIGHTS], shift
        if work.noisy:
            found += sums[SUM_OF_NOISE],
        return found, self.last.share(self.flat, self.rows)

    cdef of_truth(self):
        """What result gives first, of rows with errors: moments of the true values, "full", or "diag" of variances."""
        cdef const Work *work = &self.last.work
        cdef double[::1] sums = self.flat
        cdef Py_ssize_t d = work.d, k = work.k
        cdef bint apart = work.mixture.form == CGMM_VARIANCES
        n_k, first = np.empty(k), np.empty((k, d))
        second = np.empty((k, d)) if apart else np.empty((k, d, d))
        scratch = np.empty(3 * d * d)
        memcpy(address(n_k), &sums[work.sums.n_k], k * sizeof(double))
        take_truth(work, &sums[0], <double *> address(scratch), <double *> address(first), <double *> address(second))
        found = (n_k, first, second, sums[SUM_OF_LOGS], sums[SUM_OF_WEIGHTS],
                 self.density.centre + self.last.centred_means())
        return (*found, sums[SUM_OF_NOISE]) if work.noisy else found


def expectation(X, density, moment, row_weights=None, int n_threads=1, guide=None, known=None, order=None, errors=None):
    """The result of an Expectation over rows that are all at hand."""
    cdef Expectation whole = Expectation(density, moment, guide, len(X))
    whole.add(X, row_weights, n_threads, known, order, errors)
    return whole.result()
