# Mixtures near mixtures, many at a time: with a component split, or two merged. Their covariances are still to be held,
# and to share what they are to. Part of _kernels.pyx.


cdef struct Outline:
    # A mixture of k components and d features; or the first of m.
    Family family
    bint shared            # whether all components have one covariance, which stays
    Py_ssize_t m, k, d
    double *weights        # (k,)
    double *means          # (k,d)
    double *covariances    # of the family's shape


cdef int point_to(Outline *of, family, arrays) except -1:
    """OUT of: what arrays (m, …) of weights, means and covariances hold, which their caller keeps."""
    weights, means, covariances = arrays
    of.family, of.shared = FAMILIES[family], FAMILIES[family] == EEE or SHARED[family] == COVARIANCE
    of.m, of.k, of.d = means.shape
    if weights.shape != (of.m, of.k) or covariances.size != of.m * covariances_size(of.family, of.k, of.d):
        raise ValueError(f"weights, means and covariances do not fit: {weights.shape, means.shape, covariances.shape}")
    of.weights, of.means = <double *> address(weights), <double *> address(means)
    of.covariances = <double *> address(covariances)
    return 0


cdef Outline outline_at(const Outline *of, Py_ssize_t i) noexcept nogil:
    """The i-th; the first, if there is one."""
    cdef Outline own = of[0]
    if of.m > 1:
        own.weights += i * of.k
        own.means += i * of.k * of.d
        own.covariances += i * covariances_size(of.family, of.k, of.d)
    return own


cdef tuple room_for(const Outline *like, Py_ssize_t m, Py_ssize_t k):
    """Arrays for m mixtures of k components."""
    cdef tuple shapes = shapes_of(like.family, k, like.d)
    return tuple([np.empty((m, *shape)) for shape in shapes[:3]])


cdef double *covariance_of(const Outline *of, Py_ssize_t c) noexcept nogil:
    """That of a component."""
    return of.covariances + (0 if of.family == EEE else c * covariances_size(of.family, 1, of.d))


cdef void expand(const Outline *of, const double *covariance, double *matrix) noexcept nogil:
    """OUT matrix (d,d): a component's covariance."""
    cdef Py_ssize_t d = of.d, j
    if of.family == VVV or of.family == EEE:
        memcpy(matrix, covariance, d * d * sizeof(double))
        return
    memset(matrix, 0, d * d * sizeof(double))
    for j in range(d):
        matrix[j * (d + 1)] = covariance[j if of.family == VVI else 0]


cdef void compact(const Outline *of, const double *matrix, double *covariance) noexcept nogil:
    """OUT covariance: of the family's, that which is nearest to a matrix (d,d)."""
    cdef Py_ssize_t d = of.d, j
    if of.family == VVV:
        memcpy(covariance, matrix, d * d * sizeof(double))
    elif of.family == VVI:
        for j in range(d):
            covariance[j] = matrix[j * (d + 1)]
    else:
        covariance[0] = 0.0
        for j in range(d):
            covariance[0] += matrix[j * (d + 1)] / d


cdef void put(const Outline *to, Py_ssize_t c, double weight, const double *mean, const double *matrix) noexcept nogil:
    """OUT component c: its mean (d,), and the covariance that is nearest to a matrix (d,d)."""
    to.weights[c] = weight
    memcpy(to.means + c * to.d, mean, to.d * sizeof(double))
    if not to.shared:
        compact(to, matrix, covariance_of(to, c))


cdef void put_others(const Outline *of, const Outline *to, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """OUT to: all components but a and b, the first ones; and the covariance that all share."""
    cdef Py_ssize_t d = of.d, c, at = 0, size = covariances_size(of.family, 1, d) * sizeof(double)
    for c in range(of.k):
        if c != a and c != b:
            to.weights[at] = of.weights[c]
            memcpy(to.means + at * d, of.means + c * d, d * sizeof(double))
            memcpy(covariance_of(to, at), covariance_of(of, c), size)
            at += 1
    if of.shared:
        for c in range(to.k):
            memcpy(covariance_of(to, c), of.covariances, size)


cdef void split_one(const Outline *of, const Outline *to, Py_ssize_t c, const double *low, const double *high,
                    double *step, bint known, double *scratch) noexcept nogil:
    """OUT to: the mixture with component c as two, the last. IN/OUT step (d,): known, or found. SCRATCH
    (2, d (d + 1))."""
    cdef Py_ssize_t d = of.d, j, q
    cdef double side
    cdef double *matrix = scratch
    cdef double *mean = matrix + d * d
    cdef double *axes = mean + d
    cdef double *values = axes + d * d
    put_others(of, to, c, c)
    expand(of, covariance_of(of, c), matrix)
    if not known:
        memcpy(axes, matrix, d * d * sizeof(double))
        eigen(d, axes, values, mean)
        for j in range(d):
            step[j] = sqrt(max(values[d - 1], 0.0) / 2.0) * axes[(d - 1) * d + j]
    for j in range(d):
        for q in range(d):
            matrix[j * d + q] -= step[j] * step[q]
    for q in range(2):
        side = 1.0 if q else -1.0
        for j in range(d):
            mean[j] = min(max(of.means[c * d + j] + side * step[j], low[j]), high[j])
        put(to, of.k - 1 + q, of.weights[c] / 2.0, mean, matrix)


cdef void merge_two(const Outline *of, const Outline *to, Py_ssize_t a, Py_ssize_t b, double *scratch) noexcept nogil:
    """OUT to: the mixture with components a and b as one, the last. SCRATCH (2, d (d + 1))."""
    cdef Py_ssize_t d = of.d, j, q
    cdef double weight = of.weights[a] + of.weights[b], share = of.weights[a] / max(weight, DBL_MIN), rest = 1.0 - share
    cdef const double *ours = of.means + a * d
    cdef const double *theirs = of.means + b * d
    cdef double *matrix = scratch
    cdef double *mean = matrix + d * d
    cdef double *other = mean + d
    put_others(of, to, a, b)
    expand(of, covariance_of(of, a), matrix)
    expand(of, covariance_of(of, b), other)
    for j in range(d):
        mean[j] = share * ours[j] + rest * theirs[j]
        for q in range(d):
            matrix[j * d + q] = share * matrix[j * d + q] + rest * other[j * d + q] \
                + share * rest * (ours[j] - theirs[j]) * (ours[q] - theirs[q])
    put(to, of.k - 2, weight, mean, matrix)


cdef int check_components(const Py_ssize_t[::1] components, const Outline *of) except -1:
    """ValueError unless there is a component of each mixture, or they are all of one."""
    cdef Py_ssize_t m = components.shape[0]
    if (of.m != 1 and m != of.m) or (m and not all_below(&components[0], m, of.k)):
        raise ValueError(f"a component, of 0 … {of.k - 1}, is needed for each of {of.m} mixtures")
    return 0


def split_each(family, weights, means, covariances, const Py_ssize_t[::1] components, const double[::1] low,
               const double[::1] high, const double[:, ::1] steps=None):
    """Mixtures with one component (m,) of each as two, the last: see cgmm.fit.split_merge.split.

    weights (m,k), means (m,k,d), covariances (m, …) : of the mixtures, or of one, whose components are split
    low, high : (d,) between which means stay
    steps : (m,d) from the mean to that of a half, or None: found here, which takes long with hundreds of features
    """
    cdef Outline of, to, own, found
    cdef Py_ssize_t i, m = components.shape[0]
    cdef bint known = steps is not None
    given = [np.ascontiguousarray(array, dtype=np.float64) for array in (weights, means, covariances)]
    point_to(&of, family, given)
    check_components(components, &of)
    if not low.shape[0] == high.shape[0] == of.d or (known and not (steps.shape[0] == m and steps.shape[1] == of.d)):
        raise ValueError(f"low, high and steps must be of {of.d} features")
    arrays = room_for(&of, m, of.k + 1)
    point_to(&to, family, arrays)
    memory = np.empty(2 * of.d * (of.d + 1) + of.d)
    cdef double *free_doubles = <double *> address(memory)
    cdef double *step = free_doubles + 2 * of.d * (of.d + 1)
    with nogil:
        for i in range(m):
            if known:
                memcpy(step, &steps[i, 0], of.d * sizeof(double))
            own, found = outline_at(&of, i), outline_at(&to, i)
            split_one(&own, &found, components[i], &low[0], &high[0], step, known, free_doubles)
    return arrays


def merge_each(family, weights, means, covariances, const Py_ssize_t[::1] a, const Py_ssize_t[::1] b):
    """Mixtures, or one, with components a and b (m,), which differ, as one: see cgmm.fit.split_merge.merge."""
    cdef Outline of, to, own, found
    cdef Py_ssize_t i, m = a.shape[0]
    cdef bint differ = b.shape[0] == m
    given = [np.ascontiguousarray(array, dtype=np.float64) for array in (weights, means, covariances)]
    point_to(&of, family, given)
    check_components(a, &of)
    check_components(b, &of)
    for i in range(m):
        differ = differ and a[i] != b[i]
    if not differ:
        raise ValueError("two components of each mixture are merged")
    arrays = room_for(&of, m, of.k - 1)
    point_to(&to, family, arrays)
    memory = np.empty(2 * of.d * (of.d + 1))
    cdef double *free_doubles = <double *> address(memory)
    with nogil:
        for i in range(m):
            own, found = outline_at(&of, i), outline_at(&to, i)
            merge_two(&own, &found, a[i], b[i], free_doubles)
    return arrays


cdef double variance_in(const Outline *of, Py_ssize_t c, Py_ssize_t j) noexcept nogil:
    """That of a feature in a component."""
    cdef const double *own = covariance_of(of, c)
    return own[j * (of.d + 1)] if of.family == VVV or of.family == EEE else own[j] if of.family == VVI else own[0]


cdef void find_closeness(const Outline *of, const double *least, double *spread, double *found) noexcept nogil:
    """OUT found (k,k): see closeness. SCRATCH spread (d,)."""
    cdef Py_ssize_t k = of.k, d = of.d, a, b, c, j
    cdef double away, total
    for j in range(d):
        total = 0.0
        for c in range(k):
            total += of.weights[c] * variance_in(of, c, j)
        spread[j] = sqrt(max(total, least[j]))
    for a in range(k):
        for b in range(k):
            total = 1e-3
            for j in range(d):
                away = (of.means[a * d + j] - of.means[b * d + j]) / spread[j]
                total += away * away
            found[a * k + b] = 1.0 / total if a < b else 0.0


def closeness(family, weights, means, covariances, const double[::1] least):
    """1 / (0.001 + |(μ_a − μ_b) / s|²) for a < b, of components of a mixture, s_j² being the mean of their variances,
    but not below least (d,); zero for the others, (k·k,).

    weights (1,k), means (1,k,d), covariances (1,…) : the mixture
    """
    cdef Outline of
    given = [np.ascontiguousarray(array, dtype=np.float64) for array in (weights, means, covariances)]
    point_to(&of, family, given)
    if of.m != 1 or least.shape[0] != of.d:
        raise ValueError(f"one mixture, and variances of {of.d} features, are needed")
    found, spread = np.empty(of.k * of.k), np.empty(of.d)
    cdef double *out = <double *> address(found)
    cdef double *scratch = <double *> address(spread)
    with nogil:
        find_closeness(&of, &least[0], scratch, out)
    return found
