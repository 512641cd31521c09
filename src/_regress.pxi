# Regressions of a mixture's components: features predicted from others, row by row, or with the densities of a pass;
# gaps are filled by them. Part of _kernels.pyx.


cdef void lay_out_predictions(Work *work) noexcept nogil:
    """OUT work.predicted.found, away. IN work.predicted.regression, size."""
    cdef Py_ssize_t m = work.predicted.regression.m
    work.predicted.found = claim(&work.scratch, work.block * (m + work.predicted.size) * sizeof(double))
    work.predicted.away = claim(&work.scratch, m * work.kernels.lanes * sizeof(double))


cdef void put_rows(const double *found, Py_ssize_t count, Py_ssize_t group, Py_ssize_t m, double *to) noexcept nogil:
    """OUT to (count,m). IN found (m,group)."""
    cdef Py_ssize_t i, q
    for q in range(m):
        for i in range(count):    # rows inside: one target, the usual number, is copied whole
            to[i * m + q] = found[q * group + i]


cdef void put_triangles(const double *found, Py_ssize_t count, Py_ssize_t group, Py_ssize_t m,
                        double *to) noexcept nogil:
    """OUT to (count,m,m), symmetric. IN found (m (m + 1) / 2,group)."""
    cdef Py_ssize_t i, j, q
    for q in range(m):
        for j in range(q + 1):
            for i in range(count):
                to[(i * m + q) * m + j] = to[(i * m + j) * m + q] = found[i]
            found += group


cdef void put_predictions(const Work *work, const Rows *rows, char *memory) noexcept nogil:
    """OUT work.predicted.means (n,m), spreads (n,m) or (n,m,m). IN memory: panel; logd: responsibilities. SCRATCH
    found, away."""
    cdef const Predicted *predicted = &work.predicted
    cdef Py_ssize_t m = predicted.regression.m, group = work.kernels.group, g, start, count
    cdef const char *panel = memory + work.scratch.panel
    cdef const char *r = memory + work.scratch.logd
    cdef double *found = <double *> (memory + predicted.found)
    work.kernels.regress(panel, rows.count, &predicted.regression, r, m + predicted.size, found)
    if predicted.size:
        work.kernels.regress_spread(panel, rows.count, &predicted.regression, r, predicted.covariances, predicted.size,
                                    memory + predicted.away, found)
    for g in range((rows.count + group - 1) // group):
        start, count = rows.start + g * group, min(group, rows.count - g * group)
        put_rows(found, count, group, m, predicted.means + start * m)
        found += m * group
        if predicted.size == m:
            put_rows(found, count, group, m, predicted.spreads + start * m)
        elif predicted.size:
            put_triangles(found, count, group, m, predicted.spreads + start * m * m)
        found += predicted.size * group


cdef set_regression(cgmm_regression *to, regression, Py_ssize_t d, Py_ssize_t k):
    """OUT to: that of arrays (centres, means, slopes), which someone must keep, of k components and rows of d
    features."""
    cdef const double[:, ::1] centres, means
    cdef const double[:, :, ::1] slopes
    centres, means, slopes = regression
    to.d, to.p, to.m, to.k = d, centres.shape[1], means.shape[1], k
    if centres.shape[0] != k or means.shape[0] != k or slopes.shape[1] != to.p or slopes.shape[2] != to.m or to.p > d:
        raise ValueError("centres must be (k,p), means (k,m) and slopes (k,p,m) or (1,p,m)")
    if slopes.shape[0] not in (1, k):
        raise ValueError("slopes must be those of each component, or of all")
    to.step = to.p * to.m if slopes.shape[0] > 1 else 0
    to.centres, to.means, to.slopes = start_of_array(centres), start_of_array(means), NULL
    if slopes.size:
        to.slopes = &slopes[0, 0, 0]


cdef const double *start_of_array(const double[:, ::1] values) noexcept:
    """Where they begin; NULL if there are none."""
    if not values.size:
        return NULL
    return &values[0, 0]


def predictions(X, density, centres, means, slopes, covariances=None, bint diagonal=False, int n_threads=1):
    """Σ_c r_ic (μ_c + B_c (x_i − ν_c)) of each row of X (n,d), float64, with its responsibilities r under the density:
    (n,m); and None, or with covariances C (k,m,m) those of Σ_c r_ic N(own mean, C_c), (n,m,m), or if `diagonal` their
    diagonals (n,m).

    centres ν (k,p), of the first p features; means μ (k,m); slopes (k,p,m) or (1,p,m): the transpose of B.
    """
    centres = np.ascontiguousarray(centres - density.centre[: centres.shape[1]])
    cdef _Pass work = _Pass(X, density, None, None, "predictions", regression=(centres, means, slopes))
    cdef Predicted *to = &work.work.predicted
    cdef Py_ssize_t n = work.work.n, m = to.regression.m
    if work.work.kernels.itemsize != sizeof(double):
        raise ValueError("predictions are made in double")
    found = np.empty((n, m))
    spreads = None
    if covariances is not None:
        if covariances.shape != (work.work.k, m, m):
            raise ValueError("covariances must be (k,m,m)")
        spreads = np.empty([n] + [m] * (1 if diagonal else 2))
        rows, columns = (np.arange(m), np.arange(m)) if diagonal else np.tril_indices(m)
        own = np.ascontiguousarray(covariances[:, rows, columns], dtype=np.float64)
        work.arrays.append(own)
        to.covariances, to.size = <const double *> address(own), own.shape[1]
        to.spreads = <double *> address(spreads)
        lay_out(&work.work, DENSE)
    if n and m:
        to.means = <double *> address(found)
        work.run(n_threads)
    return found, spreads


cdef void regress_group(const cgmm_kernels *kernels, const cgmm_regression *of, Py_ssize_t n, Py_ssize_t start,
                        const double *X, const double *responsibilities, const double *zeros, char *memory,
                        double *found) noexcept nogil:
    """Of a group of rows X (n,p) from start on. OUT found (n,k,m), or, if responsibilities (n,k) are not NULL, (n,m),
    as `regress`. IN zeros (max(p,k),). SCRATCH memory: panels of p and k features, and those of found, see regress."""
    cdef Py_ssize_t p = of.p, k = of.k, group = kernels.group, rows = min(n - start, group)
    cdef Py_ssize_t real = sizeof(double), width = of.m if responsibilities != NULL else k * of.m
    cdef char *r = NULL
    cdef char *shares = memory + group * cgmm_pad4(p) * real
    cdef double *own = <double *> (shares + group * cgmm_pad4(k) * real)
    kernels.pack(<const char *> (X + start * p), p * real, real, NULL, rows, p, zeros, memory)
    if responsibilities != NULL:
        r = shares
        kernels.pack(<const char *> (responsibilities + start * k), k * real, real, NULL, rows, k, zeros, r)
    kernels.regress(memory, rows, of, r, width, own)
    put_rows(own, rows, group, width, found + start * width)


def regress(const double[:, ::1] X, const double[:, ::1] centres, const double[:, ::1] means,
            const double[:, :, ::1] slopes, responsibilities=None, int n_threads=1):
    """μ_c + B_c (x_i − ν_c) of each row and component, (n,k,m); with responsibilities (n,k) their sum (n,m) over the
    components.

    X (n,p); centres ν (k,p); means μ (k,m); slopes (k,p,m), or (1,p,m) for all components: the transpose of B.
    """
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f64
    cdef Py_ssize_t n = X.shape[0], k = centres.shape[0], p = X.shape[1], i, stride
    cdef cgmm_regression of
    cdef bint each = responsibilities is None
    cdef const double[:, ::1] shares = None if each else responsibilities
    if centres.shape[1] != p:
        raise ValueError("centres must be (k,p), means (k,m) and slopes (k,p,m) or (1,p,m)")
    set_regression(&of, (centres, means, slopes), p, k)
    if not each and (shares.shape[0] != n or shares.shape[1] != k):
        raise ValueError("responsibilities must be (n,k)")
    cdef Py_ssize_t width = k * of.m if each else of.m
    cdef int threads = <int> max(1, min(<Py_ssize_t> n_threads, n * k * of.m * (p + 1) // THREAD_WORK))
    threads = team(threads, threads)
    found = np.empty((n, k, of.m)) if each else np.empty((n, of.m))
    if not n or not width:
        return found
    cdef double[::1] flat = found.reshape(-1), zeros = np.zeros(max(p, k, 1))
    cdef const double *rows = &zeros[0]    # of no features nothing is read
    if p:
        rows = &X[0, 0]
    cdef const double *r = NULL
    if not each:
        r = &shares[0, 0]
    stride = align((cgmm_pad4(p) + cgmm_pad4(k) + width) * kernels.group * sizeof(double))
    cdef char *memory = <char *> cgmm_allocate(threads * stride)
    if memory == NULL:
        raise MemoryError("no memory to predict features of rows")
    for i in prange((n + kernels.group - 1) // kernels.group, schedule="static", num_threads=threads, nogil=True):
        regress_group(kernels, &of, n, i * kernels.group, rows, r, &zeros[0], memory + omp_get_thread_num() * stride,
                      &flat[0])
    cgmm_release(memory)
    return found
