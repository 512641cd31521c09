# Iterations of EM, nogil: a pass, and the M-step of what it leaves, as long as nothing has to be decided. Part of
# _kernels.pyx.


cdef enum:
    LOOK_BACK = 6  # as cgmm.em.loop.LOOK_BACK


cdef struct Limits:
    # What an ordinary iteration stays within.
    Floor floor
    double starved         # the weight of a component
    double fall            # relative, of the log-likelihood: one that is larger is looked at
    double reach           # of the parameters
    double exact           # reach, up to which a fall is none of rounding


cdef struct Until:
    # When a run of EM ends: see cgmm.em.settings.Settings.
    double tol
    double noise
    bint distance


cdef struct History:
    # Numbers of which there are more and more.
    double *values    # (count,)
    Py_ssize_t count
    Py_ssize_t room


cdef int remember(History *history, double value) except -1 nogil:
    """Add a value."""
    cdef double *values
    if history.count == history.room:
        values = <double *> realloc(history.values, (2 * history.room + 64) * sizeof(double))
        if values == NULL:
            with gil:
                raise MemoryError("no memory for what iterations leave")
        history.values, history.room = values, 2 * history.room + 64
    history.values[history.count] = value
    history.count += 1
    return 0


cdef Parameters carve_parameters(Free *free, Py_ssize_t k, Py_ssize_t d, Py_ssize_t size) noexcept nogil:
    """Memory for parameters whose covariances are `size` doubles. IN/OUT free."""
    return Parameters(carve(free, k), carve(free, k * d), carve(free, size), carve(free, size))


cdef struct Em:
    # EM on rows at hand, of a family whose M-step is here.
    Work work
    Family family
    Sharing sharing
    int n_threads
    Py_ssize_t k, d, size
    Limits limits
    Parameters before, now, after
    Statistics found
    double lower_bound      # of the last iteration, and what it has gained; before the first, −∞ and ∞
    double change
    bint singular           # whether the last M-step held a covariance, or may have
    bint holds              # whether any M-step has held one, which is written down
    History bounds          # the lower bounds of all iterations
    Py_ssize_t passes       # over the rows, of all iterations
    bint accelerated        # whether iterations begin where jumps lead, see _jumps.pxi
    Shape shape             # of what has to do with that
    Trail trail
    Kept kept
    Roots roots             # of a family of matrices
    Joining joining         # of a family whose components share a part of their covariances
    char *memory            # of all that follows, and of what the structs above point to
    double *sums
    double *offsets
    double *log_det
    double *log_norm
    double *own_centre
    double *least           # (k,d)
    double *most            # (d,)
    double *scratch
    double *ones
    Py_ssize_t *order       # (d,k): the components by their means
    unsigned char *held     # (k,): what hold_roots says of each new covariance; of variances SUSPECT: they were held


cdef bint whitens(Family family, Sharing sharing) noexcept nogil:
    """Whether all components have one matrix, by which a pass whitens its rows."""
    return family == EEE or (family == VVV and sharing == COVARIANCE)


cdef cgmm_form form_of(Family family, Sharing sharing) noexcept nogil:
    """The form of a family's densities, once rows are whitened."""
    if whitens(family, sharing):
        return CGMM_ISOTROPIC
    return CGMM_TRIANGULAR if family == VVV else CGMM_DIAGONAL if family == VVI else CGMM_ISOTROPIC


cdef Moment moment_of(Family family) noexcept nogil:
    """The second moments of which a family's M-step makes covariances."""
    return FULL if family == VVV else POOLED if family == EEE else DIAG if family == VVI else RADIAL


cdef Py_ssize_t carve_em(Em *em, double *memory) noexcept nogil:
    """OUT what em points to in its memory. Returns how many doubles that has; to find out, memory may be NULL."""
    cdef Py_ssize_t k = em.k, d = em.d
    cdef Free free = Free(memory, 0)
    em.roots.doubles = carve(&free, em.roots.at_once * em.roots.size if em.family == VVV or em.family == EEE else 0)
    carve(&free, parameters_size(&em.work) // sizeof(double))
    em.sums = carve(&free, em.work.sums.size)
    em.before = carve_parameters(&free, k, d, em.size)
    em.now = carve_parameters(&free, k, d, em.size)
    em.after = carve_parameters(&free, k, d, em.size)
    em.found = Statistics(carve(&free, k), carve(&free, k * d), carve(&free, em.size), carve(&free, k * d))
    em.offsets, em.least = carve(&free, k * d), carve(&free, k * d)
    em.log_det, em.log_norm, em.ones = carve(&free, k), carve(&free, k), carve(&free, k)
    em.own_centre, em.most, em.scratch = carve(&free, d), carve(&free, d), carve(&free, max(2 * d, k * (k + d)))
    em.order = <Py_ssize_t *> carve(&free, k * d)
    em.held = <unsigned char *> carve(&free, (k + 7) // 8)
    if em.sharing > COVARIANCE:
        carve_joining(&em.joining, &free)
    if em.accelerated:
        carve_trail(&em.shape, &em.trail, &free)
    return free.taken


cdef int open_em(Em *em, Family family, Sharing sharing, Py_ssize_t k, Py_ssize_t d, bint accelerated,
                 int n_threads) except -1 nogil:
    """OUT em: of k components and d features, its rows not given yet. IN em: zeros."""
    cdef Py_ssize_t size, roots, q
    em.family, em.sharing, em.k, em.d, em.n_threads = family, sharing, k, d, n_threads
    em.accelerated, em.shape = accelerated, shape_of(family, k, d)
    em.joining.family, em.joining.sharing, em.joining.k, em.joining.d = family, sharing, k, d
    em.joining.n_threads, em.joining.roots = n_threads, &em.roots
    em.size = covariances_size(family, k, d)
    em.roots = roots_of(k if family == VVV else 1, d, n_threads)
    em.work.kernels = TARGETS[TARGET].f64    # whose reals are the larger
    em.work.k, em.work.d, em.work.moment, em.work.output = k, d, moment_of(family), NO_OUTPUT
    em.work.mixture.form = form_of(family, sharing)
    lay_out_tiles(&em.work)
    size = carve_em(em, NULL)
    em.memory = <char *> cgmm_allocate(align(size * sizeof(double)))
    if em.memory == NULL:
        with gil:
            raise MemoryError("no memory for the parameters of a mixture")
    carve_em(em, <double *> em.memory)
    for q in range(k):
        em.ones[q] = 1.0
    for q in range(k * d):
        em.order[q] = q % k
    return 0


cdef void close_em(Em *em) noexcept nogil:
    """Free the memories of em."""
    cgmm_release(em.memory)
    cgmm_release(em.kept.memory)
    free(em.bounds.values)


cdef void lay_out_em(Em *em) noexcept nogil:
    """Prepare em for the rows that em.work has now."""
    cdef Py_ssize_t roots = em.roots.at_once * em.roots.size if em.family == VVV or em.family == EEE else 0
    place_parameters(&em.work, em.memory + roots * sizeof(double), whitens(em.family, em.sharing))
    em.work.centre = em.own_centre
    lay_out(&em.work, DENSE)
    cdef int threads = pass_threads(&em.work, em.n_threads)
    if threads == 1:    # The pass leaves all to roots and axes; otherwise these take as many as it: see `team`.
        threads = em.n_threads
    em.roots.n_threads = em.joining.n_threads = em.joining.search.n_threads = threads
    begin_at(em, -INFINITY, INFINITY, False)


cdef void begin_at(Em *em, double lower_bound, double change, bint singular) noexcept nogil:
    """No iteration has been made yet of a run that goes on from there."""
    em.lower_bound, em.change, em.singular, em.bounds.count, em.passes = lower_bound, change, singular, 0, 0
    em.trail.count, em.trail.radius = 0, RADIUS


cdef void set_density(Em *em) noexcept nogil:
    """Give the pass the density of the parameters."""
    cdef Py_ssize_t k = em.k, d = em.d
    cdef double *root = em.now.root
    cdef bint white = whitens(em.family, em.sharing)
    centre_of(k, d, em.now.weights, em.now.means, em.order, em.own_centre)
    log_dets_of(em.family, k, d, root, em.log_det)
    normalise(em.log_det, em.now.weights, k, d, em.log_norm)
    load(&em.work, em.now.means, em.ones if white else root, em.log_norm, root if white else NULL, em.offsets)


cdef Py_ssize_t covariances_of(const Em *em) noexcept nogil:
    """How many covariances there are."""
    return 1 if em.family == EEE else em.k


cdef bint set_root(Em *em, const Parameters *last) noexcept nogil:
    """Hold the new covariances from below, add to them, let them share what they are to, and take their roots. OUT
    em.held. False where any was held, or is a matrix that has to be. IN last: the parameters before, or NULL."""
    least_of(em.k, em.d, &em.limits.floor, em.offsets, em.after.means, em.least, em.most)
    return set_root_above(em, last)


cdef bint set_root_above(Em *em, const Parameters *last) noexcept nogil:
    """The same, but what covariances are held above is there: IN em.least, em.most."""
    if em.sharing == COVARIANCE:
        return share_covariance(em)
    if em.sharing == NOTHING:
        return hold_each(em)
    return (hold_each(em) or all_known(em)) and share_part(em, last)


cdef bint all_known(const Em *em) noexcept nogil:
    """Whether no covariance is to be looked at by Python, as em.held says."""
    cdef Py_ssize_t c
    for c in range(em.k):
        if em.held[c] == SUSPECT:
            return False
    return True


cdef bint hold_each(Em *em) noexcept nogil:
    """Hold each of the new covariances, add to it, and take its root. OUT em.held. False as of set_root."""
    cdef const Floor *floor = &em.limits.floor
    cdef Py_ssize_t d = em.d, features = d if em.family == VVI else 1, c
    cdef bint fine = True
    if em.family == VVV or em.family == EEE:
        hold_roots(&em.roots, covariances_of(em), em.after.covariances, em.most if em.family == EEE else em.least,
                   0 if em.family == EEE else d, floor.relative, floor.added, em.after.root, em.held)
    else:
        for c in range(em.k):
            em.held[c] = FREE if hold_variances(em.family, d, em.least + c * d, floor.added,
                                                em.after.covariances + c * features,
                                                em.after.root + c * features) else ADDED
    for c in range(covariances_of(em)):
        fine = fine and em.held[c] == FREE
    return fine


cdef Py_ssize_t covariance_size(const Em *em) noexcept nogil:
    """How many doubles one of the covariances is."""
    return em.size // covariances_of(em)


cdef bint share_covariance(Em *em) noexcept nogil:
    """Make one covariance of the new ones, hold it and take its root. OUT em.held[0]. False as of set_root."""
    cdef const Floor *floor = &em.limits.floor
    cdef Parameters *own = &em.after
    cdef Py_ssize_t size = covariance_size(em)
    share_one(em.k, size, own.covariances)
    if em.family == VVV:
        em.held[0] = hold_root(TARGETS[TARGET].f64, em.d, own.covariances, em.most, floor.relative, floor.added,
                               own.root, memory_of_lane(&em.roots, 0), em.roots.n_threads)
    else:
        em.held[0] = FREE if hold_variances(em.family, em.d, em.most, floor.added, own.covariances,
                                            own.root) else ADDED
    copy_to_all(em.k, size, own.covariances)
    copy_to_all(em.k, size, own.root)
    return em.held[0] == FREE


cdef bint share_part(Em *em, const Parameters *last) noexcept nogil:
    """Let the new covariances, which are held, share what they are to, and take their roots. OUT em.held: those that
    are still narrow, see cgmm.mixture.families.parsimonious. False where any is. IN last: as of set_root."""
    cdef Parameters *own = &em.after
    cdef double *narrow = em.joining.narrow
    cdef Py_ssize_t d = em.d, size = covariance_size(em), c
    cdef bint turned = has_own_axes(em.family, em.sharing), fine = True
    for c in range(em.k):
        narrow[c] = 0.0 if em.held[c] == FREE else min(1.0 / DBL_EPSILON, condition_now(em, c))
    join(&em.joining, own.weights, own.root, own.root if last == NULL else last.root,
         own.covariances if last == NULL else last.covariances, own.covariances)
    for c in range(d):
        em.most[c] = DBL_MIN
    if em.family == VVV:
        hold_roots(&em.roots, em.k, own.covariances, em.most, 0, em.limits.floor.relative, 0.0, own.root, em.held)
    for c in range(em.k):
        if em.family != VVV:
            em.held[c] = FREE if hold_variances(em.family, d, em.most, 0.0, own.covariances + c * size,
                                                own.root + c * size) else ADDED
        if em.held[c] == FREE and narrow[c] > 0 and condition_now(em, c) * d >= narrow[c]:
            em.held[c] = ADDED
        if em.held[c] == FREE and turned and is_blurred(d, own.covariances + c * size, own.root + c * size):
            em.held[c] = ADDED
        fine = fine and em.held[c] == FREE
    return fine


cdef double condition_now(const Em *em, Py_ssize_t c) noexcept nogil:
    """The condition number of the c-th new covariance."""
    cdef Py_ssize_t size = covariance_size(em)
    return condition_of(em.family, em.d, em.after.covariances + c * size, em.after.root + c * size, em.joining.square)


cdef bint any_below(const Em *em, double least) noexcept nogil:
    """Whether a component has less weight."""
    cdef Py_ssize_t c
    for c in range(em.k):
        if not em.found.n_k[c] >= least:
            return True
    return False


cdef bint all_weigh(const Em *em) noexcept nogil:
    """Whether no component has weight zero."""
    cdef Py_ssize_t c
    for c in range(em.k):
        if em.now.weights[c] == 0.0:
            return False
    return True


cdef bint make_parameters(Em *em, const Parameters *last) noexcept nogil:
    """The M-step, from the statistics found: OUT em.after. False as set_root. IN last: the parameters before, or
    NULL."""
    set_moments(em, em.scratch)
    return set_root(em, last)


cdef void set_moments(Em *em, double *counts) noexcept nogil:
    """OUT em.after: weights, means, and covariances as they are of the statistics found; counts (k,), by which second
    moments are divided."""
    cdef Py_ssize_t k = em.k, d = em.d, c
    cdef double whole = total_of(em.found.n_k, k)
    for c in range(k):
        em.after.weights[c] = em.found.n_k[c] / whole
        counts[c] = whole / k if em.sharing == COVARIANCE else em.found.n_k[c]
        if em.family == VII:
            counts[c] *= d
    centralise(em.work.moment, k, d, em.found.n_k, &whole if em.family == EEE else counts, &em.found, em.offsets,
               em.after.means, em.after.covariances)


cdef double reach_now(Em *em) noexcept nogil:
    """Of the parameters: see reach_of."""
    return reach_of(em.k, em.d, em.now.weights, em.now.means, diagonals_of(em.family, em.now.covariances, em.d),
                    covariances_of(em), diagonals_of(em.family, em.now.root, em.d), em.scratch)


cdef void move_on(Em *em) noexcept nogil:
    """The new parameters are now those that there are."""
    em.before, em.now, em.after = em.now, em.after, em.before


cdef enum Stepped:
    # What became of an iteration.
    UNDECIDED   # it is not an ordinary one, and nothing has changed but em.after, em.found and em.sums
    ORDINARY
    BELOW       # it is one if the covariances that em.held names are held first: until then nothing has changed


cdef bint may_be_rounding(Em *em, double objective) noexcept nogil:
    """Whether the log-likelihood has fallen, and rounding or what is added to covariances may have made it fall: which
    of them, cgmm.em.loop decides."""
    if not em.bounds.count or objective - em.lower_bound >= -em.limits.fall * max(1.0, fabs(objective)):
        return False
    return em.singular or reach_now(em) > em.limits.exact


cdef double objective_of(const Em *em) noexcept nogil:
    """The mean log-likelihood of the last pass."""
    return em.sums[SUM_OF_LOGS] / em.sums[SUM_OF_WEIGHTS]


cdef bint look(Em *em) except -1 nogil:
    """A pass over the rows: OUT em.sums. False where an iteration from there is not ordinary."""
    cdef Work *work = &em.work
    if isfinite(em.limits.reach) and reach_now(em) > em.limits.reach:
        return False
    if work.known != NULL and work.moment == RADIAL and not all_weigh(em):
        return False    # the distances of known rows are taken from log-densities
    set_density(em)
    memset(em.sums, 0, work.sums.size * sizeof(double))
    run(work, em.n_threads, &em.kept, em.sums)
    return isfinite(objective_of(em))


cdef bint find(Em *em) noexcept nogil:
    """OUT em.found, of the last pass. False where a component starves."""
    take_sums(&em.work, em.sums, em.now.root, em.scratch, &em.found)
    return not any_below(em, em.limits.starved)


cdef int step(Em *em) except -1 nogil:
    """One iteration: Stepped. After an ORDINARY one, or once what is BELOW is held, finish_step ends it."""
    if not look(em) or may_be_rounding(em, objective_of(em)) or not find(em):
        return UNDECIDED
    return maximised(em)


cdef int maximised(Em *em) noexcept nogil:
    """The M-step of an iteration: Stepped."""
    if not make_parameters(em, &em.now):
        return BELOW
    em.singular = False
    return ORDINARY


cdef int finish_step(Em *em, const Until *until) except -1 nogil:
    """Go on to the new parameters; 1 if EM has converged: see cgmm.em.settings.Settings.settled and cgmm.em.loop."""
    cdef double objective = objective_of(em), last = em.change
    move_on(em)
    em.lower_bound, em.change = objective, objective - em.lower_bound
    remember(&em.bounds, objective)
    em.passes += 1
    return settled(last, em.change, until) or gains_nothing(&em.bounds, em.d, until.noise)


cdef bint settled(double before, double change, const Until *until) noexcept nogil:
    """Whether EM has converged: see cgmm.em.settings.Settings.settled."""
    if not fabs(change) < until.tol:
        return False
    if not until.distance or change <= 0:
        return True
    return before - change < INFINITY and change * change < until.tol * (before - change)


cdef bint gains_nothing(const History *bounds, Py_ssize_t d, double noise) noexcept nogil:
    """Whether the last iterations of a run gained no more than rounding gives: see cgmm.em.loop."""
    cdef Py_ssize_t count = bounds.count, looked = 1 + count // LOOK_BACK
    cdef double last = bounds.values[count - 1]
    return noise > 0 and count > looked and fabs(last - bounds.values[count - 1 - looked]) < noise * (d + fabs(last))


cdef struct Going:
    # How far a run of EM goes, and with what.
    Until until
    Py_ssize_t most         # iterations
    PyObject *lifting       # cgmm.mixture.matrices.lift; or NULL, where nothing is held
    PyObject *estimating    # what makes covariances where components share a part of them, see cgmm.em.ordinary
    PyObject *failures      # of all threads: a list of exceptions, after which no more is done; or NULL


cdef bint any_failed(PyObject *failures) noexcept with gil:
    """Whether a thread has failed."""
    return len(<list> failures) > 0


cdef int go_on(Em *em, const Going *going, PyObject *held) except -1 nogil:
    """Iterations from em.now until EM has converged (1), as many are made as are asked for (0), or one is not ordinary
    (−2), or another thread has failed, so that no result counts. OUT held, a list: pairs of an iteration, from 0, and a
    component whose covariance was held in it."""
    cdef Py_ssize_t first = em.bounds.count, done = 0
    cdef int converged = 0
    while not converged and em.bounds.count < first + going.most:
        if em.accelerated:
            converged = go_ahead(em, going, first, held)
        else:
            converged = finish_step(em, &going.until) if is_held(em, step(em), going, first, held) else -1
        if converged < 0:
            return -2
        look_up(&done, work_of_rows(&em.work, em.work.n))
        if not done and going.failures != NULL and any_failed(going.failures):
            return -2
    return converged


cdef Limits limits_of(limits, floor) except *:
    """What a cgmm.em.ordinary.Limits says; its floor, which somebody keeps."""
    return Limits(Floor(<const double *> address(floor), limits[1], limits[2], limits[3], limits[4]), limits[5],
                  limits[6], limits[7], limits[8])


cdef int check_moment(moment, family, Family own) except -1:
    """ValueError where a family's M-step takes other second moments."""
    if MOMENTS[moment] != moment_of(own):
        raise ValueError(f"the compiled M-step of {family} covariances does not take {moment} moments")
    return 0


cdef copy_parameters(Parameters *parameters, arrays, bint into):
    """Between parameters and arrays of their weights, means, covariances and root."""
    cdef double *own[4]
    cdef Py_ssize_t q
    own[0], own[1], own[2], own[3] = parameters.weights, parameters.means, parameters.covariances, parameters.root
    for q in range(4):
        if into:
            memcpy(own[q], address(arrays[q]), arrays[q].nbytes)
        else:
            memcpy(address(arrays[q]), own[q], arrays[q].nbytes)
