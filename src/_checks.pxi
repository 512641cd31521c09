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


cdef void add_column(const Work *rows, Py_ssize_t j, double about, double *sums) noexcept nogil:
    """sums (3,) += of the values that there are of a column, in rows of positive weight: Σ (x − about), Σ (x − about)²,
    and their number."""
    cdef const char *at = rows.X + j * rows.column_stride
    cdef bint single = rows.kernels.itemsize == sizeof(float)
    cdef Py_ssize_t i
    cdef double value
    for i in range(rows.n):
        value = (<double> (<const float *> at)[0] if single else (<const double *> at)[0]) - about
        at += rows.row_stride
        if value == value and (rows.row_weights == NULL or rows.row_weights[i] > 0):
            sums[0] += value
            sums[1] += value * value
            sums[2] += 1.0


cdef double deviation_of(const double *sums) noexcept nogil:
    """The standard deviation of values of which add_column has found the sums."""
    cdef double mean = sums[0] / sums[2]
    return sqrt(max(sums[1] / sums[2] - mean * mean, 0.0))


def column_sums(X, const Py_ssize_t[::1] columns, const double[::1] about, row_weights=None):
    """What add_column finds of some columns of rows X (n,d), about these values: (columns,3)."""
    cdef Work work
    cdef Py_ssize_t q
    memset(&work, 0, sizeof(Work))
    bind(&work, X)
    weights = checked_weights(row_weights, work.n)
    work.row_weights = start_of(weights)
    if columns.shape[0] != about.shape[0]:
        raise ValueError(f"{about.shape[0]} values for {columns.shape[0]} columns")
    sums = np.zeros((columns.shape[0], 3))
    cdef double *own = <double *> address(sums)
    for q in range(columns.shape[0]):
        if not 0 <= columns[q] < work.d:
            raise ValueError(f"no column {columns[q]} in rows of {work.d}")
        add_column(&work, columns[q], about[q], own + 3 * q)
    return sums


def deviations(const double[:, ::1] sums):
    """The standard deviations (m,) of values of which column_sums has found the sums (m,3)."""
    if sums.shape[1] != 3:
        raise ValueError(f"sums must be (m, 3), not (m, {sums.shape[1]})")
    return np.array([deviation_of(&sums[q, 0]) for q in range(sums.shape[0])], dtype=float)


cdef bint find_floor(Solver *solver, const Problem *rows, const Task *task) noexcept nogil:
    """OUT solver.least: as cgmm.rows.floor.least_variances has them. False where a feature is zeros, or so small that
    its floor is another one."""
    cdef Py_ssize_t step = stride_of(rows.n, task.floor_rows, task.spread_rows), m = (rows.n + step - 1) // step, i, j
    cdef double *values = solver.values
    cdef double eps = FLT_EPSILON if rows.kernels.itemsize == sizeof(float) else DBL_EPSILON
    cdef double low, middle, high, scale, exact
    cdef double sums[3]
    cdef Work *whole = &solver.whole
    set_rows(whole, rows, rows.row_weights)
    solver.floored = False
    for j in range(task.d):
        for i in range(m):
            values[i] = value_at(rows, i * step, j)
        middle = ranked(values, 0, m - 1, m // 2)
        low = ranked(values, 0, m // 2, m // 4)
        high = ranked(values, m // 2, m - 1, m - 1 - m // 4)
        scale, exact = (high - low) / task.quartiles, 4 * eps * fabs(middle)
        if not scale > 0:
            memset(sums, 0, sizeof(sums))
            add_column(whole, j, middle, sums)
            scale, solver.floored = deviation_of(sums), True
        solver.least[j] = max(task.floor * (scale * scale), exact * exact)
        if not solver.least[j] >= task.smallest:
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
