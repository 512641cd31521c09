# Whether mixtures lean on reg_covar: see cgmm.fit.leaning. Part of _kernels.pyx.


cdef struct Leaning:
    double share        # of a variance: a fit leans if what is added is more,
    double own_share    # but not if at least this share of it is the rows' own,
    double rows         # and these weigh no less


cdef double least_left(Py_ssize_t size, Py_ssize_t d, bint matrices, const double *root) noexcept nogil:
    """The least variance of a feature in a component, given all others. IN root (size,): P of each, (d,d) if they are
    matrices."""
    cdef double most = 0.0, precision
    cdef Py_ssize_t c, i, j
    if not matrices:
        for c in range(size):
            most = max(most, root[c] * root[c])
        return 1.0 / most
    for c in range(size // (d * d)):
        for j in range(d):
            precision = 0.0
            for i in range(j, d):
                precision += root[(c * d + i) * d + j] * root[(c * d + i) * d + j]
            most = max(most, precision)
    return 1.0 / most


cdef bint leans_on(Py_ssize_t size, Py_ssize_t k, Py_ssize_t d, bint matrices, bint own, const double *root,
                   const double *masses, double added, const Leaning *by) noexcept nogil:
    """Whether a mixture leans on what is added to variances. IN root (size,): P of each component, or if they have not
    their own, of all; masses (k,): weights of the rows of each, or NULL where they are not known."""
    cdef double least = least_left(size, d, matrices, root), total
    cdef Py_ssize_t c
    if not added > by.share * least:
        return False
    if masses == NULL:
        return True
    total = total_of(masses, k)
    if total < by.rows:
        return True
    if not own:
        return least - added < by.own_share * added
    for c in range(k):
        least = least_left(size // k, d, matrices, root + c * (size // k))
        if added > by.share * least and (least - added < by.own_share * added or masses[c] < by.rows):
            return True
    return False


def least_left_each(roots, bint matrices):
    """The least variance of a feature in a component, given all others, of m mixtures (m,), P of each: (m, …), and
    triangular (m, …, d, d) if they are matrices."""
    array = np.ascontiguousarray(roots, dtype=np.float64)
    cdef Py_ssize_t m = len(array), size = array.size // max(m, 1), d = array.shape[array.ndim - 1], i
    found = np.empty(m)
    cdef double[::1] out = found
    cdef const double *root = <const double *> address(array)
    for i in range(m):
        out[i] = least_left(size, d, matrices, root + i * size)
    return found


def each_leans(roots, masses, Py_ssize_t d, bint matrices, bint own, const double[::1] added, leaning):
    """Whether each of m mixtures leans on what is added to its variances, (m,).

    roots, matrices : as of least_left_each;  own : whether each component has its own;  masses : (m,k), or None
    added : (m,);  leaning : see struct Leaning
    """
    array = np.ascontiguousarray(roots, dtype=np.float64)
    weights = None if masses is None else np.ascontiguousarray(masses, dtype=np.float64)
    cdef Py_ssize_t m = len(array), size = array.size // max(m, 1), k = 1 if weights is None else weights.shape[1], i
    cdef const double *root = <const double *> address(array)
    cdef const double *own_masses = NULL
    cdef Leaning by = leaning_of(leaning)
    found = np.empty(m, dtype=bool)
    if weights is not None:
        own_masses = <const double *> address(weights)
    for i in range(m):
        found[i] = leans_on(size, k, d, matrices, own, root + i * size, own_masses, added[i], &by)
        if own_masses != NULL:
            own_masses += k
    return found


cdef Leaning leaning_of(leaning) except *:
    share, own_share, rows = leaning
    return Leaning(share, own_share, rows)
