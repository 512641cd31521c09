# Roots P = L⁻¹ of covariances Σ = L Lᵀ, without a BLAS: its threads would go on spinning beside those of the next pass,
# and its bits may depend on them. Part of _kernels.pyx.


cdef int root_threads(Py_ssize_t m, Py_ssize_t d, int n_threads) noexcept nogil:
    """Threads that m roots (d,d) are worth."""
    return <int> max(1, min(min(<Py_ssize_t> n_threads, m), m * d * d * d // THREAD_WORK))


cdef bint take_root(const cgmm_kernels *kernels, Py_ssize_t d, const double *covariance, double *U,
                    double *P) noexcept nogil:
    """P (d,d) of a covariance; zero where it is not positive definite, and False is returned. SCRATCH U (d,d)."""
    if kernels.root(d, covariance, U, P):
        return True
    memset(P, 0, d * d * sizeof(double))
    return False


cdef bint hold_root(const cgmm_kernels *kernels, Py_ssize_t d, double *covariance, const double *least,
                    double relative, double added, double *scratch, double *P) noexcept nogil:
    """Put `added` on the diagonal of a covariance (d,d) and take its P. False where it may have a variance below least
    (d,) or `relative` of its own, but for what is added, or has no P: then it stays as it was.

    Σ_ij P_ij² (least_j + added) ≤ 1 is enough to be sure that Σ − diag(least) is positive semidefinite.
    SCRATCH (d+1,d).
    """
    cdef double *own = scratch + d * d
    cdef double trace = 0.0
    cdef bint sure
    cdef Py_ssize_t i, j
    for j in range(d):
        own[j] = covariance[j * d + j]
        covariance[j * d + j] += added
    sure = take_root(kernels, d, covariance, scratch, P)
    if sure:
        for i in range(d):
            for j in range(i + 1):
                trace += P[i * d + j] * P[i * d + j] * (max(least[j], relative * own[j]) + added)
        sure = trace <= 1
    if not sure:
        for j in range(d):
            covariance[j * d + j] = own[j]
    return sure


def roots(const double[:, :, ::1] covariances, int n_threads=1):
    """P of each covariance (m,d,d), and which of them are not positive definite (m,) bool: their P is zero."""
    cdef Py_ssize_t m = covariances.shape[0], d = covariances.shape[1], c
    cdef int threads = root_threads(m, d, n_threads)
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f64
    factors, failed = np.empty((m, d, d)), np.empty(m, dtype=bool)
    cdef double[:, :, ::1] P = factors
    cdef unsigned char[::1] bad = failed.view(np.uint8)
    cdef double[:, ::1] scratch = np.empty((threads, d * d))
    with nogil:
        for c in prange(m, schedule="static", num_threads=threads):
            bad[c] = not take_root(kernels, d, &covariances[c, 0, 0], &scratch[omp_get_thread_num(), 0], &P[c, 0, 0])
    return factors, failed


def held_roots(double[:, :, ::1] covariances, const double[::1] least, double relative, double added,
               int n_threads=1):
    """P of each covariance (m,d,d) with `added` on its diagonal; and which of them (m,) bool may have a variance below
    least (d,) or `relative` of their own, but for what is added, or have no P: these covariances stay as they are, the
    others get it."""
    cdef Py_ssize_t m = covariances.shape[0], d = covariances.shape[1], c
    cdef int threads = root_threads(m, d, n_threads)
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f64
    if least.shape[0] != d:
        raise ValueError("least must be (d,)")
    factors, failed = np.empty((m, d, d)), np.empty(m, dtype=bool)
    cdef double[:, :, ::1] P = factors
    cdef unsigned char[::1] suspect = failed.view(np.uint8)
    cdef double[:, ::1] scratch = np.empty((threads, (d + 1) * d))
    with nogil:
        for c in prange(m, schedule="static", num_threads=threads):
            suspect[c] = not hold_root(kernels, d, &covariances[c, 0, 0], &least[0], relative, added,
                                       &scratch[omp_get_thread_num(), 0], &P[c, 0, 0])
    return factors, failed


def grams(const double[:, :, ::1] roots):
    """Pᵀ P (m,d,d) of each lower triangular P (m,d,d)."""
    cdef Py_ssize_t m = roots.shape[0], d = roots.shape[1], c, r, i, j
    cdef double p
    products = np.empty((m, d, d))
    cdef double[:, :, ::1] out = products
    with nogil:
        for c in range(m):
            memset(&out[c, 0, 0], 0, d * d * sizeof(double))
            for r in range(d):
                for i in range(r + 1):
                    p = roots[c, r, i]
                    for j in range(i + 1):
                        out[c, i, j] += p * roots[c, r, j]
            for i in range(d):
                for j in range(i):
                    out[c, j, i] = out[c, i, j]
    return products
