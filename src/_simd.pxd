# kernels.h for Cython: the table of micro-kernels; shapes and layouts are documented there.
cdef extern from "simd/kernels.h" nogil:
    enum: CGMM_MAX_TARGETS
    enum: CGMM_CHUNK_ROWS

    ctypedef struct cgmm_kernels:
        Py_ssize_t itemsize
        Py_ssize_t group
        void (*pack)(const char *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *,
                     void *) noexcept nogil
        int (*all_finite)(const char *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        void (*pack_factor)(Py_ssize_t, Py_ssize_t, const double *, void *) noexcept nogil
        void (*whiten)(const void *, Py_ssize_t, Py_ssize_t, const void *, void *) noexcept nogil
        void (*triangular)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                           const void *, const void *, void *, void *) noexcept nogil
        void (*diagonal)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                         const void *, const void *, void *, void *) noexcept nogil
        void (*isotropic)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                          const void *, const void *, void *, void *) noexcept nogil
        double (*softmax)(Py_ssize_t, Py_ssize_t, const void *, void *, void *, void *) noexcept nogil
        void (*rescale)(Py_ssize_t, Py_ssize_t, const void *, void *) noexcept nogil
        void (*weigh)(Py_ssize_t, const void *, void *) noexcept nogil
        void (*moments_full)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                             const void *, const void *, void *, void *, double *, double *,
                             double *) noexcept nogil
        void (*moments_diag)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                             const void *, const void *, void *, void *, double *, double *,
                             double *) noexcept nogil
        void (*moments_pooled)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                               const void *, const void *, void *, void *, void *, double *, double *,
                               double *, double *) noexcept nogil
        void (*argmax)(Py_ssize_t, Py_ssize_t, const void *, void *, Py_ssize_t *) noexcept nogil
        void (*moments_hard)(const char *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                             const double *, const Py_ssize_t *, const void *, double *,
                             double *) noexcept nogil
        void (*unpack)(const void *, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
        void (*convert)(const double *, Py_ssize_t, const double *, Py_ssize_t, void *) noexcept nogil
        void (*widen)(const void *, Py_ssize_t, double *) noexcept nogil
        double (*multiply_add)(Py_ssize_t, double *) noexcept nogil

    ctypedef struct cgmm_target:
        const char *name
        const cgmm_kernels *f64
        const cgmm_kernels *f32

    int cgmm_available_targets(cgmm_target *) noexcept
    Py_ssize_t cgmm_pad4(Py_ssize_t) noexcept
    Py_ssize_t cgmm_tiles(Py_ssize_t) noexcept
    Py_ssize_t cgmm_factor_size(Py_ssize_t) noexcept
    Py_ssize_t cgmm_block_rows(Py_ssize_t, Py_ssize_t) noexcept
