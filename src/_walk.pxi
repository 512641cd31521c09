# Walks: races of runs of EM, one after the other, each of the splits or the mergers of a mixture that was found before,
# and a start for another number of components. Part of _kernels.pyx.


cdef struct Standing:
    # The best fit with a number of components.
    Outline mixture
    int rank                # see rank_of
    double bound            # its log-likelihood


cdef struct Step:
    # One race, of the splits or the mergers of a fit.
    Py_ssize_t of           # the number of that fit, −1 for the winner of the step before
    Py_ssize_t merges       # whether mergers are tried, and not splits
    Py_ssize_t to           # the number of the fit for which the winner is a start, −1 if it is none


cdef void find_largest(const double *values, Py_ssize_t n, Py_ssize_t count, Py_ssize_t *found) noexcept nogil:
    """OUT found (count,): where the largest of n values are, the largest first, and of equal ones the first."""
    cdef Py_ssize_t q, r, held = 0
    for q in range(n):
        r = held
        while r > 0 and values[q] > values[found[r - 1]]:
            if r < count:
                found[r] = found[r - 1]
            r -= 1
        if r < count:
            found[r] = q
            held = min(held + 1, count)


cdef Outline outline_of(const Group *group, Py_ssize_t k, const Parameters *of) noexcept nogil:
    """A mixture of a group's family."""
    return Outline(group.family, group.family == EEE or group.sharing == COVARIANCE, 1, k, group.d, of.weights,
                   of.means, of.covariances)


cdef class Walk:
    """Races along fits of ever more components of one family: those that Runs make one by one.

    rows : Runs on the same rows, with the same settings; there need be none
    mixtures : of each fit weights (k,), means (k,d) and covariances;  ranks, bounds : of each, see rank_of
    steps : (q,3) see struct Step
    near : how many splits, of the heaviest components, or mergers, of the closest, are tried
    least, low, high : (d,) variances are not below the first where closeness is measured, and means of splits stay
    between the others
    rounds : as of Runs, but for no number of runs; a race that is no start leaves out the last

    After advance_all: done : the Runs of the steps that are over, each of the one that won, in order: all, or until one
    was not ordinary, which is `left`.
    """
    cdef Runs rows
    cdef tuple given, rounds
    cdef object plan, table
    cdef const double[::1] least, low, high
    cdef Standing *standing
    cdef Py_ssize_t fits
    cdef const Step *steps
    cdef Py_ssize_t count, near
    cdef Standing last
    cdef readonly list done
    cdef readonly Runs left    # a race that is not over; it lives on, for a worker knows its group by the address

    def __init__(self, Runs rows not None, mixtures, ranks, bounds, steps, Py_ssize_t near, const double[::1] least,
                 const double[::1] low, const double[::1] high, rounds):
        cdef Py_ssize_t d = rows.group.d, at, k
        cdef Parameters own
        if rows.memory is None or near < 1 or len(rounds) < 2:
            raise ValueError("a walk is of Runs that are known, and of one start or more, in two rounds or more")
        if not least.shape[0] == low.shape[0] == high.shape[0] == d:
            raise ValueError(f"least, low and high must be of {d} features")
        self.rows, self.near, self.rounds, self.done = rows, near, tuple(rounds), []
        self.least, self.low, self.high = least, low, high
        self.given = tuple([
            tuple([np.ascontiguousarray(array, dtype=np.float64) for array in one]) for one in mixtures
        ])
        self.fits = len(self.given)
        self.table = np.zeros(max(1, self.fits) * sizeof(Standing), dtype=np.uint8)
        self.standing = <Standing *> address(self.table)
        for at, ((weights, means, covariances), rank, bound) in enumerate(zip(self.given, ranks, bounds, strict=True)):
            k = weights.size
            if means.size != k * d or covariances.size != covariances_size(rows.group.family, k, d):
                raise ValueError(f"weights, means and covariances of fit {at} do not fit")
            own = Parameters(<double *> address(weights), <double *> address(means), <double *> address(covariances),
                             NULL)
            self.standing[at] = Standing(outline_of(&rows.group, k, &own), rank, bound)
        self.plan = np.array(steps, dtype=np.intp, order="C").reshape(-1, 3)
        self.steps, self.count = <const Step *> address(self.plan), len(self.plan)
        for at in range(self.count):
            if not ((-1 if at else 0) <= self.steps[at].of < self.fits and -1 <= self.steps[at].to < self.fits):
                raise ValueError(f"step {at} is of no fit, or for none: {self.plan[at]}")

    cdef Runs begin(self):
        """The race of the next step; None if there is none."""
        cdef const Step *step = self.steps + len(self.done)
        cdef const Standing *of
        cdef Runs runs
        cdef Py_ssize_t k, m
        self.left = None
        if len(self.done) >= self.count:
            return None
        of = self.standing + step.of if step.of >= 0 else &self.last
        k = of.mixture.k
        m = min(self.near, k * (k - 1) // 2 if step.merges else k)
        k += -1 if step.merges else 1
        if not m or (step.to >= 0 and self.standing[step.to].mixture.k != k):
            raise ValueError(f"step {len(self.done)} leads to {k} components, which is not what fit {step.to} has")
        runs = self.rows.others(m, k)
        self.sketch(step, &of.mixture, &runs.group)
        self.left, runs.walk = runs, self
        rounds = self.rounds if step.to >= 0 else self.rounds[:len(self.rounds) - 1]
        runs.go_by([(most, min(left, m)) for most, left in rounds])
        return runs

    cdef int sketch(self, const Step *step, const Outline *of, const Group *group) except -1:
        """OUT group.now: where the runs of a step begin."""
        cdef Py_ssize_t d = of.d, k = of.k, i
        cdef Outline to
        cdef Parameters own
        picked, numbers = np.empty(group.m, dtype=np.intp), np.empty(2 * d * (d + 1) + d + k * k)
        cdef Py_ssize_t *which = <Py_ssize_t *> address(picked)
        cdef double *free_doubles = <double *> address(numbers)
        cdef double *spread = free_doubles + 2 * d * (d + 1)
        with nogil:
            if step.merges:
                find_closeness(of, &self.least[0], spread, spread + d)
                find_largest(spread + d, k * k, group.m, which)
            else:
                find_largest(of.weights, k, group.m, which)
            for i in range(group.m):
                own = at_run(&group.now, i, group.k, d, group.size)
                to = outline_of(group, group.k, &own)
                if step.merges:
                    merge_two(of, &to, which[i] // k, which[i] % k, free_doubles)
                else:
                    split_one(of, &to, which[i], &self.low[0], &self.high[0], spread, False, free_doubles)
        return 0

    cdef Runs after(self, Runs runs):
        """The race that follows on one that has ended; None if there is none, or a run was left to Python."""
        cdef Group *group = &runs.group
        cdef const Step *step = self.steps + len(self.done)
        cdef Standing *stands
        runs.walk = None
        if not group.over:
            return None
        runs.keep_only(group.alive[0])
        self.last = Standing(outline_of(group, group.k, &group.now), rank_of(group, 0, runs.held),
                             last_bound(&group.bounds[0]))
        self.done.append(runs)
        if step.to >= 0:
            stands = self.standing + step.to
            if stands_above(self.last.rank, self.last.bound, stands.rank, stands.bound):
                stands[0] = self.last
        return self.begin()
