/* Log-densities without the components that cannot matter: see docs/pruning.md. Part of kernels.inl.h. */
static void NAME(project)(const void *panel_, ptrdiff_t rows, ptrdiff_t d, const void *guide_, void *out_) {
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *x = (const REAL *)panel_ + g * cgmm_pad4(d) * G, *guide = guide_;
        REAL *out = (REAL *)out_ + g * CGMM_GUIDE * G;
        for (ptrdiff_t i = 0; i < CGMM_GUIDE; i += 4) {
            V y[4][NV];
            guide = NAME(whiten_tile)(x, d, NV, 4, guide, y);
            for (int a = 0; a < 4; a++)
                for (int v = 0; v < NV; v++) STORE(out + (i + a) * G + v * W, y[a][v]);
        }
    }
}

typedef float NAME(floats) __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef int32_t NAME(numbers) __attribute__((vector_size(VECTOR_BYTES), may_alias));

static void NAME(guess)(const void *images, ptrdiff_t rows, ptrdiff_t k, const float *means, ptrdiff_t *label) {
    enum { LANES = VECTOR_BYTES / sizeof(float), SIDE_BY_SIDE = VECTOR_BYTES == 64 ? 2 : 1 }; /* within the registers */
    for (ptrdiff_t g = 0; g < GROUPS(rows); g++) {
        const REAL *image = (const REAL *)images + g * CGMM_GUIDE * G;
        const ptrdiff_t filled = rows - g * G < G ? rows - g * G : G;
        float x[CGMM_GUIDE * G] __attribute__((aligned(64)));
        int32_t best[G] __attribute__((aligned(64)));
        for (ptrdiff_t i = 0; i < CGMM_GUIDE * G; i++) x[i] = (float)image[i];
        for (ptrdiff_t start = 0; start < G; start += SIDE_BY_SIDE * LANES) {
            NAME(floats) at[CGMM_GUIDE][SIDE_BY_SIDE], least[SIDE_BY_SIDE];
            NAME(numbers) nearest[SIDE_BY_SIDE];
            for (int j = 0; j < CGMM_GUIDE; j++)
                for (int v = 0; v < SIDE_BY_SIDE; v++)
                    at[j][v] = *(const NAME(floats) *)(x + j * G + start + v * LANES);
            for (int v = 0; v < SIDE_BY_SIDE; v++) nearest[v] = (NAME(numbers)){0}, least[v] = (NAME(floats)){0} + FLT_MAX;
            for (int32_t c = 0; c < (int32_t)k; c++) {
                for (int v = 0; v < SIDE_BY_SIDE; v++) {
                    NAME(floats) square = (NAME(floats)){0};
#pragma GCC unroll 8
                    for (int j = 0; j < CGMM_GUIDE; j++) {
                        const NAME(floats) away = at[j][v] - means[c * CGMM_GUIDE + j];
                        square += away * away;
                    }
                    const NAME(numbers) nearer = square < least[v];
                    nearest[v] = (nearer & c) | (~nearer & nearest[v]);
                    least[v] = (NAME(floats))((nearer & (NAME(numbers))square) | (~nearer & (NAME(numbers))least[v]));
                }
            }
            for (int v = 0; v < SIDE_BY_SIDE; v++) *(NAME(numbers) *)(best + start + v * LANES) = nearest[v];
        }
        for (ptrdiff_t l = 0; l < filled; l++) label[g * G + l] = best[l];
    }
}

/* Whether any lane of log_norm − ½ norm reaches the floor. */
static inline int NAME(reaches)(REAL log_norm, V norm, V floor) {
    return VANY(log_norm - (REAL)0.5 * VMIN(norm, ZERO + BIG) - floor);
}

/* norm ← |P (x − μ)|² of nv vectors, four rows of P or eight features at a time; 0 as soon as no row of them can
 * reach its floor, else 1. Partial sums only grow. */
static inline __attribute__((always_inline)) int NAME(norms)(const cgmm_mixture *mixture, ptrdiff_t c,
                                                             const REAL *const *x, const int nv, const V *floor,
                                                             REAL *z, V *norm, ptrdiff_t *work) {
    const ptrdiff_t d = mixture->d;
    const REAL *mean = (const REAL *)mixture->means + c * d, log_norm = ((const REAL *)mixture->log_norm)[c];
    const REAL *factor = mixture->factor;
    V sum[NV];
    int above;
    for (int v = 0; v < nv; v++) norm[v] = sum[v] = ZERO;
    if (mixture->form == CGMM_TRIANGULAR) {
        factor += c * cgmm_factor_size(d);
        for (ptrdiff_t i = 0, done = 0; i < d; i += 4) {
            const ptrdiff_t columns = i + 4 < d ? i + 4 : d;
            for (; done < columns; done++)
                for (int v = 0; v < nv; v++) STORE(z + (done * nv + v) * W, LOAD(x[v] + done * G) - mean[done]);
            factor = NAME(whiten_norm)(z, columns, nv, d - i, factor, norm);
            *work += 4 * columns * nv;
            above = 0;
            for (int v = 0; v < nv; v++) above |= NAME(reaches)(log_norm, norm[v], floor[v]);
            if (!above) return 0;
        }
        return 1;
    }
    const int isotropic = mixture->form == CGMM_ISOTROPIC;
    const REAL s = isotropic ? factor[c] : 1, *scale = factor + c * d;
    for (ptrdiff_t j = 0; j < d;) {
        const ptrdiff_t stop = j + 8 < d ? j + 8 : d;
        *work += (isotropic ? 4 : 3) * (stop - j) * nv; /* where a dense tile, which shares its loads, counts 2 */
        for (; j < stop; j++) {
            const REAL factor_j = isotropic ? 1 : scale[j];
            for (int v = 0; v < nv; v++) {
                const V y = LOAD(x[v] + j * G) * factor_j - mean[j];
                sum[v] += y * y;
            }
        }
        above = 0;
        for (int v = 0; v < nv; v++) {
            norm[v] = sum[v] * s * s;
            above |= NAME(reaches)(log_norm, norm[v], floor[v]);
        }
        if (!above) return 0;
    }
    return 1;
}

static const REAL NAME(rounding) = DOUBLE ? (REAL)DBL_EPSILON : (REAL)FLT_EPSILON;

/* What screen reads and has found so far. */
typedef struct {
    const cgmm_mixture *mixture;
    const REAL *panel;
    REAL margin, *floor, *z, *found;
    ptrdiff_t vectors, *work;
    unsigned char *present;
} NAME(findings);

static inline __attribute__((always_inline)) void NAME(try)(NAME(findings) *f, ptrdiff_t c, const ptrdiff_t *list,
                                                            const int nv) {
    const REAL *x[NV], log_norm = ((const REAL *)f->mixture->log_norm)[c];
    V floor[NV], norm[NV];
    for (int v = 0; v < nv; v++) {
        x[v] = f->panel + list[v] / NV * cgmm_pad4(f->mixture->d) * G + list[v] % NV * W;
        floor[v] = LOAD(f->floor + list[v] * W);
    }
    if (!NAME(norms)(f->mixture, c, x, nv, floor, f->z, norm, f->work)) return;
    for (int v = 0; v < nv; v++) {
        if (!NAME(reaches)(log_norm, norm[v], floor[v])) continue;
        const ptrdiff_t at = c * f->vectors + list[v];
        const V bounded = VMIN(norm[v], ZERO + BIG), density = log_norm - (REAL)0.5 * bounded;
        f->present[at] = 1;
        STORE(f->found + at * W, density);
        if (VANY(density - f->margin - floor[v])) /* it may be the best so far: raise the floor */
            STORE(f->floor + list[v] * W, VMAX(density - f->margin - NAME(log)(bounded + 1), floor[v]));
    }
}

enum { NAME(known) = 1, NAME(near_by) = 2 }; /* of a component and a vector: what `present` holds meanwhile */

/* Densities of component c for the vectors of the list. */
static void NAME(try_all)(NAME(findings) *f, ptrdiff_t c, const ptrdiff_t *list, ptrdiff_t count) {
    ptrdiff_t t = 0;
    for (; t + NV <= count; t += NV) NAME(try)(f, c, list + t, NV);
    for (; t + 2 <= count; t += 2) NAME(try)(f, c, list + t, 2);
    if (t < count) NAME(try)(f, c, list + t, 1);
}

/* Those of nv vectors of the list that a row's image lets reach its floor, from `kept` on; returns where they end. */
static inline __attribute__((always_inline)) ptrdiff_t NAME(leave)(const NAME(findings) *f, const cgmm_mixture *marginal,
                                                                   const REAL *images, ptrdiff_t c, ptrdiff_t *list,
                                                                   ptrdiff_t at, const int nv, ptrdiff_t kept) {
    const REAL *x[NV], log_norm = ((const REAL *)marginal->log_norm)[c];
    V floor[NV], norm[NV];
    for (int v = 0; v < nv; v++) {
        x[v] = images + list[at + v] / NV * CGMM_GUIDE * G + list[at + v] % NV * W;
        floor[v] = LOAD(f->floor + list[at + v] * W);
    }
    if (!NAME(norms)(marginal, c, x, nv, floor, f->z, norm, f->work)) return kept;
    for (int v = 0; v < nv; v++) {
        const ptrdiff_t u = list[at + v];
        list[kept] = u;
        kept += NAME(reaches)(log_norm, norm[v], floor[v]);
    }
    return kept;
}

/* No less than |P_g (x − μ_g)| of any of the rows first … last − 1, whose guess is g: BIG where that is not known. */
static REAL NAME(radius)(const NAME(findings) *f, ptrdiff_t g, ptrdiff_t first, ptrdiff_t last) {
    const REAL log_norm = ((const REAL *)f->mixture->log_norm)[g], *found = f->found + g * f->vectors * W;
    REAL least = log_norm;
    for (ptrdiff_t u = first / W; u <= (last - 1) / W; u++)
        if (!(f->present[g * f->vectors + u] & NAME(known))) return BIG;
    for (ptrdiff_t i = first; i < last; i++) least = found[i] < least ? found[i] : least;
    const REAL size = (log_norm < 0 ? -log_norm : log_norm) + (least < 0 ? -least : least);
    return SQRT(2 * (log_norm - least + 8 * NAME(rounding) * size));
}

/* The bits of those of CGMM_BOXES components that may reach `least` within `radius`, in the units of sharpness, of a mean
 * from which they are `apart`. */
static unsigned NAME(reaching_from)(const REAL *apart, const REAL *sharpness, const REAL *log_norm, REAL radius,
                                    REAL least) {
    unsigned found = 0;
    for (ptrdiff_t at = 0; at < CGMM_BOXES; at += W) {
        const V away = LOAD(apart + at), near = LOAD(sharpness + at) * radius;
        const V gap = VMAX(away - near - 8 * NAME(rounding) * (away + near), ZERO);
        found |= VBITS(LOAD(log_norm + at) - (REAL)0.5 * VMIN(gap * gap, ZERO + BIG) - least) << at;
    }
    return found;
}

/* present ← near_by for each component that may reach the floor of any of the rows of one guess, first … last − 1, and
 * the vectors that hold them: as far as the distances of the means tell, and, if boxed, the box around their images. */
static void NAME(bring_near)(NAME(findings) *f, const REAL *images, const REAL *boxes, const cgmm_reach *reach,
                             ptrdiff_t guess, ptrdiff_t first, ptrdiff_t last, const int boxed) {
    const ptrdiff_t k = f->mixture->k, begin = first / W, end = (last - 1) / W + 1;
    const ptrdiff_t padded = (k + CGMM_BOXES - 1) / CGMM_BOXES * CGMM_BOXES;
    const REAL *apart = reach->apart ? (const REAL *)reach->apart + guess * padded : NULL, *sharpness = reach->sharpness;
    REAL low[CGMM_GUIDE], high[CGMM_GUIDE], tops[CGMM_BOXES] __attribute__((aligned(64))), least = BIG, radius = BIG;
    if (boxed) {
        NAME(box)(images, first, last, CGMM_GUIDE, low, high);
        NAME(halve)(CGMM_GUIDE, low, high);
    }
    for (ptrdiff_t i = first; i < last; i++) least = f->floor[i] < least ? f->floor[i] : least;
    if (apart) {
        radius = NAME(radius)(f, guess, first, last) * (REAL)reach->width[guess];
        *f->work += 8 * padded / W;
    }
    for (ptrdiff_t start = 0; start < k; start += CGMM_BOXES) {
        unsigned found = k - start < CGMM_BOXES ? (1u << (k - start)) - 1 : (1u << CGMM_BOXES) - 1;
        if (apart)
            found &= NAME(reaching_from)(apart + start, sharpness + start, sharpness + padded + start, radius, least);
        if (boxed && __builtin_popcount(found) >= CGMM_BOXES / 4) { /* it costs as much as a look for one by its image */
            found &= NAME(tops_of)(boxes + start * CGMM_GUIDE_VALUES, CGMM_GUIDE, 1, 0, low, high, least, tops, NULL);
            *f->work += 2 * cgmm_factor_size(CGMM_GUIDE) * CGMM_BOXES / W;
        }
        for (ptrdiff_t c = start; found; c++, found >>= 1)
            for (ptrdiff_t u = begin; u < end && found & 1; u++) f->present[c * f->vectors + u] |= NAME(near_by);
    }
}

static ptrdiff_t NAME(screen)(const void *panel, ptrdiff_t rows, const cgmm_mixture *mixture, const void *images,
                              const cgmm_mixture *marginal, const void *boxes, const cgmm_reach *reach, double margin,
                              const ptrdiff_t *guess, void *floor_, void *z, void *found_, void *logd,
                              ptrdiff_t *active, unsigned char *present, ptrdiff_t *work) {
    const ptrdiff_t k = mixture->k, vectors = GROUPS(rows) * NV;
    REAL *floor = floor_, *found = found_;
    ptrdiff_t list[CGMM_BLOCK_ROWS / LANES_IN_VECTOR], count = 0, runs = 0;
    NAME(findings) f = {mixture, panel, (REAL)margin, floor, z, found, vectors, work, present};
    memset(present, 0, (size_t)(k * vectors));
    for (ptrdiff_t i = 0; i < vectors * W; i++) floor[i] = i < rows ? -BIG : BIG;
    for (ptrdiff_t i = 0; i < rows;) { /* the guesses raise the floors */
        const ptrdiff_t c = guess[i], first = i / W;
        while (i < rows && guess[i] == c) i++;
        for (ptrdiff_t u = first; u <= (i - 1) / W; u++) list[u - first] = u;
        NAME(try_all)(&f, c, list, (i - 1) / W + 1 - first);
        runs++;
    }
    const int boxed = runs * 8 <= rows; /* a box for each of so few rows costs as much as their images */
    if (!boxed && !reach->apart)
        for (ptrdiff_t q = 0; q < k * vectors; q++) present[q] |= NAME(near_by);
    for (ptrdiff_t i = 0, first = 0; i < rows && (boxed || reach->apart); first = i) {
        while (i < rows && guess[i] == guess[first]) i++;
        NAME(bring_near)(&f, images, boxes, reach, guess[first], first, i, boxed);
    }
    for (ptrdiff_t c = 0; c < k; c++) {
        unsigned char *there = present + c * vectors;
        ptrdiff_t near = 0, kept = 0, t = 0;
        int any = 0;
        for (ptrdiff_t g = 0; g < vectors; g += NV) { /* most components matter to few groups, or to none */
            uint32_t some = 0;
            memcpy(&some, there + g, NV);
            if (!some) continue;
            any = 1;
            for (ptrdiff_t u = g; u < g + NV; u++) {
                list[near] = u;
                near += there[u] == NAME(near_by);
                there[u] &= NAME(known);
            }
        }
        if (!any) continue;
        for (; t + NV <= near; t += NV) kept = NAME(leave)(&f, marginal, images, c, list, t, NV, kept);
        for (; t < near; t++) kept = NAME(leave)(&f, marginal, images, c, list, t, 1, kept);
        NAME(try_all)(&f, c, list, kept);
        if (memchr(there, NAME(known), (size_t)vectors)) active[count++] = c;
    }
    for (ptrdiff_t q = 0; q < count; q++) memmove(present + q * vectors, present + active[q] * vectors, (size_t)vectors);
    for (ptrdiff_t u = 0; u < vectors; u++) {
        REAL *to = (REAL *)logd + u / NV * cgmm_pad4(count) * G + u % NV * W;
        for (ptrdiff_t q = 0; q < count; q++) {
            const ptrdiff_t at = active[q] * vectors + u;
            V density = ZERO - BIG;
            if (present[q * vectors + u]) density = LOAD(found + at * W);
            STORE(to + q * G, density);
        }
    }
    return count;
}
