# The M-step and the form of the density it makes; and both with the pass between them, iteration after iteration,
# nogil. Part of _kernels.pyx.
#
# What an M-step makes of the same statistics is the same bits, whether Python asks for it (cgmm.em.maximise) or a loop
# here: both call these functions. Sums are plain loops for that reason: NumPy's add up in another order.


cdef double LOG_2PI = log(2 * M_PI)


cdef struct Limits:
    # What an ordinary iteration stays within.
    const double *floor    # (d,): variances
    double moved           # times the squared distance that a mean moves, of a variance
    double rounded         # times the square of a mean, of a variance
    double relative        # of its own, of a variance in a matrix
    double added           # to variances
    double starved         # the weight of a component
    double fall            # relative, of the log-likelihood
    double reach           # of the parameters


cdef struct Mixture:
    # Parameters as cgmm.parameters.Parameters has them.
    double *weights        # (k,)
    double *means          # (k,d)
    double *covariances    # as the family has them: VVV (k,d,d), EEE (d,d), VVI (k,d) or VII (k,)
    double *root           # the same


cdef struct Diagonals:
    # The diagonals of k matrices, wherever they are: that of component c, feature j is at[c * component + j * feature].
    const double *at
    Py_ssize_t component
    Py_ssize_t feature


cdef Diagonals diagonals_of(Family family, const double *matrices, Py_ssize_t d) noexcept nogil:
    """Of the covariances or the roots of a family."""
    if family == VVV:
        return Diagonals(matrices, d * d, d + 1)
    if family == EEE:
        return Diagonals(matrices, 0, d + 1)
    if family == VVI:
        return Diagonals(matrices, d, 1)
    return Diagonals(matrices, 1, 0)


cdef Py_ssize_t covariances_size(Family family, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    return k * d * d if family == VVV else d * d if family == EEE else k * d if family == VVI else k


cdef double total_of(const double *values, Py_ssize_t count) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t q
    for q in range(count):
        total += values[q]
    return total


cdef double squares_of(const double *values, Py_ssize_t count) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t q
    for q in range(count):
        total += values[q] * values[q]
    return total


cdef double log_product(const double *values, Py_ssize_t count, Py_ssize_t stride) noexcept nogil:
    """Σ log v, of values that are `stride` apart."""
    cdef double total = 0.0
    cdef Py_ssize_t q
    for q in range(count):
        total += log(values[q * stride])
    return total


cdef void normalise(const double *log_det, const double *weights, Py_ssize_t k, Py_ssize_t d,
                    double *log_norm) noexcept nogil:
    """log_norm (k,) ← log π_c + log |P_c| − d/2 log 2π."""
    cdef double constant = 0.5 * d * LOG_2PI
    cdef Py_ssize_t c
    for c in range(k):
        log_norm[c] = log(weights[c]) + log_det[c] - constant


cdef void centralise(Moment moment, Py_ssize_t k, Py_ssize_t d, const double *mass, const double *counts,
                     const Statistics *given, double *offsets, double *means, double *covariances) noexcept nogil:
    """Means ← shift + offsets, offsets ← first / mass, and covariances ← (second − Σ mass · offset offsetᵀ) / counts.

    mass (k,); counts (k,), of moment POOLED (1,). The second moments are about the means once the scatter of what lies
    between is subtracted.
    """
    cdef const double *first = given.first
    cdef const double *second = given.second
    cdef const double *o
    cdef double value
    cdef Py_ssize_t c, i, j, at
    for c in range(k):
        for j in range(d):
            offsets[c * d + j] = first[c * d + j] / mass[c]
            means[c * d + j] = given.shift[c * d + j] + offsets[c * d + j]
    if moment == FULL or moment == POOLED:
        for c in range(k if moment == FULL else 1):
            o = offsets + c * d
            at = c * d * d
            for i in range(d):
                for j in range(i + 1):
                    value = second[at + i * d + j]
                    if moment == FULL:
                        value -= mass[c] * o[i] * o[j]
                    covariances[at + i * d + j] = value
        if moment == POOLED:
            for c in range(k):
                o = offsets + c * d
                for i in range(d):
                    value = mass[c] * o[i]
                    for j in range(i + 1):
                        covariances[i * d + j] -= value * o[j]
        for c in range(k if moment == FULL else 1):
            at = c * d * d
            for i in range(d):
                for j in range(i + 1):
                    value = covariances[at + i * d + j] / counts[c]
                    covariances[at + i * d + j] = value
                    covariances[at + j * d + i] = value
    elif moment == DIAG:
        for c in range(k):
            for j in range(c * d, (c + 1) * d):
                covariances[j] = (second[j] - mass[c] * (offsets[j] * offsets[j])) / counts[c]
    else:
        for c in range(k):
            covariances[c] = (second[c] - mass[c] * squares_of(offsets + c * d, d)) / counts[c]


cdef double reach_of(Py_ssize_t k, Py_ssize_t d, const double *weights, const double *means, Diagonals variances,
                     Py_ssize_t m, Diagonals roots, double *scratch) noexcept nogil:
    """The largest variance of a feature in the mixture over that left of it in a component, given the features before
    it. Of roots there are m. SCRATCH (2,d)."""
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
    the shape of second: see cgmm.statistics.SufficientStatistics. mass (k,); counts (k,), of moment "pooled" (1,)."""
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
    cdef double[::1] scratch = np.empty(2 * d)
    return reach_of(k, d, &weights[0], &means[0, 0], diagonals_in(variances), m, diagonals_in(roots), &scratch[0])


cdef double *carve(double **free, Py_ssize_t count) noexcept:
    """The next part of a memory."""
    cdef double *part = free[0]
    free[0] += count
    return part


cdef Mixture carve_mixture(double **free, Py_ssize_t k, Py_ssize_t d, Py_ssize_t size) noexcept:
    return Mixture(carve(free, k), carve(free, k * d), carve(free, size), carve(free, size))


cdef class Iterations:
    """EM on rows at hand, iteration after iteration, as long as each is ordinary: no component starves, and the
    log-likelihood does not fall. Bit for bit what cgmm.em does one by one.

    X, row_weights, moment as expectation; density of any parameters, for its form; family "full", "tied", "diag" or
    "spherical", whose M-step it is; limits as struct Limits; lifting: cgmm.matrices.lift.
    """
    cdef _Pass work
    cdef Family family
    cdef int n_threads
    cdef Limits limits
    cdef Mixture before, now, after
    cdef Statistics found
    cdef Py_ssize_t k, d, size
    cdef double *sums
    cdef double *offsets
    cdef double *log_det
    cdef double *log_norm
    cdef double *own_centre
    cdef double *least          # (k,d)
    cdef double *most           # (d,)
    cdef double *scratch
    cdef double *ones
    cdef Py_ssize_t *order      # (d,k): the components by their means
    cdef object floor, memory, indices, lifting
    cdef list held
    cdef Py_ssize_t count

    def __cinit__(self, X, density, moment, family, row_weights, limits, lifting, int n_threads):
        cdef Py_ssize_t k, d, q, scratch
        cdef double *free
        self.work = _Pass(X, density, row_weights, moment)
        self.family, self.n_threads, self.lifting = FAMILIES[family], n_threads, lifting
        if self.work.work.moment != {VVV: FULL, EEE: POOLED, VVI: DIAG, VII: RADIAL}[self.family]:
            raise ValueError(f"the compiled M-step of {family} covariances does not take {moment} moments")
        self.k, self.d = k, d = self.work.work.k, self.work.work.d
        self.size = covariances_size(self.family, k, d)
        self.floor = limits[0]
        self.limits = Limits(<const double *> address(self.floor), limits[1], limits[2], limits[3], limits[4],
                             limits[5], limits[6], limits[7])
        scratch = max((d + 1) * d, k * (k + d))
        self.memory = np.empty(7 * (k + k * d + self.size) + 2 * d + scratch + self.work.work.sums.size)
        self.indices = np.empty(d * k, dtype=np.intp)
        self.order, free = <Py_ssize_t *> address(self.indices), <double *> address(self.memory)
        self.before = carve_mixture(&free, k, d, self.size)
        self.now = carve_mixture(&free, k, d, self.size)
        self.after = carve_mixture(&free, k, d, self.size)
        self.found.n_k, self.found.first = carve(&free, k), carve(&free, k * d)
        self.found.second, self.found.shift = carve(&free, self.size), carve(&free, k * d)
        self.offsets, self.least = carve(&free, k * d), carve(&free, k * d)
        self.log_det, self.log_norm, self.ones = carve(&free, k), carve(&free, k), carve(&free, k)
        self.own_centre, self.most, self.scratch = carve(&free, d), carve(&free, d), carve(&free, scratch)
        self.sums = free
        for q in range(k):
            self.ones[q] = 1.0
        for q in range(k * d):
            self.order[q] = q % k
        self.work.work.centre = self.own_centre

    cdef void set_centre(self) noexcept nogil:
        """The weighted median of the means in each feature: see cgmm.parameters."""
        cdef Py_ssize_t k = self.k, d = self.d, j, q, r, c
        cdef const double *means = self.now.means
        cdef Py_ssize_t *order
        cdef double reach
        for j in range(d):
            order = self.order + j * k
            for q in range(1, k):    # they are nearly in order since the iteration before
                c = order[q]
                r = q
                while r > 0 and (means[order[r - 1] * d + j] > means[c * d + j] or
                                 (means[order[r - 1] * d + j] == means[c * d + j] and order[r - 1] > c)):
                    order[r] = order[r - 1]
                    r -= 1
                order[r] = c
            reach, c = 0.0, order[0]
            for q in range(k):
                reach += self.now.weights[order[q]]
                if reach >= 0.5:
                    c = order[q]
                    break
            self.own_centre[j] = means[c * d + j]

    cdef void set_density(self) noexcept nogil:
        """Give the pass the density of the parameters."""
        cdef Py_ssize_t k = self.k, d = self.d, c
        cdef double *root = self.now.root
        self.set_centre()
        for c in range(k):
            if self.family == EEE:
                self.log_det[c] = self.log_det[0] if c else log_product(root, d, d + 1)
            elif self.family == VVV:
                self.log_det[c] = log_product(root + c * d * d, d, d + 1)
            elif self.family == VVI:
                self.log_det[c] = log_product(root + c * d, d, 1)
            else:
                self.log_det[c] = d * log_product(root + c, 1, 1)
        normalise(self.log_det, self.now.weights, k, d, self.log_norm)
        load(&self.work.work, self.now.means, self.ones if self.family == EEE else root, self.log_norm,
             root if self.family == EEE else NULL, self.offsets)

    cdef void set_least(self) noexcept nogil:
        """The variances (k,d) below which none of the new ones falls, by cgmm.degenerate.exact_to; the largest (d,)."""
        cdef Py_ssize_t k = self.k, d = self.d, q
        cdef double o, mean
        memset(self.most, 0, d * sizeof(double))
        for q in range(k * d):
            o, mean = self.offsets[q], self.after.means[q]
            self.least[q] = max(self.limits.floor[q % d],
                                max(self.limits.moved * (o * o), self.limits.rounded * (mean * mean)))
            self.most[q % d] = max(self.most[q % d], self.least[q])

    cdef int lift(self, Py_ssize_t c) except -1:
        """Hold a new matrix as cgmm.matrices.lift does."""
        cdef Py_ssize_t d = self.d, size = d * d * sizeof(double)
        cdef double *covariance = self.after.covariances + c * d * d
        S, least = np.empty((d, d)), np.empty(d)
        memcpy(address(S), covariance, size)
        memcpy(address(least), self.most if self.family == EEE else self.least + c * d, d * sizeof(double))
        S, root, lifted = self.lifting(S, least, self.limits.added)
        S, root = np.ascontiguousarray(S), np.ascontiguousarray(root)
        memcpy(covariance, address(S), size)
        memcpy(self.after.root + c * d * d, address(root), size)
        if lifted:
            self.held.append((self.count, c))
        return 0

    cdef int set_root(self) except -1 nogil:
        """Hold the new variances from below, add to them, and take the roots."""
        cdef Py_ssize_t d = self.d, features = d if self.family == VVI else 1, c, q
        cdef double *covariances = self.after.covariances
        cdef double least
        cdef bint fine
        self.set_least()
        if self.family == VVV or self.family == EEE:
            for c in range(self.size // (d * d)):
                if not hold_root(TARGETS[TARGET].f64, d, covariances + c * d * d, self.most, self.limits.relative,
                                 self.limits.added, self.scratch, self.after.root + c * d * d):
                    with gil:
                        self.lift(c)
            return 0
        for c in range(self.k):
            fine = True
            for q in range(c * features, (c + 1) * features):
                least = self.least[q] if self.family == VVI else total_of(self.least + c * d, d) / d
                if not covariances[q] >= least:
                    covariances[q] = least
                    fine = False
                covariances[q] += self.limits.added
                self.after.root[q] = 1.0 / sqrt(covariances[q])
            if not fine:
                with gil:
                    self.held.append((self.count, c))
        return 0

    cdef bint any_starves(self) noexcept nogil:
        cdef Py_ssize_t c
        for c in range(self.k):
            if not self.found.n_k[c] >= self.limits.starved:
                return True
        return False

    cdef int maximise(self) except -1 nogil:
        """The M-step, from the statistics found."""
        cdef Py_ssize_t k = self.k, d = self.d, c
        cdef double whole = total_of(self.found.n_k, k)
        cdef double *counts = self.scratch
        for c in range(k):
            self.after.weights[c] = self.found.n_k[c] / whole
            counts[c] = d * self.found.n_k[c] if self.family == VII else self.found.n_k[c]
        centralise(self.work.work.moment, k, d, self.found.n_k, &whole if self.family == EEE else counts, &self.found,
                   self.offsets, self.after.means, self.after.covariances)
        return self.set_root()

    cdef double reach(self) noexcept nogil:
        """Of the parameters: see reach_of."""
        return reach_of(self.k, self.d, self.now.weights, self.now.means,
                        diagonals_of(self.family, self.now.covariances, self.d), 1 if self.family == EEE else self.k,
                        diagonals_of(self.family, self.now.root, self.d), self.scratch)

    cdef bint step(self, double *lower_bound, double *change) except? -1 nogil:
        """One iteration; False where it is not an ordinary one, and nothing has changed."""
        cdef Work *work = &self.work.work
        cdef double objective
        if isfinite(self.limits.reach) and self.reach() > self.limits.reach:
            return False
        self.set_density()
        memset(self.sums, 0, work.sums.size * sizeof(double))
        run(work, self.n_threads, self.sums)
        objective = self.sums[0] / self.sums[1]
        change[0] = objective - lower_bound[0]
        if not (isfinite(objective) and change[0] >= -self.limits.fall * max(1.0, fabs(objective))):
            return False
        take_sums(work, self.sums, self.now.root, self.scratch, &self.found)
        if self.any_starves():
            return False
        self.maximise()
        self.before, self.now, self.after = self.now, self.after, self.before
        lower_bound[0] = objective
        return True

    def advance(self, weights, means, covariances, root, double lower_bound, double tol, Py_ssize_t most):
        """Up to `most` iterations from these parameters, the log-likelihood before them being lower_bound.

        Returns the mean log-likelihoods (m,); whether a change of less than tol, and whether an iteration that is not
        ordinary ended it; parameters, those before the last iteration (undefined if there was none), and its n_k; and
        pairs of an iteration, from 0, and a component whose covariance was held from below in it.
        """
        cdef double change = 0.0
        cdef bint converged = False, ordinary = True
        given = tuple(np.ascontiguousarray(array) for array in (weights, means, covariances, root))
        bounds = np.empty(most)
        cdef double[::1] out = bounds
        self.count, self.held = 0, []
        self.copy(&self.now, given, True)
        with nogil:
            while ordinary and not converged and self.count < most:
                ordinary = self.step(&lower_bound, &change)
                if ordinary:
                    out[self.count] = lower_bound
                    self.count += 1
                    converged = fabs(change) < tol
        now, before = (tuple(np.empty(array.shape) for array in given) for _ in range(2))
        self.copy(&self.now, now, False)
        self.copy(&self.before, before, False)
        n_k = np.empty(self.k)
        memcpy(address(n_k), self.found.n_k, self.k * sizeof(double))
        return bounds[:self.count], converged, not ordinary, now, before, n_k, self.held

    cdef copy(self, Mixture *mixture, arrays, bint into):
        """Between a mixture and arrays of its weights, means, covariances and root."""
        cdef double *parts[4]
        cdef Py_ssize_t q
        parts[0], parts[1], parts[2], parts[3] = mixture.weights, mixture.means, mixture.covariances, mixture.root
        for q in range(4):
            if into:
                memcpy(parts[q], address(arrays[q]), arrays[q].nbytes)
            else:
                memcpy(address(arrays[q]), parts[q], arrays[q].nbytes)
