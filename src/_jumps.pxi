# Iterations of EM that begin where a jump leads, nogil: what cgmm.em.loop.accelerated does, as long as they are
# ordinary. Part of _kernels.pyx.


cdef double CRAWL = 1e-2    # as cgmm.em.loop.CRAWL
cdef double RADIUS = 0.3    # as in cgmm.em.trail
cdef double FURTHEST_JUMP = 1.0
cdef double NEAREST_JUMP = 1e-3


cdef struct Jump:
    # As cgmm.em.trail.Jump, which leads to trail.ahead.
    double length
    bint cut
    double expected


cdef enum Led:
    # What is found of a jump.
    NOWHERE     # there is none
    AHEAD
    FAR_AWAY    # Python has to make it


cdef int take_trail(Em *em, given, n_k) except -1:
    """OUT em.trail: a cgmm.em.trail.Trail; em.found: n_k, if there is any."""
    cdef Trail *trail = &em.trail
    cdef Point *to
    points, trail.radius = given
    if len(points) > TRAIL:
        raise ValueError(f"a trail of {len(points)} points is longer than {TRAIL}")
    if n_k is not None:
        n_k = np.ascontiguousarray(n_k, dtype=float)
        memcpy(em.found.n_k, address(n_k), em.k * sizeof(double))
    for pair in points:
        for values, which in zip(pair, range(2)):
            to = &trail.after[trail.count] if which else &trail.before[trail.count]
            copy_parameters(&to.own, tuple(np.ascontiguousarray(array, dtype=float) for array in values.values), True)
            to.complete = False
        trail.count += 1
    if trail.count:    # the last point is that of the iteration before
        copy_mixture(&trail.before[trail.count - 1].own, &em.before, em.k, em.d, em.size)
    return 0


cdef tuple give_trail(Em *em, like):
    """The points, each of two mixtures, of em.trail, and its radius. IN like: arrays of the shapes of a mixture's."""
    cdef Trail *trail = &em.trail
    cdef Py_ssize_t i
    points = []
    for i in range(trail.count):
        pair = tuple(tuple(np.empty(array.shape) for array in like) for _ in range(2))
        copy_parameters(&trail.before[i].own, pair[0], False)
        copy_parameters(&trail.after[i].own, pair[1], False)
        points.append(pair)
    return points, trail.radius


cdef Led leap_from(Em *em, Jump *jump) noexcept nogil:
    """OUT jump, trail.ahead: a jump from the last point of the trail."""
    cdef const Shape *shape = &em.shape
    cdef Trail *trail = &em.trail
    cdef Py_ssize_t p = shape.numbers, q
    cdef const double *own
    cdef const double *last
    cdef double *way = trail.direction
    cdef double length, most, shorter
    if trail.count < 2:
        return NOWHERE
    look_back(shape, trail)
    if not trail.curved:
        return NOWHERE
    own, last = trail.steps + (trail.count - 1) * p, trail.at + (trail.count - 1) * p
    turn(trail.curved, p, own, trail.moves, trail.changes, way)
    length, most = sqrt(inner(p, way, way)), max(trail.radius, sqrt(inner(p, own, own)))
    jump.cut, jump.length = length > most, min(length, most)
    if jump.cut:
        shorter = most / length
        for q in range(p):
            way[q] *= shorter
    jump.expected = 0.5 * inner(p, way, own)
    if not 0 < jump.expected < INFINITY:
        return NOWHERE
    for q in range(p):
        way[q] += last[q]
    if not mixture_at(shape, &trail.before[trail.count - 1], trail.scale, way, trail.scratch, &trail.ahead):
        return NOWHERE
    return AHEAD if hold_ahead(em) else FAR_AWAY


cdef bint hold_ahead(Em *em) noexcept nogil:
    """OUT the root of trail.ahead, whose covariances share what the family's do. False where a variance is below the
    floor. Its weights are divided once more by their sum, as cgmm.mixture.maximise.restored does. SCRATCH em.after,
    em.held, em.least, em.most."""
    cdef Parameters *own = &em.trail.ahead
    cdef double whole = total_of(own.weights, em.k), added = em.limits.floor.added
    cdef Py_ssize_t d = em.d, c
    cdef bint fine
    memcpy(em.most, em.limits.floor.least, d * sizeof(double))
    swap(own, &em.after)
    memcpy(own.weights, em.after.weights, em.k * sizeof(double))
    for c in range(em.k):
        memcpy(em.least + c * d, em.most, d * sizeof(double))
        em.held[c], em.after.weights[c] = FREE, 1.0 / em.k    # as Family.hold weighs what is shared
    em.limits.floor.added = 0.0
    fine = set_root_above(em, NULL)
    em.limits.floor.added = added
    for c in range(em.k):
        em.after.weights[c] = own.weights[c] / whole
    swap(own, &em.after)
    return fine


cdef double added_now(const Em *em, const Parameters *own) noexcept nogil:
    """½ ε Σ_c n_c tr Σ_c⁻¹ over the weight of all rows: see cgmm.em.loop. SCRATCH em.log_norm."""
    cdef Py_ssize_t m = covariances_of(em), c
    cdef double whole = total_of(em.found.n_k, em.k)
    if em.limits.floor.added == 0.0:
        return 0.0
    for c in range(m):
        em.log_norm[c] = whole if em.family == EEE else whole / em.k if em.sharing == COVARIANCE else em.found.n_k[c]
        if em.family == VII:
            em.log_norm[c] *= em.d
    return added_of(m, em.size // m, em.log_norm, own.root, whole, em.limits.floor.added)


cdef void swap(Parameters *one, Parameters *other) noexcept nogil:
    one[0], other[0] = other[0], one[0]


cdef int jump_ahead(Em *em, const Going *going, Py_ssize_t first, PyObject *held) except -2 nogil:
    """An iteration from where a jump leads: 1 or 0, whether EM has converged; 2 where there is no such jump, or it
    would lose; −1 where the iteration is not ordinary, and nothing has changed."""
    cdef Trail *trail = &em.trail
    cdef Jump jump
    cdef Led led
    cdef double gain, added
    cdef bint fine, loses
    if isfinite(em.limits.reach) and reach_now(em) > em.limits.reach:
        return -1    # rows are to be float64 from now on
    led = leap_from(em, &jump)
    if led != AHEAD:
        return 2 if led == NOWHERE else -1
    memcpy(trail.n_k, em.found.n_k, em.k * sizeof(double))
    added = added_now(em, &em.before) - added_now(em, &trail.ahead)
    swap(&em.now, &trail.ahead)
    fine = look(em)
    gain = objective_of(em) - em.lower_bound + added
    fine = fine and find(em)
    loses = fine and not gain >= 0
    if loses or not fine or not is_held(em, maximised(em), going, first, held):
        swap(&em.now, &trail.ahead)
        memcpy(em.found.n_k, trail.n_k, em.k * sizeof(double))
        if not loses:
            return -1
        em.passes += 1
        forget(trail)
        trail.radius = max(jump.length / 4, NEAREST_JUMP)
        return 2
    if jump.cut and gain > 0.5 * jump.expected:
        trail.radius = min(2 * trail.radius, FURTHEST_JUMP)
    elif gain < 0.1 * jump.expected:
        trail.radius = max(trail.radius / 2, NEAREST_JUMP)
    return followed(em, going)


cdef int followed(Em *em, const Going *going) except -2 nogil:
    """finish_step, and the trail leads to it; with "distance" EM has converged if little is left to gain, too."""
    cdef Until until = going.until
    cdef int converged
    until.distance = False
    converged = finish_step(em, &until)
    follow(&em.shape, &em.trail, &em.before, &em.now)
    if converged and going.until.distance and not remaining(&em.shape, &em.trail) < until.tol:
        return 0
    return converged


cdef int go_ahead(Em *em, const Going *going, Py_ssize_t first, PyObject *held) except -2 nogil:
    """One accelerated iteration: whether EM has converged; −1 where it is not ordinary."""
    cdef int found
    if em.change < CRAWL:
        found = jump_ahead(em, going, first, held)
        if found != 2:
            return found
    if not is_held(em, step(em), going, first, held):
        return -1
    return followed(em, going)
