# Regressions of a mixture's components, row by row. Part of _kernels.pyx.
#
# Rows are worked on one by one, and within one the features that are predicted lie side by side: so the compiler makes
# vectors of them without changing the order of a sum, and no result depends on the number of threads.

cdef struct Regression:
    Py_ssize_t p, m, k              # features given and predicted, components
    Py_ssize_t slope                # from the slopes of a component to those of the next: 0 if they share them
    const double *centres           # (k,p)
    const double *means             # (k,m)
    const double *slopes            # (k,p,m) or (1,p,m)


cdef double regress_one(const Regression *of, const double *x, Py_ssize_t c) noexcept nogil:
    """μ_c + B_c (x − ν_c) of a component where one feature is predicted."""
    cdef const double *slopes = of.slopes + c * of.slope
    cdef const double *centre = of.centres + c * of.p
    cdef double value = of.means[c]
    cdef Py_ssize_t j
    for j in range(of.p):
        value += (x[j] - centre[j]) * slopes[j]
    return value


cdef void regress_many(const Regression *of, const double *x, Py_ssize_t c, double *own) noexcept nogil:
    """OUT own (m,) = μ_c + B_c (x − ν_c) of a component."""
    cdef const double *slopes = of.slopes + c * of.slope
    cdef Py_ssize_t m = of.m, i, j
    cdef double away
    memcpy(own, of.means + c * m, m * sizeof(double))
    for j in range(of.p):
        away = x[j] - of.centres[c * of.p + j]
        for i in range(m):
            own[i] += away * slopes[j * m + i]


cdef void regress_row(const Regression *of, const double *x, const double *r, double *own, double *out) noexcept nogil:
    """OUT own (k,m) = μ_c + B_c (x − ν_c) if r is NULL; else out (m,) += Σ_c r_c of that, and own (m,) is SCRATCH."""
    cdef Py_ssize_t m = of.m, c, i
    for c in range(of.k):
        if r != NULL and r[c] == 0:
            continue
        if m == 1:
            own[0] = regress_one(of, x, c)
        else:
            regress_many(of, x, c, own)
        if r == NULL:
            own += m
            continue
        for i in range(m):
            out[i] += r[c] * own[i]


def regress(const double[:, ::1] X, const double[:, ::1] centres, const double[:, ::1] means,
            const double[:, :, ::1] slopes, responsibilities=None, int n_threads=1):
    """μ_c + B_c (x_i − ν_c) of each row and component, (n,k,m); with responsibilities (n,k) their sum (n,m) over the
    components.

    X (n,p); centres ν (k,p); means μ (k,m); slopes (k,p,m), or (1,p,m) for all components: the transpose of B.
    """
    cdef Py_ssize_t n = X.shape[0], k = centres.shape[0], i
    cdef Regression of
    of.p, of.m, of.k = X.shape[1], means.shape[1], k
    if centres.shape[1] != of.p or means.shape[0] != k or slopes.shape[1] != of.p or slopes.shape[2] != of.m:
        raise ValueError("centres must be (k,p), means (k,m) and slopes (k,p,m) or (1,p,m)")
    if slopes.shape[0] not in (1, k):
        raise ValueError("slopes must be those of each component, or of all")
    of.slope = of.p * of.m if slopes.shape[0] > 1 else 0
    cdef bint each = responsibilities is None
    cdef int threads = <int> max(1, min(<Py_ssize_t> n_threads, n * k * of.m * (of.p + 1) // THREAD_WORK))
    found = np.empty((n, k, of.m)) if each else np.zeros((n, of.m))
    if not n or not of.m:
        return found
    of.means = &means[0, 0]
    cdef const double *rows = of.means    # of no features nothing is read
    of.centres = of.slopes = of.means
    if of.p:
        rows, of.centres, of.slopes = &X[0, 0], &centres[0, 0], &slopes[0, 0, 0]
    cdef double[::1] flat = found.reshape(-1)
    cdef double *out = &flat[0]
    if each:
        for i in prange(n, schedule="static", num_threads=threads, nogil=True):
            regress_row(&of, rows + i * of.p, NULL, out + i * k * of.m, NULL)
        return found
    cdef const double[:, ::1] shares = responsibilities
    if shares.shape[0] != n or shares.shape[1] != k:
        raise ValueError("responsibilities must be (n,k)")
    cdef const double *r = &shares[0, 0]
    cdef double[:, ::1] scratch = np.empty((threads, cgmm_pad8(of.m)))
    cdef double *own = &scratch[0, 0]
    cdef Py_ssize_t stride = cgmm_pad8(of.m)
    for i in prange(n, schedule="static", num_threads=threads, nogil=True):
        regress_row(&of, rows + i * of.p, r + i * k, own + omp_get_thread_num() * stride, out + i * of.m)
    return found
