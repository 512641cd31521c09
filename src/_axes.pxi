# Axes that all components share: the common principal components of their scatters. Part of _kernels.pyx.
#
# Flury, Common principal components in k groups (JASA 79, 1984), and Browne and McNicholas, Estimating common
# principal components in high dimensions (Advances in Data Analysis and Classification 8, 2014), state the problem, and
# solve it by steps whose gain shrinks by a factor from one to the next. Here Newton's method on rotations ends within
# rounding of a stationary point. Where the objective is not convex, or features are too many for its second
# derivatives, a quasi-Newton method (Nocedal 1980) begins each step with what a rotation in each plane by itself would
# be.


cdef enum:
    MOST_TURNS = 500     # steps at most
    MOST_NEWTON = 16     # features of which the second derivatives, of d (d − 1) / 2 angles, cost less than they save
    # Newton steps (Schulz's) that make a small rotation orthogonal: see rotate.
    ORTHONORMAL = 3
    ONCE_ORTHONORMAL = 1
    LOGS_AT_ONCE = 16    # variances, of mean one and no less than ε, whose product is a number


# No plane is turned by more at once, in radians: what is expected of a step holds for small ones.
cdef double FURTHEST = M_PI / 4
# The sum over a column of Ω up to which I + Ω + Ω²/2 is orthogonal to 2e-8, and to rounding after a Newton step, which
# squares the error; an Ω halved until it is below 1/4 leaves 1e-3, which takes ORTHONORMAL steps.
cdef double SMALL_TURN = 1.0 / 64
cdef double TINY_TURN = 1.0 / 8192    # The fourth power is rounding, by which I + Ω + Ω²/2 is not orthogonal.
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
    double *variances   # (k,d): v_c, those along the axes
    double *precisions  # (k,d): 1 / v_c
    double *volumes     # (k,): |v_c|^(1/d), and their sum by search.sizes; if the covariances are to have one
    double volume
    double value        # of the objective: Σ_c π_c log |Σ_c| but for a constant


cdef struct Search:
    # A search for the axes of scatters (k,d,d) at which an objective is least.
    Py_ssize_t k, d
    int n_threads
    bint one_volume     # whether the covariances are to have one volume
    double *scatters    # S_c (k,d,d), over units_c, their mean variance
    double *units       # (k,)
    const double *shares    # π (k,)
    double *sizes       # (k,): π_c units_c, over the largest
    double unit         # the largest
    Turned at, next
    double *slopes      # (d,d): H, see set_gradient
    double *gradient    # (d,d) as all that follow
    double *last_gradient
    double *curvature
    double *step
    double *small
    double *rotation
    double *work
    double *other
    double *half        # (k,d,d)
    double *system      # (p,p) of p planes: see set_system
    double *angles      # (p,)
    Move moves[REMEMBERED]
    Py_ssize_t remembered


cdef Py_ssize_t planes_of(Py_ssize_t d) noexcept nogil:
    """How many planes d axes span. That of axes i < j is planes_of(j) + i."""
    return d * (d - 1) // 2


cdef Turned carve_turned(Py_ssize_t k, Py_ssize_t d, Free *free) noexcept nogil:
    return Turned(carve(free, d * d), carve(free, k * d * d), carve(free, k * d), carve(free, k * d), carve(free, k),
                  0.0, 0.0)


cdef void carve_search(Search *search, Free *free) noexcept nogil:
    """OUT what the search points to. IN k, d. IN/OUT free: see carve."""
    cdef Py_ssize_t k = search.k, size = search.d * search.d, q
    cdef Py_ssize_t planes = planes_of(search.d) if search.d <= MOST_NEWTON else 0
    search.scatters, search.half = carve(free, k * size), carve(free, k * size)
    search.units, search.sizes = carve(free, k), carve(free, k)
    search.at, search.next = carve_turned(k, search.d, free), carve_turned(k, search.d, free)
    search.slopes, search.gradient, search.last_gradient = carve(free, size), carve(free, size), carve(free, size)
    search.curvature, search.step, search.small = carve(free, size), carve(free, size), carve(free, size)
    search.rotation, search.work, search.other = carve(free, size), carve(free, size), carve(free, size)
    search.system, search.angles = carve(free, planes * planes), carve(free, planes)
    for q in range(REMEMBERED):
        search.moves[q] = Move(carve(free, size), carve(free, size), 0.0)


cdef void set_scatters(Search *search, const double *scatters) noexcept nogil:
    """OUT scatters, units, sizes, unit. IN shares; scatters (k,d,d)."""
    cdef Py_ssize_t k = search.k, d = search.d, c, j, q
    cdef double unit
    search.unit = DBL_MIN
    for c in range(k):
        unit = 0.0
        for j in range(d):
            unit += scatters[c * d * d + j * (d + 1)] / d
        search.units[c] = unit = max(unit, DBL_MIN)
        for q in range(c * d * d, (c + 1) * d * d):
            search.scatters[q] = scatters[q] / unit
        search.unit = max(search.unit, search.shares[c] * unit)
    for c in range(k):
        search.sizes[c] = search.shares[c] * search.units[c] / search.unit


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


cdef double log_of_product(Py_ssize_t d, const double *variances) noexcept nogil:
    """log Π v, of variances (d,) of mean one that known_variances has seen: no product of so many leaves the range."""
    cdef double total = 0.0, product = 1.0
    cdef Py_ssize_t j
    for j in range(d):
        product *= variances[j]
        if j % LOGS_AT_ONCE == LOGS_AT_ONCE - 1:
            total += log(product)
            product = 1.0
    return total + log(product)


cdef void set_value(Search *search, Turned *at) noexcept nogil:
    """OUT at.variances, volumes, volume, value: of at.scatters."""
    cdef Py_ssize_t k = search.k, d = search.d, c, j
    cdef double log_volume
    at.value = at.volume = 0.0
    for c in range(k):
        for j in range(d):
            at.variances[c * d + j] = at.scatters[(c * d + j) * d + j]
        known_variances(d, at.variances + c * d)
        for j in range(d):
            at.precisions[c * d + j] = 1.0 / at.variances[c * d + j]
        log_volume = log_of_product(d, at.variances + c * d)
        if search.one_volume:
            at.volumes[c] = exp(log_volume / d)
            at.volume += search.sizes[c] * at.volumes[c]
        else:
            at.value += search.shares[c] * log_volume
    if search.one_volume:
        at.value = d * log(at.volume)


cdef double weight_of(const Search *search, Py_ssize_t c) noexcept nogil:
    """The derivative of the objective by log |v_c|."""
    if search.one_volume:
        return search.sizes[c] * search.at.volumes[c] / search.at.volume
    return search.shares[c]


cdef inline void turn_small(Py_ssize_t d, const double *axes, const double *scatter, double *turned) noexcept nogil:
    """OUT turned (d,d): Dᵀ S D, symmetric. IN axes D (d,d), scatter S (d,d), a d that the compiler knows."""
    cdef double half[MOST_SMALL * MOST_SMALL]
    cdef double x
    cdef Py_ssize_t i, j, q
    multiply_small(d, scatter, axes, half)
    for i in range(d):
        for j in range(i + 1):
            x = 0.0
            for q in range(d):
                x += axes[q * d + i] * half[q * d + j]
            turned[i * d + j] = turned[j * d + i] = x


cdef void turn_scatter(Py_ssize_t d, const double *axes, const double *scatter, double *half,
                       double *turned) noexcept nogil:
    """The same for any d. SCRATCH half (d,d)."""
    cdef Py_ssize_t i, j, q
    cdef double a
    multiply(d, scatter, axes, half)
    for i in range(d):
        for j in range(i + 1):
            turned[i * d + j] = 0.0
        for q in range(d):
            a = axes[q * d + i]
            for j in range(i + 1):
                turned[i * d + j] += a * half[q * d + j]
        for j in range(i):
            turned[j * d + i] = turned[i * d + j]


cdef void turn_component(const Search *search, const Turned *at, Py_ssize_t c) noexcept nogil:
    """OUT at.scatters of a component."""
    cdef Py_ssize_t d = search.d, first = c * d * d
    if d == 2:
        turn_small(2, at.axes, search.scatters + first, at.scatters + first)
    elif d == 3:
        turn_small(3, at.axes, search.scatters + first, at.scatters + first)
    elif d == 4:
        turn_small(4, at.axes, search.scatters + first, at.scatters + first)
    else:
        turn_scatter(d, at.axes, search.scatters + first, search.half + first, at.scatters + first)


cdef void turn_to(Search *search, Turned *at) noexcept nogil:
    """OUT at.scatters, variances, volumes, volume, value. IN at.axes."""
    cdef Py_ssize_t k = search.k, c
    cdef int threads = team(roots_at_once(k, search.d, search.n_threads), search.n_threads)
    if threads == 1:
        for c in range(k):
            turn_component(search, at, c)
    else:
        for c in prange(k, schedule="static", num_threads=threads):
            turn_component(search, at, c)
    set_value(search, at)


cdef void set_gradient(Search *search) noexcept nogil:
    """OUT gradient by the angle of a rotation in each plane of two axes, skew-symmetric: 2 (Hᵀ − H); slopes: H, whose
    row j is Σ_c w_c s_cj / v_cj, with w_c the derivative by log |v_c| and s_cj the column of S_c."""
    cdef Py_ssize_t k = search.k, d = search.d, c, i, j
    cdef const double *turned = search.at.scatters
    cdef double *H = search.slopes
    cdef double weight, slope
    memset(H, 0, d * d * sizeof(double))
    for c in range(k):
        weight = weight_of(search, c)
        for j in range(d):
            slope = weight * search.at.precisions[c * d + j]
            for i in range(d):
                H[j * d + i] += turned[i] * slope
            turned += d
    for i in range(d):
        for j in range(i + 1):
            search.gradient[i * d + j] = 2.0 * (H[j * d + i] - H[i * d + j])
            search.gradient[j * d + i] = -search.gradient[i * d + j]


cdef void set_curvature(Search *search) noexcept nogil:
    """OUT curvature: the second derivative by the angle of a rotation in each plane, of the objective whose derivatives
    by the variances stay as they are: never negative."""
    cdef Py_ssize_t k = search.k, d = search.d, c, i, j
    cdef const double *turned
    cdef double *cross = search.other
    cdef double weight, slope
    memset(cross, 0, d * d * sizeof(double))
    for c in range(k):
        turned = search.at.scatters + c * d * d
        weight = weight_of(search, c)
        for j in range(d):
            slope = weight * search.at.precisions[c * d + j]
            for i in range(d):
                cross[j * d + i] += turned[i * (d + 1)] * slope
    for i in range(d):
        for j in range(d):
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
    set_curvature(search)
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
    if size <= TINY_TURN:
        turns = 0
    elif size > SMALL_TURN:
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
    # A single component's axes are known, but for rounding.
    cdef Py_ssize_t tried, next_newton = 0 if search.k > 1 and search.d <= MOST_NEWTON else MOST_TURNS
    cdef double slope, share = 0.0
    cdef bint convex = False
    search.remembered = 0
    turn_to(search, &search.at)
    set_gradient(search)
    for tried in range(MOST_TURNS):
        # The second derivatives of the step before tell whether there is another to make.
        if convex and not solve_down(search) > rounding_of_value(search.d, search.at.value):
            break
        convex = tried >= next_newton and set_newton_step(search)
        if not convex:
            set_step(search)
            if tried >= next_newton:
                next_newton = 2 * tried + 2    # Where rows are few, ways are long on which it is never convex.
        slope = 0.5 * inner(search.d * search.d, search.gradient, search.step)
        if slope < 0 and go_downhill(search, slope, &share):
            search.gradient, search.last_gradient = search.last_gradient, search.gradient
            set_gradient(search)
            remember_move(search, share)
        elif convex and -slope > rounding_of_value(search.d, search.at.value):
            next_newton, convex = 2 * tried + 2, False    # as where a variance is held
        elif search.remembered and not convex:
            search.remembered = 0
        else:
            break


cdef double variance_of(const Search *search, Py_ssize_t c, Py_ssize_t j) noexcept nogil:
    """That of a covariance along an axis: see to_one_volume."""
    cdef double variance = search.at.variances[c * search.d + j]
    if search.one_volume:
        return bounded(variance / search.at.volumes[c] * search.at.volume * search.unit)
    return bounded(variance * search.units[c])


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
