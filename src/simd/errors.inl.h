/* Rows with errors of measurement: densities, moments and what a mixture says of the true values. Part of
 * kernels.inl.h; all double. A lane is a row, and each has a factorisation of its own: T = Σ_c + S_i = L D Lᵀ.
 *
 * Loops over features run to d and ask whether an element is below the diagonal: where the compiler knows d, it unrolls
 * all of them, asks nothing, and holds the matrices in registers. */
#if DOUBLE
#define LOWER(i, j) ((i) * ((i) + 1) / 2 + (j))
#define UNROLL _Pragma("GCC unroll 8")
#define LOG_2PI 1.8378770664093453
#define LOG_2 0.6931471805599453
#ifndef VMANTISSA /* x = mantissa · 2^exponent, 1 ≤ mantissa < 2, of positive normal numbers */
#define VMANTISSA(x) ((V)(((VI)(x) & 0x000fffffffffffffLL) | 0x3ff0000000000000LL))
#define VEXPONENT(x) ((V)(((VI)(x) >> 52) + (0x4338000000000000LL - 1023)) - (REAL)0x1.8p52)
#endif

/* What is known of W rows and a component: matrices as lower triangles, row by row. */
typedef struct NAME(errors_at) {
    V *L;       /* D⁻¹ on the diagonal, L below it */
    V *inverse; /* T⁻¹; before, L⁻¹ */
    V *z;       /* L⁻¹ (x − μ) */
    V *u;       /* T⁻¹ (x − μ) */
    V *seen;    /* 1 where a feature is observed, 0 where it is missing; NULL where all are */
} NAME(errors_at);

/* OUT at.L, at.z. Returns −½ (|x − μ|² by T⁻¹ + log |T|), without what log *determinant adds to that. IN x, S (d or its lower triangle): vectors G apart; mean (d,),
 * covariance (lower triangle). A missing feature has no covariance with others, a variance of 1, and lies at its mean.
 * No pivot is less than rounding may leave of it, so that none is negative. */
static inline __attribute__((always_inline)) V NAME(errors_factor)(const int d, const int diagonal, const REAL *x,
                                                                   const REAL *S, const REAL *mean, const REAL *covariance,
                                                                   const NAME(errors_at) at, V *determinant) {
    V square = ZERO, logs = ZERO, product = ZERO + (REAL)1, exponents = ZERO;
    UNROLL
    for (int i = 0; i < d; i++) {
        at.z[i] = LOAD(x + i * G) - mean[i];
        UNROLL
        for (int j = 0; j < d; j++)
            if (j <= i) {
                V t = covariance[LOWER(i, j)] - ZERO; /* where ZERO + … is an addition, for what is −0 */
                if (!diagonal) t += LOAD(S + LOWER(i, j) * G);
                if (diagonal && i == j) t += LOAD(S + i * G);
                at.L[LOWER(i, j)] = t;
            }
    }
    if (at.seen) {
        UNROLL
        for (int i = 0; i < d; i++) {
            const VI seen = at.seen[i] > 0;
            at.z[i] = SELECT(seen, at.z[i], ZERO);
            UNROLL
            for (int j = 0; j < d; j++)
                if (j < i) at.L[LOWER(i, j)] = SELECT(seen & (at.seen[j] > 0), at.L[LOWER(i, j)], ZERO);
            at.L[LOWER(i, i)] = SELECT(seen, at.L[LOWER(i, i)], ZERO + (REAL)1);
        }
    }
    UNROLL
    for (int j = 0; j < d; j++) { /* columns to the left: L, and T_jj as it was is no less than what is left of it */
        V pivot = at.L[LOWER(j, j)];
        const V least = pivot * (REAL)DBL_EPSILON;
        UNROLL
        for (int m = 0; m < d; m++)
            if (m < j) pivot -= at.L[LOWER(j, m)] * at.inverse[LOWER(j, m)];
        if (j > 0) pivot = VMAX(pivot, least);
        const V over = (REAL)1 / pivot; /* beside the products of other columns a division costs nothing */
        at.L[LOWER(j, j)] = over;
        UNROLL
        for (int i = 0; i < d; i++)
            if (i > j) {
                V t = at.L[LOWER(i, j)];
                UNROLL
                for (int m = 0; m < d; m++)
                    if (m < j) t -= at.L[LOWER(i, m)] * at.inverse[LOWER(j, m)];
                at.inverse[LOWER(i, j)] = t; /* L D, for the rows below */
                at.L[LOWER(i, j)] = t * over;
                at.z[i] -= at.L[LOWER(i, j)] * at.z[j];
            }
        square += at.z[j] * at.z[j] * over;
        exponents += VEXPONENT(pivot); /* log |T| by a single log, of the product of mantissas */
        product *= VMANTISSA(pivot);
        if (j % 512 == 511) { /* before it can overflow */
            logs += NAME(log)(product);
            product = ZERO + (REAL)1;
        }
    }
    logs += exponents * (REAL)LOG_2;
    *determinant = product;
    return (REAL)-0.5 * (VMIN(square, ZERO + BIG) + logs);
}

/* OUT at.inverse, at.u. IN at.L, at.z as errors_factor left them. Of what is missing T⁻¹ is zero. */
static inline __attribute__((always_inline)) void NAME(errors_invert)(const int d, const NAME(errors_at) at) {
    UNROLL
    for (int i = 0; i < d; i++) {
        UNROLL
        for (int j = 0; j < d; j++)
            if (j < i) {
                V t = at.L[LOWER(i, j)];
                UNROLL
                for (int m = 0; m < d; m++)
                    if (j < m && m < i) t += at.L[LOWER(i, m)] * at.inverse[LOWER(m, j)];
                at.inverse[LOWER(i, j)] = -t;
            }
        at.z[i] *= at.L[LOWER(i, i)];
    }
    UNROLL
    for (int i = 0; i < d; i++) {
        at.u[i] = at.z[i];
        UNROLL
        for (int m = 0; m < d; m++)
            if (m > i) at.u[i] += at.inverse[LOWER(m, i)] * at.z[m];
    }
    UNROLL
    for (int i = 0; i < d; i++) { /* row i of T⁻¹ takes the place of that of L⁻¹, which no later row needs */
        UNROLL
        for (int j = 0; j < d; j++)
            if (j <= i) {
                V t = at.L[LOWER(i, i)];
                if (j < i) t *= at.inverse[LOWER(i, j)];
                UNROLL
                for (int m = 0; m < d; m++)
                    if (m > i) t += at.inverse[LOWER(m, i)] * at.L[LOWER(m, m)] * at.inverse[LOWER(m, j)];
                at.inverse[LOWER(i, j)] = t;
            }
        if (at.seen) at.inverse[LOWER(i, i)] -= (REAL)1 - at.seen[i];
    }
}

/* Whether a value of W rows is missing; OUT seen (d,). */
static inline int NAME(errors_seen)(const ptrdiff_t d, const REAL *x, V *seen) {
    VI gap = {0};
    for (ptrdiff_t j = 0; j < d; j++) {
        const V value = LOAD(x + j * G);
        const VI known = value == value;
        seen[j] = SELECT(known, ZERO + (REAL)1, ZERO);
        gap |= ~known;
    }
    return VANY(SELECT(gap, ZERO, ZERO - (REAL)1));
}

/* Whether any value of a block is missing. */
static inline int NAME(errors_gaps)(const ptrdiff_t d, const REAL *panel, ptrdiff_t rows) {
    VI gap = {0};
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++, panel += cgmm_pad4(d) * G)
        for (ptrdiff_t i = 0; i < d * G; i += W) gap |= ~(LOAD(panel + i) == LOAD(panel + i));
    return VANY(SELECT(gap, ZERO, ZERO - (REAL)1));
}

/* −½ log 2π for each feature that is observed. */
static inline V NAME(errors_constant)(const ptrdiff_t d, const V *seen) {
    V count = ZERO + (REAL)d;
    if (seen) {
        count = ZERO;
        for (ptrdiff_t j = 0; j < d; j++) count += seen[j];
    }
    return count * (REAL)(-0.5 * LOG_2PI);
}

#ifdef VPICK16
/* 1 / c and log c, c the middles of sixteen parts of 1 … 2, and 1 / c of 20 bits, so that their products with numbers of
 * 53 are exact in a fused operation. */
static const REAL NAME(parts_inverse)[16] __attribute__((aligned(64))) = {
    0.9696969985961914, 0.9142856597900391, 0.8648653030395508, 0.8205127716064453,
    0.7804880142211914, 0.7441864013671875, 0.7111110687255859, 0.6808509826660156,
    0.6530609130859375, 0.6274509429931641, 0.6037731170654297, 0.5818185806274414,
    0.5614032745361328, 0.5423727035522461, 0.5245904922485352, 0.5079364776611328};
static const REAL NAME(parts_log)[16] __attribute__((aligned(64))) = {
    0.030771628864431744, 0.08961221829433369, 0.14518150320514564, 0.19782580293456642,
    0.24783589568371575, 0.2954637360567914, 0.34092664657523974, 0.3844118181196287,
    0.426084872148172, 0.4660897895292458, 0.5045567856130776, 0.5415965969795644,
    0.5773157822674241, 0.6118018689315929, 0.6451373355250104, 0.6773988831964527};

/* log x of positive normal numbers, to 1e-16 or 1 ulp, whichever is more: x = 2^m f, f = c (1 + r), |r| ≤ 1/31, and a
 * Chebyshev fit of (log (1 + r) − r) / r². Half the operations of log_each. */
static inline V NAME(log_by_parts)(V x) {
    const V f = VMANTISSA(x), part = (V)((VI)f >> 48);
    const V r = f * VPICK16(NAME(parts_inverse), part) - (REAL)1;
    V p = ZERO - 0.12517107244459322;
    p = p * r + 0.14304721983359833;
    p = p * r - 0.16666658310969995;
    p = p * r + 0.19999990716115904;
    p = p * r - 0.25000000001020084;
    p = p * r + 0.3333333333446673;
    p = p * r - 0.5;
    return VEXPONENT(x) * (REAL)LOG_2 + (VPICK16(NAME(parts_log), part) + (r + r * r * p));
}
#endif

/* logd −= ½ log of the determinants (k,), which are vectors; logd: those of a component G apart. */
static inline void NAME(errors_take_logs)(ptrdiff_t k, const V *determinants, REAL *logd) {
#ifdef VPICK16
    for (ptrdiff_t c = 0; c < k; c++, logd += G) STORE(logd, LOAD(logd) - (REAL)0.5 * NAME(log_by_parts)(determinants[c]));
#else
    for (ptrdiff_t c = 0; c < k; c += 4) {
        V logs[4];
        for (int q = 0; q < 4; q++) logs[q] = determinants[c + q < k ? c + q : c];
        NAME(log_each)(logs, 4);
        for (int q = 0; q < 4 && c + q < k; q++)
            STORE(logd + (c + q) * G, LOAD(logd + (c + q) * G) - (REAL)0.5 * logs[q]);
    }
#endif
}

/* Where the matrices of a kernel are: in variables of its own, or of many features in its scratch. */
#define ERRORS_AT(d, scratch) \
    V own_L[36], own_inverse[36], own_z[8], own_u[8]; \
    NAME(errors_at) at = {own_L, own_inverse, own_z, own_u, NULL}; \
    V *const seen = (V *)(scratch); \
    if (d > 8) { \
        at.L = seen + d; \
        at.inverse = at.L + LOWER(d, 0); \
        at.z = at.inverse + LOWER(d, 0); \
        at.u = at.z + d; \
    }

static inline __attribute__((always_inline)) void NAME(errors_densities_of)(const int d, const int diagonal,
                                                                           const REAL *panel, const REAL *errors,
                                                                           ptrdiff_t rows, const cgmm_mixture *mixture,
                                                                           void *scratch, REAL *logd) {
    const ptrdiff_t k = mixture->k, size = LOWER(d, 0);
    const ptrdiff_t x_step = cgmm_pad4(d) * G, s_step = (diagonal ? cgmm_pad4(d) : size) * G, r_step = cgmm_pad4(k) * G;
    const REAL *means = mixture->means, *covariances = mixture->factor, *log_norm = mixture->log_norm;
    ERRORS_AT(d, scratch)
    V *const determinants = seen + 3 * size + 5 * d;
    const int gaps = NAME(errors_gaps)(d, panel, rows);
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
        for (int v = 0; v < NV; v++) {
            const REAL *x = panel + g * x_step + v * W, *S = errors + g * s_step + v * W;
            at.seen = gaps && NAME(errors_seen)(d, x, seen) ? seen : NULL;
            const V constant = NAME(errors_constant)(d, at.seen);
            for (ptrdiff_t c = 0; c < k; c++) {
                const V found = NAME(errors_factor)(d, diagonal, x, S, means + c * d, covariances + c * size, at,
                                                    determinants + c);
                STORE(logd + g * r_step + c * G + v * W, found + constant + log_norm[c]);
            }
            NAME(errors_take_logs)(k, determinants, logd + g * r_step + v * W);
        }
}

static inline __attribute__((always_inline)) void NAME(errors_moments_of)(
    const int d, const int diagonal, const REAL *panel, const REAL *errors, ptrdiff_t rows, const cgmm_mixture *mixture,
    const REAL *r, const REAL *row_weights, void *scratch, double *n_k, double *first, double *second) {
    const ptrdiff_t k = mixture->k, size = LOWER(d, 0);
    const ptrdiff_t x_step = cgmm_pad4(d) * G, s_step = (diagonal ? cgmm_pad4(d) : size) * G, r_step = cgmm_pad4(k) * G;
    const REAL *means = mixture->means, *covariances = mixture->factor;
    ERRORS_AT(d, scratch)
    const int gaps = NAME(errors_gaps)(d, panel, rows);
    V own_first[8], own_second[36];
    V *const first_of = d <= 8 ? own_first : seen + 3 * d + 2 * size;
    V *const second_of = d <= 8 ? own_second : first_of + d;
    for (ptrdiff_t c = 0; c < k; c++) {
        V mass = ZERO;
        UNROLL
        for (int i = 0; i < d; i++) {
            first_of[i] = ZERO;
            UNROLL
            for (int j = 0; j < d; j++)
                if (j <= i) second_of[LOWER(i, j)] = ZERO;
        }
        for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
            for (int v = 0; v < NV; v++) {
                const V share = LOAD(r + g * r_step + c * G + v * W), weight = share * LOAD(row_weights + g * G + v * W);
                mass += weight;
                if (!VANY(share - (REAL)CGMM_NOTHING)) continue;
                const REAL *x = panel + g * x_step + v * W, *S = errors + g * s_step + v * W;
                at.seen = gaps && NAME(errors_seen)(d, x, seen) ? seen : NULL;
                V unused;
                NAME(errors_factor)(d, diagonal, x, S, means + c * d, covariances + c * size, at, &unused);
                NAME(errors_invert)(d, at);
                UNROLL
                for (int i = 0; i < d; i++) {
                    const V wu = weight * at.u[i];
                    first_of[i] += wu;
                    UNROLL
                    for (int j = 0; j < d; j++)
                        if (j <= i) { /* two fused operations, where a difference would be three */
                            second_of[LOWER(i, j)] += wu * at.u[j];
                            second_of[LOWER(i, j)] -= weight * at.inverse[LOWER(i, j)];
                        }
                }
            }
        n_k[c] += NAME(sum)(mass);
        UNROLL
        for (int i = 0; i < d; i++) {
            first[c * d + i] += NAME(sum)(first_of[i]);
            UNROLL
            for (int j = 0; j < d; j++)
                if (j <= i) second[c * size + LOWER(i, j)] += NAME(sum)(second_of[LOWER(i, j)]);
        }
    }
}

/* T is diagonal: each feature by itself. */
static inline __attribute__((always_inline)) void NAME(errors_densities_apart)(const int gaps, const REAL *panel,
                                                                              const REAL *errors, ptrdiff_t rows,
                                                                              const cgmm_mixture *mixture,
                                                                              V *determinants, REAL *logd) {
    const ptrdiff_t d = mixture->d, k = mixture->k, step = cgmm_pad4(d) * G, r_step = cgmm_pad4(k) * G;
    const REAL *means = mixture->means, *variances = mixture->factor, *log_norm = mixture->log_norm;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
        for (int v = 0; v < NV; v++) {
            for (ptrdiff_t c = 0; c < k; c++) {
                const REAL *x = panel + g * step + v * W, *S = errors + g * step + v * W;
                V square = ZERO, logs = ZERO, product = ZERO + (REAL)1, exponents = ZERO;
                V count = ZERO + (REAL)(gaps ? 0 : d);
                for (ptrdiff_t j = 0; j < d; j++) {
                    const V value = LOAD(x + j * G), away = value - means[c * d + j];
                    const VI known = value == value;
                    V t = LOAD(S + j * G) + variances[c * d + j];
                    if (gaps) t = SELECT(known, t, ZERO + (REAL)1);
                    const V part = away * away / t;
                    square += gaps ? SELECT(known, part, ZERO) : part;
                    if (gaps) count += SELECT(known, ZERO + (REAL)1, ZERO);
                    exponents += VEXPONENT(t);
                    product *= VMANTISSA(t);
                    if (j % 512 == 511) {
                        logs += NAME(log)(product);
                        product = ZERO + (REAL)1;
                    }
                }
                logs += exponents * (REAL)LOG_2;
                determinants[c] = product;
                STORE(logd + g * r_step + c * G + v * W,
                      log_norm[c] - (REAL)0.5 * (VMIN(square, ZERO + BIG) + logs + count * (REAL)LOG_2PI));
            }
            NAME(errors_take_logs)(k, determinants, logd + g * r_step + v * W);
        }
}

static inline __attribute__((always_inline)) void NAME(errors_moments_apart)(const int gaps, const REAL *panel,
                                                                            const REAL *errors, ptrdiff_t rows,
                                                                            const cgmm_mixture *mixture, const REAL *r,
                                                                            const REAL *row_weights, double *n_k,
                                                                            double *first, double *second) {
    const ptrdiff_t d = mixture->d, k = mixture->k, step = cgmm_pad4(d) * G, r_step = cgmm_pad4(k) * G;
    const REAL *means = mixture->means, *variances = mixture->factor;
    for (ptrdiff_t c = 0; c < k; c++)
        for (ptrdiff_t j = 0; j < d; j++) {
            V mass = ZERO, sum = ZERO, squares = ZERO;
            for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
                for (int v = 0; v < NV; v++) {
                    const V share = LOAD(r + g * r_step + c * G + v * W);
                    const V weight = share * LOAD(row_weights + g * G + v * W);
                    mass += weight;
                    if (!VANY(share - (REAL)CGMM_NOTHING)) continue;
                    const V value = LOAD(panel + g * step + j * G + v * W);
                    const V t = LOAD(errors + g * step + j * G + v * W) + variances[c * d + j];
                    V over = (REAL)1 / t, u = (value - means[c * d + j]) * over;
                    if (gaps) over = SELECT(value == value, over, ZERO), u = SELECT(value == value, u, ZERO);
                    sum += weight * u;
                    squares += weight * (u * u - over);
                }
            if (j == 0) n_k[c] += NAME(sum)(mass);
            first[c * d + j] += NAME(sum)(sum);
            second[c * d + j] += NAME(sum)(squares);
        }
}

static void NAME(errors_pack)(const char *S, const ptrdiff_t *strides, int diagonal, int single, ptrdiff_t rows, ptrdiff_t d,
                              void *panel) {
    REAL *to = panel;
    const ptrdiff_t width = diagonal ? cgmm_pad4(d) : LOWER(d, 0);
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++, to += width * G) {
        const ptrdiff_t filled = rows - g * G < G ? rows - g * G : G;
        memset(to, 0, sizeof(REAL) * (size_t)(width * G));
        for (ptrdiff_t i = 0; i < d; i++)
            for (ptrdiff_t j = diagonal ? i : 0; j <= i; j++) {
                const char *from = S + g * G * strides[0] + i * strides[1] + (diagonal ? 0 : j * strides[2]);
                REAL *lanes = to + (diagonal ? i : LOWER(i, j)) * G;
                for (ptrdiff_t l = 0; l < filled; l++, from += strides[0])
                    lanes[l] = single ? (REAL)*(const float *)from : (REAL)*(const double *)from;
            }
    }
}

/* call(gaps), which the compiler knows: whether any value of a block is missing */
#define OF_GAPS(call) \
    { \
        if (NAME(errors_gaps)(mixture->d, panel, rows)) call(1); \
        else call(0); \
    }

/* call(d), d known to the compiler up to 8 */
#define UP_TO_EIGHT(d, call) \
    switch (d) { \
    case 1: call(1); break; \
    case 2: call(2); break; \
    case 3: call(3); break; \
    case 4: call(4); break; \
    case 5: call(5); break; \
    case 6: call(6); break; \
    case 7: call(7); break; \
    case 8: call(8); break; \
    default: call((int)d); \
    }

static void NAME(errors_densities)(const void *panel, const void *errors, int diagonal, ptrdiff_t rows,
                                   const cgmm_mixture *mixture, void *scratch, void *logd) {
#define FULL_ERRORS(d) NAME(errors_densities_of)(d, 0, panel, errors, rows, mixture, scratch, logd)
#define OWN_ERRORS(d) NAME(errors_densities_of)(d, 1, panel, errors, rows, mixture, scratch, logd)
#define OWN_VARIANCES(gaps) NAME(errors_densities_apart)(gaps, panel, errors, rows, mixture, scratch, logd)
    if (mixture->form == CGMM_VARIANCES)
        OF_GAPS(OWN_VARIANCES)
    else if (diagonal)
        UP_TO_EIGHT(mixture->d, OWN_ERRORS)
    else
        UP_TO_EIGHT(mixture->d, FULL_ERRORS)
#undef FULL_ERRORS
#undef OWN_ERRORS
#undef OWN_VARIANCES
}

static void NAME(errors_moments)(const void *panel, const void *errors, int diagonal, ptrdiff_t rows,
                                 const cgmm_mixture *mixture, const void *r, const void *row_weights, void *scratch,
                                 double *n_k, double *first, double *second) {
#define FULL_ERRORS(d) \
    NAME(errors_moments_of)(d, 0, panel, errors, rows, mixture, r, row_weights, scratch, n_k, first, second)
#define OWN_ERRORS(d) \
    NAME(errors_moments_of)(d, 1, panel, errors, rows, mixture, r, row_weights, scratch, n_k, first, second)
#define OWN_VARIANCES(gaps) \
    NAME(errors_moments_apart)(gaps, panel, errors, rows, mixture, r, row_weights, n_k, first, second)
    if (mixture->form == CGMM_VARIANCES)
        OF_GAPS(OWN_VARIANCES)
    else if (diagonal)
        UP_TO_EIGHT(mixture->d, OWN_ERRORS)
    else
        UP_TO_EIGHT(mixture->d, FULL_ERRORS)
#undef FULL_ERRORS
#undef OWN_ERRORS
#undef OWN_VARIANCES
}
#undef UP_TO_EIGHT
#undef OF_GAPS

/* OUT b (d,): μ + Σ u = x − S u, and, if spread is not NULL, its lower triangle: Σ − Σ T⁻¹ Σ as R Σ Rᵀ + K S Kᵀ with
 * K = Σ T⁻¹ and R = S T⁻¹ = I − K, in which no variance is negative. A feature whose error is no larger than its variance is
 * computed of S u and R, which then keep their digits, another of Σ u and K. IN at as errors_invert left it; x: vectors G apart;
 * S (lower triangle), zero where a feature is missing; seen (d,). SCRATCH gain and rest (d,d), kept and noise (d,). */
static void NAME(errors_true)(ptrdiff_t d, const REAL *x, const REAL *mean, const REAL *covariance, const V *S, const V *seen,
                              const NAME(errors_at) at, V *gain, V *rest, V *kept, V *noise, V *b, V *spread) {
#define OF(M, i, j) ((i) >= (j) ? (M)[LOWER(i, j)] : (M)[LOWER(j, i)])
    for (ptrdiff_t i = 0; i < d; i++) {
        const VI small = (seen[i] > 0) & (S[LOWER(i, i)] <= ZERO + covariance[LOWER(i, i)]);
        b[i] = SELECT(small, LOAD(x + i * G), ZERO + mean[i]);
        for (ptrdiff_t j = 0; j < d; j++) b[i] += SELECT(small, -OF(S, i, j), ZERO + OF(covariance, i, j)) * at.u[j];
        for (ptrdiff_t j = 0; j < d && spread; j++) {
            V t = ZERO;
            for (ptrdiff_t m = 0; m < d; m++) t += SELECT(small, OF(S, i, m), ZERO + OF(covariance, i, m)) * OF(at.inverse, m, j);
            const V other = (REAL)(i == j) - t;
            gain[i * d + j] = SELECT(small, other, t);
            rest[i * d + j] = SELECT(small, t, other);
        }
    }
    for (ptrdiff_t i = 0; i < d && spread; i++) {
        for (ptrdiff_t j = 0; j < d; j++) { /* row i of R Σ and of K S */
            kept[j] = noise[j] = ZERO;
            for (ptrdiff_t m = 0; m < d; m++) {
                kept[j] += rest[i * d + m] * OF(covariance, m, j);
                noise[j] += gain[i * d + m] * OF(S, m, j);
            }
        }
        for (ptrdiff_t j = 0; j <= i; j++) {
            V t = ZERO;
            for (ptrdiff_t m = 0; m < d; m++) t += kept[m] * rest[j * d + m] + noise[m] * gain[j * d + m];
            spread[LOWER(i, j)] = i == j ? VMAX(t, ZERO) : t;
        }
    }
#undef OF
}

/* OUT own: S (d or its lower triangle; vectors G apart) as a lower triangle, zero where a feature is missing. */
static void NAME(errors_expand)(ptrdiff_t d, int diagonal, const REAL *S, const V *seen, V *own) {
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            const V value = diagonal && j < i ? ZERO : LOAD(S + (diagonal ? i : LOWER(i, j)) * G);
            own[LOWER(i, j)] = SELECT(seen[i] * seen[j] > 0, value, ZERO);
        }
}

static void NAME(errors_posterior)(const void *panel_, const void *errors_, int diagonal, ptrdiff_t rows,
                                   const cgmm_mixture *mixture, const void *r_, void *scratch, void *truth) {
    const ptrdiff_t d = mixture->d, k = mixture->k, size = LOWER(d, 0), all = d + size;
    const ptrdiff_t x_step = cgmm_pad4(d) * G, s_step = (diagonal ? cgmm_pad4(d) : size) * G, r_step = cgmm_pad4(k) * G;
    const REAL *panel = panel_, *errors = errors_, *r = r_, *means = mixture->means, *covariances = mixture->factor;
    V *const seen = scratch;
    NAME(errors_at) at = {seen + d, seen + d + size, seen + d + 2 * size, seen + 2 * d + 2 * size, NULL};
    V *const b = at.u + d, *const kept = b + d, *const noise = kept + d, *const spread = noise + d;
    V *const own = spread + size, *const gain = own + size, *const rest = gain + d * d;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
        for (int v = 0; v < NV; v++) {
            const REAL *x = panel + g * x_step + v * W, *S = errors + g * s_step + v * W;
            REAL *out = (REAL *)truth + g * all * G + v * W;
            at.seen = NAME(errors_seen)(d, x, seen) ? seen : NULL;
            NAME(errors_expand)(d, diagonal, S, seen, own);
            for (ptrdiff_t q = 0; q < all; q++) STORE(out + q * G, ZERO);
            for (int of_means = 1; of_means >= 0; of_means--) /* the spread of components is about the mean of all */
                for (ptrdiff_t c = 0; c < k; c++) {
                    const V share = LOAD(r + g * r_step + c * G + v * W);
                    const REAL *covariance = covariances + c * size;
                    if (!VANY(share - (REAL)CGMM_NOTHING)) continue;
                    V unused;
                    if (diagonal)
                        NAME(errors_factor)((int)d, 1, x, S, means + c * d, covariance, at, &unused);
                    else
                        NAME(errors_factor)((int)d, 0, x, S, means + c * d, covariance, at, &unused);
                    NAME(errors_invert)((int)d, at);
                    NAME(errors_true)(d, x, means + c * d, covariance, own, seen, at, gain, rest, kept, noise, b,
                                      of_means ? NULL : spread);
                    const VI some = share > 0; /* elsewhere what is far away may be no number */
                    for (ptrdiff_t i = 0; i < d && of_means; i++)
                        STORE(out + i * G, LOAD(out + i * G) + SELECT(some, share * b[i], ZERO));
                    for (ptrdiff_t i = 0; i < d && !of_means; i++)
                        for (ptrdiff_t j = 0; j <= i; j++) {
                            const V away = (b[i] - LOAD(out + i * G)) * (b[j] - LOAD(out + j * G));
                            REAL *to = out + (d + LOWER(i, j)) * G;
                            STORE(to, LOAD(to) + SELECT(some, share * (spread[LOWER(i, j)] + away), ZERO));
                        }
                }
        }
}
#undef LOWER
#undef UNROLL
#undef LOG_2PI
#undef LOG_2
#undef VMANTISSA
#undef VEXPONENT
#undef ERRORS_AT
#endif
