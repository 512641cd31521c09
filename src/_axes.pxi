# Axes that all components share: the common principal components of their scatters. Part of _kernels.pyx.
#
# Flury, Common principal components in k groups (JASA 79, 1984), and Browne and McNicholas, Estimating common
# principal components in high dimensions (Advances in Data Analysis and Classification 8, 2014), state the problem, and
# solve it by steps whose gain shrinks by a factor from one to the next. Here a quasi-Newton method on rotations
# (Nocedal 1980) begins each step with what a rotation in each plane by itself would be, and ends within rounding of a
# stationary point.


cdef enum:
    MOST_TURNS = 500     # steps at most
    # Newton steps that make a small rotation orthogonal: see rotate.
    ORTHONORMAL = 3
    ONCE_ORTHONORMAL = 1


# No plane is turned by more at once, in radians: what is expected of a step holds for small ones.
cdef double FURTHEST = M_PI / 4
# The sum over a column of Ω up to which I + Ω + Ω²/2 is orthogonal to 2e-8, and to rounding after a Newton step, which
# squares the error; an Ω halved until it is below 1/4 leaves 1e-3, which takes ORTHONORMAL steps.
cdef double SMALL_TURN = 1.0 / 64
# Of the gain that the slope promises, the least share for which a step is taken, as is usual (Armijo's rule).
cdef double ENOUGH = 1e-4
# The logarithm of a determinant (d,d), of order d, that falls by less than so many times d times the relative rounding
# of a double has not fallen.
cdef double ROUNDED = 4


cdef double rounding_of_value(Py_ssize_t d, double value) noexcept nogil:
    """By how much an objective of this value, a sum over d features, has to fall to have fallen."""
    return ROUNDED * DBL_EPSILON * max(<double> d, fabs(value))


cdef struct Turned:
    # Where a search for axes is.
    double *axes        # D (d,d), the columns
    double *scatters    # Dᵀ S_c D (k,d,d)
    double *best        # (k,d): the variances of the covariances along the axes
    double value        # of the objective: Σ_c π_c log |Σ_c|


cdef struct Search:
    # A search for the axes of scatters (k,d,d) at which an objective is least.
    Py_ssize_t k, d
    int n_threads
    bint one_volume     # whether the covariances are to have one volume
    double *scatters    # S_c (k,d,d), of which no element is larger than one
    const double *shares    # π (k,)
    Turned at, next
    double *gradient    # (d,d) as all that follow
    double *last_gradient
    double *curvature
    double *step
    double *small
    double *rotation
    double *work
    double *other
    double *half        # (k,d,d)
    double *logs        # (k,)
    Move moves[REMEMBERED]
    Py_ssize_t remembered


cdef void carve_search(Search *search, Free *free) noexcept nogil:
    """OUT what the search points to. IN k, d. IN/OUT free: see carve."""
    cdef Py_ssize_t k = search.k, size = search.d * search.d, q
    search.scatters, search.half, search.logs = carve(free, k * size), carve(free, k * size), carve(free, k)
    search.at = Turned(carve(free, size), carve(free, k * size), carve(free, k * search.d), 0.0)
    search.next = Turned(carve(free, size), carve(free, k * size), carve(free, k * search.d), 0.0)
    search.gradient, search.last_gradient = carve(free, size), carve(free, size)
    search.curvature, search.step, search.small = carve(free, size), carve(free, size), carve(free, size)
    search.rotation, search.work, search.other = carve(free, size), carve(free, size), carve(free, size)
    for q in range(REMEMBERED):
        search.moves[q] = Move(carve(free, size), carve(free, size), 0.0)


cdef void known_variances(Py_ssize_t d, double *variances) noexcept nogil:
    """IN/OUT variances (d,) along axes: none below what the rounding of the largest leaves of it."""
    cdef double least = DBL_MIN
    cdef Py_ssize_t j
    for j in range(d):
        least = max(least, DBL_EPSILON * variances[j])
    for j in range(d):
        variances[j] = max(variances[j], least)


cdef double bounded(double value) noexcept nogil:
    """A volume times a shape, which may overflow: within what adds up over a thousand components."""
    cdef double most = ldexp(DBL_MAX, -10)
    return min(max(value, -most), most)


cdef void to_one_volume(Py_ssize_t k, Py_ssize_t m, Py_ssize_t d, const double *shares, const double *logs,
                        double *scatters) noexcept nogil:
    """IN/OUT scatters (k,m): times the factors that make the volumes of components g_c one. IN logs (k,): log g_c.

    Σ_c = λ S_c / g_c with λ = Σ_c π_c g_c (Celeux and Govaert 1995, sections 4.2.3 and 4.3.4).
    """
    cdef double most = -INFINITY, total = 0.0, factor
    cdef Py_ssize_t c, q
    for c in range(k):
        most = max(most, logs[c])
    for c in range(k):
        total += shares[c] * exp(logs[c] - most)
    total = most + log(total)
    for c in range(k):
        factor = exp(total - logs[c])
        for q in range(c * m, (c + 1) * m):
            scatters[q] = bounded(scatters[q] * factor)


cdef void best_variances(Search *search, Turned *at) noexcept nogil:
    """OUT at.best, value: of at.scatters."""
    cdef Py_ssize_t k = search.k, d = search.d, c, j
    for c in range(k):
        for j in range(d):
            at.best[c * d + j] = at.scatters[(c * d + j) * d + j]
        known_variances(d, at.best + c * d)
    if search.one_volume:
        for c in range(k):
            search.logs[c] = log_product(at.best + c * d, d, 1) / d
        to_one_volume(k, d, d, search.shares, search.logs, at.best)
    at.value = 0.0
    for c in range(k):
        at.value += search.shares[c] * log_product(at.best + c * d, d, 1)


cdef void turn_to(Search *search, Turned *at) noexcept nogil:
    """OUT at.scatters, best, value. IN at.axes."""
    cdef Py_ssize_t k = search.k, d = search.d, size = d * d, c
    cdef int threads = team(roots_at_once(k, d, search.n_threads), search.n_threads)
    cdef double *turned = search.work
    transpose(d, at.axes, turned)
    for c in prange(k, schedule="static", num_threads=threads):
        multiply(d, turned, search.scatters + c * size, search.half + c * size)
        multiply(d, search.half + c * size, at.axes, at.scatters + c * size)
    best_variances(search, at)


cdef void set_gradient(Search *search) noexcept nogil:
    """OUT gradient by the angle of a rotation in each plane of two axes, skew-symmetric; and curvature by the same, of
    the objective whose derivatives by the variances stay as they are: never negative."""
    cdef Py_ssize_t k = search.k, d = search.d, c, i, j
    cdef const double *turned
    cdef double *half = search.work
    cdef double *cross = search.other
    cdef double slope
    memset(half, 0, d * d * sizeof(double))
    memset(cross, 0, d * d * sizeof(double))
    for c in range(k):
        turned = search.at.scatters + c * d * d
        for j in range(d):
            slope = search.shares[c] / search.at.best[c * d + j]
            for i in range(d):
                half[j * d + i] += turned[j * d + i] * slope
                cross[j * d + i] += turned[i * d + i] * slope
    for i in range(d):
        for j in range(d):
            search.gradient[i * d + j] = 2.0 * (half[j * d + i] - half[i * d + j])
            search.curvature[i * d + j] = max(
                0.0, 2.0 * (cross[i * d + j] + cross[j * d + i] - cross[i * d + i] - cross[j * d + j]))


cdef void set_step(Search *search) noexcept nogil:
    """OUT step: a rotation, skew-symmetric, the quasi-Newton step of limited memory.

    It begins with the angle at which a rotation in each plane by itself is best, no more than π/4: with the derivatives
    kept the objective is y sin 2θ − x cos 2θ there, with y = gradient / 2 and x = curvature / 4.
    """
    cdef Py_ssize_t size = search.d * search.d, q
    cdef double *step = search.step
    cdef double shares[REMEMBERED]
    cdef double steepness, most = 0.0
    memcpy(step, search.gradient, size * sizeof(double))
    undo_changes(search.remembered, size, search.moves, step, shares)
    for q in range(size):
        steepness = fabs(search.gradient[q])
        step[q] *= 0.5 * atan2(2.0 * steepness, search.curvature[q]) / steepness if steepness > 0 else 0.0
    follow_moves(search.remembered, size, search.moves, shares, step)
    for q in range(size):
        most = max(most, fabs(step[q]))
    most = max(1.0, most / FURTHEST)
    for q in range(size):
        step[q] = -step[q] / most


cdef void rotate(Search *search, double share) noexcept nogil:
    """OUT rotation: exp(Ω) of Ω = share × step, by products only."""
    cdef Py_ssize_t d = search.d, i, j, q
    cdef int halvings = 0, turns = ONCE_ORTHONORMAL
    cdef double size = 0.0, column, half
    cdef double *small = search.small
    cdef double *found = search.rotation
    cdef double *work = search.work
    cdef double *other = search.other
    for j in range(d):
        column = 0.0
        for i in range(d):
            column += fabs(share * search.step[i * d + j])
        size = max(size, column)
    if size > SMALL_TURN:
        turns = ORTHONORMAL
        while size >= 0.25:
            size /= 2.0
            share /= 2.0
            halvings += 1
    for q in range(d * d):
        small[q] = share * search.step[q]
    multiply(d, small, small, work)
    for q in range(d * d):
        found[q] = small[q] + 0.5 * work[q]
    for i in range(d):
        found[i * d + i] += 1.0
    for q in range(turns):
        transpose(d, found, small)
        multiply(d, small, found, work)
        multiply(d, found, work, other)
        for i in range(d * d):
            found[i] = 1.5 * found[i] - 0.5 * other[i]
    for q in range(halvings):
        multiply(d, found, found, work)
        memcpy(found, work, d * d * sizeof(double))


cdef bint go_downhill(Search *search, double slope, double *share) noexcept nogil:
    """Take a share of the step. False if there is no more than rounding to gain. OUT share; at: where it leads."""
    cdef double least = rounding_of_value(search.d, search.at.value)
    share[0] = 1.0
    while -slope * share[0] > least:
        rotate(search, share[0])
        multiply(search.d, search.at.axes, search.rotation, search.next.axes)
        turn_to(search, &search.next)
        if search.next.value <= search.at.value + ENOUGH * share[0] * slope:
            search.at, search.next = search.next, search.at
            return True
        share[0] /= 2.0
    return False


cdef void remember_move(Search *search, double share) noexcept nogil:
    """Remember that a share of the step was taken, if the objective is convex along it; else forget all."""
    cdef Py_ssize_t size = search.d * search.d, q
    cdef Move own
    if search.remembered == REMEMBERED:
        own = search.moves[0]
        for q in range(1, REMEMBERED):
            search.moves[q - 1] = search.moves[q]
        search.moves[REMEMBERED - 1] = own
        search.remembered -= 1
    own = search.moves[search.remembered]
    for q in range(size):
        own.step[q] = share * search.step[q]
        own.change[q] = search.gradient[q] - search.last_gradient[q]
    own.product = inner(size, own.step, own.change)
    search.moves[search.remembered] = own
    search.remembered = search.remembered + 1 if own.product > 0 else 0


cdef void find_axes(Search *search) noexcept nogil:
    """OUT at: axes at which the objective is least. IN at.axes, from which the search starts: what it finds is no
    worse."""
    cdef Py_ssize_t tried
    cdef double slope, share = 0.0
    search.remembered = 0
    turn_to(search, &search.at)
    set_gradient(search)
    for tried in range(MOST_TURNS):
        set_step(search)
        slope = 0.5 * inner(search.d * search.d, search.gradient, search.step)
        if slope < 0 and go_downhill(search, slope, &share):
            search.gradient, search.last_gradient = search.last_gradient, search.gradient
            set_gradient(search)
            remember_move(search, share)
        elif search.remembered:
            search.remembered = 0
        else:
            break


cdef void axes_common_to(Py_ssize_t k, Py_ssize_t d, const double *covariances, double *axes, double *values,
                         double *scratch) noexcept nogil:
    """OUT axes (d,d), the columns: those common to covariances (k,d,d), if they have some. SCRATCH values (d,),
    scratch (d,d).

    Those of a sum in which no two of them weigh the same, so that a plane in which the sum does not vary is, but for
    accidents, one in which none of them does.
    """
    cdef Py_ssize_t c, j
    cdef double size
    memset(scratch, 0, d * d * sizeof(double))
    for c in range(k):
        size = 0.0
        for j in range(d):
            size += covariances[c * d * d + j * (d + 1)]
        add_times(d * d, (1.0 + (<double> c) / k) / (k * size), covariances + c * d * d, scratch)
    eigen(d, scratch, values, axes)
    transpose(d, scratch, axes)
