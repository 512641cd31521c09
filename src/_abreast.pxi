# Runs of EM abreast, nogil: each begins at parameters of its own, or at labels of the rows, and threads take a run
# each. Part of _kernels.pyx.
#
# A run is what class Iterations makes of the same start, bit for bit: both are go_on. In a race the best of them begin
# again where they are, round after round, until one is left.


cdef struct Round:
    Py_ssize_t most         # iterations of a run
    Py_ssize_t left         # how many runs go on after it


cdef struct Group:
    # Runs on the same rows, of as many components of one family: what class Runs has, for threads.
    Work rows               # which rows, and what is known of them
    Family family
    Sharing sharing
    bint accelerated
    Py_ssize_t m, k, d, size
    Limits limits
    Going going             # `most` of the round
    Py_ssize_t round, last
    const Round *rounds     # (last + 1,)
    Py_ssize_t *alive       # (m,): the runs of the round, the first `count`
    Py_ssize_t count
    bint over               # whether all rounds have been run, and those that are left chosen
    Leaning leaning         # which runs of a race stand below others
    const Py_ssize_t *labels    # (m,n): where the runs begin, or NULL
    double moved, empty     # of such starts: see Floor, and start_at_labels
    bint sketched           # the covariances of `now` are to be held, and have no roots: see start_at_sketch
    Parameters now          # (m, …): IN where the runs begin, if not at labels; OUT where they end
    Parameters before       # (m, …): before the last iteration
    double *n_k             # (m,k)
    double *change          # (m,)
    int *ended              # (m,): what go_on says; −3: the start is not ordinary
    History *bounds         # (m,)
    Py_ssize_t *passes      # (m,)
    double *seconds         # (m,)
    int *ranks              # (m,): of the runs of a round that has ended, see rank_of
    PyObject **held         # (m,): lists, see go_on


cdef struct Worker:
    # What a thread works with: EM of the group that it has met last.
    Em em
    const Group *group
    int n_threads
    Kept rows               # memory for starts by labels
    Partition partition


cdef int join_group(Worker *worker, const Group *group, int n_threads) except -1 nogil:
    """Prepare for runs of a group."""
    cdef Em *em = &worker.em
    cdef Kept kept = em.kept
    if worker.group == group and worker.n_threads == n_threads:
        return 0
    em.kept = Kept(NULL, 0)
    close_em(em)
    memset(em, 0, sizeof(Em))
    em.kept, worker.group, worker.n_threads = kept, group, n_threads
    open_em(em, group.family, group.sharing, group.k, group.d, group.accelerated, n_threads)
    em.work.kernels, em.work.n, em.work.X = group.rows.kernels, group.rows.n, group.rows.X
    em.work.row_stride, em.work.column_stride = group.rows.row_stride, group.rows.column_stride
    em.work.row_weights, em.work.known = group.rows.row_weights, group.rows.known
    em.limits = group.limits
    lay_out_em(em)
    return 0


cdef int make_partition(Worker *worker, const Group *group) except -1 nogil:
    """Memory for starts by labels."""
    cdef Py_ssize_t each = align(group.rows.n * sizeof(Py_ssize_t)), ends = align(group.k * sizeof(Py_ssize_t))
    cdef Py_ssize_t seconds = align(group.k * seconds_of(worker.em.work.moment, group.d) * sizeof(double)), own
    cdef Partition *of = &worker.partition
    cdef Work work = worker.em.work
    work.block = cgmm_block_rows(group.d, 1, work.kernels.itemsize)
    own = partition_bytes(&work)
    cdef char *free = memory_of(&worker.rows, own + each + ends + seconds)
    if free == NULL:
        with gil:
            raise MemoryError("no memory for the rows of a start")
    of.threads, of.memory, of.order, of.ends = 1, free, <Py_ssize_t *> (free + own), <Py_ssize_t *> (free + own + each)
    of.seconds = <double *> (free + own + each + ends)
    return 0


cdef int begin(Worker *worker, const Group *group, Py_ssize_t run) except -1 nogil:
    """OUT em.now: where a run begins, or goes on. 0 where that is not ordinary."""
    cdef Em *em = &worker.em
    cdef Parameters own = at_run(&group.now, run, group.k, group.d, group.size)
    cdef bint fine = True
    if group.sketched and not group.round:
        fine = start_at_sketch(em, &own)
    elif group.labels == NULL or group.round:
        copy_mixture(&own, &em.now, group.k, group.d, group.size)
    else:
        make_partition(worker, group)
        em.limits.floor.moved = group.moved
        fine = start_at_labels(em, &em.work, &worker.partition, group.labels + run * group.rows.n, group.empty,
                               &group.going, group.held[run])
        em.limits.floor.moved = group.limits.floor.moved
    begin_at(em, -INFINITY, INFINITY, True)
    return fine


cdef Parameters at_run(const Parameters *all, Py_ssize_t run, Py_ssize_t k, Py_ssize_t d,
                       Py_ssize_t size) noexcept nogil:
    """Where the parameters of a run are among those of all."""
    return Parameters(all.weights + run * k, all.means + run * k * d, all.covariances + run * size,
                      all.root + run * size)


cdef int make_run(Worker *worker, const Group *group, Py_ssize_t run, int n_threads) except -1 nogil:
    """One run of a group, to the end of the round."""
    cdef Em *em = &worker.em
    cdef Py_ssize_t k = group.k, d = group.d, size = group.size
    cdef Parameters now = at_run(&group.now, run, k, d, size), before = at_run(&group.before, run, k, d, size)
    cdef double start = omp_get_wtime()
    join_group(worker, group, n_threads)
    if not begin(worker, group, run):
        group.ended[run] = -3
        return 0
    group.ended[run] = go_on(em, &group.going, group.held[run])
    copy_mixture(&em.now, &now, k, d, size)
    if em.bounds.count:
        copy_mixture(&em.before, &before, k, d, size)
        memcpy(group.n_k + run * k, em.found.n_k, k * sizeof(double))
    group.change[run] = em.change
    group.passes[run] += em.passes
    free(group.bounds[run].values)
    group.bounds[run], em.bounds = em.bounds, History(NULL, 0, 0)
    group.seconds[run] += omp_get_wtime() - start
    return 0


cdef void try_run(Worker *worker, const Group *group, Py_ssize_t run, int n_threads,
                  PyObject *failures) noexcept with gil:
    """The same, or the failures say why not: no exception leaves a thread."""
    if <list> failures:
        return
    try:
        with nogil:
            make_run(worker, group, run, n_threads)
    except BaseException as failure:
        (<list> failures).append(failure)


cdef double last_bound(const History *bounds) noexcept nogil:
    """The log-likelihood of the last iteration, −∞ where there was none."""
    return bounds.values[bounds.count - 1] if bounds.count else -INFINITY


cdef bint is_settled(const Group *group, Py_ssize_t run) noexcept nogil:
    """Whether a run does not go on in its round: it has converged before, and is not the only one that is left."""
    return group.round > 0 and group.ended[run] == 1 and group.count > 1


cdef tuple shapes_of(Family family, Py_ssize_t k, Py_ssize_t d):
    """Of weights, means, covariances and roots."""
    cdef tuple own = {VVV: (k, d, d), EEE: (d, d), VVI: (k, d), VII: (k,)}[family]
    return (k,), (k, d), own, own


cdef Parameters parameters_at(double *free_doubles, Py_ssize_t m, Py_ssize_t k, Py_ssize_t d,
                              Py_ssize_t size) noexcept nogil:
    """Where the parameters of m runs are, one array after the other."""
    cdef double *means = free_doubles + m * k
    cdef double *covariances = means + m * k * d
    return Parameters(free_doubles, means, covariances, covariances + m * size)


cdef class Path    # _path.pxi


cdef class Runs:
    """Runs of EM on the same rows, each from a start of its own as long as its iterations are ordinary: bit for bit
    what Iterations makes of them one by one.

    X, k, moment, family, row_weights, limits, lifting, known, estimating : as of Iterations
    starts : weights (m,k), means (m,k,d), covariances and roots (m,…); or no roots: then covariances are held first,
    and share what the family's do, and weights are in proportion to these; or labels (m,n), all of 0 … k − 1, of which
    an M-step makes them, with moments that are exact to `moved`, see struct Floor, and no component of less weight than
    `empty`
    tol, noise, distance : as of advance
    rounds : (q,2) of each round the iterations of a run at most, and how many runs, the best, begin again where they
    are in the next; one round, if the runs are all that is wanted
    leaning : see struct Leaning: which runs of a race stand below others

    After advance_all, of each run: now, before, masses, bounds;  change (m,);  ended (m,): 1 where a run has converged,
    0 where it has made the most iterations, −2 where one is not ordinary, −3 where the start is not;  held : a list for
    each run, of pairs of an iteration, from 0, and a component whose covariance was held in it, and `earlier` those of
    rounds before;  passes (m,) that each made;  seconds (m,) that each took;  round : the last that was run, of
    0 … q − 1, which is that in which a run was not ordinary, if any was;  alive : the runs that are left, the best
    first;  over : whether all rounds were run, and those that are left chosen.
    """
    cdef Group group
    cdef tuple keeps        # what the group points into
    cdef object memory, rounds
    cdef readonly list held, earlier
    cdef Path path          # whose next runs begin where these end, or None

    def __init__(self, X, Py_ssize_t k, moment, family, row_weights, limits, lifting, known, starts, double tol,
                 double noise, bint distance, rounds, leaning=(INFINITY, 0.0, 0.0), double moved=0.0,
                 double empty=0.0, estimating=None, bint accelerated=False):
        cdef Group *group = &self.group
        cdef Work *work = &group.rows
        cdef bint labelled = isinstance(starts, np.ndarray)
        cdef Py_ssize_t m = len(starts if labelled else starts[0])
        cdef const Py_ssize_t[:, ::1] labels
        cdef const Py_ssize_t[::1] own
        bind(work, X)
        work.row_weights = start_of(checked_weights(row_weights, work.n))
        if known is not None:
            known = np.ascontiguousarray(known, dtype=np.intp)
            own = checked_labels(known, work.n, k)
            work.known = &own[0]
        group.family, group.sharing = FAMILIES[family], SHARED[family]
        group.accelerated = accelerated
        group.k, group.d = k, work.d
        group.size = covariances_size(group.family, k, work.d)
        check_moment(moment, family, group.family)
        group.limits = limits_of(limits, limits[0])
        group.moved, group.empty = moved, empty
        if labelled:
            labels = starts
            if labels.shape[1] != work.n or not all_below(&labels[0, 0], m * work.n, k):
                raise ValueError(f"labels must be ({m}, {work.n}), all of 0 … {k - 1}")
            group.labels = &labels[0, 0]
        self.keeps = X, row_weights, known, starts if labelled else None, limits[0], lifting, estimating
        given = [] if labelled else starts
        group.sketched = len(given) == 3
        group.leaning = leaning_of(leaning)
        group.going = Going(Until(tol, noise, distance), 0, <PyObject *> lifting, <PyObject *> estimating, NULL)
        self.lay_out(m)
        self.begin_at(given)
        self.go_by(rounds)

    cdef int begin_at(self, given) except -1:
        """The runs begin at stacks of weights, means, covariances and, if they are known, roots."""
        cdef Group *group = &self.group
        cdef double **own = [group.now.weights, group.now.means, group.now.covariances, group.now.root]
        cdef Py_ssize_t q
        for q, (array, shape) in enumerate(zip(given, shapes_of(group.family, group.k, group.d))):
            if array.shape != (group.m, *shape):
                raise ValueError(f"{group.m} starts of shape {shape} each are not {array.shape}")
            array = np.ascontiguousarray(array, dtype=np.float64)
            memcpy(own[q], address(array), array.nbytes)
        return 0

    cdef int lay_out(self, Py_ssize_t m) except -1:
        """Memory for so many runs of the group."""
        cdef Group *group = &self.group
        cdef Py_ssize_t k = group.k, d = group.d, mixture = k + k * d + 2 * group.size, run
        cdef Py_ssize_t doubles = m * (2 * mixture + k + 2)
        cdef double *free_doubles
        self.let_go()
        group.m = group.count = m
        group.round, group.over = 0, False
        self.memory = np.zeros(max(1, (doubles + 2 * m) * 8 + 2 * m * <Py_ssize_t> sizeof(int)), dtype=np.uint8)
        free_doubles = <double *> address(self.memory)
        group.now = parameters_at(free_doubles, m, k, d, group.size)
        group.before = parameters_at(free_doubles + m * mixture, m, k, d, group.size)
        group.n_k = free_doubles + 2 * m * mixture
        group.change = group.n_k + m * k
        group.seconds = group.change + m
        group.passes = <Py_ssize_t *> (free_doubles + doubles)
        group.alive = group.passes + m
        group.ended = <int *> (group.alive + m)
        group.ranks = group.ended + m
        # No memory of Python's, which may be gone when __dealloc__ looks into it: the garbage collector ends it first.
        group.bounds = <History *> calloc(max(1, m), sizeof(History) + sizeof(PyObject *))
        if group.bounds == NULL:
            raise MemoryError("no memory for the iterations of runs")
        group.held = <PyObject **> (group.bounds + m)
        self.held, self.earlier = [[] for _ in range(m)], [[] for _ in range(m)]
        for run in range(m):
            group.alive[run] = run
            group.held[run] = <PyObject *> self.held[run]    # self.held keeps them
        return 0

    cdef int go_by(self, rounds) except -1:
        """The rounds of the race."""
        cdef Group *group = &self.group
        cdef Py_ssize_t q
        self.rounds = np.array(rounds, dtype=np.intp, order="C")
        group.rounds, group.last = <const Round *> address(self.rounds), len(rounds) - 1
        for q in range(group.last + 1):
            if group.rounds[q].most < 1 or not (
                    1 <= group.rounds[q].left <= (group.rounds[q - 1].left if q else max(group.m, 1))):
                raise ValueError(f"rounds must be pairs of iterations and of runs left, no more than before: {rounds}")
        group.going.most = group.rounds[0].most
        return 0

    cdef Runs others(self, Py_ssize_t m, Py_ssize_t k):
        """Other runs on the same rows, of k components, whose m starts are to be sketches."""
        cdef Runs own = Runs.__new__(Runs)
        own.group, own.keeps = self.group, self.keeps
        own.group.bounds, own.group.labels, own.group.sketched = NULL, NULL, True
        own.group.k, own.group.size = k, covariances_size(own.group.family, k, own.group.d)
        own.lay_out(m)
        return own

    cdef void let_go(self) noexcept:
        cdef Py_ssize_t run
        if self.group.bounds != NULL:
            for run in range(self.group.m):
                free(self.group.bounds[run].values)
            free(self.group.bounds)
        self.group.bounds = NULL

    def __dealloc__(self):
        self.let_go()

    # What has become of the runs

    cdef object seen(self, const void *start, tuple shape, dtype=np.float64):
        """A part of the memory as an array."""
        return np.ndarray(shape, dtype, self.memory, <const char *> start - <const char *> address(self.memory))

    cdef tuple mixture(self, Parameters own):
        """A copy of a run's parameters."""
        cdef Group *group = &self.group
        cdef tuple found = tuple([np.empty(shape) for shape in shapes_of(group.family, group.k, group.d)])
        cdef Parameters copied = Parameters(<double *> address(found[0]), <double *> address(found[1]),
                                            <double *> address(found[2]), <double *> address(found[3]))
        copy_mixture(&own, &copied, group.k, group.d, group.size)
        return found

    cdef int check_run(self, Py_ssize_t run) except -1:
        if not 0 <= run < self.group.m:
            raise IndexError(f"run {run} of {self.group.m}")
        return 0

    def now(self, Py_ssize_t run):
        """The weights, means, covariances and root at a run's end."""
        self.check_run(run)
        return self.mixture(at_run(&self.group.now, run, self.group.k, self.group.d, self.group.size))

    def before(self, Py_ssize_t run):
        """The same before its last iteration; undefined where there was none."""
        self.check_run(run)
        return self.mixture(at_run(&self.group.before, run, self.group.k, self.group.d, self.group.size))

    def masses(self, Py_ssize_t run):
        """Σ_i w_i r_ic (k,) of a run's last iteration."""
        self.check_run(run)
        found = np.empty(self.group.k)
        memcpy(address(found), self.group.n_k + run * self.group.k, self.group.k * sizeof(double))
        return found

    def bounds(self, Py_ssize_t run):
        """The log-likelihoods of a run's iterations."""
        self.check_run(run)
        return array_of(&self.group.bounds[run])

    @property
    def change(self):
        return self.seen(self.group.change, (self.group.m,))

    @property
    def seconds(self):
        return self.seen(self.group.seconds, (self.group.m,))

    @property
    def passes(self):
        return self.seen(self.group.passes, (self.group.m,), np.intp)

    @property
    def ended(self):
        return self.seen(self.group.ended, (self.group.m,), np.intc)

    @property
    def alive(self):
        return self.seen(self.group.alive, (self.group.count,), np.intp)

    @property
    def round(self):
        return self.group.round

    @property
    def over(self):
        return self.group.over


cdef bint is_held_at_end(const Group *group, Py_ssize_t run, list held):
    """Whether a run ends with a covariance that is held."""
    cdef list own = held[run]
    return len(own) > 0 and own[len(own) - 1][0] == group.bounds[run].count - 1


cdef int rank_of(const Group *group, Py_ssize_t run, list held) except -1:
    """The kind of a run that has ended, as cgmm.fit.restarts.Search ranks them: the higher the better, whatever the
    likelihood."""
    cdef bint matrices = group.family == VVV or group.family == EEE
    cdef bint own = group.family != EEE and group.sharing != COVARIANCE
    cdef double *masses = group.n_k + run * group.k
    return 2 * (not is_held_at_end(group, run, held)) + (not leans_on(
        group.size, group.k, group.d, matrices, own, group.now.root + run * group.size, masses,
        group.limits.floor.added, &group.leaning))


cdef bint is_better(const Group *group, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """Whether run a is better than run b."""
    cdef double ours = last_bound(&group.bounds[a]), theirs = last_bound(&group.bounds[b])
    return group.ranks[a] > group.ranks[b] or (group.ranks[a] == group.ranks[b] and ours > theirs)


cdef void choose(Group *group, list held):
    """Bring the runs of a round into order, the best first."""
    cdef Py_ssize_t q, r, run
    for q in range(group.count):
        group.ranks[group.alive[q]] = rank_of(group, group.alive[q], held)
    for q in range(1, group.count):
        run, r = group.alive[q], q
        while r > 0 and is_better(group, run, group.alive[r - 1]):
            group.alive[r] = group.alive[r - 1]
            r -= 1
        group.alive[r] = run


cdef bint go_into_next(Runs runs) except -1:
    """Keep the best runs of a round for the next. False if there is none, or a run was left to Python."""
    cdef Group *group = &runs.group
    cdef Py_ssize_t q, run
    for q in range(group.count):
        if group.ended[group.alive[q]] < 0:
            return False
    if group.count > 1 and group.rounds[group.last].left == 1:    # a race, whose runs are in order after each round
        choose(group, runs.held)
        group.count = group.rounds[group.round].left
    group.over = group.round == group.last
    if group.over:
        return False
    group.round += 1
    group.going.most = group.rounds[group.round].most
    for q in range(group.count):
        run = group.alive[q]
        if not is_settled(group, run):
            runs.earlier[run] += runs.held[run]
            (<list> runs.held[run]).clear()
    return True


cdef Py_ssize_t list_jobs(list groups, const Group **each, Py_ssize_t *which):
    """OUT each, which: the runs that these Runs have in their round. Returns how many there are."""
    cdef Py_ssize_t count = 0, q
    cdef Runs runs
    for runs in groups:
        for q in range(runs.group.count):
            if not is_settled(&runs.group, runs.group.alive[q]):
                each[count], which[count] = &runs.group, runs.group.alive[q]
                count += 1
    return count


cdef list go_further(list groups):
    """What is to be run next: rounds of these races, and the races that follow on paths."""
    cdef Runs runs, more
    cdef list found = []
    for runs in groups:
        if go_into_next(runs):
            found.append(runs)
        elif runs.path is not None:
            more = runs.path.after(runs)
            if more is not None:
                found.append(more)
    return found


def advance_all(list groups, int n_threads=1):
    """Make the runs of all these Runs, once, and their races, or those of a Path: threads take a run each, or work at a
    single one together."""
    cdef Py_ssize_t most = 0, count, at
    cdef int threads, own, thread
    cdef Runs runs
    cdef list begun = [(<Path> one).begin() if isinstance(one, Path) else one for one in groups]
    cdef list alive = [runs for runs in begun if runs is not None]
    failures = []
    cdef PyObject *failed = <PyObject *> failures
    for one in groups:
        most += (<Path> one).near if isinstance(one, Path) else (<Runs?> one).group.m
    jobs, places = np.empty(max(1, most), dtype=np.uintp), np.empty(max(1, most), dtype=np.intp)
    cdef const Group **each = <const Group **> address(jobs)
    cdef Py_ssize_t *which = <Py_ssize_t *> address(places)
    workers = np.zeros(max(1, min(<Py_ssize_t> n_threads, most)) * sizeof(Worker), dtype=np.uint8)
    cdef Worker *worker = <Worker *> address(workers)
    try:
        while alive and not failures:
            for runs in alive:
                runs.group.going.failures = failed
            count = list_jobs(alive, each, which)
            threads, own = <int> max(1, min(<Py_ssize_t> n_threads, count)), n_threads if count == 1 else 1
            with nogil:
                if threads == 1:  # not in a parallel region, because OpenMP (GCC) starts new threads for each one in it
                    for at in range(count):
                        try_run(worker, each[at], which[at], own, failed)
                else:
                    for at in prange(count, schedule="dynamic", num_threads=threads):
                        try_run(worker + omp_get_thread_num(), each[at], which[at], own, failed)
            alive = go_further(alive)
    finally:
        for thread in range(len(workers) // <int> sizeof(Worker)):
            close_em(&worker[thread].em)
            cgmm_release(worker[thread].rows.memory)
    if failures:
        raise failures[0]
