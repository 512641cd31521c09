# Runs, as Python asks for them and sees what has become of them. Part of _kernels.pyx.


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


cdef class Walk    # _walk.pxi


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
    cdef Walk walk          # whose next runs begin where these end, or None

    def __init__(self, X, Py_ssize_t k, moment, family, row_weights, limits, lifting, known, starts, double tol,
                 double noise, bint distance, rounds, leaning=(INFINITY, 0.0, 0.0), double moved=0.0,
                 double empty=0.0, estimating=None, bint accelerated=False):
        cdef Group *group = &self.group
        cdef Work *work = &group.rows
        cdef bint labelled = isinstance(starts, np.ndarray)
        cdef Py_ssize_t m = len(starts if labelled else starts[0])
        cdef const Py_ssize_t[:, ::1] labels
        cdef const Py_ssize_t[::1] own
        if self.memory is not None:
            raise ValueError("Runs are made once")
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
        self.rounds = np.array(rounds, dtype=np.intp, order="C").reshape(-1, 2)
        group.rounds, group.last = <const Round *> address(self.rounds), len(rounds) - 1
        if group.last < 0:
            raise ValueError("there must be a round")
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

    cdef int keep_only(self, Py_ssize_t run) except -1:
        """Forget all runs but one, whose passes and seconds are then those of all."""
        cdef Group old = self.group
        cdef Group *group = &self.group
        cdef object memory = self.memory    # old points into it
        cdef list held = self.held[run], earlier = self.earlier[run]
        cdef Parameters own
        cdef Py_ssize_t q
        group.bounds = NULL
        self.lay_out(1)
        own = at_run(&old.now, run, old.k, old.d, old.size)
        copy_mixture(&own, &group.now, old.k, old.d, old.size)
        own = at_run(&old.before, run, old.k, old.d, old.size)
        copy_mixture(&own, &group.before, old.k, old.d, old.size)
        memcpy(group.n_k, old.n_k + run * old.k, old.k * sizeof(double))
        group.change[0], group.ended[0], group.ranks[0] = old.change[run], old.ended[run], old.ranks[run]
        group.round, group.over, group.bounds[0] = old.round, old.over, old.bounds[run]
        self.held[0], self.earlier[0] = held, earlier
        group.held[0] = <PyObject *> held
        for q in range(old.m):
            group.seconds[0] += old.seconds[q]
            group.passes[0] += old.passes[q]
            if q != run:
                free(old.bounds[q].values)
        free(old.bounds)
        return 0

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
        """A part of the memory, to be read."""
        found = np.ndarray(shape, dtype, self.memory, <const char *> start - <const char *> address(self.memory))
        found.flags.writeable = False
        return found

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
