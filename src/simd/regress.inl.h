/* Regressions of components, which rows share: what is expected of some features where others are given. Part of
 * kernels.inl.h; all double. Vectors are rows, slopes are broadcast; two targets at a time, so that own and total means of
 * a group stay in registers. */
#if DOUBLE
/* Targets q … q + tile of a group: with r totals, else each component's own. */
static inline __attribute__((always_inline)) void NAME(regress_tile)(const REAL *x, const cgmm_regression *of, const REAL *r,
                                                                    ptrdiff_t q, const int tile, REAL *found) {
    const ptrdiff_t p = of->p, m = of->m;
    V total[2][NV];
    for (int t = 0; t < tile; t++)
        for (int v = 0; v < NV; v++) total[t][v] = ZERO;
    for (ptrdiff_t c = 0; c < of->k; c++) {
        const double *centre = of->centres + c * p, *slope = of->slopes + c * of->step + q, *mean = of->means + c * m + q;
        V own[2][NV];
        for (int t = 0; t < tile; t++)
            for (int v = 0; v < NV; v++) own[t][v] = ZERO + mean[t];
        for (ptrdiff_t j = 0; j < p; j++, slope += m)
            for (int v = 0; v < NV; v++) {
                const V away = LOAD(x + j * G + v * W) - centre[j];
                for (int t = 0; t < tile; t++) own[t][v] += away * slope[t];
            }
        for (int t = 0; t < tile; t++)
            for (int v = 0; v < NV; v++) {
                if (r)
                    total[t][v] += LOAD(r + c * G + v * W) * own[t][v];
                else
                    STORE(found + (c * m + q + t) * G + v * W, own[t][v]);
            }
    }
    for (int t = 0; t < tile && r; t++)
        for (int v = 0; v < NV; v++) STORE(found + (q + t) * G + v * W, total[t][v]);
}

static void NAME(regress)(const void *panel, ptrdiff_t rows, const cgmm_regression *of, const void *r_, ptrdiff_t width,
                          void *found_) {
    const REAL *x = panel, *r = r_;
    REAL *found = found_;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        ptrdiff_t q = 0;
        for (; q + 2 <= of->m; q += 2) NAME(regress_tile)(x, of, r, q, 2, found);
        if (q < of->m) NAME(regress_tile)(x, of, r, q, 1, found);
        x += cgmm_pad4(of->d) * G;
        found += width * G;
        if (r) r += cgmm_pad4(of->k) * G;
    }
}

static void NAME(regress_spread)(const void *panel, ptrdiff_t rows, const cgmm_regression *of, const void *r_,
                                 const double *covariances, ptrdiff_t size, void *scratch, void *found_) {
    const ptrdiff_t p = of->p, m = of->m;
    V *const away = scratch;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
        for (int v = 0; v < NV; v++) {
            const REAL *x = (const REAL *)panel + g * cgmm_pad4(of->d) * G + v * W;
            const REAL *r = (const REAL *)r_ + g * cgmm_pad4(of->k) * G + v * W;
            REAL *mean = (REAL *)found_ + g * (m + size) * G + v * W, *spread = mean + m * G;
            for (ptrdiff_t s = 0; s < size; s++) STORE(spread + s * G, ZERO);
            for (ptrdiff_t c = 0; c < of->k; c++) {
                const V share = LOAD(r + c * G);
                const double *centre = of->centres + c * p, *own = covariances + c * size;
                if (!VANY(share - (REAL)CGMM_NOTHING)) continue;
                for (ptrdiff_t q = 0; q < m; q++) {
                    const double *slope = of->slopes + c * of->step + q;
                    V at = ZERO + of->means[c * m + q];
                    for (ptrdiff_t j = 0; j < p; j++) at += (LOAD(x + j * G) - centre[j]) * slope[j * m];
                    away[q] = at - LOAD(mean + q * G);
                }
                ptrdiff_t s = 0;
                for (ptrdiff_t i = 0; i < m; i++)
                    for (ptrdiff_t j = size == m ? i : 0; j <= i; j++, s++)
                        STORE(spread + s * G,
                              LOAD(spread + s * G) + SELECT(share > 0, share * own[s] + share * away[i] * away[j], ZERO));
            }
        }
}
#endif
