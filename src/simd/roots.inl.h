/* Roots of covariances of many features, by strips. Part of kernels.inl.h.
 *
 * [Σ I] is eliminated from the first row down, Σ = Uᵀ U: U and P = U⁻ᵀ arise side by side, for a row of either is what is
 * left of it once the rows above are subtracted, over its pivot. Both are kept as strips of G columns, REAL [row][G]: what
 * a product reads is contiguous, whatever d is, and its tile is that of the densities, 4 rows × NV vectors. A strip takes
 * CGMM_ROOT_BLOCK rows at a time, from as many rows above at a time, so that both pieces stay in L1. */
#if DOUBLE
#define STRIP(s) (strips + (s) * (d + G) * G)
#define ROW_OF_P(p) ((p) + G) /* the rows of U in a strip end before */
#define U_AT(p, i) (STRIP((i) / G) + (p) * G + (i) % G)

/* The next `m` ≤ 4 rows of a strip −= Σ_p u[p][a] above[p]. */
static inline __attribute__((always_inline)) void NAME(less_products)(const double *u, const double *above,
                                                                      ptrdiff_t count, const int m, double *rows) {
    V y[4][NV];
    for (int a = 0; a < m; a++)
        for (int v = 0; v < NV; v++) y[a][v] = LOAD(rows + a * G + v * W);
    for (ptrdiff_t p = 0; p < count; p++, u += G, above += G) {
        V x[NV];
        for (int v = 0; v < NV; v++) x[v] = LOAD(above + v * W);
        for (int a = 0; a < m; a++)
            for (int v = 0; v < NV; v++) y[a][v] -= u[a] * x[v];
    }
    for (int a = 0; a < m; a++)
        for (int v = 0; v < NV; v++) STORE(rows + a * G + v * W, y[a][v]);
}

/* Row a of the `rows` from row i on of a strip, of which those above have been taken from it: less the a rows between,
 * over its pivot, of which `pivots` has the inverse. u: column i of U, from row i on. */
static inline void NAME(finish_row)(const double *u, ptrdiff_t a, double inverse, double *rows) {
    for (int v = 0; v < NV; v++) {
        V y = LOAD(rows + a * G + v * W);
        for (ptrdiff_t b = 0; b < a; b++) y -= u[b * G + a] * LOAD(rows + b * G + v * W);
        STORE(rows + a * G + v * W, y * inverse);
    }
}

/* Rows begin … end of a strip, of a block of rows of [Σ I] whose first is `top`. B: where row 0 of the strip would be;
 * from row `first` on there is something in it. */
static void NAME(eliminate)(ptrdiff_t d, ptrdiff_t top, ptrdiff_t first, ptrdiff_t begin, ptrdiff_t end,
                            const double *strips, const double *pivots, double *B) {
    for (ptrdiff_t p = first; p < top; p += CGMM_ROOT_BLOCK) {
        const ptrdiff_t count = p + CGMM_ROOT_BLOCK < top ? CGMM_ROOT_BLOCK : top - p;
        for (ptrdiff_t i = begin; i < end; i += 4) {
#define LESS(m) NAME(less_products)(U_AT(p, i), B + p * G, count, m, B + i * G)
            UP_TO_FOUR(end - i, LESS)
#undef LESS
        }
    }
    for (ptrdiff_t i = begin; i < end; i += 4) {
        const ptrdiff_t p = first > top ? first : top;
#define LESS(m) NAME(less_products)(U_AT(p, i), B + p * G, i - p, m, B + i * G)
        UP_TO_FOUR(end - i, LESS)
#undef LESS
        for (ptrdiff_t a = 0; a < 4 && i + a < end; a++)
            NAME(finish_row)(U_AT(i, i), a, pivots[i + a], B + i * G);
    }
}

static ptrdiff_t NAME(root_strips)(ptrdiff_t d) { return (d + G - 1) / G; }

static void NAME(root_load)(ptrdiff_t d, ptrdiff_t s, const double *covariance, const double *diagonal,
                            double *strips) {
    const ptrdiff_t first = s * G, end = first + G < d ? first + G : d;
    double *U = STRIP(s), *P = U + ROW_OF_P(first) * G;
    memset(U, 0, sizeof(double) * (size_t)(end * G));
    memset(P, 0, sizeof(double) * (size_t)((d - first) * G));
    for (ptrdiff_t p = 0; p < end; p += 8) /* as many rows as a cache line has columns of the other triangle */
        for (ptrdiff_t q = first > p ? first : p; q < end; q++)
            for (ptrdiff_t r = p; r < p + 8 && r <= q; r++) U[r * G + q - first] = covariance[q * d + r];
    for (ptrdiff_t q = 0; q < end - first; q++) {
        P[q * G + q] = 1;
        if (diagonal) U[(first + q) * G + q] = diagonal[first + q];
    }
}

static int NAME(root_pivots)(ptrdiff_t d, ptrdiff_t block, double *strips, double *pivots) {
    const ptrdiff_t top = block * CGMM_ROOT_BLOCK, last = top + CGMM_ROOT_BLOCK < d ? top + CGMM_ROOT_BLOCK : d;
    for (ptrdiff_t first = top; first < last; first += G) {
        const ptrdiff_t end = first + G < last ? first + G : last;
        double *B = STRIP(first / G);
        NAME(eliminate)(d, top, 0, top, first, strips, pivots, B);
        for (ptrdiff_t i = first; i < end; i += 4) {
#define LESS(m) NAME(less_products)(U_AT(0, i), B, i, m, B + i * G)
            UP_TO_FOUR(end - i, LESS)
#undef LESS
            for (ptrdiff_t a = 0; a < 4 && i + a < end; a++) {
                NAME(finish_row)(U_AT(i, i), a, 1, B + i * G);
                const double pivot = sqrt(*U_AT(i + a, i + a));
                if (!(pivot > 0 && pivot <= DBL_MAX)) return 0;
                pivots[i + a] = 1 / pivot;
                for (int v = 0; v < NV; v++)
                    STORE(B + (i + a) * G + v * W, LOAD(B + (i + a) * G + v * W) * pivots[i + a]);
            }
        }
    }
    return 1;
}

static void NAME(root_eliminate)(ptrdiff_t d, ptrdiff_t block, ptrdiff_t s, double *strips, const double *pivots) {
    const ptrdiff_t top = block * CGMM_ROOT_BLOCK, end = top + CGMM_ROOT_BLOCK < d ? top + CGMM_ROOT_BLOCK : d;
    const ptrdiff_t first = s * G;
    if (first >= end)
        NAME(eliminate)(d, top, 0, top, end, strips, pivots, STRIP(s));
    else
        NAME(eliminate)(d, top, first, first > top ? first : top, end, strips, pivots, STRIP(s) + ROW_OF_P(0) * G);
}

static int NAME(root_store)(ptrdiff_t d, ptrdiff_t s, const double *strips, double *P, double *squares) {
    const ptrdiff_t first = s * G, width = first + G < d ? G : d - first;
    const double *B = STRIP(s) + ROW_OF_P(0) * G;
    V sum[NV];
    double sums[G] __attribute__((aligned(64)));
    double total = 0;
    for (int v = 0; v < NV; v++) sum[v] = ZERO;
    for (ptrdiff_t i = 0; i < first; i++) memset(P + i * d + first, 0, sizeof(double) * (size_t)width);
    for (ptrdiff_t i = first; i < d; i++) {
        memcpy(P + i * d + first, B + i * G, sizeof(double) * (size_t)width);
        for (int v = 0; v < NV; v++) {
            const V p = LOAD(B + i * G + v * W);
            sum[v] += p * p;
        }
    }
    for (int v = 0; v < NV; v++) STORE(sums + v * W, sum[v]);
    for (ptrdiff_t q = 0; q < width; q++) total += squares[first + q] = sums[q];
    if (total <= DBL_MAX) return 1;
    for (ptrdiff_t i = first; i < d; i++) /* or only the squares are too large */
        for (ptrdiff_t q = 0; q < width; q++)
            if (!(fabs(B[i * G + q]) <= DBL_MAX)) return 0;
    return 1;
}
static void NAME(root_factor)(ptrdiff_t d, ptrdiff_t s, const double *strips, double *L) {
    const ptrdiff_t first = s * G, end = first + G < d ? first + G : d;
    const double *U = STRIP(s);
    for (ptrdiff_t q = first; q < end; q++)
        for (ptrdiff_t p = 0; p < d; p++) L[q * d + p] = p <= q ? U[p * G + q - first] : 0;
}
#undef STRIP
#undef ROW_OF_P
#undef U_AT
#endif
