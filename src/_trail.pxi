# Where EM has been lately, in coordinates, and the quasi-Newton step from there, nogil. Part of _kernels.pyx.
#
# The formulas are those of docs/acceleration.md; cgmm.em.trail and cgmm.mixture.chart say what is done with them, and
# do it where Python decides, by the same functions.


cdef enum:
    TRAIL = REMEMBERED + 1    # points: from each but the last a move leads to the next


# Two steps tell of curvature if the cosine of the angle between the move and the change of the step is larger.
cdef double LEAST_COSINE = 1e-8


cdef struct Shape:
    # Of mixtures.
    Family family
    Py_ssize_t k, d
    Py_ssize_t size       # doubles of the covariances
    Py_ssize_t own        # logarithms of standard deviations: d or one for each covariance
    Py_ssize_t numbers    # coordinates: k, k × d, and of each covariance as many as are free


cdef struct Point:
    # A mixture: its factor L, in the shape of its covariances Σ = L Lᵀ, and logarithms.
    Parameters own
    double *factor
    double *log_weights    # (k,)
    double *log_factor     # (own,): of the diagonal of L
    bint complete          # whether these are there


cdef struct Trail:
    # The last points (count,), and what an M-step made of each.
    Py_ssize_t count
    Point before[TRAIL]
    Point after[TRAIL]
    double radius
    double *scale        # (k,)
    double *at           # (TRAIL, numbers): the points, in coordinates about the last
    double *steps        # (TRAIL, numbers): from each to what an M-step made of it
    double *moves        # (TRAIL, numbers): from one to the next, where these tell of curvature
    double *changes      # (TRAIL, numbers): and how much shorter the step was there
    Py_ssize_t curved    # how many do
    double *direction    # (numbers,)
    double *n_k          # (k,): of the last E-step before a jump
    double *scratch      # (2,d,d), of matrices
    Parameters ahead     # where a jump leads


cdef Py_ssize_t triangle(Py_ssize_t d) noexcept nogil:
    return d * (d + 1) // 2


cdef Shape shape_of(Family family, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    cdef Py_ssize_t m = 1 if family == EEE else k
    cdef Py_ssize_t each = triangle(d) if family == VVV or family == EEE else d if family == VVI else 1
    return Shape(family, k, d, covariances_size(family, k, d), k if family == VII else m * d, k + k * d + m * each)


cdef Py_ssize_t scratch_size(const Shape *shape) noexcept nogil:
    """Doubles of the scratch of mixture_at."""
    return 2 * shape.d * shape.d if shape.family == VVV or shape.family == EEE else 0


cdef Point carve_point(const Shape *shape, Free *free) noexcept nogil:
    """Memory for a point. IN/OUT free."""
    cdef Py_ssize_t k = shape.k
    cdef Point point
    point.own = carve_parameters(free, k, shape.d, shape.size)
    point.factor, point.log_weights = carve(free, shape.size), carve(free, k)
    point.log_factor, point.complete = carve(free, shape.own), False
    return point


cdef void carve_trail(const Shape *shape, Trail *trail, Free *free) noexcept nogil:
    """Memory for a trail. IN/OUT free."""
    cdef Py_ssize_t i
    for i in range(TRAIL):
        trail.before[i], trail.after[i] = carve_point(shape, free), carve_point(shape, free)
    trail.scale, trail.n_k = carve(free, shape.k), carve(free, shape.k)
    trail.at, trail.steps = carve(free, TRAIL * shape.numbers), carve(free, TRAIL * shape.numbers)
    trail.moves, trail.changes = carve(free, TRAIL * shape.numbers), carve(free, TRAIL * shape.numbers)
    trail.direction = carve(free, shape.numbers)
    trail.scratch = carve(free, scratch_size(shape))
    trail.ahead = carve_parameters(free, shape.k, shape.d, shape.size)


cdef void complete(const Shape *shape, Point *point) noexcept nogil:
    """OUT factor and logarithms, if they are not there. IN its own parameters."""
    cdef Py_ssize_t k = shape.k, d = shape.d, c, i, j
    cdef bint square = shape.family == VVV or shape.family == EEE
    cdef const double *S = point.own.covariances
    cdef const double *P = point.own.root
    cdef double *L = point.factor
    if point.complete:
        return
    point.complete = True
    for c in range(k):
        point.log_weights[c] = log(max(point.own.weights[c], DBL_MIN))
    if not square:
        for j in range(shape.size):
            L[j] = 1.0 / P[j]
            point.log_factor[j] = log(L[j])
        return
    for c in range(shape.size // (d * d)):
        for i in range(d):
            for j in range(i + 1):    # Σ Pᵀ = L Lᵀ Pᵀ = L
                L[i * d + j] = inner(j + 1, S + i * d, P + j * d)
            point.log_factor[c * d + i] = log(L[i * d + i])
        S, P, L = S + d * d, P + d * d, L + d * d


cdef void product_row(Py_ssize_t i, Py_ssize_t d, const double *left, const double *right,
                      double *row) noexcept nogil:
    """OUT row (i,): the i-th of the product of two lower triangles (d,d), left of its diagonal. IN left: its i-th."""
    cdef Py_ssize_t q, j
    memset(row, 0, i * sizeof(double))
    for q in range(i + 1):
        for j in range(min(q + 1, i)):
            row[j] += left[q] * right[q * d + j]


cdef void scale_of(const Shape *shape, const double *weights, double *scale) noexcept nogil:
    """OUT scale (k,): √π of the mixture in the middle."""
    cdef Py_ssize_t c
    for c in range(shape.k):
        scale[c] = sqrt(max(weights[c], DBL_MIN))


cdef void coordinates_of(const Shape *shape, const Point *about, const double *scale, const Point *point,
                         double *x) noexcept nogil:
    """OUT x (numbers,): of a point, about another."""
    cdef Py_ssize_t k = shape.k, d = shape.d, each = shape.size // (1 if shape.family == EEE else k), c, i, j, own
    cdef bint square = shape.family == VVV or shape.family == EEE
    cdef double unit = sqrt(2.0 * d) if shape.family == VII else sqrt(2.0), s
    cdef const double *P
    cdef const double *mean
    cdef const double *middle
    cdef double total
    for c in range(k):
        x[c] = scale[c] * point.log_weights[c]
    x += k
    for c in range(k):
        P = about.own.root if shape.family == EEE else about.own.root + c * each
        mean, middle = point.own.means + c * d, about.own.means + c * d
        for i in range(d):
            if square:
                total = 0.0
                for j in range(i + 1):
                    total += P[i * d + j] * (mean[j] - middle[j])
            else:
                total = (mean[i] - middle[i]) * P[i if shape.family == VVI else 0]
            x[i] = scale[c] * total
        x += d
    for c in range(shape.size // each):
        s = 1.0 if shape.family == EEE else scale[c]
        own = shape.own // (shape.size // each)
        for i in range(own):
            if square:
                product_row(i, d, about.own.root + c * each + i * d, point.factor + c * each, x)
                for j in range(i):
                    x[j] *= s
                x += i
            x[0] = s * unit * (point.log_factor[c * own + i] - about.log_factor[c * own + i])
            x += 1


cdef bint mixture_at(const Shape *shape, const Point *about, const double *scale, const double *x, double *scratch,
                     Parameters *to) noexcept nogil:
    """OUT to: the weights, means and covariances of coordinates x (numbers,) about a point. False if any is no number.
    SCRATCH (2,d,d), of matrices."""
    cdef Py_ssize_t k = shape.k, d = shape.d, each = shape.size // (1 if shape.family == EEE else k), c, i, j, own
    cdef bint square = shape.family == VVV or shape.family == EEE
    cdef double unit = sqrt(2.0 * d) if shape.family == VII else sqrt(2.0), s
    cdef double most = -INFINITY, total
    cdef const double *L
    cdef double *relative = scratch
    cdef double *factor = scratch + d * d
    cdef double *S
    for c in range(k):
        to.weights[c] = x[c] / scale[c]
        most = max(most, to.weights[c])
    for c in range(k):
        to.weights[c] = exp(to.weights[c] - most)
    total = total_of(to.weights, k)
    for c in range(k):
        to.weights[c] /= total
    x += k
    for c in range(k):
        L = about.factor if shape.family == EEE else about.factor + c * each
        for i in range(d):
            if square:
                total = 0.0
                for j in range(i + 1):
                    total += L[i * d + j] * (x[j] / scale[c])
            else:
                total = L[i if shape.family == VVI else 0] * (x[i] / scale[c])
            to.means[c * d + i] = about.own.means[c * d + i] + total
        x += d
    for c in range(shape.size // each):
        s = 1.0 if shape.family == EEE else scale[c]
        own = shape.own // (shape.size // each)
        L, S = about.factor + c * each, to.covariances + c * each
        if not square:
            for i in range(own):
                S[i] = L[i] * L[i] * exp(x[i] / s / unit * 2.0)
            x += own
            continue
        for i in range(d):
            for j in range(i):
                relative[i * d + j] = x[j] / s
            relative[i * d + i] = exp(x[i] / s / unit)
            x += i + 1
        for i in range(d):
            product_row(i, d, L + i * d, relative, factor + i * d)
            factor[i * d + i] = L[i * d + i] * relative[i * d + i]
            for j in range(i + 1):
                S[i * d + j] = inner(j + 1, factor + i * d, factor + j * d)
        mirror(d, S)
    for i in range(k):
        if not isfinite(to.weights[i]):
            return False
    for i in range(k * d):
        if not isfinite(to.means[i]):
            return False
    for i in range(shape.size):
        if not isfinite(to.covariances[i]):
            return False
    return True


cdef Py_ssize_t keep_curved(Py_ssize_t m, Py_ssize_t p, double *moves, double *changes) noexcept nogil:
    """IN/OUT moves, changes (m,p): those that tell of curvature come first. Returns how many do."""
    cdef Py_ssize_t i, kept = 0
    cdef double product, size
    for i in range(m):
        product = inner(p, moves + i * p, changes + i * p)
        size = sqrt(inner(p, moves + i * p, moves + i * p)) * sqrt(inner(p, changes + i * p, changes + i * p))
        if product > LEAST_COSINE * size and size > 0:    # squares of small steps may vanish
            if kept < i:
                memcpy(moves + kept * p, moves + i * p, p * sizeof(double))
                memcpy(changes + kept * p, changes + i * p, p * sizeof(double))
            kept += 1
    return kept


cdef void turn(Py_ssize_t m, Py_ssize_t p, const double *step, double *moves, double *changes,
               double *direction) noexcept nogil:
    """OUT direction (p,): the quasi-Newton step that the moves and changes (m,p), one or more, make of a step. It
    begins with the step, times the root of how much longer the last should have been."""
    cdef Move own[REMEMBERED]
    cdef double shares[REMEMBERED]
    cdef double *last = changes + (m - 1) * p
    cdef double product = 0.0, longer
    cdef Py_ssize_t i, q
    for i in range(m):
        product = inner(p, moves + i * p, changes + i * p)
        own[i] = Move(moves + i * p, changes + i * p, product)
    memcpy(direction, step, p * sizeof(double))
    undo_changes(m, p, own, direction, shares)
    longer = sqrt(max(1.0, product / inner(p, last, last)))
    for q in range(p):
        direction[q] *= longer
    follow_moves(m, p, own, shares, direction)


cdef double left_to_gain(Py_ssize_t m, Py_ssize_t p, const double *step, const double *moves,
                         const double *changes) noexcept nogil:
    """½ |step|² / (1 − ρ), ρ EM's slowest rate that was seen."""
    cdef double slowest = 1.0
    cdef Py_ssize_t i
    for i in range(m):
        slowest = max(slowest, inner(p, moves + i * p, moves + i * p) / inner(p, moves + i * p, changes + i * p))
    return 0.5 * slowest * inner(p, step, step)


cdef void look_back(const Shape *shape, Trail *trail) noexcept nogil:
    """OUT trail: scale, at, steps, moves, changes, curved. IN its points, one or more."""
    cdef Py_ssize_t p = shape.numbers, last = trail.count - 1, i, q
    cdef const Point *about = &trail.before[last]
    for i in range(trail.count):
        complete(shape, &trail.before[i])
        complete(shape, &trail.after[i])
    scale_of(shape, about.own.weights, trail.scale)
    for i in range(trail.count):
        coordinates_of(shape, about, trail.scale, &trail.before[i], trail.at + i * p)
        coordinates_of(shape, about, trail.scale, &trail.after[i], trail.steps + i * p)
        for q in range(i * p, (i + 1) * p):
            trail.steps[q] -= trail.at[q]
    for q in range(last * p):
        trail.moves[q] = trail.at[q + p] - trail.at[q]
        trail.changes[q] = trail.steps[q] - trail.steps[q + p]
    trail.curved = keep_curved(last, p, trail.moves, trail.changes)


cdef double remaining(const Shape *shape, Trail *trail) noexcept nogil:
    """What is left to gain at the last point; infinite where nothing is known. See cgmm.em.trail."""
    if trail.count < 2:
        return INFINITY
    look_back(shape, trail)
    return left_to_gain(trail.curved, shape.numbers, trail.steps + (trail.count - 1) * shape.numbers, trail.moves,
                        trail.changes)


cdef void copy_point(const Shape *shape, const Parameters *own, Point *to) noexcept nogil:
    """OUT to: the point of these parameters, not complete: many are forgotten before there is a jump."""
    copy_mixture(own, &to.own, shape.k, shape.d, shape.size)
    to.complete = False


cdef void follow(const Shape *shape, Trail *trail, const Parameters *before, const Parameters *after) noexcept nogil:
    """EM has been at another point."""
    cdef Point first = trail.before[0], second = trail.after[0]
    cdef Py_ssize_t i
    if trail.count == TRAIL:
        for i in range(TRAIL - 1):
            trail.before[i], trail.after[i] = trail.before[i + 1], trail.after[i + 1]
        trail.before[TRAIL - 1], trail.after[TRAIL - 1] = first, second
        trail.count -= 1
    copy_point(shape, before, &trail.before[trail.count])
    copy_point(shape, after, &trail.after[trail.count])
    trail.count += 1


cdef void forget(Trail *trail) noexcept nogil:
    """All points but the last."""
    cdef Point before = trail.before[0], after = trail.after[0]
    cdef Py_ssize_t last = trail.count - 1
    trail.before[0], trail.after[0] = trail.before[last], trail.after[last]
    trail.before[last], trail.after[last] = before, after
    trail.count = 1


cdef double added_of(Py_ssize_t m, Py_ssize_t p, const double *counts, const double *root, double total,
                     double added) noexcept nogil:
    """Σ_c counts_c / total Σ_j (√(½ added) P_cj)², of counts (m,) and roots (m,p): see cgmm.em.loop. Each square is at
    most ½, for none of these variances is less than what is added."""
    cdef double half = sqrt(0.5 * added), found = 0.0, own, each
    cdef Py_ssize_t c, j
    for c in range(m):
        own = 0.0
        for j in range(p):
            each = half * root[c * p + j]
            own += each * each
        found += counts[c] / total * own
    return found


# For Python


# Where covariances have the shape of a family's.
OF_MOMENT = {"full": VVV, "pooled": EEE, "diag": VVI, "radial": VII}


cdef object array_to(const double *values, shape):
    """A copy."""
    array = np.empty(shape)
    memcpy(address(array), values, array.nbytes)
    return array


cdef class _Points:
    """Two points, for what Python asks of them: the middle, and one beside it."""
    cdef Shape shape
    cdef object memory
    cdef Point about, beside
    cdef double *scale
    cdef double *scratch

    def __cinit__(self, moment, about):
        cdef Family own = OF_MOMENT[moment]
        cdef Free free = Free(NULL, 0)
        k, d = about[1].shape
        self.shape = shape_of(own, k, d)
        self.carve(&free)
        self.memory = np.empty(free.taken)
        free = Free(<double *> address(self.memory), 0)
        self.carve(&free)
        self.put(about, &self.about)
        scale_of(&self.shape, self.about.own.weights, self.scale)

    cdef int carve(self, Free *free) except -1:
        self.about, self.beside = carve_point(&self.shape, free), carve_point(&self.shape, free)
        self.scale, self.scratch = carve(free, self.shape.k), carve(free, scratch_size(&self.shape))
        return 0

    cdef int put(self, values, Point *to) except -1:
        copy_parameters(&to.own, tuple(np.ascontiguousarray(array, dtype=float) for array in values), True)
        to.complete = False
        complete(&self.shape, to)
        return 0


def coordinates(moment, about, values):
    """Those (p,) of a mixture about another, of families with this moment: see cgmm.mixture.chart. Of each there are
    weights, means, covariances and root."""
    cdef _Points points = _Points(moment, about)
    points.put(values, &points.beside)
    found = np.empty(points.shape.numbers)
    coordinates_of(&points.shape, &points.about, points.scale, &points.beside, <double *> address(found))
    return found


def at_coordinates(moment, about, const double[::1] x):
    """The weights, means and covariances of coordinates x (p,) about a mixture; None if any is no number."""
    cdef _Points points = _Points(moment, about)
    cdef Parameters *to = &points.beside.own
    if x.shape[0] != points.shape.numbers:
        raise ValueError(f"{x.shape[0]} coordinates of {points.shape.numbers}")
    if not mixture_at(&points.shape, &points.about, points.scale, &x[0], points.scratch, to):
        return None
    return (array_to(to.weights, about[0].shape), array_to(to.means, about[1].shape),
            array_to(to.covariances, about[2].shape))


def curved(double[:, ::1] moves, double[:, ::1] changes):
    """How many of moves and changes (m,p) tell of curvature: they come first then."""
    return keep_curved(moves.shape[0], moves.shape[1], &moves[0, 0], &changes[0, 0]) if moves.shape[0] else 0


def direction(const double[::1] step, double[:, ::1] moves, double[:, ::1] changes):
    """The quasi-Newton step (p,) of moves and changes (m,p), m from 1 to 5: see `turn`."""
    found = np.empty(step.shape[0])
    if not 0 < moves.shape[0] < TRAIL:
        raise ValueError(f"{moves.shape[0]} moves are none or too many")
    turn(moves.shape[0], step.shape[0], &step[0], &moves[0, 0], &changes[0, 0], <double *> address(found))
    return found


def remaining_of(const double[::1] step, const double[:, ::1] moves, const double[:, ::1] changes):
    """½ |step|² / (1 − ρ): see cgmm.em.trail."""
    return left_to_gain(moves.shape[0], step.shape[0], &step[0], &moves[0, 0] if moves.shape[0] else NULL,
                        &changes[0, 0] if moves.shape[0] else NULL)


def inner_product(const double[::1] a, const double[::1] b):
    """Σ a b, in their order."""
    return inner(a.shape[0], &a[0], &b[0])


def added_share(const double[::1] counts, const double[:, ::1] root, double total, double added):
    """Σ_c counts_c / total Σ_j (√(½ added) P_cj)²: see cgmm.em.loop."""
    return added_of(counts.shape[0], root.shape[1], &counts[0], &root[0, 0], total, added)
