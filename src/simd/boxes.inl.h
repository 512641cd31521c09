/* Boxes around rows and around centres, and how far they are apart. Part of kernels.inl.h. */
static void NAME(box)(const void *panel_, ptrdiff_t first, ptrdiff_t last, ptrdiff_t d, void *low_, void *high_) {
    const REAL *panel = panel_;
    REAL *low = low_, *high = high_;
    const ptrdiff_t width = cgmm_pad4(d) * G;
    if (first == 0 && last == G) { /* one group, whole */
        for (ptrdiff_t j = 0; j < d; j++) {
            V least = LOAD(panel + j * G), most = least;
            REAL lows[LANES_IN_VECTOR], highs[LANES_IN_VECTOR];
            for (int v = 1; v < NV; v++) {
                least = VMIN(LOAD(panel + j * G + v * W), least);
                most = VMAX(LOAD(panel + j * G + v * W), most);
            }
            memcpy(lows, &least, sizeof least);
            memcpy(highs, &most, sizeof most);
            low[j] = lows[0], high[j] = highs[0];
            for (ptrdiff_t l = 1; l < W; l++) {
                low[j] = lows[l] < low[j] ? lows[l] : low[j];
                high[j] = highs[l] > high[j] ? highs[l] : high[j];
            }
        }
        return;
    }
    for (ptrdiff_t j = 0; j < d; j++) low[j] = high[j] = panel[first / G * width + j * G + first % G];
    for (ptrdiff_t i = first + 1; i < last; i++) {
        const REAL *x = panel + i / G * width + i % G;
        for (ptrdiff_t j = 0; j < d; j++) {
            low[j] = x[j * G] < low[j] ? x[j * G] : low[j];
            high[j] = x[j * G] > high[j] ? x[j * G] : high[j];
        }
    }
}

static unsigned NAME(near)(const void *boxes_, ptrdiff_t d, const void *low_, const void *high_, const void *limits_) {
    const REAL *boxes = boxes_, *low = low_, *high = high_, *limits = limits_;
    V sum[CGMM_BOXES / LANES_IN_VECTOR];
    unsigned found = 0;
    for (int v = 0; v < CGMM_BOXES / LANES_IN_VECTOR; v++) sum[v] = ZERO;
    for (ptrdiff_t j = 0; j < d; j++, boxes += 2 * CGMM_BOXES)
        for (int v = 0; v < CGMM_BOXES / LANES_IN_VECTOR; v++) {
            const V below = LOAD(boxes + v * W) - high[j], above = low[j] - LOAD(boxes + CGMM_BOXES + v * W);
            const V gap = VMAX(VMAX(below, above), ZERO);
            sum[v] += gap * gap;
        }
    for (int v = 0; v < CGMM_BOXES / LANES_IN_VECTOR; v++)
        found |= VBITS(LOAD(limits + v * W) - sum[v]) << (v * W);
    return found;
}

static void NAME(halve)(ptrdiff_t d, void *low_, void *high_) {
    REAL *low = low_, *high = high_;
    for (ptrdiff_t j = 0; j < d; j++) {
        const REAL a = low[j], b = high[j], size = (a < 0 ? -a : a) + (b < 0 ? -b : b);
        low[j] = a + (b - a) / 2;
        high[j] = (b - a) / 2 + size * (DOUBLE ? (REAL)DBL_EPSILON : (REAL)FLT_EPSILON);
    }
}

static inline V NAME(size)(V x) { return VMAX(x, -x); }

/* The bits of what reaches `least`; if `sure` (known to the compiler), also *most, the largest over components of what
 * each reaches everywhere in the box: it is raised. */
static inline __attribute__((always_inline)) unsigned NAME(tops_of)(const REAL *mean, ptrdiff_t d, const int triangular,
                                                                    const int sure, const REAL *middle,
                                                                    const REAL *half, REAL least, REAL *tops,
                                                                    double *most) {
    const REAL *width = mean + d * CGMM_BOXES, *log_norm = width + d * CGMM_BOXES, *P = log_norm + CGMM_BOXES;
    unsigned found = 0;
    V best = ZERO - BIG;
    for (ptrdiff_t at = 0; at < CGMM_BOXES; at += W) {
        const REAL *factor = P + at;
        V sum = ZERO, far = ZERO;
        for (ptrdiff_t i = 0; i < d; i++) {
            V y = ZERO, reach = ZERO;
            for (ptrdiff_t j = triangular ? 0 : i; j <= i; j++, factor += CGMM_BOXES) {
                y += LOAD(factor) * (middle[j] - LOAD(mean + j * CGMM_BOXES + at));
                reach += NAME(size)(LOAD(factor)) * (half[j] + LOAD(width + j * CGMM_BOXES + at));
            }
            const V gap = VMAX(NAME(size)(y) - reach, ZERO), whole = NAME(size)(y) + reach;
            sum += gap * gap;
            if (sure) far += whole * whole;
        }
        const V top = LOAD(log_norm + at) - (REAL)0.5 * VMIN(sum, ZERO + BIG);
        STORE(tops + at, top);
        found |= VBITS(top - least) << at;
        if (sure) best = VMAX(LOAD(log_norm + at) - (REAL)0.5 * VMIN(far, ZERO + BIG), best);
    }
    if (sure) {
        REAL lanes[LANES_IN_VECTOR];
        memcpy(lanes, &best, sizeof best);
        for (ptrdiff_t l = 0; l < W; l++) *most = lanes[l] > *most ? (double)lanes[l] : *most;
    }
    return found;
}

static unsigned NAME(tops)(const void *components, ptrdiff_t d, int triangular, const void *middle, const void *half,
                           double least_, void *tops, double *most) {
    const REAL least = (REAL)least_;
#define TOPS(d, triangular, sure) NAME(tops_of)(components, d, triangular, sure, middle, half, least, tops, most)
#define TOPS_OF(d) \
    case d: return TOPS(d, 1, 1); \
    case -d: return TOPS(d, 0, 0);
    switch (triangular && most ? d : triangular || most ? 0 : -d) {
        TOPS_OF(1) TOPS_OF(2) TOPS_OF(3) TOPS_OF(4)
    default: break;
    }
#undef TOPS_OF
    if (most) return triangular ? TOPS(d, 1, 1) : TOPS(d, 0, 1);
    return triangular ? TOPS(d, 1, 0) : TOPS(d, 0, 0);
#undef TOPS
}

static unsigned NAME(reaching)(const void *tops, double least) {
    unsigned found = 0;
    for (ptrdiff_t at = 0; at < CGMM_BOXES; at += W) found |= VBITS(LOAD((const REAL *)tops + at) - (REAL)least) << at;
    return found;
}

static ptrdiff_t NAME(keep)(ptrdiff_t count, double margin, double log_norm, void *logd_, ptrdiff_t *numbers) {
    REAL *logd = logd_;
    ptrdiff_t kept = 0;
    V floor[NV];
    for (int v = 0; v < NV; v++) floor[v] = ZERO - BIG;
    for (ptrdiff_t q = 0; q < count; q++)
        for (int v = 0; v < NV; v++) floor[v] = VMAX(LOAD(logd + q * G + v * W), floor[v]);
    for (int v = 0; v < NV; v++) {
        const V norm = VMIN(VMAX(2 * ((REAL)log_norm - floor[v]), ZERO), ZERO + BIG);
        floor[v] -= (REAL)margin + NAME(log)(norm + 1);
    }
    for (ptrdiff_t q = 0; q < count; q++) {
        V most = ZERO - BIG;
        for (int v = 0; v < NV; v++) {
            const V value = LOAD(logd + q * G + v * W);
            most = VMAX(value - floor[v], most);
            STORE(logd + kept * G + v * W, value);
        }
        numbers[kept] = numbers[q];
        kept += VANY(most);
    }
    return kept;
}
