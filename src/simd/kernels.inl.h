/* The body of every micro-kernel, once, for one REAL and one vector width; see kernels.h for what each
 * computes. Included by a target file, which defines
 *   DOUBLE 1 or 0 (REAL is double or float), VECTOR_BYTES, NV (vectors in a group), MI (rows of a 4×4
 *   tile that are computed at once, so that accumulators fit the registers), VMAX(a, b), VMIN(a, b)
 *   (the second operand where the first is NaN), and NAME(f).
 * Vectors run over samples: whitening then broadcasts P and streams rows, with no horizontal sums. */
#include <stdint.h>
#include <string.h>

#if DOUBLE
#define REAL double
#define INT int64_t
#else
#define REAL float
#define INT int32_t
#endif
#define W ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))
#define G (NV * W)
#define V NAME(vector)
#define VI NAME(vector_int)
#define GROUPS(rows) (((rows) + G - 1) / G)

typedef REAL V __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef INT VI __attribute__((vector_size(VECTOR_BYTES), may_alias));

#define LOAD(p) (*(const V *)(p))
#define STORE(p, v) (*(V *)(p) = (v))
#define SELECT(mask, a, b) ((V)(((mask) & (VI)(a)) | (~(mask) & (VI)(b))))
#define ZERO ((V){0})
#define BIG (DOUBLE ? (REAL)1e300 : (REAL)1e37) /* bound of a squared norm: its half stays finite */

/* exp(x), x ≤ 0, to about 1 ulp; 0 below the threshold, whose products would be denormal and slow.
 * x = m ln 2 + r; m by adding and subtracting 1.5·2^(mantissa bits); minimax polynomial in r
 * (Chebyshev fit on ±ln 2 / 2, error 3e-18 for double, 2e-9 for float). */
static inline V NAME(exp)(V x) {
#if DOUBLE
    const REAL magic = 0x1.8p52, ln2_hi = 0.6931471804855391, ln2_lo = 7.440617110012397e-11, low = -700.0;
    const int mantissa = 52;
#else
    const REAL magic = 0x1.8p23f, ln2_hi = 0.693115234375f, ln2_lo = 3.1946184945309415e-05f, low = -80.0f;
    const int mantissa = 23;
#endif
    const V bounded = VMAX(x, ZERO + low);
    const V shifted = bounded * (REAL)1.4426950408889634 + magic;
    const V m = shifted - magic;
    const V r = (bounded - m * ln2_hi) - m * ln2_lo;
#if DOUBLE
    V p = ZERO + 2.5110037605963777e-08;
    p = p * r + 2.763263963904103e-07;
    p = p * r + 2.755724091857897e-06;
    p = p * r + 2.4801485482328494e-05;
    p = p * r + 1.9841269890047113e-04;
    p = p * r + 1.3888888952314775e-03;
    p = p * r + 8.333333333319601e-03;
    p = p * r + 4.16666666664881e-02;
    p = p * r + 0.1666666666666668;
    p = p * r + 0.5000000000000019;
    p = p * r + 1.0;
    p = p * r + 1.0;
#else
    V p = ZERO + 1.3941108433972674e-03f;
    p = p * r + 8.375126398153335e-03f;
    p = p * r + 4.166635289677516e-02f;
    p = p * r + 0.16666415514653277f;
    p = p * r + 0.5000000047117757f;
    p = p * r + 1.000000037716214f;
    p = p * r + 1.0f;
#endif
    const VI power = (VI)p + (((VI)shifted) << mantissa);
    return (V)(power & (VI)(x > low));
}

/* log(x), x ≥ 1 normal, to about 1 ulp: x = 2^m f, √½ ≤ f < √2; log f = 2 atanh(s), s = (f−1)/(f+1),
 * by its series in s² ≤ 0.0295 (first term left out below 1e-17, float 1e-9). */
static inline V NAME(log)(V x) {
#if DOUBLE
    const REAL ln2_hi = 0.6931471804855391, ln2_lo = 7.440617110012397e-11, magic = 0x1.8p52;
    const INT sqrt_half = 0x3fe6a09e667f3bcdLL, magic_bits = 0x4338000000000000LL;
    const int mantissa = 52, terms = 10;
#else
    const REAL ln2_hi = 0.693115234375f, ln2_lo = 3.1946184945309415e-05f, magic = 0x1.8p23f;
    const INT sqrt_half = 0x3f3504f3, magic_bits = 0x4b400000;
    const int mantissa = 23, terms = 5;
#endif
    const VI offset = (VI)x - sqrt_half;
    const VI exponent = offset >> mantissa;
    const V f = (V)((VI)x - (exponent << mantissa));
    const V m = (V)(exponent + magic_bits) - magic;
    const V s = (f - (REAL)1) / (f + (REAL)1), square = s * s;
    V p = ZERO;
#pragma GCC unroll 16
    for (int i = terms; i >= 1; i--) p = p * square + (REAL)(2.0 / (2 * i + 1));
    return m * ln2_hi + ((s + s) + (s * square * p + m * ln2_lo));
}

#undef FOLD_MASK_A
#undef FOLD_MASK_B
#if VECTOR_BYTES == 64 && !DOUBLE
#define LANES(F, h) F(0, h), F(1, h), F(2, h), F(3, h), F(4, h), F(5, h), F(6, h), F(7, h), F(8, h), F(9, h), \
                    F(10, h), F(11, h), F(12, h), F(13, h), F(14, h), F(15, h)
#elif VECTOR_BYTES == 64 || (VECTOR_BYTES == 32 && !DOUBLE)
#define LANES(F, h) F(0, h), F(1, h), F(2, h), F(3, h), F(4, h), F(5, h), F(6, h), F(7, h)
#elif VECTOR_BYTES == 32 || !DOUBLE
#define LANES(F, h) F(0, h), F(1, h), F(2, h), F(3, h)
#else
#define LANES(F, h) F(0, h), F(1, h)
#endif
#define LANES_IN_VECTOR (VECTOR_BYTES / (DOUBLE ? 8 : 4))
#define FOLD_MASK_A(l, h) (((l) & (h)) ? (l) - (h) + LANES_IN_VECTOR : (l))
#define FOLD_MASK_B(l, h) (((l) & (h)) ? (l) + LANES_IN_VECTOR : (l) + (h))
/* Lanes without bit h: a added to itself h lanes on; lanes with bit h: the same of b. */
#define FOLD(a, b, h) \
    (__builtin_shufflevector(a, b, LANES(FOLD_MASK_A, h)) + __builtin_shufflevector(a, b, LANES(FOLD_MASK_B, h)))

/* Lane l of the result: the sum of the lanes of v[l]. Destroys v (W vectors). */
static inline V NAME(fold)(V *v) {
#if LANES_IN_VECTOR >= 16
#pragma GCC unroll 8
    for (int q = 0; q < 8; q++) v[q] = FOLD(v[q], v[q + 8], 8);
#endif
#if LANES_IN_VECTOR >= 8
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) v[q] = FOLD(v[q], v[q + 4], 4);
#endif
#if LANES_IN_VECTOR >= 4
#pragma GCC unroll 2
    for (int q = 0; q < 2; q++) v[q] = FOLD(v[q], v[q + 2], 2);
#endif
    return FOLD(v[0], v[1], 1);
}

static inline double NAME(sum)(V v) {
    REAL lanes[LANES_IN_VECTOR];
    double total = 0;
    memcpy(lanes, &v, sizeof v);
    for (ptrdiff_t l = 0; l < W; l++) total += (double)lanes[l];
    return total;
}

/* total[m] += the sums of m ≤ 16 vectors (m a multiple of 4); the rest of v up to 16 is scratch. */
static inline __attribute__((always_inline)) void NAME(fold_add)(V *v, const int m, double *total) {
    REAL sums[16] __attribute__((aligned(64)));
#pragma GCC unroll 8
    for (int q = 0; q < m; q += LANES_IN_VECTOR) {
        for (int r = m; r < q + LANES_IN_VECTOR; r++) v[r] = ZERO;
        STORE(sums + q, NAME(fold)(v + q));
    }
    for (int q = 0; q < m; q++) total[q] += (double)sums[q];
}

static void NAME(pack)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                       ptrdiff_t d, const double *centre, void *panel_) {
    REAL *panel = panel_;
    const ptrdiff_t width = cgmm_pad4(d);
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++, panel += width * G) {
        const ptrdiff_t filled = rows - g * G < G ? rows - g * G : G;
        const char *group = X + g * G * row_stride;
        for (ptrdiff_t j = 0; j < d; j++) {
            const char *column = group + j * column_stride;
            const double origin = centre[j];
            if (filled == G)
                for (ptrdiff_t l = 0; l < G; l++)
                    panel[j * G + l] = (REAL)((double)*(const REAL *)(column + l * row_stride) - origin);
            else
                for (ptrdiff_t l = 0; l < G; l++)
                    panel[j * G + l] =
                        l < filled ? (REAL)((double)*(const REAL *)(column + l * row_stride) - origin) : 0;
        }
        memset(panel + d * G, 0, sizeof(REAL) * (size_t)((width - d) * G));
    }
}

static int NAME(all_finite)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                            ptrdiff_t d) {
    REAL bad = 0; /* x − x is 0 for a finite x and NaN for any other */
    if (column_stride == (ptrdiff_t)sizeof(REAL)) {
        for (ptrdiff_t i = 0; i < rows; i++) {
            const REAL *x = (const REAL *)(X + i * row_stride);
            INT row = 0;
            for (ptrdiff_t j = 0; j < d; j++) row |= (x[j] - x[j] != 0);
            if (row) return 0;
        }
        return 1;
    }
    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t i = 0; i < rows; i++) {
            const REAL x = *(const REAL *)(X + i * row_stride + j * column_stride);
            bad += x - x;
        }
    return bad == 0;
}

static void NAME(convert)(const double *from, ptrdiff_t m, const double *offset, ptrdiff_t period, void *to) {
    REAL *out = to;
    for (ptrdiff_t q = 0; q < m; q++) out[q] = (REAL)(offset ? from[q] - offset[q % period] : from[q]);
}

static void NAME(widen)(const void *from, ptrdiff_t m, double *to) {
    for (ptrdiff_t q = 0; q < m; q++) to[q] = (double)((const REAL *)from)[q];
}

static void NAME(pack_factor)(ptrdiff_t k, ptrdiff_t d, const double *P, void *factor_) {
    REAL *factor = factor_;
    for (ptrdiff_t c = 0; c < k; c++, P += d * d)
        for (ptrdiff_t i = 0; i < d; i += 4)
            for (ptrdiff_t j = 0; j < i + 4 && j < d; j++)
                for (ptrdiff_t a = 0; a < 4; a++)
                    *factor++ = i + a < d && j <= i + a ? (REAL)P[(i + a) * d + j] : 0;
}

/* y[a] ← four rows of P z for a group; returns past the factor. A tile of 4 rows × NV vectors keeps
 * 4·NV accumulators busy: 4 + NV loads for 4·NV multiply-adds. */
static inline __attribute__((always_inline)) const REAL *NAME(whiten_tile)(const REAL *z, ptrdiff_t columns,
                                                                           const REAL *factor, V y[4][NV]) {
    for (int a = 0; a < 4; a++)
        for (int v = 0; v < NV; v++) y[a][v] = ZERO;
    for (ptrdiff_t j = 0; j < columns; j++, factor += 4, z += G) {
        V x[NV];
        for (int v = 0; v < NV; v++) x[v] = LOAD(z + v * W);
        for (int a = 0; a < 4; a++)
            for (int v = 0; v < NV; v++) y[a][v] += factor[a] * x[v];
    }
    return factor;
}

static void NAME(whiten)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, const void *factor_, void *white_) {
    const ptrdiff_t width = cgmm_pad4(d);
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *x = (const REAL *)panel_ + g * width * G, *factor = factor_;
        REAL *white = (REAL *)white_ + g * width * G;
        for (ptrdiff_t i = 0; i < d; i += 4) {
            V y[4][NV];
            factor = NAME(whiten_tile)(x, i + 4 < d ? i + 4 : d, factor, y);
            for (int a = 0; a < 4; a++)
                for (int v = 0; v < NV; v++) STORE(white + (i + a) * G + v * W, y[a][v]);
        }
    }
}

static inline void NAME(store_density)(REAL *logd, REAL log_norm, V squared_norm) {
    STORE(logd, log_norm - (REAL)0.5 * VMIN(squared_norm, ZERO + BIG));
}

/* One group and all components with d known to the compiler: everything stays in registers. */
static inline __attribute__((always_inline)) void NAME(triangular_small)(const REAL *x, const ptrdiff_t d,
                                                                         ptrdiff_t k, const REAL *mean,
                                                                         const REAL *factor, const REAL *log_norm,
                                                                         REAL *logd) {
    for (ptrdiff_t c = 0; c < k; c++, mean += d, logd += G) {
        V norm[NV], z[4][NV];
        for (int v = 0; v < NV; v++) norm[v] = ZERO;
        for (ptrdiff_t j = 0; j < d; j++)
            for (int v = 0; v < NV; v++) z[j][v] = LOAD(x + j * G + v * W) - mean[j];
        for (ptrdiff_t i = 0; i < d; i++)
            for (int v = 0; v < NV; v++) {
                V y = ZERO;
                for (ptrdiff_t j = 0; j <= i; j++) y += factor[j * 4 + i] * z[j][v];
                norm[v] += y * y;
            }
        for (int v = 0; v < NV; v++) NAME(store_density)(logd + v * W, log_norm[c], norm[v]);
        factor += 4 * d;
    }
}

static void NAME(triangular)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                             const void *factor_, const void *log_norm_, void *z_, void *logd_) {
    const ptrdiff_t width = cgmm_pad4(d);
    const REAL *log_norm = log_norm_;
    REAL *z = z_;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *x = (const REAL *)panel_ + g * width * G, *mean = means_, *factor = factor_;
        REAL *logd = (REAL *)logd_ + g * cgmm_pad4(k) * G;
        switch (d) {
        case 1: NAME(triangular_small)(x, 1, k, mean, factor, log_norm, logd); continue;
        case 2: NAME(triangular_small)(x, 2, k, mean, factor, log_norm, logd); continue;
        case 3: NAME(triangular_small)(x, 3, k, mean, factor, log_norm, logd); continue;
        case 4: NAME(triangular_small)(x, 4, k, mean, factor, log_norm, logd); continue;
        default: break;
        }
        for (ptrdiff_t c = 0; c < k; c++, mean += d, logd += G) {
            V norm[NV];
            for (int v = 0; v < NV; v++) norm[v] = ZERO;
            for (ptrdiff_t j = 0; j < d; j++)
                for (int v = 0; v < NV; v++) STORE(z + j * G + v * W, LOAD(x + j * G + v * W) - mean[j]);
            for (ptrdiff_t i = 0; i < d; i += 4) {
                V y[4][NV];
                factor = NAME(whiten_tile)(z, i + 4 < d ? i + 4 : d, factor, y);
                for (int a = 0; a < 4; a++)
                    for (int v = 0; v < NV; v++) norm[v] += y[a][v] * y[a][v];
            }
            for (int v = 0; v < NV; v++) NAME(store_density)(logd + v * W, log_norm[c], norm[v]);
        }
    }
}

/* `tile` components at once share each load of x; scale is (k,d), or (k,) when isotropic. */
static inline __attribute__((always_inline)) void NAME(axis_tile)(const REAL *x, ptrdiff_t d, const int tile,
                                                                  const int isotropic, const REAL *mean,
                                                                  const REAL *scale, const REAL *log_norm,
                                                                  REAL *logd) {
    V norm[4][NV];
    for (int c = 0; c < tile; c++)
        for (int v = 0; v < NV; v++) norm[c][v] = ZERO;
    for (ptrdiff_t j = 0; j < d; j++, x += G)
        for (int v = 0; v < NV; v++) {
            const V xv = LOAD(x + v * W);
            for (int c = 0; c < tile; c++) {
                V z = xv - mean[c * d + j];
                if (!isotropic) z *= scale[c * d + j];
                norm[c][v] += z * z;
            }
        }
    for (int c = 0; c < tile; c++)
        for (int v = 0; v < NV; v++) {
            const REAL s = isotropic ? scale[c] : 1;
            NAME(store_density)(logd + c * G + v * W, log_norm[c], norm[c][v] * s * s);
        }
}

static inline __attribute__((always_inline)) void NAME(axis_form)(const REAL *panel, ptrdiff_t rows, ptrdiff_t d,
                                                                  ptrdiff_t k, const int isotropic,
                                                                  const REAL *means, const REAL *scale,
                                                                  const REAL *log_norm, REAL *logd_) {
    const ptrdiff_t step = isotropic ? 1 : d;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *x = panel + g * cgmm_pad4(d) * G;
        REAL *logd = logd_ + g * cgmm_pad4(k) * G;
        ptrdiff_t c = 0;
        for (; c + 4 <= k; c += 4)
            NAME(axis_tile)(x, d, 4, isotropic, means + c * d, scale + c * step, log_norm + c, logd + c * G);
        for (; c < k; c++)
            NAME(axis_tile)(x, d, 1, isotropic, means + c * d, scale + c * step, log_norm + c, logd + c * G);
    }
}

static void NAME(diagonal)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                           const void *scale, const void *log_norm, void *z, void *logd) {
    (void)z;
    NAME(axis_form)(panel, rows, d, k, 0, means, scale, log_norm, logd);
}

static void NAME(isotropic)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                            const void *scale, const void *log_norm, void *z, void *logd) {
    (void)z;
    NAME(axis_form)(panel, rows, d, k, 1, means, scale, log_norm, logd);
}

static double NAME(softmax)(ptrdiff_t rows, ptrdiff_t k, const void *row_weights_, void *logd_, void *lse_,
                            void *scale_) {
    const REAL *row_weights = row_weights_;
    REAL *lse = lse_, *scale = scale_;
    double total[8] = {0};
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        REAL *logd = (REAL *)logd_ + g * cgmm_pad4(k) * G;
        V top[NV], sum[NV];
        for (int v = 0; v < NV; v++) top[v] = LOAD(logd + v * W), sum[v] = ZERO;
        for (ptrdiff_t c = 1; c < k; c++)
            for (int v = 0; v < NV; v++) top[v] = VMAX(top[v], LOAD(logd + c * G + v * W));
        for (ptrdiff_t c = 0; c < k; c++)
            for (int v = 0; v < NV; v++) {
                const V e = NAME(exp)(LOAD(logd + c * G + v * W) - top[v]);
                STORE(logd + c * G + v * W, e);
                sum[v] += e;
            }
        for (int v = 0; v < NV; v++) {
            STORE(scale + g * G + v * W, (REAL)1 / sum[v]);
            STORE(lse + g * G + v * W, top[v] + NAME(log)(sum[v]));
        }
    }
    const ptrdiff_t padded = GROUPS(rows) * G;
    ptrdiff_t i = 0;
    for (; i + 8 <= padded; i += 8)
        for (int l = 0; l < 8; l++) total[l] += (double)row_weights[i + l] * (double)lse[i + l];
    for (; i < padded; i++) total[i & 7] += (double)row_weights[i] * (double)lse[i];
    return ((total[0] + total[1]) + (total[2] + total[3])) + ((total[4] + total[5]) + (total[6] + total[7]));
}

static void NAME(rescale)(ptrdiff_t rows, ptrdiff_t k, const void *scale_, void *e_) {
    const ptrdiff_t width = cgmm_pad4(k);
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        REAL *e = (REAL *)e_ + g * width * G;
        for (int v = 0; v < NV; v++) {
            const V s = LOAD((const REAL *)scale_ + g * G + v * W);
            for (ptrdiff_t c = 0; c < k; c++) STORE(e + c * G + v * W, LOAD(e + c * G + v * W) * s);
        }
        memset(e + k * G, 0, sizeof(REAL) * (size_t)((width - k) * G));
    }
}

static void NAME(weigh)(ptrdiff_t rows, const void *row_weights, void *scale_) {
    REAL *scale = scale_;
    for (ptrdiff_t i = 0; i < GROUPS(rows) * G; i++) scale[i] *= ((const REAL *)row_weights)[i];
}

/* tile (4,4) += Σ over the rows of A_a B_b, for four features of panel A (from feature i) and of B (j).
 * The sum over lanes comes once a block, folded by shuffles. */
static inline __attribute__((always_inline)) void NAME(gram_tile)(const REAL *A, ptrdiff_t a_width,
                                                                  const REAL *B, ptrdiff_t b_width,
                                                                  ptrdiff_t groups, double *tile) {
    for (int i = 0; i < 4; i += MI) {
        V sum[MI * 4];
        for (int q = 0; q < MI * 4; q++) sum[q] = ZERO;
        for (ptrdiff_t g = 0; g < groups; g++) {
            const REAL *a = A + g * a_width * G + i * G, *b = B + g * b_width * G;
            for (int v = 0; v < NV; v++) {
                V bv[4];
                for (int q = 0; q < 4; q++) bv[q] = LOAD(b + q * G + v * W);
                for (int p = 0; p < MI; p++) {
                    const V av = LOAD(a + p * G + v * W);
                    for (int q = 0; q < 4; q++) sum[p * 4 + q] += av * bv[q];
                }
            }
        }
        NAME(fold_add)(sum, MI * 4, tile + i * 4);
    }
}

/* tiles += A Bᵀ over the rows: the lower tiles when `lower` (A and B of m features), else all (m,p). */
static void NAME(gram)(const REAL *A, ptrdiff_t m, const REAL *B, ptrdiff_t p, int lower, ptrdiff_t rows,
                       double *tiles) {
    for (ptrdiff_t i = 0; i < m; i += 4)
        for (ptrdiff_t j = 0; j < (lower ? i + 1 : p); j += 4, tiles += 16)
            NAME(gram_tile)(A + i * G, cgmm_pad4(m), B + j * G, cgmm_pad4(p), GROUPS(rows), tiles);
}

/* d known to the compiler (≤ 4): the moments of one component in registers, folded once a block. */
static inline __attribute__((always_inline)) void NAME(moments_small)(const REAL *panel, ptrdiff_t groups,
                                                                      const ptrdiff_t d, const REAL *mean,
                                                                      const REAL *e, ptrdiff_t e_step,
                                                                      const REAL *scale, double *n_k,
                                                                      double *first, double *tile) {
    V sum[32];
    double folded[16] = {0};
    const int count = 1 + (int)d + (int)(d * (d + 1) / 2);
    for (int q = 0; q < 16; q++) sum[q] = ZERO;
    for (ptrdiff_t g = 0; g < groups; g++, panel += 4 * G, e += e_step, scale += G)
        for (int v = 0; v < NV; v++) {
            const V r = LOAD(e + v * W) * LOAD(scale + v * W);
            V z[4], rz[4];
            int q = 1 + (int)d;
            sum[0] += r;
            for (ptrdiff_t j = 0; j < d; j++) {
                z[j] = LOAD(panel + j * G + v * W) - mean[j];
                rz[j] = r * z[j];
                sum[1 + j] += rz[j];
                for (ptrdiff_t i = 0; i <= j; i++) sum[q++] += rz[j] * z[i];
            }
        }
    NAME(fold_add)(sum, (count + 3) & ~3, folded);
    *n_k += folded[0];
    for (ptrdiff_t j = 0; j < d; j++) first[j] += folded[1 + j];
    int q = 1 + (int)d;
    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t i = 0; i <= j; i++) tile[j * 4 + i] += folded[q++];
}

static void NAME(moments_full)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                               const void *e_, const void *scale_, void *z_, void *rz_, double *n_k,
                               double *first, double *second) {
    const ptrdiff_t width = cgmm_pad4(d), e_step = cgmm_pad4(k) * G, groups = GROUPS(rows);
    const REAL *scale = scale_, *panel = panel_;
    REAL *z = z_, *rz = rz_;
    for (ptrdiff_t c = 0; c < k; c++, second += 16 * cgmm_tiles(d)) {
        const REAL *e = (const REAL *)e_ + c * G, *mean = (const REAL *)means_ + c * d;
        switch (d) {
        case 1: NAME(moments_small)(panel, groups, 1, mean, e, e_step, scale, n_k + c, first + c * d, second); continue;
        case 2: NAME(moments_small)(panel, groups, 2, mean, e, e_step, scale, n_k + c, first + c * d, second); continue;
        case 3: NAME(moments_small)(panel, groups, 3, mean, e, e_step, scale, n_k + c, first + c * d, second); continue;
        case 4: NAME(moments_small)(panel, groups, 4, mean, e, e_step, scale, n_k + c, first + c * d, second); continue;
        default: break;
        }
        V mass = ZERO;
        for (ptrdiff_t g = 0; g < groups; g++) {
            V r[NV];
            for (int v = 0; v < NV; v++) {
                r[v] = LOAD(e + g * e_step + v * W) * LOAD(scale + g * G + v * W);
                mass += r[v];
            }
            const ptrdiff_t at = g * width * G;
            for (ptrdiff_t j = 0; j < d; j++)
                for (int v = 0; v < NV; v++) {
                    const V zv = LOAD(panel + at + j * G + v * W) - mean[j];
                    STORE(z + at + j * G + v * W, zv);
                    STORE(rz + at + j * G + v * W, r[v] * zv);
                }
            memset(z + at + d * G, 0, sizeof(REAL) * (size_t)((width - d) * G));
            memset(rz + at + d * G, 0, sizeof(REAL) * (size_t)((width - d) * G));
        }
        n_k[c] += NAME(sum)(mass);
        for (ptrdiff_t j = 0; j < width; j += 4) {
            V sum[16];
            double folded[4] = {0};
            for (int q = 0; q < 16; q++) sum[q] = ZERO;
            for (ptrdiff_t g = 0; g < groups; g++)
                for (int q = 0; q < 4; q++)
                    for (int v = 0; v < NV; v++) sum[q] += LOAD(rz + (g * width + j + q) * G + v * W);
            NAME(fold_add)(sum, 4, folded);
            for (ptrdiff_t q = 0; q < 4 && j + q < d; q++) first[c * d + j + q] += folded[q];
        }
        NAME(gram)(z, d, rz, d, 1, rows, second);
    }
}

static void NAME(moments_diag)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                               const void *e_, const void *scale_, void *z_, void *rz_, double *n_k,
                               double *first, double *second) {
    const ptrdiff_t width = cgmm_pad4(d), e_step = cgmm_pad4(k) * G, groups = GROUPS(rows);
    const REAL *scale = scale_;
    REAL *r = rz_;
    (void)z_;
    for (ptrdiff_t c = 0; c < k; c++) {
        const REAL *e = (const REAL *)e_ + c * G, *mean = (const REAL *)means_ + c * d;
        V mass = ZERO;
        for (ptrdiff_t g = 0; g < groups; g++)
            for (int v = 0; v < NV; v++) {
                const V rv = LOAD(e + g * e_step + v * W) * LOAD(scale + g * G + v * W);
                STORE(r + g * G + v * W, rv);
                mass += rv;
            }
        n_k[c] += NAME(sum)(mass);
        for (ptrdiff_t j = 0; j < width; j += 4) {
            V sum[16];
            REAL mu[4];
            double folded[8] = {0};
            for (int q = 0; q < 16; q++) sum[q] = ZERO;
            for (ptrdiff_t q = 0; q < 4; q++) mu[q] = j + q < d ? mean[j + q] : 0;
            for (ptrdiff_t g = 0; g < groups; g++)
                for (int v = 0; v < NV; v++) {
                    const V rv = LOAD(r + g * G + v * W);
                    for (int q = 0; q < 4; q++) {
                        const V zv = LOAD((const REAL *)panel_ + (g * width + j + q) * G + v * W) - mu[q];
                        const V rz = rv * zv;
                        sum[q] += rz;
                        sum[4 + q] += rz * zv;
                    }
                }
            NAME(fold_add)(sum, 8, folded);
            for (ptrdiff_t q = 0; q < 4 && j + q < d; q++) {
                first[c * d + j + q] += folded[q];
                second[c * d + j + q] += folded[4 + q];
            }
        }
    }
}

static void NAME(moments_pooled)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k,
                                 const void *means_, const void *r_, const void *row_weights_, void *u_,
                                 void *wu_, void *wr_, double *n_k, double *cross, double *residual,
                                 double *overlap) {
    const ptrdiff_t width = cgmm_pad4(d), k_width = cgmm_pad4(k), groups = GROUPS(rows);
    const REAL *panel = panel_, *means = means_, *r = r_;
    REAL *u = u_, *wu = wu_, *wr = wr_;
    for (ptrdiff_t g = 0; g < groups; g++) {
        const REAL *x = panel + g * width * G, *rg = r + g * k_width * G;
        V weight[NV];
        for (int v = 0; v < NV; v++) weight[v] = LOAD((const REAL *)row_weights_ + g * G + v * W);
        for (ptrdiff_t c = 0; c < k_width; c++)
            for (int v = 0; v < NV; v++)
                STORE(wr + (g * k_width + c) * G + v * W, LOAD(rg + c * G + v * W) * weight[v]);
        for (ptrdiff_t j = 0; j < width; j += 4) { /* the residual u, four features at once */
            V y[4][NV];
            for (int a = 0; a < 4; a++)
                for (int v = 0; v < NV; v++) y[a][v] = LOAD(x + (j + a) * G + v * W);
            for (ptrdiff_t c = 0; c < k; c++) {
                REAL mu[4];
                for (int a = 0; a < 4; a++) mu[a] = j + a < d ? means[c * d + j + a] : 0;
                for (int v = 0; v < NV; v++) {
                    const V rv = LOAD(rg + c * G + v * W);
                    for (int a = 0; a < 4; a++) y[a][v] -= mu[a] * rv;
                }
            }
            for (int a = 0; a < 4; a++)
                for (int v = 0; v < NV; v++) {
                    const ptrdiff_t at = (g * width + j + a) * G + v * W;
                    STORE(u + at, y[a][v]);
                    STORE(wu + at, y[a][v] * weight[v]);
                }
        }
    }
    for (ptrdiff_t c = 0; c < k; c++) {
        V mass = ZERO;
        for (ptrdiff_t g = 0; g < groups; g++)
            for (int v = 0; v < NV; v++) mass += LOAD(wr + (g * k_width + c) * G + v * W);
        n_k[c] += NAME(sum)(mass);
    }
    NAME(gram)(wr, k, panel, d, 0, rows, cross);
    NAME(gram)(u, d, wu, d, 1, rows, residual);
    NAME(gram)(r, k, wr, k, 1, rows, overlap);
}

static void NAME(argmax)(ptrdiff_t rows, ptrdiff_t k, const void *logd_, void *top_, ptrdiff_t *label) {
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *logd = (const REAL *)logd_ + g * cgmm_pad4(k) * G;
        const ptrdiff_t filled = rows - g * G < G ? rows - g * G : G;
        REAL *top = (REAL *)top_ + g * G;
        VI best[NV];
        INT index[G];
        for (int v = 0; v < NV; v++) {
            V high = LOAD(logd + v * W);
            best[v] = (VI){0};
            for (INT c = 1; c < (INT)k; c++) {
                const V x = LOAD(logd + c * G + v * W);
                const VI above = x > high;
                best[v] = (above & c) | (~above & best[v]);
                high = VMAX(high, x);
            }
            STORE(top + v * W, high);
        }
        memcpy(index, best, sizeof index);
        for (ptrdiff_t l = 0; l < filled; l++) label[g * G + l] = (ptrdiff_t)index[l];
    }
}

static void NAME(moments_hard)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                               ptrdiff_t d, const double *centre, const ptrdiff_t *label,
                               const void *row_weights, double *n_k, double *first) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const double w = (double)((const REAL *)row_weights)[i];
        const char *x = X + i * row_stride;
        double *sum = first + label[i] * d;
        n_k[label[i]] += w;
        for (ptrdiff_t j = 0; j < d; j++) sum[j] += w * ((double)*(const REAL *)(x + j * column_stride) - centre[j]);
    }
}

static void NAME(unpack)(const void *panel, ptrdiff_t rows, ptrdiff_t k, double *out) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *row = (const REAL *)panel + i / G * cgmm_pad4(k) * G + i % G;
        for (ptrdiff_t c = 0; c < k; c++) out[i * k + c] = (double)row[c * G];
    }
}

static double NAME(multiply_add)(ptrdiff_t repeats, double *sink) {
    enum { CHAINS = VECTOR_BYTES == 64 ? 16 : 12 }; /* latency × ports, within the registers */
    V x[CHAINS];
    V factor = ZERO + (REAL)(1 - 1e-6), term = ZERO + (REAL)1e-6, total = ZERO;
    for (int q = 0; q < CHAINS; q++) x[q] = ZERO + (REAL)q;
    for (ptrdiff_t i = 0; i < repeats; i++) {
#pragma GCC unroll 16
        for (int q = 0; q < CHAINS; q++) x[q] = x[q] * factor + term;
    }
    for (int q = 0; q < CHAINS; q++) total += x[q];
    *sink = NAME(sum)(total);
    return 2.0 * CHAINS * (double)W * (double)repeats;
}

static const cgmm_kernels NAME(table) = {
    .itemsize = sizeof(REAL),
    .group = G,
    .pack = NAME(pack),
    .all_finite = NAME(all_finite),
    .pack_factor = NAME(pack_factor),
    .whiten = NAME(whiten),
    .triangular = NAME(triangular),
    .diagonal = NAME(diagonal),
    .isotropic = NAME(isotropic),
    .softmax = NAME(softmax),
    .rescale = NAME(rescale),
    .weigh = NAME(weigh),
    .moments_full = NAME(moments_full),
    .moments_diag = NAME(moments_diag),
    .moments_pooled = NAME(moments_pooled),
    .argmax = NAME(argmax),
    .moments_hard = NAME(moments_hard),
    .unpack = NAME(unpack),
    .convert = NAME(convert),
    .widen = NAME(widen),
    .multiply_add = NAME(multiply_add),
};

#undef REAL
#undef INT
#undef W
#undef G
#undef V
#undef VI
#undef GROUPS
#undef LOAD
#undef STORE
#undef SELECT
#undef ZERO
#undef BIG
#undef LANES
#undef LANES_IN_VECTOR
#undef FOLD_MASK_A
#undef FOLD_MASK_B
#undef FOLD
