# Covariances that an iteration leaves below the floor: Python holds them, and the iteration goes on. Part of
# _kernels.pyx.


cdef int lift(Em *em, Py_ssize_t c, lifting) except -1:
    """Hold the c-th new matrix as lifting, cgmm.mixture.matrices.lift, does, and take its root."""
    cdef Py_ssize_t d = em.d, size = d * d * sizeof(double)
    cdef double *covariance = em.after.covariances + c * d * d
    S, least = np.empty((d, d)), np.empty(d)
    memcpy(address(S), covariance, size)
    memcpy(address(least), em.most if em.family == EEE else em.least + c * d, d * sizeof(double))
    S, root, lifted = lifting(S, least, em.limits.floor.added)
    S, root = np.ascontiguousarray(S), np.ascontiguousarray(root)
    memcpy(covariance, address(S), size)
    memcpy(em.after.root + c * d * d, address(root), size)
    return lifted


cdef int estimate_again(Em *em, Py_ssize_t iteration, estimating, list held) except -1:
    """Make the new covariances again, of which scatters have to be held, and write down those that were."""
    cdef Py_ssize_t k = em.k, d = em.d, size = em.size * sizeof(double)
    cdef double *counts = em.scratch
    set_moments(em, counts)
    shape = (k, d, d)[:1 + (em.family != VII) + (em.family == VVV)]
    covariances, least, own_counts = np.empty(shape), np.empty((k, d)), np.empty(k)
    last = np.empty(k), np.empty((k, d)), np.empty(shape), np.empty(shape)
    memcpy(address(covariances), em.after.covariances, size)
    copy_parameters(&em.now, last, False)
    memcpy(address(least), em.least, k * d * sizeof(double))
    memcpy(address(own_counts), counts, k * sizeof(double))
    found = estimating(covariances, own_counts, least, last)
    for array, to in (found.covariances, 0), (found.root, 1):
        array = np.ascontiguousarray(array)
        memcpy(em.after.root if to else em.after.covariances, address(array), size)
    for c in found.held:
        held.append((iteration, c))
        em.singular = True
    return 0


cdef bint shares_suspects(const Em *em) noexcept nogil:
    """Whether Python has to look at a new covariance of which components share a part: then at all of them."""
    if em.sharing == NOTHING:
        return False
    return em.held[0] == SUSPECT if em.sharing == COVARIANCE else not all_known(em)


cdef int lift_all(Em *em, Py_ssize_t iteration, const Going *going, list held) except -1:
    """Hold the new covariances that are BELOW, and write down those that were."""
    cdef Py_ssize_t c
    em.singular = False
    if shares_suspects(em):
        estimate_again(em, iteration, <object> going.estimating, held)
    else:
        lifting = <object> going.lifting
        for c in range(1 if em.sharing == COVARIANCE else covariances_of(em)):
            if em.held[c] == ADDED or (em.held[c] == SUSPECT and lift(em, c, lifting)):
                held.append((iteration, c))
                em.singular = True
    em.holds = em.holds or em.singular
    return 0


cdef bint is_held(Em *em, int found, const Going *going, Py_ssize_t first, PyObject *held) except -1 nogil:
    """Whether an iteration that has been found to be so may be finished, once what is BELOW is held."""
    if found == UNDECIDED:
        return False
    if found == BELOW:
        if going.lifting == NULL or (going.estimating == NULL and shares_suspects(em)):
            return False
        with gil:
            lift_all(em, em.bounds.count - first, going, <list> held)
    return True
