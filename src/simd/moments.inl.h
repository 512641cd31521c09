/* Responsibilities and the moments that they weigh. Part of kernels.inl.h. */
static void NAME(rescale)(ptrdiff_t rows, ptrdiff_t k, const void *scale_, const void *row_weights_, void *e_) {
    const ptrdiff_t width = cgmm_pad4(k);
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        REAL *e = (REAL *)e_ + g * width * G;
        for (int v = 0; v < NV; v++) {
            V s = LOAD((const REAL *)scale_ + g * G + v * W);
            if (row_weights_) s *= LOAD((const REAL *)row_weights_ + g * G + v * W);
            for (ptrdiff_t c = 0; c < k; c++) STORE(e + c * G + v * W, LOAD(e + c * G + v * W) * s);
        }
        NAME(pad)(e + k * G, width - k);
    }
}

/* n_k += Σ_i r_ic. */
static void NAME(masses)(const REAL *r, ptrdiff_t rows, ptrdiff_t k, const ptrdiff_t *components,
                         const unsigned char *present, double *n_k) {
    for (ptrdiff_t q = 0; q < k; q++) {
        V mass = ZERO;
        for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
            for (int v = 0; v < NV; v++)
                if (!present || present[(q * GROUPS(rows) + g) * NV + v])
                    mass += LOAD(r + (g * cgmm_pad4(k) + q) * G + v * W);
        n_k[components ? components[q] : q] += NAME(sum)(mass);
    }
}

/* strip (count,4) += Σ over the rows of A_a B_b, for `count` ≤ MI features of A and four of B; `step` values from a
 * feature to the next, `lanes` rows at a time. The sum over lanes comes once a block, folded by shuffles. */
static inline __attribute__((always_inline)) void NAME(gram_strip)(const REAL *A, ptrdiff_t a_next, const REAL *B,
                                                                   ptrdiff_t b_next, ptrdiff_t step, ptrdiff_t lanes,
                                                                   ptrdiff_t groups, const int count, double *strip) {
    V sum[MI * 4];
    for (int q = 0; q < MI * 4; q++) sum[q] = ZERO;
    for (ptrdiff_t g = 0; g < groups; g++, A += a_next, B += b_next)
        for (ptrdiff_t v = 0; v < lanes; v += W) {
            V b[4];
            for (int q = 0; q < 4; q++) b[q] = LOAD(B + q * step + v);
            for (int p = 0; p < count; p++) {
                const V a = LOAD(A + p * step + v);
                for (int q = 0; q < 4; q++) sum[p * 4 + q] += a * b[q];
            }
        }
    NAME(fold_add)(sum, count * 4, strip);
}

/* tile (count,4), the same for `count` ≤ 4 features of A. */
static inline __attribute__((always_inline)) void NAME(gram_tile)(const REAL *A, ptrdiff_t a_next, const REAL *B,
                                                                  ptrdiff_t b_next, ptrdiff_t step, ptrdiff_t lanes,
                                                                  ptrdiff_t groups, const int count, double *tile) {
    for (int i = 0; i + MI <= count; i += MI)
        NAME(gram_strip)(A + i * step, a_next, B, b_next, step, lanes, groups, MI, tile + i * 4);
    if (count % MI) {
        const int i = count - count % MI;
        NAME(gram_strip)(A + i * step, a_next, B, b_next, step, lanes, groups, count % MI, tile + i * 4);
    }
}

/* tiles += A Bᵀ over the rows of two panels, lower tiles of (m,m). */
static void NAME(gram)(const REAL *A, const REAL *B, ptrdiff_t m, ptrdiff_t rows, double *tiles) {
    const ptrdiff_t next = cgmm_pad4(m) * G;
    for (ptrdiff_t i = 0; i < m; i += 4)
        for (ptrdiff_t j = 0; j <= i; j += 4, tiles += 16)
            NAME(gram_tile)(A + i * G, next, B + j * G, next, G, G, GROUPS(rows), 4, tiles);
}

/* Rows low ≤ p < high of the lower half of a diagonal tile of the gram matrix of four features z, and
 * first (4,) += Σ s z: what the upper half would cost pays for the first moments. */
static inline __attribute__((always_inline)) void NAME(gram_corner)(const REAL *z, const REAL *s, ptrdiff_t rows,
                                                                    const int low, const int high, double *first,
                                                                    double *tile) {
    const int total = (high * (high + 1) - low * (low + 1)) / 2 + high - low;
    V sum[16];
    double folded[16] = {0};
    int count = 0;
    for (int q = 0; q < 16; q++) sum[q] = ZERO;
    for (ptrdiff_t i = 0; i < rows; i += W) {
        const V sv = LOAD(s + i);
        V zv[4];
        for (int q = 0; q < high; q++) zv[q] = LOAD(z + q * rows + i);
        count = 0;
        for (int p = low; p < high; p++) {
            for (int q = 0; q <= p; q++) sum[count++] += zv[p] * zv[q];
            sum[count++] += zv[p] * sv;
        }
    }
    NAME(fold_add)(sum, (total + 3) & ~3, folded);
    count = 0;
    for (int p = low; p < high; p++) {
        for (int q = 0; q <= p; q++) tile[4 * p + q] += folded[count++];
        first[p] += folded[count++];
    }
}

/* The tiles of `count` features, from feature i on, of the gram matrix of sz, a panel [features][rows], and their
 * first moments. */
static inline __attribute__((always_inline)) void NAME(gram_row)(const REAL *sz, const REAL *s, ptrdiff_t rows,
                                                                 ptrdiff_t i, const int count, double *first,
                                                                 double *tiles) {
    const REAL *z = sz + i * rows;
    for (ptrdiff_t j = 0; j < i; j += 4, tiles += 16)
        NAME(gram_tile)(z, W, sz + j * rows, W, rows, W, rows / W, count, tiles);
    if (MI < 4 && count == 4) { /* too many accumulators at once */
        NAME(gram_corner)(z, s, rows, 0, 3, first + i, tiles);
        NAME(gram_corner)(z, s, rows, 3, 4, first + i, tiles);
    } else {
        NAME(gram_corner)(z, s, rows, 0, count, first + i, tiles);
    }
}

/* Rows low ≤ j < high of one component's moments, d ≤ 8, low and high known to the compiler: (high − low) first
 * moments and the rows of the scatter's lower triangle stay in registers over the block, and n_k when low = 0. If `some`
 * (known to the compiler, too), of the groups in which it is present. */
static inline __attribute__((always_inline)) void NAME(moments_rows)(const REAL *panel, ptrdiff_t groups,
                                                                     const ptrdiff_t d, const ptrdiff_t low,
                                                                     const ptrdiff_t high, const REAL *mean,
                                                                     const REAL *r, ptrdiff_t r_step, const int some,
                                                                     const unsigned char *present,
                                                                     double *n_k, double *first, double *tiles) {
    const ptrdiff_t width = d <= 4 ? 4 : 8;
    V sum[32];
    double folded[32] = {0};
    int count = 0;
    for (int q = 0; q < 32; q++) sum[q] = ZERO;
    for (ptrdiff_t g = 0; g < groups; g++, panel += width * G, r += r_step) {
        int there = !some;
        for (int v = 0; v < NV && some; v++) there |= present[g * NV + v];
        if (!there) continue;
        for (int v = 0; v < NV; v++) {
            const V rv = LOAD(r + v * W);
            V z[8];
            int q = 0;
            for (ptrdiff_t j = 0; j < high; j++) z[j] = LOAD(panel + j * G + v * W) - mean[j];
            for (ptrdiff_t j = low; j < high; j++) {
                const V rz = rv * z[j];
                sum[q++] += rz;
                for (ptrdiff_t i = 0; i <= j; i++) sum[q++] += rz * z[i];
            }
            if (low == 0) sum[q++] += rv;
        }
    }
    for (ptrdiff_t j = low; j < high; j++) count += (int)j + 2;
    NAME(fold_add)(sum, (count + 1 + 3) & ~3, folded);
    int q = 0;
    for (ptrdiff_t j = low; j < high; j++) {
        double *row = tiles + (j < 4 ? 4 * j : 16 + 4 * (j - 4));
        first[j] += folded[q++];
        for (ptrdiff_t i = 0; i <= j; i++) row[i < 4 ? i : 16 + i - 4] += folded[q++];
    }
    if (low == 0) *n_k += folded[q];
}

/* sz [count][kept rows] ← s (x − μ), of the vectors of x that begin at `at`. */
static inline __attribute__((always_inline)) void NAME(standardise)(const REAL *x, const ptrdiff_t *at, ptrdiff_t kept,
                                                                    const REAL *mean, const REAL *s, const int count,
                                                                    REAL *sz) {
    REAL mu[4];
    for (int q = 0; q < count; q++) mu[q] = mean[q];
    for (ptrdiff_t u = 0; u < kept; u++) {
        const V sv = LOAD(s + u * W);
        for (int q = 0; q < count; q++) STORE(sz + (q * kept + u) * W, (LOAD(x + at[u] + q * G) - mu[q]) * sv);
    }
}

static void NAME(moments_full)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                               const ptrdiff_t *components, const unsigned char *present, const void *r_,
                               void *sz_, void *s_, double *n_k, double *first, double *second) {
    const ptrdiff_t width = cgmm_pad4(d), r_step = cgmm_pad4(k) * G, groups = GROUPS(rows);
    const REAL *panel = panel_;
    REAL *sz = sz_, *s = s_;
    ptrdiff_t at[CGMM_BLOCK_ROWS / LANES_IN_VECTOR];
    for (ptrdiff_t q = 0; q < k; q++) {
        const ptrdiff_t c = components ? components[q] : q;
        const REAL *r = (const REAL *)r_ + q * G, *mean = (const REAL *)means_ + c * d;
        double *scatter = second + c * 16 * cgmm_tiles(d);
        const unsigned char *there = present ? present + q * groups * NV : NULL;
#define ROWS(d, low, high) \
    if (there) \
        NAME(moments_rows)(panel, groups, d, low, high, mean, r, r_step, 1, there, n_k + c, first + c * d, scatter); \
    else \
        NAME(moments_rows)(panel, groups, d, low, high, mean, r, r_step, 0, there, n_k + c, first + c * d, scatter);
        switch (d) { /* as many rows at once as the registers hold */
#if VECTOR_BYTES == 64
        case 1: ROWS(1, 0, 1) continue;
        case 2: ROWS(2, 0, 2) continue;
        case 3: ROWS(3, 0, 3) continue;
        case 4: ROWS(4, 0, 4) continue;
        case 5: ROWS(5, 0, 5) continue;
        case 6: ROWS(6, 0, 4) ROWS(6, 4, 6) continue;
        case 7: ROWS(7, 0, 5) ROWS(7, 5, 7) continue;
        case 8: ROWS(8, 0, 4) ROWS(8, 4, 6) ROWS(8, 6, 8) continue;
#else
        case 1: ROWS(1, 0, 1) continue;
        case 2: ROWS(2, 0, 2) continue;
        case 3: ROWS(3, 0, 3) continue;
        case 4: ROWS(4, 0, 3) ROWS(4, 3, 4) continue;
        case 5: ROWS(5, 0, 3) ROWS(5, 3, 5) continue;
        case 6: ROWS(6, 0, 3) ROWS(6, 3, 5) ROWS(6, 5, 6) continue;
        case 7: ROWS(7, 0, 3) ROWS(7, 3, 5) ROWS(7, 5, 6) ROWS(7, 6, 7) continue;
        case 8: ROWS(8, 0, 3) ROWS(8, 3, 5) ROWS(8, 5, 6) ROWS(8, 6, 7) ROWS(8, 7, 8) continue;
#endif
        default: break;
        }
#undef ROWS
        /* √r (x − μ), a panel [width][kept rows]: its gram matrix is the scatter */
        V mass = ZERO;
        ptrdiff_t kept = 0;
        for (ptrdiff_t g = 0; g < groups; g++)
            for (int v = 0; v < NV; v++) {
                if (present && !present[(q * groups + g) * NV + v]) continue;
                const V rv = LOAD(r + g * r_step + v * W);
                mass += rv;
                STORE(s + kept * W, rv);
                at[kept++] = g * width * G + v * W;
            }
        n_k[c] += NAME(sum)(mass);
        for (ptrdiff_t i = 0; i < kept * W; i++) s[i] = SQRT(s[i]);
#define STANDARDISE(count) NAME(standardise)(panel + j * G, at, kept, mean + j, s, count, sz + j * kept * W)
        for (ptrdiff_t j = 0; j < d; j += 4) UP_TO_FOUR(d - j, STANDARDISE)
#undef STANDARDISE
#define GRAM_ROW(count) NAME(gram_row)(sz, s, kept * W, i, count, first + c * d, scatter)
        for (ptrdiff_t i = 0; i < d; scatter += 4 * (i + 4), i += 4) UP_TO_FOUR(d - i, GRAM_ROW)
#undef GRAM_ROW
    }
}

/* `count` features from one on, and a component: first += Σ r (x − μ), second += Σ r (x − μ)²; as many of them as are
 * `left`. Groups are x_step and r_step apart. */
static inline __attribute__((always_inline)) void NAME(axis_moments)(const REAL *x, ptrdiff_t x_step, const REAL *r,
                                                                     ptrdiff_t r_step, ptrdiff_t groups,
                                                                     const unsigned char *present, const int count,
                                                                     ptrdiff_t left, const REAL *mean, double *first,
                                                                     double *second) {
    V sum[16];
    REAL mu[8];
    double folded[16] = {0};
    for (int q = 0; q < 16; q++) sum[q] = ZERO;
    for (int q = 0; q < count; q++) mu[q] = q < left ? mean[q] : 0;
    for (ptrdiff_t g = 0; g < groups; g++, x += x_step, r += r_step)
        for (int v = 0; v < NV; v++) {
            if (present && !present[g * NV + v]) continue;
            const V rv = LOAD(r + v * W);
            for (int q = 0; q < count; q++) {
                const V z = LOAD(x + q * G + v * W) - mu[q], rz = rv * z;
                sum[q] += rz;
                sum[count + q] += rz * z;
            }
        }
    NAME(fold_add)(sum, 2 * count, folded);
    for (int q = 0; q < count && q < left; q++) {
        first[q] += folded[q];
        second[q] += folded[count + q];
    }
}

/* Features outside, components inside: a few features stay in L1 while the responsibilities stream by. */
static void NAME(moments_diag)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                               const ptrdiff_t *components, const unsigned char *present, const void *r_,
                               double *n_k, double *first, double *second) {
    const ptrdiff_t x_step = cgmm_pad4(d) * G, r_step = cgmm_pad4(k) * G, groups = GROUPS(rows);
    const int tile = MI == 4 && d > 4 ? 8 : 4; /* twice as many accumulators, where there are registers for them */
    NAME(masses)(r_, rows, k, components, present, n_k);
    for (ptrdiff_t j = 0; j < d; j += tile)
        for (ptrdiff_t q = 0; q < k; q++) {
            const ptrdiff_t c = components ? components[q] : q, at = c * d + j;
            const REAL *x = (const REAL *)panel_ + j * G, *r = (const REAL *)r_ + q * G, *mean = (const REAL *)means_ + at;
            const unsigned char *there = present ? present + q * groups * NV : NULL;
            if (d - j > 4 && tile == 8)
                NAME(axis_moments)(x, x_step, r, r_step, groups, there, 8, d - j, mean, first + at, second + at);
            else
                NAME(axis_moments)(x, x_step, r, r_step, groups, there, 4, d - j, mean, first + at, second + at);
        }
}

/* out (k,d) += A Bᵀ over the rows, for all of A's m features and B's d; row c of out is components[c]. */
static void NAME(gram_rows)(const REAL *A, ptrdiff_t m, const REAL *B, ptrdiff_t d, ptrdiff_t rows,
                            const ptrdiff_t *components, double *out) {
    for (ptrdiff_t j = 0; j < d; j += 4)
        for (ptrdiff_t i = 0; i < m; i += 4) {
            double tile[16] = {0};
            NAME(gram_tile)(A + i * G, cgmm_pad4(m) * G, B + j * G, cgmm_pad4(d) * G, G, G, GROUPS(rows), 4, tile);
            for (ptrdiff_t a = 0; a < 4 && i + a < m; a++) {
                double *row = out + (components ? components[i + a] : i + a) * d + j;
                for (ptrdiff_t b = 0; b < 4 && j + b < d; b++) row[b] += tile[4 * a + b];
            }
        }
}

static void NAME(moments_radial)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k,
                                 const ptrdiff_t *components, const void *r_, const void *logd_,
                                 const void *log_norm, double *n_k, double *cross, double *second) {
    const ptrdiff_t step = cgmm_pad4(k) * G;
    for (ptrdiff_t q = 0; q < k; q++) {
        const ptrdiff_t c = components ? components[q] : q;
        const REAL *r = (const REAL *)r_ + q * G, *logd = (const REAL *)logd_ + q * G;
        const REAL top = ((const REAL *)log_norm)[c];
        V norm = ZERO;
        for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
            for (int v = 0; v < NV; v++) /* of no weight: NaN, bounded */
                norm += LOAD(r + g * step + v * W) * VMIN(top - LOAD(logd + g * step + v * W), ZERO + BIG);
        second[c] += 2 * NAME(sum)(norm);
    }
    NAME(masses)(r_, rows, k, components, NULL, n_k);
    NAME(gram_rows)(r_, k, panel, d, rows, components, cross);
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
    NAME(masses)(wr, rows, k, NULL, NULL, n_k);
    NAME(gram_rows)(wr, k, panel, d, rows, NULL, cross);
    NAME(gram)(u, wu, d, rows, residual);
    NAME(gram)(r, wr, k, rows, overlap);
}

static void NAME(moments_hard)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                               ptrdiff_t d, const double *restrict centre, const ptrdiff_t *label,
                               const void *row_weights, double *n_k, double *first) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const double w = (double)((const REAL *)row_weights)[i];
        const char *x = X + i * row_stride;
        double *restrict sum = first + label[i] * d;
        n_k[label[i]] += w;
        if (column_stride == (ptrdiff_t)sizeof(REAL)) /* known, so that the compiler can vectorise */
            for (ptrdiff_t j = 0; j < d; j++) sum[j] += w * ((double)((const REAL *)x)[j] - centre[j]);
        else
            for (ptrdiff_t j = 0; j < d; j++) sum[j] += w * ((double)*(const REAL *)(x + j * column_stride) - centre[j]);
    }
}

/* Lanes of v whose label is c, the others zero. */
#define OF(c, label, v) ((V)(((label) == (INT)(c)) & (VI)(v)))

/* `assign`, of d features, known to the compiler. Sums stay in vectors over the block, double; those of a group's vectors
 * come first. */
static inline __attribute__((always_inline)) void NAME(assign_rows)(const REAL *panel, ptrdiff_t rows, const ptrdiff_t d,
                                                                    ptrdiff_t k, const REAL *means, const REAL *weights,
                                                                    ptrdiff_t *label, double *inertia, double *n_k,
                                                                    double *first) {
    WIDE sums[CGMM_FEW_SUMS], squares = {0};
    REAL ones[G], last[G];
    for (ptrdiff_t l = 0; l < G; l++) ones[l] = 1, last[l] = l < rows % G;
    for (ptrdiff_t q = 0; q < k * (d + 1); q++) sums[q] = (WIDE){0};
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++, panel += cgmm_pad4(d) * G) {
        const ptrdiff_t filled = rows - g * G < G ? rows - g * G : G;
        const REAL *w = weights ? weights + g * G : filled < G ? last : ones;
        VI own[NV];
        INT index[G];
        V norm[NV];
        if (means)
            for (int v = 0; v < NV; v++) {
                V x[8];
                for (ptrdiff_t j = 0; j < d; j++) x[j] = LOAD(panel + j * G + v * W);
                own[v] = (VI){0};
                for (ptrdiff_t c = 0; c < k; c++) {
                    V each = ZERO;
                    for (ptrdiff_t j = 0; j < d; j++) each += (x[j] - means[c * d + j]) * (x[j] - means[c * d + j]);
                    const VI nearer = each < norm[v];
                    if (c) own[v] = (nearer & (INT)c) | (~nearer & own[v]);
                    norm[v] = c ? VMIN(each, norm[v]) : each;
                }
            }
        else {
            for (ptrdiff_t l = 0; l < G; l++) index[l] = l < filled ? (INT)label[g * G + l] : 0;
            memcpy(own, index, sizeof own);
        }
        if (means && label) {
            memcpy(index, own, sizeof index);
            for (ptrdiff_t l = 0; l < filled; l++) label[g * G + l] = (ptrdiff_t)index[l];
        }
        if (!n_k) continue;
        if (inertia)
            for (int v = 0; v < NV; v++)
                squares += __builtin_convertvector(norm[v], WIDE) * __builtin_convertvector(LOAD(w + v * W), WIDE);
        for (ptrdiff_t c = 0; c < k; c++) {
            WIDE sum = {0};
            for (int v = 0; v < NV; v++) sum += __builtin_convertvector(OF(c, own[v], LOAD(w + v * W)), WIDE);
            sums[c] += sum;
        }
        for (ptrdiff_t j = 0; j < d; j++)
            for (ptrdiff_t c = 0; c < k; c++) {
                WIDE sum = {0};
                for (int v = 0; v < NV; v++)
                    sum += __builtin_convertvector(OF(c, own[v], LOAD(panel + j * G + v * W)), WIDE) *
                           __builtin_convertvector(LOAD(w + v * W), WIDE);
                sums[k + c * d + j] += sum;
            }
    }
    if (!n_k) return;
    if (inertia) *inertia += NAME(sum_wide)(&squares);
    for (ptrdiff_t c = 0; c < k; c++) n_k[c] += NAME(sum_wide)(sums + c);
    for (ptrdiff_t q = 0; q < k * d; q++) first[q] += NAME(sum_wide)(sums + k + q);
}
#undef OF

static void NAME(assign)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                         const void *row_weights, ptrdiff_t *label, double *inertia, double *n_k, double *first) {
#define ASSIGN(d) case d: NAME(assign_rows)(panel, rows, d, k, means, row_weights, label, inertia, n_k, first); break;
    switch (d) { ASSIGN(1) ASSIGN(2) ASSIGN(3) ASSIGN(4) ASSIGN(5) ASSIGN(6) ASSIGN(7) ASSIGN(8) }
#undef ASSIGN
}

static void NAME(members)(ptrdiff_t rows, ptrdiff_t k, const ptrdiff_t *label, const void *row_weights, void *r_) {
    const REAL *weights = row_weights;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        REAL *r = (REAL *)r_ + g * cgmm_pad4(k) * G;
        const ptrdiff_t filled = rows - g * G < G ? rows - g * G : G;
        INT own[G];
        REAL w[G];
        for (ptrdiff_t l = 0; l < G; l++) own[l] = l < filled ? (INT)label[g * G + l] : -1;
        for (ptrdiff_t l = 0; l < G; l++) w[l] = weights ? weights[g * G + l] : 1;
        for (ptrdiff_t c = 0; c < k; c++)
            for (ptrdiff_t l = 0; l < G; l++) r[c * G + l] = own[l] == (INT)c ? w[l] : 0;
        NAME(pad)(r + k * G, cgmm_pad4(k) - k);
    }
}
