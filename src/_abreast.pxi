# Runs of EM abreast, nogil: each begins at parameters of its own, or at labels of the rows, and threads take a run
# each. Part of _kernels.pyx.
#
# A run is what class Iterations makes of the same start, bit for bit: both are go_on.


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
