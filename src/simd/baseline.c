/* What every machine of the architecture has: SSE2 on x86-64, NEON on aarch64, 16-byte vectors in any case. */
#include "kernels.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define VECTOR_BYTES 16
#define NV 2
#define MI 2

#define NAME(f) f##_f64
#define DOUBLE 1
#if defined(__SSE2__)
#define VMAX(a, b) ((V)_mm_max_pd(a, b))
#define VMIN(a, b) ((V)_mm_min_pd(a, b))
#define VANY(v) (_mm_movemask_pd(_mm_cmpge_pd(v, _mm_setzero_pd())) != 0)
#define VBITS(v) ((unsigned)_mm_movemask_pd(_mm_cmpge_pd(v, _mm_setzero_pd())))
#elif defined(__aarch64__)
#define VMAX(a, b) ((V)vmaxnmq_f64((float64x2_t)(a), (float64x2_t)(b)))
#define VMIN(a, b) ((V)vminnmq_f64((float64x2_t)(a), (float64x2_t)(b)))
#define VANY(v) (vmaxvq_f64((float64x2_t)(v)) >= 0)
#endif
#include "kernels.inl.h"
#undef NAME
#undef DOUBLE
#undef VMAX
#undef VMIN
#undef VANY
#undef VBITS

#define NAME(f) f##_f32
#define DOUBLE 0
#if defined(__SSE2__)
#define VMAX(a, b) ((V)_mm_max_ps(a, b))
#define VMIN(a, b) ((V)_mm_min_ps(a, b))
#define VANY(v) (_mm_movemask_ps(_mm_cmpge_ps(v, _mm_setzero_ps())) != 0)
#define VBITS(v) ((unsigned)_mm_movemask_ps(_mm_cmpge_ps(v, _mm_setzero_ps())))
#elif defined(__aarch64__)
#define VMAX(a, b) ((V)vmaxnmq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define VMIN(a, b) ((V)vminnmq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define VANY(v) (vmaxvq_f32((float32x4_t)(v)) >= 0)
#endif
#include "kernels.inl.h"

const cgmm_kernels *const cgmm_baseline_f64 = &table_f64, *const cgmm_baseline_f32 = &table_f32;
