# What Python looks at in rows before a fit, for a problem of _problems.pxi: each is as the function of cgmm.rows that
# it names. Part of _kernels.pyx.


cdef Py_ssize_t stride_of(Py_ssize_t n, Py_ssize_t count, Py_ssize_t most) noexcept nogil:
    """As cgmm.rows.sampling.stride_of."""
    cdef Py_ssize_t stride = 1, shares
    while stride * most < n:
        stride *= 2
    shares = (n + stride - 1) // stride
    return stride * max(<Py_ssize_t> 1, (shares + count - 1) // count)


cdef double value_at(const Problem *rows, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """x_ij, in double."""
    cdef const char *at = rows.X + i * rows.row_stride + j * rows.column_stride
    return <double> (<const float *> at)[0] if rows.kernels.itemsize == sizeof(float) else (<const double *> at)[0]


cdef bint has_small_column(const Problem *rows, const Task *task) noexcept nogil:
    """As cgmm.rows.checks.has_small_column."""
    cdef Py_ssize_t step = stride_of(rows.n, task.scale_rows, task.spread_rows), i, j
    cdef double reach
    for j in range(task.d):
        reach, i = 0.0, 0
        while i < rows.n:
            reach = max(reach, fabs(value_at(rows, i, j)))
            i += step
        if 0 < reach < task.smallest_single:
            return True
    return False


cdef bint are_moderate(const Problem *rows, const Task *task) noexcept nogil:
    """Whether rows are numbers that need no other scale or type."""
    cdef bint single = rows.kernels.itemsize == sizeof(float)
    cdef double most = task.largest_single if single else min(task.largest, sqrt(DBL_MAX / (4.0 * rows.n * task.d)))
    if not rows.kernels.all_within(rows.X, rows.row_stride, rows.column_stride, rows.n, task.d, most):
        return False
    return not single or not has_small_column(rows, task)


cdef bint scale_weights(Solver *solver, const Problem *rows, bint some) noexcept nogil:
    """OUT solver.weights, of order one as cgmm.rows.checks.of_order_one has them, and exponent. False where they are
    not all positive numbers with a finite sum, or one vanishes; with `some`, not all of them need to be positive."""
    cdef const double *w = rows.row_weights
    cdef double most = 0.0, total = 0.0
    cdef int exponent = 0
    cdef Py_ssize_t i
    for i in range(rows.n):
        if not (0 < w[i] < INFINITY or (some and w[i] == 0)):
            return False
        most = max(most, w[i])
        total += w[i]
    if not 0 < total < INFINITY:
        return False
    frexp(most, &exponent)
    for i in range(rows.n):
        solver.weights[i] = ldexp(w[i], -exponent)
        if not solver.weights[i] > 0 and w[i] > 0:
            return False
    solver.exponent = exponent
    return True


cdef bint find_floor(Solver *solver, const Problem *rows, const Task *task) noexcept nogil:
    """OUT solver.least: as cgmm.rows.floor.least_variances has them. False where a feature is flat."""
    cdef Py_ssize_t step = stride_of(rows.n, task.floor_rows, task.spread_rows), m = (rows.n + step - 1) // step, i, j
    cdef double *values = solver.values
    cdef double eps = FLT_EPSILON if rows.kernels.itemsize == sizeof(float) else DBL_EPSILON
    cdef double low, middle, high, scale, exact
    for j in range(task.d):
        for i in range(m):
            values[i] = value_at(rows, i * step, j)
        middle = ranked(values, 0, m - 1, m // 2)
        low = ranked(values, 0, m // 2, m // 4)
        high = ranked(values, m // 2, m - 1, m - 1 - m // 4)
        scale, exact = (high - low) / task.quartiles, 4 * eps * fabs(middle)
        solver.least[j] = max(task.floor * (scale * scale), exact * exact)
        if not (scale > 0 and solver.least[j] >= task.smallest):
            return False
    return True


cdef double relative_added(Solver *solver, const Problem *rows, const Task *task) except -1 nogil:
    """The reg_covar that is relative to the variances of the rows: as cgmm.mixture.floor.relative_to has it."""
    cdef Work *whole = &solver.whole
    cdef double *sums = solver.whole_sums
    cdef double one = 1.0, zero = 0.0, variance, offset, least = INFINITY
    cdef Py_ssize_t d = task.d, i, j, step
    set_rows(whole, rows, NULL if rows.row_weights == NULL else solver.weights)
    if rows.kernels.itemsize == sizeof(float):    # in double, or rounding would say whether it is singular
        step = stride_of(rows.n, task.spread_rows, task.spread_rows)
        whole.n, whole.row_stride = (rows.n + step - 1) // step, step * rows.row_stride
        column_means_of(whole, solver.middle)
        for i in range(rows.n):
            for j in range(d):
                solver.wide[i * d + j] = value_at(rows, i, j)
        whole.kernels, whole.n, whole.X = TARGETS[TARGET].f64, rows.n, <const char *> solver.wide
        whole.row_stride, whole.column_stride = d * sizeof(double), sizeof(double)
    else:
        step = stride_of(rows.n, task.spread_rows, task.spread_rows)
        whole.n, whole.row_stride = (rows.n + step - 1) // step, step * rows.row_stride
        column_means_of(whole, solver.middle)
        whole.n, whole.row_stride = rows.n, rows.row_stride
    whole.centre = solver.middle
    place_parameters(whole, solver.whole_parameters, False)
    lay_out(whole, DENSE)
    load(whole, solver.middle, &one, &zero, NULL, solver.second)
    memset(sums, 0, whole.sums.size * sizeof(double))
    run(whole, solver.em.n_threads, &solver.em.kept, sums)
    untile(sums + whole.sums.second, 1, d, solver.second)
    for j in range(d):
        offset = sums[whole.sums.first + j] / sums[whole.sums.n_k]
        variance = solver.second[j * d + j] / sums[whole.sums.n_k] - offset * offset
        if variance > 4 * solver.least[j]:
            least = min(least, variance)
    return task.share * least if least < INFINITY else 0.0
