/* From rows to panels and back, and the other changes of layout; the root of a covariance. Part of kernels.inl.h. */
/* `count` ≤ W contiguous values of each of W rows, minus origin → as many features of W rows, by swapping halves,
 * quarters, … */
static inline __attribute__((always_inline)) void NAME(transpose)(const char *const *X, ptrdiff_t offset,
                                                                  const ptrdiff_t count, const double *origin,
                                                                  REAL *panel) {
    V v[LANES_IN_VECTOR];
#pragma GCC unroll 16
    for (int q = 0; q < LANES_IN_VECTOR; q++)
#ifdef VLOAD_FIRST
        if (count < W)
            v[q] = VLOAD_FIRST(X[q] + offset, count);
        else
#endif
            memcpy(v + q, X[q] + offset, sizeof(V));
#define SWAP(h) \
    _Pragma("GCC unroll 16") \
    for (int q = 0; q < LANES_IN_VECTOR; q++) \
        if (!(q & h)) { \
            const V a = v[q], b = v[q + h]; \
            v[q] = __builtin_shufflevector(a, b, LANES(FOLD_MASK_A, h)); \
            v[q + h] = __builtin_shufflevector(a, b, LANES(FOLD_MASK_B, h)); \
        }
#if LANES_IN_VECTOR >= 16
    SWAP(8)
#endif
#if LANES_IN_VECTOR >= 8
    SWAP(4)
#endif
#if LANES_IN_VECTOR >= 4
    SWAP(2)
#endif
    SWAP(1)
#undef SWAP
#pragma GCC unroll 16
    for (int q = 0; q < LANES_IN_VECTOR; q++)
        if (q < count)
            STORE(panel + q * G, __builtin_convertvector(__builtin_convertvector(v[q], WIDE) - origin[q], V));
}

/* The same of W rows of one to four features that lie side by side: one or two shuffles for each vector, where a transpose
 * takes W loads and as many shuffles as rows and halves. */
static inline __attribute__((always_inline)) void NAME(deal)(const REAL *x, const int d, const double *origin, REAL *panel) {
#define EVERY_SECOND(l, first) (2 * (l) + (first))
#define EVERY_THIRD(l, first) (3 * (l) + (first) < 2 * LANES_IN_VECTOR ? 3 * (l) + (first) : 0)
#define OR_OF_THE_LAST(l, first) \
    (3 * (l) + (first) < 2 * LANES_IN_VECTOR ? (l) : 3 * (l) + (first) - LANES_IN_VECTOR)
#define SECOND(a, b, first) __builtin_shufflevector(a, b, LANES(EVERY_SECOND, first))
#define THIRD(first) \
    __builtin_shufflevector(__builtin_shufflevector(v[0], v[1], LANES(EVERY_THIRD, first)), v[2], \
                            LANES(OR_OF_THE_LAST, first))
    V v[4], to[4];
#pragma GCC unroll 4
    for (int q = 0; q < d; q++) memcpy(v + q, x + q * W, sizeof(V));
    if (d == 1) {
        to[0] = v[0];
    } else if (d == 2) {
        to[0] = SECOND(v[0], v[1], 0), to[1] = SECOND(v[0], v[1], 1);
    } else if (d == 3) {
        to[0] = THIRD(0), to[1] = THIRD(1), to[2] = THIRD(2);
    } else {
        const V even[2] = {SECOND(v[0], v[1], 0), SECOND(v[2], v[3], 0)};
        const V odd[2] = {SECOND(v[0], v[1], 1), SECOND(v[2], v[3], 1)};
        to[0] = SECOND(even[0], even[1], 0), to[1] = SECOND(odd[0], odd[1], 0);
        to[2] = SECOND(even[0], even[1], 1), to[3] = SECOND(odd[0], odd[1], 1);
    }
#pragma GCC unroll 4
    for (int q = 0; q < d; q++)
        STORE(panel + q * G, __builtin_convertvector(__builtin_convertvector(to[q], WIDE) - origin[q], V));
#undef EVERY_SECOND
#undef EVERY_THIRD
#undef OR_OF_THE_LAST
#undef SECOND
#undef THIRD
}

static void NAME(pack)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, const ptrdiff_t *index,
                       ptrdiff_t rows, ptrdiff_t d, const double *centre, void *panel_) {
    REAL *panel = panel_;
    const ptrdiff_t width = cgmm_pad4(d);
    ptrdiff_t whole = 0; /* groups of few features whose rows lie side by side */
    if (d >= 1 && d <= 4 && column_stride == (ptrdiff_t)sizeof(REAL) && row_stride == d * column_stride && !index)
        for (const REAL *x = (const REAL *)X; whole < rows / G; whole++, panel += width * G, x += d * G) {
#define DEAL(features) \
    for (int v = 0; v < NV; v++) NAME(deal)(x + v * (features) * W, features, centre, panel + v * W)
            UP_TO_FOUR(d, DEAL)
#undef DEAL
            NAME(pad)(panel + d * G, width - d);
        }
    for (ptrdiff_t g = whole; g < GROUPS(rows); g++, panel += width * G) {
        const ptrdiff_t filled = rows - g * G < G ? rows - g * G : G;
        const char *row[G];
        for (ptrdiff_t l = 0; l < filled; l++) row[l] = X + (index ? index[g * G + l] : g * G + l) * row_stride;
        ptrdiff_t done = 0;
        if (filled == G && column_stride == (ptrdiff_t)sizeof(REAL)) {
            for (int v = 0; v < NV && d >= W; v++) /* few rows at a time, which the processor fetches ahead */
                for (done = 0; done < d; done += W) {
                    const ptrdiff_t j = done + W <= d ? done : d - W; /* the last begins earlier, to end with d */
                    NAME(transpose)(row + v * W, j * column_stride, W, centre + j, panel + j * G + v * W);
                }
#ifdef VLOAD_FIRST
            for (; done < d; done += W)
                for (int v = 0; v < NV; v++) NAME(transpose)(row + v * W, 0, d, centre, panel + v * W);
#endif
        }
        for (ptrdiff_t j = done; j < d; j++) {
            for (ptrdiff_t l = 0; l < filled; l++)
                panel[j * G + l] = (REAL)((double)*(const REAL *)(row[l] + j * column_stride) - centre[j]);
            for (ptrdiff_t l = filled; l < G; l++) panel[j * G + l] = 0;
        }
        NAME(pad)(panel + d * G, width - d);
    }
}

static int NAME(all_within)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                            ptrdiff_t d, double bound) {
    const REAL most = DOUBLE || bound < FLT_MAX ? (REAL)bound : (REAL)FLT_MAX;
    INT bad = 0;
    if (column_stride == (ptrdiff_t)sizeof(REAL) && row_stride == d * column_stride && d < G) {
        const REAL *x = (const REAL *)X; /* rows too short for a vector, which lie side by side */
        for (ptrdiff_t i = 0; i < rows * d; i++) bad |= !(x[i] <= most && x[i] >= -most);
        return !bad;
    }
    if (column_stride == (ptrdiff_t)sizeof(REAL)) {
        for (ptrdiff_t i = 0; i < rows; i++) {
            const REAL *x = (const REAL *)(X + i * row_stride);
            INT row = 0;
            for (ptrdiff_t j = 0; j < d; j++) row |= !(x[j] <= most && x[j] >= -most);
            if (row) return 0;
        }
        return 1;
    }
    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t i = 0; i < rows; i++) {
            const REAL x = *(const REAL *)(X + i * row_stride + j * column_stride);
            bad |= !(x <= most && x >= -most);
        }
    return !bad;
}

/* A number as REAL: one too large for float, as the root of a precision may be, is the largest, so that 0 times it is 0. */
static inline REAL NAME(real)(double value) {
    const double most = DOUBLE ? DBL_MAX : FLT_MAX, size = fabs(value);
    return (REAL)(size > most && size <= DBL_MAX ? copysign(most, value) : value);
}

static void NAME(convert)(const double *from, ptrdiff_t m, const double *offset, ptrdiff_t period, void *to) {
    REAL *out = to;
    for (ptrdiff_t q = 0; q < m; q++) out[q] = NAME(real)(offset ? from[q] - offset[q % period] : from[q]);
}

static void NAME(widen)(const void *from, ptrdiff_t m, double *to) {
    for (ptrdiff_t q = 0; q < m; q++) to[q] = (double)((const REAL *)from)[q];
}

static int NAME(root)(ptrdiff_t d, const double *covariance, double *restrict U, double *restrict P) {
    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t i = 0; i <= j; i++) U[i * d + j] = covariance[j * d + i];
    for (ptrdiff_t j = 0; j < d; j++) { /* U, Σ = Uᵀ U */
        double *row = U + j * d;
        const double pivot = sqrt(row[j]);
        if (!(pivot > 0 && pivot <= DBL_MAX)) return 0;
        for (ptrdiff_t i = j; i < d; i++) row[i] /= pivot;
        for (ptrdiff_t i = j + 1; i < d; i++) {
            double *below = U + i * d;
            const double factor = row[i];
            for (ptrdiff_t q = i; q < d; q++) below[q] -= factor * row[q];
        }
    }
    for (ptrdiff_t i = 0; i < d; i++) { /* Uᵀ P = I, from the first row down */
        double *row = P + i * d;
        for (ptrdiff_t q = 0; q < d; q++) row[q] = q == i;
        for (ptrdiff_t j = 0; j < i; j++) {
            const double *above = P + j * d, factor = U[j * d + i];
            for (ptrdiff_t q = 0; q <= j; q++) row[q] -= factor * above[q];
        }
        for (ptrdiff_t q = 0; q <= i; q++) {
            row[q] /= U[i * d + i];
            if (!(fabs(row[q]) <= DBL_MAX)) return 0;
        }
    }
    return 1;
}

static void NAME(pack_factor)(ptrdiff_t k, ptrdiff_t d, const double *P, void *factor_) {
    REAL *factor = factor_;
    for (ptrdiff_t c = 0; c < k; c++, P += d * d)
        for (ptrdiff_t i = 0; i < d; i += 4)
            for (ptrdiff_t j = 0; j < i + 4 && j < d; j++)
                for (ptrdiff_t a = 0; a < 4; a++)
                    *factor++ = i + a < d && j <= i + a ? NAME(real)(P[(i + a) * d + j]) : 0;
}

static void NAME(unpack)(const void *panel, ptrdiff_t rows, ptrdiff_t k, const ptrdiff_t *index,
                         const ptrdiff_t *components, ptrdiff_t columns, double *out) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *row = (const REAL *)panel + i / G * cgmm_pad4(k) * G + i % G;
        double *to = out + (index ? index[i] : i) * columns;
        if (components) memset(to, 0, sizeof(double) * (size_t)columns);
        for (ptrdiff_t c = 0; c < k; c++) to[components ? components[c] : c] = (double)row[c * G];
    }
}
