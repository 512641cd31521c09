# OpenMP, or a serial stand-in where the compiler has none: the one place that knows which.
cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define CGMM_OPENMP 1
    #else
    #define CGMM_OPENMP 0
    static inline int omp_get_max_threads(void) { return 1; }
    static inline int omp_get_num_procs(void) { return 1; }
    static inline int omp_get_thread_num(void) { return 0; }
    #endif
    """
    const int CGMM_OPENMP
    int omp_get_max_threads() noexcept nogil
    int omp_get_num_procs() noexcept nogil
    int omp_get_thread_num() noexcept nogil
