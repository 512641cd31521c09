# What components share of their covariances: of scatters of their own, the covariances of highest likelihood (Celeux
# and Govaert 1995). Part of _kernels.pyx.
#
# A covariance is Σ_c = λ_c D_c A_c D_cᵀ: its volume λ_c = |Σ_c|^(1/d), its shape A_c, a diagonal matrix with |A_c| = 1,
# and its axes D_c, an orthogonal one. S_c is the scatter of a component over its weight, π_c its share of the weights;
# −2 / n times the expected log-likelihood is then Σ_c π_c (log |Σ_c| + tr S_c Σ_c⁻¹) but for a constant.


cdef enum Sharing:
    # What all components share of their covariances.
    NOTHING, COVARIANCE, VOLUME, SHAPE, VOLUME_AND_SHAPE, SHAPE_AND_AXES, AXES, VOLUME_AND_AXES


# Of each compiled family; FAMILIES says which of the four has its covariances, each component its own.
SHARED = {"full": NOTHING, "tied": NOTHING, "diag": NOTHING, "spherical": NOTHING, "V": NOTHING,
          "E": COVARIANCE, "EII": COVARIANCE, "EEI": COVARIANCE, "EEE": COVARIANCE,
          "VEI": SHAPE, "EVI": VOLUME, "VEE": SHAPE_AND_AXES, "EVE": VOLUME_AND_AXES, "VVE": AXES,
          "EEV": VOLUME_AND_SHAPE, "VEV": SHAPE, "EVV": VOLUME}


cdef enum:
    # Alternations between volumes and a shape at most: the gain of each is a share of that of the one before.
    MOST_ALTERNATIONS = 1000


cdef struct Joining:
    # What the M-step of a family whose components share something works with.
    Family family
    Sharing sharing
    Py_ssize_t k, d
    int n_threads
    const Roots *roots
    double *logs          # (k,)
    double *volumes       # (k,)
    double *variances     # (k,d)
    double *turns         # (k,d,d): axes, the rows
    double *beside        # (k,d)
    double *pooled        # (d,d) or (d,)
    double *precision     # the same
    double *root          # (d,d)
    double *narrow        # (k,): of scatters that were held the condition numbers, of the others zero
    double *square        # d × (d + 2)
    Search search


cdef bint shares_axes(Sharing sharing) noexcept nogil:
    """Whether axes that all share are searched for."""
    return sharing == AXES or sharing == VOLUME_AND_AXES


cdef bint has_own_axes(Family family, Sharing sharing) noexcept nogil:
    """Whether the covariances are made of variances along principal axes."""
    return family == VVV and (sharing == SHAPE or sharing == VOLUME_AND_SHAPE or shares_axes(sharing))


cdef void carve_joining(Joining *of, Free *free) noexcept nogil:
    """OUT what `of` points to. IN family, sharing, k, d, n_threads. IN/OUT free: see carve."""
    cdef Py_ssize_t k = of.k, d = of.d
    cdef Py_ssize_t size = d * d if of.family == VVV else d
    of.logs, of.volumes = carve(free, k), carve(free, k)
    of.pooled, of.precision = carve(free, size), carve(free, size)
    of.root = carve(free, size if of.sharing == SHAPE_AND_AXES else 0)
    of.variances, of.beside = carve(free, k * d), carve(free, k * d)
    of.narrow, of.square = carve(free, k), carve(free, d * (d + 2))
    of.turns = carve(free, k * d * d if has_own_axes(of.family, of.sharing) and not shares_axes(of.sharing) else 0)
    if shares_axes(of.sharing):
        of.search.k, of.search.d, of.search.n_threads = k, d, of.n_threads
        of.search.one_volume = of.sharing == VOLUME_AND_AXES
        carve_search(&of.search, free)


cdef void set_log_volumes(Joining *of, const double *root) noexcept nogil:
    """OUT logs (k,): log |Σ_c|^(1/d). IN root: P of each covariance."""
    cdef Py_ssize_t c
    log_dets_of(of.family, of.k, of.d, root, of.logs)
    for c in range(of.k):
        of.logs[c] *= -2.0 / of.d


cdef void set_volumes(Joining *of, const double *root) noexcept nogil:
    """OUT volumes (k,): in proportion to |Σ_c|^(1/d)."""
    cdef double mean
    cdef Py_ssize_t c
    set_log_volumes(of, root)
    mean = total_of(of.logs, of.k) / of.k
    for c in range(of.k):
        of.volumes[c] = exp(of.logs[c] - mean)


cdef void divide_by_mean(Py_ssize_t k, const double *shares, double *volumes) noexcept nogil:
    """IN/OUT volumes (k,): over their geometric mean, Π_c λ_c^π_c = 1."""
    cdef double mean = 0.0
    cdef Py_ssize_t c
    for c in range(k):
        mean += shares[c] * log(volumes[c])
    mean = exp(mean)
    for c in range(k):
        volumes[c] /= mean


cdef double invert_pooled(Joining *of, bint matrix) noexcept nogil:
    """OUT precision: the inverse of `pooled`, (d,d) or (d,). Returns log |pooled|."""
    cdef Py_ssize_t d = of.d, i, j, r
    cdef double p
    if not matrix:
        for j in range(d):
            of.precision[j] = 1.0 / of.pooled[j]
        return log_product(of.pooled, d, 1)
    if not take_root(TARGETS[TARGET].f64, d, of.pooled, of.root, memory_of_lane(of.roots, 0), of.n_threads):
        return invert_nearly_singular(of)
    memset(of.precision, 0, d * d * sizeof(double))
    for r in range(d):
        for i in range(r + 1):
            p = of.root[r * d + i]
            for j in range(i + 1):
                of.precision[i * d + j] += p * of.root[r * d + j]
    for i in range(d):
        for j in range(i):
            of.precision[j * d + i] = of.precision[i * d + j]
    return -2.0 * log_product(of.root, d, d + 1)


cdef double invert_nearly_singular(Joining *of) noexcept nogil:
    """The same of a matrix that rounding has made singular: its variances are held at the rounding of the largest."""
    cdef Py_ssize_t d = of.d, j
    cdef double log_det
    memcpy(of.root, of.pooled, d * d * sizeof(double))
    eigen(d, of.root, of.variances, of.beside)
    known_variances(d, of.variances)
    log_det = log_product(of.variances, d, 1)
    for j in range(d):
        of.variances[j] = 1.0 / of.variances[j]
    from_axes(d, of.variances, of.root, of.precision)
    return log_det


cdef void own_volumes(Joining *of, bint matrix, const double *shares, double *scatters) noexcept nogil:
    """IN/OUT scatters (k,d,d) or (k,d): Σ_c = λ_c C, a volume for each and one C. IN/OUT of.volumes (k,): from which λ
    starts. SCRATCH pooled, precision.

    C = Σ_c π_c S_c / λ_c for these λ, and λ_c = tr(S_c C⁻¹) / d for this C, in turn, until |C| falls no more, with
    Π_c λ_c^π_c = 1 (Celeux and Govaert 1995, sections 4.2.2 and 4.3.2). No optimum but the best is met: in the
    logarithm of the parameters along geodesics the objective is convex.
    """
    cdef Py_ssize_t k = of.k, d = of.d, size = d * d if matrix else d, c, q, tried
    cdef double lowest = INFINITY, log_det
    for tried in range(MOST_ALTERNATIONS):
        divide_by_mean(k, shares, of.volumes)
        memset(of.pooled, 0, size * sizeof(double))
        for c in range(k):
            add_times(size, shares[c] / of.volumes[c], scatters + c * size, of.pooled)
        log_det = invert_pooled(of, matrix)
        if not log_det < lowest - rounding_of_value(d, log_det):
            break
        lowest = log_det
        for c in range(k):
            of.volumes[c] = inner(size, scatters + c * size, of.precision) / d
    divide_by_mean(k, shares, of.volumes)
    for c in range(k):
        for q in range(size):
            scatters[c * size + q] = bounded(of.volumes[c] * of.pooled[q])


cdef void find_own_axes(Joining *of, Py_ssize_t first) noexcept nogil:
    """OUT turns, variances of as many components as eigen_beside takes at once, from the first on. IN turns: their
    covariances."""
    cdef Py_ssize_t d = of.d, m = min(eigen_at_once(d), of.k - first), c
    eigen_beside(m, d, of.turns + first * d * d, of.variances + first * d, of.beside + first * d)
    for c in range(first, first + m):
        known_variances(d, of.variances + c * d)


cdef void join_shapes(Joining *of, const double *shares, double *covariances) noexcept nogil:
    """EEV and VEV: the variances along each component's own axes become of one shape. IN of.volumes, for VEV."""
    cdef Py_ssize_t k = of.k, d = of.d, size = d * d, c, j
    cdef Py_ssize_t at_once = eigen_at_once(d), parts = (k + at_once - 1) // at_once
    cdef int threads = team(roots_at_once(k, d, of.n_threads), of.n_threads)
    memcpy(of.turns, covariances, k * size * sizeof(double))
    if threads == 1:    # OpenMP's runtime is entered for one thread, too.
        for c in range(parts):
            find_own_axes(of, c * at_once)
    else:
        for c in prange(parts, schedule="static", num_threads=threads):
            find_own_axes(of, c * at_once)
    if of.sharing == SHAPE:
        own_volumes(of, False, shares, of.variances)
    else:
        memset(of.pooled, 0, d * sizeof(double))
        for c in range(k):
            add_times(d, shares[c], of.variances + c * d, of.pooled)
        for c in range(k):
            for j in range(d):
                of.variances[c * d + j] = of.pooled[j]
    for c in range(k):
        from_axes(d, of.variances + c * d, of.turns + c * size, covariances + c * size)


cdef void join_axes(Joining *of, const double *shares, const double *last, double *covariances) noexcept nogil:
    """EVE and VVE: along axes that all share. IN last: covariances from whose axes the search starts."""
    cdef Search *search = &of.search
    cdef Py_ssize_t k = of.k, d = of.d, c, j
    search.shares = shares
    set_scatters(search, covariances)
    axes_common_to(k, d, last, search.at.axes, of.variances, search.work)
    find_axes(search)
    transpose(d, search.at.axes, search.work)
    for c in range(k):
        for j in range(d):
            of.variances[j] = variance_of(search, c, j)
        from_axes(d, of.variances, search.work, covariances + c * d * d)


cdef void join(Joining *of, const double *shares, const double *root, const double *last_root, const double *last,
               double *covariances) noexcept nogil:
    """IN/OUT covariances: each component's own; those of highest likelihood that share what they are to. IN shares (k,)
    of the weights; root: P of each component's own; last_root, last: P and covariances before, or root and
    covariances."""
    cdef Py_ssize_t size = of.d * of.d if of.family == VVV else of.d
    if of.sharing == VOLUME:
        set_log_volumes(of, root)
        to_one_volume(of.k, size, of.d, shares, of.logs, covariances)
    elif shares_axes(of.sharing):
        join_axes(of, shares, last, covariances)
    else:
        if of.sharing != VOLUME_AND_SHAPE:
            set_volumes(of, last_root)
        if has_own_axes(of.family, of.sharing):
            join_shapes(of, shares, covariances)
        else:
            own_volumes(of, of.family == VVV, shares, covariances)


cdef void share_one(Py_ssize_t k, Py_ssize_t size, double *covariances) noexcept nogil:
    """OUT covariances[0] (size,): the mean of the covariances (k,size)."""
    cdef Py_ssize_t c, q
    for c in range(1, k):
        add_times(size, 1.0, covariances + c * size, covariances)
    for q in range(size):
        covariances[q] /= k


cdef void copy_to_all(Py_ssize_t k, Py_ssize_t size, double *values) noexcept nogil:
    """OUT values[1:] (k − 1,size): the first."""
    cdef Py_ssize_t c
    for c in range(1, k):
        memcpy(values + c * size, values, size * sizeof(double))


cdef bint is_blurred(Py_ssize_t d, const double *covariance, const double *root) noexcept nogil:
    """Whether rounding leaves nothing of the smallest variance of a covariance (d,d), P (d,d)."""
    cdef double largest = 0.0, steepest = 0.0, precision
    cdef Py_ssize_t i, j
    for j in range(d):
        largest = max(largest, covariance[j * (d + 1)])
        precision = 0.0
        for i in range(j, d):
            precision += root[i * d + j] * root[i * d + j]
        steepest = max(steepest, precision)
    return largest * steepest >= 0.25 / (DBL_EPSILON * d)    # both are d-th parts of a trace, at least


cdef double condition_of(Family family, Py_ssize_t d, const double *covariance, const double *root,
                         double *scratch) noexcept nogil:
    """The largest over the smallest eigenvalue of a covariance, (d,d) or of variances (d,), P its root. The smallest is
    that of the precision: of the covariance, it would be rounding. SCRATCH d × (d + 2)."""
    cdef double *square = scratch
    cdef double *values = scratch + d * d
    cdef double *beside = values + d
    cdef double most = 0.0, least = INFINITY, unit = 0.0
    cdef Py_ssize_t i, j
    if family != VVV:
        for j in range(d):
            most, least = max(most, covariance[j]), min(least, covariance[j])
        return most / least
    memcpy(square, covariance, d * d * sizeof(double))
    eigen(d, square, values, beside)
    most = values[d - 1]
    for i in range(d * d):
        unit = max(unit, fabs(root[i]))
    for i in range(d):
        for j in range(i + 1):
            square[i * d + j] = square[j * d + i] = inner(j + 1, root + i * d, root + j * d) / unit / unit
    eigen(d, square, values, beside)
    return most * unit * unit * values[d - 1]


def condition_numbers(const double[:, :, ::1] covariances, const double[:, :, ::1] roots):
    """The largest over the smallest eigenvalue of each covariance (m,d,d), P of each."""
    cdef Py_ssize_t m = covariances.shape[0], d = covariances.shape[1], c
    found, scratch = np.empty(m), np.empty(d * d + 2 * d)
    cdef double[::1] out = found
    cdef double[::1] free_doubles = scratch
    for c in range(m):
        out[c] = condition_of(VVV, d, &covariances[c, 0, 0], &roots[c, 0, 0], &free_doubles[0])
    return found


def joined(family, covariances, root, const double[::1] shares, last, last_root, int n_threads=1):
    """The covariances of highest likelihood of a family whose components share something, of each component's own.

    covariances, root : (k,d,d) or (k,d), positive definite, and P of each;  shares : (k,) of the weights
    last, last_root : those before, or None
    """
    found = np.array(covariances, dtype=np.float64, order="C")
    roots = np.ascontiguousarray(root, dtype=np.float64)
    before = np.array(covariances if last is None else last, dtype=np.float64, order="C")
    root_before = roots if last_root is None else np.ascontiguousarray(last_root, dtype=np.float64)
    cdef Py_ssize_t k = found.shape[0], d = found.shape[1]
    cdef Joining of
    cdef Free free = Free(NULL, 0)
    cdef _RootMemories memories = _RootMemories(1, d, n_threads)
    of.family, of.sharing, of.k, of.d, of.n_threads = FAMILIES[family], SHARED[family], k, d, n_threads
    if of.family not in (VVV, VVI) or of.sharing in (NOTHING, COVARIANCE):
        raise ValueError(f"components of family {family} do not share a part of their covariances")
    shape = (k, d) + (d,) * (of.family == VVV)
    if shares.shape[0] != k or any(array.shape != shape for array in (found, roots, before, root_before)):
        raise ValueError(f"covariances and roots must be {shape}, and shares ({k},)")
    carve_joining(&of, &free)
    memory = np.empty(free.taken)
    free = Free(<double *> address(memory), 0)
    carve_joining(&of, &free)
    of.roots = &memories.memories
    cdef const double *given = <const double *> address(roots)
    cdef const double *given_before = <const double *> address(root_before)
    cdef const double *earlier = <const double *> address(before)
    cdef double *out = <double *> address(found)
    with nogil:
        join(&of, &shares[0], given, given_before, earlier, out)
    return found
