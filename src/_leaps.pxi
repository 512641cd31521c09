# The next iterations of one run of EM, for Python. Part of _kernels.pyx.


cdef class Iterations:
    """EM on rows at hand, iteration after iteration, as long as each is ordinary: no component starves, and the
    log-likelihood does not fall. Bit for bit what cgmm.em does one by one.

    X, row_weights, moment, known as expectation; k components; family, a name of FAMILIES, whose M-step it is;
    limits as struct Limits; lifting: cgmm.mixture.matrices.lift; estimating: what makes covariances where a scatter
    is to be held and components share something, see cgmm.em.ordinary, or None; accelerated: whether iterations begin
    where jumps lead.
    """
    cdef Em em
    cdef object X, row_weights, floor, lifting, estimating
    cdef const Py_ssize_t[::1] known

    def __cinit__(self, X, Py_ssize_t k, moment, family, row_weights, limits, lifting, int n_threads, known=None,
                  estimating=None, bint accelerated=False):
        cdef Em *em = &self.em
        cdef Work *work = &em.work
        cdef Family own = FAMILIES[family]
        check_moment(moment, family, own)
        self.X, self.row_weights, self.lifting, self.floor = X, row_weights, lifting, limits[0]
        self.estimating = estimating
        open_em(em, own, SHARED[family], k, X.shape[1], accelerated, n_threads)
        bind(work, X)
        work.row_weights = start_of(checked_weights(row_weights, work.n))    # self.row_weights keeps them
        if known is not None:
            self.known = checked_labels(known, work.n, k)
            work.known = &self.known[0]
        em.limits = limits_of(limits, self.floor)
        lay_out_em(em)

    def __dealloc__(self):
        close_em(&self.em)

    def advance(self, weights, means, covariances, root, double lower_bound, double change,
                const double[::1] earlier, double tol, double noise, bint distance, Py_ssize_t most, n_k=None,
                trail=None, bint singular=True):
        """Up to `most` iterations from these parameters, the log-likelihood before them being lower_bound, and what it
        gained last being change.

        earlier : the log-likelihoods of the run's iterations so far;  tol, noise : as of cgmm.em.settings.Settings
        n_k, trail : of the last E-step (k,), and a cgmm.em.trail.Trail, if iterations are accelerated
        singular : whether the last M-step held a covariance, or may have
        Returns the mean log-likelihoods (m,) and the last change; whether the run has converged, and whether an
        iteration that is not ordinary ended it; parameters, those before the last iteration (undefined if there was
        none), and its n_k; pairs of an iteration, from 0, and a component whose covariance was held in it; and how many
        passes were made, and the points and the radius of the trail.
        """
        cdef Em *em = &self.em
        cdef Going going = Going(Until(tol, noise, distance), most, <PyObject *> self.lifting,
                                 <PyObject *> self.estimating, NULL)
        cdef Py_ssize_t done = earlier.shape[0], q
        cdef int ended
        given, held = tuple(np.ascontiguousarray(array) for array in (weights, means, covariances, root)), []
        copy_parameters(&em.now, given, True)
        begin_at(em, lower_bound, change, singular)
        if em.accelerated and trail is not None:
            take_trail(em, trail, n_k)
        with nogil:
            for q in range(done):
                remember(&em.bounds, earlier[q])
            ended = go_on(em, &going, <PyObject *> held)
        now, before = (tuple(np.empty(array.shape) for array in given) for _ in range(2))
        copy_parameters(&em.now, now, False)
        copy_parameters(&em.before, before, False)
        n_k, bounds = np.empty(em.k), np.empty(em.bounds.count - done)
        memcpy(address(n_k), em.found.n_k, n_k.nbytes)
        if em.bounds.count > done:    # before any value there is no memory to copy from
            memcpy(address(bounds), em.bounds.values + done, bounds.nbytes)
        return (bounds, em.change, ended == 1, ended < 0, now, before, n_k, held, em.passes,
                give_trail(em, given) if em.accelerated else None)
