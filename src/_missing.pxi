# The PIECES pass: rows some of whose values are missing, in pieces of one pattern. Part of _kernels.pyx.
#
# A piece is a chunk of a DENSE pass, of the features that its rows have. What the mixture says of those is computed for
# each piece; and once for each, its moments become those of completed rows.


cdef void lay_out_pieces(Work *work) noexcept nogil:
    """Lay out a PIECES pass. IN work.block; OUT work.sums, whose matrices are whole, scratch, dense, pieces, chunk,
    run_chunk."""
    cdef Py_ssize_t d = work.d, k = work.k, real = sizeof(double)
    cdef Py_ssize_t matrices = 0 if work.mixture.form == CGMM_MASKED else k if work.whitener == NULL else 1
    cdef Scratch *scratch = &work.scratch
    cdef Pieces *pieces = &work.pieces
    cdef Work own = work[0]
    lay_out_tiles(&own)
    lay_out_sums(work, d * d, 0)
    lay_out_blocks(work)
    work.chunk = CGMM_CHUNK_ROWS
    work.run_chunk = pieces_chunk
    pieces.rows = claim(scratch, work.chunk * d * real)
    pieces.row_weights = claim(scratch, work.chunk * real)
    pieces.known = claim(scratch, work.chunk * sizeof(Py_ssize_t))
    pieces.conditioned = claim(scratch, matrices * d * cgmm_pad8(d) * real)
    pieces.square = claim(scratch, d * cgmm_pad8(d) * real)
    pieces.vector = claim(scratch, cgmm_pad8(d) * real)
    pieces.centre = claim(scratch, d * real)
    pieces.means = claim(scratch, k * d * real)
    pieces.white_means = claim(scratch, k * d * real)
    pieces.factor = claim(scratch, matrices * cgmm_factor_size(d) * real)
    pieces.log_norm = claim(scratch, k * real)
    pieces.sums = claim(scratch, own.sums.size * real)


cdef void gather(const Work *work, Py_ssize_t start, Py_ssize_t rows, const Py_ssize_t *columns, Py_ssize_t count,
                 char *memory) noexcept nogil:
    """OUT memory: rows (rows,count), those columns (count,) of the rows start … start + rows of the order; row_weights
    (rows,) and known (rows,), theirs, if there are any."""
    cdef const Py_ssize_t *order = work.pieces.groups.order + start
    cdef double *to = <double *> (memory + work.pieces.rows)
    cdef double *weights = <double *> (memory + work.pieces.row_weights)
    cdef Py_ssize_t *known = <Py_ssize_t *> (memory + work.pieces.known)
    cdef const char *row
    cdef Py_ssize_t i, j
    for i in range(rows):
        row = work.X + order[i] * work.row_stride
        for j in range(count):
            if work.pieces.groups.single:
                to[j] = (<const float *> (row + columns[j] * work.column_stride))[0]
            else:
                to[j] = (<const double *> (row + columns[j] * work.column_stride))[0]
        to += count
        if work.row_weights != NULL:
            weights[i] = work.row_weights[order[i]]
        if work.known != NULL:
            known[i] = work.known[order[i]]


cdef void take_columns(const double *values, Py_ssize_t rows, Py_ssize_t d, const Py_ssize_t *columns,
                       Py_ssize_t count, double *to) noexcept nogil:
    """OUT to (rows,count): those columns (count,) of values (rows,d)."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(count):
            to[i * count + j] = values[i * d + columns[j]]


cdef void marginalise(const Work *work, const Py_ssize_t *columns, char *memory, Work *own) noexcept nogil:
    """The mixture of the features that are observed, the first own.d of the columns (d,), and what it says of the
    others. OUT own.mixture, own.means, own.whitener; memory: conditioned. SCRATCH memory: square, vector."""
    cdef const cgmm_kernels *kernels = work.kernels
    cdef const Pieces *at = &work.pieces
    cdef Py_ssize_t d = work.d, k = work.k, p = own.d, stride = cgmm_pad8(d), c, i, j
    cdef bint shared = work.whitener != NULL    # one root for all components
    cdef double *conditioned = <double *> (memory + at.conditioned)
    cdef double *square = <double *> (memory + at.square)
    cdef double *A
    cdef double *factor = <double *> (memory + at.factor)
    cdef double *means = <double *> (memory + at.means)
    cdef double *white = <double *> (memory + at.white_means)
    cdef double *log_norm = <double *> (memory + at.log_norm)
    cdef double log_det = 0.0, constant = 0.5 * p * LOG_2PI
    take_columns(<const double *> work.means, k, d, columns, p, means)
    for c in range(k):
        if c == 0 or not shared:
            A = conditioned + c * d * stride
            log_det = kernels.condition(d, p, columns, at.groups.roots + c * d * d, A, <double *> (memory + at.vector))
            for i in range(p):
                memcpy(square + i * p, A + i * stride, p * sizeof(double))
            kernels.pack_factor(1, p, square, factor + c * cgmm_factor_size(p))
        log_norm[c] = (<const double *> work.mixture.log_norm)[c] + log_det - constant    # as `normalise`
    own.mixture.d = p
    own.means = own.mixture.means = means
    own.mixture.log_norm = log_norm
    if not shared:
        own.mixture.factor = factor
        return
    own.whitener = factor
    own.mixture.means = white
    for c in range(k):
        for i in range(p):
            white[c * p + i] = 0.0
            for j in range(i + 1):
                white[c * p + i] += square[i * p + j] * means[c * p + j]


cdef Py_ssize_t tile_index(Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Where lower 4×4 tiles hold element (i,j), j ≤ i."""
    return ((i // 4) * (i // 4 + 1) // 2 + j // 4) * 16 + i % 4 * 4 + j % 4


cdef void unpack_lower(const double *tiles, Py_ssize_t m, Py_ssize_t stride, double *to) noexcept nogil:
    """OUT to (m,m), rows `stride` apart: a symmetric matrix from its Tiles."""
    cdef Py_ssize_t i, j
    for i in range(m):
        for j in range(i + 1):
            to[i * stride + j] = tiles[tile_index(i, j)]
            to[j * stride + i] = to[i * stride + j]


cdef void spread_means(const Work *own, const double *overlap, double *between, double *S,
                       Py_ssize_t stride) noexcept nogil:
    """S (p,p), rows `stride` apart, += Σ_{c<b} o_cb (μ_c−μ_b)(μ_c−μ_b)ᵀ = Σ_c μ_c t_cᵀ, t_c = Σ_b o_cb (μ_c−μ_b), o the
    tiles of overlap: see moments_pooled. SCRATCH between (p,): t_c."""
    cdef const double *means = <const double *> own.means
    cdef const double *mean
    cdef Py_ssize_t p = own.d, k = own.k, c, b, i, j
    cdef double o
    for c in range(k):
        mean = means + c * p
        memset(between, 0, p * sizeof(double))
        for b in range(k):
            o = overlap[tile_index(max(c, b), min(c, b))]
            for j in range(p):
                between[j] += o * (mean[j] - means[b * p + j])
        for i in range(p):
            for j in range(p):
                S[i * stride + j] += 0.5 * (mean[i] * between[j] + mean[j] * between[i])


cdef void add_completed(const Work *work, const Work *own, const Py_ssize_t *columns, char *memory,
                        double *sums) noexcept nogil:
    """sums (sums.size,) += the moments of a piece as those of completed rows; of second moments, half: the other is its
    transpose. IN columns (d,), the observed own.d first; memory: conditioned, and sums, whose first moments are
    lost. SCRATCH memory: square, vector."""
    cdef const Pieces *at = &work.pieces
    cdef Py_ssize_t d = work.d, k = work.k, p = own.d, stride = cgmm_pad8(d), c, i, j
    cdef bint pooled = work.moment == POOLED
    cdef const double *conditioned = <const double *> (memory + at.conditioned)
    cdef const double *A
    cdef double *square = <double *> (memory + at.square)
    cdef double *vector = <double *> (memory + at.vector)
    cdef double *observed = <double *> (memory + at.sums)
    cdef double *n_k = observed + own.sums.n_k
    cdef double *first = observed + own.sums.first
    cdef double *to
    cdef double mass = 0.0, moved
    for c in range(k):
        sums[work.sums.n_k + c] += n_k[c]
        mass += n_k[c]
        to = sums + work.sums.first + c * d
        A = conditioned + (0 if work.whitener != NULL else c * d * stride)
        if pooled:    # its first moments are about the centre
            for j in range(p):
                first[c * p + j] -= n_k[c] * (<const double *> own.means)[c * p + j]
        for i in range(d):
            moved = first[c * p + i] if i < p else 0.0
            for j in range(p if i >= p else 0):
                moved += A[i * stride + j] * first[c * p + j]
            to[columns[i]] += moved
    for c in range(1 if pooled else k):
        unpack_lower(observed + own.sums.second + c * cgmm_tiles(p) * 16, p, stride, square)
        if pooled:
            spread_means(own, observed + own.sums.overlap, vector, square, stride)
        A = conditioned + (0 if work.whitener != NULL else c * d * stride)
        work.kernels.complete(d, p, A, mass if pooled else n_k[c], vector, square)
        to = sums + work.sums.second + c * d * d
        for i in range(d):
            for j in range(i):
                to[columns[i] * d + columns[j]] += square[i * stride + j]
            to[columns[i] * d + columns[i]] += 0.5 * square[i * stride + i]


cdef void run_piece(const Work *work, Py_ssize_t piece, char *memory, double *sums) noexcept nogil:
    """sums (sums.size,) += those of a piece; OUT what work.out and work.labels point to. SCRATCH memory."""
    cdef const Groups *groups = work.pieces.groups
    cdef const Pieces *at = &work.pieces
    cdef Py_ssize_t start = groups.starts[piece], pattern = groups.pattern[piece]
    cdef const Py_ssize_t *columns = groups.columns + pattern * work.d
    cdef double *observed = <double *> (memory + at.sums)
    cdef Work own = work[0]
    cdef Py_ssize_t j
    own.n, own.d = groups.starts[piece + 1] - start, groups.observed[pattern]
    own.X = memory + at.rows
    own.row_stride, own.column_stride = own.d * sizeof(double), sizeof(double)
    own.centre = <double *> (memory + at.centre)
    if work.row_weights != NULL:
        own.row_weights = <double *> (memory + at.row_weights)
    if work.known != NULL:
        own.known = <Py_ssize_t *> (memory + at.known)
    if work.labels != NULL:
        own.labels = work.labels + start
    if work.out != NULL:
        own.out = work.out + start * (1 if work.output == LOG_LIKELIHOOD else work.k)
    gather(work, start, own.n, columns, own.d, memory)
    take_columns(work.centre, 1, work.d, columns, own.d, <double *> (memory + at.centre))
    if work.mixture.form == CGMM_MASKED:    # all features are observed, or are NaN
        dense_chunk(&own, 0, memory, observed)
        add_in_order(observed, 1, work.sums.size, 0, work.sums.size, sums)
        return
    if work.log_widths != NULL:
        own.log_widths = NULL
        for j in range(own.d):
            own.noise -= work.log_widths[columns[j]]
    marginalise(work, columns, memory, &own)
    lay_out_tiles(&own)
    dense_chunk(&own, 0, memory, observed)
    sums[SUM_OF_LOGS] += observed[SUM_OF_LOGS]
    sums[SUM_OF_WEIGHTS] += observed[SUM_OF_WEIGHTS]
    sums[SUM_OF_NOISE] += observed[SUM_OF_NOISE]
    if work.moment != NONE:
        add_completed(work, &own, columns, memory, sums)


cdef void pieces_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk, piece by piece. SCRATCH memory."""
    cdef const Groups *groups = work.pieces.groups
    cdef Py_ssize_t piece
    memset(sums, 0, work.sums.size * sizeof(double))
    for piece in range(groups.chunks[chunk], groups.chunks[chunk + 1]):
        run_piece(work, piece, memory, sums)


OF_COMPLETED = ("full", "pooled")    # second moments that one conditional distribution, of all components, completes


def expectation_of_groups(X, density, moment, groups, row_weights=None, int n_threads=1, known=None):
    """One E-step over rows some of whose values are missing (NaN): the sums that expectation gives.

    groups as cgmm.rows.patterns; density triangular, moment "full"; or whitened, moment "full" or "pooled"; or masked,
    moment "diag" or "radial"; its log_norm (k,) is log π_c; known as expectation. Computed in double.
    """
    able = ("diag", "radial") if density.form == "masked" else ("full",) if density.whitener is None else OF_COMPLETED
    if moment not in able:
        raise ValueError(f"a pass over rows with gaps cannot add up {moment} moments of this density")
    cdef _Pass work = _Pass(X, density, row_weights, "masked" if density.form == "masked" else moment, None, None, 0,
                            groups, known=known)
    flat = work.run(n_threads)
    cdef Py_ssize_t d = work.work.d, k = work.work.k
    cdef Sums at = work.work.sums
    second = flat[at.second:at.overlap]
    if work.work.moment == MASKED:
        second = second.reshape(k, d).sum(axis=1) if moment == "radial" else second.reshape(k, d).copy()
    else:
        half = second.reshape(-1, d, d)    # see add_completed
        second = half + np.swapaxes(half, 1, 2) if moment == "full" else half[0] + half[0].T
    return (flat[at.n_k:at.n_k + k].copy(), flat[at.first:at.second].reshape(k, d).copy(), second,
            float(flat[SUM_OF_LOGS]), float(flat[SUM_OF_WEIGHTS]), density.centre + work.centred_means(),
            *([float(flat[SUM_OF_NOISE])] if work.work.noisy else []))


def evaluate_groups(X, density, output, groups, int n_threads=1):
    """A value for each row in the order of the groups, as evaluate; density as expectation_of_groups."""
    cdef _Pass work = _Pass(X, density, None, None, output, None, 0, groups)
    cdef double[::1] out
    cdef Py_ssize_t[::1] labels
    cdef Py_ssize_t n = len(groups.order)
    if work.work.output == LABELS:
        result = labels = np.empty(n, dtype=np.intp)
        work.work.labels = &labels[0]
    else:
        result = np.empty(n) if work.work.output == LOG_LIKELIHOOD else np.empty((n, work.work.k))
        out = result.reshape(-1)
        work.work.out = &out[0]
    work.run(n_threads)
    return result


def condition(const double[:, :, ::1] roots, const Py_ssize_t[::1] columns, Py_ssize_t observed):
    """(m,d,d) [[P_o, 0], [B, K]] of each root (m,d,d), when the first `observed` of the columns (d,) are: see
    condition in simd/kernels.h."""
    cdef Py_ssize_t m = roots.shape[0], d = roots.shape[1], stride = cgmm_pad8(d), c, i
    cdef double *memory = <double *> cgmm_allocate((d + 1) * stride * sizeof(double))
    if memory == NULL:
        raise MemoryError("no memory for conditional distributions")
    conditioned = np.empty((m, d, d))
    cdef double[:, :, ::1] to = conditioned
    with nogil:
        for c in range(m):
            TARGETS[TARGET].f64.condition(d, observed, &columns[0], &roots[c, 0, 0], memory, memory + d * stride)
            for i in range(d):
                memcpy(&to[c, i, 0], memory + i * stride, d * sizeof(double))
    cgmm_release(memory)
    return conditioned
