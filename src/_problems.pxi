# Many problems, nogil: the rows of each, where EM starts, its iterations, and what is left of it; threads over
# problems. Part of _kernels.pyx.
#
# What is done to a problem here is what cgmm.fit does to one that is ordinary, bit for bit: the same functions do it.
# Where anything has to be decided, the problem is left to Python, and Status says why.


cdef enum Status:
    FITTED
    UNFIT_ROWS       # of another type or shape, not finite, or so large or small that Python looks at them first
    UNFIT_SIZE       # fewer than there are components, or so many that a pass may leave something out
    UNFIT_WEIGHTS    # not all positive numbers, of which none vanishes beside the others
    FLAT             # a feature whose quartiles are equal, or so small that its floor is another one
    UNUSUAL_START    # a cluster without rows, or a covariance that is to be held
    UNUSUAL          # an iteration in which something had to be decided


STATUSES = {"fitted": FITTED, "rows": UNFIT_ROWS, "size": UNFIT_SIZE, "weights": UNFIT_WEIGHTS, "flat": FLAT,
            "start": UNUSUAL_START, "unusual": UNUSUAL}


cdef struct Task:
    # What is asked of every problem: as cgmm.em.problems.Task.
    Family family
    Py_ssize_t k, d
    Until until             # noise in units of the rounding of the rows' type
    Py_ssize_t most         # iterations
    double added            # to covariances
    bint relative           # that is a share of the smallest variance of a feature instead
    bint criteria           # sums of log-likelihoods at the end are wanted
    Py_ssize_t rows_below   # of so many rows or more a pass may leave something out
    Py_ssize_t moves        # of Lloyd's iterations, and their tolerance
    double move_tol
    double starved, empty, fall, reach, exact    # see Limits; the reach of float32 rows
    double moved, rounded, lifted           # see Floor: moved in units of the rounding of moments, lifted is relative
    double floor, smallest, quartiles, share
    double largest, largest_single, smallest_single    # see cgmm.rows.checks, cgmm.rows.k_means
    Py_ssize_t scale_rows, spread_rows, floor_rows     # rows, evenly spread, that show something


cdef struct Problem:
    # Rows as `bind` has them, and their weights or NULL; no kernels: they are not such rows.
    const cgmm_kernels *kernels
    Py_ssize_t n
    const char *X
    Py_ssize_t row_stride, column_stride
    const double *row_weights


cdef struct Solutions:
    # As cgmm.em.problems.Solutions: where the results of all problems are.
    unsigned char *status
    Parameters parameters
    double *n_k
    Py_ssize_t *exponent
    double *lower_bound
    double *history             # the lower bounds of all iterations, with so many places for each problem, or none
    Py_ssize_t places
    Py_ssize_t *n_iter
    unsigned char *converged
    double *log_likelihood
    double *total_weight
    double *least
    double *reg_covar


cdef struct Solver:
    # What a thread works with: its size depends on the largest problem that it has met.
    Em em
    Clusters clusters
    Work whole              # a pass that gives the moments of all rows
    double *least           # (d,)
    char *whole_parameters  # and the other memory of `whole`
    double *whole_sums
    double *middle          # (d,)
    double *second          # (d,d)
    char *memory            # of these
    Kept rows               # what depends on the number of rows
    double *weights         # (n,), the user's times 2^−exponent
    Py_ssize_t exponent
    double *values          # (n,)
    double *wide            # (n,d): float32 rows in double
    char *seeding
    Partition partition


cdef int open_solver(Solver *solver, const Task *task, int n_threads) except -1 nogil:
    """OUT solver, which is zeros before."""
    cdef Py_ssize_t d = task.d, size
    cdef Work *whole = &solver.whole
    cdef double *free
    open_em(&solver.em, task.family, task.k, d, n_threads)
    open_clusters(&solver.clusters, task.k, d, n_threads)
    whole.kernels = TARGETS[TARGET].f64
    whole.k, whole.d, whole.moment, whole.output = 1, d, FULL, NO_OUTPUT
    whole.mixture.form = CGMM_ISOTROPIC
    lay_out_tiles(whole)
    size = parameters_size(whole) + (whole.sums.size + 2 * d + d * d) * sizeof(double)
    solver.memory = <char *> aligned_alloc(64, align(size))
    if solver.memory == NULL:
        with gil:
            raise MemoryError("no memory to solve problems")
    solver.whole_parameters = solver.memory
    free = <double *> (solver.memory + parameters_size(whole))
    solver.whole_sums, solver.least = carve(&free, whole.sums.size), carve(&free, d)
    solver.middle, solver.second = carve(&free, d), carve(&free, d * d)
    return 0


cdef void close_solver(Solver *solver) noexcept nogil:
    close_em(&solver.em)
    close_clusters(&solver.clusters)
    free(solver.memory)
    free(solver.rows.memory)


cdef int make_room(Solver *solver, Py_ssize_t n) except -1 nogil:
    """Memory for a problem of n rows. OUT what of the solver depends on it."""
    cdef Py_ssize_t k = solver.em.k, d = solver.em.d, each = align(n * sizeof(double))
    cdef Py_ssize_t seeding = align(seeding_doubles(&solver.clusters, n) * sizeof(double))
    cdef Py_ssize_t seconds = align(k * seconds_of(moment_of(solver.em.family), d) * sizeof(double))
    cdef Partition *of = &solver.partition
    cdef Work work = solver.em.work
    work.kernels = TARGETS[TARGET].f64    # whose reals are the larger
    work.block = cgmm_block_rows(d, 1, sizeof(double))
    cdef Py_ssize_t size = 4 * each + align(n * d * sizeof(double)) + seeding + seconds + align(k * sizeof(Py_ssize_t))
    cdef char *free = memory_of(&solver.rows, size + partition_bytes(&work))
    if free == NULL:
        with gil:
            raise MemoryError("no memory for the rows of a problem")
    of.memory = free
    free += partition_bytes(&work)
    solver.weights, solver.values = <double *> free, <double *> (free + each)
    solver.clusters.work.labels, of.order = <Py_ssize_t *> (free + 2 * each), <Py_ssize_t *> (free + 3 * each)
    free += 4 * each
    solver.wide = <double *> free
    free += align(n * d * sizeof(double))
    of.ends = <Py_ssize_t *> free
    free += align(k * sizeof(Py_ssize_t))
    of.seconds = <double *> free
    carve_seeding(&solver.clusters, n, <double *> (free + seconds))
    return 0


cdef void set_rows(Work *work, const Problem *problem, const double *row_weights) noexcept nogil:
    """OUT work: the rows of a problem."""
    work.kernels, work.n, work.X = problem.kernels, problem.n, problem.X
    work.row_stride, work.column_stride, work.row_weights = problem.row_stride, problem.column_stride, row_weights


# What Python looks at before a fit


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


cdef bint scale_weights(Solver *solver, const Problem *rows) noexcept nogil:
    """OUT solver.weights, of order one as cgmm.rows.checks.of_order_one has them, and exponent. False where they are
    not all positive numbers with a finite sum, or one vanishes."""
    cdef const double *w = rows.row_weights
    cdef double most = 0.0, total = 0.0
    cdef int exponent = 0
    cdef Py_ssize_t i
    for i in range(rows.n):
        if not 0 < w[i] < INFINITY:
            return False
        most = max(most, w[i])
        total += w[i]
    if not total < INFINITY:
        return False
    frexp(most, &exponent)
    for i in range(rows.n):
        solver.weights[i] = ldexp(w[i], -exponent)
        if not solver.weights[i] > 0:
            return False
    solver.exponent = exponent
    return True


cdef Py_ssize_t put_below(double *values, Py_ssize_t first, Py_ssize_t last, double pivot, bint equal) noexcept nogil:
    """Put those of the values first … last that are below the pivot, or `equal` to it, before the others. Returns where
    the others begin. Nothing is guessed that a processor might guess wrongly."""
    cdef Py_ssize_t begin = first, i
    cdef double value
    for i in range(first, last + 1):
        value = values[i]
        values[i] = values[begin]
        values[begin] = value
        begin += value <= pivot if equal else value < pivot
    return begin


cdef double ranked(double *values, Py_ssize_t first, Py_ssize_t last, Py_ssize_t rank) noexcept nogil:
    """The number of a rank among values first … last, between which it is (selection by partition, Hoare 1961). IN/OUT
    values: afterwards none before it is larger, none after it smaller."""
    cdef Py_ssize_t begin
    cdef double pivot
    while first < last:
        pivot = values[(first + last) // 2]
        begin = put_below(values, first, last, pivot, False)
        if rank < begin:
            last = begin - 1
            continue
        first = put_below(values, begin, last, pivot, True)
        if rank < first:
            return pivot
    return values[rank]


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


# A problem


cdef int start_em(Solver *solver, const Task *task, const double *uniforms) except -1 nogil:
    """OUT solver.em.now: what an M-step makes of clusters of the rows. 0 where that is not ordinary."""
    cdef Em *em = &solver.em
    cdef Clusters *clusters = &solver.clusters
    cdef Partition *of = &solver.partition
    cdef Work rows = clusters.work
    seed(clusters, uniforms)
    lloyd_from(clusters, task.moves, task.move_tol, NULL)
    of.labels, of.k, of.moment, of.least = clusters.work.labels, em.k, em.work.moment, task.empty
    of.found = em.found
    rows.block = cgmm_block_rows(em.d, 1, rows.kernels.itemsize)
    add_moments_of_labels(&rows, of)
    put_seconds(of, em.d)
    if any_below(em, task.empty):
        return 0
    if not make_parameters(em):
        return 0
    move_on(em)
    return 1


cdef int iterate(Em *em, const Task *task, const Until *until) except -1 nogil:
    """Iterations from em.now until EM has converged (1), or the most are made (0); −2 where one is not ordinary."""
    cdef Py_ssize_t done = 0
    cdef int converged = 0
    while not converged and em.bounds.count < task.most:
        if step(em) != ORDINARY:
            return -2
        converged = finish_step(em, until)
        look_up(&done, &em.work)
    return converged


cdef double sum_over_rows(const double *values, const double *weights, Py_ssize_t n) noexcept nogil:
    """Σ_i w_i v_i over the rows of positive weight, of which each chunk is added up by itself; weights NULL: ones.
    values NULL: ones."""
    cdef double total = 0.0, chunk
    cdef Py_ssize_t start = 0, i
    while start < n:
        chunk = 0.0
        for i in range(start, min(n, start + CGMM_CHUNK_ROWS)):
            if weights == NULL:
                chunk += 1.0 if values == NULL else values[i]
            elif weights[i] > 0:
                chunk += weights[i] if values == NULL else weights[i] * values[i]
        total += chunk
        start += CGMM_CHUNK_ROWS
    return total


def total_of_rows(const double[::1] values, const double[::1] row_weights=None):
    """Σ_i w_i v_i over the rows of positive weight; without weights, of all."""
    cdef const double *weights = NULL
    cdef Py_ssize_t n = values.shape[0]
    if not n:
        return 0.0
    if row_weights is not None:
        if row_weights.shape[0] != n:
            raise ValueError(f"{row_weights.shape[0]} row weights for {n} values")
        weights = &row_weights[0]
    return sum_over_rows(&values[0], weights, n)


cdef int put_sums(Solver *solver, double *log_likelihood, double *total_weight) except -1 nogil:
    """OUT what cgmm.rows.evaluation.Evaluation.sums has of the rows."""
    cdef Em *em = &solver.em
    cdef Work *work = &em.work
    cdef Moment moment = work.moment
    set_density(em)
    work.moment, work.output, work.out = NONE, LOG_LIKELIHOOD, solver.values
    lay_out(work, DENSE)
    run(work, em.n_threads, &em.kept, em.sums)
    work.moment, work.output = moment, NO_OUTPUT
    log_likelihood[0] = sum_over_rows(solver.values, work.row_weights, work.n)
    total_weight[0] = sum_over_rows(NULL, work.row_weights, work.n)
    return 0


cdef int solve(Solver *solver, const Problem *rows, const double *uniforms, const Task *task, Py_ssize_t i,
               const Solutions *out) except -1 nogil:
    """Fit the i-th problem. OUT what its Status is."""
    cdef Em *em = &solver.em
    cdef bint single
    cdef double eps
    cdef Until until = task.until
    cdef int ended
    if rows.kernels == NULL:
        return UNFIT_ROWS
    if rows.n < task.k or rows.n >= task.rows_below:
        return UNFIT_SIZE
    if not are_moderate(rows, task):
        return UNFIT_ROWS
    make_room(solver, rows.n)
    solver.exponent = 0
    if rows.row_weights != NULL and not scale_weights(solver, rows):
        return UNFIT_WEIGHTS
    if not find_floor(solver, rows, task):
        return FLAT
    single = rows.kernels.itemsize == sizeof(float)
    eps = FLT_EPSILON if single else DBL_EPSILON
    set_rows(&em.work, rows, NULL if rows.row_weights == NULL else solver.weights)
    set_rows(&solver.clusters.work, rows, em.work.row_weights)
    lay_out_em(em)
    em.limits = Limits(Floor(solver.least, task.moved * DBL_EPSILON, task.rounded, task.lifted, task.added),
                       max(task.empty, task.starved * sum_over_rows(NULL, em.work.row_weights, rows.n) / rows.n),
                       task.fall, task.reach if single else INFINITY, task.exact)
    if task.relative:
        em.limits.floor.added = relative_added(solver, rows, task)
    if not start_em(solver, task, uniforms):
        return UNUSUAL_START
    em.limits.floor.moved = task.moved * eps
    until.noise *= eps
    ended = iterate(em, task, &until)
    if ended < 0:
        return UNUSUAL
    if task.criteria:
        if single and reach_now(em) > task.reach:
            return UNUSUAL
        put_sums(solver, out.log_likelihood + i, out.total_weight + i)
    put_solution(solver, i, out)
    out.converged[i] = ended
    return FITTED


cdef void put_solution(const Solver *solver, Py_ssize_t i, const Solutions *out) noexcept nogil:
    """OUT the results of the i-th problem."""
    cdef const Em *em = &solver.em
    cdef const Parameters *own = &em.now
    cdef Py_ssize_t k = em.k, d = em.d
    memcpy(out.parameters.weights + i * k, own.weights, k * sizeof(double))
    memcpy(out.parameters.means + i * k * d, own.means, k * d * sizeof(double))
    memcpy(out.parameters.covariances + i * em.size, own.covariances, em.size * sizeof(double))
    memcpy(out.parameters.root + i * em.size, own.root, em.size * sizeof(double))
    memcpy(out.n_k + i * k, em.found.n_k, k * sizeof(double))
    memcpy(out.least + i * d, solver.least, d * sizeof(double))
    if out.places:
        memcpy(out.history + i * out.places, em.bounds.values, em.bounds.count * sizeof(double))
    out.exponent[i], out.n_iter[i], out.lower_bound[i] = solver.exponent, em.bounds.count, em.lower_bound
    out.reg_covar[i] = em.limits.floor.added


# Many problems


cdef int set_problem(Problem *problem, rows, row_weights, const Task *task) except -1:
    """OUT problem: rows and weights; without kernels where they are not arrays as a pass takes them."""
    cdef Work work
    cdef const double[::1] weights
    memset(problem, 0, sizeof(Problem))
    try:
        bind(&work, rows)
        if row_weights is not None:
            weights = row_weights
            if weights.shape[0] != work.n:
                return 0
    except (TypeError, ValueError, BufferError):    # Python says what is wrong with them, or makes such arrays of them
        return 0
    if work.d != task.d or not work.n:
        return 0
    problem.kernels, problem.n, problem.X = work.kernels, work.n, work.X
    problem.row_stride, problem.column_stride = work.row_stride, work.column_stride
    if row_weights is not None:
        problem.row_weights = &weights[0]
    return 0


cdef Task task_of(asked) except *:
    """What is asked, a cgmm.em.problems.Task."""
    return Task(
        family=FAMILIES[asked.family], k=asked.k, d=asked.d, until=Until(asked.tol, asked.noise, asked.distance),
        most=asked.max_iter, added=asked.reg_covar, relative=asked.relative, criteria=asked.criteria,
        rows_below=asked.rows_below, moves=asked.moves, move_tol=asked.move_tol, starved=asked.starved,
        empty=asked.empty, fall=asked.fall, reach=asked.reach, exact=asked.exact, moved=asked.moved,
        rounded=asked.rounded, lifted=asked.lifted, floor=asked.floor, smallest=asked.smallest,
        quartiles=asked.quartiles, share=asked.share, largest=asked.largest, largest_single=asked.largest_single,
        smallest_single=asked.smallest_single,
        scale_rows=asked.scale_rows, spread_rows=asked.spread_rows, floor_rows=asked.floor_rows)


cdef Solutions solutions_of(out, Py_ssize_t m, const Task *task) except *:
    """Where the results of m problems are, of a cgmm.em.problems.Solutions."""
    cdef Py_ssize_t k = task.k, d = task.d, size = covariances_size(task.family, k, d)
    cdef Py_ssize_t places = out.history.shape[1] and task.most
    for name, each, dtype in (("status", 1, np.uint8), ("weights", k, float), ("means", k * d, float),
                              ("covariances", size, float), ("roots", size, float), ("n_k", k, float),
                              ("exponent", 1, np.intp), ("lower_bound", 1, float), ("n_iter", 1, np.intp),
                              ("history", places, float),
                              ("converged", 1, bool), ("log_likelihood", 1, float), ("total_weight", 1, float),
                              ("least", d, float), ("reg_covar", 1, float)):
        array = getattr(out, name)
        if array.size != m * each or array.dtype != dtype or not array.flags.carray:
            raise ValueError(f"{name} must be a writeable array of {m} × {each} numbers of type {np.dtype(dtype)}")
    return Solutions(
        status=<unsigned char *> address(out.status),
        parameters=Parameters(<double *> address(out.weights), <double *> address(out.means),
                              <double *> address(out.covariances), <double *> address(out.roots)),
        n_k=<double *> address(out.n_k), exponent=<Py_ssize_t *> address(out.exponent),
        lower_bound=<double *> address(out.lower_bound), history=<double *> address(out.history), places=places,
        n_iter=<Py_ssize_t *> address(out.n_iter),
        converged=<unsigned char *> address(out.converged), log_likelihood=<double *> address(out.log_likelihood),
        total_weight=<double *> address(out.total_weight), least=<double *> address(out.least),
        reg_covar=<double *> address(out.reg_covar))


cdef struct Batch:
    # What threads share: all problems, and what is asked of them.
    const Problem *problems
    const double *uniforms
    Py_ssize_t step             # from those of a problem to those of the next
    const Task *task
    const Solutions *out
    Py_ssize_t count
    PyObject *failures          # a list of exceptions, after which no more is done


cdef int solve_some(Solver *solver, const Batch *batch, Py_ssize_t first, Py_ssize_t last) except -1 nogil:
    """Fit the problems first … last − 1."""
    cdef Py_ssize_t i
    for i in range(first, last):
        batch.out.status[i] = solve(solver, batch.problems + i, batch.uniforms + i * batch.step, batch.task, i,
                                    batch.out)
    return 0


cdef void attempt(Solver *solver, const Batch *batch, Py_ssize_t first, Py_ssize_t last) noexcept with gil:
    """The same, or batch.failures says why not: no exception leaves a thread."""
    if <list> batch.failures:
        return
    try:
        PyErr_CheckSignals()
        with nogil:
            solve_some(solver, batch, first, last)
    except BaseException as failure:
        (<list> batch.failures).append(failure)


cdef enum:
    # A thread takes so many problems at a time: to take some costs about a microsecond, more than no problem does.
    TAKEN = 16


cdef void solve_all(Solver *solvers, int threads, const Batch *batch) noexcept nogil:
    """All problems, by so many threads, each of which has a solver."""
    cdef Py_ssize_t taken = max(<Py_ssize_t> 1, min(<Py_ssize_t> TAKEN, batch.count // (2 * threads))), part
    for part in prange((batch.count + taken - 1) // taken, schedule="dynamic", num_threads=threads):
        attempt(solvers + omp_get_thread_num(), batch, part * taken, min(part * taken + taken, batch.count))


def fit_problems(rows, row_weights, const double[:, ::1] uniforms, asked, out, int n_threads=1):
    """Fits of m problems, bit for bit those of cgmm.GMM where they are ordinary.

    rows : a sequence of m arrays (n_i,d);  row_weights : of arrays (n_i,), or None, or None for all
    uniforms : (m,·), or (1,·) for all: as many as uniforms_of says;  asked : cgmm.em.problems.Task
    out : cgmm.em.problems.Solutions, into which the results are written: its `status` says which problems are fitted;
    of the others, which are left to Python, there is nothing
    Returns the lower bounds of the iterations of a single problem.
    """
    cdef Py_ssize_t m = len(rows), i
    cdef Task task = task_of(asked)
    cdef Solutions found = solutions_of(out, m, &task)
    cdef int threads = <int> max(1, min(<Py_ssize_t> n_threads, m)), own = n_threads if m == 1 else 1, thread
    if uniforms.shape[0] not in (1, m) or uniforms.shape[1] != uniforms_of(task.k):
        raise ValueError(f"uniforms must be (1 or {m}, {uniforms_of(task.k)})")
    if task.k >= LEAST_CENTRES or task.d > MOST_WHOLE:
        raise ValueError(f"problems have fewer than {LEAST_CENTRES} components and at most {MOST_WHOLE} features")
    failures = []
    problems = np.empty(max(1, m) * sizeof(Problem), dtype=np.uint8)
    solvers = np.zeros(threads * sizeof(Solver), dtype=np.uint8)
    cdef Problem *each = <Problem *> address(problems)
    cdef Solver *solver = <Solver *> address(solvers)
    cdef Batch batch = Batch(each, &uniforms[0, 0], 0 if uniforms.shape[0] == 1 else uniforms.shape[1], &task, &found,
                             m, <PyObject *> failures)
    for i in range(m):
        set_problem(each + i, rows[i], None if row_weights is None else row_weights[i], &task)
    try:
        with nogil:
            for thread in range(threads):
                open_solver(solver + thread, &task, own)
            solve_all(solver, threads, &batch)
        bounds = array_of(&solver.em.bounds) if m == 1 else None
    finally:
        for thread in range(threads):
            close_solver(solver + thread)
    if failures:
        raise failures[0]
    return bounds
