# Races of runs: the best begin again where they are, round after round, until one is left. Part of _kernels.pyx.


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


cdef bint stands_above(int rank, double bound, int other_rank, double other_bound) noexcept nogil:
    """Whether a run of such a rank and last log-likelihood is better than another."""
    return rank > other_rank or (rank == other_rank and bound > other_bound)


cdef bint is_better(const Group *group, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """Whether run a is better than run b."""
    return stands_above(group.ranks[a], last_bound(&group.bounds[a]), group.ranks[b], last_bound(&group.bounds[b]))


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
    """What is to be run next: rounds of these races, and the races that follow on walks."""
    cdef Runs runs, more
    cdef list found = []
    for runs in groups:
        if go_into_next(runs):
            found.append(runs)
        elif runs.walk is not None:
            more = runs.walk.after(runs)
            if more is not None:
                found.append(more)
    return found


def advance_all(list groups, int n_threads=1):
    """Make the runs of all these Runs, once, and their races, or those of a Walk: threads take a run each, or work at a
    single one together."""
    cdef Py_ssize_t most = 0, count, at
    cdef int threads, own, thread
    cdef Runs runs
    if len({id(one) for one in groups}) < len(groups):
        raise ValueError("each is made once")
    cdef list begun = [(<Walk> one).begin() if isinstance(one, Walk) else one for one in groups]
    cdef list alive = [runs for runs in begun if runs is not None]
    failures = []
    cdef PyObject *failed = <PyObject *> failures
    for one in groups:
        most += (<Walk> one).near if isinstance(one, Walk) else (<Runs?> one).group.m
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
            PyErr_CheckSignals()
            if not failures:
                alive = go_further(alive)
    finally:
        for thread in range(len(workers) // <int> sizeof(Worker)):
            close_em(&worker[thread].em)
            cgmm_release(worker[thread].rows.memory)
    if failures:
        raise failures[0]
