# The two loops of the quasi-Newton method of limited memory (Nocedal 1980), for axes and for steps of EM, nogil.
# Part of _kernels.pyx.


cdef enum:
    REMEMBERED = 5    # moves, as cgmm.em.trail.REMEMBERED


cdef struct Move:
    # A step that was made, how the gradient changed by it, and their product.
    double *step        # (size,)
    double *change      # (size,)
    double product


cdef double inner(Py_ssize_t count, const double *a, const double *b) noexcept nogil:
    """Σ a b."""
    cdef double total = 0.0
    cdef Py_ssize_t q
    for q in range(count):
        total += a[q] * b[q]
    return total


cdef void add_times(Py_ssize_t count, double factor, const double *more, double *to) noexcept nogil:
    """IN/OUT to += factor × more."""
    cdef Py_ssize_t q
    for q in range(count):
        to[q] += factor * more[q]


cdef void undo_changes(Py_ssize_t count, Py_ssize_t size, const Move *moves, double *step,
                       double *shares) noexcept nogil:
    """The first loop. IN/OUT step (size,): the gradient, less what it has changed. OUT shares (count,)."""
    cdef Py_ssize_t q
    for q in range(count - 1, -1, -1):
        shares[q] = inner(size, moves[q].step, step) / moves[q].product
        add_times(size, -shares[q], moves[q].change, step)


cdef void follow_moves(Py_ssize_t count, Py_ssize_t size, const Move *moves, const double *shares,
                       double *step) noexcept nogil:
    """The second loop. IN/OUT step (size,): to which something has been done since the first."""
    cdef Py_ssize_t q
    for q in range(count):
        add_times(size, shares[q] - inner(size, moves[q].change, step) / moves[q].product, moves[q].step, step)
