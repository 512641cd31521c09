# A pass over the rows, nogil: how they are cut into chunks, which threads take in waves; sums in order. Part of
# _kernels.pyx.


cdef enum:
    # No chunk of any pass has more rows than this, and each begins at a multiple of its own size: at multiples of
    # MOST_CHUNK rows may be cut, and all sums stay the same bits. Measured: chunks of twice the size are slower.
    MOST_CHUNK = 8192

    # A pass over few rows has at least so many chunks, as long as each of them is work for a thread: a chunk is at most
    # one thread's, so that eight threads can take part.
    FEW_CHUNKS = 8

    # Where second moments do not fit an L1 cache, a chunk has at least so many rows: to clear, write and add up its
    # sums then takes less than a tenth of the time of its work.
    LARGE_SUMS_ROWS = 256

    # Partial sums of so many bytes are held at a time, those of a wave of chunks, or, if that is more, those of two
    # chunks for each thread: enough chunks to keep the threads busy, and few enough to bound the memory.
    WAVE_BYTES = 16 << 20

    # A thread gets at least so many multiply-adds, some tens of microseconds: to wake it, or to wait for it where the
    # system holds it back, costs more than fewer of them take.
    THREAD_WORK = 200_000

    # Threads that add up partial sums take so many doubles of each chunk at a time: 32 KiB, as large as an L1 cache.
    STRIPE = 4096


cdef Py_ssize_t work_of_rows(const Work *work, Py_ssize_t rows) noexcept nogil:
    """Multiply-adds of a dense pass over so many rows, about."""
    cdef Py_ssize_t each = work.d
    if work.mixture.form in (CGMM_TRIANGULAR, CGMM_COVARIANCES) or work.moment == FULL:
        each *= work.d
    return rows * work.k * (each + work.beside)


cdef Py_ssize_t block_rows(const Work *work) noexcept nogil:
    """Rows in a block: as many as kernels.h says, or, so that few rows have little scratch, fewer."""
    cdef Py_ssize_t block = cgmm_block_rows(work.d, work.k, work.kernels.itemsize)
    while block > work.kernels.group and block >= 2 * max(work.n, work.stands_for):
        block //= 2
    return block


cdef Py_ssize_t few_rows_chunk(const Work *work) noexcept nogil:
    """Rows in a chunk: CGMM_CHUNK_ROWS, or, of few rows, fewer, but as many as are work for a thread."""
    cdef Py_ssize_t chunk = CGMM_CHUNK_ROWS
    cdef Py_ssize_t least = max(work.block, <Py_ssize_t> (LARGE_SUMS_ROWS if work.d > MOST_WHOLE else 0))
    while chunk > least and FEW_CHUNKS * chunk > max(work.n, work.stands_for) and (
            work_of_rows(work, chunk) >= 4 * THREAD_WORK):
        chunk //= 2
    return chunk


cdef void lay_out(Work *work, Kind kind) noexcept nogil:
    """Choose how the pass is done. IN what work says of the rows and of the density; OUT work.block, chunk, chunks,
    run_chunk, sums, scratch, and where the scratch of its kind begins."""
    work.block, work.beside = block_rows(work), 8
    work.scratch.size = work.scratch.parts = 0
    if kind == DENSE:
        lay_out_dense(work)
    elif kind == SCREENED:
        lay_out_screened(work)
    elif kind == BOXED:
        lay_out_boxed(work)
    elif kind == PIECES:
        lay_out_pieces(work)
    elif kind == MEASURED:
        lay_out_measured(work)
    elif kind == K_MEANS:
        lay_out_k_means(work)
    elif kind == NEAREST:
        lay_out_nearest(work)
    else:
        lay_out_closer(work)
    work.chunks = work.pieces.groups.n_chunks if kind == PIECES else (work.n + work.chunk - 1) // work.chunk


cdef void run_blocks(const Work *work, Py_ssize_t chunk, RunBlock run_block, char *memory, double *sums) noexcept nogil:
    """OUT sums (sums.size,): those of a chunk, block by block, to which run_block adds. SCRATCH memory."""
    cdef Py_ssize_t start = chunk * work.chunk, i = 0
    cdef Py_ssize_t rows = min(work.chunk, work.n - start)
    memset(sums, 0, work.sums.size * sizeof(double))
    while i < rows:
        run_block(work, start + i, min(work.block, rows - i), memory, sums)
        i += work.block


cdef void add_in_order(const double *partials, Py_ssize_t count, Py_ssize_t size, Py_ssize_t start,
                       Py_ssize_t stop, double *totals) noexcept nogil:
    """totals[start:stop] += partials (count,size)[:, start:stop], the first chunk first."""
    cdef Py_ssize_t chunk, q
    for chunk in range(count):
        for q in range(start, stop):
            totals[q] += partials[chunk * size + q]


cdef int team(int wanted, int n_threads) noexcept nogil:
    """Threads for work that is worth `wanted` of n_threads: one, or all, as OpenMP (GCC) ends those that a parallel
    region does not need, and starts them again for the next. One where threads are not worth waiting for."""
    return n_threads if wanted > 1 and not cgmm_is_crowded() else 1


cdef int pass_threads(const Work *work, int n_threads) noexcept nogil:
    """Threads that a pass is worth."""
    return <int> max(1, min(min(<Py_ssize_t> n_threads, work.chunks), work_of_rows(work, work.n) // THREAD_WORK))


cdef double clocked_chunk(const Work *work, Py_ssize_t chunk, char *memory, double *sums) noexcept nogil:
    """The same as work.run_chunk; returns the seconds it took."""
    cdef double start = omp_get_wtime()
    work.run_chunk(work, chunk, memory, sums)
    return omp_get_wtime() - start


cdef int run_alone(const Work *work, Kept *kept, double *totals) except -1 nogil:
    """The pass of one thread, whoever calls: as `run`."""
    cdef Py_ssize_t chunk, size = work.sums.size
    cdef char *memory = memory_of(kept, work.scratch.size + size * 8)
    if memory == NULL:
        with gil:
            raise MemoryError("no memory for the scratch of a pass over the data")
    cdef double *sums = <double *> (memory + work.scratch.size)
    if CGMM_GAP:
        guard_scratch(&work.scratch, memory)
    for chunk in range(work.chunks):
        work.run_chunk(work, chunk, memory, sums)
        add_in_order(sums, 1, size, 0, size, totals)
    return 0


cdef int run(const Work *work, int n_threads, Kept *kept, double *totals) except -1 nogil:
    """The pass: totals (sums.size,) += the sums of all chunks, in their order. SCRATCH kept."""
    cdef Py_ssize_t chunks = work.chunks, size = work.sums.size
    cdef Py_ssize_t begin, end, chunk, thread, stripe, stripes = (size + STRIPE - 1) // STRIPE
    cdef int threads = pass_threads(work, n_threads)
    cdef Py_ssize_t wave = min(chunks, max(2 * <Py_ssize_t> threads, WAVE_BYTES // (size * 8)))
    cdef int adders = team(<int> min(<Py_ssize_t> threads, stripes), threads)
    cdef double spent = 0.0, start
    if team(threads, threads) == 1:
        return run_alone(work, kept, totals)
    cdef char *memory = memory_of(kept, work.scratch.size * threads + wave * size * 8)
    if memory == NULL:
        with gil:
            raise MemoryError("no memory for the scratch of a pass over the data")
    cdef double *partials = <double *> (memory + work.scratch.size * threads)
    for thread in range(threads if CGMM_GAP else 0):
        guard_scratch(&work.scratch, memory + thread * work.scratch.size)
    begin, start = 0, omp_get_wtime()
    while begin < chunks:
        end = min(begin + wave, chunks)
        for chunk in prange(begin, end, schedule="dynamic", num_threads=threads):
            spent += clocked_chunk(work, chunk, memory + omp_get_thread_num() * work.scratch.size,
                                   partials + (chunk - begin) * size)
        for stripe in prange(stripes, schedule="static", num_threads=adders):
            add_in_order(partials, end - begin, size, stripe * STRIPE, min(stripe * STRIPE + STRIPE, size), totals)
        begin = end
    cgmm_has_waited(omp_get_wtime() - start - spent)
    return 0
