/* Which targets this processor, and its operating system, can run: platform.h asks them. */
#include "kernels.h"
#include "platform.h"

extern const cgmm_kernels *const cgmm_baseline_f64, *const cgmm_baseline_f32;
#if defined(__x86_64__)
extern const cgmm_kernels *const cgmm_avx2_f64, *const cgmm_avx2_f32;
extern const cgmm_kernels *const cgmm_avx512_f64, *const cgmm_avx512_f32;
#endif

int cgmm_available_targets(cgmm_target *targets) {
    int count = 0;
    targets[count++] = (cgmm_target){"baseline", cgmm_baseline_f64, cgmm_baseline_f32};
#if defined(__x86_64__)
    if (cgmm_has_avx2()) targets[count++] = (cgmm_target){"avx2", cgmm_avx2_f64, cgmm_avx2_f32};
    if (cgmm_has_avx512()) targets[count++] = (cgmm_target){"avx512", cgmm_avx512_f64, cgmm_avx512_f32};
#endif
    return count;
}
