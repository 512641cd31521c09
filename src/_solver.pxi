# What a thread works with where it fits problems, and what is asked of them. Part of _kernels.pyx.


cdef enum Status:
    FITTED
    UNFIT_ROWS       # of another type or shape, not finite, or so large or small that Python looks at them first
    UNFIT_SIZE       # fewer than there are components, or so many that a pass may leave something out
    UNFIT_WEIGHTS    # not all positive numbers, of which none vanishes beside the others
    FLAT             # a feature of zeros, or so small that its floor is another one
    UNUSUAL_START    # a cluster without rows, or covariances that share a part and that Python is to hold
    UNUSUAL          # an iteration in which something had to be decided


STATUSES = {"fitted": FITTED, "rows": UNFIT_ROWS, "size": UNFIT_SIZE, "weights": UNFIT_WEIGHTS, "flat": FLAT,
            "start": UNUSUAL_START, "unusual": UNUSUAL}


cdef struct Task:
    # What is asked of every problem: as cgmm.em.problems.Task.
    Family family
    Sharing sharing
    Py_ssize_t k, d
    bint accelerated
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


cdef struct Given:
    # Where EM starts in all problems, and what its M-steps obey, if that is given; no weights: it is not.
    Parameters start
    const double *least     # (d,) of the floor
    double added            # to covariances


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
    Py_ssize_t *passes
    unsigned char *converged
    double *log_likelihood
    double *total_weight
    double *least
    double *reg_covar
    unsigned char *floored
    PyObject *held              # an array of (m,) objects


cdef struct Solver:
    # What a thread works with: its size depends on the largest problem that it has met.
    Em em
    Clusters clusters
    Work whole              # a pass that gives the moments of all rows
    double *least           # (d,)
    bint floored            # whether it took a pass over the rows
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
    PyObject *failures      # of all threads, see Batch
    PyObject *held          # a list, see go_on


cdef int open_solver(Solver *solver, const Task *task, int n_threads) except -1 nogil:
    """OUT solver, which is zeros before."""
    cdef Py_ssize_t d = task.d, size
    cdef Work *whole = &solver.whole
    cdef Free free
    open_em(&solver.em, task.family, task.sharing, task.k, d, task.accelerated, n_threads)
    open_clusters(&solver.clusters, task.k, d, n_threads)
    whole.kernels = TARGETS[TARGET].f64
    whole.k, whole.d, whole.moment, whole.output = 1, d, FULL, NO_OUTPUT
    whole.mixture.form = CGMM_ISOTROPIC
    lay_out_tiles(whole)
    size = parameters_size(whole) + (whole.sums.size + 2 * d + d * d) * sizeof(double)
    solver.memory = <char *> cgmm_allocate(align(size))
    if solver.memory == NULL:
        with gil:
            raise MemoryError("no memory to solve problems")
    solver.whole_parameters = solver.memory
    free = Free(<double *> (solver.memory + parameters_size(whole)), 0)
    solver.whole_sums, solver.least = carve(&free, whole.sums.size), carve(&free, d)
    solver.middle, solver.second = carve(&free, d), carve(&free, d * d)
    return 0


cdef void close_solver(Solver *solver) noexcept nogil:
    close_em(&solver.em)
    close_clusters(&solver.clusters)
    cgmm_release(solver.memory)
    cgmm_release(solver.rows.memory)


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
    of.threads, of.memory = 1, free
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
