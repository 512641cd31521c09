# What a pass is given, and where its memory is: what the rooms of the passes share. Part of _kernels.pyx.
#
# A pass is of one Kind, which is chosen once, by lay_out. What every pass has stands in Work itself; what one kind has
# beside it, what it is given and where its scratch begins, stands in a struct of its own, which no other kind reads.
#
# Where more would enter: a density with one more constant in its log-sum-exp has it beside Work.mixture, and softmax
# reads it. What goes with the rows stands beside Work.row_weights, and whoever takes rows by an index takes it, too:
# fill_row_weights, total_weight, gather.

cdef extern from *:
    """
    #ifdef __SANITIZE_ADDRESS__
    #include <sanitizer/asan_interface.h>
    #define CGMM_GAP 64
    #else
    #define CGMM_GAP 0
    #define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address))
    #define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address))
    #endif
    """
    const Py_ssize_t CGMM_GAP    # bytes after each part of a memory, which ASan does not let anyone touch
    void ASAN_POISON_MEMORY_REGION(void *, size_t) noexcept nogil
    void ASAN_UNPOISON_MEMORY_REGION(void *, size_t) noexcept nogil


cdef enum:
    # The parts of a thread's scratch are at most so many, of any kind of pass: a bound of Scratch.ends.
    # A BOXED pass has the most now, 31.
    MOST_PARTS = 32


cdef enum Kind:
    DENSE       # every component of every row: an E-step, or values of the rows (_block.pxi)
    SCREENED    # the same, without the components that cannot matter (_screened.pxi)
    BOXED       # the same, of few features: without the components whose boxes are too far away (_boxed.pxi)
    PIECES      # the same of rows some of whose values are missing (_missing.pxi)
    K_MEANS     # the nearest centre of each row (_k_means.pxi)
    NEAREST     # the same, without the centres that are too far away: labels only (_k_means.pxi)
    MEASURED    # every component of every row, of rows with errors of measurement (_errors.pxi)
    CLOSER      # what each candidate for a centre would do (_k_means.pxi)


cdef enum Moment:
    # The second moments that a pass adds up; MASKED: those of DIAG, of rows with gaps; DEBLURRED: of rows with errors,
    # see errors_moments; NONE: it adds up no moments.
    FULL, DIAG, RADIAL, POOLED, MASKED, DEBLURRED, NONE


cdef enum Output:
    # What a pass leaves for each row.
    NO_OUTPUT, LOG_LIKELIHOOD, RESPONSIBILITIES, LOG_DENSITIES, LABELS, TRUTH, PREDICTIONS


cdef struct Sums:
    # Where each of a chunk's sums begins, in doubles; before them are SUM_OF_LOGS and what follows it.
    Py_ssize_t n_k        # (k,)
    Py_ssize_t first      # (k,d)
    Py_ssize_t second     # as the moment says: see kernels.h
    Py_ssize_t overlap    # of POOLED
    Py_ssize_t size


cdef enum:
    SUM_OF_LOGS       # Σ_i w_i log p(x_i); of k-means the inertia
    SUM_OF_WEIGHTS    # Σ_i w_i
    SUM_OF_WORK       # the multiply-adds of a screened pass
    SUM_OF_NOISE      # Σ_i w_i times the share of the noise
    SUMS_BEFORE


cdef struct Scratch:
    # Where the parts of each thread's scratch begin, in bytes, that every pass over blocks has.
    Py_ssize_t panel    # the rows of a block: a panel of d features
    Py_ssize_t logd     # their log-densities: a panel of k features
    Py_ssize_t size     # of all parts, those of the kind included
    Py_ssize_t parts    # how many there are, and where each of them ends
    Py_ssize_t ends[MOST_PARTS]


cdef struct Dense:
    # Scratch of a pass that takes responsibilities, in bytes: DENSE, SCREENED, BOXED, PIECES.
    Py_ssize_t white          # panel of d features: whitened rows, if they are
    Py_ssize_t z              # panel of d features: scratch of densities and moments
    Py_ssize_t rz             # REAL (block,), of moment POOLED a panel of d features: scratch of moments
    Py_ssize_t wr             # panel of k features, of moments RADIAL and POOLED
    Py_ssize_t row_weights    # REAL (block,)
    Py_ssize_t lse            # REAL (block,)
    Py_ssize_t scale          # REAL (block,)
    Py_ssize_t label          # Py_ssize_t (block,)
    Py_ssize_t both           # panel of two features, where there is noise: log-densities of all components, and of it
    Py_ssize_t both_scale     # REAL (block,), where there is noise


cdef struct Screened:
    # What a SCREENED pass is given, as cgmm.rows.pruning.Guide, and its scratch beside that of Dense.
    double margin           # of screen
    const void *guide       # REAL, see project
    const float *nearest    # (k,CGMM_GUIDE): the images of the means, to guess by
    cgmm_mixture marginal   # the images of the components, to leave them out by
    const void *boxes       # the same in boxes, see screen
    cgmm_reach reach        # by which they are left out first
    Py_ssize_t images       # panel of CGMM_GUIDE features
    Py_ssize_t floor        # REAL (block,)
    Py_ssize_t found        # REAL (k,block)
    Py_ssize_t guess        # Py_ssize_t (2,chunk): of each row in the order of the index; and as the rows come
    Py_ssize_t index        # Py_ssize_t (chunk,): the rows in the order of their guesses
    Py_ssize_t ends         # Py_ssize_t (k,)
    Py_ssize_t active       # Py_ssize_t (k,)
    Py_ssize_t present      # unsigned char (k,vectors)


cdef struct Boxed:
    # What a BOXED pass is given, as cgmm.rows.boxes.Boxes, and its scratch beside that of Dense.
    double margin            # as Screened's
    Py_ssize_t boxes         # of the components
    const Py_ssize_t *order  # (boxes·CGMM_BOXES,)
    const Py_ssize_t *places  # (k,): where in the order each component is
    const char *inner        # REAL [boxes][values][CGMM_BOXES]: see tops
    const char *outer        # REAL [sets][values][CGMM_BOXES], not triangular
    Py_ssize_t inner_bytes   # of a box
    Py_ssize_t outer_bytes   # of a set
    const double *scale      # (d,)
    const int *rows          # (n,): all rows in an order in which each few lie together, or NULL: chunks find their own
    Py_ssize_t index         # Py_ssize_t (chunk,): rows that lie together
    Py_ssize_t leaves        # of the tree that orders a chunk
    Py_ssize_t leaf          # Py_ssize_t (chunk,): of each row
    Py_ssize_t keys          # double (chunk,)
    Py_ssize_t axes          # Py_ssize_t (leaves,)
    Py_ssize_t values        # double (leaves,)
    Py_ssize_t ends          # Py_ssize_t (leaves,)
    double highest           # no log_norm of a component is larger
    Py_ssize_t hint          # Py_ssize_t (1,): the box of components in which the best of the last block was
    Py_ssize_t around        # REAL (groups+1,2,d): middle and half of a box around each group, and around all
    Py_ssize_t tops          # REAL (boxes,CGMM_BOXES)
    Py_ssize_t near          # as inner, of the components that may matter to a block
    Py_ssize_t near_numbers  # Py_ssize_t (k,): which they are
    Py_ssize_t set_tops      # REAL (CGMM_BOXES,)
    Py_ssize_t seen          # Py_ssize_t (boxes,): those that were looked into
    Py_ssize_t found         # a bit for each component
    Py_ssize_t numbers       # Py_ssize_t (k,): those that matter to a block
    Py_ssize_t panels        # REAL: a panel of one group after the other, of the responsibilities that matter to it
    Py_ssize_t lists         # Py_ssize_t [groups][k]: which they are
    Py_ssize_t counts        # Py_ssize_t (groups,): how many
    Py_ssize_t slots         # Py_ssize_t (k,): where a component is among those that matter to a block
    Py_ssize_t present       # unsigned char (k,vectors)


cdef struct KMeans:
    # Scratch of a K_MEANS pass.
    bint labels_only          # nothing is added up
    bint without_inertia      # the sum of it is not wanted
    const char *tops          # REAL (n,): as a NEAREST pass left them beside work.labels, or NULL: to be found
    Py_ssize_t top            # REAL (block,)
    Py_ssize_t label          # Py_ssize_t (block,)
    Py_ssize_t row_weights    # REAL (block,)


cdef struct Tree


cdef struct Nearest:
    # What a NEAREST pass is given, and its scratch. It finds work.labels, which are guesses before.
    const Tree *tree
    const Py_ssize_t *order   # (n,): rows, those of one guess together, and the guesses as the tree orders them
    Py_ssize_t first          # of the order, the row with which the pass begins
    const Py_ssize_t *ends    # (k,): where those of each guess end
    char *tops                # REAL (n,): −½ of the squared distance to the nearest centre
    const void *zeros         # REAL (k,)
    const void *ones          # REAL (k,)
    Py_ssize_t top            # REAL (block,)
    Py_ssize_t label          # Py_ssize_t (block,)
    Py_ssize_t centres        # REAL (k,d): those that may be the nearest
    Py_ssize_t numbers        # Py_ssize_t (k,): which they are
    Py_ssize_t begins         # Py_ssize_t (block+1,): where the rows of each guess begin
    Py_ssize_t found          # a bit for each centre
    Py_ssize_t box            # REAL (d,): where a box begins
    Py_ssize_t end            # REAL (d,): and where it ends
    Py_ssize_t limits         # REAL (CGMM_BOXES,)


cdef struct Closer:
    # What a CLOSER pass is given.
    const double *closest    # (n,)
    double *distances        # (k,n), or NULL: not wanted; `closest` itself, if there is one candidate
    double *chunk_sums       # (chunks,k)
    char *panel              # (n,) rows, packed about the centre; NULL: they are packed in each pass
    bint packed              # `panel` holds them


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
    const double *roots           # (k,d,d), or (1,d,d) of a whitened density: P; not of a masked one


cdef struct Pieces:
    # What a PIECES pass is given, and its scratch beside that of Dense, which is that of a piece. All double.
    const Groups *groups
    Py_ssize_t rows           # (chunk,d): those of a piece
    Py_ssize_t row_weights    # (chunk,)
    Py_ssize_t known          # Py_ssize_t (chunk,)
    Py_ssize_t conditioned    # (k or 1,d,pad8(d)): see condition
    Py_ssize_t square         # (d,pad8(d))
    Py_ssize_t vector         # (pad8(d),)
    Py_ssize_t centre         # (d,): of the features observed, as all that follows
    Py_ssize_t means          # (k,d)
    Py_ssize_t white_means    # (k,d)
    Py_ssize_t factor         # (k or 1): Factor
    Py_ssize_t log_norm       # (k,)
    Py_ssize_t sums           # those of a piece


cdef struct Measured:
    # What a MEASURED pass is given, and its scratch beside that of Dense. All double.
    const char *errors         # the errors of the rows, float if `single`
    Py_ssize_t strides[3]
    bint single
    bint diagonal              # variances of the rows' features
    bint single_rows           # X is float
    Py_ssize_t rows            # (block,d), of rows that are float
    Py_ssize_t packed          # errors, see errors_pack
    Py_ssize_t vectors         # see errors_densities
    Py_ssize_t truth           # see errors_posterior, of output TRUTH
    double *means              # (n,d), of output TRUTH
    double *covariances        # (n,d,d), or NULL


cdef struct Predicted:
    # What a pass of output PREDICTIONS is given, and its scratch beside that of Dense. All double.
    cgmm_regression regression
    const double *covariances  # (k,size): what regress_spread takes, or NULL
    Py_ssize_t size            # 0, m or m (m + 1) / 2
    Py_ssize_t found           # see regress
    Py_ssize_t away            # see regress_spread
    double *means              # (n,m)
    double *spreads            # (n,m), or (n,m,m)


cdef struct Work
ctypedef void (*RunChunk)(const Work *, Py_ssize_t, char *, double *) noexcept nogil
ctypedef void (*RunBlock)(const Work *, Py_ssize_t, Py_ssize_t, char *, double *) noexcept nogil

cdef struct Work:
    const cgmm_kernels *kernels
    Py_ssize_t n, d, k
    Py_ssize_t block              # rows in a block
    Py_ssize_t chunk              # rows in a chunk
    Py_ssize_t chunks             # how many there are
    Py_ssize_t beside              # multiply-adds of a row and a component beside those of its features, about
    RunChunk run_chunk             # sums (sums.size,) ← those of a chunk of this kind of pass; SCRATCH memory
    const char *X
    Py_ssize_t row_stride, column_stride
    const double *row_weights     # (n,) or NULL
    const Py_ssize_t *known       # (n,): the component of each row, −1 where it is not known; or NULL
    bint noisy                    # whether there is a noise component
    double noise                  # the logarithm of its weight times its density
    const double *log_widths      # (d,): less that of each feature of a row that is not NaN; or NULL
    const double *centre          # (d,)
    const void *whitener          # Factor of (d,d), or NULL
    cgmm_mixture mixture          # in the space where the density is taken: that of whitened rows, if any
    const void *means             # REAL (k,d), relative to the centre
    const void *variances         # REAL (k,d), of moment MASKED
    Py_ssize_t stands_for         # rows that these are part of, or a sample; or 0
    Moment moment
    Output output
    double *out                   # (n,) or (n,k) or NULL
    Py_ssize_t *labels            # (n,) or NULL
    Sums sums
    Scratch scratch
    Dense dense
    Screened screened
    Boxed boxed
    KMeans k_means
    Nearest nearest
    Closer closer
    Pieces pieces
    Measured measured
    Predicted predicted


cdef Py_ssize_t align(Py_ssize_t size) noexcept nogil:
    """Bytes of a part of a memory that has so many."""
    return ((size + 63) & ~<Py_ssize_t>63) + CGMM_GAP


cdef void guard(const void *end) noexcept nogil:
    """Close the gap before the end of an aligned part."""
    ASAN_POISON_MEMORY_REGION(<char *> end - CGMM_GAP, CGMM_GAP)


cdef Py_ssize_t claim(Scratch *scratch, Py_ssize_t size) noexcept nogil:
    """Where a new part of so many bytes begins in each thread's scratch. IN/OUT scratch."""
    cdef Py_ssize_t start = scratch.size
    scratch.size += align(size)
    scratch.ends[scratch.parts] = scratch.size
    scratch.parts += 1
    return start


cdef void guard_scratch(const Scratch *scratch, char *memory) noexcept nogil:
    """Close the gap after each part of a thread's scratch."""
    cdef Py_ssize_t part
    for part in range(scratch.parts):
        guard(memory + scratch.ends[part])


cdef Py_ssize_t panel_bytes(const Work *work, Py_ssize_t rows, Py_ssize_t features) noexcept nogil:
    """Bytes of a panel."""
    cdef Py_ssize_t group = work.kernels.group
    return (rows + group - 1) // group * group * cgmm_pad4(features) * work.kernels.itemsize


cdef struct Kept:
    # Memory that passes of the same size use one after the other: new pages cost a wide pass a tenth of its time.
    char *memory
    Py_ssize_t size


cdef char *memory_of(Kept *kept, Py_ssize_t size) noexcept nogil:
    """At least so many bytes, or NULL. The gaps that another layout of them had are open."""
    if kept.size < size:
        cgmm_release(kept.memory)
        kept.memory = <char *> cgmm_allocate(size)
        kept.size = size if kept.memory != NULL else 0
    ASAN_UNPOISON_MEMORY_REGION(kept.memory, kept.size)
    return kept.memory


cdef void lay_out_sums(Work *work, Py_ssize_t matrix, Py_ssize_t overlap) noexcept nogil:
    """OUT work.sums. Of moments FULL, DEBLURRED and POOLED, a matrix (d,d) and an overlap (k,k) have so many
    doubles."""
    cdef Py_ssize_t d = work.d, k = work.k
    cdef Sums *sums = &work.sums
    sums.n_k = SUMS_BEFORE
    sums.first = sums.n_k + k
    sums.second = sums.first + k * d
    sums.overlap = sums.second
    if work.moment in (FULL, DEBLURRED):
        sums.overlap += k * matrix
    elif work.moment == POOLED:
        sums.overlap += matrix
    elif work.moment in (DIAG, MASKED):
        sums.overlap += k * d
    elif work.moment == RADIAL:
        sums.overlap += k
    sums.size = align((sums.overlap + (overlap if work.moment == POOLED else 0)) * 8) // 8


cdef void lay_out_tiles(Work *work) noexcept nogil:
    """OUT work.sums, whose symmetric matrices are Tiles."""
    lay_out_sums(work, cgmm_tiles(work.d) * 16, cgmm_tiles(work.k) * 16)


cdef struct Free:
    # What is left of a memory, of which so many doubles are taken; to find out how many it needs, that is NULL.
    double *memory
    Py_ssize_t taken


cdef double *carve(Free *free, Py_ssize_t count) noexcept nogil:
    """The next `count` doubles of a memory. IN/OUT free."""
    cdef Py_ssize_t start = free.taken
    free.taken += count
    return free.memory + start if free.memory != NULL else NULL    # nothing is added to NULL, whose sums are undefined
