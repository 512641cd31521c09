# Newton's step of a search for axes: see _axes.pxi. Part of _kernels.pyx.
#
# Second derivatives by the angles of p = d (d − 1) / 2 planes take k d³ + p³ / 6 multiply-adds and more, but three to
# six evaluations are made where the quasi-Newton method makes five (d = 3), ten (d = 5) or fifty (d = 16).


cdef void set_slopes(Py_ssize_t d, const double *scatter, const double *precisions, double *slopes) noexcept nogil:
    """OUT slopes (p,): the derivatives of the log-determinant of a component by the angles."""
    cdef Py_ssize_t i, j
    for j in range(d):
        for i in range(j):
            slopes[planes_of(j) + i] = 2.0 * scatter[i * d + j] * (precisions[j] - precisions[i])


cdef void set_angles(Py_ssize_t d, const double *skew, double *angles) noexcept nogil:
    """OUT angles (p,): those of a skew-symmetric matrix (d,d)."""
    cdef Py_ssize_t i, j
    for j in range(d):
        for i in range(j):
            angles[planes_of(j) + i] = skew[i * d + j]


cdef void add_square(Py_ssize_t p, double factor, const double *values, double *square) noexcept nogil:
    """IN/OUT square (p,p) += factor × v vᵀ, the upper triangle. IN values v (p,)."""
    cdef Py_ssize_t a, b
    cdef double x
    for a in range(p):
        x = factor * values[a]
        for b in range(a, p):
            square[a * p + b] += x * values[b]


cdef inline void set_system_of(Py_ssize_t d, Search *search) noexcept nogil:
    """OUT system: the upper triangle of the second derivatives by the angles of rotations in planes. IN what
    set_gradient leaves. SCRATCH small, angles.

    The second-order change by a rotation Ω is Σ_j ω_jᵀ B_j ω_j, of the columns ω_j of Ω and, in the terms of
    set_gradient, B_j = Σ_c w_c / v_cj (S_c − 2 s_cj s_cjᵀ / v_cj) − (H + Hᵀ) / 2. One volume for all changes the w_c
    too: that is the variance, by the w_c, of the changes of log |v_c|, over 2 d.
    """
    cdef Py_ssize_t k = search.k, p = planes_of(d), c, i, j, r, a, b
    cdef const double *H = search.slopes
    cdef double *own = search.small
    cdef const double *turned
    cdef const double *row
    cdef double slope, twice, x
    memset(search.system, 0, p * p * sizeof(double))
    for j in range(d):
        for i in range(d):
            for r in range(i + 1):
                own[i * d + r] = -0.5 * (H[i * d + r] + H[r * d + i])
        for c in range(k):
            turned = search.at.scatters + c * d * d
            row = turned + j * d
            slope = weight_of(search, c) * search.at.precisions[c * d + j]
            twice = 2.0 * search.at.precisions[c * d + j]
            for i in range(d):
                x = twice * row[i]
                for r in range(i + 1):
                    own[i * d + r] += slope * (turned[i * d + r] - x * row[r])
        for i in range(d):
            a = planes_of(j) + i if i < j else planes_of(i) + j
            for r in range(i + 1):
                if i != j and r != j:
                    b = planes_of(j) + r if r < j else planes_of(r) + j
                    x = 2.0 * own[i * d + r]
                    search.system[b * p + a] += x if (i < j) == (r < j) else -x
    if search.one_volume:
        for c in range(k):
            set_slopes(d, search.at.scatters + c * d * d, search.at.precisions + c * d, search.angles)
            add_square(p, weight_of(search, c) / d, search.angles, search.system)
        set_angles(d, search.gradient, search.angles)
        add_square(p, -1.0 / d, search.angles, search.system)


cdef void set_system(Search *search) noexcept nogil:
    """set_system_of the features, of a number that the compiler knows if it is small: 0.9 of the time of a search."""
    if search.d == 2:
        set_system_of(2, search)
    elif search.d == 3:
        set_system_of(3, search)
    elif search.d == 4:
        set_system_of(4, search)
    else:
        set_system_of(search.d, search)


cdef bint factorise(Py_ssize_t p, double *system) noexcept nogil:
    """IN/OUT system (p,p), the upper triangle: of a matrix; U of U diag(U)⁻¹ Uᵀ. False where it is not positive
    definite, beyond rounding."""
    cdef Py_ssize_t a, b, q
    cdef double most = 0.0, x
    cdef double *row
    for a in range(p):
        most = max(most, system[a * p + a])
    for a in range(p):
        row = system + a * p
        if not row[a] > ROUNDED * p * DBL_EPSILON * most:
            return False
        for b in range(a + 1, p):
            x = row[b] / row[a]
            for q in range(b, p):
                system[b * p + q] -= x * row[q]
    return True


cdef double solve_down(Search *search) noexcept nogil:
    """The gain that Newton's step promises, twice. OUT angles: half of the solution. IN system: factorised."""
    cdef Py_ssize_t p = planes_of(search.d), a, b
    cdef double *angles = search.angles
    cdef const double *row
    cdef double x, promised = 0.0
    set_angles(search.d, search.gradient, angles)
    for a in range(p):
        row = search.system + a * p
        x = angles[a] / row[a]
        promised += x * angles[a]
        angles[a] = x
        for b in range(a + 1, p):
            angles[b] -= x * row[b]
    return promised


cdef bint set_newton_step(Search *search) noexcept nogil:
    """OUT step: Newton's. False where the objective is not convex. No plane is turned by more than π/4."""
    cdef Py_ssize_t d = search.d, p = planes_of(d), i, j, a, b
    cdef double *angles = search.angles
    cdef double most = 0.0, x
    set_system(search)
    if not factorise(p, search.system):
        return False
    solve_down(search)
    for a in range(p - 1, -1, -1):
        x = 0.0
        for b in range(a + 1, p):
            x += search.system[a * p + b] * angles[b]
        angles[a] -= x / search.system[a * p + a]
        most = max(most, fabs(angles[a]))
    most = max(1.0, most / FURTHEST)
    for j in range(d):
        search.step[j * (d + 1)] = 0.0
        for i in range(j):
            x = angles[planes_of(j) + i] / most
            search.step[i * d + j], search.step[j * d + i] = -x, x
    return True
