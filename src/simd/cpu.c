/* Which targets this processor, and its operating system, can run. __builtin_cpu_supports looks at CPUID
 * and, for AVX and AVX-512, at XGETBV too: registers that the system does not save are not used. */
#include "kernels.h"

extern const cgmm_kernels *const cgmm_baseline_f64, *const cgmm_baseline_f32;
#if defined(__x86_64__)
extern const cgmm_kernels *const cgmm_avx2_f64, *const cgmm_avx2_f32;
extern const cgmm_kernels *const cgmm_avx512_f64, *const cgmm_avx512_f32;
#endif

int cgmm_available_targets(cgmm_target *targets) {
    int count = 0;
    targets[count++] = (cgmm_target){"baseline", cgmm_baseline_f64, cgmm_baseline_f32};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        targets[count++] = (cgmm_target){"avx2", cgmm_avx2_f64, cgmm_avx2_f32};
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        targets[count++] = (cgmm_target){"avx512", cgmm_avx512_f64, cgmm_avx512_f32};
#endif
    return count;
}
