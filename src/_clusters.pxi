# k-means, nogil: Lloyd's iterations, on the passes of _k_means.pxi, and what these and seeds work with. Part of
# _kernels.pyx.


cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef enum:
    # A loop of passes looks whether Ctrl-C was pressed after so many multiply-adds, some 10 ms.
    LOOK_WORK = 20_000_000

    # Of fewer centres, a pass that looks which are near takes longer than one that looks at all.
    LEAST_CENTRES = 32

    # Seeds are looked for about the middle of so many rows.
    MIDDLE_ROWS = 15

    # Rows in which they are looked for are packed once, if that takes no more bytes.
    PACKED_BYTES = 32 << 20


# A pass that begins with guesses leaves far centres out. It is the faster one if it does less than this share of the
# dense work: measured.
cdef double WORTH = 0.5


cdef int look_up(Py_ssize_t *done, Py_ssize_t work) except -1 nogil:
    """After so much work: KeyboardInterrupt if it is time to look and Ctrl-C was pressed. IN/OUT done: work since the
    last look."""
    done[0] += work
    if done[0] > LOOK_WORK:
        done[0] = 0
        with gil:
            PyErr_CheckSignals()
    return 0


cdef struct Clusters:
    # k-means of some rows, which `work` names.
    Work work               # a K_MEANS or CLOSER pass, whichever is laid out
    Py_ssize_t k
    Py_ssize_t trials       # candidates for a further seed
    int n_threads
    Kept kept
    Py_ssize_t done         # see look_up
    char *memory            # of the following, which do not depend on the number of rows
    char *parameters
    double *sums
    double *centres         # (k,d)
    double *moved           # (k,d)
    double *middle          # (d,)
    double *candidates      # (trials,d)
    double *ones            # as many as there are centres or candidates
    double *zeros           # the same
    double *scratch         # the same, times d
    double *values          # (k or trials,)
    Py_ssize_t *drawn       # (trials,)
    double *closest         # (n,), and the following: those of the rows, which are needed for seeds only
    double *chunk_sums      # (chunks,trials)
    char *panel             # the rows, packed; NULL: there are too many
    bint packed             # `panel` holds them
    bint watched            # the following two are wanted
    History inertia         # before each move of the centres and at the end
    History shares          # of the dense work, that each of these passes did


cdef Py_ssize_t trials_of(Py_ssize_t k) noexcept nogil:
    """Candidates for each seed of k but the first: 2 + ⌊log k⌋, as scikit-learn has them."""
    return 2 + <Py_ssize_t> log(<double> k)


cdef Py_ssize_t carve_clusters(Clusters *of, double *memory) noexcept nogil:
    """OUT what `of` points to in its memory. Returns how many doubles that has."""
    cdef Py_ssize_t d = of.work.d, most = max(of.k, of.trials, <Py_ssize_t> MIDDLE_ROWS)
    cdef Free free = Free(memory, 0)
    of.parameters = <char *> carve(&free, parameters_size(&of.work) // sizeof(double))
    of.sums = carve(&free, of.work.sums.size)
    of.centres, of.moved, of.middle = carve(&free, of.k * d), carve(&free, of.k * d), carve(&free, d)
    of.candidates, of.scratch = carve(&free, of.trials * d), carve(&free, most * d)
    of.ones, of.zeros, of.values = carve(&free, most), carve(&free, most), carve(&free, most)
    of.drawn = <Py_ssize_t *> carve(&free, of.trials)
    return free.taken


cdef int open_clusters(Clusters *of, Py_ssize_t k, Py_ssize_t d, int n_threads) except -1 nogil:
    """OUT `of`: k clusters of rows of d features, which are not given yet. IN `of`: zeros."""
    cdef Py_ssize_t size, q
    of.k, of.trials, of.n_threads = k, trials_of(k), n_threads
    of.work.kernels = TARGETS[TARGET].f64    # whose reals are the larger
    of.work.k, of.work.d, of.work.moment, of.work.output = max(k, of.trials), d, NONE, NO_OUTPUT
    of.work.mixture.form = CGMM_ISOTROPIC
    lay_out_tiles(&of.work)
    size = carve_clusters(of, NULL)
    of.memory = <char *> cgmm_allocate(align(size * sizeof(double)))
    if of.memory == NULL:
        with gil:
            raise MemoryError("no memory for the centres of clusters")
    carve_clusters(of, <double *> of.memory)
    for q in range(of.work.k):
        of.ones[q], of.zeros[q] = 1.0, 0.0
    return 0


cdef void close_clusters(Clusters *of) noexcept nogil:
    """Free the memories of `of`."""
    cgmm_release(of.memory)
    cgmm_release(of.kept.memory)
    free(of.inertia.values)
    free(of.shares.values)


cdef Py_ssize_t packed_doubles(const Clusters *of, Py_ssize_t n) noexcept nogil:
    """Doubles that n rows take which are packed once; 0: they are too many."""
    cdef Py_ssize_t size = align(n) * cgmm_pad4(of.work.d)
    return size + 64 // <Py_ssize_t> sizeof(double) if size * <Py_ssize_t> sizeof(double) <= PACKED_BYTES else 0


cdef Py_ssize_t seeding_doubles(const Clusters *of, Py_ssize_t n) noexcept nogil:
    """Doubles that seeds of n rows take beside the memory of `of`."""
    return n + (n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS * of.trials + packed_doubles(of, n)


cdef void carve_seeding(Clusters *of, Py_ssize_t n, double *memory) noexcept nogil:
    """OUT what `of` points to of the rows. IN memory of seeding_doubles."""
    cdef Py_ssize_t packed = packed_doubles(of, n)
    of.panel = <char *> align(<Py_ssize_t> memory) if packed else NULL
    of.closest = memory + packed
    of.chunk_sums = of.closest + n


cdef Py_ssize_t put_below(double *values, Py_ssize_t first, Py_ssize_t last, double pivot, bint equal) noexcept nogil:
    """Put those of the values first … last that are below the pivot, or `equal` to it, before the others. Returns where
    the others begin. Nothing is guessed that a processor might guess wrongly."""
    cdef Py_ssize_t begin = first, i
    cdef double value
    for i in range(first, last + 1):
        value = values[i]
        values[i] = values[begin]
        values[begin] = value
        begin += value <= pivot if equal else value < pivot
    return begin


cdef double middle_of_three(double a, double b, double c) noexcept nogil:
    """The one that is neither below nor above both others."""
    return max(min(a, b), min(max(a, b), c))


cdef double ranked(double *values, Py_ssize_t first, Py_ssize_t last, Py_ssize_t rank) noexcept nogil:
    """The number of a rank among values first … last, between which it is (selection by partition, Hoare 1961). IN/OUT
    values: afterwards none before it is larger, none after it smaller."""
    cdef Py_ssize_t begin
    cdef double pivot
    while first < last:
        pivot = middle_of_three(values[first], values[(first + last) // 2], values[last])
        begin = put_below(values, first, last, pivot, False)
        if rank < begin:
            last = begin - 1
            continue
        first = put_below(values, begin, last, pivot, True)
        if rank < first:
            return pivot
    return values[rank]


cdef void middle_of(Py_ssize_t k, Py_ssize_t d, const double *centres, double *values, double *middle) noexcept nogil:
    """OUT middle (d,): the (lower) median of the centres (k,d) in each feature. SCRATCH values (k,)."""
    cdef Py_ssize_t j, q
    for j in range(d):
        for q in range(k):
            values[q] = centres[q * d + j]
        middle[j] = ranked(values, 0, k - 1, (k - 1) // 2)


cdef void set_centres(Clusters *of, Kind kind, Py_ssize_t k, const double *centres) noexcept nogil:
    """Prepare a pass over distances to k centres, about of.middle."""
    of.work.k, of.work.centre = k, of.middle
    place_parameters(&of.work, of.parameters, False)
    lay_out(&of.work, kind)
    load(&of.work, centres, of.ones, of.zeros, NULL, of.scratch)


cdef int add_up(Clusters *of) except -1 nogil:
    """The pass that is laid out. OUT of.sums."""
    memset(of.sums, 0, of.work.sums.size * sizeof(double))
    run(&of.work, of.n_threads, &of.kept, of.sums)
    return look_up(&of.done, work_of_rows(&of.work, of.work.n))


cdef void take_row(const Work *work, Py_ssize_t i, double *row) noexcept nogil:
    """OUT row (d,): the i-th, in double."""
    cdef const char *value = work.X + i * work.row_stride
    cdef bint single = work.kernels.itemsize == sizeof(float)
    cdef Py_ssize_t j
    for j in range(work.d):
        row[j] = (<const float *> value)[0] if single else (<const double *> value)[0]
        value += work.column_stride


# Lloyd's iterations


cdef struct LeavingOut:
    # Whether the next pass leaves far centres out: decided by counts of the work done, so always the same.
    #
    # One that did not pay is followed by a dense one, the next by two, then by four, …: when the centres have come to
    # rest, it may pay.
    bint possible
    Py_ssize_t rest, left
    double worth    # the share of the dense work that the next pass may take, 0 for a dense one


cdef void decide(LeavingOut *of, double share) noexcept nogil:
    """Decide on the next pass, after what the last one did."""
    if of.worth > 0 and share >= of.worth:
        of.left = of.rest
        of.rest *= 2
    of.left -= 1
    of.worth = WORTH if of.possible and of.left < 0 else 0.0


cdef double mean_variance(Clusters *of) except -1 nogil:
    """Variance of a feature, averaged over the features: the scale of a tolerance."""
    cdef Work *work = &of.work
    cdef Py_ssize_t n = work.n, d = work.d, stride = work.row_stride, step = max(<Py_ssize_t> 1, n // 100), j
    cdef Py_ssize_t *labels = work.labels
    cdef double n_k, offset, squares = 0.0
    work.n, work.row_stride = (n + step - 1) // step, step * stride
    column_means_of(work, of.middle)
    work.n, work.row_stride, work.labels = n, stride, NULL
    work.k_means.labels_only = work.k_means.without_inertia = False
    set_centres(of, K_MEANS, 1, of.middle)
    add_up(of)
    work.labels = labels
    n_k = of.sums[work.sums.n_k]
    for j in range(d):
        offset = of.sums[work.sums.first + j] / n_k
        squares += offset * offset
    return max(0.0, (of.sums[SUM_OF_LOGS] / n_k - squares) / d)    # rounding may leave less, and −1 is an error


cdef double move(Clusters *of) noexcept nogil:
    """OUT of.moved: the means of the rows of each cluster, of an empty one its centre. IN of.sums. Returns how far all
    have moved, squared; −1 if none has."""
    cdef const double *n_k = of.sums + of.work.sums.n_k
    cdef const double *first = of.sums + of.work.sums.first
    cdef Py_ssize_t d = of.work.d, c, j, q
    cdef double step, squares = 0.0
    cdef bint any = False
    for c in range(of.k):
        for j in range(d):
            q = c * d + j
            of.moved[q] = first[q] / n_k[c] + of.middle[j] if n_k[c] > 0 else of.centres[q]
            step = of.moved[q] - of.centres[q]
            any = any or step != 0
            squares += step * step
    return squares if any else -1.0


cdef Py_ssize_t lloyd_from(Clusters *of, Py_ssize_t most, double tol, char *tops) except -1 nogil:
    """Lloyd's iterations (1982): assign each row to the nearest centre, move it to their mean. IN/OUT of.centres. OUT
    work.labels, of these centres; of.inertia, of.shares. SCRATCH tops, REAL (n,), of LEAST_CENTRES or more. Returns the
    moves that were made.

    The labels of each pass are the guesses of the next, from which it knows what is near; they change no bit.
    """
    cdef Py_ssize_t moves = 0
    cdef double threshold = tol * mean_variance(of) if tol > 0 else 0.0, squares, share
    cdef LeavingOut leaving = LeavingOut(of.k >= LEAST_CENTRES, 1, 0, 0.0)
    cdef bint settled = False, guessed = of.k >= LEAST_GUESSED and of.work.d <= MOST_GUESSED_FEATURES
    of.inertia.count = of.shares.count = 0
    middle_of(of.k, of.work.d, of.centres, of.values, of.middle)
    while True:
        of.work.k_means.tops = NULL
        set_centres(of, K_MEANS, of.k, of.centres)
        of.work.k_means.without_inertia = not of.watched
        of.work.k_means.labels_only = not of.watched and (moves == most or settled)
        share = 1.0
        if guessed or leaving.worth > 0:
            with gil:
                if guessed:
                    guess_nearest(&of.work, &of.kept, of.sums, of.n_threads)
                share = find_nearest(&of.work, &of.kept, tops, WORTH, of.n_threads)
        guessed = False
        add_up(of)
        decide(&leaving, share)
        if of.watched:
            remember(&of.inertia, of.sums[SUM_OF_LOGS])
            remember(&of.shares, share)
        if moves == most or settled:
            return moves
        squares = move(of)
        if squares < 0:
            return moves
        settled = squares <= threshold
        of.centres, of.moved = of.moved, of.centres
        moves += 1
        if moves == 1:    # from now on the same: then the same centres follow from the same labels, to the bit
            middle_of(of.k, of.work.d, of.centres, of.values, of.middle)


cdef array_of(const History *history):
    """An array of the values."""
    values = np.empty(history.count)
    if history.count:
        memcpy(address(values), history.values, values.nbytes)
    return values


cdef class _KMeans:
    """Clusters of rows X (n,d), of weights (n,) or None."""
    cdef Clusters of
    cdef object X, row_weights

    def __cinit__(self, X, Py_ssize_t k, row_weights, int n_threads):
        cdef Work *work = &self.of.work
        self.X, self.row_weights = X, row_weights
        open_clusters(&self.of, k, X.shape[1], n_threads)
        bind(work, X)
        if not work.n:
            raise ValueError("k-means needs rows")
        work.row_weights = start_of(checked_weights(row_weights, work.n))    # self.row_weights keeps them

    def __dealloc__(self):
        close_clusters(&self.of)

    cdef centres(self):
        found = np.empty((self.of.k, self.of.work.d))
        memcpy(address(found), self.of.centres, found.nbytes)
        return found


def uniforms_of(Py_ssize_t k):
    """How many uniform numbers plus_plus takes."""
    return 1 + (k - 1) * trials_of(k)


def plus_plus(X, Py_ssize_t k, const double[::1] uniforms, row_weights=None, int n_threads=1):
    """Greedy k-means++ seeds (k,d) from rows X (n,d), by as many uniform numbers as uniforms_of says: each the best of
    a few rows drawn in proportion to w · distance²."""
    cdef _KMeans whole = _KMeans(X, k, row_weights, n_threads)
    cdef Clusters *of = &whole.of
    if uniforms.shape[0] != uniforms_of(k):
        raise ValueError(f"{k} seeds take {uniforms_of(k)} uniform numbers, not {uniforms.shape[0]}")
    memory = np.empty(seeding_doubles(of, of.work.n))
    carve_seeding(of, of.work.n, <double *> address(memory))
    with nogil:
        seed(of, &uniforms[0])
    return whole.centres()


def lloyd(X, const double[:, ::1] centres, Py_ssize_t most, double tol, row_weights=None, int n_threads=1):
    """Lloyd's iterations from centres (k,d): the centres; the labels (n,) of these; the inertia before each move and at
    the end; and the shares of the dense work that these passes did."""
    cdef _KMeans whole = _KMeans(X, centres.shape[0], row_weights, n_threads)
    cdef Clusters *of = &whole.of
    cdef Py_ssize_t[::1] labels
    if centres.shape[1] != of.work.d:
        raise ValueError(f"centres of {centres.shape[1]} features for rows of {of.work.d}")
    found, tops = np.empty(of.work.n, dtype=np.intp), np.empty(of.work.n if of.k >= LEAST_CENTRES else 0)
    labels = found
    of.work.labels, of.watched = &labels[0], True
    memcpy(of.centres, &centres[0, 0], of.k * of.work.d * sizeof(double))
    cdef char *memory = <char *> address(tops)
    with nogil:
        lloyd_from(of, most, tol, memory)
    return whole.centres(), found, array_of(&of.inertia), array_of(&of.shares)
