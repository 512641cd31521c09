# Eigenvalues and eigenvectors of several small symmetric matrices side by side. Part of _kernels.pyx.
#
# Jacobi's rotations, plane after plane, in as many lanes as there are matrices: no step depends on what another has
# found, so that processors take them at once. Where an element is negligible its lane turns by nothing, so that the
# bits of a matrix do not depend on those beside it.


cdef enum:
    LANES = 4            # eight take no less time a lane
    # Features of the largest: at 3, 4 and 5 a matrix takes 0.3, 0.45 and 0.6 of the time of `eigen`, at 8 as long.
    MOST_BESIDE = 5
    MOST_SWEEPS = 40     # through all planes at most: five or six are usual


# Of the largest element of a matrix, the share up to which one beside the diagonal is zero.
cdef double NEGLIGIBLE = DBL_EPSILON / 4


cdef void turn_pair(const double *c, const double *s, double *left, double *right) noexcept nogil:
    """Rotate two elements, each (LANES,)."""
    cdef Py_ssize_t lane
    cdef double turned[LANES]
    cdef double other[LANES]
    for lane in range(LANES):
        turned[lane] = c[lane] * left[lane] - s[lane] * right[lane]
        other[lane] = s[lane] * left[lane] + c[lane] * right[lane]
    for lane in range(LANES):
        left[lane], right[lane] = turned[lane], other[lane]


cdef void turn_plane(Py_ssize_t d, Py_ssize_t i, Py_ssize_t j, double *A, double *axes) noexcept nogil:
    """Rotate rows and columns i < j of A (d,d,LANES), the upper triangle, so that A_ij becomes zero; and rows of axes,
    the same shape."""
    cdef double c[LANES]
    cdef double s[LANES]
    cdef double *x = A + i * (d + 1) * LANES
    cdef double *y = A + j * (d + 1) * LANES
    cdef double *z = A + (i * d + j) * LANES
    cdef double a, half, slope, negligible = NEGLIGIBLE
    cdef Py_ssize_t q, lane
    for lane in range(LANES):
        a = z[lane] if fabs(z[lane]) > negligible else 0.0
        half = 0.5 * (y[lane] - x[lane])
        slope = a / (fabs(half) + sqrt(half * half + a * a) + DBL_MIN)
        slope = slope if half >= 0 else -slope
        c[lane] = 1.0 / sqrt(1.0 + slope * slope)
        s[lane] = slope * c[lane]
        x[lane] -= slope * a
        y[lane] += slope * a
        z[lane] -= a
    for q in range(i):
        turn_pair(c, s, A + (q * d + i) * LANES, A + (q * d + j) * LANES)
    for q in range(i + 1, j):
        turn_pair(c, s, A + (i * d + q) * LANES, A + (q * d + j) * LANES)
    for q in range(j + 1, d):
        turn_pair(c, s, A + (i * d + q) * LANES, A + (j * d + q) * LANES)
    for q in range(d):
        turn_pair(c, s, axes + (i * d + q) * LANES, axes + (j * d + q) * LANES)


cdef bint are_diagonal(Py_ssize_t d, const double *A) noexcept nogil:
    """Whether all matrices A (d,d,LANES), the upper triangle, are."""
    cdef double most = 0.0
    cdef Py_ssize_t i, q
    for i in range(d):
        for q in range((i * d + i + 1) * LANES, (i + 1) * d * LANES):
            most = max(most, fabs(A[q]))
    return not most > NEGLIGIBLE


cdef void eigen_lanes(Py_ssize_t m, Py_ssize_t d, double *matrices, double *values) noexcept nogil:
    """`eigen` of m <= LANES matrices (m,d,d), of MOST_BESIDE features at most. OUT values (m,d)."""
    cdef double A[MOST_BESIDE * MOST_BESIDE * LANES]
    cdef double axes[MOST_BESIDE * MOST_BESIDE * LANES]
    cdef double units[LANES]
    cdef double *matrix
    cdef Py_ssize_t lane, tried, i, j, q, least
    for lane in range(LANES):
        matrix = matrices + min(lane, m - 1) * d * d
        units[lane] = unit_of(d, matrix)
        for q in range(d * d):
            A[q * LANES + lane] = matrix[q] / units[lane]
            axes[q * LANES + lane] = 1.0 if q % (d + 1) == 0 else 0.0
    for tried in range(MOST_SWEEPS):
        if are_diagonal(d, A):
            break
        for i in range(d):
            for j in range(i + 1, d):
                turn_plane(d, i, j, A, axes)
    for lane in range(m):
        matrix = matrices + lane * d * d
        for i in range(d):
            least = 0
            for j in range(1, d):
                if A[j * (d + 1) * LANES + lane] < A[least * (d + 1) * LANES + lane]:
                    least = j
            values[lane * d + i] = A[least * (d + 1) * LANES + lane] * units[lane]
            A[least * (d + 1) * LANES + lane] = INFINITY
            for q in range(d):
                matrix[i * d + q] = axes[(least * d + q) * LANES + lane]


cdef Py_ssize_t eigen_at_once(Py_ssize_t d) noexcept nogil:
    """Matrices (d,d) that eigen_beside takes at most."""
    return LANES if d <= MOST_BESIDE else 1


cdef void eigen_beside(Py_ssize_t m, Py_ssize_t d, double *matrices, double *values, double *scratch) noexcept nogil:
    """`eigen` of m <= eigen_at_once matrices (m,d,d). OUT values (m,d). SCRATCH (d,)."""
    if d <= MOST_BESIDE:
        eigen_lanes(m, d, matrices, values)
    else:
        eigen(d, matrices, values, scratch)


def eigenvectors(matrices):
    """Eigenvalues (m,d), ascending, and eigenvectors, the rows of (m,d,d), of symmetric matrices (m,d,d)."""
    rows = np.array(matrices, dtype=np.float64, order="C")
    cdef Py_ssize_t m = rows.shape[0], d = rows.shape[1], at_once = eigen_at_once(d), c = 0
    values, scratch = np.empty((m, d)), np.empty(d)
    cdef double *own = <double *> address(rows)
    cdef double *found = <double *> address(values)
    cdef double *free_doubles = <double *> address(scratch)
    with nogil:
        while c < m:
            eigen_beside(min(at_once, m - c), d, own + c * d * d, found + c * d, free_doubles)
            c += at_once
    return values, rows
