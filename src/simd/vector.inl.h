/* Vectors of one REAL: their types, exp, log, and sums over lanes. Part of kernels.inl.h. */
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

typedef double NAME(wide) __attribute__((vector_size(VECTOR_BYTES / sizeof(REAL) * sizeof(double))));

#define WIDE NAME(wide)
#define LOAD(p) (*(const V *)(p))
#define STORE(p, v) (*(V *)(p) = (v))
#define SELECT(mask, a, b) ((V)(((mask) & (VI)(a)) | (~(mask) & (VI)(b))))
#define ZERO ((V){0})
/* call(n), n known to the compiler: the least of left and 4 */
#define UP_TO_FOUR(left, call) \
    switch (left) { \
    case 1: call(1); break; \
    case 2: call(2); break; \
    case 3: call(3); break; \
    default: call(4); \
    }
#define SQRT(x) (DOUBLE ? (REAL)sqrt((double)(x)) : (REAL)sqrtf((float)(x)))
#define BIG (DOUBLE ? (REAL)1e300 : (REAL)1e37) /* bound of a squared norm: its half stays finite */

#ifndef VMAX /* an architecture that has no target file of its own */
#define VMAX(a, b) SELECT((a) > (b), a, b)
#define VMIN(a, b) SELECT((a) < (b), a, b)
#define VANY(v) NAME(any)((VI)((v) >= 0))
static inline int NAME(any)(VI mask) {
    INT lanes[VECTOR_BYTES / sizeof(INT)], found = 0;
    memcpy(lanes, &mask, sizeof mask);
    for (ptrdiff_t l = 0; l < W; l++) found |= lanes[l];
    return found != 0;
}
#endif

#ifndef VBITS
#define VBITS(v) NAME(bits)((VI)((v) >= 0))
static inline unsigned NAME(bits)(VI mask) {
    INT lanes[VECTOR_BYTES / sizeof(INT)];
    unsigned found = 0;
    memcpy(lanes, &mask, sizeof mask);
    for (ptrdiff_t l = 0; l < W; l++) found |= (unsigned)(lanes[l] != 0) << l;
    return found;
}
#endif

/* exp(x), x ≤ 0, to about 1 ulp; 0 below LOW, where products would be denormal and slow. */
#define LOW (DOUBLE ? (REAL)-700 : (REAL)-80)
#ifdef VPICK16
/* With a table of 2^(j/16) in registers: x = m ln 2 / 16 + r; m by adding and subtracting 1.5·2^(mantissa bits), whose
 * last four bits choose from the table; (e^r − 1) / r by a Chebyshev fit on ±ln 2 / 32, error 1e-17 (float 2e-9).
 * Half the instructions of a polynomial on ±ln 2 / 2. */
static const REAL NAME(exp2_16)[16] __attribute__((aligned(64))) = {
    (REAL)1.0,                (REAL)1.0442737824274138, (REAL)1.0905077326652577, (REAL)1.1387886347566916,
    (REAL)1.189207115002721,  (REAL)1.241857812073484,  (REAL)1.2968395546510096, (REAL)1.3542555469368927,
    (REAL)1.4142135623730951, (REAL)1.4768261459394993, (REAL)1.5422108254079407, (REAL)1.6104903319492543,
    (REAL)1.681792830507429,  (REAL)1.7562521603732995, (REAL)1.8340080864093424, (REAL)1.9152065613971474};

static inline V NAME(exp)(V x) {
#if DOUBLE
    const REAL magic = 0x1.8p52, step_hi = 0.04332169878499658, step_lo = 1.4501204056993622e-18;
#else
    const REAL magic = 0x1.8p23f, step_hi = 0.0433217f, step_lo = -1.1904089e-10f;
#endif
    const V shifted = x * (REAL)23.083120654223414 + magic;
    const V m = shifted - magic;
    const V r = (x - m * step_hi) - m * step_lo;
#if DOUBLE
    V p = ZERO + 0.0013889063217181804;
    p = p * r + 0.008333472975252004;
    p = p * r + 0.04166666666361452;
    p = p * r + 0.16666666664209714;
    p = p * r + 0.5000000000000001;
    p = p * r + 1.0000000000000007;
#else
    V p = ZERO + 0.16666959f;
    p = p * r + 0.50001466f;
    p = p * r + 1.0f;
#endif
    const V power = VPICK16(NAME(exp2_16), shifted);
    return VSCALE(x, LOW, power + power * (p * r), m * (REAL)0.0625);
}
#else
/* x = m ln 2 + r; m by adding and subtracting 1.5·2^(mantissa bits); minimax polynomial in r
 * (Chebyshev fit on ±ln 2 / 2, error 3e-18 for double, 2e-9 for float). */
static inline V NAME(exp)(V x) {
#if DOUBLE
    const REAL magic = 0x1.8p52, ln2_hi = 0.6931471804855391, ln2_lo = 7.440617110012397e-11;
    const int mantissa = 52;
#else
    const REAL magic = 0x1.8p23f, ln2_hi = 0.693115234375f, ln2_lo = 3.1946184945309415e-05f;
    const int mantissa = 23;
#endif
    const V bounded = VMAX(x, ZERO + LOW);
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
    return (V)(power & (VI)(x > LOW));
}
#endif

/* x[q] ← log(x[q]), x ≥ 1 normal, of m ≤ 4 vectors side by side, for each waits for itself at every step; to about 1
 * ulp: x = 2^m f, √½ ≤ f < √2; log f = 2 atanh(s), s = (f−1)/(f+1), by its series in s² ≤ 0.0295 (first term left out
 * below 1e-17, float 1e-9). */
static inline __attribute__((always_inline)) void NAME(log_each)(V *x, const int m) {
#if DOUBLE
    const REAL ln2_hi = 0.6931471804855391, ln2_lo = 7.440617110012397e-11, magic = 0x1.8p52;
    const INT sqrt_half = 0x3fe6a09e667f3bcdLL, magic_bits = 0x4338000000000000LL;
    const int mantissa = 52, terms = 10;
#else
    const REAL ln2_hi = 0.693115234375f, ln2_lo = 3.1946184945309415e-05f, magic = 0x1.8p23f;
    const INT sqrt_half = 0x3f3504f3, magic_bits = 0x4b400000;
    const int mantissa = 23, terms = 5;
#endif
    V power[4], s[4], square[4], p[4];
#pragma GCC unroll 4
    for (int q = 0; q < m; q++) {
        const VI exponent = ((VI)x[q] - sqrt_half) >> mantissa;
        const V f = (V)((VI)x[q] - (exponent << mantissa));
        power[q] = (V)(exponent + magic_bits) - magic;
        s[q] = (f - (REAL)1) / (f + (REAL)1);
        square[q] = s[q] * s[q];
        p[q] = ZERO;
    }
#pragma GCC unroll 16
    for (int i = terms; i >= 1; i--) {
#pragma GCC unroll 4
        for (int q = 0; q < m; q++) p[q] = p[q] * square[q] + (REAL)(2.0 / (2 * i + 1));
    }
#pragma GCC unroll 4
    for (int q = 0; q < m; q++)
        x[q] = power[q] * ln2_hi + ((s[q] + s[q]) + (s[q] * square[q] * p[q] + power[q] * ln2_lo));
}

static inline V NAME(log)(V x) {
    NAME(log_each)(&x, 1);
    return x;
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

/* Zeros for `features` < 4 features of a group, which a panel has past its last: stores in place, since to call memset
 * takes longer. */
static inline __attribute__((always_inline)) void NAME(pad)(REAL *to, ptrdiff_t features) {
#define PAD(count) \
    _Pragma("GCC unroll 16") \
    for (int v = 0; v < (count) * NV; v++) STORE(to + v * W, ZERO)
    switch (features) {
    case 1: PAD(1); break;
    case 2: PAD(2); break;
    case 3: PAD(3); break;
    default: break;
    }
#undef PAD
}

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

static inline double NAME(sum_wide)(const WIDE *v) {
    double lanes[LANES_IN_VECTOR], total = 0;
    memcpy(lanes, v, sizeof lanes);
    for (ptrdiff_t l = 0; l < W; l++) total += lanes[l];
    return total;
}

/* total[m] += the sums of m ≤ 32 vectors (m a multiple of 4); v up to the next multiple of 16 is scratch. */
static inline __attribute__((always_inline)) void NAME(fold_add)(V *v, const int m, double *total) {
    REAL sums[32] __attribute__((aligned(64)));
#pragma GCC unroll 16
    for (int q = 0; q < m; q += LANES_IN_VECTOR) {
        for (int r = m; r < q + LANES_IN_VECTOR; r++) v[r] = ZERO;
        STORE(sums + q, NAME(fold)(v + q));
    }
    for (int q = 0; q < m; q++) total[q] += (double)sums[q];
}
