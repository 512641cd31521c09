# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
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
from libc.math cimport (
    INFINITY, M_PI, atan2, ceil, exp, fabs, frexp, hypot, isfinite, ldexp, log, log1p, log2, pow, sqrt
)
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from _simd cimport *
from _openmp cimport (CGMM_OPENMP, cgmm_end_idle_threads, cgmm_has_waited, cgmm_is_crowded, omp_get_max_threads,
                      omp_get_num_procs, omp_get_thread_num, omp_get_wtime)

cdef extern from "simd/platform.h" nogil:
    void *cgmm_allocate(size_t)
    void cgmm_release(void *)

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
         "masked": CGMM_MASKED, "covariances": CGMM_COVARIANCES, "variances": CGMM_VARIANCES}
MOMENTS = {"full": FULL, "diag": DIAG, "radial": RADIAL, "pooled": POOLED, "masked": MASKED, "deblurred": DEBLURRED}
PRUNED = (None, "full", "diag", "radial")    # the moments that a pass with a guide can add up; None: it only evaluates
GUIDE_DIMENSIONS = CGMM_GUIDE
BOXES = CGMM_BOXES
CHUNK = CGMM_CHUNK_ROWS
OUTPUTS = {"log_likelihood": LOG_LIKELIHOOD, "responsibilities": RESPONSIBILITIES,
           "log_densities": LOG_DENSITIES, "labels": LABELS, "truth": TRUTH,
           "predictions": PREDICTIONS}


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


def has_waited(double seconds):
    """Tell, as a pass of several threads does, that it took so much longer than its work, or shorter; returns whether
    the next takes one thread."""
    cgmm_has_waited(seconds)
    return cgmm_is_crowded()


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
    cdef int bad = 0, threads
    bind(&work, X)
    chunks = (work.n + CGMM_CHUNK_ROWS - 1) // CGMM_CHUNK_ROWS
    threads = team(<int> min(min(<Py_ssize_t> n_threads, chunks), work.n * work.d // THREAD_WORK), n_threads)
    with nogil:
        for chunk in prange(chunks, schedule="static", num_threads=threads):
            bad += 1 - work.kernels.all_within(
                work.X + chunk * CGMM_CHUNK_ROWS * work.row_stride, work.row_stride, work.column_stride,
                min(<Py_ssize_t> CGMM_CHUNK_ROWS, work.n - chunk * CGMM_CHUNK_ROWS), work.d, bound)
    return bad == 0


cdef void column_means_of(const Work *work, double *means) noexcept nogil:
    """OUT means (d,): of the columns of work's rows, whose sums take the rows in one order however they are stored."""
    cdef Py_ssize_t d = work.d, step = work.row_stride, start = 0, rows, i, j
    cdef const char *value
    cdef double parts[8]    # sums that do not wait for each other
    memset(means, 0, d * sizeof(double))
    while start < work.n:    # so few rows at a time that they stay in cache, whatever the columns
        rows = min(<Py_ssize_t> 64, work.n - start)
        for j in range(d):
            value = work.X + start * step + j * work.column_stride
            memset(parts, 0, sizeof(parts))
            if work.kernels.itemsize == sizeof(float):
                for i in range(rows):
                    parts[i & 7] += (<const float *> (value + i * step))[0]
            else:
                for i in range(rows):
                    parts[i & 7] += (<const double *> (value + i * step))[0]
            means[j] += (((parts[0] + parts[1]) + (parts[2] + parts[3]))
                         + ((parts[4] + parts[5]) + (parts[6] + parts[7])))
        start += rows
    for j in range(d):
        means[j] /= <double> work.n


def column_means(X):
    """The means (d,) of the columns of X (n,d), the same bits whatever their order in memory."""
    cdef Work work
    bind(&work, X)
    means = np.empty(work.d)
    cdef double[::1] sums = means
    with nogil:
        column_means_of(&work, &sums[0])
    return means


include "_prepared.pxi"
include "_block.pxi"
include "_screened.pxi"
include "_pass.pxi"
include "_statistics.pxi"
include "_missing.pxi"
include "_errors.pxi"
include "_regress.pxi"
include "_near.pxi"
include "_boxed.pxi"
include "_k_means.pxi"
include "_roots.pxi"
include "_partition.pxi"
include "_maximise.pxi"
include "_eigen.pxi"
include "_jacobi.pxi"
include "_moves.pxi"
include "_axes.pxi"
include "_newton.pxi"
include "_joined.pxi"
include "_trail.pxi"
include "_iterations.pxi"
include "_lifting.pxi"
include "_begun.pxi"
include "_jumps.pxi"
include "_leaps.pxi"
include "_clusters.pxi"
include "_seeding.pxi"
include "_solver.pxi"
include "_checks.pxi"
include "_problems.pxi"
include "_leaning.pxi"
include "_abreast.pxi"
include "_runs.pxi"
include "_races.pxi"
include "_outlines.pxi"
include "_walk.pxi"

PART = MOST_CHUNK    # rows: no chunk crosses its multiples


def evaluate(X, density, output, int n_threads=1, guide=None, order=None, errors=None):
    """A value for each row of X: "log_likelihood" (n,), "responsibilities" or "log_densities" (n,k) float64,
    "labels" (n,) intp. With a guide and an order, or errors, as expectation; log_densities are never left out."""
    cdef _Pass work = _Pass(X, density, None, None, output, None if output == "log_densities" else guide, order=order,
                            errors=errors)
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


def total_of_logs(const double[::1] values, const double[::1] row_weights=None):
    """As total_of_rows, of Σ_i w_i log v_i."""
    cdef Py_ssize_t i
    logs = np.empty(values.shape[0])
    cdef double[::1] own = logs
    for i in range(values.shape[0]):
        own[i] = log(values[i])
    return total_of_rows(logs, row_weights)


def sums_of_rows(X, density, const double[::1] row_weights=None, int n_threads=1):
    """Σ_i w_i log p(x_i) and Σ_i w_i log max_c r_ic over the rows of X, of a dense pass without noise: bit for bit what
    evaluate, total_of_rows and total_of_logs make of it. It takes n k doubles."""
    cdef _Pass work = _Pass(X, density, None, None, "log_likelihood")
    cdef Py_ssize_t n = work.work.n, k = work.work.k, i, c
    cdef double[::1] values, most
    cdef double largest
    if not n:
        return 0.0, 0.0
    values, most = np.empty(n * k), np.empty(n)
    work.work.out = &values[0]
    work.run(n_threads)
    log_likelihood = total_of_rows(values[:n], row_weights)
    work.work.output = RESPONSIBILITIES
    lay_out(&work.work, DENSE)
    work.run(n_threads)
    with nogil:
        for i in range(n):
            largest = values[i * k]
            for c in range(1, k):
                largest = max(largest, values[i * k + c])
            most[i] = largest
    return log_likelihood, total_of_logs(most, row_weights)


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
