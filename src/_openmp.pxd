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

    /* Whether threads are worth waiting for. Where others keep the processors busy, a pass of several threads waits for
       one that the system does not let run, for much longer than it takes to wake one: if two passes do, those that
       follow take one thread for a while, and for longer each time it happens again. Of the whole process, because the
       machine is; nanoseconds. */
    enum { CGMM_WAKING = 100000, CGMM_SUSPECTED = 1, CGMM_ALONE_FIRST = 10000000, CGMM_ALONE_MOST = 320000000 };
    static long long cgmm_alone_until, cgmm_alone_for;
    static inline int cgmm_is_crowded(void) {
        long long until = __atomic_load_n(&cgmm_alone_until, __ATOMIC_RELAXED);
        return until != 0 && 1e9 * omp_get_wtime() < (double)until;
    }
    static inline void cgmm_has_waited(double seconds) {    /* longer than the work of all threads took; or < 0 */
        long long most = CGMM_ALONE_MOST, last = __atomic_load_n(&cgmm_alone_for, __ATOMIC_RELAXED), until = 0, next;
        if (seconds < 0 ? last == 0 : 1e9 * seconds < CGMM_WAKING) return;
        if (seconds < 0)
            next = last / 2 < CGMM_ALONE_FIRST ? 0 : last / 2;
        else if (last == 0)
            next = CGMM_SUSPECTED;
        else {
            next = last == CGMM_SUSPECTED ? CGMM_ALONE_FIRST : 2 * last < most ? 2 * last : most;
            until = (long long)(1e9 * omp_get_wtime()) + next;
        }
        __atomic_store_n(&cgmm_alone_until, until, __ATOMIC_RELAXED);
        __atomic_store_n(&cgmm_alone_for, next, __ATOMIC_RELAXED);
    }
    """
    const int CGMM_OPENMP
    int omp_get_max_threads() noexcept nogil
    int omp_get_num_procs() noexcept nogil
    int omp_get_thread_num() noexcept nogil
    double omp_get_wtime() noexcept nogil
    void cgmm_end_idle_threads() noexcept nogil
    bint cgmm_is_crowded() noexcept nogil
    void cgmm_has_waited(double seconds) noexcept nogil
