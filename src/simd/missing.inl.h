/* Moments of rows some of whose values are missing, and conditional distributions. Part of kernels.inl.h. */
/* Four features from one on, as many as are `left`, and a component: first += Σ r (x − μ), second += Σ r (x − μ)², of
 * the missing Σ r variance. */
static inline void NAME(masked_moments)(const REAL *x, ptrdiff_t x_step, const REAL *r, ptrdiff_t r_step,
                                        ptrdiff_t groups, ptrdiff_t left, const REAL *mean, const REAL *variance,
                                        double *first, double *second) {
    V sum[16];
    REAL mu[4], spare[4];
    double folded[16] = {0};
    for (int q = 0; q < 16; q++) sum[q] = ZERO;
    for (int q = 0; q < 4; q++) mu[q] = q < left ? mean[q] : 0, spare[q] = q < left ? variance[q] : 0;
    for (ptrdiff_t g = 0; g < groups; g++, x += x_step, r += r_step)
        for (int v = 0; v < NV; v++) {
            const V rv = LOAD(r + v * W);
            for (int q = 0; q < 4; q++) {
                const V z = LOAD(x + q * G + v * W) - mu[q];
                const VI known = z == z;
                sum[q] += SELECT(known, rv * z, ZERO);
                sum[4 + q] += rv * SELECT(known, z * z, ZERO + spare[q]);
            }
        }
    NAME(fold_add)(sum, 8, folded);
    for (int q = 0; q < 4 && q < left; q++) {
        first[q] += folded[q];
        second[q] += folded[4 + q];
    }
}

/* Features outside, components inside, as moments_diag. */
static void NAME(moments_masked)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means_,
                                 const void *variances_, const void *r_, double *n_k, double *first, double *second) {
    NAME(masses)(r_, rows, k, NULL, NULL, n_k);
    for (ptrdiff_t j = 0; j < d; j += 4)
        for (ptrdiff_t c = 0; c < k; c++) {
            const ptrdiff_t at = c * d + j;
            const REAL *panel = panel_, *r = r_, *means = means_, *variances = variances_;
            NAME(masked_moments)(panel + j * G, cgmm_pad4(d) * G, r + c * G, cgmm_pad4(k) * G, GROUPS(rows), d - j,
                                 means + at, variances + at, first + at, second + at);
        }
}

#if DOUBLE
/* Rows i ≤ j of A from the first that has something in column j on, reflected so that all of it comes to row j. What
 * these rows have beyond column j is zero, and stays so: whole vectors can be taken. */
static void NAME(reflect)(ptrdiff_t stride, ptrdiff_t j, double *A, double *v) {
    ptrdiff_t start = 0;
    double largest = 0, norm = 0;
    while (start < j && A[start * stride + j] == 0) start++;
    if (start == j) return;
    for (ptrdiff_t i = start; i <= j; i++) {
        const double size = fabs(A[i * stride + j]);
        largest = size > largest ? size : largest;
    }
    for (ptrdiff_t i = start; i <= j; i++) {
        v[i] = A[i * stride + j] / largest;
        norm += v[i] * v[i];
        A[i * stride + j] = 0;
    }
    norm = copysign(sqrt(norm), v[j]);
    const double pivot = -norm * largest, scale = 1 / (norm * (norm + v[j]));
    v[j] += norm;
    for (ptrdiff_t q = 0; q < j; q += W) {
        V sum = ZERO;
        for (ptrdiff_t i = start; i <= j; i++) sum += v[i] * LOAD(A + i * stride + q);
        sum *= scale;
        for (ptrdiff_t i = start; i <= j; i++) STORE(A + i * stride + q, LOAD(A + i * stride + q) - v[i] * sum);
    }
    A[j * stride + j] = pivot;
}

static double NAME(condition)(ptrdiff_t d, ptrdiff_t p, const ptrdiff_t *columns, const double *P, double *A, double *v) {
    const ptrdiff_t stride = cgmm_pad8(d);
    double log_det = 0;
    for (ptrdiff_t i = 0; i < d; i++) {
        for (ptrdiff_t q = 0; q < d; q++) A[i * stride + q] = P[i * d + columns[q]];
        for (ptrdiff_t q = d; q < stride; q++) A[i * stride + q] = 0;
    }
    for (ptrdiff_t j = d - 1; j > 0; j--) NAME(reflect)(stride, j, A, v);
    for (ptrdiff_t j = 0; j < p; j++) log_det += log(fabs(A[j * stride + j]));
    for (ptrdiff_t i = p; i < d; i++) { /* S [B K] = [−R I], from the first row down */
        double *row = A + i * stride;
        for (ptrdiff_t q = p; q <= i; q++) {
            v[q] = row[q];
            row[q] = q == i ? -1 : 0;
        }
        for (ptrdiff_t q = 0; q <= i; q += W) {
            V sum = LOAD(row + q);
            for (ptrdiff_t j = p; j < i; j++) sum += v[j] * LOAD(A + j * stride + q);
            STORE(row + q, sum / -v[i]);
        }
    }
    return log_det;
}

static void NAME(complete)(ptrdiff_t d, ptrdiff_t p, const double *A, double mass, double *v, double *S) {
    const ptrdiff_t stride = cgmm_pad8(d);
    for (ptrdiff_t i = p; i < d; i++) {
        const double *given = A + i * stride;
        double *row = S + i * stride;
        for (ptrdiff_t q = 0; q < p; q += W) {
            V sum = ZERO;
            for (ptrdiff_t j = 0; j < p; j++) sum += given[j] * LOAD(S + j * stride + q);
            STORE(row + q, sum);
        }
        for (ptrdiff_t q = 0; q < stride; q++) v[q] = q < p ? row[q] : mass * given[q];
        for (ptrdiff_t j = p; j <= i; j++) { /* [B S_oo, mass K] [B, K]ᵀ */
            V sum = ZERO;
            for (ptrdiff_t q = 0; q <= j; q += W) sum += LOAD(v + q) * LOAD(A + j * stride + q);
            row[j] = NAME(sum)(sum);
        }
    }
}
#endif
