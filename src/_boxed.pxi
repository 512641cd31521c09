# The BOXED pass, nogil: of rows of few features, in an order in which neighbours stand together, without the components
# that cannot matter to a block of them. See docs/pruning.md. Part of _kernels.pyx.


cdef enum:
    # A block is of so many groups, each of which has a list of the components that matter to it: sums over lanes come
    # once a block. Not tuned yet.
    BOXED_GROUPS = 8

    # A multiply-add for a group takes so many quarters of what one takes in a dense pass, whose sums over lanes are of
    # more rows. By timings of five mixtures, of which none was slower where this counts less than dense work.
    GROUP_QUARTERS = 7

    # What ordering a row costs beside a dense pass, in multiply-adds of that pass, by a few timings: for each row, and
    # for each of its features.
    SPACE_WORK = 400
    SPACE_WORK_PER_FEATURE = 50


ctypedef void (*OfBlock)(const Work *, Py_ssize_t, const Py_ssize_t *, char *, double *) noexcept nogil


cdef void lay_out_boxed(Work *work) noexcept nogil:
    """Lay out a BOXED pass. OUT work.block, sums, scratch, dense, boxed, chunk, run_chunk."""
    cdef Py_ssize_t real = work.kernels.itemsize, k = work.k, d = work.d, group = work.kernels.group
    cdef Scratch *scratch = &work.scratch
    cdef Boxed *boxed = &work.boxed
    work.block = min(work.block, BOXED_GROUPS * group)
    lay_out_tiles(work)
    lay_out_blocks(work)
    work.chunk = few_rows_chunk(work)
    while work.chunk < MOST_CHUNK and FEW_CHUNKS * work.chunk <= max(work.n, work.stands_for):
        work.chunk *= 2
    boxed.index = claim(scratch, work.chunk * sizeof(Py_ssize_t))
    boxed.leaves = leaves_of(work.chunk, group)
    boxed.leaf = claim(scratch, work.chunk * sizeof(Py_ssize_t))
    boxed.keys = claim(scratch, (work.chunk + CUT_SHARE - 1) // CUT_SHARE * sizeof(double))
    boxed.axes = claim(scratch, boxed.leaves * sizeof(Py_ssize_t))
    boxed.values = claim(scratch, boxed.leaves * sizeof(double))
    boxed.ends = claim(scratch, boxed.leaves * sizeof(Py_ssize_t))
    boxed.hint = claim(scratch, sizeof(Py_ssize_t))
    boxed.middle = claim(scratch, d * real)
    boxed.half = claim(scratch, d * real)
    boxed.tops = claim(scratch, boxed.boxes * CGMM_BOXES * real)
    boxed.set_tops = claim(scratch, CGMM_BOXES * real)
    boxed.seen = claim(scratch, boxed.boxes * sizeof(Py_ssize_t))
    boxed.found = claim(scratch, (k + 63) // 64 * 8)
    boxed.numbers = claim(scratch, k * sizeof(Py_ssize_t))
    boxed.panels = claim(scratch, work.block * cgmm_pad4(k) * real)
    boxed.lists = claim(scratch, work.block // group * k * sizeof(Py_ssize_t))
    boxed.counts = claim(scratch, work.block // group * sizeof(Py_ssize_t))
    boxed.slots = claim(scratch, k * sizeof(Py_ssize_t))
    boxed.present = claim(scratch, k * (work.block // work.kernels.lanes))
    work.run_chunk = boxed_chunk


cdef unsigned look_into(const Work *work, Py_ssize_t box, char *memory, double *floor) noexcept nogil:
    """The components of a box that may come within the margin of a floor, which they may raise, anywhere in a box of
    rows: a bit for each. IN memory: middle, half. OUT tops."""
    cdef const Boxed *boxed = &work.boxed
    return work.kernels.tops(boxed.inner + box * boxed.inner_bytes, work.d, work.mixture.form == CGMM_TRIANGULAR,
                             memory + boxed.middle, memory + boxed.half, floor[0] - boxed.margin,
                             memory + boxed.tops + box * CGMM_BOXES * work.kernels.itemsize, floor)


cdef unsigned look_at_set(const Work *work, Py_ssize_t start, double floor, char *memory) noexcept nogil:
    """Which of the boxes of a set, whose first is start, may hold such a component. IN memory: middle, half. SCRATCH
    set_tops."""
    cdef const Boxed *boxed = &work.boxed
    cdef unsigned found = work.kernels.tops(boxed.outer + start // CGMM_BOXES * boxed.outer_bytes, work.d, False,
                                            memory + boxed.middle, memory + boxed.half, floor - boxed.margin,
                                            memory + boxed.set_tops, NULL)
    if boxed.boxes - start < CGMM_BOXES:
        found &= (<unsigned> 1 << (boxed.boxes - start)) - 1
    return found


cdef Py_ssize_t list_components(const Work *work, char *memory, Py_ssize_t *looked) noexcept nogil:
    """OUT memory: numbers (count,), the components that may matter anywhere in a box. IN memory: middle, half; IN/OUT
    hint, the box of components into which to look first. SCRATCH found, tops, seen; looked += sets of CGMM_BOXES that
    were looked at. Returns count.

    The floor is raised on the way. At the end those are listed that come near the last one.
    """
    cdef const Boxed *boxed = &work.boxed
    cdef unsigned long long *found = <unsigned long long *> (memory + boxed.found)
    cdef Py_ssize_t *seen = <Py_ssize_t *> (memory + boxed.seen)
    cdef Py_ssize_t *hint = <Py_ssize_t *> (memory + boxed.hint)
    cdef Py_ssize_t start = 0, count = 0, box, q, c
    cdef unsigned promising, near
    cdef double floor = -1e300 if work.kernels.itemsize == sizeof(double) else -1e37, before
    look_into(work, hint[0], memory, &floor)
    while start < boxed.boxes:
        promising = look_at_set(work, start, floor, memory)
        looked[0] += 1
        while promising:
            box = start + __builtin_ctzll(promising)
            promising &= promising - 1
            before = floor
            look_into(work, box, memory, &floor)
            if floor > before:
                hint[0] = box
            seen[count] = box
            count += 1
        start += CGMM_BOXES
    looked[0] += count + 1
    memset(found, 0, (work.k + 63) // 64 * 8)
    for q in range(count):
        box = seen[q]
        near = work.kernels.reaching(memory + boxed.tops + box * CGMM_BOXES * work.kernels.itemsize,
                                     floor - boxed.margin)
        while near:
            c = boxed.order[box * CGMM_BOXES + __builtin_ctzll(near)]
            near &= near - 1
            found[c >> 6] |= <unsigned long long> 1 << (c & 63)
    return list_bits(found, work.k, <Py_ssize_t *> (memory + boxed.numbers))


cdef void surround(const Work *work, Py_ssize_t rows, char *memory) noexcept nogil:
    """OUT memory: middle, half: of the box around rows. IN memory: panel."""
    cdef char *middle = memory + work.boxed.middle
    cdef char *half = memory + work.boxed.half
    work.kernels.box(memory + work.scratch.panel, 0, rows, work.d, middle, half)
    work.kernels.halve(work.d, middle, half)


cdef void pack_group(const Work *work, Py_ssize_t rows, const Py_ssize_t *index, char *memory) noexcept nogil:
    """OUT memory: panel, of the rows of an index (rows,)."""
    work.kernels.pack(work.X, work.row_stride, work.column_stride, index, rows, work.d, work.centre,
                      memory + work.scratch.panel)


cdef Py_ssize_t find_components(const Work *work, Py_ssize_t rows, char *memory, double *sums) noexcept nogil:
    """OUT memory: numbers (count,), the components that matter to a group of rows; logd, a panel of them. IN memory:
    panel, of the group. SCRATCH the rest of boxed. Returns count."""
    cdef Py_ssize_t looked = 0, near
    cdef Py_ssize_t *numbers = <Py_ssize_t *> (memory + work.boxed.numbers)
    surround(work, rows, memory)
    near = list_components(work, memory, &looked)
    work.kernels.densities_of(memory + work.scratch.panel, &work.mixture, numbers, near, memory + work.scratch.logd)
    sums[SUM_OF_WORK] += <double> (GROUP_QUARTERS * work.kernels.group
                                   * dense_work(work.mixture.form, NONE, work.d, near) // 4
                                   + looked * CGMM_BOXES * work.d * (work.d + 4) + space_work(work.d) * rows)
    return work.kernels.keep(near, work.boxed.margin, work.boxed.highest, memory + work.scratch.logd, numbers)


cdef void add_group(const Work *work, Py_ssize_t rows, const Py_ssize_t *index, Py_ssize_t group, Py_ssize_t count,
                    char *panel, char *memory, double *sums) noexcept nogil:
    """The log-likelihood of a group; OUT panel, its responsibilities times row weights, and what boxed keeps of them.
    IN memory: numbers (count,), logd."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Boxed *boxed = &work.boxed
    cdef Py_ssize_t size = kernels.group * kernels.itemsize
    cdef char *weights = memory + work.dense.row_weights
    cdef char *scale = memory + work.dense.scale
    cdef Rows all_rows = Rows(0, rows, index, count, NULL, NULL)
    fill_row_weights(work, index, 0, rows, weights)
    memcpy(panel, memory + work.scratch.logd, count * size)
    sums[SUM_OF_LOGS] += log_sums(work, &all_rows, panel, memory, &sums[SUM_OF_NOISE])
    sums[SUM_OF_WEIGHTS] += total_weight(work, &all_rows)
    kernels.rescale(rows, count, scale, weights, panel)
    memcpy(memory + boxed.lists + group * work.k * sizeof(Py_ssize_t), memory + boxed.numbers,
           count * sizeof(Py_ssize_t))
    (<Py_ssize_t *> (memory + boxed.counts))[group] = count


cdef Py_ssize_t join_lists(const Work *work, Py_ssize_t groups, char *memory) noexcept nogil:
    """OUT memory: numbers (count,), the components that matter to any group of a block; slots, where each of them is
    among them. IN memory: lists, counts; SCRATCH found. Returns count."""
    cdef const Boxed *boxed = &work.boxed
    cdef unsigned long long *found = <unsigned long long *> (memory + boxed.found)
    cdef const Py_ssize_t *lists = <const Py_ssize_t *> (memory + boxed.lists)
    cdef const Py_ssize_t *counts = <const Py_ssize_t *> (memory + boxed.counts)
    cdef Py_ssize_t *numbers = <Py_ssize_t *> (memory + boxed.numbers)
    cdef Py_ssize_t *slots = <Py_ssize_t *> (memory + boxed.slots)
    cdef Py_ssize_t g, q, c, count
    memset(found, 0, (work.k + 63) // 64 * 8)
    for g in range(groups):
        for q in range(counts[g]):
            c = lists[g * work.k + q]
            found[c >> 6] |= <unsigned long long> 1 << (c & 63)
    count = list_bits(found, work.k, numbers)
    for q in range(count):
        slots[numbers[q]] = q
    return count


cdef void spread_panels(const Work *work, Py_ssize_t groups, Py_ssize_t active, char *memory) noexcept nogil:
    """OUT memory: logd, a panel of the components of a block, whose values are those of its groups' panels where
    `present` says so, and elsewhere undefined. IN memory: panels, lists, counts, slots."""
    cdef const Boxed *boxed = &work.boxed
    cdef Py_ssize_t size = work.kernels.group * work.kernels.itemsize
    cdef Py_ssize_t vectors = work.kernels.group // work.kernels.lanes, g, q, slot
    cdef const Py_ssize_t *lists = <const Py_ssize_t *> (memory + boxed.lists)
    cdef const Py_ssize_t *counts = <const Py_ssize_t *> (memory + boxed.counts)
    cdef const Py_ssize_t *slots = <const Py_ssize_t *> (memory + boxed.slots)
    cdef const char *panel = memory + boxed.panels
    memset(memory + boxed.present, 0, active * groups * vectors)
    for g in range(groups):
        for q in range(counts[g]):
            slot = slots[lists[g * work.k + q]]
            memcpy(memory + work.scratch.logd + (g * cgmm_pad4(active) + slot) * size, panel + q * size, size)
            memset(memory + boxed.present + (slot * groups + g) * vectors, 1, vectors)
        panel += cgmm_pad4(counts[g]) * size


cdef void boxed_block(const Work *work, Py_ssize_t count, const Py_ssize_t *index, char *memory,
                      double *sums) noexcept nogil:
    """Rows of the index (count,), of which each group lies together: their statistics. SCRATCH memory but for its
    index; sums (sums.size,) += them."""
    cdef const Boxed *boxed = &work.boxed
    cdef Py_ssize_t group = work.kernels.group, i = 0, groups = 0, active
    cdef char *panel = memory + boxed.panels
    cdef Rows rows
    while i < count:
        pack_group(work, min(group, count - i), index + i, memory)
        active = find_components(work, min(group, count - i), memory, sums)
        add_group(work, min(group, count - i), index + i, groups, active, panel, memory, sums)
        sums[SUM_OF_WORK] += <double> (GROUP_QUARTERS * group * active * moment_work(work.moment, work.d) // 4)
        panel += cgmm_pad4(active) * group * work.kernels.itemsize
        groups += 1
        i += group
    active = join_lists(work, groups, memory)
    spread_panels(work, groups, active, memory)
    pack_group(work, count, index, memory)
    rows = Rows(0, count, index, active, <const Py_ssize_t *> (memory + boxed.numbers),
                <const unsigned char *> (memory + boxed.present))
    add_moments(work, &rows, memory, sums)


cdef void boxed_values(const Work *work, Py_ssize_t count, const Py_ssize_t *index, char *memory,
                       double *sums) noexcept nogil:
    """Rows of the index (count,), a group at a time: a value for each, or the statistics of moment RADIAL, which need
    the densities beside the responsibilities. SCRATCH memory but for its index; IN/OUT as use_densities."""
    cdef Py_ssize_t group = work.kernels.group, i = 0, active
    cdef Rows rows
    while i < count:
        pack_group(work, min(group, count - i), index + i, memory)
        active = find_components(work, min(group, count - i), memory, sums)
        rows = Rows(0, min(group, count - i), index + i, active, <const Py_ssize_t *> (memory + work.boxed.numbers),
                    NULL)
        sums[SUM_OF_WORK] += <double> (GROUP_QUARTERS * group * active * moment_work(work.moment, work.d) // 4)
        use_densities(work, &rows, memory, sums)
        i += group


cdef Py_ssize_t space_work(Py_ssize_t d) noexcept nogil:
    """What ordering the rows of a boxed pass costs for each, in multiply-adds."""
    return SPACE_WORK + SPACE_WORK_PER_FEATURE * d


cdef void order_rows(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory) noexcept nogil:
    """OUT memory: index, rows start … start + rows of the order that is given; or, in an order of their own, those of
    the chunk that begins there. SCRATCH leaf, keys, axes, values, ends."""
    cdef const Boxed *boxed = &work.boxed
    cdef Py_ssize_t *index = <Py_ssize_t *> (memory + boxed.index)
    cdef Py_ssize_t i
    cdef Coordinates points = Coordinates(work.X, work.row_stride, work.column_stride, work.d,
                                          work.kernels.itemsize == sizeof(float), boxed.scale)
    cdef Leaves leaves = Leaves(boxed.leaves, <Py_ssize_t *> (memory + boxed.axes), <double *> (memory + boxed.values),
                                <double *> (memory + boxed.keys), <Py_ssize_t *> (memory + boxed.leaf),
                                <Py_ssize_t *> (memory + boxed.ends))
    if boxed.rows == NULL:
        sort_into_leaves(&points, start, rows, &leaves, index, 1)
        return
    for i in range(rows):
        index[i] = boxed.rows[start + i]


cdef void boxed_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk. SCRATCH memory."""
    cdef Py_ssize_t start = chunk * work.chunk, i = 0
    cdef Py_ssize_t rows = min(work.chunk, work.n - start)
    cdef Py_ssize_t *index = <Py_ssize_t *> (memory + work.boxed.index)
    cdef OfBlock of_block = boxed_values if work.moment in (NONE, RADIAL) else boxed_block
    memset(sums, 0, work.sums.size * sizeof(double))
    order_rows(work, start, rows, memory)
    (<Py_ssize_t *> (memory + work.boxed.hint))[0] = 0
    while i < rows:
        of_block(work, min(work.block, rows - i), index + i, memory, sums)
        i += work.block
