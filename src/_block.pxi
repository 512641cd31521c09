# What is done to a block, nogil: densities of its rows, and what they are for, while the rows are in cache. And the
# DENSE pass, to which every component of every row matters. Part of _kernels.pyx.


cdef struct Rows:
    # The rows of a block, and which components matter to them.
    Py_ssize_t start                # of work's rows, those from here on
    Py_ssize_t count
    const Py_ssize_t *index         # (count,), or NULL: these in their place
    Py_ssize_t active               # components
    const Py_ssize_t *components    # (active,): which, or NULL: all
    const unsigned char *present    # as screen leaves it, or NULL: to all rows


cdef void lay_out_dense(Work *work) noexcept nogil:
    """Lay out a DENSE pass. IN work.block; OUT work.sums, scratch, dense, chunk, run_chunk."""
    lay_out_tiles(work)
    lay_out_blocks(work)
    if work.output == PREDICTIONS:
        lay_out_predictions(work)
    work.chunk = few_rows_chunk(work)
    work.run_chunk = dense_chunk


cdef void lay_out_blocks(Work *work) noexcept nogil:
    """OUT work.scratch, which is empty, and dense: the parts of a pass that takes responsibilities. IN work.block."""
    cdef Py_ssize_t real = work.kernels.itemsize, block = work.block
    cdef Py_ssize_t rows = block * cgmm_pad4(work.d) * real, components = block * cgmm_pad4(work.k) * real
    cdef Scratch *scratch = &work.scratch
    cdef Dense *dense = &work.dense
    scratch.panel = claim(scratch, rows)
    if work.whitener != NULL:
        dense.white = claim(scratch, rows)
    dense.z = claim(scratch, rows)
    dense.rz = claim(scratch, rows if work.moment == POOLED else block * real)
    scratch.logd = claim(scratch, components)
    if work.moment == RADIAL or work.moment == POOLED:
        dense.wr = claim(scratch, components)
    dense.row_weights = claim(scratch, block * real)
    dense.lse = claim(scratch, block * real)
    dense.scale = claim(scratch, block * real)
    dense.label = claim(scratch, block * sizeof(Py_ssize_t))
    if work.noisy:
        dense.both = claim(scratch, block * cgmm_pad4(2) * real)
        dense.both_scale = claim(scratch, block * real)


cdef void fill_row_weights(const Work *work, const Py_ssize_t *index, Py_ssize_t start, Py_ssize_t rows,
                           char *to) noexcept nogil:
    """OUT to, REAL (block,): a block's row weights, one where there are none, and zero past its last row.

    IN index (rows,): its rows; or NULL: they begin at start.
    """
    cdef Py_ssize_t i, real = work.kernels.itemsize
    memset(to + rows * real, 0, (work.block - rows) * real)
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


cdef double total_weight(const Work *work, const Rows *rows) noexcept nogil:
    """Σ w_i of the rows."""
    cdef double total = 0.0
    cdef Py_ssize_t i
    if work.row_weights == NULL:
        return <double> rows.count
    for i in range(rows.count):
        total += work.row_weights[rows.index[i] if rows.index != NULL else rows.start + i]
    return total


cdef void pack_into(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *panel) noexcept nogil:
    """OUT panel: the rows from start on, about the centre."""
    work.kernels.pack(work.X + start * work.row_stride, work.row_stride, work.column_stride, NULL, rows, work.d,
                      work.centre, panel)


cdef void pack_rows(const Work *work, Py_ssize_t start, Py_ssize_t rows, char *memory) noexcept nogil:
    """OUT memory: panel ← the rows from start on, about the centre."""
    pack_into(work, start, rows, memory + work.scratch.panel)


cdef char *whitened(const Work *work, Py_ssize_t rows, char *memory) noexcept nogil:
    """The panel of rows in the space of the density: white, or panel itself. IN memory: panel; OUT white."""
    cdef char *panel = memory + work.scratch.panel
    if work.whitener == NULL:
        return panel
    work.kernels.whiten(panel, rows, work.d, work.whitener, memory + work.dense.white)
    return memory + work.dense.white


cdef void use_densities(const Work *work, const Rows *rows, char *memory, double *sums) noexcept nogil:
    """What the pass is for. IN memory: panel, logd; OUT logd is lost, and the rest of Dense.
    IN/OUT sums (sums.size,), or what work.out and work.labels point to."""
    if work.moment == NONE:
        put_values(work, rows, memory)
    else:
        add_statistics(work, rows, memory, sums)


ctypedef fused real_type:
    float
    double


cdef double noise_of(const Work *work, Py_ssize_t row) noexcept nogil:
    """The logarithm of the noise's weight times its density at a row: at what is observed of it."""
    cdef double log_density = work.noise, value
    cdef Py_ssize_t j
    if work.log_widths == NULL:
        return log_density
    for j in range(work.d):    # of doubles: only rows with gaps have widths
        value = (<const double *> (work.X + row * work.row_stride + j * work.column_stride))[0]
        if value == value:
            log_density -= work.log_widths[j]
    return log_density


cdef void put_both(const Work *work, const Rows *rows, const real_type *lse, real_type *both) noexcept nogil:
    """OUT both: the rows' log-sum-exp over the components, IN lse, and the log-densities of the noise. A row whose
    component is known is no noise."""
    cdef Py_ssize_t group = work.kernels.group, groups = (rows.count + group - 1) // group, g, i, row
    cdef bint alike = work.known == NULL and work.log_widths == NULL
    for g in range(groups):
        memcpy(both, lse, group * sizeof(real_type))
        for i in range(group):
            both[group + i] = <real_type> work.noise
        for i in range(0 if alike else group):
            row = rows.start + min(g * group + i, rows.count - 1)
            if work.known != NULL and work.known[row] >= 0:
                both[group + i] = lse[i] - fabs(lse[i]) - 10000
            else:
                both[group + i] = <real_type> noise_of(work, row)
        lse += group
        both += group * cgmm_pad4(2)


cdef double take_shares(const Work *work, const Rows *rows, const real_type *both, const real_type *scale,
                        real_type *weights) noexcept nogil:
    """IN/OUT weights (rows,): times the components' share of each row. Returns Σ weight times the noise's share. IN
    both, scale: as softmax leaves them."""
    cdef Py_ssize_t group = work.kernels.group, left = rows.count, i
    cdef double noise = 0.0
    while left > 0:
        for i in range(min(group, left)):
            noise += <double> weights[i] * (both[group + i] * scale[i])
            weights[i] *= both[i] * scale[i]
        weights += group
        scale += group
        both += group * cgmm_pad4(2)
        left -= group
    return noise


cdef double log_sums(const Work *work, const Rows *rows, char *logd, char *memory, double *noise) noexcept nogil:
    """As softmax of the rows: IN/OUT logd; memory: IN row_weights, OUT lse, scale. Returns Σ_i weight_i lse_i.

    Where there is a noise component, responsibilities are those among the other components times their share of a row,
    by which row_weights are multiplied: so moments are as without noise, of rows that weigh less. lse is that of all;
    noise += Σ_i weight_i times the noise's share.
    """
    cdef const cgmm_kernels *kernels = work.kernels
    cdef char *weights = memory + work.dense.row_weights
    cdef char *lse = memory + work.dense.lse
    cdef char *both = memory + work.dense.both
    cdef char *scale = memory + work.dense.both_scale
    cdef bint double_rows = kernels.itemsize == sizeof(double)
    cdef double total = kernels.softmax(rows.count, rows.active, weights, logd, lse, memory + work.dense.scale)
    if not work.noisy:
        return total
    if double_rows:
        put_both(work, rows, <const double *> lse, <double *> both)
    else:
        put_both(work, rows, <const float *> lse, <float *> both)
    total = kernels.softmax(rows.count, 2, weights, both, lse, scale)
    if double_rows:
        noise[0] += take_shares(work, rows, <const double *> both, <const double *> scale, <double *> weights)
    else:
        noise[0] += take_shares(work, rows, <const float *> both, <const float *> scale, <float *> weights)
    return total


cdef void put_noise(const Work *work, const Rows *rows, const char *memory) noexcept nogil:
    """OUT work.labels: −1 where the noise is more likely than any component. IN memory: lse, the largest log-density
    of any."""
    cdef const char *top = memory + work.dense.lse
    cdef Py_ssize_t i, row
    cdef double largest
    for i in range(rows.count):
        row = rows.start + i if rows.index == NULL else rows.index[i]
        work.kernels.widen(top + i * work.kernels.itemsize, 1, &largest)
        if largest < noise_of(work, row):
            work.labels[row] = -1


cdef void divide(const Work *work, const Rows *rows, char *memory) noexcept nogil:
    """IN/OUT memory: logd, log-densities that become responsibilities. SCRATCH row_weights, lse, scale."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef char *logd = memory + work.scratch.logd
    cdef char *weights = memory + work.dense.row_weights
    cdef double noise = 0.0
    if not work.noisy:
        kernels.shares(rows.count, rows.active, 1.0, logd)
        return
    fill_row_weights(work, rows.index, rows.start, rows.count, weights)
    log_sums(work, rows, logd, memory, &noise)
    kernels.rescale(rows.count, rows.active, memory + work.dense.scale, weights, logd)


cdef void put_values(const Work *work, const Rows *rows, char *memory) noexcept nogil:
    """OUT work.out or work.labels: a value for each row. IN memory: logd, which is lost."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef char *logd = memory + work.scratch.logd
    cdef char *lse = memory + work.dense.lse
    cdef char *weights = memory + work.dense.row_weights
    cdef double noise = 0.0
    if work.output == NO_OUTPUT:
        return
    if work.output == LABELS:
        put_labels(work, rows, memory)
        return
    if work.output == LOG_DENSITIES:
        kernels.unpack(logd, rows.count, work.k, NULL, NULL, work.k, work.out + rows.start * work.k)
        return
    if work.output == LOG_LIKELIHOOD:
        fill_row_weights(work, rows.index, rows.start, rows.count, weights)
        log_sums(work, rows, logd, memory, &noise)
        put_log_likelihoods(work, rows, lse)
        return
    divide(work, rows, memory)
    if work.output == TRUTH:
        put_truth(work, rows, memory)
        return
    if work.output == PREDICTIONS:
        put_predictions(work, rows, memory)
        return
    kernels.unpack(logd, rows.count, rows.active, rows.index, rows.components, work.k,
                   work.out + (rows.start * work.k if rows.index == NULL else 0))


cdef void put_labels(const Work *work, const Rows *rows, char *memory) noexcept nogil:
    """OUT work.labels: the component of the largest log-density, −1 where that of the noise is larger. IN memory: logd;
    SCRATCH lse, label."""
    cdef Py_ssize_t *label = <Py_ssize_t *> (memory + work.dense.label)
    cdef Py_ssize_t i
    work.kernels.argmax(rows.count, rows.active, memory + work.scratch.logd, memory + work.dense.lse, label)
    for i in range(rows.count):
        if rows.index == NULL:
            work.labels[rows.start + i] = label[i]
        else:
            work.labels[rows.index[i]] = rows.components[label[i]]
    if work.noisy:
        put_noise(work, rows, memory)


cdef void put_log_likelihoods(const Work *work, const Rows *rows, const char *lse) noexcept nogil:
    """OUT work.out (n,) ← lse, REAL (rows,)."""
    cdef Py_ssize_t i
    if rows.index == NULL:
        work.kernels.widen(lse, rows.count, work.out + rows.start)
        return
    for i in range(rows.count):
        work.kernels.widen(lse + i * work.kernels.itemsize, 1, work.out + rows.index[i])


cdef void leave_own(real_type *logd, Py_ssize_t k, Py_ssize_t group, Py_ssize_t own) noexcept nogil:
    """IN/OUT logd, a row's in a panel of k components and `group` rows side by side: all but its own are so far below
    that their shares are zero. The own is bounded, so that this holds where its density is zero."""
    cdef real_type least = -1e30
    cdef real_type top = max(logd[own * group], least)
    cdef Py_ssize_t c
    for c in range(k):
        logd[c * group] = top - fabs(top) - 10000
    logd[own * group] = top


cdef void leave_known(const Work *work, const Rows *rows, char *logd) noexcept nogil:
    """IN/OUT logd: a row whose component is known sees that one only. No component is left out of such a pass."""
    cdef Py_ssize_t group = work.kernels.group, size = group * cgmm_pad4(work.k), i, own, at
    for i in range(rows.count):
        own = work.known[rows.start + i]
        at = i // group * size + i % group
        if own >= 0 and work.kernels.itemsize == sizeof(double):
            leave_own(<double *> logd + at, work.k, group, own)
        elif own >= 0:
            leave_own(<float *> logd + at, work.k, group, own)


cdef double equal_weight(const Work *work, const Rows *rows) noexcept nogil:
    """What each of the rows weighs, if they weigh the same and belong to the components; or else −1. Weights of one are
    a power of two here, and no weights: both give the same bits."""
    cdef Py_ssize_t i, row
    cdef double weight
    if work.noisy:
        return -1.0
    if work.row_weights == NULL:
        return 1.0
    weight = work.row_weights[rows.start if rows.index == NULL else rows.index[0]]
    for i in range(1, rows.count):
        row = rows.start + i if rows.index == NULL else rows.index[i]
        if work.row_weights[row] != weight:
            return -1.0
    return weight


cdef void put_shares(const Work *work, const Rows *rows, bint weighted, char *logd, char *memory,
                     double *sums) noexcept nogil:
    """IN/OUT logd, a panel: log-densities become responsibilities, times row weights if `weighted`. sums (sums.size,)
    += log-likelihood, noise and weight of the rows. OUT memory: row_weights, if not `weighted`. SCRATCH lse, scale."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef char *weights = memory + work.dense.row_weights
    cdef double weight = equal_weight(work, rows)
    if not weighted or weight < 0.0:
        fill_row_weights(work, rows.index, rows.start, rows.count, weights)
    if weight >= 0.0:
        sums[SUM_OF_LOGS] += weight * kernels.shares(rows.count, rows.active, weight if weighted else 1.0, logd)
    else:
        sums[SUM_OF_LOGS] += log_sums(work, rows, logd, memory, &sums[SUM_OF_NOISE])
        kernels.rescale(rows.count, rows.active, memory + work.dense.scale, weights if weighted else NULL, logd)
    sums[SUM_OF_WEIGHTS] += total_weight(work, rows)


cdef void add_statistics(const Work *work, const Rows *rows, char *memory, double *sums) noexcept nogil:
    """sums (sums.size,) += what an E-step leaves of the rows. IN memory: panel, logd, which is lost; OUT the rest."""
    cdef char *logd = memory + work.scratch.logd
    if work.moment == RADIAL:
        memcpy(memory + work.dense.wr, logd, panel_bytes(work, rows.count, rows.active))
    if work.known != NULL:
        leave_known(work, rows, logd)
    cdef bint weighted = work.moment not in (POOLED, DEBLURRED)    # whose moments take the weights themselves
    put_shares(work, rows, weighted, logd, memory, sums)
    add_moments(work, rows, memory, sums)


cdef void add_moments(const Work *work, const Rows *rows, char *memory, double *sums) noexcept nogil:
    """sums (sums.size,) += the moments of the rows. IN memory: panel; logd: responsibilities, but for moments POOLED
    and DEBLURRED times row weights; of moment RADIAL wr: log-densities. SCRATCH z, rz, of moment POOLED wr."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef Py_ssize_t d = work.d, count = rows.count, active = rows.active
    cdef const char *panel = memory + work.scratch.panel
    cdef const char *r = memory + work.scratch.logd
    cdef char *z = memory + work.dense.z
    cdef char *rz = memory + work.dense.rz
    cdef char *wr = memory + work.dense.wr
    cdef double *n_k = sums + work.sums.n_k
    cdef double *first = sums + work.sums.first
    cdef double *second = sums + work.sums.second
    if work.moment == POOLED:
        kernels.moments_pooled(panel, count, d, active, work.means, r, memory + work.dense.row_weights, z, rz, wr,
                               n_k, first, second, sums + work.sums.overlap)
    elif work.moment == DEBLURRED:
        kernels.errors_moments(panel, memory + work.measured.packed, work.measured.diagonal, count, &work.mixture, r,
                               memory + work.dense.row_weights, memory + work.measured.vectors, n_k, first, second)
    elif work.moment == RADIAL:
        kernels.moments_radial(panel, count, d, active, rows.components, r, wr, work.mixture.log_norm,
                               n_k, first, second)
    elif work.moment == MASKED:
        kernels.moments_masked(panel, count, d, active, work.means, work.variances, r, n_k, first, second)
    elif work.moment == FULL:
        kernels.moments_full(panel, count, d, active, work.means, rows.components, rows.present, r, z, rz,
                             n_k, first, second)
    else:
        kernels.moments_diag(panel, count, d, active, work.means, rows.components, rows.present, r,
                             n_k, first, second)


cdef void dense_block(const Work *work, Py_ssize_t start, Py_ssize_t count, char *memory, double *sums) noexcept nogil:
    """Rows start … start + count of a DENSE pass. SCRATCH memory; IN/OUT as use_densities."""
    cdef Rows rows = Rows(start, count, NULL, work.k, NULL, NULL)
    pack_rows(work, start, count, memory)
    work.kernels.densities(whitened(work, count, memory), count, &work.mixture, memory + work.dense.z,
                           memory + work.scratch.logd)
    use_densities(work, &rows, memory, sums)


cdef void dense_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk. SCRATCH memory."""
    run_blocks(work, chunk, dense_block, memory, sums)
