/* Boxes around rows and around centres, and how far they are apart. Part of kernels.inl.h. */
static void NAME(box)(const void *panel_, ptrdiff_t first, ptrdiff_t last, ptrdiff_t d, void *low_, void *high_) {
    const REAL *panel = panel_;
    REAL *low = low_, *high = high_;
    const ptrdiff_t width = cgmm_pad4(d) * G;
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

static inline __attribute__((always_inline)) unsigned NAME(tops_of)(const REAL *mean, ptrdiff_t d,
                                                                    const int triangular, const REAL *middle,
                                                                    const REAL *half, REAL least, REAL *tops) {
    const REAL *width = mean + d * CGMM_BOXES, *log_norm = width + d * CGMM_BOXES, *P = log_norm + CGMM_BOXES;
    unsigned found = 0;
    for (ptrdiff_t at = 0; at < CGMM_BOXES; at += W) {
        const REAL *factor = P + at;
        V sum = ZERO;
        for (ptrdiff_t i = 0; i < d; i++) {
            V y = ZERO, reach = ZERO;
            for (ptrdiff_t j = triangular ? 0 : i; j <= i; j++, factor += CGMM_BOXES) {
                y += LOAD(factor) * (middle[j] - LOAD(mean + j * CGMM_BOXES + at));
                reach += NAME(size)(LOAD(factor)) * (half[j] + LOAD(width + j * CGMM_BOXES + at));
            }
            const V gap = VMAX(NAME(size)(y) - reach, ZERO);
            sum += gap * gap;
        }
        const V top = LOAD(log_norm + at) - (REAL)0.5 * VMIN(sum, ZERO + BIG);
        STORE(tops + at, top);
        found |= VBITS(top - least) << at;
    }
    return found;
}

static unsigned NAME(tops)(const void *components, ptrdiff_t d, int triangular, const void *middle, const void *half,
                           double least_, void *tops) {
    const REAL least = (REAL)least_;
#define TOPS(d, triangular) \
    case d: return NAME(tops_of)(components, d, triangular, middle, half, least, tops);
    switch (triangular ? d : -d) {
        TOPS(1, 1) TOPS(2, 1) TOPS(3, 1) TOPS(4, 1)
    case -1: return NAME(tops_of)(components, 1, 0, middle, half, least, tops);
    case -2: return NAME(tops_of)(components, 2, 0, middle, half, least, tops);
    case -3: return NAME(tops_of)(components, 3, 0, middle, half, least, tops);
    default: break;
    }
#undef TOPS
    return triangular ? NAME(tops_of)(components, d, 1, middle, half, least, tops)
                      : NAME(tops_of)(components, d, 0, middle, half, least, tops);
}

static ptrdiff_t NAME(raise_floor)(ptrdiff_t rows, const void *logd_, double log_norm, double margin, void *floor_) {
    const REAL top = (REAL)log_norm;
    REAL *floor = floor_;
    ptrdiff_t lowest = 0;
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++)
        for (int v = 0; v < NV; v++) {
            const V logd = LOAD((const REAL *)logd_ + g * 4 * G + v * W);
            const V norm = VMIN(VMAX(2 * (top - logd), ZERO), ZERO + BIG);
            REAL *to = floor + g * G + v * W;
            STORE(to, VMAX(logd - (REAL)margin - NAME(log)(norm + 1), LOAD(to)));
        }
    for (ptrdiff_t i = 1; i < rows; i++)
        if (floor[i] < floor[lowest]) lowest = i;
    return lowest;
}

static ptrdiff_t NAME(keep)(ptrdiff_t count, const void *floor_, void *logd_, ptrdiff_t *numbers) {
    const REAL *floor = floor_;
    REAL *logd = logd_;
    ptrdiff_t kept = 0;
    for (ptrdiff_t q = 0; q < count; q++) {
        V most = ZERO - BIG;
        for (int v = 0; v < NV; v++) {
            const V value = LOAD(logd + q * G + v * W);
            most = VMAX(value - LOAD(floor + v * W), most);
            STORE(logd + kept * G + v * W, value);
        }
        numbers[kept] = numbers[q];
        kept += VANY(most);
    }
    return kept;
}

static void NAME(choose)(const cgmm_mixture *mixture, const ptrdiff_t *numbers, ptrdiff_t count, void *means_,
                         void *factor_, void *log_norm_) {
    const ptrdiff_t d = mixture->d;
    const ptrdiff_t size = mixture->form == CGMM_TRIANGULAR ? cgmm_factor_size(d)
                           : mixture->form == CGMM_ISOTROPIC ? 1 : d;
    REAL *restrict means = means_, *restrict factor = factor_, *restrict log_norm = log_norm_;
    for (ptrdiff_t q = 0; q < count; q++) {
        const ptrdiff_t c = numbers[q];
        const REAL *mean = (const REAL *)mixture->means + c * d, *P = (const REAL *)mixture->factor + c * size;
        for (ptrdiff_t j = 0; j < d; j++) *means++ = mean[j];
        if (size % 4)
            for (ptrdiff_t j = 0; j < size; j++) *factor++ = P[j];
        else
            for (ptrdiff_t j = 0; j < size; j += 4, factor += 4) memcpy(factor, P + j, 4 * sizeof(REAL));
        log_norm[q] = ((const REAL *)mixture->log_norm)[c];
    }
}
