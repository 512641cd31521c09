# The passes of k-means: the nearest centre of each row, with or without a look at those that are too far away, and what
# each candidate for a centre would do. Their densities
# are isotropic, −½ of squared distances. Part of _kernels.pyx.


cdef void lay_out_distances(Work *work) noexcept nogil:
    """OUT work.sums; work.scratch, which is empty: the parts of a pass that only takes distances. IN work.block."""
    cdef Py_ssize_t real = work.kernels.itemsize
    lay_out_tiles(work)
    work.scratch.panel = claim(&work.scratch, work.block * cgmm_pad4(work.d) * real)
    work.scratch.logd = claim(&work.scratch, work.block * cgmm_pad4(work.k) * real)


cdef void lay_out_k_means(Work *work) noexcept nogil:
    """Lay out a K_MEANS pass. IN work.block; OUT work.sums, scratch, k_means, chunk, run_chunk."""
    cdef Py_ssize_t real = work.kernels.itemsize
    lay_out_distances(work)
    work.k_means.top = claim(&work.scratch, work.block * real)
    work.k_means.label = claim(&work.scratch, work.block * sizeof(Py_ssize_t))
    work.k_means.row_weights = claim(&work.scratch, work.block * real)
    work.chunk = few_rows_chunk(work)
    work.run_chunk = k_means_chunk


cdef void lay_out_closer(Work *work) noexcept nogil:
    """Lay out a CLOSER pass, whose caller knows its chunks. IN work.block; OUT work.sums, scratch, chunk, run_chunk."""
    lay_out_tiles(work)
    work.scratch.panel = claim(&work.scratch, work.block * cgmm_pad4(work.d) * work.kernels.itemsize)
    work.chunk = CGMM_CHUNK_ROWS
    work.beside = 1    # two threads took longer than one for 16,384 rows of one feature
    work.run_chunk = closer_chunk


cdef void take_distances(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory) noexcept nogil:
    """OUT memory: logd ← −½ of the squared distances of rows start … start + rows; panel. An isotropic form needs no
    scratch."""
    pack_rows(work, start, rows, memory)
    work.kernels.densities(memory + work.scratch.panel, rows, &work.mixture, NULL, memory + work.scratch.logd)


cdef double inertia_of(const Work *work, Py_ssize_t rows, const char *top, const char *w) noexcept nogil:
    """Σ_i w_i |x_i − centre|². IN top (rows,), which holds −½ of the squared distances, and w (rows,), both REAL."""
    cdef double total = 0.0
    cdef Py_ssize_t i
    if work.kernels.itemsize == sizeof(double):
        for i in range(rows):
            total += (<const double *> w)[i] * -2.0 * (<const double *> top)[i]
    else:
        for i in range(rows):
            total += <double> (<const float *> w)[i] * -2.0 * <double> (<const float *> top)[i]
    return total


cdef void few_block(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory, double *sums) noexcept nogil:
    """k_means_block of few centres, which are all looked at, and whose sums are added up, while rows are in
    registers."""
    cdef char *weights = memory + work.k_means.row_weights
    cdef Py_ssize_t *label = NULL
    cdef bint summed = not work.k_means.labels_only
    if work.labels != NULL:
        label = work.labels + start
    if work.row_weights == NULL:
        weights = NULL
    else:
        fill_row_weights(work, NULL, start, rows, weights)
    pack_rows(work, start, rows, memory)
    work.kernels.assign(memory + work.scratch.panel, rows, work.d, work.k, work.means, weights, label,
                        NULL if work.k_means.without_inertia else sums + SUM_OF_LOGS,
                        sums + work.sums.n_k if summed else NULL, sums + work.sums.first)


cdef void k_means_block(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory,
                        double *sums) noexcept nogil:
    """sums (sums.size,) += inertia, n_k and first moments about the centre, of rows start … start + rows; OUT
    work.labels, if they are asked for. SCRATCH memory."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef char *top = memory + work.k_means.top
    cdef char *weights = memory + work.k_means.row_weights
    cdef Py_ssize_t *label = <Py_ssize_t *> (memory + work.k_means.label)
    if kernels.itemsize == sizeof(double) and cgmm_few(work.d, work.k):    # panels of float32 round rows
        few_block(work, start, rows, memory, sums)
        return
    if work.k_means.tops != NULL:
        memcpy(top, work.k_means.tops + start * kernels.itemsize, rows * kernels.itemsize)
        label = work.labels + start
    else:
        take_distances(work, start, rows, memory)
        kernels.argmax(rows, work.k, memory + work.scratch.logd, top, label)
        if work.labels != NULL:
            memcpy(work.labels + start, label, rows * sizeof(Py_ssize_t))
    if work.k_means.labels_only:
        return
    fill_row_weights(work, NULL, start, rows, weights)
    if not work.k_means.without_inertia:
        sums[SUM_OF_LOGS] += inertia_of(work, rows, top, weights)
    kernels.moments_hard(work.X + start * work.row_stride, work.row_stride, work.column_stride, rows, work.d,
                         work.centre, label, weights, sums + work.sums.n_k, sums + work.sums.first)


cdef void k_means_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk. SCRATCH memory."""
    run_blocks(work, chunk, k_means_block, memory, sums)


cdef void closer_block(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory, double *_) noexcept nogil:
    """OUT work.closer.distances, if they are asked for, and chunk_sums += them, of rows start … start + rows. SCRATCH
    memory."""
    cdef const Closer *closer = &work.closer
    cdef const double *weights = work.row_weights
    cdef double *distances = closer.distances
    cdef char *panel = memory + work.scratch.panel
    if weights != NULL:
        weights += start
    if distances != NULL:
        distances += start
    if closer.panel != NULL:
        panel = closer.panel + start * cgmm_pad4(work.d) * work.kernels.itemsize
    if not closer.packed:
        pack_into(work, start, rows, panel)
    work.kernels.closer(panel, rows, work.d, work.k, work.means, closer.closest + start,
                        weights, work.n, distances, closer.chunk_sums + start // work.chunk * work.k)


cdef void closer_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """As k_means_chunk; there are no sums."""
    run_blocks(work, chunk, closer_block, memory, sums)


cdef enum:
    # Rows that share a list of the centres that may be their nearest: a group of the widest
    # vectors of doubles. Not tuned yet.
    NEAR_ROWS = 32

    # What ordering a row costs beside a dense pass, in multiply-adds of that pass: fitted to timings. Some of it grows
    # with the features, for the row is packed by an index.
    ORDER_WORK = 300
    ORDER_WORK_PER_FEATURE = 10

    # One row in so many shows whether the others are to be ordered, too.
    TRIAL_SHARE = 16

    # The first pass, which has no guesses, makes some if there are so many centres, and no more features: measured
    # (300,000 × 2 and 600 centres: as long with guesses, 300,000 × 3 and 1000: 53 ms, 88 without). Leaves of rows of
    # more features hold rows of several clusters.
    LEAST_GUESSED = 768
    MOST_GUESSED_FEATURES = 4


cdef void lay_out_nearest(Work *work) noexcept nogil:
    """Lay out a NEAREST pass. OUT work.block, sums, scratch, nearest, chunk, run_chunk."""
    cdef Py_ssize_t real = work.kernels.itemsize, k = work.k, d = work.d
    cdef Nearest *nearest = &work.nearest
    cdef Scratch *scratch = &work.scratch
    work.block = max(<Py_ssize_t> NEAR_ROWS, work.kernels.group)
    lay_out_distances(work)
    work.sums.size = align(SUMS_BEFORE * 8) // 8
    nearest.top = claim(scratch, work.block * real)
    nearest.label = claim(scratch, work.block * sizeof(Py_ssize_t))
    nearest.centres = claim(scratch, k * d * real)
    nearest.numbers = claim(scratch, k * sizeof(Py_ssize_t))
    nearest.begins = claim(scratch, (work.block + 1) * sizeof(Py_ssize_t))
    nearest.found = claim(scratch, (k + 63) // 64 * 8)
    nearest.box = claim(scratch, d * real)
    nearest.end = claim(scratch, d * real)
    nearest.limits = claim(scratch, CGMM_BOXES * real)
    work.chunk = CGMM_CHUNK_ROWS
    work.run_chunk = nearest_chunk


cdef Py_ssize_t nearest_of(const Work *work, Py_ssize_t rows, Py_ssize_t count, char *memory) noexcept nogil:
    """The nearest of a few centres. IN memory: panel of the rows; numbers (count,). OUT top, and label, which counts
    the numbers; SCRATCH centres, logd. Returns count."""
    cdef Py_ssize_t size = work.d * work.kernels.itemsize, q
    cdef char *centres = memory + work.nearest.centres
    cdef const Py_ssize_t *numbers = <const Py_ssize_t *> (memory + work.nearest.numbers)
    cdef cgmm_mixture some = cgmm_mixture(CGMM_ISOTROPIC, work.d, count, centres, work.nearest.ones, work.nearest.zeros,
                                          NULL)
    for q in range(count):
        memcpy(centres + q * size, <const char *> work.means + numbers[q] * size, size)
    work.kernels.densities(memory + work.scratch.panel, rows, &some, NULL, memory + work.scratch.logd)
    work.kernels.argmax(rows, count, memory + work.scratch.logd, memory + work.nearest.top,
                        <Py_ssize_t *> (memory + work.nearest.label))
    return count


cdef void set_limits(const Work *work, Py_ssize_t first, Py_ssize_t last, char *memory) noexcept nogil:
    """OUT memory: limits, all the largest squared distance of rows first … last − 1 to what is their nearest so far.
    IN memory: top."""
    cdef const char *top = memory + work.nearest.top
    cdef char *limits = memory + work.nearest.limits
    cdef double far = 0.0
    cdef Py_ssize_t i, q, real = work.kernels.itemsize
    for i in range(first, last):
        far = min(far, (<const double *> top)[i] if real == sizeof(double) else <double> (<const float *> top)[i])
    far *= -2.0
    for q in range(CGMM_BOXES):
        if real == sizeof(double):
            (<double *> limits)[q] = far
        else:
            (<float *> limits)[q] = <float> far


cdef Py_ssize_t cut_runs(const Nearest *nearest, Py_ssize_t start, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t *begins,
                         Py_ssize_t *guesses) noexcept nogil:
    """Where the runs of one guess begin in rows start … start + rows of the order, and their guesses. OUT begins
    (count + 1,), from 0 to rows; guesses (count,). Returns count."""
    cdef Py_ssize_t count = 0, low = 0, high = k, middle, at = start
    while low < high:
        middle = (low + high) // 2
        if nearest.ends[middle] > start:
            high = middle
        else:
            low = middle + 1
    while at < start + rows:
        if nearest.ends[low] > at:
            begins[count] = at - start
            guesses[count] = nearest.tree.order[low]
            count += 1
            at = nearest.ends[low]
        low += 1
    begins[count] = rows
    return count


cdef void nearest_block(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory, double *sums) noexcept nogil:
    """work.labels and work.nearest.tops of rows start … start + rows of the order: first of the guesses, then of all
    centres that a box around the rows of one guess comes near. SCRATCH memory; sums[SUM_OF_WORK] += multiply-adds."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Nearest *nearest = &work.nearest
    cdef const Py_ssize_t *index = nearest.order + nearest.first + start
    cdef Py_ssize_t *numbers = <Py_ssize_t *> (memory + nearest.numbers)
    cdef const Py_ssize_t *label = <const Py_ssize_t *> (memory + nearest.label)
    cdef unsigned long long *found = <unsigned long long *> (memory + nearest.found)
    cdef char *low = memory + nearest.box
    cdef char *high = memory + nearest.end
    cdef Py_ssize_t *begins = <Py_ssize_t *> (memory + nearest.begins)
    cdef Py_ssize_t runs = 0, i, looked = 0, pairs, real = kernels.itemsize
    kernels.pack(work.X, work.row_stride, work.column_stride, index, rows, work.d, work.centre,
                 memory + work.scratch.panel)
    runs = cut_runs(nearest, nearest.first + start, rows, work.k, begins, numbers)
    pairs = nearest_of(work, rows, runs, memory)
    memset(found, 0, (work.k + 63) // 64 * 8)
    for i in range(runs):
        set_limits(work, begins[i], begins[i + 1], memory)
        kernels.box(memory + work.scratch.panel, begins[i], begins[i + 1], work.d, low, high)
        find_near(kernels, nearest.tree, low, high, memory + nearest.limits, found, &looked)
    pairs += nearest_of(work, rows, list_bits(found, work.k, numbers), memory)
    for i in range(rows):
        work.labels[index[i]] = numbers[label[i]]
        if real == sizeof(double):    # a call for each would take a tenth of the pass
            (<double *> nearest.tops)[index[i]] = (<const double *> (memory + nearest.top))[i]
        else:
            (<float *> nearest.tops)[index[i]] = (<const float *> (memory + nearest.top))[i]
    sums[SUM_OF_WORK] += <double> (work.d * (pairs * rows + looked * CGMM_BOXES)
                                   + rows * (ORDER_WORK + ORDER_WORK_PER_FEATURE * work.d))


cdef void nearest_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """As k_means_chunk."""
    run_blocks(work, chunk, nearest_block, memory, sums)


cdef double share_of_nearest(Work *work, Kept *kept, Py_ssize_t first, Py_ssize_t last, int n_threads) except -1:
    """A NEAREST pass over some rows of its order. Returns the share of the dense work that was done."""
    cdef Py_ssize_t n = work.n
    cdef double[::1] sums
    work.n, work.nearest.first = last - first, first
    lay_out(work, NEAREST)
    sums = np.zeros(work.sums.size)
    if last > first:
        with nogil:
            run(work, n_threads, kept, &sums[0])
    work.n = n
    return sums[SUM_OF_WORK] / (<double> max(<Py_ssize_t> 1, last - first) * work.k * work.d)


cdef double find_nearest(Work *work, Kept *kept, char *tops, double worth, int n_threads) except -1:
    """NEAREST passes, first over a few rows, and if they are worth it over the others; OUT work.labels, which are
    guesses before, and tops, REAL (n,): what a K_MEANS pass takes with them. Returns the share of the dense work that
    was done."""
    cdef Py_ssize_t n = work.n, k = work.k, trial = (n + TRIAL_SHARE - 1) // TRIAL_SHARE, i
    cdef bint single = work.kernels.itemsize == sizeof(float)
    cdef double share = (ORDER_WORK + ORDER_WORK_PER_FEATURE * work.d) / (<double> k * work.d)
    if share >= worth:
        return share
    cdef double[:, ::1] means = np.empty((k, work.d))
    work.kernels.widen(work.means, k * work.d, &means[0, 0])    # exactly as the kernels hold them
    cdef _Centres centres = _Centres(means, single)
    cdef const Py_ssize_t[::1] ranks = centres.ranks(k)
    cdef Py_ssize_t[::1] ranked = np.empty(n, dtype=np.intp)
    cdef Py_ssize_t[::1] order = np.empty(n, dtype=np.intp)
    cdef Py_ssize_t[::1] ends = np.empty(k, dtype=np.intp)
    dtype = np.float32 if single else np.float64
    zeros, ones = np.zeros(k, dtype), np.ones(k, dtype)
    with nogil:
        for i in range(n):
            ranked[i] = ranks[work.labels[i]]
        sort_by_label(&ranked[0], n, k, 0, &ends[0], &order[0])
    work.nearest.tree = &centres.tree
    work.nearest.order, work.nearest.ends = &order[0], &ends[0]
    work.nearest.zeros, work.nearest.ones = address(zeros), address(ones)
    work.nearest.tops = tops
    share = share_of_nearest(work, kept, 0, trial, n_threads)
    if share < worth:
        share = (trial * share + (n - trial) * share_of_nearest(work, kept, trial, n, n_threads)) / n
        work.k_means.tops = tops
    lay_out(work, K_MEANS)
    return share


cdef int guess_nearest(Work *work, Kept *kept, double *sums, int n_threads) except -1:
    """OUT work.labels: guesses for find_nearest. Rows are cut into leaves that lie together in space, and all rows of a
    leaf are given the centre that is the nearest to one of them. IN a K_MEANS pass that is laid out; SCRATCH sums."""
    cdef Work whole = work[0]
    cdef Py_ssize_t n = work.n, d = work.d, real = work.kernels.itemsize, leaves = leaves_of(n, NEAR_ROWS)
    cdef Py_ssize_t leaf, i, j, end = 0
    cdef Coordinates points = Coordinates(work.X, work.row_stride, work.column_stride, d, real == sizeof(float), NULL)
    cdef Py_ssize_t[:, ::1] of_rows = np.empty((2, n), dtype=np.intp), of_leaves = np.empty((3, leaves), dtype=np.intp)
    values, keys = np.empty(leaves), np.empty((n + CUT_SHARE - 1) // CUT_SHARE)
    some = np.empty(leaves * d * real, dtype=np.int8)
    cdef Leaves tree = Leaves(leaves, &of_leaves[0, 0], <double *> address(values), <double *> address(keys),
                              &of_rows[0, 0], &of_leaves[1, 0])
    cdef char *to = <char *> address(some)
    with nogil:
        sort_into_leaves(&points, 0, n, &tree, &of_rows[1, 0], n_threads)
        for leaf in range(leaves):
            i = of_rows[1, min(end, n - 1)]    # of an empty leaf, a row of the next one
            end = of_leaves[1, leaf]
            for j in range(d):
                memcpy(to, work.X + i * work.row_stride + j * work.column_stride, real)
                to += real
        work.X, work.row_stride, work.column_stride = to - leaves * d * real, d * real, real
        work.n, work.labels, work.k_means.labels_only = leaves, &of_leaves[2, 0], True
        lay_out(work, K_MEANS)
        run(work, n_threads, kept, sums)
        work[0] = whole
        for i in range(n):
            work.labels[i] = of_leaves[2, of_rows[0, i]]
    return 0


def assign(X, density, row_weights=None, labels=None, int n_threads=1, double worth=0.0):
    """One k-means pass, density isotropic with unit scale and no norm: n_k, centre sums about density.centre,
    inertia; and a share of work. The nearest centre of each row goes to labels (n,) intp, if given.

    If worth > 0, labels hold guesses, centres that are near. Those too far away to be the nearest are then not looked
    at, if that takes less than this share of the dense work, by a trial of a few rows: the same bits in less time. The
    share of the work that was done, or would have been, is returned."""
    cdef _Pass work = _Pass(X, density, row_weights, kind=K_MEANS)
    cdef Py_ssize_t[::1] view
    cdef Py_ssize_t d = work.work.d, k = work.work.k
    cdef double share = 1.0
    if labels is not None and work.work.n:
        view = labels
        if view.shape[0] != work.work.n:
            raise ValueError("labels must be (n,)")
        work.work.labels = &view[0]
        if worth > 0:
            if not all_below(&view[0], work.work.n, k):
                raise ValueError(f"labels must be 0 … {k - 1}")
            tops = np.empty(work.work.n, dtype=X.dtype)
            share = find_nearest(&work.work, &work.kept, <char *> address(tops), worth, n_threads)
    flat = work.run(n_threads)
    at = work.work.sums
    return (flat[at.n_k:at.n_k + k].copy(), flat[at.first:at.first + k * d].reshape(k, d).copy(),
            float(flat[SUM_OF_LOGS]), share)


def closer(X, density, const double[::1] closest, double[:, ::1] distances=None, row_weights=None, int n_threads=1):
    """One round of k-means++ with k candidates, density isotropic with unit scale and no norm: each row's squared
    distance to the closest of what closest (n,) stands for and the candidate, into distances (k,n) if given; returns
    their weighted sums over each CHUNK of rows, (chunks,k)."""
    cdef _Pass work = _Pass(X, density, row_weights, kind=CLOSER)
    cdef Py_ssize_t n = work.work.n, k = work.work.k
    sums = np.zeros(((n + CHUNK - 1) // CHUNK, k))
    cdef double[:, ::1] chunk_sums = sums
    cdef double *found = NULL
    if closest.shape[0] != n or (distances is not None and (distances.shape[0] != k or distances.shape[1] != n)):
        raise ValueError("closest must be (n,), and distances (k,n)")
    if distances is not None:
        found = &distances[0, 0]
    work.work.closer = Closer(&closest[0], found, &chunk_sums[0, 0], NULL, False)
    work.run(n_threads)
    return sums
