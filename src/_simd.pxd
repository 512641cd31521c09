# kernels.h for Cython: the table of micro-kernels; shapes and layouts are documented there.
cdef extern from "simd/kernels.h" nogil:
    enum: CGMM_MAX_TARGETS
    enum: CGMM_CHUNK_ROWS
    enum: CGMM_GUIDE
    enum: CGMM_GUIDE_VALUES
    enum: CGMM_ROOT_BLOCK
    enum: CGMM_BOXES
    enum: CGMM_NEARBY
    enum: CGMM_FEW_SUMS

    ctypedef enum cgmm_form:
        CGMM_TRIANGULAR
        CGMM_DIAGONAL
        CGMM_ISOTROPIC
        CGMM_MASKED
        CGMM_COVARIANCES
        CGMM_VARIANCES

    ctypedef struct cgmm_mixture:
        cgmm_form form
        Py_ssize_t d
        Py_ssize_t k
        const void *means
        const void *factor
        const void *log_norm
        const void *log_scale

    ctypedef struct cgmm_reach:
        const void *apart
        const void *sharpness
        const double *width

    ctypedef struct cgmm_regression:
        Py_ssize_t d
        Py_ssize_t p
        Py_ssize_t m
        Py_ssize_t k
        Py_ssize_t step
        const double *centres
        const double *means
        const double *slopes

    ctypedef struct cgmm_kernels:
        Py_ssize_t itemsize
        Py_ssize_t group
        Py_ssize_t lanes
        double negligible
        void (*pack)(const char *, Py_ssize_t, Py_ssize_t, const Py_ssize_t *, Py_ssize_t, Py_ssize_t,
                     const double *, void *) noexcept nogil
        int (*all_within)(const char *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double) noexcept nogil
        int (*root)(Py_ssize_t, const double *, double *, double *) noexcept nogil
        Py_ssize_t (*root_strips)(Py_ssize_t) noexcept nogil
        void (*root_load)(Py_ssize_t, Py_ssize_t, const double *, const double *, double *) noexcept nogil
        int (*root_pivots)(Py_ssize_t, Py_ssize_t, double *, double *) noexcept nogil
        void (*root_eliminate)(Py_ssize_t, Py_ssize_t, Py_ssize_t, double *, const double *) noexcept nogil
        int (*root_store)(Py_ssize_t, Py_ssize_t, const double *, double *, double *) noexcept nogil
        void (*root_factor)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil
        double (*condition)(Py_ssize_t, Py_ssize_t, const Py_ssize_t *, const double *, double *,
                            double *) noexcept nogil
        void (*complete)(Py_ssize_t, Py_ssize_t, const double *, double, double *, double *) noexcept nogil
        void (*pack_factor)(Py_ssize_t, Py_ssize_t, const double *, void *) noexcept nogil
        void (*whiten)(const void *, Py_ssize_t, Py_ssize_t, const void *, void *) noexcept nogil
        void (*densities)(const void *, Py_ssize_t, const cgmm_mixture *, void *, void *) noexcept nogil
        void (*box)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, void *, void *) noexcept nogil
        unsigned (*near)(const void *, Py_ssize_t, const void *, const void *, const void *) noexcept nogil
        unsigned (*tops)(const void *, Py_ssize_t, int, const void *, const void *, double, void *,
                         double *) noexcept nogil
        unsigned (*reaching)(const void *, double) noexcept nogil
        void (*halve)(Py_ssize_t, void *, void *) noexcept nogil
        void (*densities_of)(const void *, const cgmm_mixture *, const Py_ssize_t *, Py_ssize_t,
                             void *) noexcept nogil
        Py_ssize_t (*keep)(Py_ssize_t, double, double, void *, Py_ssize_t *) noexcept nogil
        void (*project)(const void *, Py_ssize_t, Py_ssize_t, const void *, void *) noexcept nogil
        void (*guess)(const void *, Py_ssize_t, Py_ssize_t, const float *, Py_ssize_t *) noexcept nogil
        Py_ssize_t (*screen)(const void *, Py_ssize_t, const cgmm_mixture *, const void *, const cgmm_mixture *,
                             const void *, const cgmm_reach *, double, const Py_ssize_t *, void *, void *, void *,
                             void *, Py_ssize_t *, unsigned char *, Py_ssize_t *) noexcept nogil
        double (*softmax)(Py_ssize_t, Py_ssize_t, const void *, void *, void *, void *) noexcept nogil
        void (*rescale)(Py_ssize_t, Py_ssize_t, const void *, const void *, void *) noexcept nogil
        double (*shares)(Py_ssize_t, Py_ssize_t, double, void *) noexcept nogil
        void (*assign)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *, const void *, Py_ssize_t *,
                       double *, double *, double *) noexcept nogil
        void (*members)(Py_ssize_t, Py_ssize_t, const Py_ssize_t *, const void *, void *) noexcept nogil
        void (*moments_full)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                             const Py_ssize_t *, const unsigned char *, const void *, void *, void *,
                             double *, double *, double *) noexcept nogil
        void (*moments_diag)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                             const Py_ssize_t *, const unsigned char *, const void *, double *, double *,
                             double *) noexcept nogil
        void (*moments_masked)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *, const void *,
                               const void *, double *, double *, double *) noexcept nogil
        void (*moments_radial)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const Py_ssize_t *,
                               const void *, const void *, const void *, double *, double *,
                               double *) noexcept nogil
        void (*moments_pooled)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *,
                               const void *, const void *, void *, void *, void *, double *, double *,
                               double *, double *) noexcept nogil
        void (*errors_pack)(const char *, const Py_ssize_t *, int, int, Py_ssize_t, Py_ssize_t, void *) noexcept nogil
        void (*errors_densities)(const void *, const void *, int, Py_ssize_t, const cgmm_mixture *, void *,
                                 void *) noexcept nogil
        void (*errors_moments)(const void *, const void *, int, Py_ssize_t, const cgmm_mixture *, const void *,
                               const void *, void *, double *, double *, double *) noexcept nogil
        void (*errors_posterior)(const void *, const void *, int, Py_ssize_t, const cgmm_mixture *, const void *,
                                 void *, void *) noexcept nogil
        void (*regress)(const void *, Py_ssize_t, const cgmm_regression *, const void *, Py_ssize_t,
                        void *) noexcept nogil
        void (*regress_spread)(const void *, Py_ssize_t, const cgmm_regression *, const void *, const double *,
                               Py_ssize_t, void *, void *) noexcept nogil
        void (*argmax)(Py_ssize_t, Py_ssize_t, const void *, void *, Py_ssize_t *) noexcept nogil
        void (*closer)(const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const void *, const double *, const double *,
                       Py_ssize_t, double *, double *) noexcept nogil
        double (*row_sum)(Py_ssize_t, const double *, const double *) noexcept nogil
        double (*nearer)(const double *, Py_ssize_t, const double *, const void *, const double *, const double *,
                         double *) noexcept nogil
        void (*moments_hard)(const char *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                             const double *, const Py_ssize_t *, const void *, double *,
                             double *) noexcept nogil
        void (*unpack)(const void *, Py_ssize_t, Py_ssize_t, const Py_ssize_t *, const Py_ssize_t *, Py_ssize_t,
                       double *) noexcept nogil
        void (*convert)(const double *, Py_ssize_t, const double *, Py_ssize_t, void *) noexcept nogil
        void (*widen)(const void *, Py_ssize_t, double *) noexcept nogil
        double (*multiply_add)(Py_ssize_t, double *) noexcept nogil

    ctypedef struct cgmm_target:
        const char *name
        const cgmm_kernels *f64
        const cgmm_kernels *f32

    int cgmm_available_targets(cgmm_target *) noexcept
    Py_ssize_t cgmm_pad4(Py_ssize_t) noexcept
    Py_ssize_t cgmm_pad8(Py_ssize_t) noexcept
    Py_ssize_t cgmm_tiles(Py_ssize_t) noexcept
    Py_ssize_t cgmm_factor_size(Py_ssize_t) noexcept
    bint cgmm_few(Py_ssize_t, Py_ssize_t) noexcept
    Py_ssize_t cgmm_block_rows(Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
