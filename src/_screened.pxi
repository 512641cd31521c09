# The SCREENED pass, nogil: a chunk's rows in the order of guesses of their components, and without the components that
# cannot matter to them. See docs/pruning.md. Part of _kernels.pyx.


cdef enum:
    # A chunk of a screened pass doubles until it has so many rows for each component, so that the rows of most blocks
    # are of one guess. Measured: half as many and twice as many are slower.
    ROWS_PER_COMPONENT = 128

    # What ordering a row costs beside a dense pass, in multiply-adds of that pass, fitted to timings. A feature costs
    # GATHER_WORK, for it is packed twice; ISOTROPIC_GATHER_WORK where the form is isotropic, whose multiply-adds are
    # cheaper because they share more loads. A component costs GUESS_WORK, for it may be the guess.
    GATHER_WORK = 40
    ISOTROPIC_GATHER_WORK = 70
    GUESS_WORK = 16


cdef void lay_out_screened(Work *work) noexcept nogil:
    """Lay out a SCREENED pass. IN work.block; OUT work.sums, scratch, dense, screened, chunk, run_chunk."""
    cdef Py_ssize_t real = work.kernels.itemsize, block = work.block, k = work.k
    cdef Scratch *scratch = &work.scratch
    cdef Screened *screened = &work.screened
    lay_out_tiles(work)
    lay_out_blocks(work)
    work.chunk = few_rows_chunk(work)
    while work.chunk < ROWS_PER_COMPONENT * k and work.chunk < MOST_CHUNK and (
            FEW_CHUNKS * work.chunk <= max(work.n, work.stands_for)):
        work.chunk *= 2
    screened.images = claim(scratch, block * CGMM_GUIDE * real)
    screened.floor = claim(scratch, block * real)
    screened.found = claim(scratch, block * k * real)
    screened.guess = claim(scratch, 2 * work.chunk * sizeof(Py_ssize_t))
    screened.index = claim(scratch, work.chunk * sizeof(Py_ssize_t))
    screened.ends = claim(scratch, k * sizeof(Py_ssize_t))
    screened.active = claim(scratch, k * sizeof(Py_ssize_t))
    screened.present = claim(scratch, k * (block // work.kernels.lanes))
    work.run_chunk = screened_chunk


cdef Py_ssize_t moment_work(Moment moment, Py_ssize_t d) noexcept nogil:
    """Multiply-adds of the moments of a row and a component."""
    if moment == FULL:
        return d * (d + 3) // 2
    return 0 if moment == NONE else d if moment == RADIAL else 2 * d


cdef Py_ssize_t dense_work(cgmm_form form, Moment moment, Py_ssize_t d, Py_ssize_t k) noexcept nogil:
    """Multiply-adds of a dense pass for a row."""
    return k * ((cgmm_factor_size(d) if form == CGMM_TRIANGULAR else 2 * d) + moment_work(moment, d))


cdef Py_ssize_t ordering_work(cgmm_form form, Py_ssize_t d, Py_ssize_t k) noexcept nogil:
    """What ordering the rows of a screened pass costs for each, in multiply-adds."""
    return (ISOTROPIC_GATHER_WORK if form == CGMM_ISOTROPIC else GATHER_WORK) * d + GUESS_WORK * k


cdef void sort_by_label(const Py_ssize_t *label, Py_ssize_t n, Py_ssize_t k, Py_ssize_t start, Py_ssize_t *ends,
                        Py_ssize_t *index) noexcept nogil:
    """OUT index (n,): start … start + n in the order of their labels (n,), which are all of 0 … k − 1, and those of one
    label in their own order; ends (k,): where in the index those of each label end."""
    cdef Py_ssize_t i, c, count, total = 0
    memset(ends, 0, k * sizeof(Py_ssize_t))
    for i in range(n):
        ends[label[i]] += 1
    for c in range(k):
        count = ends[c]
        ends[c] = total
        total += count
    for i in range(n):
        c = label[i]
        index[ends[c]] = start + i
        ends[c] += 1


cdef void order_chunk(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory) noexcept nogil:
    """Guess the component of rows start … start + rows by the guide, and order them by their guesses.
    OUT memory: index (rows,), guess (rows,). SCRATCH the rest of it."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Screened *at = &work.screened
    cdef Py_ssize_t *guess = <Py_ssize_t *> (memory + at.guess)
    cdef Py_ssize_t *unordered = guess + work.chunk
    cdef Py_ssize_t *ends = <Py_ssize_t *> (memory + at.ends)
    cdef Py_ssize_t i = 0, c, count
    while i < rows:
        count = min(work.block, rows - i)
        pack_rows(work, start + i, count, memory)
        kernels.project(memory + work.scratch.panel, count, work.d, at.guide, memory + at.images)
        kernels.guess(memory + at.images, count, work.k, at.nearest, unordered + i)
        i += count
    sort_by_label(unordered, rows, work.k, start, ends, <Py_ssize_t *> (memory + at.index))
    i = 0
    for c in range(work.k):
        while i < ends[c]:
            guess[i] = c
            i += 1


cdef void screened_block(const Work *work, Py_ssize_t start, Py_ssize_t count, const Py_ssize_t *index,
                         const Py_ssize_t *guess, char *memory, double *sums) noexcept nogil:
    """Rows of the index (count,), the start-th and those that follow, whose guesses (count,) are in ascending order.
    SCRATCH memory but for its index and guess; IN/OUT as use_densities."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Screened *at = &work.screened
    cdef char *panel = memory + work.scratch.panel
    cdef Py_ssize_t *components = <Py_ssize_t *> (memory + at.active)
    cdef unsigned char *present = <unsigned char *> (memory + at.present)
    cdef Py_ssize_t active, looked = 0
    cdef const char *white
    cdef Rows rows
    kernels.pack(work.X, work.row_stride, work.column_stride, index, count, work.d, work.centre, panel)
    white = whitened(work, count, memory)
    kernels.project(panel, count, work.d, at.guide, memory + at.images)
    active = kernels.screen(white, count, &work.mixture, memory + at.images, &at.marginal, at.boxes, &at.reach,
                            at.margin, guess, memory + at.floor, memory + work.dense.z, memory + at.found,
                            memory + work.scratch.logd, components, present, &looked)
    rows = Rows(start, count, index, active, components, present)
    sums[SUM_OF_WORK] += work_done(work, &rows, looked)
    use_densities(work, &rows, memory, sums)


cdef double work_done(const Work *work, const Rows *rows, Py_ssize_t looked) noexcept nogil:
    """Multiply-adds of a screened block, whose densities took `looked` of them for one row of each vector."""
    cdef Py_ssize_t lanes = work.kernels.lanes, group = work.kernels.group, needed = 0, q
    cdef Py_ssize_t vectors = (rows.count + group - 1) // group * (group // lanes)
    if work.moment == RADIAL:    # its products are of all rows of the block
        needed = rows.active * vectors
    else:
        for q in range(rows.active * vectors):
            needed += rows.present[q]
    looked += needed * moment_work(work.moment, work.d)
    return <double> (looked * lanes + ordering_work(work.mixture.form, work.d, work.k) * rows.count)


cdef void screened_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk. SCRATCH memory."""
    cdef Py_ssize_t start = chunk * work.chunk, i = 0
    cdef Py_ssize_t rows = min(work.chunk, work.n - start)
    cdef const Py_ssize_t *index = <const Py_ssize_t *> (memory + work.screened.index)
    cdef const Py_ssize_t *guess = <const Py_ssize_t *> (memory + work.screened.guess)
    memset(sums, 0, work.sums.size * sizeof(double))
    order_chunk(work, start, rows, memory)
    while i < rows:
        screened_block(work, start + i, min(work.block, rows - i), index + i, guess + i, memory, sums)
        i += work.block


def least_share(density, moment, bint boxed=False):
    """The share of the dense work that ordering the rows of a pruned pass takes: of an expectation, or, without a
    moment (None), of an evaluation; boxed: with boxes for a guide."""
    cdef cgmm_form form = FORMS[density.form]
    cdef Moment moments = NONE if moment is None else MOMENTS[moment]
    cdef Py_ssize_t k = density.means.shape[0], d = density.means.shape[1]
    return (space_work(d, True) if boxed else ordering_work(form, d, k)) / <double> dense_work(form, moments, d, k)


def share_of_work(X, density, moment, guide, Py_ssize_t stands_for, order=None):
    """The share of the dense work that a pass with this guide does over as many rows as X stands for; order as that
    of an Expectation."""
    cdef _Pass work = _Pass(X, density, None, moment, None, guide, stands_for, order=order)
    return work.share(work.run(1), work.work.n)
