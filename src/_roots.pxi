# Roots P = L⁻¹ of covariances Σ = L Lᵀ, without a BLAS: its threads would go on spinning beside those of the next pass,
# and its bits may depend on them. Part of _kernels.pyx.


cdef enum:
    # A covariance of more features than this is too large for an L1 cache: its root is taken by strips.
    MOST_WHOLE = 64

    # What is added to variances is far above the floor if it is so many times the floor: what the floor would add to
    # it then changes no more than a thousandth of it.
    FAR = 1 << 10


cdef struct RootMemory:
    # What one root needs, in doubles from an aligned address on.
    double *squares    # (d,): the squared norms of the columns of P
    double *own        # (d,): the variances
    double *pivots     # (d,)
    double *strips     # see root_load in kernels.h; or U (d,d)


cdef Py_ssize_t root_doubles(const cgmm_kernels *kernels, Py_ssize_t d) noexcept nogil:
    """Doubles of a RootMemory."""
    cdef Py_ssize_t strips = kernels.root_strips(d) * (d + kernels.group) * kernels.group    # more than d × d
    return align((3 * cgmm_pad8(d) + strips) * sizeof(double)) // sizeof(double)


cdef RootMemory root_memory(Py_ssize_t d, double *doubles) noexcept nogil:
    """The parts of an aligned memory of root_doubles."""
    cdef Py_ssize_t each = cgmm_pad8(d)
    return RootMemory(doubles, doubles + each, doubles + 2 * each, doubles + 3 * each)


cdef int roots_at_once(Py_ssize_t m, Py_ssize_t d, int n_threads) noexcept nogil:
    """How many of m roots (d,d) are taken side by side, each by a thread; all threads wait for them: see `team`."""
    return <int> max(1, min(min(<Py_ssize_t> n_threads, m), m * d * d * d // THREAD_WORK))


cdef int strip_threads(Py_ssize_t d, Py_ssize_t strips, int n_threads) noexcept nogil:
    """Threads that one root by strips is worth, which wait for each other at each block of rows."""
    return team(<int> min(min(<Py_ssize_t> n_threads, strips), d * d * d // (8 * THREAD_WORK)), n_threads)


cdef bint root_by_strips(const cgmm_kernels *kernels, Py_ssize_t d, const double *covariance, double *P,
                         RootMemory memory, int n_threads) noexcept nogil:
    """OUT P (d,d) of a covariance, memory.squares. False where there is none. The bits are those of any threads: each
    takes whole strips."""
    cdef Py_ssize_t strips = kernels.root_strips(d), block, s
    cdef int bad = 0, threads = strip_threads(d, strips, n_threads)
    for s in prange(strips, schedule="dynamic", num_threads=threads):
        kernels.root_load(d, s, covariance, NULL, memory.strips)
    for block in range((d + CGMM_ROOT_BLOCK - 1) // CGMM_ROOT_BLOCK):
        if not kernels.root_pivots(d, block, memory.strips, memory.pivots):
            return False
        for s in prange(strips, schedule="dynamic", num_threads=threads):
            kernels.root_eliminate(d, block, s, memory.strips, memory.pivots)
    for s in prange(strips, schedule="dynamic", num_threads=threads):
        bad += 1 - kernels.root_store(d, s, memory.strips, P, memory.squares)
    return bad == 0


cdef bint is_definite(const cgmm_kernels *kernels, Py_ssize_t d, const double *covariance, const double *diagonal,
                      RootMemory memory, int n_threads) noexcept nogil:
    """Whether a matrix (d,d) is positive definite with that diagonal (d,): by strips. What has a low rank is found out
    within as many rows. SCRATCH memory.strips, pivots."""
    cdef Py_ssize_t strips = kernels.root_strips(d), block, s
    cdef int threads = strip_threads(d, strips, n_threads)
    for s in prange(strips, schedule="dynamic", num_threads=threads):
        kernels.root_load(d, s, covariance, diagonal, memory.strips)
    for block in range((d + CGMM_ROOT_BLOCK - 1) // CGMM_ROOT_BLOCK):
        if not kernels.root_pivots(d, block, memory.strips, memory.pivots):
            return False
        for s in prange((block + 1) * CGMM_ROOT_BLOCK // kernels.group, strips, schedule="dynamic",
                        num_threads=threads):
            kernels.root_eliminate(d, block, s, memory.strips, memory.pivots)
    return True


cdef bint take_root(const cgmm_kernels *kernels, Py_ssize_t d, const double *covariance, double *P, RootMemory memory,
                    int n_threads) noexcept nogil:
    """OUT P (d,d) of a covariance, and memory.squares. False where it is not positive definite: then P is zero."""
    cdef Py_ssize_t i, j
    if d > MOST_WHOLE:
        if root_by_strips(kernels, d, covariance, P, memory, n_threads):
            return True
    elif kernels.root(d, covariance, memory.strips, P):
        memset(memory.squares, 0, d * sizeof(double))
        for i in range(d):
            for j in range(i + 1):
                memory.squares[j] += P[i * d + j] * P[i * d + j]
        return True
    memset(P, 0, d * d * sizeof(double))
    return False


cdef enum Held:
    # What became of a covariance that was to be held from below.
    FREE       # no variance of it is below
    ADDED      # one may be below but for what is added, which is far above what the floor would add
    SUSPECT    # one may be below: it stays as it was


cdef double raised_to_rounding(double least, double relative, double variance) noexcept nogil:
    """The floor of a variance in a matrix, as cgmm.mixture.matrices.lift has it: no less than a sixteenth of what is
    `relative` of the variance, in steps of 16."""
    return max(least, pow(16.0, ceil(log2(max(relative * variance / 16.0, DBL_MIN)) / 4.0)))


cdef bint is_far_above(double added, Py_ssize_t d, const double *covariance, const double *least) noexcept nogil:
    """Whether `added`, which is in the diagonal of a covariance (d,d), is far above the floor (d,), and above what the
    rounding of its largest variance may leave, as cgmm.mixture.matrices.lift has it."""
    cdef double most = 0.0, trace = 0.0
    cdef Py_ssize_t j
    for j in range(d):
        most = max(most, least[j])
        trace += covariance[j * d + j]
    if not added >= FAR * most:
        return False
    return 8.0 * d * DBL_EPSILON * min(trace, sqrt(squares_of(covariance, d * d))) <= added


cdef Held hold_root(const cgmm_kernels *kernels, Py_ssize_t d, double *covariance, const double *least,
                    double relative, double added, double *P, RootMemory memory, int n_threads) noexcept nogil:
    """Put `added` on the diagonal of a covariance (d,d) and take its P; SUSPECT where it may have a variance below
    least (d,) or `relative` of its own, but for what is added, or has no P.

    Σ_ij P_ij² (least_j + added) ≤ 1 is enough to be sure that Σ − diag(least) is positive semidefinite. Otherwise it is
    found out, for to lift a matrix takes its axes; and where it is not, but what is added is far above least, nothing
    needs to be lifted.
    """
    cdef double *own = memory.own
    cdef double trace = 0.0
    cdef Held held = FREE
    cdef Py_ssize_t j
    for j in range(d):
        own[j] = covariance[j * d + j]
        covariance[j * d + j] += added
    if not take_root(kernels, d, covariance, P, memory, n_threads):
        held = SUSPECT
    else:
        for j in range(d):
            trace += memory.squares[j] * (max(least[j], relative * own[j]) + added)
        if not trace <= 1:
            held = what_is_held(kernels, d, covariance, least, relative, added, memory, n_threads)
    if held == SUSPECT:
        for j in range(d):
            covariance[j * d + j] = own[j]
    return held


cdef Held what_is_held(const cgmm_kernels *kernels, Py_ssize_t d, const double *covariance, const double *least,
                       double relative, double added, RootMemory memory, int n_threads) noexcept nogil:
    """Of a covariance (d,d) to whose variances, memory.own, something is added. SCRATCH the rest of memory."""
    cdef double *lowered = memory.squares
    cdef Py_ssize_t j
    for j in range(d):
        lowered[j] = memory.own[j] - raised_to_rounding(least[j], relative, memory.own[j])
    if is_definite(kernels, d, covariance, lowered, memory, n_threads):
        return FREE
    return ADDED if is_far_above(added, d, covariance, least) else SUSPECT


cdef struct Roots:
    # Aligned memories of roots that are taken at once, and how m of them are shared among threads.
    double *doubles
    Py_ssize_t d, size
    int at_once, n_threads
    Py_ssize_t whole    # of the m are taken at_once; each of the others by all threads


cdef Roots roots_of(Py_ssize_t m, Py_ssize_t d, int n_threads) noexcept nogil:
    """Those of m covariances (d,d), without the memory yet."""
    cdef int at_once = roots_at_once(m, d, n_threads)
    return Roots(NULL, d, root_doubles(TARGETS[TARGET].f64, d), at_once, n_threads,
                 m - m % at_once if d > MOST_WHOLE else m)


cdef RootMemory memory_of_lane(const Roots *memories, int lane) noexcept nogil:
    """That of the covariances from first_of this lane to that of the next."""
    return root_memory(memories.d, memories.doubles + lane * memories.size)


cdef Py_ssize_t first_of(const Roots *memories, int lane) noexcept nogil:
    return memories.whole * lane // memories.at_once


cdef class _RootMemories:
    """Roots with a memory of their own."""
    cdef Roots memories

    def __cinit__(self, Py_ssize_t m, Py_ssize_t d, int n_threads):
        self.memories = roots_of(m, d, n_threads)
        cdef Py_ssize_t size = self.memories.at_once * self.memories.size * sizeof(double)
        self.memories.doubles = <double *> cgmm_allocate(size)
        if self.memories.doubles == NULL:
            raise MemoryError("no memory for the roots of covariances")

    def __dealloc__(self):
        cgmm_release(self.memories.doubles)


cdef void take_roots(const Roots *memories, Py_ssize_t m, const double *covariances, double *P,
                     unsigned char *bad) noexcept nogil:
    """take_root of each covariance (m,d,d). OUT P (m,d,d); bad (m,): where it is False."""
    cdef Py_ssize_t d = memories.d, size = d * d, c
    cdef int lane, threads = team(memories.at_once, memories.n_threads)
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f64
    for lane in prange(memories.at_once, schedule="static", num_threads=threads):
        for c in range(first_of(memories, lane), first_of(memories, lane + 1)):
            bad[c] = not take_root(kernels, d, covariances + c * size, P + c * size, memory_of_lane(memories, lane), 1)
    for c in range(memories.whole, m):
        bad[c] = not take_root(kernels, d, covariances + c * size, P + c * size, memory_of_lane(memories, 0),
                               memories.n_threads)


cdef void hold_roots(const Roots *memories, Py_ssize_t m, double *covariances, const double *least, Py_ssize_t step,
                     double relative, double added, double *P, unsigned char *held) noexcept nogil:
    """hold_root of each covariance (m,d,d). IN least: that of a covariance is `step` after that of the one before. OUT
    P (m,d,d); held (m,)."""
    cdef Py_ssize_t d = memories.d, size = d * d, c, whole = memories.whole if memories.at_once > 1 else 0
    cdef int lane, threads = team(memories.at_once, memories.n_threads)
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f64
    if whole:
        for lane in prange(memories.at_once, schedule="static", num_threads=threads):
            for c in range(first_of(memories, lane), first_of(memories, lane + 1)):
                held[c] = hold_root(kernels, d, covariances + c * size, least + c * step, relative, added, P + c * size,
                                    memory_of_lane(memories, lane), 1)
    for c in range(whole, m):
        held[c] = hold_root(kernels, d, covariances + c * size, least + c * step, relative, added, P + c * size,
                            memory_of_lane(memories, 0), memories.n_threads)


def roots(const double[:, :, ::1] covariances, int n_threads=1):
    """P of each covariance (m,d,d), and which of them are not positive definite (m,) bool: their P is zero."""
    cdef Py_ssize_t m = covariances.shape[0], d = covariances.shape[1]
    factors, failed = np.empty((m, d, d)), np.empty(m, dtype=bool)
    cdef double[:, :, ::1] P = factors
    cdef unsigned char[::1] bad = failed.view(np.uint8)
    cdef _RootMemories memories = _RootMemories(m, d, n_threads)
    with nogil:
        take_roots(&memories.memories, m, &covariances[0, 0, 0], &P[0, 0, 0], &bad[0])
    return factors, failed


def held_roots(double[:, :, ::1] covariances, const double[:, ::1] least, double relative, double added,
               int n_threads=1):
    """P of each covariance (m,d,d) with `added` on its diagonal; which of them (m,) bool may have a variance below
    least, (m,d) or (1,d), or `relative` of their own, but for what is added, or have no P: these covariances stay as
    they are, the others get it; and which (m,) bool may have one, but what is added is so much that it does not matter.
    """
    cdef Py_ssize_t m = covariances.shape[0], d = covariances.shape[1]
    if least.shape[1] != d or least.shape[0] not in (1, m):
        raise ValueError("least must be (m,d) or (1,d)")
    factors, found = np.empty((m, d, d)), np.empty(m, dtype=np.uint8)
    cdef double[:, :, ::1] P = factors
    cdef unsigned char[::1] held = found
    cdef _RootMemories memories = _RootMemories(m, d, n_threads)
    with nogil:
        hold_roots(&memories.memories, m, &covariances[0, 0, 0], &least[0, 0], d if least.shape[0] > 1 else 0, relative,
                   added, &P[0, 0, 0], &held[0])
    return factors, found == SUSPECT, found == ADDED


def cholesky(const double[:, ::1] matrix, int n_threads=1):
    """L (d,d), lower triangular, of a symmetric matrix L Lᵀ; None if it is not positive definite. By strips."""
    cdef Py_ssize_t d = matrix.shape[0], s
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f64
    cdef Py_ssize_t strips = kernels.root_strips(d)
    cdef _RootMemories memories = _RootMemories(1, d, n_threads)
    cdef RootMemory memory = memory_of_lane(&memories.memories, 0)
    factor, diagonal = np.empty((d, d)), np.diagonal(matrix).copy()
    cdef double[:, ::1] L = factor
    cdef const double[::1] own = diagonal
    cdef bint definite
    with nogil:
        definite = is_definite(kernels, d, &matrix[0, 0], &own[0], memory, n_threads)
        for s in range(strips if definite else 0):
            kernels.root_factor(d, s, memory.strips, &L[0, 0])
    return factor if definite else None


def grams(const double[:, :, ::1] roots):
    """Pᵀ P (m,d,d) of each lower triangular P (m,d,d)."""
    cdef Py_ssize_t m = roots.shape[0], d = roots.shape[1], c, r, i, j
    cdef double p
    products = np.empty((m, d, d))
    cdef double[:, :, ::1] out = products
    with nogil:
        for c in range(m):
            memset(&out[c, 0, 0], 0, d * d * sizeof(double))
            for r in range(d):
                for i in range(r + 1):
                    p = roots[c, r, i]
                    for j in range(i + 1):
                        out[c, i, j] += p * roots[c, r, j]
            for i in range(d):
                for j in range(i):
                    out[c, j, i] = out[c, i, j]
    return products
