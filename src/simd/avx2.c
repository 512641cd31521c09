/* AVX2 with FMA: 16 registers of 4 doubles or 8 floats. */
#include "kernels.h"

#if defined(__x86_64__)
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "platform.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define VECTOR_BYTES 32
#define NV 2
#define MI 2

#define NAME(f) f##_f64
#define DOUBLE 1
#define VMAX(a, b) ((V)_mm256_max_pd(a, b))
#define VMIN(a, b) ((V)_mm256_min_pd(a, b))
#define VANY(v) (_mm256_movemask_pd(_mm256_cmp_pd(v, _mm256_setzero_pd(), _CMP_GE_OQ)) != 0)
#define VBITS(v) ((unsigned)_mm256_movemask_pd(_mm256_cmp_pd(v, _mm256_setzero_pd(), _CMP_GE_OQ)))
#include "kernels.inl.h"
#undef NAME
#undef DOUBLE
#undef VMAX
#undef VMIN
#undef VANY
#undef VBITS

#define NAME(f) f##_f32
#define DOUBLE 0
#define VMAX(a, b) ((V)_mm256_max_ps(a, b))
#define VMIN(a, b) ((V)_mm256_min_ps(a, b))
#define VANY(v) (_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GE_OQ)) != 0)
#define VBITS(v) ((unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GE_OQ)))
#include "kernels.inl.h"

const cgmm_kernels *const cgmm_avx2_f64 = &table_f64, *const cgmm_avx2_f32 = &table_f32;

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
