# The BOXED pass, nogil: of rows of few features, in an order in which neighbours stand together, without the components
# that cannot matter to a block of them. See docs/pruning.md. Part of _kernels.pyx.


cdef enum:
    # A block is of so many groups, each of which has a list of the components that matter to it: sums over lanes come
    # once a block. Not tuned yet.
    BOXED_GROUPS = 8

    # A multiply-add for a group takes so many quarters of what one takes in a dense pass, whose sums over lanes are of
    # more rows. By timings of eleven mixtures of 64 to 256 components and 1 to 8 features, and of three larger ones.
    GROUP_QUARTERS = 6

    # What a row costs beside that, in multiply-adds of a dense pass, by the same timings: for each row, and for each of
    # its features. Where a chunk finds an order of its own, also:
    SPACE_WORK = 100
    SPACE_WORK_PER_FEATURE = 15
    ORDERING_WORK = 300
    ORDERING_WORK_PER_FEATURE = 35


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
    boxed.around = claim(scratch, (work.block // group + 1) * 2 * d * real)
    boxed.tops = claim(scratch, boxed.boxes * CGMM_BOXES * real)
    boxed.near = claim(scratch, boxed.boxes * boxed.inner_bytes)
    boxed.near_numbers = claim(scratch, k * sizeof(Py_ssize_t))
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


cdef double floor_of(const Work *work, double sure) noexcept nogil:
    """What the log-density of a component must reach to matter where another's is nowhere less than so much."""
    cdef double norm = min(max(2 * (work.boxed.highest - sure), 0.0), 1e300)
    return sure - work.boxed.margin - log1p(norm)


cdef unsigned look_into(const Work *work, const char *components, const char *box, double *sure,
                        char *tops) noexcept nogil:
    """Which of CGMM_BOXES components may matter anywhere in a box of rows: a bit for each. IN box, REAL (2,d): middle,
    half; IN/OUT sure: see tops. OUT tops."""
    return work.kernels.tops(components, work.d, work.mixture.form == CGMM_TRIANGULAR, box,
                             box + work.d * work.kernels.itemsize, floor_of(work, sure[0]), tops, sure)


cdef unsigned look_at_set(const Work *work, Py_ssize_t start, const char *box, double sure, char *tops) noexcept nogil:
    """Which of the boxes of a set, whose first is start, may hold such a component. IN box, sure as look_into. SCRATCH
    tops."""
    cdef const Boxed *boxed = &work.boxed
    cdef unsigned found = work.kernels.tops(boxed.outer + start // CGMM_BOXES * boxed.outer_bytes, work.d, False, box,
                                            box + work.d * work.kernels.itemsize, floor_of(work, sure), tops, NULL)
    if boxed.boxes - start < CGMM_BOXES:
        found &= (<unsigned> 1 << (boxed.boxes - start)) - 1
    return found


cdef void surround(const Work *work, Py_ssize_t count, char *memory) noexcept nogil:
    """OUT memory: around, the boxes of each group of a block and, past the last, that of all. IN memory: panel."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef Py_ssize_t group = kernels.group, real = kernels.itemsize, d = work.d, i = 0, groups = 0, g, j
    cdef const char *panel = memory + work.scratch.panel
    cdef char *box = memory + work.boxed.around
    cdef char *all_rows = box + 2 * d * real * ((count + group - 1) // group)
    while i < count:
        kernels.box(panel, 0, min(group, count - i), d, box, box + d * real)
        if i == 0:
            memcpy(all_rows, box, 2 * d * real)
        for j in range(d):
            if real == sizeof(double):
                (<double *> all_rows)[j] = min((<double *> all_rows)[j], (<double *> box)[j])
                (<double *> all_rows)[d + j] = max((<double *> all_rows)[d + j], (<double *> box)[d + j])
            else:
                (<float *> all_rows)[j] = min((<float *> all_rows)[j], (<float *> box)[j])
                (<float *> all_rows)[d + j] = max((<float *> all_rows)[d + j], (<float *> box)[d + j])
        kernels.halve(d, box, box + d * real)
        panel += group * cgmm_pad4(d) * real
        box += 2 * d * real
        i += group
    kernels.halve(d, all_rows, all_rows + d * real)


cdef double least_sure(const Work *work, Py_ssize_t groups, char *memory, Py_ssize_t *looked) noexcept nogil:
    """What some component reaches at each row of a block. IN memory: around, hint. SCRATCH tops."""
    cdef const Boxed *boxed = &work.boxed
    cdef const char *near = boxed.inner + (<Py_ssize_t *> (memory + boxed.hint))[0] * boxed.inner_bytes
    cdef double nothing = -1e300 if work.kernels.itemsize == sizeof(double) else -1e37, least = INFINITY, sure
    cdef Py_ssize_t g
    for g in range(groups):
        sure = nothing
        look_into(work, near, memory + boxed.around + 2 * work.d * work.kernels.itemsize * g, &sure,
                  memory + boxed.tops)
        least = min(least, sure)
    looked[0] += groups
    return least


cdef Py_ssize_t list_reaching(const Work *work, const Py_ssize_t *seen, Py_ssize_t count, double least,
                              char *memory) noexcept nogil:
    """OUT memory: numbers (number,), the components of some boxes, seen (count,), that reach so much. IN memory: tops
    of these. SCRATCH found. Returns number."""
    cdef const Boxed *boxed = &work.boxed
    cdef unsigned long long *found = <unsigned long long *> (memory + boxed.found)
    cdef Py_ssize_t q, c
    cdef unsigned near
    memset(found, 0, (work.k + 63) // 64 * 8)
    for q in range(count):
        near = work.kernels.reaching(memory + boxed.tops + q * CGMM_BOXES * work.kernels.itemsize, least)
        while near:
            c = boxed.order[seen[q] * CGMM_BOXES + __builtin_ctzll(near)]
            near &= near - 1
            found[c >> 6] |= <unsigned long long> 1 << (c & 63)
    return list_bits(found, work.k, <Py_ssize_t *> (memory + boxed.numbers))


cdef Py_ssize_t near_block(const Work *work, Py_ssize_t groups, char *memory, Py_ssize_t *looked) noexcept nogil:
    """OUT memory: near_numbers (count,), the components that may matter to any row of a block. IN memory: around;
    IN/OUT hint, the box of components in which the best of the last block was. SCRATCH numbers, seen, tops, found;
    looked += sets of CGMM_BOXES that were looked at. Returns count."""
    cdef const Boxed *boxed = &work.boxed
    cdef Py_ssize_t *seen = <Py_ssize_t *> (memory + boxed.seen)
    cdef Py_ssize_t *hint = <Py_ssize_t *> (memory + boxed.hint)
    cdef Py_ssize_t real = work.kernels.itemsize, start = 0, count = 0, box
    cdef const char *all_rows = memory + boxed.around + 2 * work.d * real * groups
    cdef double nothing = -1e300 if real == sizeof(double) else -1e37, own, best = nothing
    cdef double sure = least_sure(work, groups, memory, looked)
    cdef unsigned promising
    while start < boxed.boxes:
        promising = look_at_set(work, start, all_rows, sure, memory + boxed.set_tops)
        looked[0] += 1
        while promising:
            box = start + __builtin_ctzll(promising)
            promising &= promising - 1
            own = nothing
            look_into(work, boxed.inner + box * boxed.inner_bytes, all_rows, &own,
                      memory + boxed.tops + count * CGMM_BOXES * real)
            if own > best:
                best, hint[0] = own, box
            sure = max(sure, own)
            seen[count] = box
            count += 1
        start += CGMM_BOXES
    looked[0] += count
    count = list_reaching(work, seen, count, floor_of(work, sure), memory)
    memcpy(memory + boxed.near_numbers, memory + boxed.numbers, count * sizeof(Py_ssize_t))
    gather_near(work, count, memory)
    return count


cdef void gather_near(const Work *work, Py_ssize_t count, char *memory) noexcept nogil:
    """OUT memory: near, as boxed.inner, of the near_numbers (count,)."""
    cdef const Boxed *boxed = &work.boxed
    cdef const Py_ssize_t *numbers = <const Py_ssize_t *> (memory + boxed.near_numbers)
    cdef Py_ssize_t real = work.kernels.itemsize, values = boxed.inner_bytes // (CGMM_BOXES * real), q, place, v, c
    cdef const char *source
    cdef char *to
    for q in range((count + CGMM_BOXES - 1) // CGMM_BOXES * CGMM_BOXES):
        c = numbers[min(q, count - 1)]
        place = boxed.places[c]
        source = boxed.inner + place // CGMM_BOXES * boxed.inner_bytes + place % CGMM_BOXES * real
        to = memory + boxed.near + q // CGMM_BOXES * boxed.inner_bytes + q % CGMM_BOXES * real
        if real == sizeof(double):
            for v in range(values):
                (<double *> to)[v * CGMM_BOXES] = (<const double *> source)[v * CGMM_BOXES]
        else:
            for v in range(values):
                (<float *> to)[v * CGMM_BOXES] = (<const float *> source)[v * CGMM_BOXES]


cdef Py_ssize_t list_near(const Work *work, Py_ssize_t near, Py_ssize_t group, char *memory,
                          Py_ssize_t *looked) noexcept nogil:
    """OUT memory: numbers (count,), those of the components that are near a block that may matter to any row of a
    group. IN memory: near, near_numbers (near,), around. SCRATCH tops; looked as near_block. Returns count."""
    cdef const Boxed *boxed = &work.boxed
    cdef const Py_ssize_t *from_numbers = <const Py_ssize_t *> (memory + boxed.near_numbers)
    cdef Py_ssize_t *numbers = <Py_ssize_t *> (memory + boxed.numbers)
    cdef Py_ssize_t real = work.kernels.itemsize, sets = (near + CGMM_BOXES - 1) // CGMM_BOXES, count = 0, q
    cdef const char *box = memory + boxed.around + 2 * work.d * real * group
    cdef double sure = -1e300 if real == sizeof(double) else -1e37, least
    cdef unsigned found
    for q in range(sets):
        work.kernels.tops(memory + boxed.near + q * boxed.inner_bytes, work.d, work.mixture.form == CGMM_TRIANGULAR,
                          box, box + work.d * real, 0.0, memory + boxed.tops + q * CGMM_BOXES * real, &sure)
    looked[0] += sets
    least = floor_of(work, sure)
    for q in range(sets):
        found = work.kernels.reaching(memory + boxed.tops + q * CGMM_BOXES * real, least)
        if q == sets - 1 and near % CGMM_BOXES:
            found &= (<unsigned> 1 << near % CGMM_BOXES) - 1
        while found:
            numbers[count] = from_numbers[q * CGMM_BOXES + __builtin_ctzll(found)]
            found &= found - 1
            count += 1
    return count


cdef void pack_group(const Work *work, Py_ssize_t rows, const Py_ssize_t *index, char *memory) noexcept nogil:
    """OUT memory: panel, of the rows of an index (rows,)."""
    work.kernels.pack(work.X, work.row_stride, work.column_stride, index, rows, work.d, work.centre,
                      memory + work.scratch.panel)


cdef Py_ssize_t prepare_block(const Work *work, Py_ssize_t count, const Py_ssize_t *index, char *memory,
                              double *sums) noexcept nogil:
    """OUT memory: panel, of the rows of an index (count,); around; near, near_numbers (near,). Returns near."""
    cdef const Boxed *boxed = &work.boxed
    cdef Py_ssize_t group = work.kernels.group, looked = 0, near
    pack_group(work, count, index, memory)
    surround(work, count, memory)
    near = near_block(work, (count + group - 1) // group, memory, &looked)
    sums[SUM_OF_WORK] += <double> (looked * CGMM_BOXES * work.d * (work.d + 4)
                                   + space_work(work.d, boxed.rows != NULL) * count)
    return near


cdef Py_ssize_t find_components(const Work *work, Py_ssize_t near, Py_ssize_t group, const char *panel, char *logd,
                                char *memory, double *sums) noexcept nogil:
    """OUT memory: numbers (count,), the components that matter to a group of a block, whose panel is given; logd, a
    panel of them, with room for all. IN as prepare_block leaves it. Returns count."""
    cdef Py_ssize_t looked = 0, some
    cdef Py_ssize_t *numbers = <Py_ssize_t *> (memory + work.boxed.numbers)
    some = list_near(work, near, group, memory, &looked)
    work.kernels.densities_of(panel, &work.mixture, numbers, some, logd)
    sums[SUM_OF_WORK] += <double> (GROUP_QUARTERS * work.kernels.group
                                   * dense_work(work.mixture.form, NONE, work.d, some) // 4
                                   + looked * CGMM_BOXES * work.d * (work.d + 4))
    return work.kernels.keep(some, work.boxed.margin, work.boxed.highest, logd, numbers)


cdef void add_group(const Work *work, Py_ssize_t rows, const Py_ssize_t *index, Py_ssize_t group, Py_ssize_t count,
                    char *panel, char *memory, double *sums) noexcept nogil:
    """The log-likelihood of a group; IN/OUT panel: its log-densities become its responsibilities times row weights, and
    OUT memory: what boxed keeps of them. IN memory: numbers (count,)."""
    cdef const Boxed *boxed = &work.boxed
    cdef Rows all_rows = Rows(0, rows, index, count, NULL, NULL)
    put_shares(work, &all_rows, True, panel, memory, sums)
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
    cdef Py_ssize_t near = prepare_block(work, count, index, memory, sums)
    cdef const char *rows_of_group = memory + work.scratch.panel
    cdef char *panel = memory + boxed.panels
    cdef Rows rows
    while i < count:
        active = find_components(work, near, groups, rows_of_group, panel, memory, sums)
        add_group(work, min(group, count - i), index + i, groups, active, panel, memory, sums)
        sums[SUM_OF_WORK] += <double> (GROUP_QUARTERS * group * active * moment_work(work.moment, work.d) // 4)
        panel += cgmm_pad4(active) * group * work.kernels.itemsize
        rows_of_group += group * cgmm_pad4(work.d) * work.kernels.itemsize
        groups += 1
        i += group
    active = join_lists(work, groups, memory)
    spread_panels(work, groups, active, memory)
    rows = Rows(0, count, index, active, <const Py_ssize_t *> (memory + boxed.numbers),
                <const unsigned char *> (memory + boxed.present))
    add_moments(work, &rows, memory, sums)


cdef void boxed_values(const Work *work, Py_ssize_t count, const Py_ssize_t *index, char *memory,
                       double *sums) noexcept nogil:
    """Rows of the index (count,), a group at a time: a value for each, or the statistics of moment RADIAL, which need
    the densities beside the responsibilities. SCRATCH memory but for its index; IN/OUT as use_densities."""
    cdef Py_ssize_t group = work.kernels.group, i = 0, groups = 0, active
    cdef Py_ssize_t near = prepare_block(work, count, index, memory, sums)
    cdef Rows rows
    while i < count:
        pack_group(work, min(group, count - i), index + i, memory)
        active = find_components(work, near, groups, memory + work.scratch.panel, memory + work.scratch.logd, memory,
                                 sums)
        rows = Rows(0, min(group, count - i), index + i, active, <const Py_ssize_t *> (memory + work.boxed.numbers),
                    NULL)
        sums[SUM_OF_WORK] += <double> (GROUP_QUARTERS * group * active * moment_work(work.moment, work.d) // 4)
        use_densities(work, &rows, memory, sums)
        groups += 1
        i += group


cdef Py_ssize_t space_work(Py_ssize_t d, bint ordered) noexcept nogil:
    """What a row of a boxed pass costs, in multiply-adds, beside its densities and moments."""
    if ordered:
        return SPACE_WORK + SPACE_WORK_PER_FEATURE * d
    return SPACE_WORK + ORDERING_WORK + (SPACE_WORK_PER_FEATURE + ORDERING_WORK_PER_FEATURE) * d


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
