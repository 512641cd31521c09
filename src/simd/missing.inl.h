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
    NAME(masses)(r_, rows, k, NULL, n_k);
    for (ptrdiff_t j = 0; j < d; j += 4)
        for (ptrdiff_t c = 0; c < k; c++) {
            const ptrdiff_t at = c * d + j;
            const REAL *panel = panel_, *r = r_, *means = means_, *variances = variances_;
            NAME(masked_moments)(panel + j * G, cgmm_pad4(d) * G, r + c * G, cgmm_pad4(k) * G, GROUPS(rows), d - j,
                                 means + at, variances + at, first + at, second + at);
        }
}

/* Rows i ≤ j of A from the first that has something in column j on, reflected so that all of it comes to row j. */
static void NAME(reflect)(ptrdiff_t d, ptrdiff_t j, double *restrict A, double *restrict v, double *restrict w) {
    ptrdiff_t start = 0;
    double largest = 0, norm = 0;
    while (start < j && A[start * d + j] == 0) start++;
    if (start == j) return;
    for (ptrdiff_t i = start; i <= j; i++) largest = fabs(A[i * d + j]) > largest ? fabs(A[i * d + j]) : largest;
    for (ptrdiff_t i = start; i <= j; i++) {
        v[i] = A[i * d + j] / largest;
        norm += v[i] * v[i];
        A[i * d + j] = 0;
    }
    norm = sqrt(norm);
    A[j * d + j] = -copysign(norm, v[j]) * largest;
    const double scale = 1 / (norm * (norm + fabs(v[j])));
    v[j] += copysign(norm, v[j]);
    for (ptrdiff_t q = 0; q < j; q++) w[q] = 0;
    for (ptrdiff_t i = start; i <= j; i++) {
        const double *row = A + i * d;
        for (ptrdiff_t q = 0; q < j; q++) w[q] += v[i] * row[q];
    }
    for (ptrdiff_t i = start; i <= j; i++) {
        double *row = A + i * d;
        const double factor = scale * v[i];
        for (ptrdiff_t q = 0; q < j; q++) row[q] -= factor * w[q];
    }
}

static double NAME(condition)(ptrdiff_t d, ptrdiff_t p, const ptrdiff_t *columns, const double *P, double *restrict A,
                              double *restrict v) {
    double log_det = 0;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t q = 0; q < d; q++) A[i * d + q] = P[i * d + columns[q]];
    for (ptrdiff_t j = d - 1; j > 0; j--) NAME(reflect)(d, j, A, v, v + d);
    for (ptrdiff_t j = 0; j < p; j++) log_det += log(fabs(A[j * d + j]));
    for (ptrdiff_t i = p; i < d; i++) { /* S [B K] = [−R I], from the first row down */
        double *row = A + i * d;
        for (ptrdiff_t q = 0; q < p; q++) row[q] = -row[q];
        for (ptrdiff_t q = p; q <= i; q++) {
            v[q] = row[q];
            row[q] = q == i;
        }
        for (ptrdiff_t j = p; j < i; j++) {
            const double *above = A + j * d;
            for (ptrdiff_t q = 0; q <= j; q++) row[q] -= v[j] * above[q];
        }
        for (ptrdiff_t q = 0; q <= i; q++) row[q] /= v[i];
    }
    return log_det;
}

static void NAME(complete)(ptrdiff_t d, ptrdiff_t p, const double *A, double mass, double *restrict S) {
    for (ptrdiff_t i = p; i < d; i++) {
        const double *B = A + i * d;
        double *row = S + i * d;
        for (ptrdiff_t q = 0; q < p; q++) row[q] = 0;
        for (ptrdiff_t j = 0; j < p; j++)
            for (ptrdiff_t q = 0; q < p; q++) row[q] += B[j] * S[j * d + q];
        for (ptrdiff_t j = p; j <= i; j++) {
            const double *other = A + j * d;
            double about = 0, spread = 0;
            for (ptrdiff_t q = 0; q < p; q++) about += row[q] * other[q];
            for (ptrdiff_t q = p; q <= j; q++) spread += B[q] * other[q];
            row[j] = about + mass * spread;
        }
    }
}
