# Iterations of EM, nogil: a pass, and the M-step of what it leaves, as long as nothing has to be decided. Part of
# _kernels.pyx.


cdef enum:
    LOOK_BACK = 6  # as cgmm.em.loop.LOOK_BACK


cdef struct Limits:
    # What an ordinary iteration stays within.
    Floor floor
    double starved         # the weight of a component
    double fall            # relative, of the log-likelihood
    double reach           # of the parameters


cdef double *carve(double **free, Py_ssize_t count) noexcept:
    """The next `count` doubles of a memory. IN/OUT free: where it goes on."""
    cdef double *taken = free[0]
    free[0] += count
    return taken


cdef Parameters carve_parameters(double **free, Py_ssize_t k, Py_ssize_t d, Py_ssize_t size) noexcept:
    """Memory for parameters whose covariances are `size` doubles. IN/OUT free."""
    return Parameters(carve(free, k), carve(free, k * d), carve(free, size), carve(free, size))


cdef bint gains_nothing(const double *bounds, Py_ssize_t count, Py_ssize_t d, double noise) noexcept nogil:
    """Whether the last iterations of a run gained no more than rounding gives: see cgmm.em.loop. IN bounds (count,)."""
    cdef Py_ssize_t looked = 1 + count // LOOK_BACK
    cdef double last = bounds[count - 1]
    return noise > 0 and count > looked and fabs(last - bounds[count - 1 - looked]) < noise * (d + fabs(last))


cdef class Iterations:
    """EM on rows at hand, iteration after iteration, as long as each is ordinary: no component starves, and the
    log-likelihood does not fall. Bit for bit what cgmm.em does one by one.

    X, row_weights, moment, known as expectation; density of any parameters, for its form; family "full", "tied",
    "diag" or "spherical", whose M-step it is; limits as struct Limits; lifting: cgmm.mixture.matrices.lift.
    """
    cdef _Pass work
    cdef Family family
    cdef int n_threads
    cdef Limits limits
    cdef Parameters before, now, after
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
    cdef unsigned char *found_held    # (k,): what hold_roots says of each
    cdef _RootMemories memories    # of a family of matrices
    cdef object floor, memory, indices, found_in, lifting
    cdef list held
    cdef Py_ssize_t count

    def __cinit__(self, X, density, moment, family, row_weights, limits, lifting, int n_threads,
                  known=None):
        cdef Py_ssize_t k, d, q, scratch
        cdef double *free
        self.work = _Pass(X, density, row_weights, moment, known=known)
        self.family, self.n_threads, self.lifting = FAMILIES[family], n_threads, lifting
        if self.work.work.moment != {VVV: FULL, EEE: POOLED, VVI: DIAG, VII: RADIAL}[self.family]:
            raise ValueError(f"the compiled M-step of {family} covariances does not take {moment} moments")
        self.k, self.d = k, d = self.work.work.k, self.work.work.d
        self.size = covariances_size(self.family, k, d)
        self.floor = limits[0]
        self.limits = Limits(Floor(<const double *> address(self.floor), limits[1], limits[2], limits[3], limits[4]),
                             limits[5], limits[6], limits[7])
        scratch = max(2 * d, k * (k + d))
        self.memory = np.empty(7 * (k + k * d + self.size) + 2 * d + scratch + self.work.work.sums.size)
        self.indices = np.empty(d * k, dtype=np.intp)
        self.found_in = np.empty(k, dtype=np.uint8)
        self.found_held = <unsigned char *> address(self.found_in)
        if self.family == VVV or self.family == EEE:
            self.memories = _RootMemories(k if self.family == VVV else 1, d, n_threads)
        self.order, free = <Py_ssize_t *> address(self.indices), <double *> address(self.memory)
        self.before = carve_parameters(&free, k, d, self.size)
        self.now = carve_parameters(&free, k, d, self.size)
        self.after = carve_parameters(&free, k, d, self.size)
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

    cdef void set_density(self) noexcept nogil:
        """Give the pass the density of the parameters."""
        cdef Py_ssize_t k = self.k, d = self.d
        cdef double *root = self.now.root
        cdef bint whitens = self.family == EEE
        centre_of(k, d, self.now.weights, self.now.means, self.order, self.own_centre)
        log_dets_of(self.family, k, d, root, self.log_det)
        normalise(self.log_det, self.now.weights, k, d, self.log_norm)
        load(&self.work.work, self.now.means, self.ones if whitens else root, self.log_norm,
             root if whitens else NULL, self.offsets)

    cdef int lift(self, Py_ssize_t c) except -1:
        """Hold the c-th new matrix as cgmm.mixture.matrices.lift does, and take its root."""
        cdef Py_ssize_t d = self.d, size = d * d * sizeof(double)
        cdef double *covariance = self.after.covariances + c * d * d
        S, least = np.empty((d, d)), np.empty(d)
        memcpy(address(S), covariance, size)
        memcpy(address(least), self.most if self.family == EEE else self.least + c * d, d * sizeof(double))
        S, root, lifted = self.lifting(S, least, self.limits.floor.added)
        S, root = np.ascontiguousarray(S), np.ascontiguousarray(root)
        memcpy(covariance, address(S), size)
        memcpy(self.after.root + c * d * d, address(root), size)
        if lifted:
            self.held.append((self.count, c))
        return 0

    cdef int set_root(self) except -1 nogil:
        """Hold the new covariances from below, add to them, and take their roots."""
        cdef const Floor *floor = &self.limits.floor
        least_of(self.k, self.d, floor, self.offsets, self.after.means, self.least, self.most)
        if self.family == VVV or self.family == EEE:
            return self.hold_matrices()
        return self.hold_variances()

    cdef int hold_matrices(self) except -1 nogil:
        cdef Py_ssize_t d = self.d, c
        cdef const Floor *floor = &self.limits.floor
        hold_roots(self.memories, self.size // (d * d), self.after.covariances,
                   self.most if self.family == EEE else self.least, 0 if self.family == EEE else d, floor.relative,
                   floor.added, self.after.root, self.found_held)
        for c in range(self.size // (d * d)):
            if self.found_held[c] == SUSPECT:
                with gil:
                    self.lift(c)
            elif self.found_held[c] == ADDED:
                with gil:
                    self.held.append((self.count, c))
        return 0

    cdef int hold_variances(self) except -1 nogil:
        cdef Py_ssize_t d = self.d, features = d if self.family == VVI else 1, c
        for c in range(self.k):
            if not hold_variances(self.family, d, self.least + c * d, self.limits.floor.added,
                                  self.after.covariances + c * features, self.after.root + c * features):
                with gil:
                    self.held.append((self.count, c))
        return 0

    cdef bint any_starves(self) noexcept nogil:
        """Whether a component has less weight than an ordinary iteration leaves it."""
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
        cdef double objective, gained
        if isfinite(self.limits.reach) and self.reach() > self.limits.reach:
            return False
        self.set_density()
        memset(self.sums, 0, work.sums.size * sizeof(double))
        run(work, self.n_threads, &self.work.kept, self.sums)
        objective = self.sums[SUM_OF_LOGS] / self.sums[SUM_OF_WEIGHTS]
        gained = objective - lower_bound[0]
        if not (isfinite(objective) and gained >= -self.limits.fall * max(1.0, fabs(objective))):
            return False
        take_sums(work, self.sums, self.now.root, self.scratch, &self.found)
        if self.any_starves():
            return False
        self.maximise()
        self.before, self.now, self.after = self.now, self.after, self.before
        lower_bound[0], change[0] = objective, gained
        return True

    cdef bint settled(self, double before, double change, double tol, bint distance) noexcept nogil:
        """Whether EM has converged: see cgmm.em.settings.Settings.settled."""
        if not fabs(change) < tol:
            return False
        if not distance or change <= 0:
            return True
        return change * change < tol * (before - change) < INFINITY

    def advance(self, weights, means, covariances, root, double lower_bound, double change,
                const double[::1] earlier, double tol, double noise, bint distance, Py_ssize_t most):
        """Up to `most` iterations from these parameters, the log-likelihood before them being lower_bound, and what it
        gained last being change.

        earlier : the log-likelihoods of the run's iterations so far;  tol, noise : as of cgmm.em.settings.Settings
        Returns the mean log-likelihoods (m,) and the last change; whether the run has converged, and whether an
        iteration that is not ordinary ended it; parameters, those before the last iteration (undefined if there was
        none), and its n_k; and pairs of an iteration, from 0, and a component whose covariance was held in it.
        """
        cdef double last
        cdef Py_ssize_t done = earlier.shape[0]
        cdef bint converged = False, ordinary = True
        given = tuple(np.ascontiguousarray(array) for array in (weights, means, covariances, root))
        bounds = np.empty(done + most)
        bounds[:done] = earlier
        cdef double[::1] out = bounds
        self.count, self.held = 0, []
        self.copy(&self.now, given, True)
        with nogil:
            while ordinary and not converged and self.count < most:
                last = change
                ordinary = self.step(&lower_bound, &change)
                if ordinary:
                    out[done + self.count] = lower_bound
                    self.count += 1
                    converged = (self.settled(last, change, tol, distance) or
                                 gains_nothing(&out[0], done + self.count, self.d, noise))
        now, before = (tuple(np.empty(array.shape) for array in given) for _ in range(2))
        self.copy(&self.now, now, False)
        self.copy(&self.before, before, False)
        n_k = np.empty(self.k)
        memcpy(address(n_k), self.found.n_k, self.k * sizeof(double))
        return bounds[done:done + self.count], change, converged, not ordinary, now, before, n_k, self.held

    cdef copy(self, Parameters *parameters, arrays, bint into):
        """Between parameters and arrays of their weights, means, covariances and root."""
        cdef double *own[4]
        cdef Py_ssize_t q
        own[0], own[1], own[2], own[3] = parameters.weights, parameters.means, parameters.covariances, parameters.root
        for q in range(4):
            if into:
                memcpy(own[q], address(arrays[q]), arrays[q].nbytes)
            else:
                memcpy(address(arrays[q]), own[q], arrays[q].nbytes)
