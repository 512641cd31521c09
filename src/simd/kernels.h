/* The table of micro-kernels. Every shape and layout of the compiled core is stated here, once.
 *
 * Sizes:   n rows, d features, k components.   Indices: i row, j feature, c component.
 * REAL:    double or float, the type of the data; each kernel exists in both.
 * Block:   at most cgmm_block_rows(d, k) consecutive rows, the unit that stays in cache.
 * Group:   `group` rows of a block: as many as fill the vectors of one register tile.
 * Panel:   a block transposed for vectors over samples, REAL [groups][pad4(features)][group]; the
 *          features past the last (pad4) and the rows past the last are zero. The log-densities and
 *          responsibilities of a block are a panel too, whose features are the k components.
 * Centre:  double (d,), subtracted in double while packing: float data far from the origin keep their
 *          digits, and means are stored relative to it.
 * Tiles:   a symmetric (m,m) matrix as its lower 4×4 tiles, double [t(t+1)/2][4][4], t = pad4(m)/4,
 *          row by row; a rectangular (m,p) one as all its tiles, double [pad4(m)/4][pad4(p)/4][4][4].
 * Factor:  whitening factors P = L⁻¹ (lower triangular, Σ = L Lᵀ) in REAL [k][pad4(d)/4][≤d][4]: for
 *          each four rows of P, the columns up to the diagonal tile, four rows interleaved.
 *
 * Panels and scratch are aligned to 64 bytes. No kernel allocates, locks, or knows of threads. */
#ifndef CGMM_KERNELS_H
#define CGMM_KERNELS_H
#include <stddef.h>

typedef struct cgmm_kernels {
    ptrdiff_t itemsize; /* sizeof(REAL) */
    ptrdiff_t group;    /* rows in a group */

    /* panel ← rows of X minus centre.
     * IN X: REAL, element (i, j) at byte i·row_stride + j·column_stride; centre (d,). OUT panel. */
    void (*pack)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                 ptrdiff_t d, const double *centre, void *panel);

    /* 1 when every element of the rows is finite, else 0. IN as pack. */
    int (*all_finite)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                      ptrdiff_t d);

    /* IN P: double (k,d,d), the upper triangle is not read. OUT factor: see Factor. */
    void (*pack_factor)(ptrdiff_t k, ptrdiff_t d, const double *P, void *factor);

    /* OUT white (panel, d features) ← P x, with one factor (k = 1). IN panel. */
    void (*whiten)(const void *panel, ptrdiff_t rows, ptrdiff_t d, const void *factor, void *white);

    /* OUT logd (panel, k features): log_norm_c − ½ |P_c (x − μ_c)|², for
     *   triangular: P_c a factor;  diagonal: P_c = diag(scale (k,d));  isotropic: P_c = scale (k,)·I.
     * IN panel; means REAL (k,d) relative to the centre; log_norm REAL (k,).
     * SCRATCH z: a group's panel. The squared norm is bounded, so that no row is infinitely far. */
    void (*triangular)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                       const void *factor, const void *log_norm, void *z, void *logd);
    void (*diagonal)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                     const void *scale, const void *log_norm, void *z, void *logd);
    void (*isotropic)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                      const void *scale, const void *log_norm, void *z, void *logd);

    /* Log-sum-exp of each row. IN/OUT logd → exp(logd − max). IN row_weights REAL, 0 past the last row.
     * OUT lse REAL: the row's log-likelihood; scale REAL: 1 / Σ_c exp(logd − max).
     * Returns Σ_i row_weight_i · lse_i. */
    double (*softmax)(ptrdiff_t rows, ptrdiff_t k, const void *row_weights, void *logd, void *lse,
                      void *scale);

    /* IN/OUT e (panel) ← e · scale: responsibilities. */
    void (*rescale)(ptrdiff_t rows, ptrdiff_t k, const void *scale, void *e);

    /* IN/OUT scale ← scale · row_weights, groups filled up: then e · scale are weighted responsibilities. */
    void (*weigh)(ptrdiff_t rows, const void *row_weights, void *scale);

    /* Weighted moments about the means, r_ic = e_ic · scale_i, added to
     *   n_k (k,) += Σ_i r_ic;  first (k,d) += Σ_i r_ic (x_i − μ_c);
     *   second: full tiles (k, tiles of (d,d)) += Σ_i r_ic (x_i − μ_c)(x_i − μ_c)ᵀ, or
     *           diag (k,d), the diagonal of it.
     * IN panel, means as above; e (panel). SCRATCH z, rz: panels of d features. */
    void (*moments_full)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                         const void *e, const void *scale, void *z, void *rz, double *n_k, double *first,
                         double *second);
    void (*moments_diag)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                         const void *e, const void *scale, void *z, void *rz, double *n_k, double *first,
                         double *second);

    /* The scatter of all components together, without k·d² work and without cancellation:
     *   Σ_c r_c (x−μ_c)(x−μ_c)ᵀ = u uᵀ + Σ_{c<b} r_c r_b (μ_c−μ_b)(μ_c−μ_b)ᵀ,  u = x − Σ_c r_c μ_c,
     * so it adds to  residual (tiles of (d,d)) += Σ_i w_i u_i u_iᵀ,  overlap (tiles of (k,k)) +=
     * Σ_i w_i r_ic r_ib,  and cross (rectangular tiles (k,d)) += Σ_i w_i r_ic x_i (about the centre).
     * IN panel, means, row_weights; r (panel): responsibilities without row weights.
     * SCRATCH u, wu: panels of d features; wr: panel of k features. OUT also n_k (k,). */
    void (*moments_pooled)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                           const void *r, const void *row_weights, void *u, void *wu, void *wr,
                           double *n_k, double *cross, double *residual, double *overlap);

    /* OUT label (rows,): the component of the largest logd, the lowest of equals; top REAL: its logd. */
    void (*argmax)(ptrdiff_t rows, ptrdiff_t k, const void *logd, void *top, ptrdiff_t *label);

    /* Moments of hard labels about the centre, from X itself (as pack):
     * n_k (k,) += w_i, first (k,d) += w_i (x_i − centre), for c = label_i. IN row_weights REAL. */
    void (*moments_hard)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                         ptrdiff_t d, const double *centre, const ptrdiff_t *label,
                         const void *row_weights, double *n_k, double *first);

    /* OUT out double (rows, k), C order ← panel of k features. */
    void (*unpack)(const void *panel, ptrdiff_t rows, ptrdiff_t k, double *out);

    /* REAL[m] ← double[m] − (offset ? offset[index mod period] : 0). */
    void (*convert)(const double *from, ptrdiff_t m, const double *offset, ptrdiff_t period, void *to);

    /* double[m] ← REAL[m]. */
    void (*widen)(const void *from, ptrdiff_t m, double *to);

    /* Runs `repeats` rounds of independent fused multiply-adds in registers; returns their number of
     * floating-point operations: the yardstick of benchmarks. OUT sink keeps the compiler honest. */
    double (*multiply_add)(ptrdiff_t repeats, double *sink);
} cgmm_kernels;

/* Instruction sets, best last; a target that is not compiled in or cannot run here is not available. */
typedef struct cgmm_target {
    const char *name;
    const cgmm_kernels *f64, *f32;
} cgmm_target;

/* OUT targets (at most CGMM_MAX_TARGETS), those that this processor and system can run, best last.
 * Returns how many. */
#define CGMM_MAX_TARGETS 3
int cgmm_available_targets(cgmm_target *targets);

static inline ptrdiff_t cgmm_pad4(ptrdiff_t m) { return (m + 3) & ~(ptrdiff_t)3; }

static inline ptrdiff_t cgmm_tiles(ptrdiff_t m) { return (m + 3) / 4 * ((m + 3) / 4 + 1) / 2; }

/* Values in one component's factor. */
static inline ptrdiff_t cgmm_factor_size(ptrdiff_t d) {
    ptrdiff_t size = 0;
    for (ptrdiff_t i = 0; i < d; i += 4) size += 4 * (i + 4 < d ? i + 4 : d);
    return size;
}

/* Rows in a block: a multiple of every target's group; smaller where the panels would outgrow L2. */
#define CGMM_CHUNK_ROWS 1024
static inline ptrdiff_t cgmm_block_rows(ptrdiff_t d, ptrdiff_t k) { return d > 16 || k > 64 ? 128 : 256; }

#endif
