# Many problems, nogil: the rows of each, where EM starts, its iterations, and what is left of it; threads over
# problems. Part of _kernels.pyx.
#
# What is done to a problem here is what cgmm.fit does to one that is ordinary, bit for bit: the same functions do it.
# Where anything has to be decided, the problem is left to Python, and Status says why.


# A problem


cdef int start_em(Solver *solver, const Task *task, const double *uniforms, const Going *going) except -1 nogil:
    """OUT solver.em.now: what an M-step makes of clusters of the rows. 0 where that is not ordinary."""
    cdef Clusters *clusters = &solver.clusters
    seed(clusters, uniforms)
    lloyd_from(clusters, task.moves, task.move_tol, NULL)
    return start_at_labels(&solver.em, &clusters.work, &solver.partition, clusters.work.labels, task.empty, going,
                           solver.held)


cdef bint set_floor(Solver *solver, const Problem *rows, const Given *given, const Task *task) noexcept nogil:
    """OUT solver.least: given, or that of the rows. False as of find_floor."""
    if given.start.weights == NULL:
        return find_floor(solver, rows, task)
    solver.floored = False
    memcpy(solver.least, given.least, task.d * sizeof(double))
    return True


cdef double sum_over_rows(const double *values, const double *weights, Py_ssize_t n) noexcept nogil:
    """Σ_i w_i v_i over the rows of positive weight, of which each chunk is added up by itself; weights NULL: ones.
    values NULL: ones."""
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f64
    cdef double total = 0.0, chunk
    cdef Py_ssize_t start = 0, rows, i
    if weights == NULL and values == NULL:
        return <double> n
    while start < n:
        rows = min(n - start, <Py_ssize_t> CGMM_CHUNK_ROWS)
        if weights == NULL:
            chunk = kernels.row_sum(rows, values + start, NULL)
        else:
            chunk = 0.0
            for i in range(start, start + rows):
                if weights[i] > 0:    # where it is zero there may be no finite value
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


cdef int solve(Solver *solver, const Problem *rows, const double *uniforms, const Given *given, const Task *task,
               PyObject *lifting, Py_ssize_t i, const Solutions *out) except -1 nogil:
    """Fit the i-th problem. OUT what its Status is."""
    cdef bint starts = given.start.weights != NULL
    cdef Em *em = &solver.em
    cdef bint single
    cdef double eps
    cdef Until until = task.until
    cdef Going going
    cdef int ended
    if rows.kernels == NULL:
        return UNFIT_ROWS
    if rows.n < task.k or rows.n >= task.rows_below:
        return UNFIT_SIZE
    if not are_moderate(rows, task):
        return UNFIT_ROWS
    make_room(solver, rows.n)
    solver.exponent = 0
    if rows.row_weights != NULL and not scale_weights(solver, rows, starts):
        return UNFIT_WEIGHTS
    if not set_floor(solver, rows, given, task):
        return FLAT
    single = rows.kernels.itemsize == sizeof(float)
    eps = FLT_EPSILON if single else DBL_EPSILON
    until.noise *= eps
    going = Going(until, task.most, lifting, NULL, solver.failures)
    forget_held(solver)
    set_rows(&em.work, rows, NULL if rows.row_weights == NULL else solver.weights)
    set_rows(&solver.clusters.work, rows, em.work.row_weights)
    lay_out_em(em)
    em.limits = Limits(Floor(solver.least, task.moved * DBL_EPSILON, task.rounded, task.lifted, task.added),
                       max(task.empty, task.starved * sum_over_rows(NULL, em.work.row_weights, rows.n) / rows.n),
                       task.fall, task.reach if single else INFINITY, task.exact)
    if starts:
        em.limits.floor.added = given.added
        copy_mixture(&given.start, &em.now, em.k, em.d, em.size)
    elif task.relative:
        em.limits.floor.added = relative_added(solver, rows, task)
    if not starts and not start_em(solver, task, uniforms, &going):
        return UNUSUAL_START
    em.limits.floor.moved = task.moved * eps
    ended = go_on(em, &going, solver.held)
    if ended < 0:
        return UNUSUAL
    if task.criteria:
        if single and reach_now(em) > task.reach:
            return UNUSUAL
        put_sums(solver, out.log_likelihood + i, out.total_weight + i)
    put_solution(solver, i, out)
    out.converged[i] = ended
    if em.holds:
        with gil:
            (<object> out.held)[i] = told_of(<list> solver.held, em.bounds.count - 1)
    return FITTED


cdef tuple told_of(list held, Py_ssize_t last):
    """Of pairs of an iteration and a component: the first of each component, and those of the last iteration."""
    first = {}
    for pair in held:
        first.setdefault(pair[1], pair)
    return tuple([pair for pair in held if pair[0] == last or first[pair[1]] is pair])


cdef void forget_held(Solver *solver) noexcept nogil:
    """Nothing has been held yet of a problem."""
    if solver.em.holds:
        with gil:
            (<list> solver.held).clear()
        solver.em.holds = False


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
    out.passes[i] = em.passes
    out.reg_covar[i], out.floored[i] = em.limits.floor.added, solver.floored


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
        family=FAMILIES[asked.family], sharing=SHARED[asked.family], k=asked.k, d=asked.d,
        accelerated=asked.accelerated,
        until=Until(asked.tol, asked.noise, asked.distance),
        most=asked.max_iter, added=asked.reg_covar, relative=asked.relative, criteria=asked.criteria,
        rows_below=asked.rows_below, moves=asked.moves, move_tol=asked.move_tol, starved=asked.starved,
        empty=asked.empty, fall=asked.fall, reach=asked.reach, exact=asked.exact, moved=asked.moved,
        rounded=asked.rounded, lifted=asked.lifted, floor=asked.floor, smallest=asked.smallest,
        quartiles=asked.quartiles, share=asked.share, largest=asked.largest, largest_single=asked.largest_single,
        smallest_single=asked.smallest_single, scale_rows=asked.scale_rows, spread_rows=asked.spread_rows,
        floor_rows=asked.floor_rows)


cdef Solutions solutions_of(out, Py_ssize_t m, const Task *task) except *:
    """Where the results of m problems are, of a cgmm.em.problems.Solutions."""
    cdef Py_ssize_t k = task.k, d = task.d, size = covariances_size(task.family, k, d)
    cdef Py_ssize_t places = out.history.shape[1] and task.most
    for name, each, dtype in (("status", 1, np.uint8), ("weights", k, float), ("means", k * d, float),
                              ("covariances", size, float), ("roots", size, float), ("n_k", k, float),
                              ("exponent", 1, np.intp), ("lower_bound", 1, float), ("n_iter", 1, np.intp),
                              ("passes", 1, np.intp),
                              ("history", places, float),
                              ("converged", 1, bool), ("log_likelihood", 1, float), ("total_weight", 1, float),
                              ("least", d, float), ("reg_covar", 1, float), ("floored", 1, bool)):
        array = getattr(out, name)
        if array.size != m * each or array.dtype != dtype or not array.flags.carray:
            raise ValueError(f"{name} must be a writeable array of {m} × {each} numbers of type {np.dtype(dtype)}")
    if out.held.shape != (m,) or out.held.dtype != object:
        raise ValueError(f"held must be an array of {m} objects")
    return Solutions(
        status=<unsigned char *> address(out.status),
        parameters=Parameters(<double *> address(out.weights), <double *> address(out.means),
                              <double *> address(out.covariances), <double *> address(out.roots)),
        n_k=<double *> address(out.n_k), exponent=<Py_ssize_t *> address(out.exponent),
        lower_bound=<double *> address(out.lower_bound), history=<double *> address(out.history), places=places,
        n_iter=<Py_ssize_t *> address(out.n_iter), passes=<Py_ssize_t *> address(out.passes),
        converged=<unsigned char *> address(out.converged), log_likelihood=<double *> address(out.log_likelihood),
        total_weight=<double *> address(out.total_weight), least=<double *> address(out.least),
        reg_covar=<double *> address(out.reg_covar), floored=<unsigned char *> address(out.floored),
        held=<PyObject *> out.held)


cdef struct Batch:
    # What threads share: all problems, and what is asked of them.
    const Problem *problems
    const double *uniforms
    Py_ssize_t step             # from those of a problem to those of the next
    const Given *given
    const Task *task
    PyObject *lifting           # as of Going
    const Solutions *out
    Py_ssize_t count
    PyObject *failures          # a list of exceptions, after which no more is done


cdef int solve_some(Solver *solver, const Batch *batch, Py_ssize_t first, Py_ssize_t last) except -1 nogil:
    """Fit the problems first … last − 1."""
    cdef Py_ssize_t i
    for i in range(first, last):
        batch.out.status[i] = solve(solver, batch.problems + i, batch.uniforms + i * batch.step, batch.given,
                                    batch.task, batch.lifting, i, batch.out)
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


cdef Given given_of(start, const Task *task) except *:
    """Where EM starts: a cgmm.em.problems.Start."""
    cdef Given given
    cdef Py_ssize_t k = task.k, d = task.d, size = covariances_size(task.family, k, d)
    memset(&given, 0, sizeof(Given))
    if start is None:
        return given
    for name, each in (("weights", k), ("means", k * d), ("covariances", size), ("root", size), ("least", d)):
        array = getattr(start, name)
        if array.size != each or array.dtype != float or not array.flags.c_contiguous:
            raise ValueError(f"the {name} of a start must be {each} numbers of type float64 in C order")
    given.start = Parameters(<double *> address(start.weights), <double *> address(start.means),
                             <double *> address(start.covariances), <double *> address(start.root))
    given.least, given.added = <double *> address(start.least), start.reg_covar
    return given


def fit_problems(rows, row_weights, const double[:, ::1] uniforms, asked, out, lifting, int n_threads=1, start=None):
    """Fits of m problems, bit for bit those of cgmm.GMM where they are ordinary.

    rows : a sequence of m arrays (n_i,d);  row_weights : of arrays (n_i,), or None, or None for all
    uniforms : (m,·), or (1,·) for all: as many as uniforms_of says;  asked : cgmm.em.problems.Task
    out : cgmm.em.problems.Solutions, into which the results are written: its `status` says which problems are fitted;
    of the others, which are left to Python, there is nothing
    lifting : cgmm.mixture.matrices.lift
    start : cgmm.em.problems.Start, where all of them start, or None: at clusters of the rows
    Returns the lower bounds of the iterations of a single problem.
    """
    cdef Py_ssize_t m = len(rows), i
    cdef Task task = task_of(asked)
    cdef Solutions found = solutions_of(out, m, &task)
    cdef Given given = given_of(start, &task)
    cdef int threads = <int> max(1, min(<Py_ssize_t> n_threads, m)), own = n_threads if m == 1 else 1, thread
    if uniforms.shape[0] not in (1, m) or uniforms.shape[1] != uniforms_of(task.k):
        raise ValueError(f"uniforms must be (1 or {m}, {uniforms_of(task.k)})")
    if task.k >= LEAST_CENTRES or task.d > MOST_WHOLE:
        raise ValueError(f"problems have fewer than {LEAST_CENTRES} components and at most {MOST_WHOLE} features")
    failures, helds = [], [[] for thread in range(threads)]
    problems = np.empty(max(1, m) * sizeof(Problem), dtype=np.uint8)
    solvers = np.zeros(threads * sizeof(Solver), dtype=np.uint8)
    cdef Problem *each = <Problem *> address(problems)
    cdef Solver *solver = <Solver *> address(solvers)
    cdef Batch batch = Batch(each, &uniforms[0, 0], 0 if uniforms.shape[0] == 1 else uniforms.shape[1], &given, &task,
                             <PyObject *> lifting, &found, m, <PyObject *> failures)
    for thread in range(threads):
        solver[thread].failures, solver[thread].held = batch.failures, <PyObject *> helds[thread]
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
