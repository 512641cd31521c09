/* Responsibilities and the moments that they weigh. Part of kernels.inl.h. */
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

/* tiles += A Bᵀ over the rows, lower tiles of (m,m). */
static void NAME(gram)(const REAL *A, const REAL *B, ptrdiff_t m, ptrdiff_t rows, double *tiles) {
    for (ptrdiff_t i = 0; i < m; i += 4)
        for (ptrdiff_t j = 0; j <= i; j += 4, tiles += 16)
            NAME(gram_tile)(A + i * G, cgmm_pad4(m), B + j * G, cgmm_pad4(m), GROUPS(rows), tiles);
}

/* Rows low ≤ j < high of one component's moments, d ≤ 8, low and high known to the compiler: (high − low) first
 * moments and the rows of the scatter's lower triangle stay in registers over the block, and n_k when low = 0. */
static inline __attribute__((always_inline)) void NAME(moments_rows)(const REAL *panel, ptrdiff_t groups,
                                                                     const ptrdiff_t d, const ptrdiff_t low,
                                                                     const ptrdiff_t high, const REAL *mean,
                                                                     const REAL *e, ptrdiff_t e_step,
                                                                     const REAL *scale, double *n_k, double *first,
                                                                     double *tiles) {
    const ptrdiff_t width = d <= 4 ? 4 : 8;
    V sum[32];
    double folded[32] = {0};
    int count = 0;
    for (int q = 0; q < 32; q++) sum[q] = ZERO;
    for (ptrdiff_t g = 0; g < groups; g++, panel += width * G, e += e_step, scale += G)
        for (int v = 0; v < NV; v++) {
            const V r = LOAD(e + v * W) * LOAD(scale + v * W);
            V z[8];
            int q = 0;
            for (ptrdiff_t j = 0; j < high; j++) z[j] = LOAD(panel + j * G + v * W) - mean[j];
            for (ptrdiff_t j = low; j < high; j++) {
                const V rz = r * z[j];
                sum[q++] += rz;
                for (ptrdiff_t i = 0; i <= j; i++) sum[q++] += rz * z[i];
            }
            if (low == 0) sum[q++] += r;
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

static void NAME(moments_full)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                               const ptrdiff_t *components, const unsigned char *present,
                               const void *e_, const void *scale_, void *z_, void *rz_, double *n_k,
                               double *first, double *second) {
    const ptrdiff_t width = cgmm_pad4(d), e_step = cgmm_pad4(k) * G, groups = GROUPS(rows);
    const REAL *scale = scale_, *panel = panel_;
    REAL *z = z_, *rz = rz_;
    for (ptrdiff_t q = 0; q < k; q++) {
        const ptrdiff_t c = components ? components[q] : q;
        const REAL *e = (const REAL *)e_ + q * G, *mean = (const REAL *)means_ + c * d;
        double *scatter = second + c * 16 * cgmm_tiles(d);
        ptrdiff_t kept = 0;
#define ROWS(d, low, high) \
    NAME(moments_rows)(panel, groups, d, low, high, mean, e, e_step, scale, n_k + c, first + c * d, scatter);
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
        V mass = ZERO;
        for (ptrdiff_t g = 0; g < groups; g++) {
            if (present && !present[q * groups + g]) continue;
            const REAL *x = panel + g * width * G;
            V r[NV];
            for (int v = 0; v < NV; v++) {
                r[v] = LOAD(e + g * e_step + v * W) * LOAD(scale + g * G + v * W);
                mass += r[v];
            }
            const ptrdiff_t at = kept++ * width * G;
            for (ptrdiff_t j = 0; j < d; j++)
                for (int v = 0; v < NV; v++) {
                    const V zv = LOAD(x + j * G + v * W) - mean[j];
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
            for (int p = 0; p < 16; p++) sum[p] = ZERO;
            for (ptrdiff_t g = 0; g < kept; g++)
                for (int p = 0; p < 4; p++)
                    for (int v = 0; v < NV; v++) sum[p] += LOAD(rz + (g * width + j + p) * G + v * W);
            NAME(fold_add)(sum, 4, folded);
            for (ptrdiff_t p = 0; p < 4 && j + p < d; p++) first[c * d + j + p] += folded[p];
        }
        NAME(gram)(z, rz, d, kept * G, scatter);
    }
}

static void NAME(moments_diag)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                               const ptrdiff_t *components, const unsigned char *present,
                               const void *e_, const void *scale_, void *z_, void *rz_, double *n_k,
                               double *first, double *second) {
    const ptrdiff_t width = cgmm_pad4(d), e_step = cgmm_pad4(k) * G, groups = GROUPS(rows);
    const REAL *scale = scale_;
    REAL *r = rz_;
    (void)z_;
    for (ptrdiff_t s = 0; s < k; s++) {
        const ptrdiff_t c = components ? components[s] : s;
        const REAL *e = (const REAL *)e_ + s * G, *mean = (const REAL *)means_ + c * d;
        V mass = ZERO;
        for (ptrdiff_t g = 0; g < groups; g++)
            for (int v = 0; v < NV && (!present || present[s * groups + g]); v++) {
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
                for (int v = 0; v < NV && (!present || present[s * groups + g]); v++) {
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

/* out (k,d) += A Bᵀ over the rows, for all of A's m features and B's d; row c of out is components[c]. */
static void NAME(gram_rows)(const REAL *A, ptrdiff_t m, const REAL *B, ptrdiff_t d, ptrdiff_t rows,
                            const ptrdiff_t *components, double *out) {
    for (ptrdiff_t j = 0; j < d; j += 4)
        for (ptrdiff_t i = 0; i < m; i += 4) {
            double tile[16] = {0};
            NAME(gram_tile)(A + i * G, cgmm_pad4(m), B + j * G, cgmm_pad4(d), GROUPS(rows), tile);
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
        V mass = ZERO, norm = ZERO;
        for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
            for (int v = 0; v < NV; v++) {
                const V rv = LOAD(r + g * step + v * W);
                mass += rv;
                norm += rv * VMIN(top - LOAD(logd + g * step + v * W), ZERO + BIG); /* no weight: NaN */
            }
        n_k[c] += NAME(sum)(mass);
        second[c] += 2 * NAME(sum)(norm);
    }
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
    for (ptrdiff_t c = 0; c < k; c++) {
        V mass = ZERO;
        for (ptrdiff_t g = 0; g < groups; g++)
            for (int v = 0; v < NV; v++) mass += LOAD(wr + (g * k_width + c) * G + v * W);
        n_k[c] += NAME(sum)(mass);
    }
    NAME(gram_rows)(wr, k, panel, d, rows, NULL, cross);
    NAME(gram)(u, wu, d, rows, residual);
    NAME(gram)(r, wr, k, rows, overlap);
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
