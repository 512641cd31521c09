# Eigenvalues and eigenvectors of symmetric matrices, and products of small ones, without a BLAS: see _roots.pxi. Part
# of _kernels.pyx.
#
# Householder's reflections make a matrix tridiagonal, and QL iterations with implicit shifts make that diagonal
# (Martin, Reinsch and Wilkinson 1968, Bowdler, Martin, Reinsch and Wilkinson 1968: the procedures tred2 and tql2 of
# Wilkinson and Reinsch, Handbook for automatic computation II, 1971). Matrices are kept transposed: what is added up
# is contiguous.


cdef enum:
    # QL iterations for an eigenvalue at most: two or three are usual, and EISPACK gives up after as many.
    MOST_QL = 30
    # Features up to which products are compiled for each number of them: searches for axes take 0.5 to 0.7 of the time.
    MOST_SMALL = 4


# A sum of two squares that is larger is right to rounding, though one of them may have vanished.
cdef double SMALLEST_SQUARE = DBL_MIN / DBL_EPSILON / DBL_EPSILON


cdef void make_tridiagonal(Py_ssize_t n, double *Z, double *diagonal, double *beside) noexcept nogil:
    """OUT diagonal (n,), beside (n,), from 1 on: T of a symmetric matrix A = Q T Qᵀ. IN/OUT Z (n,n): A; Qᵀ."""
    cdef Py_ssize_t i, j, q
    cdef double f, g, h, scale, share
    cdef double *row
    for j in range(n):
        diagonal[j] = Z[j * n + n - 1]
    for i in range(n - 1, 0, -1):
        scale = h = 0.0
        for q in range(i):
            scale += fabs(diagonal[q])
        if scale == 0.0:
            beside[i] = diagonal[i - 1]
            for j in range(i):
                diagonal[j] = Z[j * n + i - 1]
                Z[j * n + i] = Z[i * n + j] = 0.0
        else:
            for q in range(i):
                diagonal[q] /= scale
                h += diagonal[q] * diagonal[q]
            f = diagonal[i - 1]
            g = -sqrt(h) if f > 0 else sqrt(h)
            beside[i] = scale * g
            h -= f * g
            diagonal[i - 1] = f - g
            for j in range(i):
                beside[j] = 0.0
            for j in range(i):
                row = Z + j * n
                f = diagonal[j]
                Z[i * n + j] = f
                g = beside[j] + row[j] * f
                for q in range(j + 1, i):
                    g += row[q] * diagonal[q]
                    beside[q] += row[q] * f
                beside[j] = g
            f = 0.0
            for j in range(i):
                beside[j] /= h
                f += beside[j] * diagonal[j]
            share = f / (h + h)
            for j in range(i):
                beside[j] -= share * diagonal[j]
            for j in range(i):
                row = Z + j * n
                f, g = diagonal[j], beside[j]
                for q in range(j, i):
                    row[q] -= f * beside[q] + g * diagonal[q]
                diagonal[j] = row[i - 1]
                row[i] = 0.0
        diagonal[i] = h
    for i in range(n - 1):
        Z[i * n + n - 1] = Z[i * n + i]
        Z[i * n + i] = 1.0
        h = diagonal[i + 1]
        row = Z + (i + 1) * n
        if h != 0.0:
            for q in range(i + 1):
                diagonal[q] = row[q] / h
            for j in range(i + 1):
                g = 0.0
                for q in range(i + 1):
                    g += row[q] * Z[j * n + q]
                for q in range(i + 1):
                    Z[j * n + q] -= g * diagonal[q]
        for q in range(i + 1):
            row[q] = 0.0
    for j in range(n):
        diagonal[j] = Z[j * n + n - 1]
        Z[j * n + n - 1] = 0.0
    Z[n * n - 1] = 1.0
    beside[0] = 0.0


cdef void turn_rows(Py_ssize_t n, double c, double s, double *upper, double *lower) noexcept nogil:
    """Rotate two rows (n,)."""
    cdef double h
    cdef Py_ssize_t q
    for q in range(n):
        h = lower[q]
        lower[q] = s * upper[q] + c * h
        upper[q] = c * upper[q] - s * h


cdef double length_of(double x, double y) noexcept nogil:
    """√(x² + y²), as hypot, which takes a quarter of the time of eigen."""
    cdef double square = x * x + y * y
    return sqrt(square) if SMALLEST_SQUARE < square < INFINITY else hypot(x, y)


cdef void make_diagonal(Py_ssize_t n, double *Z, double *diagonal, double *beside) noexcept nogil:
    """The eigenvalues and eigenvectors of what make_tridiagonal leaves. OUT diagonal; Z: rows are eigenvectors."""
    cdef Py_ssize_t i, first, last, tried
    cdef double f = 0.0, size = 0.0, g, h, p, r, c, s, c_last, c_before, s_last, next_beside, next_diagonal
    for i in range(1, n):
        beside[i - 1] = beside[i]
    beside[n - 1] = 0.0
    for first in range(n):
        size = max(size, fabs(diagonal[first]) + fabs(beside[first]))
        last = first
        while last < n - 1 and not fabs(beside[last]) <= DBL_EPSILON * size:
            last += 1
        tried = 0
        while last > first and tried < MOST_QL:
            tried += 1
            g = diagonal[first]
            p = (diagonal[first + 1] - g) / (2.0 * beside[first])
            r = length_of(p, 1.0)
            if p < 0:
                r = -r
            diagonal[first] = beside[first] / (p + r)
            next_diagonal = diagonal[first + 1] = beside[first] * (p + r)
            h = g - diagonal[first]
            for i in range(first + 2, n):
                diagonal[i] -= h
            f += h
            p = diagonal[last]
            c = c_last = c_before = 1.0
            s = s_last = 0.0
            next_beside = beside[first + 1]
            for i in range(last - 1, first - 1, -1):
                c_before, c_last, s_last = c_last, c, s
                g = c * beside[i]
                h = c * p
                r = length_of(p, beside[i])
                beside[i + 1] = s * r
                s = beside[i] / r
                c = p / r
                p = c * diagonal[i] - s * g
                diagonal[i + 1] = h + s * (c * g + s * diagonal[i])
                turn_rows(n, c, s, Z + i * n, Z + (i + 1) * n)
            p = -s * s_last * c_before * next_beside * beside[first] / next_diagonal
            beside[first] = s * p
            diagonal[first] = c * p
            if not fabs(beside[first]) > DBL_EPSILON * size:
                break
        diagonal[first] += f
        beside[first] = 0.0


cdef double unit_of(Py_ssize_t d, const double *matrix) noexcept nogil:
    """The absolute value of the largest element of a matrix (d,d); 1 if all are zero."""
    cdef double unit = 0.0
    cdef Py_ssize_t q
    for q in range(d * d):
        unit = max(unit, fabs(matrix[q]))
    return unit if unit > 0 else 1.0


cdef void eigen(Py_ssize_t d, double *matrix, double *values, double *scratch) noexcept nogil:
    """OUT values (d,), ascending. IN/OUT matrix (d,d): symmetric; its eigenvectors, the rows. SCRATCH (d,)."""
    cdef Py_ssize_t i, j, least
    cdef double kept, unit = unit_of(d, matrix)
    for i in range(d * d):
        matrix[i] /= unit
    make_tridiagonal(d, matrix, values, scratch)
    make_diagonal(d, matrix, values, scratch)
    for i in range(d):
        least = i
        for j in range(i + 1, d):
            if values[j] < values[least]:
                least = j
        if least != i:
            values[i], values[least] = values[least], values[i]
            for j in range(d):
                kept = matrix[i * d + j]
                matrix[i * d + j] = matrix[least * d + j]
                matrix[least * d + j] = kept
    for i in range(d):
        values[i] *= unit


cdef inline void multiply_small(Py_ssize_t d, const double *A, const double *B, double *product) noexcept nogil:
    """The same for a d that the compiler knows."""
    cdef Py_ssize_t i, j, q
    cdef double total
    for i in range(d):
        for j in range(d):
            total = 0.0
            for q in range(d):
                total += A[i * d + q] * B[q * d + j]
            product[i * d + j] = total


cdef void multiply(Py_ssize_t d, const double *A, const double *B, double *product) noexcept nogil:
    """OUT product (d,d): A B. IN A, B (d,d), other places."""
    cdef Py_ssize_t i, j, q
    cdef double a
    cdef double *row
    if d == 2:
        multiply_small(2, A, B, product)
    elif d == 3:
        multiply_small(3, A, B, product)
    elif d == 4:
        multiply_small(4, A, B, product)
    else:
        for i in range(d):
            row = product + i * d
            for j in range(d):
                row[j] = 0.0
            for q in range(d):
                a = A[i * d + q]
                for j in range(d):
                    row[j] += a * B[q * d + j]


cdef void transpose(Py_ssize_t d, const double *A, double *turned) noexcept nogil:
    """OUT turned (d,d): Aᵀ. IN A (d,d)."""
    cdef Py_ssize_t i, j
    for i in range(d):
        for j in range(d):
            turned[j * d + i] = A[i * d + j]


cdef inline void from_axes_small(Py_ssize_t d, const double *values, const double *rows,
                                 double *matrix) noexcept nogil:
    """from_axes for a d that the compiler knows."""
    cdef Py_ssize_t i, j, r
    cdef double total
    for i in range(d):
        for j in range(i + 1):
            total = 0.0
            for r in range(d):
                total += values[r] * rows[r * d + i] * rows[r * d + j]
            matrix[i * d + j] = matrix[j * d + i] = total


cdef void from_axes(Py_ssize_t d, const double *values, const double *rows, double *matrix) noexcept nogil:
    """OUT matrix (d,d): Σ_r v_r a_r a_rᵀ, symmetric. IN values v (d,); rows a (d,d)."""
    cdef Py_ssize_t i, j, r
    cdef double a
    if d == 2:
        from_axes_small(2, values, rows, matrix)
    elif d == 3:
        from_axes_small(3, values, rows, matrix)
    elif d == 4:
        from_axes_small(4, values, rows, matrix)
    else:
        memset(matrix, 0, d * d * sizeof(double))
        for r in range(d):
            for i in range(d):
                a = values[r] * rows[r * d + i]
                for j in range(i + 1):
                    matrix[i * d + j] += a * rows[r * d + j]
        for i in range(d):
            for j in range(i):
                matrix[j * d + i] = matrix[i * d + j]
