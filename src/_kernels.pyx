# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Passes over the data: the only compiled module that Python sees.

A pass cuts n rows into chunks of CGMM_CHUNK_ROWS (with a guide, more; of few rows, fewer) and a chunk into blocks that
stay in cache. Threads take whole chunks; each chunk leaves its own partial sums, and these are added in the order of
the chunks. So the result depends on the rows alone, never on the number of threads. Each micro-kernel, with its shapes
and layouts, is described in simd/kernels.h.
"""
import mmap

import numpy as np

from cython.parallel cimport prange
from cpython.object cimport PyObject
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_SIMPLE, PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer
from libc.float cimport DBL_EPSILON, DBL_MAX, DBL_MIN, FLT_EPSILON
from libc.math cimport INFINITY, M_PI, ceil, fabs, frexp, isfinite, ldexp, log, log2, nextafter, pow, sqrt
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from _simd cimport *
from _openmp cimport CGMM_OPENMP, cgmm_end_idle_threads, omp_get_max_threads, omp_get_num_procs, omp_get_thread_num

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t, size_t)

cdef extern from *:
    """
    #if defined(__linux__)
    #include <sys/mman.h>
    #ifndef MADV_POPULATE_READ
    #define MADV_POPULATE_READ 22    /* Linux 5.14 */
    #endif
    static void cgmm_populate(char *start, size_t length) {
        if (madvise(start, length, MADV_POPULATE_READ)) madvise(start, length, MADV_WILLNEED);
    }
    #else
    static void cgmm_populate(char *start, size_t length) { (void)start, (void)length; }
    #endif
    """
    void cgmm_populate(char *, size_t) nogil

cdef cgmm_target TARGETS[CGMM_MAX_TARGETS]
cdef int TARGET_COUNT = cgmm_available_targets(TARGETS)
cdef int TARGET = TARGET_COUNT - 1

include "_work.pxi"

FORMS = {"triangular": CGMM_TRIANGULAR, "diagonal": CGMM_DIAGONAL, "isotropic": CGMM_ISOTROPIC,
         "masked": CGMM_MASKED}
MOMENTS = {"full": FULL, "diag": DIAG, "radial": RADIAL, "pooled": POOLED, "masked": MASKED}
PRUNED = (None, "full", "diag", "radial")    # the moments that a pass with a guide can add up; None: it only evaluates
GUIDE_DIMENSIONS = CGMM_GUIDE
BOXES = CGMM_BOXES
CHUNK = CGMM_CHUNK_ROWS
OUTPUTS = {"log_likelihood": LOG_LIKELIHOOD, "responsibilities": RESPONSIBILITIES,
           "log_densities": LOG_DENSITIES, "labels": LABELS}


def available_targets():
    """Instruction-set targets that this machine can run, best last."""
    return [TARGETS[t].name.decode() for t in range(TARGET_COUNT)]


def target():
    """The target in use."""
    return TARGETS[TARGET].name.decode()


def set_target(name):
    """Use another of available_targets()."""
    global TARGET
    TARGET = available_targets().index(name)


def openmp():
    """Whether the core was built with OpenMP."""
    return bool(CGMM_OPENMP)


def usable_threads():
    """Threads that this process may use: OMP_NUM_THREADS and the processor affinity respected."""
    return max(1, min(omp_get_max_threads(), omp_get_num_procs()))


def end_idle_threads():
    """End the threads that OpenMP keeps for the calling thread between passes; the next pass starts new ones."""
    cgmm_end_idle_threads()


cdef Py_ssize_t bind(Work *work, X) except -1:
    """OUT work's kernels, n, d, X and its strides: those of the rows X (n,d). Returns n."""
    cdef Py_buffer view
    PyObject_GetBuffer(X, &view, PyBUF_STRIDED_RO | PyBUF_FORMAT)
    try:
        if view.ndim != 2:
            raise ValueError(f"X must have two dimensions, not {view.ndim}")
        if view.format[0] == c'd':
            work.kernels = TARGETS[TARGET].f64
        elif view.format[0] == c'f':
            work.kernels = TARGETS[TARGET].f32
        else:
            raise TypeError(f"X must be float32 or float64, not {X.dtype}")
        work.n, work.d = view.shape[0], view.shape[1]
        work.row_stride, work.column_stride = view.strides[0], view.strides[1]
        work.X = <const char *> view.buf
    finally:
        PyBuffer_Release(&view)
    return work.n


def populate(rows):
    """Have the system read rows of a mapped file, in C order, that are not in memory.

    Then a pass over them has no faults, the disk's readahead goes on, and the file is cached in large pages.
    MADV_WILLNEED alone puts small ones there, and later passes were a sixth slower (Linux 6.18).
    """
    cdef size_t start = <size_t> address(rows), page = mmap.PAGESIZE, length = rows.nbytes
    with nogil:
        cgmm_populate(<char *> (start // page * page), length + start % page)


def all_within(X, double bound, int n_threads=1):
    """Whether every element of X (n,d) is a number of at most that size; no temporary."""
    cdef Work work
    cdef Py_ssize_t chunks, chunk
    cdef int bad = 0
    bind(&work, X)
    chunks = (work.n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS
    with nogil:
        for chunk in prange(chunks, schedule="static", num_threads=<int> max(1, min(n_threads, chunks))):
            bad += 1 - work.kernels.all_within(
                work.X + chunk * CGMM_CHUNK_ROWS * work.row_stride, work.row_stride, work.column_stride,
                min(<Py_ssize_t> CGMM_CHUNK_ROWS, work.n - chunk * CGMM_CHUNK_ROWS), work.d, bound)
    return bad == 0


cdef void column_means_of(const Work *work, double *means) noexcept nogil:
    """OUT means (d,): of the columns of work's rows, summed in the order of the rows."""
    cdef Py_ssize_t d = work.d, step = work.row_stride, start = 0, rows, i, j
    cdef const char *value
    cdef double total
    memset(means, 0, d * sizeof(double))
    while start < work.n:    # so few rows at a time that they stay in cache, whatever the columns
        rows = min(<Py_ssize_t> 64, work.n - start)
        for j in range(d):
            value = work.X + start * step + j * work.column_stride
            total = means[j]
            if work.kernels.itemsize == sizeof(float):
                for i in range(rows):
                    total += (<const float *> (value + i * step))[0]
            else:
                for i in range(rows):
                    total += (<const double *> (value + i * step))[0]
            means[j] = total
        start += rows
    for j in range(d):
        means[j] /= <double> work.n


def column_means(X):
    """The means (d,) of the columns of X (n,d), summed in the order of the rows, whatever their order in memory."""
    cdef Work work
    bind(&work, X)
    means = np.empty(work.d)
    cdef double[::1] sums = means
    with nogil:
        column_means_of(&work, &sums[0])
    return means


cdef void *address(array) except? NULL:
    """Where the values of a contiguous array are, which someone must keep."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    PyBuffer_Release(&view)
    return view.buf


cdef Py_ssize_t factor_bytes(const Work *work) noexcept nogil:
    """Bytes of the factors of all components."""
    cdef Py_ssize_t d = work.d
    return align(work.k * (cgmm_factor_size(d) if work.mixture.form == CGMM_TRIANGULAR else d) * work.kernels.itemsize)


cdef Py_ssize_t parameters_size(const Work *work) noexcept nogil:
    """Bytes of the memory that place_parameters divides."""
    cdef Py_ssize_t real = work.kernels.itemsize, d = work.d, k = work.k
    return 2 * align(k * d * real) + align(k * real) + factor_bytes(work) + align(cgmm_factor_size(d) * real)


cdef void place_parameters(Work *work, char *memory, bint whitens) noexcept nogil:
    """OUT work.means, mixture and whitener (NULL unless the pass whitens its rows): where `load` puts them. IN what
    work says of the rows and of the mixture's form; an aligned memory of parameters_size."""
    cdef Py_ssize_t real = work.kernels.itemsize, means = align(work.k * work.d * real)
    cdef cgmm_form form = work.mixture.form
    cdef char *own = memory + means
    cdef char *log_norm = own + means
    cdef char *factor = log_norm + align(work.k * real)
    cdef char *whitener = factor + factor_bytes(work)
    work.mixture.d, work.mixture.k = work.d, work.k
    work.means = memory
    work.mixture.means = own if whitens or form == CGMM_DIAGONAL or form == CGMM_MASKED else memory
    work.mixture.log_norm, work.mixture.factor = log_norm, factor
    work.whitener = whitener if whitens else NULL
    guard(own)
    guard(log_norm)
    guard(factor)
    guard(whitener)


cdef void load(Work *work, const double *means, const double *factor, const double *log_norm, const double *whitener,
               double *scratch) noexcept nogil:
    """OUT what work's means, mixture and whitener point to: parameters about work.centre, in the layout of the kernels.
    IN means, factor, log_norm, whitener (or NULL) as cgmm.mixture.density.Density has them. SCRATCH (k,d)."""
    cdef Py_ssize_t k = work.k, d = work.d, c, i, j
    cdef cgmm_form form = work.mixture.form
    work.kernels.convert(means, k * d, work.centre, d, <void *> work.means)
    work.kernels.convert(log_norm, k, NULL, 1, <void *> work.mixture.log_norm)
    if form == CGMM_TRIANGULAR:
        work.kernels.pack_factor(k, d, factor, <void *> work.mixture.factor)
    else:
        work.kernels.convert(factor, k if form == CGMM_ISOTROPIC else k * d, NULL, 1, <void *> work.mixture.factor)
    if work.whitener != NULL:
        work.kernels.pack_factor(1, d, whitener, <void *> work.whitener)
        memset(scratch, 0, k * d * sizeof(double))
        for c in range(k):
            for i in range(d):
                for j in range(i + 1):
                    scratch[c * d + i] += (means[c * d + j] - work.centre[j]) * whitener[i * d + j]
        work.kernels.convert(scratch, k * d, NULL, 1, <void *> work.mixture.means)
    elif form in (CGMM_DIAGONAL, CGMM_MASKED):
        for c in range(k):
            for j in range(d):
                scratch[c * d + j] = (means[c * d + j] - work.centre[j]) * factor[c * d + j]
        work.kernels.convert(scratch, k * d, NULL, 1, <void *> work.mixture.means)


cdef const Py_ssize_t[::1] checked_labels(known, Py_ssize_t n, Py_ssize_t k):
    """Labels (n,) of rows of which some components are known, −1 where one is not."""
    labels = np.ascontiguousarray(known, dtype=np.intp)
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels for {n} rows")
    if n and not -1 <= labels.min() <= labels.max() < k:
        raise ValueError(f"labels must be from -1 to {k - 1}, not from {labels.min()} to {labels.max()}")
    return labels


cdef class _Pass:
    """A pass being prepared: the parameters in the layout of the kernels, and the memory that holds them.

    With a guide it is SCREENED, or BOXED if that is of boxes, with groups PIECES; else of the kind that is asked for.
    """
    cdef Work work
    cdef Kind kind
    cdef Groups groups
    cdef Kept kept
    cdef char *parameters
    cdef object X, density, row_weights, log_widths
    cdef const double[::1] centre
    cdef const double[::1] weights_view
    cdef const Py_ssize_t[::1] known
    cdef list arrays

    def __cinit__(self, X, density, row_weights=None, moment=None, output=None, guide=None,
                  Py_ssize_t stands_for=0, groups=None, Kind kind=DENSE, known=None):
        cdef Work *work = &self.work
        cdef const double[:, ::1] means = density.means
        cdef const double[::1] log_norm = density.log_norm
        cdef const double[:, :, ::1] triangles
        cdef const double[:, ::1] triangle
        cdef const double[::1] scale
        cdef double[::1] scratch
        cdef const double *factor
        cdef const double *whitener = NULL
        cdef Py_ssize_t d, k
        bind(work, X)
        if groups is not None:    # their rows are copied into doubles
            work.kernels = TARGETS[TARGET].f64
        self.X, self.density, self.row_weights = X, density, row_weights
        d, k = work.d, means.shape[0]
        if means.shape[1] != d or density.centre.shape != (d,) or log_norm.shape[0] != k:
            raise ValueError(f"the parameters do not fit rows of {d} features")
        work.k = k
        self.centre = density.centre
        work.centre = &self.centre[0]
        work.mixture.form = FORMS[density.form]
        work.moment = NONE if moment is None else MOMENTS[moment]
        work.output = NO_OUTPUT if output is None else OUTPUTS[output]
        work.row_weights = NULL
        if row_weights is not None:
            self.weights_view = row_weights
            if self.weights_view.shape[0] != work.n:
                raise ValueError(f"{self.weights_view.shape[0]} row weights for {work.n} rows")
            if work.n:
                work.row_weights = &self.weights_view[0]
        work.known = NULL
        if known is not None:
            self.set_known(known, guide)
        self.set_noise(density.noise)
        work.out = NULL
        work.labels = NULL

        self.parameters = <char *> aligned_alloc(64, parameters_size(work))
        if self.parameters == NULL:
            raise MemoryError("no memory for the parameters of a pass over the data")
        place_parameters(work, self.parameters, density.whitener is not None)
        if work.mixture.form == CGMM_TRIANGULAR:
            triangles = density.factor
            if triangles.shape[0] != k or triangles.shape[1] != d or triangles.shape[2] != d:
                raise ValueError("factor must be (k,d,d)")
            factor = &triangles[0, 0, 0]
        else:
            scale = np.ascontiguousarray(density.factor, dtype=np.float64).ravel()
            if scale.shape[0] != (k if work.mixture.form == CGMM_ISOTROPIC else k * d):
                raise ValueError("factor must be (k,d) or, isotropic, (k,)")
            factor = &scale[0]
        if density.whitener is not None:
            triangle = density.whitener
            if triangle.shape[0] != d or triangle.shape[1] != d:
                raise ValueError("whitener must be (d,d)")
            whitener = &triangle[0, 0]
        if work.moment == RADIAL and (work.mixture.form != CGMM_ISOTROPIC or work.whitener != NULL):
            raise ValueError("radial moments are those of isotropic densities, of rows that are not whitened")
        scratch = np.empty(k * d)
        load(work, &means[0, 0], factor, &log_norm[0], whitener, &scratch[0])
        if kind in (K_MEANS, CLOSER) and (work.mixture.form != CGMM_ISOTROPIC or work.whitener != NULL):
            raise ValueError("k-means takes isotropic densities, of rows that are not whitened")
        work.stands_for = stands_for
        self.kind = kind
        if guide is not None and moment not in PRUNED:
            raise ValueError(f"a pass with a guide cannot add up {moment} moments")
        if hasattr(guide, "inner"):
            self.kind = BOXED
            self.set_boxes(guide)
        elif guide is not None:
            self.kind = SCREENED
            self.set_guide(guide)
        elif groups is not None:
            self.kind = PIECES
            self.set_groups(groups)
        lay_out(work, self.kind)

    cdef set_known(self, known, guide):
        """Prepare a pass over rows of which some components are known: known (n,) intp, −1 where one is not."""
        cdef Work *work = &self.work
        if guide is not None:
            raise ValueError("a pass with a guide leaves out components, and those that are known must count")
        self.known = checked_labels(known, work.n, work.k)
        if work.n:
            work.known = &self.known[0]

    cdef set_noise(self, noise):
        """Prepare a pass of a density with a noise component, or without: as cgmm.mixture.density.Density has it."""
        cdef Work *work = &self.work
        work.noisy, work.log_widths = noise is not None, NULL
        if noise is None:
            return
        work.noise, self.log_widths = noise
        if self.log_widths is None:
            return
        if self.log_widths.shape != (work.d,):
            raise ValueError(f"the widths of noise do not fit rows of {work.d} features")
        work.log_widths = <const double *> address(self.log_widths)

    cdef set_guide(self, guide):
        """Prepare a SCREENED pass; guide as cgmm.rows.pruning.Guide."""
        cdef Work *work = &self.work
        cdef Screened *to = &work.screened
        cdef const cgmm_kernels *kernels = work.kernels
        cdef Py_ssize_t d = work.d, k = work.k
        cdef const double[:, :, ::1] directions = guide.directions.reshape(CGMM_GUIDE // 4, 4, d)
        cdef const double[:, :, ::1] roots = guide.roots
        dtype = self.X.dtype
        if roots.shape[0] != k or roots.shape[1] != CGMM_GUIDE or roots.shape[2] != CGMM_GUIDE:
            raise ValueError(f"the guide does not fit {k} components")
        packed = np.ascontiguousarray(np.transpose(directions, (0, 2, 1)), dtype=dtype)
        images = np.einsum("cj,mj->cm", self.density.means - self.density.centre, guide.directions).astype(dtype)
        factor = np.empty(k * cgmm_factor_size(CGMM_GUIDE), dtype=dtype)
        kernels.pack_factor(k, CGMM_GUIDE, &roots[0, 0, 0], address(factor))
        self.arrays = [packed, images, factor, np.ones(k, dtype=dtype), np.zeros(k, dtype=dtype)]
        to.guide = address(packed)
        to.nearest = cgmm_mixture(CGMM_ISOTROPIC, CGMM_GUIDE, k, address(images), address(self.arrays[3]),
                                  address(self.arrays[4]), NULL)
        to.marginal = cgmm_mixture(CGMM_TRIANGULAR, CGMM_GUIDE, k, address(images), address(factor),
                                   work.mixture.log_norm, NULL)
        to.margin = 1.0 if work.output == LABELS else kernels.negligible

    cdef set_boxes(self, boxes):
        """Prepare a BOXED pass; boxes as cgmm.rows.boxes.Boxes."""
        cdef Work *work = &self.work
        cdef Boxed *to = &work.boxed
        cdef Py_ssize_t d = work.d, k = work.k, real = work.kernels.itemsize
        cdef bint single = real == sizeof(float)
        cdef Py_ssize_t factor = d * (d + 1) // 2 if work.mixture.form == CGMM_TRIANGULAR else d
        if work.whitener != NULL:
            raise ValueError("rows that are whitened have no boxes")
        to.boxes = (k + CGMM_BOXES - 1) // CGMM_BOXES
        sets = (to.boxes + CGMM_BOXES - 1) // CGMM_BOXES
        if (boxes.order.shape != (to.boxes * CGMM_BOXES,) or boxes.scale.shape != (d,)
                or boxes.inner.shape != (to.boxes, 2 * d + 1 + factor, CGMM_BOXES)
                or boxes.outer.shape != (sets, 3 * d + 1, CGMM_BOXES)):
            raise ValueError(f"the boxes do not fit {k} components")
        self.arrays = [boxes.order, _aligned(boxes.inner, single), _aligned(boxes.outer, single), boxes.scale]
        to.order = <const Py_ssize_t *> address(boxes.order)
        to.inner, to.outer = <const char *> address(self.arrays[1]), <const char *> address(self.arrays[2])
        to.inner_bytes, to.outer_bytes = boxes.inner[0].size * real, boxes.outer[0].size * real
        to.scale = <const double *> address(boxes.scale)
        to.margin = 1.0 if work.output == LABELS else work.kernels.negligible

    cdef set_groups(self, groups):
        """Prepare a PIECES pass; groups as cgmm.rows.patterns.Groups."""
        cdef Work *work = &self.work
        cdef Groups *to = &self.groups
        density = self.density
        self.arrays = [*groups]
        if work.mixture.form == CGMM_MASKED:
            logs, variances = np.log(density.factor) - 0.5 * np.log(2 * np.pi), 1.0 / density.factor**2
            self.arrays += [logs, variances]
            work.mixture.log_scale = address(logs)
            work.variances = address(variances)
        else:
            to.roots = <const double *> address(density.factor if density.whitener is None else density.whitener)
        to.single = self.X.dtype == np.float32
        to.order = <const Py_ssize_t *> address(groups.order)
        to.columns = <const Py_ssize_t *> address(groups.columns)
        to.observed = <const Py_ssize_t *> address(groups.observed)
        to.pattern = <const Py_ssize_t *> address(groups.pattern)
        to.starts = <const Py_ssize_t *> address(groups.starts)
        to.chunks = <const Py_ssize_t *> address(groups.chunks)
        to.n_chunks = len(groups.chunks) - 1
        work.pieces.groups = to

    def __dealloc__(self):
        free(self.parameters)
        free(self.kept.memory)

    cdef centred_means(self):
        """The means (k,d) about the centre, exactly as the kernels hold them."""
        means = np.empty((self.work.k, self.work.d))
        cdef double[:, ::1] to = means
        self.work.kernels.widen(self.work.means, self.work.k * self.work.d, &to[0, 0])
        return means

    cdef double share(self, sums, Py_ssize_t rows):
        """The share of the dense work that a pass over so many rows did."""
        cdef Work *work = &self.work
        if self.kind not in (SCREENED, BOXED):
            return 1.0
        return float(sums[SUM_OF_WORK]) / (<double> rows * dense_work(work.mixture.form, work.moment, work.d, work.k))

    cdef run(self, int n_threads, sums=None):
        """The sums (work.sums.size,), added to those of earlier parts, if there are."""
        if sums is None:
            sums = np.zeros(self.work.sums.size)
        cdef double[::1] totals = sums
        with nogil:
            run(&self.work, n_threads, &self.kept, &totals[0])
        return sums


include "_block.pxi"
include "_screened.pxi"
include "_pass.pxi"
include "_statistics.pxi"
include "_missing.pxi"
include "_regress.pxi"
include "_near.pxi"
include "_boxed.pxi"
include "_k_means.pxi"
include "_roots.pxi"
include "_partition.pxi"
include "_maximise.pxi"
include "_iterations.pxi"
include "_clusters.pxi"
include "_problems.pxi"

PART = MOST_CHUNK    # rows: no chunk crosses its multiples


def evaluate(X, density, output, int n_threads=1, guide=None):
    """A value for each row of X: "log_likelihood" (n,), "responsibilities" or "log_densities" (n,k) float64,
    "labels" (n,) intp. With a guide, as expectation; log_densities are never left out."""
    cdef _Pass work = _Pass(X, density, None, None, output, None if output == "log_densities" else guide)
    cdef double[::1] out
    cdef Py_ssize_t[::1] labels
    cdef Py_ssize_t n = work.work.n, k = work.work.k
    if work.work.output == LABELS:
        result = np.empty(n, dtype=np.intp)
        if n == 0:
            return result
        labels = result
        work.work.labels = &labels[0]
    else:
        result = np.empty(n) if work.work.output == LOG_LIKELIHOOD else np.empty((n, k))
        if n == 0:
            return result
        out = result.reshape(-1)
        work.work.out = &out[0]
    work.run(n_threads)
    return result


def fma_rate(dtype, int n_threads=1, Py_ssize_t repeats=20_000_000):
    """Floating-point operations of independent fused multiply-adds done by each of n_threads threads; to be
    timed by the caller: the machine's peak, the yardstick of the benchmarks."""
    cdef bint single = np.dtype(dtype) == np.float32
    cdef const cgmm_kernels *kernels = TARGETS[TARGET].f32 if single else TARGETS[TARGET].f64
    cdef double[::1] sink = np.empty(8 * n_threads)
    cdef double operations = 0.0
    cdef int t
    with nogil:
        for t in prange(n_threads, schedule="static", num_threads=n_threads):
            operations += kernels.multiply_add(repeats, &sink[8 * t])
    return operations
