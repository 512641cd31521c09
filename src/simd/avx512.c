/* AVX-512: 32 registers of 8 doubles or 16 floats. */
#include "kernels.h"

#if defined(__x86_64__)
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "platform.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif

#define VECTOR_BYTES 64
#define NV 4
#define MI 4

#define NAME(f) f##_f64
#define DOUBLE 1
#define VMAX(a, b) ((V)_mm512_max_pd(a, b))
#define VMIN(a, b) ((V)_mm512_min_pd(a, b))
#define VANY(v) (_mm512_cmp_pd_mask(v, _mm512_setzero_pd(), _CMP_GE_OQ) != 0)
#define VBITS(v) ((unsigned)_mm512_cmp_pd_mask(v, _mm512_setzero_pd(), _CMP_GE_OQ))
#define VLOAD_FIRST(p, count) ((V)_mm512_maskz_loadu_pd((__mmask8)((1u << (count)) - 1), p))
#define VPICK16(table, v) ((V)_mm512_permutex2var_pd(LOAD(table), (__m512i)(v), LOAD((table) + 8)))
#define VSCALE(x, low, v, m) ((V)_mm512_maskz_scalef_pd(_mm512_cmp_pd_mask(x, ZERO + (low), _CMP_GT_OQ), v, m))
#define VMANTISSA(x) ((V)_mm512_getmant_pd(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero))
#define VEXPONENT(x) ((V)_mm512_getexp_pd(x))
#include "kernels.inl.h"
#undef NAME
#undef DOUBLE
#undef VMAX
#undef VMIN
#undef VANY
#undef VBITS
#undef VLOAD_FIRST
#undef VPICK16
#undef VSCALE

#define NAME(f) f##_f32
#define DOUBLE 0
#define VMAX(a, b) ((V)_mm512_max_ps(a, b))
#define VMIN(a, b) ((V)_mm512_min_ps(a, b))
#define VANY(v) (_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GE_OQ) != 0)
#define VBITS(v) ((unsigned)_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GE_OQ))
#define VLOAD_FIRST(p, count) ((V)_mm512_maskz_loadu_ps((__mmask16)((1u << (count)) - 1), p))
#define VPICK16(table, v) ((V)_mm512_permutexvar_ps((__m512i)(v), LOAD(table)))
#define VSCALE(x, low, v, m) ((V)_mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, ZERO + (low), _CMP_GT_OQ), v, m))
#include "kernels.inl.h"

const cgmm_kernels *const cgmm_avx512_f64 = &table_f64, *const cgmm_avx512_f32 = &table_f32;

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
