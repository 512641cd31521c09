# OpenMP, or a serial stand-in where the compiler has none: the one place that knows which.
cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define CGMM_OPENMP 1
    #if !defined(__clang__) && defined(__GNUC__) && __GNUC__ < 9
    static inline void cgmm_end_idle_threads(void) { }
    #else
    static inline void cgmm_end_idle_threads(void) { omp_pause_resource_all(omp_pause_soft); }
    #endif
    #else
    #define CGMM_OPENMP 0
    static inline int omp_get_max_threads(void) { return 1; }
    static inline int omp_get_num_procs(void) { return 1; }
    static inline int omp_get_thread_num(void) { return 0; }
    static inline void cgmm_end_idle_threads(void) { }
    #include <time.h>
    static inline double omp_get_wtime(void) { return (double)clock() / CLOCKS_PER_SEC; }
    #endif
    """
    const int CGMM_OPENMP
    int omp_get_max_threads() noexcept nogil
    int omp_get_num_procs() noexcept nogil
    int omp_get_thread_num() noexcept nogil
    double omp_get_wtime() noexcept nogil
    void cgmm_end_idle_threads() noexcept nogil
