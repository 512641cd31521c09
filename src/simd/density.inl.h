/* Log-densities, log-sum-exp and argmax. Part of kernels.inl.h. */
/* y[a] ← `count` of four rows of P z for nv vectors, z [columns][nv]; returns past the factor of the four. A tile of
 * 4 rows × NV vectors keeps 4·NV accumulators busy: 4 + NV loads for 4·NV multiply-adds. */
static inline __attribute__((always_inline)) const REAL *NAME(whiten_tile)(const REAL *z, ptrdiff_t columns, const int nv,
                                                                           const int count, const REAL *factor,
                                                                           V y[4][NV]) {
    for (int a = 0; a < count; a++)
        for (int v = 0; v < nv; v++) y[a][v] = ZERO;
    for (ptrdiff_t j = 0; j < columns; j++, factor += 4, z += nv * W) {
        V x[NV];
        for (int v = 0; v < nv; v++) x[v] = LOAD(z + v * W);
        for (int a = 0; a < count; a++)
            for (int v = 0; v < nv; v++) y[a][v] += factor[a] * x[v];
    }
    return factor;
}

/* norm += the squares of the next rows of P z, four or as many as are left. */
static inline __attribute__((always_inline)) const REAL *NAME(whiten_norm)(const REAL *z, ptrdiff_t columns, const int nv,
                                                                           ptrdiff_t left, const REAL *factor, V *norm) {
    V y[4][NV];
#define SQUARES(count) \
    factor = NAME(whiten_tile)(z, columns, nv, count, factor, y); \
    for (int a = 0; a < count; a++) \
        for (int v = 0; v < nv; v++) norm[v] += y[a][v] * y[a][v]
    UP_TO_FOUR(left, SQUARES)
#undef SQUARES
    return factor;
}

static void NAME(whiten)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, const void *factor_, void *white_) {
    const ptrdiff_t width = cgmm_pad4(d);
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *x = (const REAL *)panel_ + g * width * G, *factor = factor_;
        REAL *white = (REAL *)white_ + g * width * G;
        for (ptrdiff_t i = 0; i < d; i += 4) {
            V y[4][NV];
            factor = NAME(whiten_tile)(x, i + 4 < d ? i + 4 : d, NV, 4, factor, y);
            for (int a = 0; a < 4; a++)
                for (int v = 0; v < NV; v++) STORE(white + (i + a) * G + v * W, y[a][v]);
        }
    }
}

static inline void NAME(store_density)(REAL *logd, REAL log_norm, V squared_norm) {
    STORE(logd, log_norm - (REAL)0.5 * VMIN(squared_norm, ZERO + BIG));
}

/* One group and all components, or `numbers` of them, with d ≤ 8 known to the compiler: rows and whitened rows stay in
 * registers, `step` vectors at a time. */
static inline __attribute__((always_inline)) void NAME(triangular_small)(const REAL *x, const ptrdiff_t d,
                                                                         const int step, ptrdiff_t k,
                                                                         const ptrdiff_t *numbers, const REAL *means,
                                                                         const REAL *factors, const REAL *log_norm,
                                                                         REAL *logd) {
    for (ptrdiff_t q = 0; q < k; q++, logd += G) {
        const ptrdiff_t c = numbers ? numbers[q] : q;
        const REAL *mean = means + c * d, *factor = factors + c * (d <= 4 ? 4 * d : 16 + 4 * d);
        for (int v = 0; v < NV; v += step) {
            V norm[NV], z[8][NV];
            for (int s = 0; s < step; s++) norm[s] = ZERO;
            for (ptrdiff_t j = 0; j < d; j++)
                for (int s = 0; s < step; s++) z[j][s] = LOAD(x + j * G + (v + s) * W) - mean[j];
            for (ptrdiff_t i = 0; i < d; i++) {
                const REAL *row = factor + (i < 4 ? i : 16 + i - 4);
                V y[NV];
                for (int s = 0; s < step; s++) y[s] = row[0] * z[0][s];
                for (ptrdiff_t j = 1; j <= i; j++)
                    for (int s = 0; s < step; s++) y[s] += row[j * 4] * z[j][s];
                for (int s = 0; s < step; s++) norm[s] += y[s] * y[s];
            }
            for (int s = 0; s < step; s++) NAME(store_density)(logd + (v + s) * W, log_norm[c], norm[s]);
        }
    }
}

static void NAME(triangular)(const void *panel_, ptrdiff_t rows, const cgmm_mixture *mixture, REAL *z,
                             void *logd_) {
    const ptrdiff_t d = mixture->d, k = mixture->k, width = cgmm_pad4(d);
    const REAL *log_norm = mixture->log_norm;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *x = (const REAL *)panel_ + g * width * G, *mean = mixture->means, *factor = mixture->factor;
        REAL *logd = (REAL *)logd_ + g * cgmm_pad4(k) * G;
        switch (d) {
        case 1: NAME(triangular_small)(x, 1, NV, k, NULL, mean, factor, log_norm, logd); continue;
        case 2: NAME(triangular_small)(x, 2, NV, k, NULL, mean, factor, log_norm, logd); continue;
        case 3: NAME(triangular_small)(x, 3, NV, k, NULL, mean, factor, log_norm, logd); continue;
        case 4: NAME(triangular_small)(x, 4, NV, k, NULL, mean, factor, log_norm, logd); continue;
        case 5: NAME(triangular_small)(x, 5, NV / 2, k, NULL, mean, factor, log_norm, logd); continue;
        case 6: NAME(triangular_small)(x, 6, NV / 2, k, NULL, mean, factor, log_norm, logd); continue;
        case 7: NAME(triangular_small)(x, 7, NV / 2, k, NULL, mean, factor, log_norm, logd); continue;
        case 8: NAME(triangular_small)(x, 8, NV / 2, k, NULL, mean, factor, log_norm, logd); continue;
        default: break;
        }
        for (ptrdiff_t c = 0; c < k; c++, mean += d, logd += G) {
            V norm[NV];
            for (int v = 0; v < NV; v++) norm[v] = ZERO;
            for (ptrdiff_t j = 0; j < d; j++)
                for (int v = 0; v < NV; v++) STORE(z + j * G + v * W, LOAD(x + j * G + v * W) - mean[j]);
            for (ptrdiff_t i = 0; i < d; i += 4)
                factor = NAME(whiten_norm)(z, i + 4 < d ? i + 4 : d, NV, d - i, factor, norm);
            for (int v = 0; v < NV; v++) NAME(store_density)(logd + v * W, log_norm[c], norm[v]);
        }
    }
}

/* `tile` components at once share each load of x; the squared norm of s·x − m (diagonal: scale and means (k,d)), or of
 * x − m (isotropic: scale is not used). */
static inline __attribute__((always_inline)) void NAME(axis_norms)(const REAL *x, ptrdiff_t d, const int tile,
                                                                   const int isotropic, const REAL *mean,
                                                                   const REAL *scale, V norm[4][NV]) {
    for (int c = 0; c < tile; c++)
        for (int v = 0; v < NV; v++) norm[c][v] = ZERO;
    for (ptrdiff_t j = 0; j < d; j++, x += G)
        for (int v = 0; v < NV; v++) {
            const V xv = LOAD(x + v * W);
            for (int c = 0; c < tile; c++) {
                V z = xv;
                if (!isotropic) z *= scale[c * d + j];
                z -= mean[c * d + j];
                norm[c][v] += z * z;
            }
        }
}

/* Their log-densities; isotropic: scale (k,). */
static inline __attribute__((always_inline)) void NAME(axis_tile)(const REAL *x, ptrdiff_t d, const int tile,
                                                                  const int isotropic, const REAL *mean,
                                                                  const REAL *scale, const REAL *log_norm,
                                                                  REAL *logd) {
    V norm[4][NV];
    NAME(axis_norms)(x, d, tile, isotropic, mean, scale, norm);
    for (int c = 0; c < tile; c++)
        for (int v = 0; v < NV; v++) {
            const REAL s = isotropic ? scale[c] : 1;
            NAME(store_density)(logd + c * G + v * W, log_norm[c], norm[c][v] * s * s);
        }
}

static inline __attribute__((always_inline)) void NAME(axis_form)(const REAL *panel, ptrdiff_t rows,
                                                                  const cgmm_mixture *mixture,
                                                                  const int isotropic, REAL *logd_) {
    const ptrdiff_t d = mixture->d, k = mixture->k, step = isotropic ? 1 : d;
    const REAL *means = mixture->means, *scale = mixture->factor, *log_norm = mixture->log_norm;
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

static void NAME(densities_of)(const void *panel, const cgmm_mixture *mixture, const ptrdiff_t *numbers, ptrdiff_t count,
                               void *logd_) {
    const ptrdiff_t d = mixture->d;
    const int isotropic = mixture->form == CGMM_ISOTROPIC;
    const REAL *x = panel, *means = mixture->means, *factor = mixture->factor, *log_norm = mixture->log_norm;
    REAL *logd = logd_;
#define SMALL(d, step) case d: NAME(triangular_small)(x, d, step, count, numbers, means, factor, log_norm, logd); return;
    switch (mixture->form == CGMM_TRIANGULAR ? d : 0) {
        SMALL(1, NV) SMALL(2, NV) SMALL(3, NV) SMALL(4, NV)
        SMALL(5, NV / 2) SMALL(6, NV / 2) SMALL(7, NV / 2) SMALL(8, NV / 2)
    default: break;
    }
#undef SMALL
    for (ptrdiff_t q = 0; q < count; q++, logd += G) {
        const ptrdiff_t c = numbers[q];
        if (isotropic)
            NAME(axis_tile)(x, d, 1, 1, means + c * d, factor + c, log_norm + c, logd);
        else
            NAME(axis_tile)(x, d, 1, 0, means + c * d, factor + c * d, log_norm + c, logd);
    }
}

/* `tile` components at once share each load of x, and what is known of it. */
static inline __attribute__((always_inline)) void NAME(masked_tile)(const REAL *x, ptrdiff_t d, const int tile,
                                                                    const REAL *mean, const REAL *scale,
                                                                    const REAL *log_scale, const REAL *log_norm,
                                                                    REAL *logd) {
    V sum[4][NV];
    for (int c = 0; c < tile; c++)
        for (int v = 0; v < NV; v++) sum[c][v] = ZERO;
    for (ptrdiff_t j = 0; j < d; j++, x += G)
        for (int v = 0; v < NV; v++) {
            const V xv = LOAD(x + v * W);
            const VI known = xv == xv;
            for (int c = 0; c < tile; c++) {
                const V z = xv * scale[c * d + j] - mean[c * d + j];
                sum[c][v] += SELECT(known, log_scale[c * d + j] - (REAL)0.5 * z * z, ZERO);
            }
        }
    for (int c = 0; c < tile; c++)
        for (int v = 0; v < NV; v++) STORE(logd + c * G + v * W, log_norm[c] + VMAX(sum[c][v], ZERO - BIG));
}

static void NAME(masked)(const REAL *panel, ptrdiff_t rows, const cgmm_mixture *mixture, REAL *logd_) {
    const ptrdiff_t d = mixture->d, k = mixture->k;
    const REAL *means = mixture->means, *scale = mixture->factor, *log_scale = mixture->log_scale,
               *log_norm = mixture->log_norm;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *x = panel + g * cgmm_pad4(d) * G;
        REAL *logd = logd_ + g * cgmm_pad4(k) * G;
        ptrdiff_t c = 0;
        for (; c + 4 <= k; c += 4)
            NAME(masked_tile)(x, d, 4, means + c * d, scale + c * d, log_scale + c * d, log_norm + c, logd + c * G);
        for (; c < k; c++)
            NAME(masked_tile)(x, d, 1, means + c * d, scale + c * d, log_scale + c * d, log_norm + c, logd + c * G);
    }
}

static void NAME(densities)(const void *panel, ptrdiff_t rows, const cgmm_mixture *mixture, void *z, void *logd) {
    switch (mixture->form) {
    case CGMM_TRIANGULAR: NAME(triangular)(panel, rows, mixture, z, logd); break;
    case CGMM_DIAGONAL: NAME(axis_form)(panel, rows, mixture, 0, logd); break;
    case CGMM_ISOTROPIC: NAME(axis_form)(panel, rows, mixture, 1, logd); break;
    case CGMM_MASKED: NAME(masked)(panel, rows, mixture, logd); break;
    case CGMM_COVARIANCES:
    case CGMM_VARIANCES: break; /* of rows with errors: errors_densities */
    }
}

/* IN/OUT e, a group of a panel: exp(e − top), top (NV vectors) the largest of each row; OUT their sums over the components. */
static inline __attribute__((always_inline)) void NAME(exponentials)(ptrdiff_t k, REAL *e, V *top, V *sum) {
    for (int v = 0; v < NV; v++) top[v] = LOAD(e + v * W), sum[v] = ZERO;
    for (ptrdiff_t c = 1; c < k; c++)
        for (int v = 0; v < NV; v++) top[v] = VMAX(top[v], LOAD(e + c * G + v * W));
    for (ptrdiff_t c = 0; c < k; c++)
        for (int v = 0; v < NV; v++) {
            const V each = NAME(exp)(LOAD(e + c * G + v * W) - top[v]);
            STORE(e + c * G + v * W, each);
            sum[v] += each;
        }
}

static double NAME(softmax)(ptrdiff_t rows, ptrdiff_t k, const void *row_weights_, void *logd_, void *lse_,
                            void *scale_) {
    const REAL *row_weights = row_weights_;
    REAL *lse = lse_, *scale = scale_;
    double total[8] = {0};
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        REAL *logd = (REAL *)logd_ + g * cgmm_pad4(k) * G;
        V top[NV], sum[NV];
        NAME(exponentials)(k, logd, top, sum);
        for (int v = 0; v < NV; v++) STORE(scale + g * G + v * W, (REAL)1 / sum[v]);
        NAME(log_each)(sum, NV);
        for (int v = 0; v < NV; v++) STORE(lse + g * G + v * W, top[v] + sum[v]);
    }
    const ptrdiff_t padded = GROUPS(rows) * G;
    ptrdiff_t i = 0;
    for (; i + 8 <= padded; i += 8)
        for (int l = 0; l < 8; l++) total[l] += (double)row_weights[i + l] * (double)lse[i + l];
    for (; i < padded; i++) total[i & 7] += (double)row_weights[i] * (double)lse[i];
    return ((total[0] + total[1]) + (total[2] + total[3])) + ((total[4] + total[5]) + (total[6] + total[7]));
}

/* The sums of a group's rows are multiplied before a logarithm is taken of them: each is at least 1 and at most k, so that
 * a product of NV ≤ 4 is a number of either type. */
static double NAME(shares)(ptrdiff_t rows, ptrdiff_t k, double weight, void *logd_) {
    const ptrdiff_t width = cgmm_pad4(k);
    WIDE total = {0};
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        REAL *e = (REAL *)logd_ + g * width * G;
        const ptrdiff_t filled = rows - g * G;
        V top[NV], sum[NV], product = ZERO + (REAL)1;
        NAME(exponentials)(k, e, top, sum);
        V scale[NV];
        for (int v = 0; v < NV; v++) scale[v] = (REAL)weight / sum[v];
        if (filled < G) { /* what is past the last row is none */
            REAL lanes[3][G];
            memcpy(lanes[0], top, sizeof top), memcpy(lanes[1], sum, sizeof sum), memcpy(lanes[2], scale, sizeof scale);
            for (ptrdiff_t l = filled; l < G; l++) lanes[0][l] = 0, lanes[1][l] = 1, lanes[2][l] = 0;
            memcpy(top, lanes[0], sizeof top), memcpy(sum, lanes[1], sizeof sum), memcpy(scale, lanes[2], sizeof scale);
        }
        for (int v = 0; v < NV; v++) {
            product *= sum[v];
            total += __builtin_convertvector(top[v], WIDE);
        }
        NAME(log_each)(&product, 1);
        total += __builtin_convertvector(product, WIDE);
        for (ptrdiff_t c = 0; c < k; c++)
            for (int v = 0; v < NV; v++) STORE(e + c * G + v * W, LOAD(e + c * G + v * W) * scale[v]);
        NAME(pad)(e + k * G, width - k);
    }
    return NAME(sum_wide)(&total);
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

/* Sums over rows are added up in so many lanes. */
#define SUM_LANES (W > 8 ? W : 8)

static inline double NAME(sum_lanes)(const double *total) {
    double by_eight[8];
    for (ptrdiff_t l = 0; l < 8; l++) by_eight[l] = SUM_LANES == 16 ? total[l] + total[l + SUM_LANES - 8] : total[l];
    return ((by_eight[0] + by_eight[1]) + (by_eight[2] + by_eight[3])) +
           ((by_eight[4] + by_eight[5]) + (by_eight[6] + by_eight[7]));
}

/* `closer` of `tile` candidates, up to four, which share each load of a row. */
static inline __attribute__((always_inline)) void NAME(closer_tile)(const REAL *panel, ptrdiff_t rows, ptrdiff_t d,
                                                                    const int tile, const REAL *means,
                                                                    const double *closest, const double *row_weights,
                                                                    ptrdiff_t n, double *out, double *sums) {
    enum { PARTS = SUM_LANES / W };
    WIDE total[4][PARTS];
    for (int c = 0; c < tile; c++)
        for (int p = 0; p < PARTS; p++) total[c][p] = (WIDE){0};
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++, panel += cgmm_pad4(d) * G) {
        V norm[4][NV];
        NAME(axis_norms)(panel, d, tile, 1, means, NULL, norm);
        for (int v = 0; v < NV; v++) {
            const ptrdiff_t i = g * G + v * W, filled = rows - i < W ? rows - i : W;
            if (filled <= 0) break;
            const double *known = closest + i, *weights = row_weights ? row_weights + i : NULL;
            double last[2][W];
            if (filled < W) { /* of the others neither counts */
                for (ptrdiff_t l = 0; l < W; l++) {
                    last[0][l] = l < filled ? known[l] : 0;
                    last[1][l] = l < filled && weights ? weights[l] : l < filled;
                }
                known = last[0], weights = last[1];
            }
            WIDE far, counts = {0};
            memcpy(&far, known, sizeof far);
            if (weights) memcpy(&counts, weights, sizeof counts);
            const V limit = VMIN(__builtin_convertvector(far, V), ZERO + BIG);
            for (int c = 0; c < tile; c++) {
                const WIDE nearer = __builtin_convertvector(VMIN(norm[c][v], limit), WIDE);
                total[c][v % PARTS] += weights ? counts * nearer : nearer;
                if (out && filled == W)
                    memcpy(out + c * n + i, &nearer, sizeof nearer);
                else if (out)
                    memcpy(out + c * n + i, &nearer, sizeof(double) * (size_t)filled);
            }
        }
    }
    for (int c = 0; c < tile; c++) {
        double lanes[SUM_LANES];
        memcpy(lanes, total[c], sizeof lanes);
        sums[c] += NAME(sum_lanes)(lanes);
    }
}

static void NAME(closer)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                         const double *closest, const double *row_weights, ptrdiff_t n, double *out, double *sums) {
    const REAL *means = means_;
    for (ptrdiff_t c = 0; c < k; c += 4) {
#define CLOSER(count) \
    NAME(closer_tile)(panel, rows, d, count, means + c * d, closest, row_weights, n, out ? out + c * n : NULL, sums + c)
        UP_TO_FOUR(k - c, CLOSER)
#undef CLOSER
    }
}

static double NAME(row_sum)(ptrdiff_t rows, const double *restrict values, const double *restrict row_weights) {
    double weights[SUM_LANES], total[SUM_LANES];
    for (ptrdiff_t l = 0; l < SUM_LANES; l++) weights[l] = 1, total[l] = 0;
    for (ptrdiff_t i = 0; i < rows; i += SUM_LANES) {
        const ptrdiff_t filled = rows - i < SUM_LANES ? rows - i : SUM_LANES;
        if (row_weights) memcpy(weights, row_weights + i, sizeof(double) * (size_t)filled);
        if (filled == SUM_LANES)
            for (ptrdiff_t l = 0; l < SUM_LANES; l++) total[l] += weights[l] * values[i + l];
        else
            for (ptrdiff_t l = 0; l < filled; l++) total[l] += weights[l] * values[i + l];
    }
    return NAME(sum_lanes)(total);
}

static double NAME(nearer)(const double *restrict rows, ptrdiff_t d, const double *restrict middle, const void *mean_,
                           const double *restrict closest, const double *restrict weights, double *restrict out) {
    const REAL *mean = mean_;
    REAL norm[CGMM_NEARBY] = {0};
    double gain[8] = {0};
    for (ptrdiff_t j = 0; j < d; j++, rows += CGMM_NEARBY)
        for (ptrdiff_t l = 0; l < CGMM_NEARBY; l++) {
            const REAL z = (REAL)(rows[l] - middle[j]) - mean[j];
            norm[l] += z * z;
        }
    for (ptrdiff_t g = 0; g < CGMM_NEARBY; g += 8)
        for (ptrdiff_t l = 0; l < 8; l++) {
            const double distance = norm[g + l] < BIG ? (double)norm[g + l] : (double)BIG;
            out[g + l] = distance < closest[g + l] ? distance : closest[g + l];
            gain[l] += (weights ? weights[g + l] : 1) * (closest[g + l] - out[g + l]);
        }
    return ((gain[0] + gain[1]) + (gain[2] + gain[3])) + ((gain[4] + gain[5]) + (gain[6] + gain[7]));
}
