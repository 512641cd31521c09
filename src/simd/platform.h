/* What differs between systems: aligned memory, what a processor can do, and the header of its instructions. Everything
 * else is C11 with the vector extensions that GCC and Clang share; on Windows the compiler is therefore clang-cl. */
#ifndef CGMM_PLATFORM_H
#define CGMM_PLATFORM_H

#include <stddef.h>
#include <stdlib.h>

/* size bytes, a multiple of 64, at a multiple of 64, or NULL; cgmm_release takes them, or NULL. */
#if defined(_WIN32)
#include <malloc.h>
static inline void *cgmm_allocate(size_t size) { return _aligned_malloc(size, 64); }
static inline void cgmm_release(void *memory) { _aligned_free(memory); }
#else
#if defined(__linux__)
#include <stdint.h>
#include <sys/mman.h>
#define CGMM_HUGE ((size_t)4 << 20) /* as NumPy does */
/* Ask for pages of 2 MiB: to take and clear so much memory in pages of 4 KiB takes three times as long. */
static inline void *cgmm_huge(char *memory, size_t size) {
    const size_t before = (size_t)(-(uintptr_t)memory & 4095);
    if (memory && size >= CGMM_HUGE) madvise(memory + before, size - before, MADV_HUGEPAGE);
    return memory;
}
#else
static inline void *cgmm_huge(char *memory, size_t size) { return (void)size, memory; }
#endif
static inline void *cgmm_allocate(size_t size) { return cgmm_huge(aligned_alloc(64, size), size); }
static inline void cgmm_release(void *memory) { free(memory); }
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(_MSC_VER) /* where Clang's immintrin.h has only what the command line allows for the whole program */
#include <smmintrin.h>
#include <avxintrin.h>
#include <avx2intrin.h>
#include <fmaintrin.h>
#include <avx512fintrin.h>
#include <avx512bwintrin.h>
#include <avx512dqintrin.h>
#include <avx512vlintrin.h>
#include <avx512vlbwintrin.h>
#include <avx512vldqintrin.h>
#endif

/* Whether this processor has the instructions, and the operating system saves the registers, of the two targets:
 * bits of CPUID's leaves 1 and 7, and of the register XCR0 (Intel's Software Developer's Manual, volume 2, CPUID, and
 * volume 1, 13.3). GCC and Clang ask the same by __builtin_cpu_supports, whose table clang-cl does not link. */
#if defined(_MSC_VER)
#include <intrin.h>
static inline int cgmm_has(unsigned of_leaf_1, unsigned of_leaf_7, unsigned long long of_xcr0) {
    const int xsave = 1 << 27;
    int leaf_0[4], leaf_1[4], leaf_7[4];
    __cpuid(leaf_0, 0);
    if (leaf_0[0] < 7) return 0;
    __cpuid(leaf_1, 1);
    __cpuidex(leaf_7, 7, 0);
    return (leaf_1[2] & xsave) && ((unsigned)leaf_1[2] & of_leaf_1) == of_leaf_1 &&
           ((unsigned)leaf_7[1] & of_leaf_7) == of_leaf_7 && (_xgetbv(0) & of_xcr0) == of_xcr0;
}
#define CGMM_FMA (1u << 12)
#define CGMM_AVX (1u << 28)
#define CGMM_AVX2 (1u << 5)
#define CGMM_AVX512_F_DQ_BW_VL (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31)
#define CGMM_YMM 0x6
#define CGMM_ZMM 0xe6
static inline int cgmm_has_avx2(void) { return cgmm_has(CGMM_FMA | CGMM_AVX, CGMM_AVX2, CGMM_YMM); }
static inline int cgmm_has_avx512(void) { return cgmm_has(0, CGMM_AVX512_F_DQ_BW_VL, CGMM_ZMM); }
#else
static inline int cgmm_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static inline int cgmm_has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
#endif
#endif

#endif
