# Where the iterations of _iterations.pxi begin, nogil: at parameters, labels of rows, or sketches. Part of
# _kernels.pyx.


cdef void copy_mixture(const Parameters *source, const Parameters *target, Py_ssize_t k, Py_ssize_t d,
                       Py_ssize_t size) noexcept nogil:
    """OUT what target points to."""
    memcpy(target.weights, source.weights, k * sizeof(double))
    memcpy(target.means, source.means, k * d * sizeof(double))
    memcpy(target.covariances, source.covariances, size * sizeof(double))
    memcpy(target.root, source.root, size * sizeof(double))


cdef bint start_at_labels(Em *em, const Work *rows, Partition *of, const Py_ssize_t *labels, double empty,
                          const Going *going, PyObject *held) except -1 nogil:
    """OUT em.now: what an M-step makes of rows that each belong to the component of their label, of (n,). False where
    that is not ordinary: a component has less weight than `empty`, or covariances that share a part are to be held by
    Python. SCRATCH of; held as of go_on, whose iteration is −1."""
    cdef Work work = rows[0]
    of.labels, of.k, of.moment, of.least, of.found = labels, em.k, em.work.moment, empty, em.found
    work.block = cgmm_block_rows(em.d, 1, work.kernels.itemsize)
    add_moments_of_labels(&work, of)
    put_seconds(of, em.d)
    if any_below(em, empty):
        return False
    if not make_parameters(em, NULL):
        if going.lifting == NULL or shares_suspects(em):
            return False
        with gil:
            lift_all(em, -1, going, <list> held)
    move_on(em)
    return True


cdef bint start_at_sketch(Em *em, const Parameters *sketch) noexcept nogil:
    """OUT em.now: the mixture of those means and covariances, which are held and share what they are to, and of weights
    in proportion to those. False where that is not ordinary: a matrix has to be held by Python."""
    cdef double added = em.limits.floor.added, whole = total_of(sketch.weights, em.k)
    cdef bint fine
    cdef Py_ssize_t c
    memcpy(em.after.means, sketch.means, em.k * em.d * sizeof(double))
    memcpy(em.after.covariances, sketch.covariances, em.size * sizeof(double))
    memset(em.offsets, 0, em.k * em.d * sizeof(double))
    for c in range(em.k):
        em.held[c], em.after.weights[c] = FREE, 1.0 / em.k    # as Family.hold weighs what is shared
    em.limits.floor.added = 0.0
    fine = set_root(em, NULL) or all_known(em)
    em.limits.floor.added = added
    for c in range(em.k):
        em.after.weights[c] = sketch.weights[c] / whole
    move_on(em)
    return fine
