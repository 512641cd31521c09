# Seeds of k-means by k-means++, nogil: first by passes over all rows, then, when a further seed is near to few of them,
# by a look at those alone. Part of _kernels.pyx.


cdef enum:
    # So many seeds are found by passes over all rows: a further one is near to a small part of them.
    DENSE_SEEDS = 16

    # All seeds are found so if they are fewer than this for each feature, or if rows have more features, of which boxes
    # say little: measured (20,000 × 3 and 300 seeds 17 ms by passes, 19 otherwise; 30,000 × 3 and 1000 114 and 70).
    LEAST_SPARSE = 128
    MOST_SPARSE_FEATURES = 6


# Two candidates whose gains differ by less than this share of the sum of all distances are compared by these sums: it
# is far more than what rounding moves a sum.
cdef double LIKE = 1e-9


cdef struct Nearby:
    # Rows in blocks of CGMM_NEARBY that lie together, these in boxes of CGMM_BOXES, and these in sets of as many boxes.
    Py_ssize_t blocks, boxes, sets
    Py_ssize_t box_doubles   # of the bounds of CGMM_BOXES blocks
    Py_ssize_t *index        # (n,): which row is at a place; all others are by place, and zero past the last
    double *rows             # [blocks][d][CGMM_NEARBY]
    double *weights          # [blocks][CGMM_NEARBY], or NULL
    double *closest          # the same: squared distances to the closest seed
    double *found            # (trials)[blocks][CGMM_NEARBY]: the same to a candidate, too, of the blocks it is near to
    Py_ssize_t *touched      # (trials,blocks): these blocks
    Py_ssize_t *counts       # (trials,): how many they are
    double *gains            # (trials,): what a candidate would take from the sum of all distances
    double *inner            # [boxes][d][2][CGMM_BOXES]: around blocks
    double *outer            # [sets][d][2][CGMM_BOXES]: around boxes
    double *inner_limits     # [boxes][CGMM_BOXES]: no distance in a block is larger
    double *outer_limits     # [sets][CGMM_BOXES]
    double *sums             # (chunks,): of w · closest, in the order of the rows
    double *parts            # (parts,): the same of each block of a CLOSER pass
    bint *stale              # (parts,): whether a distance has changed since
    double slack             # limits are larger by this factor than what rounding might bring about


cdef enum:
    # Rows that are added up at once on the way to the one that is drawn.
    DRAW_ROWS = 64


cdef double sum_of_part(const Clusters *of, const double *values, Py_ssize_t start, Py_ssize_t rows) noexcept nogil:
    """Σ w · value over `rows` rows from start on. IN values (n,), or NULL: ones."""
    cdef const cgmm_kernels *kernels = of.work.kernels
    cdef const double *w = of.work.row_weights
    if values == NULL and w == NULL:
        return <double> rows
    if values == NULL:
        return kernels.row_sum(rows, w + start, NULL)
    if w == NULL:
        return kernels.row_sum(rows, values + start, NULL)
    return kernels.row_sum(rows, values + start, w + start)


cdef double sum_of_chunk(const Clusters *of, const double *values, Py_ssize_t chunk) noexcept nogil:
    """The same over the rows of a chunk."""
    cdef Py_ssize_t start = chunk * CGMM_CHUNK_ROWS
    return sum_of_part(of, values, start, min(<Py_ssize_t> CGMM_CHUNK_ROWS, of.work.n - start))


cdef Py_ssize_t row_above(const Clusters *of, const double *values, Py_ssize_t chunk, double target) noexcept nogil:
    """The first row of a chunk at which the running sum of w · value over its rows is above a target; where by rounding
    none is, the last that adds to it. IN values as sum_of_part."""
    cdef const double *w = of.work.row_weights
    cdef Py_ssize_t start = chunk * CGMM_CHUNK_ROWS, stop = min(of.work.n, start + CGMM_CHUNK_ROWS), i
    cdef double before = 0.0, part
    while start + DRAW_ROWS < stop:
        part = sum_of_part(of, values, start, DRAW_ROWS)
        if before + part > target:
            break
        before += part
        start += DRAW_ROWS
    for i in range(start, stop):
        before += (1.0 if w == NULL else w[i]) * (1.0 if values == NULL else values[i])
        if before > target:
            return i
    i = stop - 1
    while i > chunk * CGMM_CHUNK_ROWS and not ((w == NULL or w[i] > 0) and (values == NULL or values[i] > 0)):
        i -= 1
    return i


cdef void draw(const Clusters *of, const double *values, const double *sums, Py_ssize_t count,
               const double *uniforms) noexcept nogil:
    """OUT of.drawn (count,): rows, each drawn in proportion to w · value by a uniform number. IN values as sum_of_part;
    their sums over chunks; uniforms (count,)."""
    cdef Py_ssize_t chunks = (of.work.n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS, q, chunk
    cdef double whole = 0.0, target, reach
    for chunk in range(chunks):
        whole += sums[chunk]
    for q in range(count):
        target = uniforms[q] * whole
        reach, chunk = sums[0], 0
        while chunk < chunks - 1 and not reach > target:
            chunk += 1
            reach += sums[chunk]
        of.drawn[q] = row_above(of, values, chunk, max(target - (reach - sums[chunk]), 0.0))


cdef Py_ssize_t best_of(const Clusters *of, Py_ssize_t count) noexcept nogil:
    """Which of `count` candidates leaves the smallest sum of distances. IN of.chunk_sums (chunks,count)."""
    cdef Py_ssize_t chunks = of.work.chunks, c, chunk, best = 0
    cdef double total, least = INFINITY
    for c in range(count):
        total = 0.0
        for chunk in range(chunks):
            total += of.chunk_sums[chunk * count + c]
        if total < least:
            best, least = c, total
    return best


cdef void set_middle(Clusters *of) noexcept nogil:
    """OUT of.middle: that of some rows, which does not change with the candidates: rows are packed once."""
    cdef Py_ssize_t count = min(<Py_ssize_t> MIDDLE_ROWS, of.work.n), q
    for q in range(count):
        take_row(&of.work, (2 * q + 1) * of.work.n // (2 * count), of.scratch + q * of.work.d)
    middle_of(count, of.work.d, of.scratch, of.values, of.middle)


cdef int next_candidates(Clusters *of, Py_ssize_t count) except -1 nogil:
    """OUT of.candidates: the rows that were drawn; and a CLOSER pass over their distances. IN of.drawn (count,)."""
    cdef Py_ssize_t d = of.work.d, q
    for q in range(count):
        take_row(&of.work, of.drawn[q], of.candidates + q * d)
    set_centres(of, CLOSER, count, of.candidates)
    return 0


cdef int add_up_closer(Clusters *of, Py_ssize_t count, double *distances) except -1 nogil:
    """The CLOSER pass over `count` candidates that is laid out. OUT of.chunk_sums (chunks,count); distances
    (count,n), or NULL."""
    cdef Py_ssize_t chunks = (of.work.n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS
    memset(of.chunk_sums, 0, chunks * count * sizeof(double))
    of.work.closer = Closer(of.closest, distances, of.chunk_sums, of.panel, of.packed)
    add_up(of)
    of.packed = of.panel != NULL
    return 0


cdef Py_ssize_t best_by_pass(Clusters *of, Py_ssize_t count) except -1 nogil:
    """Which of the candidates leaves the smallest sum of distances. OUT of.chunk_sums."""
    add_up_closer(of, count, NULL)
    return best_of(of, count)


cdef int seed(Clusters *of, const double *uniforms) except -1 nogil:
    """OUT of.centres: greedy k-means++ seeds, each the best of a few rows drawn in proportion to w · distance². IN
    uniforms (1 + (k − 1) · trials,). SCRATCH closest, chunk_sums, panel."""
    cdef Py_ssize_t n = of.work.n, d = of.work.d, chunks = (n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS
    cdef Py_ssize_t chosen = 0, best = 0, q, chunk
    cdef bint sparse = of.k >= LEAST_SPARSE * d and d <= MOST_SPARSE_FEATURES
    for q in range(n):
        of.closest[q] = INFINITY
    for chunk in range(chunks):
        of.chunk_sums[chunk] = sum_of_chunk(of, NULL, chunk)
    draw(of, NULL, of.chunk_sums, 1, uniforms)
    uniforms += 1
    set_middle(of)
    of.packed = False
    next_candidates(of, 1)
    while True:
        memcpy(of.centres + chosen * d, of.candidates + best * d, d * sizeof(double))
        chosen += 1
        if chosen == of.k:
            return 0
        # Its distances are found a second time: to write those of all candidates would take longer.
        set_centres(of, CLOSER, 1, of.candidates + best * d)
        add_up_closer(of, 1, of.closest)
        if sparse and chosen == DENSE_SEEDS:
            return seed_nearby(of, chosen, uniforms)
        draw(of, of.closest, of.chunk_sums, of.trials, uniforms)
        uniforms += of.trials
        next_candidates(of, of.trials)
        best = best_by_pass(of, of.trials)


# Seeds that are near to few rows


cdef double *carve_aligned(Free *free, Py_ssize_t count) noexcept nogil:
    """As carve, of a memory aligned to 64 bytes, and so is what is taken."""
    return carve(free, (count + 7) // 8 * 8)


cdef Py_ssize_t carve_nearby(Nearby *to, const Clusters *of, double *memory) noexcept nogil:
    """OUT what `to` points to in a memory, and its sizes. Returns how many doubles that has."""
    cdef Py_ssize_t n = of.work.n, d = of.work.d, chunks = (n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS, places
    cdef Py_ssize_t parts = (n + of.work.block - 1) // of.work.block
    cdef Free free = Free(memory, 0)
    to.blocks = (n + CGMM_NEARBY - 1) // CGMM_NEARBY
    to.boxes = (to.blocks + CGMM_BOXES - 1) // CGMM_BOXES
    to.sets = (to.boxes + CGMM_BOXES - 1) // CGMM_BOXES
    to.box_doubles = 2 * CGMM_BOXES * d
    places = to.blocks * CGMM_NEARBY
    to.rows, to.closest = carve_aligned(&free, places * d), carve_aligned(&free, places)
    to.weights = carve_aligned(&free, places) if of.work.row_weights != NULL else NULL
    to.found = carve_aligned(&free, of.trials * places)
    to.inner, to.outer = carve_aligned(&free, to.boxes * to.box_doubles), carve_aligned(&free, to.sets * to.box_doubles)
    to.inner_limits = carve_aligned(&free, to.boxes * CGMM_BOXES)
    to.outer_limits = carve_aligned(&free, to.sets * CGMM_BOXES)
    to.index = <Py_ssize_t *> carve_aligned(&free, n)
    to.touched = <Py_ssize_t *> carve_aligned(&free, of.trials * to.blocks)
    to.counts = <Py_ssize_t *> carve_aligned(&free, of.trials)
    to.gains, to.sums = carve_aligned(&free, of.trials), carve_aligned(&free, chunks)
    to.parts, to.stale = carve_aligned(&free, parts), <bint *> carve_aligned(&free, parts)
    return free.taken


cdef void order_nearby(Nearby *to, const Clusters *of) noexcept nogil:
    """OUT to.index: rows in an order in which neighbours stand together. SCRATCH to.found."""
    cdef const Work *work = &of.work
    cdef Py_ssize_t n = work.n, leaves = leaves_of(n, CGMM_NEARBY)
    cdef Free free = Free(to.found, 0)
    cdef Coordinates points = Coordinates(work.X, work.row_stride, work.column_stride, work.d,
                                          work.kernels.itemsize == sizeof(float), NULL)
    cdef Leaves of_rows
    of_rows.count, of_rows.leaf = leaves, <Py_ssize_t *> carve(&free, n)
    of_rows.keys = carve(&free, (n + CUT_SHARE - 1) // CUT_SHARE)
    of_rows.axes, of_rows.values = <Py_ssize_t *> carve(&free, leaves), carve(&free, leaves)
    of_rows.ends = <Py_ssize_t *> carve(&free, leaves)
    sort_into_leaves(&points, 0, n, &of_rows, to.index, of.n_threads)


cdef void widen_box(double *bounds, Py_ssize_t at, double low, double high) noexcept nogil:
    """IN/OUT bounds [2][CGMM_BOXES] of a feature: that of a box, which is to hold so much more."""
    bounds[at] = min(bounds[at], low)
    bounds[CGMM_BOXES + at] = max(bounds[CGMM_BOXES + at], high)


cdef void open_boxes(double *boxes, Py_ssize_t doubles) noexcept nogil:
    """OUT boxes, as Nearby.inner: they hold nothing, and are far from everything."""
    cdef Py_ssize_t q, lane
    for q in range(doubles // (2 * CGMM_BOXES)):
        for lane in range(CGMM_BOXES):
            boxes[2 * q * CGMM_BOXES + lane], boxes[(2 * q + 1) * CGMM_BOXES + lane] = 1e300, -1e300


cdef void place_rows(Nearby *to, const Clusters *of) noexcept nogil:
    """OUT what `to` knows of the rows and how far seeds are. IN its index; of.closest."""
    cdef const Work *work = &of.work
    cdef Py_ssize_t n = work.n, d = work.d, place, block, lane, j, q
    cdef double *row = of.scratch    # (d,), and the following
    cdef double low, high, size, slack
    open_boxes(to.inner, to.boxes * to.box_doubles)
    open_boxes(to.outer, to.sets * to.box_doubles)
    memset(to.rows, 0, to.blocks * CGMM_NEARBY * d * sizeof(double))
    memset(to.closest, 0, to.blocks * CGMM_NEARBY * sizeof(double))
    memset(to.inner_limits, 0, to.boxes * CGMM_BOXES * sizeof(double))
    memset(to.outer_limits, 0, to.sets * CGMM_BOXES * sizeof(double))
    if to.weights != NULL:
        memset(to.weights, 0, to.blocks * CGMM_NEARBY * sizeof(double))
    for place in range(n):
        block, lane = place // CGMM_NEARBY, place % CGMM_NEARBY
        take_row(work, to.index[place], row)
        for j in range(d):
            to.rows[(block * d + j) * CGMM_NEARBY + lane] = row[j]
            widen_box(to.inner + block // CGMM_BOXES * to.box_doubles + 2 * j * CGMM_BOXES, block % CGMM_BOXES,
                      row[j], row[j])
        to.closest[place] = of.closest[to.index[place]]
        if to.weights != NULL:
            to.weights[place] = work.row_weights[to.index[place]]
    for j in range(d):    # what rounding may do to a difference of two values of a feature, by the largest of them
        size = 0.0
        for q in range(to.boxes):
            for lane in range(min(<Py_ssize_t> CGMM_BOXES, to.blocks - q * CGMM_BOXES)):
                size = max(size, fabs(to.inner[q * to.box_doubles + 2 * j * CGMM_BOXES + lane]))
                size = max(size, fabs(to.inner[q * to.box_doubles + (2 * j + 1) * CGMM_BOXES + lane]))
        slack = 8 * size * (1.2e-7 if work.kernels.itemsize == sizeof(float) else 2.3e-16)
        for block in range(to.blocks):
            q, lane = block // CGMM_BOXES, block % CGMM_BOXES
            low = to.inner[q * to.box_doubles + 2 * j * CGMM_BOXES + lane] - slack
            high = to.inner[q * to.box_doubles + (2 * j + 1) * CGMM_BOXES + lane] + slack
            widen_box(to.inner + q * to.box_doubles + 2 * j * CGMM_BOXES, lane, low, high)
            widen_box(to.outer + q // CGMM_BOXES * to.box_doubles + 2 * j * CGMM_BOXES, q % CGMM_BOXES, low, high)
    to.slack = 1 + 1e-4 if work.kernels.itemsize == sizeof(float) else 1 + 1e-12
    for block in range(to.blocks):
        limit_block(to, block)
    for q in range(to.boxes):
        limit_box(to, q)


cdef void limit_block(Nearby *to, Py_ssize_t block) noexcept nogil:
    """OUT the limit of a block. IN to.closest."""
    cdef const double *closest = to.closest + block * CGMM_NEARBY
    cdef double most = 0.0
    cdef Py_ssize_t lane
    for lane in range(CGMM_NEARBY):
        most = max(most, closest[lane])
    to.inner_limits[block] = most * to.slack


cdef void limit_box(Nearby *to, Py_ssize_t box) noexcept nogil:
    """OUT the limit of a box of blocks. IN those of the blocks."""
    cdef double most = 0.0
    cdef Py_ssize_t lane
    for lane in range(CGMM_BOXES):
        most = max(most, to.inner_limits[box * CGMM_BOXES + lane])
    to.outer_limits[box] = most


cdef void look_nearby(const Nearby *to, const Clusters *of, Py_ssize_t trial) noexcept nogil:
    """OUT touched, counts, found and gains of a candidate. IN of.middle; the candidates, and as the pass has them."""
    cdef const Work *work = &of.work
    cdef const cgmm_kernels *wide = TARGETS[TARGET].f64
    cdef Py_ssize_t d = work.d, places = to.blocks * CGMM_NEARBY, start = 0, box, block, count = 0, at
    cdef const double *candidate = of.candidates + trial * d
    cdef const char *mean = <const char *> work.means + trial * d * work.kernels.itemsize
    cdef Py_ssize_t *touched = to.touched + trial * to.blocks
    cdef double gain = 0.0
    cdef unsigned outside, inside
    while start < to.sets:
        outside = wide.near(to.outer + start * to.box_doubles, d, candidate, candidate,
                            to.outer_limits + start * CGMM_BOXES)
        while outside:
            box = start * CGMM_BOXES + __builtin_ctzll(outside)
            outside &= outside - 1
            if box >= to.boxes:
                break
            inside = wide.near(to.inner + box * to.box_doubles, d, candidate, candidate,
                               to.inner_limits + box * CGMM_BOXES)
            while inside:
                block = box * CGMM_BOXES + __builtin_ctzll(inside)
                inside &= inside - 1
                if block >= to.blocks:
                    break
                at = block * CGMM_NEARBY
                gain += work.kernels.nearer(to.rows + at * d, d, of.middle, mean, to.closest + at,
                                            NULL if to.weights == NULL else to.weights + at,
                                            to.found + trial * places + at)
                touched[count] = block
                count += 1
        start += 1
    to.counts[trial], to.gains[trial] = count, gain


cdef double sum_of(const double *sums, Py_ssize_t chunks) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t chunk
    for chunk in range(chunks):
        total += sums[chunk]
    return total


cdef Py_ssize_t best_nearby(const Nearby *to, const Clusters *of, double whole) noexcept nogil:
    """The candidate that gains most, the first of equals; −1 where gains are so much alike that rounding might decide.
    IN gains; whole, the sum of all distances."""
    cdef Py_ssize_t best = 0, q
    for q in range(1, of.trials):
        if to.gains[q] > to.gains[best]:
            best = q
    for q in range(of.trials):
        if q != best and of.drawn[q] != of.drawn[best] and not to.gains[best] - to.gains[q] > LIKE * whole:
            return -1
    return best


cdef void take_nearby(Nearby *to, Clusters *of, Py_ssize_t best) noexcept nogil:
    """IN/OUT the distances to the closest seed, which a candidate becomes."""
    cdef const double *found = to.found + best * to.blocks * CGMM_NEARBY
    cdef Py_ssize_t n = of.work.n, q, block, place, i, box, last = -1
    for q in range(to.counts[best]):
        block = to.touched[best * to.blocks + q]
        for place in range(block * CGMM_NEARBY, min(n, (block + 1) * CGMM_NEARBY)):
            if found[place] != to.closest[place]:
                i = to.index[place]
                to.closest[place] = of.closest[i] = found[place]
                to.stale[i // of.work.block] = True
        limit_block(to, block)
    for q in range(to.counts[best]):
        box = to.touched[best * to.blocks + q] // CGMM_BOXES
        if box != last:
            limit_box(to, box)
            last = box


cdef void sum_again(Nearby *to, const Clusters *of) noexcept nogil:
    """OUT to.sums: those of the chunks in which a distance has changed, as a CLOSER pass adds them up. IN/OUT
    to.parts."""
    cdef const Work *work = &of.work
    cdef const double *weights
    cdef Py_ssize_t n = work.n, block = work.block, chunk, part, start, stop, i
    cdef bint changed
    for chunk in range((n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS):
        start, stop = chunk * CGMM_CHUNK_ROWS // block, (min(n, (chunk + 1) * CGMM_CHUNK_ROWS) + block - 1) // block
        changed = False
        for part in range(start, stop):
            if to.stale[part]:
                i, changed, to.stale[part] = part * block, True, False
                weights = work.row_weights
                if weights != NULL:
                    weights += i
                to.parts[part] = work.kernels.row_sum(min(block, n - i), of.closest + i, weights)
        if changed:
            to.sums[chunk] = sum_of(to.parts + start, stop - start)


cdef int seed_nearby(Clusters *of, Py_ssize_t chosen, const double *uniforms) except -1 nogil:
    """OUT the seeds from the chosen-th on, as `seed` finds them by passes: the same, to the bit. IN of.closest;
    the remaining uniforms. SCRATCH as seed.

    A candidate can only be the closest of rows in blocks whose box is no farther than their limit (by the triangle
    inequality in every feature). Gains that are alike to rounding are compared as a pass would.
    """
    cdef Py_ssize_t chunks = (of.work.n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS, d = of.work.d, part, best, q
    cdef Nearby to
    cdef Py_ssize_t size = carve_nearby(&to, of, NULL) * <Py_ssize_t> sizeof(double)
    cdef char *memory = <char *> cgmm_allocate(size)
    if memory == NULL:
        with gil:
            raise MemoryError("no memory for the rows that seeds are near to")
    carve_nearby(&to, of, <double *> memory)
    order_nearby(&to, of)
    place_rows(&to, of)
    for part in range((of.work.n + of.work.block - 1) // of.work.block):
        to.stale[part] = True
    sum_again(&to, of)
    try:
        while True:
            draw(of, of.closest, to.sums, of.trials, uniforms)
            uniforms += of.trials
            next_candidates(of, of.trials)
            for q in range(of.trials):
                look_nearby(&to, of, q)
            best = best_nearby(&to, of, sum_of(to.sums, chunks))
            if best < 0:
                best = best_by_pass(of, of.trials)
            memcpy(of.centres + chosen * d, of.candidates + best * d, d * sizeof(double))
            chosen += 1
            if chosen == of.k:
                return 0
            take_nearby(&to, of, best)
            sum_again(&to, of)
            look_up(&of.done, to.counts[best] * CGMM_NEARBY * of.trials * d)
    finally:
        cgmm_release(memory)
