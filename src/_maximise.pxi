# The M-step, and the density of the parameters that it makes. Part of _kernels.pyx.
#
# What an M-step makes of the same statistics is the same bits, whether Python makes it (maximise) or class Iterations:
# both call these functions. Sums are plain loops for that reason: NumPy's add up in another order.


cdef double LOG_2PI = log(2 * M_PI)


cdef enum Family:
    # The families that hold any covariances of their shape, by the names that mclust has for them: full, tied,
    # diagonal, spherical. In a family of which SHARED says more, components share a part of their covariances.
    VVV, EEE, VVI, VII


FAMILIES = {"full": VVV, "tied": EEE, "diag": VVI, "spherical": VII, "EII": VII, "E": VII, "V": VII, "EEI": VVI,
            "VEI": VVI, "EVI": VVI, "EEE": VVV, "VEE": VVV, "EVE": VVV, "VVE": VVV, "EEV": VVV, "VEV": VVV, "EVV": VVV}


cdef struct Parameters:
    # As cgmm.mixture.parameters.Parameters has them.
    double *weights        # (k,)
    double *means          # (k,d)
    double *covariances    # VVV (k,d,d), EEE (d,d), VVI (k,d) or VII (k,)
    double *root           # the same


cdef struct Floor:
    # What variances do not fall below, and what is added to them.
    const double *least    # (d,): variances
    double moved           # times the squared distance that a mean moves
    double rounded         # times the square of a mean
    double relative        # times itself, of a variance in a matrix
    double added


cdef struct Diagonals:
    # The diagonals of k matrices, wherever they are: that of component c, feature j is at[c * component + j * feature].
    const double *at
    Py_ssize_t component
    Py_ssize_t feature


cdef Diagonals diagonals_of(Family family, const double *matrices, Py_ssize_t d) noexcept nogil:
    """Those of the covariances or the roots of a family, in its shape."""
    if family == VVV:
        return Diagonals(matrices, d * d, d + 1)
    if family == EEE:
        return Diagonals(matrices, 0, d + 1)
    if family == VVI:
        return Diagonals(matrices, d, 1)
    return Diagonals(matrices, 1, 0)


cdef Py_ssize_t covariances_size(Family family, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    """How many doubles the covariances are."""
    return k * d * d if family == VVV else d * d if family == EEE else k * d if family == VVI else k


cdef double total_of(const double *values, Py_ssize_t count) noexcept nogil:
    """Σ v, of values (count,), in their order."""
    cdef double total = 0.0
    cdef Py_ssize_t q
    for q in range(count):
        total += values[q]
    return total


cdef double squares_of(const double *values, Py_ssize_t count) noexcept nogil:
    """Σ v², of values (count,), in their order."""
    cdef double total = 0.0
    cdef Py_ssize_t q
    for q in range(count):
        total += values[q] * values[q]
    return total


cdef double log_product(const double *values, Py_ssize_t count, Py_ssize_t stride) noexcept nogil:
    """Σ log v, of `count` values that are `stride` apart."""
    cdef double total = 0.0
    cdef Py_ssize_t q
    for q in range(count):
        total += log(values[q * stride])
    return total


cdef void centralise(Moment moment, Py_ssize_t k, Py_ssize_t d, const double *mass, const double *counts,
                     const Statistics *given, double *offsets, double *means, double *covariances) noexcept nogil:
    """OUT offsets (k,d): first / mass; means (k,d): shift + offsets; covariances, in the shape of second: (second −
    Σ mass · offset offsetᵀ) / counts. IN mass (k,); counts (k,), of moment POOLED (1,); given: first, second, shift.

    The second moments are about the means once the scatter of what lies between is subtracted.
    """
    cdef const double *first = given.first
    cdef const double *second = given.second
    cdef const double *o
    cdef double value
    cdef Py_ssize_t c, b, i, j, at
    for c in range(k):
        for j in range(d):
            offsets[c * d + j] = first[c * d + j] / mass[c]
            means[c * d + j] = given.shift[c * d + j] + offsets[c * d + j]
    if moment == FULL or moment == POOLED:
        for c in range(k if moment == FULL else 1):
            for i in range(d):
                at = (c * d + i) * d
                memcpy(covariances + at, second + at, (i + 1) * sizeof(double))
                for b in range(c, c + 1 if moment == FULL else k):
                    o = offsets + b * d
                    value = mass[b] * o[i]
                    for j in range(i + 1):
                        covariances[at + j] -= value * o[j]
                for j in range(i + 1):
                    covariances[at + j] /= counts[c]
            mirror(d, covariances + c * d * d)
    elif moment == DIAG:
        for c in range(k):
            for j in range(c * d, (c + 1) * d):
                covariances[j] = (second[j] - mass[c] * (offsets[j] * offsets[j])) / counts[c]
    else:
        for c in range(k):
            covariances[c] = (second[c] - mass[c] * squares_of(offsets + c * d, d)) / counts[c]


cdef void least_of(Py_ssize_t k, Py_ssize_t d, const Floor *floor, const double *offsets, const double *means,
                   double *least, double *most) noexcept nogil:
    """OUT least (k,d): the variances below which none falls, as degenerate.exact_to has them; most (d,): the largest of
    a feature. IN offsets (k,d), which the means (k,d) moved."""
    cdef double o, mean
    cdef Py_ssize_t q
    memset(most, 0, d * sizeof(double))
    for q in range(k * d):
        o, mean = offsets[q], means[q]
        least[q] = max(floor.least[q % d], max(floor.moved * (o * o), floor.rounded * (mean * mean)))
        most[q % d] = max(most[q % d], least[q])


cdef bint hold_variances(Family family, Py_ssize_t d, const double *least, double added, double *variances,
                         double *root) noexcept nogil:
    """IN/OUT variances of a component, VVI (d,) or VII (1,): held from below, and `added` to; OUT root, the same shape.
    IN least (d,). False where any was held."""
    cdef bint fine = True
    cdef double bound
    cdef Py_ssize_t q
    for q in range(d if family == VVI else 1):
        bound = least[q] if family == VVI else total_of(least, d) / d
        if not variances[q] >= bound:
            variances[q] = bound
            fine = False
        variances[q] += added
        root[q] = 1.0 / sqrt(variances[q])
    return fine


cdef double reach_of(Py_ssize_t k, Py_ssize_t d, const double *weights, const double *means, Diagonals variances,
                     Py_ssize_t m, Diagonals roots, double *scratch) noexcept nogil:
    """The largest variance of a feature in the mixture over that left of it in a component, given the features before
    it. IN weights (k,), means (k,d), variances of k components, roots of m. SCRATCH (2,d)."""
    cdef double *mean = scratch
    cdef double *spread = scratch + d
    cdef double own, away, p, most = 0.0
    cdef Py_ssize_t c, j
    memset(scratch, 0, 2 * d * sizeof(double))
    for c in range(k):
        for j in range(d):
            mean[j] += weights[c] * means[c * d + j]
    for c in range(k):
        for j in range(d):
            own = variances.at[c * variances.component + j * variances.feature]
            away = means[c * d + j] - mean[j]
            spread[j] += weights[c] * (own + away * away)
    for c in range(m):
        for j in range(d):
            p = roots.at[c * roots.component + j * roots.feature]
            most = max(most, p * p * spread[j])
    return most


cdef void normalise(const double *log_det, const double *weights, Py_ssize_t k, Py_ssize_t d,
                    double *log_norm) noexcept nogil:
    """OUT log_norm (k,): log π_c + log |P_c| − d/2 log 2π. IN log_det (k,): log |P_c|; weights (k,)."""
    cdef double constant = 0.5 * d * LOG_2PI
    cdef Py_ssize_t c
    for c in range(k):
        log_norm[c] = log(weights[c]) + log_det[c] - constant


cdef void log_dets_of(Family family, Py_ssize_t k, Py_ssize_t d, const double *root, double *log_det) noexcept nogil:
    """OUT log_det (k,): log |P_c|. IN root, of the family's shape."""
    cdef Py_ssize_t c
    for c in range(k):
        if family == EEE:
            log_det[c] = log_det[0] if c else log_product(root, d, d + 1)
        elif family == VVV:
            log_det[c] = log_product(root + c * d * d, d, d + 1)
        elif family == VVI:
            log_det[c] = log_product(root + c * d, d, 1)
        else:
            log_det[c] = d * log_product(root + c, 1, 1)


cdef void centre_of(Py_ssize_t k, Py_ssize_t d, const double *weights, const double *means, Py_ssize_t *order,
                    double *centre) noexcept nogil:
    """OUT centre (d,): the weighted median of the means in each feature. IN weights (k,),
    means (k,d). IN/OUT order (d,k): all components, nearly in the order of their means in a feature, then wholly."""
    cdef Py_ssize_t *sorted
    cdef Py_ssize_t j, q, r, c
    cdef double passed
    for j in range(d):
        sorted = order + j * k
        for q in range(1, k):
            c = sorted[q]
            r = q
            while r > 0 and (means[sorted[r - 1] * d + j] > means[c * d + j] or
                             (means[sorted[r - 1] * d + j] == means[c * d + j] and sorted[r - 1] > c)):
                sorted[r] = sorted[r - 1]
                r -= 1
            sorted[r] = c
        passed, c = 0.0, sorted[0]
        for q in range(k):
            passed += weights[sorted[q]]
            if passed >= 0.5:
                c = sorted[q]
                break
        centre[j] = means[c * d + j]


def weighted_median(const double[:, ::1] means, const double[::1] weights, Py_ssize_t[:, ::1] order):
    """The weighted median of the means (k,d) in each feature, (d,); order (d,k): the components by their means."""
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1]
    centre = np.empty(d)
    cdef double[::1] out = centre
    centre_of(k, d, &weights[0], &means[0, 0], &order[0, 0], &out[0])
    return centre


def total(const double[::1] values):
    """Σ_q v_q, in order."""
    return total_of(&values[0], values.shape[0])


def sum_of_squares(const double[:, ::1] array):
    """Σ a_ij²: a number to compare with, for a fraction of what NumPy takes to call."""
    return squares_of(&array[0, 0], array.shape[0] * array.shape[1])


def log_products(const double[:, :] values):
    """Σ_j log v_cj, (m,)."""
    cdef Py_ssize_t m = values.shape[0], c, stride = values.strides[1] // <Py_ssize_t> sizeof(double)
    found = np.empty(m)
    cdef double[::1] out = found
    for c in range(m):
        out[c] = log_product(&values[c, 0], values.shape[1], stride)
    return found


def log_norms(const double[::1] log_det, const double[::1] weights, Py_ssize_t d):
    """log π_c + log |P_c| − d/2 log 2π, (k,)."""
    found = np.empty(len(weights))
    cdef double[::1] out = found
    normalise(&log_det[0], &weights[0], weights.shape[0], d, &out[0])
    return found


def central_moments(moment, const double[::1] mass, const double[::1] counts, first, second, shift):
    """Offsets first / mass (k,d), means shift + offsets, and covariances (second − Σ mass · offset offsetᵀ) / counts in
    the shape of second: see cgmm.mixture.statistics. mass (k,); counts (k,), of moment "pooled" (1,)."""
    cdef Py_ssize_t k = first.shape[0], d = first.shape[1]
    cdef Moment kind = MOMENTS[moment]
    arrays = [np.ascontiguousarray(array, dtype=np.float64) for array in (first, second, shift)]
    if mass.shape[0] != k or counts.shape[0] != (1 if kind == POOLED else k) or shift.shape != first.shape:
        raise ValueError("mass, counts and moments do not fit each other")
    if arrays[1].size != second_size(kind, k, d):
        raise ValueError(f"second moments of shape {second.shape} are not {moment}")
    cdef Statistics given
    given.first = <double *> address(arrays[0])
    given.second = <double *> address(arrays[1])
    given.shift = <double *> address(arrays[2])
    offsets, means, covariances = np.empty((k, d)), np.empty((k, d)), np.empty(second.shape)
    centralise(kind, k, d, &mass[0], &counts[0], &given, <double *> address(offsets), <double *> address(means),
               <double *> address(covariances))
    return offsets, means, covariances


cdef Diagonals diagonals_in(const double[:, :] array) noexcept:
    cdef Py_ssize_t size = sizeof(double)
    return Diagonals(&array[0, 0], array.strides[0] // size, array.strides[1] // size)


def reach(const double[::1] weights, const double[:, ::1] means, const double[:, :] variances,
          const double[:, :] roots):
    """The largest variance of a feature in a mixture over that left of it in a component, given those before it:
    variances (k,d) of each feature in each component; roots (m,d), the diagonals of P of each, or of one for all."""
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1], m = roots.shape[0]
    if weights.shape[0] != k or variances.shape[0] != k or variances.shape[1] != d or roots.shape[1] != d:
        raise ValueError("weights, means, variances and roots do not fit each other")
    cdef double *scratch = <double *> cgmm_allocate(align(2 * d * sizeof(double)))
    if scratch == NULL:
        raise MemoryError("no memory for the reach of a mixture")
    found = reach_of(k, d, &weights[0], &means[0, 0], diagonals_in(variances), m, diagonals_in(roots), scratch)
    cgmm_release(scratch)
    return found
