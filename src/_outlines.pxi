# Mixtures near mixtures, many at a time: with a component split, or two merged. Their covariances are still to be held,
# and to share what they are to. Part of _kernels.pyx.


cdef struct Sketched:
    # m mixtures of k components and d features.
    Family family
    bint shared            # whether all components have one covariance, which stays
    Py_ssize_t m, k, d
    double *weights        # (m,k)
    double *means          # (m,k,d)
    double *covariances    # (m, …) of the family's shape


cdef int point_to(Sketched *of, family, arrays) except -1:
    """OUT of: what arrays of weights, means and covariances hold, which their caller keeps."""
    weights, means, covariances = arrays
    of.family, of.shared = FAMILIES[family], FAMILIES[family] == EEE or SHARED[family] == COVARIANCE
    of.m, of.k, of.d = means.shape
    if weights.shape != (of.m, of.k) or covariances.size != of.m * covariances_size(of.family, of.k, of.d):
        raise ValueError(f"weights, means and covariances do not fit: {weights.shape, means.shape, covariances.shape}")
    of.weights, of.means = <double *> address(weights), <double *> address(means)
    of.covariances = <double *> address(covariances)
    return 0


cdef tuple room_for(const Sketched *like, Py_ssize_t k):
    """Arrays for as many mixtures of k components."""
    cdef tuple shapes = shapes_of(like.family, k, like.d)
    return tuple([np.empty((like.m, *shape)) for shape in shapes[:3]])


cdef double *covariance_at(const Sketched *of, Py_ssize_t i, Py_ssize_t c) noexcept nogil:
    """That of a component of the i-th mixture."""
    cdef Py_ssize_t one = covariances_size(of.family, 1, of.d)
    return of.covariances + (i * one if of.family == EEE else (i * of.k + c) * one)


cdef void expand(const Sketched *of, const double *covariance, double *matrix) noexcept nogil:
    """OUT matrix (d,d): a component's covariance."""
    cdef Py_ssize_t d = of.d, j
    if of.family == VVV or of.family == EEE:
        memcpy(matrix, covariance, d * d * sizeof(double))
        return
    memset(matrix, 0, d * d * sizeof(double))
    for j in range(d):
        matrix[j * (d + 1)] = covariance[j if of.family == VVI else 0]


cdef void compact(const Sketched *of, const double *matrix, double *covariance) noexcept nogil:
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


cdef void put(const Sketched *to, Py_ssize_t i, Py_ssize_t c, double weight, const double *mean,
              const double *matrix) noexcept nogil:
    """OUT component c of the i-th mixture: its mean (d,), and its covariance, which is nearest to a matrix (d,d)."""
    to.weights[i * to.k + c] = weight
    memcpy(to.means + (i * to.k + c) * to.d, mean, to.d * sizeof(double))
    if not to.shared:
        compact(to, matrix, covariance_at(to, i, c))


cdef void put_others(const Sketched *of, const Sketched *to, Py_ssize_t i, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """OUT to: of the i-th mixture all components but a and b, the first ones; and the covariance that all share."""
    cdef Py_ssize_t d = of.d, c, at = 0, size = covariances_size(of.family, 1, d) * sizeof(double)
    for c in range(of.k):
        if c != a and c != b:
            to.weights[i * to.k + at] = of.weights[i * of.k + c]
            memcpy(to.means + (i * to.k + at) * d, of.means + (i * of.k + c) * d, d * sizeof(double))
            memcpy(covariance_at(to, i, at), covariance_at(of, i, c), size)
            at += 1
    if of.shared:
        for c in range(to.k):
            memcpy(covariance_at(to, i, c), covariance_at(of, i, 0), size)


cdef void split_one(const Sketched *of, const Sketched *to, Py_ssize_t i, Py_ssize_t c, const double *low,
                    const double *high, double *step, bint known, double *scratch) noexcept nogil:
    """OUT to: the i-th mixture with component c as two, the last. IN/OUT step (d,): known, or found. SCRATCH
    (2, d (d + 1))."""
    cdef Py_ssize_t d = of.d, j, q
    cdef double weight = of.weights[i * of.k + c] / 2.0, side
    cdef const double *middle = of.means + (i * of.k + c) * d
    cdef double *matrix = scratch
    cdef double *mean = matrix + d * d
    cdef double *axes = mean + d
    cdef double *values = axes + d * d
    put_others(of, to, i, c, c)
    expand(of, covariance_at(of, i, c), matrix)
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
            mean[j] = min(max(middle[j] + side * step[j], low[j]), high[j])
        put(to, i, of.k - 1 + q, weight, mean, matrix)


cdef void merge_two(const Sketched *of, const Sketched *to, Py_ssize_t i, Py_ssize_t a, Py_ssize_t b,
                    double *scratch) noexcept nogil:
    """OUT to: the i-th mixture with components a and b as one, the last. SCRATCH (2, d (d + 1))."""
    cdef Py_ssize_t d = of.d, j, q
    cdef double weight = of.weights[i * of.k + a] + of.weights[i * of.k + b]
    cdef double share = of.weights[i * of.k + a] / max(weight, DBL_MIN), rest = 1.0 - share
    cdef const double *ours = of.means + (i * of.k + a) * d
    cdef const double *theirs = of.means + (i * of.k + b) * d
    cdef double *matrix = scratch
    cdef double *mean = matrix + d * d
    cdef double *other = mean + d
    put_others(of, to, i, a, b)
    expand(of, covariance_at(of, i, a), matrix)
    expand(of, covariance_at(of, i, b), other)
    for j in range(d):
        mean[j] = share * ours[j] + rest * theirs[j]
        for q in range(d):
            matrix[j * d + q] = share * matrix[j * d + q] + rest * other[j * d + q] \
                + share * rest * (ours[j] - theirs[j]) * (ours[q] - theirs[q])
    put(to, i, of.k - 2, weight, mean, matrix)


cdef int check_components(const Py_ssize_t[::1] components, const Sketched *of) except -1:
    """ValueError unless there is a component of each mixture."""
    if components.shape[0] != of.m or not all_below(&components[0], of.m, of.k):
        raise ValueError(f"a component, of 0 … {of.k - 1}, is needed for each of {of.m} mixtures")
    return 0


def split_each(family, weights, means, covariances, const Py_ssize_t[::1] components, const double[::1] low,
               const double[::1] high, const double[:, ::1] steps=None):
    """Mixtures with one component (m,) of each as two, the last: see cgmm.fit.split_merge.split. weights (m,k), means
    (m,k,d), covariances (m, …); low, high (d,): between which means stay.

    steps : (m,d) from the mean to that of a half, or None: found here, which takes long with hundreds of features
    """
    cdef Sketched of, to
    cdef Py_ssize_t i
    given = [np.ascontiguousarray(array, dtype=np.float64) for array in (weights, means, covariances)]
    point_to(&of, family, given)
    check_components(components, &of)
    if not low.shape[0] == high.shape[0] == of.d or (steps is not None and steps.shape[1] != of.d):
        raise ValueError(f"low, high and steps must be of {of.d} features")
    found = room_for(&of, of.k + 1)
    point_to(&to, family, found)
    cdef bint known = steps is not None
    memory = np.empty(2 * of.d * (of.d + 1) + of.d)
    cdef double *free_doubles = <double *> address(memory)
    cdef double *step = free_doubles + 2 * of.d * (of.d + 1)
    with nogil:
        for i in range(of.m):
            if known:
                memcpy(step, &steps[i, 0], of.d * sizeof(double))
            split_one(&of, &to, i, components[i], &low[0], &high[0], step, known, free_doubles)
    return found


def merge_each(family, weights, means, covariances, const Py_ssize_t[::1] a, const Py_ssize_t[::1] b):
    """Mixtures with components a and b (m,) of each, which differ, as one, the last: see cgmm.fit.split_merge.merge."""
    cdef Sketched of, to
    cdef Py_ssize_t i
    given = [np.ascontiguousarray(array, dtype=np.float64) for array in (weights, means, covariances)]
    point_to(&of, family, given)
    check_components(a, &of)
    check_components(b, &of)
    found = room_for(&of, of.k - 1)
    point_to(&to, family, found)
    memory = np.empty(2 * of.d * (of.d + 1))
    cdef double *free_doubles = <double *> address(memory)
    with nogil:
        for i in range(of.m):
            merge_two(&of, &to, i, a[i], b[i], free_doubles)
    return found


def closeness(const double[:, ::1] means, const double[::1] spread):
    """1 / (0.001 + |(μ_a − μ_b) / spread|²) for a < b, of components with means (k,d); zero for the others, (k·k,)."""
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1], a, b, j
    cdef double away, total
    found = np.zeros(k * k)
    cdef double[::1] out = found
    if spread.shape[0] != d:
        raise ValueError(f"spread must be of {d} features")
    with nogil:
        for a in range(k):
            for b in range(a + 1, k):
                total = 1e-3
                for j in range(d):
                    away = (means[a, j] - means[b, j]) / spread[j]
                    total += away * away
                out[a * k + b] = 1.0 / total
    return found
