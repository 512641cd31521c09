# Regressions of a mixture's components, a block of rows at a time. Part of _kernels.pyx.
#
# Rows lie side by side within a block, so the compiler makes vectors of them without changing the order of a sum; and
# blocks are cut by n alone, so no result depends on the number of threads.

cdef enum:
    REGRESSED = 64    # Rows of a block: eight vectors of eight doubles; to p = 60 they stay in a cache of 32 KiB.


cdef struct Regression:
    Py_ssize_t p, m, k              # features given and predicted, components
    Py_ssize_t slope                # from the slopes of a component to those of the next: 0 if they share them
    const double *centres           # (k,p)
    const double *means             # (k,m)
    const double *slopes            # (k,p,m) or (1,p,m)


cdef void regress_block(const Regression *of, Py_ssize_t n, Py_ssize_t start, const double *X,
                        const double *responsibilities, double *turned, double *found) noexcept nogil:
    """Of rows X (n,p) from start on. OUT found (n,k,m) = μ_c + B_c (x − ν_c) if responsibilities are NULL; else found
    (n,m) += Σ_c r_c of that, r responsibilities (n,k). SCRATCH turned (p+1,REGRESSED)."""
    cdef Py_ssize_t p = of.p, m = of.m, k = of.k, rows = min(n - start, <Py_ssize_t> REGRESSED), c, i, j, q
    cdef const double *x = X + start * p
    cdef double *own = turned + p * REGRESSED
    cdef const double *column
    cdef double centre, slope
    for j in range(p):
        for i in range(rows):
            turned[j * REGRESSED + i] = x[i * p + j]
        for i in range(rows, REGRESSED):
            turned[j * REGRESSED + i] = 0
    for c in range(k):
        for q in range(m):
            for i in range(REGRESSED):
                own[i] = of.means[c * m + q]
            for j in range(p):
                centre, slope = of.centres[c * p + j], of.slopes[c * of.slope + j * m + q]
                column = turned + j * REGRESSED
                for i in range(REGRESSED):
                    own[i] += (column[i] - centre) * slope
            if responsibilities == NULL:
                for i in range(rows):
                    found[((start + i) * k + c) * m + q] = own[i]
                continue
            for i in range(rows):
                found[(start + i) * m + q] += responsibilities[(start + i) * k + c] * own[i]


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
    cdef const double[:, ::1] shares = None if each else responsibilities
    cdef const double *r = NULL
    if not each:
        if shares.shape[0] != n or shares.shape[1] != k:
            raise ValueError("responsibilities must be (n,k)")
        r = &shares[0, 0]
    cdef Py_ssize_t stride = (of.p + 1) * REGRESSED
    cdef double[:, ::1] scratch = np.empty((threads, stride))
    cdef double *turned = &scratch[0, 0]
    for i in prange((n + REGRESSED - 1) // REGRESSED, schedule="static", num_threads=threads, nogil=True):
        regress_block(&of, n, i * REGRESSED, rows, r, turned + omp_get_thread_num() * stride, out)
    return found
