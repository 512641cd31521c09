# A pass over the rows, nogil: blocks and chunks of them, threads, scratch, sums in order. Part of _kernels.pyx.

cdef extern from *:
    """
    #ifdef __SANITIZE_ADDRESS__
    #include <sanitizer/asan_interface.h>
    #define CGMM_GAP 64
    #else
    #define CGMM_GAP 0
    #define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address))
    #endif
    """
    const Py_ssize_t CGMM_GAP    # bytes after each part of a memory, which ASan does not let anyone touch
    void ASAN_POISON_MEMORY_REGION(void *, size_t) noexcept nogil


cdef enum:
    MOST_CHUNK = 8192    # rows in a chunk
    FEW_CHUNKS = 8       # rather than fewer, they are smaller: each is at most one thread's


cdef struct Groups:
    # Rows ordered by which of their features are observed: cut into pieces of one pattern, and these into chunks.
    bint single                   # X is float
    const Py_ssize_t *order       # rows
    const Py_ssize_t *columns     # (patterns,d): the features that a pattern observes, then the others
    const Py_ssize_t *observed    # (patterns,): how many
    const Py_ssize_t *pattern     # (pieces,): of each
    const Py_ssize_t *starts      # (pieces+1,): where each begins in the order
    const Py_ssize_t *chunks      # (n_chunks+1,): which piece each begins with
    Py_ssize_t n_chunks
    const double *roots           # (k,d,d), or (1,d,d) in a pooled pass: P
    const double *variances       # (k,d), in a masked pass


cdef struct Sums:
    # Where each part of a chunk's partial sums begins, in doubles.
    Py_ssize_t n_k
    Py_ssize_t first
    Py_ssize_t second
    Py_ssize_t overlap
    Py_ssize_t size


cdef struct Scratch:
    # Where each thread's scratch begins, in bytes.
    Py_ssize_t panel
    Py_ssize_t white
    Py_ssize_t z
    Py_ssize_t rz
    Py_ssize_t logd
    Py_ssize_t wr
    Py_ssize_t row_weights
    Py_ssize_t lse
    Py_ssize_t scale
    Py_ssize_t label
    # of a pruned chunk
    Py_ssize_t images
    Py_ssize_t floor
    Py_ssize_t found
    Py_ssize_t guess
    Py_ssize_t index
    Py_ssize_t ends
    Py_ssize_t active
    Py_ssize_t present
    # of rows some of whose values are missing
    Py_ssize_t rows
    Py_ssize_t rows_weights
    Py_ssize_t conditioned
    Py_ssize_t square
    Py_ssize_t vector
    Py_ssize_t own_centre
    Py_ssize_t own_means
    Py_ssize_t own_white_means
    Py_ssize_t own_factor
    Py_ssize_t own_log_norm
    Py_ssize_t own_sums
    Py_ssize_t size


cdef struct Work:
    const cgmm_kernels *kernels
    Py_ssize_t n, d, k, block
    const char *X
    Py_ssize_t row_stride, column_stride
    const double *row_weights     # (n,) or NULL
    const double *centre          # (d,)
    const void *whitener          # factor (d,d) or NULL
    cgmm_mixture mixture          # in the space where the density is taken: that of whitened rows, if any
    const void *means             # REAL (k,d), relative to the centre
    Py_ssize_t chunk              # rows in a chunk
    bint guided                   # or every component is evaluated
    Py_ssize_t stands_for         # rows that these are part of, or a sample; or 0
    double margin                 # of screen
    const void *guide             # REAL, see project
    cgmm_mixture nearest          # the images of the means, to guess by
    cgmm_mixture marginal         # the images of the components, to leave them out by
    Moment moment
    Output output
    double *out                   # (n,) or (n,k) or NULL
    Py_ssize_t *labels            # (n,) or NULL
    const double *closest         # (n,), of output CLOSER, whose out is (k,n)
    double *chunk_sums            # (chunks,k), of output CLOSER
    const Groups *groups          # or NULL: no value is missing
    Sums sums
    Scratch scratch


cdef Py_ssize_t align(Py_ssize_t size) noexcept nogil:
    return ((size + 63) & ~<Py_ssize_t>63) + CGMM_GAP


cdef void guard(const void *end) noexcept nogil:
    """Close the gap before the end of an aligned part."""
    ASAN_POISON_MEMORY_REGION(<char *> end - CGMM_GAP, CGMM_GAP)


cdef void guard_scratch(const Work *work, char *memory) noexcept nogil:
    cdef const Py_ssize_t *parts = <const Py_ssize_t *> &work.scratch
    cdef size_t part
    for part in range(1, sizeof(Scratch) // sizeof(Py_ssize_t)):
        if parts[part]:    # those of a pruned chunk may be missing
            guard(memory + parts[part])


cdef Py_ssize_t work_of_rows(const Work *work, Py_ssize_t rows) noexcept nogil:
    """Multiply-adds of a dense pass over so many rows, about."""
    cdef Py_ssize_t each = work.d
    if work.mixture.form == CGMM_TRIANGULAR or work.moment == FULL:
        each *= work.d
    return rows * work.k * (each + 8)


cdef void lay_out_sums(Work *work) noexcept nogil:
    """Fill in work.sums."""
    cdef Py_ssize_t d = work.d, k = work.k
    cdef Sums *sums = &work.sums
    sums.n_k = 3                      # after the log-likelihood (or inertia), the total weight and the work done
    sums.first = sums.n_k + k
    sums.second = sums.first + k * d
    sums.overlap = sums.second
    if work.moment == FULL:
        sums.overlap += k * (cgmm_tiles(d) * 16 if work.groups == NULL else d * d)
    elif work.moment in (DIAG, MASKED):
        sums.overlap += k * d
    elif work.moment == RADIAL:
        sums.overlap += k
    elif work.moment == POOLED:
        sums.overlap += cgmm_tiles(d) * 16 if work.groups == NULL else d * d
    sums.size = sums.overlap + (cgmm_tiles(k) * 16 if work.moment == POOLED and work.groups == NULL else 0)
    sums.size = align(sums.size * 8) // 8


cdef void lay_out(Work *work) noexcept nogil:
    """Fill in work.block, work.sums and work.scratch."""
    cdef Py_ssize_t d = work.d, k = work.k
    cdef Py_ssize_t real = work.kernels.itemsize, block = cgmm_block_rows(d, k, real)
    cdef Py_ssize_t data_panel, component_panel
    while block > work.kernels.group and block >= 2 * max(work.n, work.stands_for):    # few rows: little scratch
        block //= 2
    data_panel = align(block * cgmm_pad4(d) * real)
    component_panel = align(block * cgmm_pad4(k) * real)
    cdef Scratch *scratch = &work.scratch
    work.block = block
    lay_out_sums(work)

    scratch.panel = 0
    scratch.white = data_panel
    scratch.z = scratch.white + (data_panel if work.whitener != NULL else 0)
    scratch.rz = scratch.z + data_panel
    # a panel for moments_pooled, a block for moments_full
    scratch.logd = scratch.rz + (data_panel if work.moment == POOLED else align(block * real))
    scratch.wr = scratch.logd + component_panel
    scratch.row_weights = scratch.wr + (component_panel if work.moment in (RADIAL, POOLED) else 0)
    scratch.lse = scratch.row_weights + align(block * real)
    scratch.scale = scratch.lse + align(block * real)
    scratch.label = scratch.scale + align(block * real)
    scratch.images = scratch.label + align(block * sizeof(Py_ssize_t))
    scratch.size = scratch.images
    work.chunk = CGMM_CHUNK_ROWS
    if work.output != CLOSER and work.groups == NULL:    # whose caller knows of its chunks, which has its own
        while work.chunk > block and FEW_CHUNKS * work.chunk > max(work.n, work.stands_for) and (
                work_of_rows(work, work.chunk) >= 4 * THREAD_WORK):
            work.chunk //= 2
    if work.groups != NULL:
        lay_out_groups(work)
    if not work.guided:
        return
    while work.chunk < 128 * k and work.chunk < MOST_CHUNK and 8 * work.chunk <= max(work.n, work.stands_for):
        work.chunk *= 2
    scratch.floor = scratch.images + align(block * CGMM_GUIDE * real)
    scratch.found = scratch.floor + align(block * real)
    scratch.guess = scratch.found + align(block * k * real)
    scratch.index = scratch.guess + align(2 * work.chunk * sizeof(Py_ssize_t))
    scratch.ends = scratch.index + align(work.chunk * sizeof(Py_ssize_t))
    scratch.active = scratch.ends + align(k * sizeof(Py_ssize_t))
    scratch.present = scratch.active + align(k * sizeof(Py_ssize_t))
    scratch.size = scratch.present + align(k * (block // work.kernels.lanes))


cdef void fill_row_weights(const Work *work, const Py_ssize_t *index, Py_ssize_t start, Py_ssize_t rows,
                           char *to) noexcept nogil:
    """The block's row weights, one where there are none, and zero past its last row.

    Its rows are those of the index, if there is one, else they begin at start.
    """
    cdef Py_ssize_t i, real = work.kernels.itemsize
    memset(to, 0, work.block * real)
    if work.row_weights != NULL and index != NULL:
        for i in range(rows):
            work.kernels.convert(work.row_weights + index[i], 1, NULL, 1, to + i * real)
    elif work.row_weights != NULL:
        work.kernels.convert(work.row_weights + start, rows, NULL, 1, to)
    elif real == sizeof(double):
        for i in range(rows):
            (<double *> to)[i] = 1.0
    else:
        for i in range(rows):
            (<float *> to)[i] = 1.0


cdef double total_weight(const Work *work, const Py_ssize_t *index, Py_ssize_t start,
                         Py_ssize_t rows) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t i
    if work.row_weights == NULL:
        return <double> rows
    for i in range(rows):
        total += work.row_weights[index[i] if index != NULL else start + i]
    return total


cdef double inertia_of(const Work *work, Py_ssize_t rows, const char *top, const char *w) noexcept nogil:
    """Sum of w · |x − centre|², of which top holds −½."""
    cdef double total = 0.0
    cdef Py_ssize_t i
    if work.kernels.itemsize == sizeof(double):
        for i in range(rows):
            total += (<const double *> w)[i] * -2.0 * (<const double *> top)[i]
    else:
        for i in range(rows):
            total += <double> (<const float *> w)[i] * -2.0 * <double> (<const float *> top)[i]
    return total


cdef Py_ssize_t panel_size(const Work *work, Py_ssize_t rows, Py_ssize_t features) noexcept nogil:
    """Bytes of a panel."""
    cdef Py_ssize_t group = work.kernels.group
    return (rows + group - 1) // group * group * cgmm_pad4(features) * work.kernels.itemsize


cdef Py_ssize_t moment_work(Moment moment, Py_ssize_t d) noexcept nogil:
    """Multiply-adds of the moments of a row and a component."""
    if moment == FULL:
        return d * (d + 3) // 2
    return 0 if moment == NONE else d if moment == RADIAL else 2 * d


cdef Py_ssize_t dense_work(cgmm_form form, Moment moment, Py_ssize_t d, Py_ssize_t k) noexcept nogil:
    """Multiply-adds of a dense pass for a row."""
    return k * ((cgmm_factor_size(d) if form == CGMM_TRIANGULAR else 2 * d) + moment_work(moment, d))


cdef Py_ssize_t ordering_work(cgmm_form form, Py_ssize_t d, Py_ssize_t k) noexcept nogil:
    """What ordering the rows of a pruned pass costs for each, in multiply-adds."""
    return (ISOTROPIC_GATHER_WORK if form == CGMM_ISOTROPIC else GATHER_WORK) * d + GUESS_WORK * k


cdef void add_moments(const Work *work, Py_ssize_t rows, Py_ssize_t active, const Py_ssize_t *components,
                      const unsigned char *present, char *memory, double *sums) noexcept nogil:
    """The moments of a block whose responsibilities are unnormalised in logd: those of the active components."""
    if work.moment == NONE:
        return
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Scratch *at = &work.scratch
    cdef Py_ssize_t d = work.d
    cdef char *panel = memory + at.panel
    cdef char *logd = memory + at.logd
    cdef char *z = memory + at.z
    cdef char *rz = memory + at.rz
    cdef double *n_k = sums + work.sums.n_k
    cdef double *first = sums + work.sums.first
    cdef double *second = sums + work.sums.second
    cdef char *weights = memory + at.row_weights
    kernels.rescale(rows, active, memory + at.scale, NULL if work.moment == POOLED else weights, logd)
    if work.moment == POOLED:
        kernels.moments_pooled(panel, rows, d, active, work.means, logd, weights, z, rz, memory + at.wr,
                               n_k, first, second, sums + work.sums.overlap)
    elif work.moment == RADIAL:
        kernels.moments_radial(panel, rows, d, active, components, logd, memory + at.wr,
                               work.mixture.log_norm, n_k, first, second)
    elif work.moment == MASKED:
        kernels.moments_masked(panel, rows, d, active, work.means, work.groups.variances, logd, n_k, first, second)
    elif work.moment == FULL:
        kernels.moments_full(panel, rows, d, active, work.means, components, present, logd, z, rz,
                             n_k, first, second)
    else:
        kernels.moments_diag(panel, rows, d, active, work.means, components, present, logd, n_k, first, second)


cdef void run_block(const Work *work, Py_ssize_t start, Py_ssize_t rows, const Py_ssize_t *index,
                    const Py_ssize_t *guess, char *memory, double *sums) noexcept nogil:
    """Densities, then what the pass is for, while the rows are in cache.

    Rows start … start + rows; or those of the index, with their guesses and without negligible components.
    """
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Scratch *at = &work.scratch
    cdef Py_ssize_t d = work.d, active = work.k, looked = 0, needed = 0, vectors, q
    cdef char *panel = memory + at.panel
    cdef char *white = panel
    cdef char *logd = memory + at.logd
    cdef char *weights = memory + at.row_weights
    cdef char *lse = memory + at.lse
    cdef char *scale = memory + at.scale
    cdef Py_ssize_t *label = <Py_ssize_t *> (memory + at.label)
    cdef Py_ssize_t *components = NULL
    cdef unsigned char *present = NULL
    cdef const char *X = work.X + (start * work.row_stride if index == NULL else 0)

    kernels.pack(X, work.row_stride, work.column_stride, index, rows, d, work.centre, panel)
    if work.whitener != NULL:
        white = memory + at.white
        kernels.whiten(panel, rows, d, work.whitener, white)
    if guess == NULL:
        kernels.densities(white, rows, &work.mixture, memory + at.z, logd)
    else:
        components = <Py_ssize_t *> (memory + at.active)
        present = <unsigned char *> (memory + at.present)
        kernels.project(panel, rows, d, work.guide, memory + at.images)
        active = kernels.screen(white, rows, &work.mixture, memory + at.images, &work.marginal, work.margin, guess,
                                memory + at.floor, memory + at.z, memory + at.found, logd, components, present,
                                &looked)
        vectors = (rows + kernels.group - 1) // kernels.group * (kernels.group // kernels.lanes)
        if work.moment == RADIAL:    # its products are of all rows of the block
            needed = active * vectors
        else:
            for q in range(work.k * vectors):
                needed += present[q]
        looked += needed * moment_work(work.moment, d)
        sums[2] += <double> (looked * kernels.lanes + ordering_work(work.mixture.form, d, work.k) * rows)

    if work.output == LOG_DENSITIES:
        kernels.unpack(logd, rows, active, NULL, NULL, active, work.out + start * active)
        return
    if work.output == CLOSER:
        kernels.closer(rows, active, logd, work.closest, work.row_weights, start, work.n, work.out,
                       work.chunk_sums + start // work.chunk * active)
        return
    if work.output == LABELS or work.moment == HARD:
        kernels.argmax(rows, active, logd, lse, label)
        for q in range(rows if work.output == LABELS else 0):
            if index != NULL:
                work.labels[index[q]] = components[label[q]]
            else:
                work.labels[start + q] = label[q]
        if work.moment == HARD:
            fill_row_weights(work, index, start, rows, weights)
            sums[0] += inertia_of(work, rows, lse, weights)
            kernels.moments_hard(X, work.row_stride, work.column_stride, rows, d, work.centre, label,
                                 weights, sums + work.sums.n_k, sums + work.sums.first)
        return

    fill_row_weights(work, index, start, rows, weights)
    if work.moment == RADIAL:
        memcpy(memory + at.wr, logd, panel_size(work, rows, active))
    sums[0] += kernels.softmax(rows, active, weights, logd, lse, scale)
    if work.output == LOG_LIKELIHOOD:
        if index == NULL:
            kernels.widen(lse, rows, work.out + start)
        else:
            for q in range(rows):
                kernels.widen(lse + q * kernels.itemsize, 1, work.out + index[q])
    elif work.output == RESPONSIBILITIES:
        kernels.rescale(rows, active, scale, NULL, logd)
        kernels.unpack(logd, rows, active, index, components, work.k,
                       work.out + (start * work.k if index == NULL else 0))
    else:
        sums[1] += total_weight(work, index, start, rows)
        add_moments(work, rows, active, components, present, memory, sums)


cdef void order_chunk(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory) noexcept nogil:
    """Guess each row's component by the guide, and order the chunk's rows by their guesses: index, guess."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Scratch *at = &work.scratch
    cdef Py_ssize_t *guess = <Py_ssize_t *> (memory + at.guess)
    cdef Py_ssize_t *unordered = guess + work.chunk
    cdef Py_ssize_t *index = <Py_ssize_t *> (memory + at.index)
    cdef Py_ssize_t *ends = <Py_ssize_t *> (memory + at.ends)
    cdef Py_ssize_t i, c, size, total = 0
    i = 0
    while i < rows:
        size = min(work.block, rows - i)
        kernels.pack(work.X + (start + i) * work.row_stride, work.row_stride, work.column_stride, NULL, size,
                     work.d, work.centre, memory + at.panel)
        kernels.project(memory + at.panel, size, work.d, work.guide, memory + at.images)
        kernels.densities(memory + at.images, size, &work.nearest, NULL, memory + at.logd)
        kernels.argmax(size, work.k, memory + at.logd, memory + at.lse, unordered + i)
        i += size
    memset(ends, 0, work.k * sizeof(Py_ssize_t))
    for i in range(rows):
        ends[unordered[i]] += 1
    for c in range(work.k):
        size = ends[c]
        ends[c] = total
        total += size
    for i in range(rows):
        c = unordered[i]
        index[ends[c]] = start + i
        guess[ends[c]] = c
        ends[c] += 1


cdef void run_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    cdef Py_ssize_t start = chunk * work.chunk, i = 0
    cdef Py_ssize_t rows = min(work.chunk, work.n - start)
    cdef const Py_ssize_t *index = <const Py_ssize_t *> (memory + work.scratch.index)
    cdef const Py_ssize_t *guess = <const Py_ssize_t *> (memory + work.scratch.guess)
    memset(sums, 0, work.sums.size * sizeof(double))
    if work.guided:
        order_chunk(work, start, rows, memory)
    while i < rows:
        if work.guided:
            run_block(work, start + i, min(work.block, rows - i), index + i, guess + i, memory, sums)
        else:
            run_block(work, start + i, min(work.block, rows - i), NULL, NULL, memory, sums)
        i += work.block


cdef void add_in_order(const double *partials, Py_ssize_t count, Py_ssize_t size, Py_ssize_t start,
                       Py_ssize_t stop, double *totals) noexcept nogil:
    """totals[start:stop] += the partial sums of `count` chunks, first chunk first."""
    cdef Py_ssize_t chunk, q
    for chunk in range(count):
        for q in range(start, stop):
            totals[q] += partials[chunk * size + q]


cdef Py_ssize_t chunk_count(const Work *work) noexcept nogil:
    return (work.n + work.chunk - 1) // work.chunk if work.groups == NULL else work.groups.n_chunks


cdef int run(const Work *work, int n_threads, double *totals) except -1 nogil:
    """The pass: the sums over all chunks are added to totals (work.sums.size), in their order."""
    cdef Py_ssize_t chunks = chunk_count(work)
    cdef Py_ssize_t size = work.sums.size
    cdef Py_ssize_t first, last, chunk, part, parts
    cdef int threads = <int> max(1, min(min(<Py_ssize_t> n_threads, chunks), work_of_rows(work, work.n) // THREAD_WORK))
    cdef Py_ssize_t wave = min(chunks, max(2 * <Py_ssize_t> threads, WAVE_BYTES // (size * 8)))
    cdef int adders
    cdef char *memory = <char *> aligned_alloc(64, work.scratch.size * threads + wave * size * 8)
    if memory == NULL:
        with gil:
            raise MemoryError("no memory for the scratch of a pass over the data")
    cdef double *partials = <double *> (memory + work.scratch.size * threads)
    for part in range(threads if CGMM_GAP else 0):
        guard_scratch(work, memory + part * work.scratch.size)
    parts = (size + 4095) // 4096
    adders = <int> min(<Py_ssize_t> threads, parts)
    first = 0
    while first < chunks:
        last = min(first + wave, chunks)
        for chunk in prange(first, last, schedule="dynamic", num_threads=threads):
            if work.groups == NULL:
                run_chunk(work, chunk, memory + omp_get_thread_num() * work.scratch.size,
                          partials + (chunk - first) * size)
            else:
                run_pieces(work, chunk, memory + omp_get_thread_num() * work.scratch.size,
                           partials + (chunk - first) * size)
        for part in prange(parts, schedule="static", num_threads=adders):
            add_in_order(partials, last - first, size, part * 4096, min(part * 4096 + 4096, size), totals)
        first = last
    free(memory)
    return 0
