/* The table of micro-kernels. Every shape and layout of the compiled core is stated here, once.
 *
 * Sizes:   n rows, d features, k components.   Indices: i row, j feature, c component.
 * REAL:    double or float, the type of the data; each kernel exists in both.
 * Block:   at most cgmm_block_rows(d, k, itemsize) rows, consecutive or, in a pruned pass, in the order of their
 *          guesses: the unit that stays in cache.
 * Group:   `group` rows of a block: as many as fill the vectors of one register tile.
 * Panel:   a block transposed for vectors over samples, REAL [groups][pad4(features)][group]; the
 *          features past the last (pad4) and the rows past the last are zero in panels of data. The log-densities and
 *          responsibilities of a block are a panel too, whose features are the k components.
 * Centre:  double (d,), subtracted in double while packing: float data far from the origin keep their
 *          digits, and means are stored relative to it.
 * Tiles:   a symmetric (m,m) matrix as its lower 4×4 tiles, double [t(t+1)/2][4][4], t = pad4(m)/4,
 *          row by row.
 * Factor:  whitening factors P = L⁻¹ (lower triangular, Σ = L Lᵀ) in REAL [k][pad4(d)/4][≤d][4]: for
 *          each four rows of P, the columns up to the diagonal tile, four rows interleaved.
 *
 * Panels and scratch are aligned to 64 bytes. No kernel allocates, locks, or knows of threads. */
#ifndef CGMM_KERNELS_H
#define CGMM_KERNELS_H
#include <stddef.h>

/* The components of a mixture as densities see them: log_norm_c − ½ |P_c (x − μ_c)|². */
typedef enum {
    CGMM_TRIANGULAR,
    CGMM_DIAGONAL,
    CGMM_ISOTROPIC,
    CGMM_MASKED,
    CGMM_COVARIANCES, /* of rows with errors: no P, for each row has its own */
    CGMM_VARIANCES    /* the same where covariances and errors are diagonal */
} cgmm_form;

typedef struct cgmm_mixture {
    cgmm_form form;       /* of P_c: a factor, diag(scale (k,d)), or scale (k,) times the identity; masked: diagonal, of
                           * those features of a row that are not NaN */
    ptrdiff_t d, k;
    const void *means;    /* REAL (k,d), relative to the centre; of the diagonal forms, P_c μ_c: their
                           * P_c x − P_c μ_c is one fused operation, exact to the rounding of x itself */
    const void *factor;   /* Factor, or scale REAL; or Σ_c: the lower triangle row by row (k,d(d+1)/2), or (k,d) */
    const void *log_norm; /* REAL (k,); masked: log π_c, without what each feature adds to it (see log_scale); of rows
                           * with errors: log π_c */
    const void *log_scale; /* REAL (k,d), masked only: log P_cjj − ½ log 2π */
} cgmm_mixture;

/* How near the rows of one guess g are to any component c, by the triangle inequality: |P_c (x − μ_c)| is no less than
 * |P_c (μ_g − μ_c)| − sharpness_c width_g |P_g (x − μ_g)|, in any unit of length, see cgmm.rows.pruning.Reach. */
typedef struct cgmm_reach {
    const void *apart;     /* REAL [k][padded k]: for each g, |P_c (μ_g − μ_c)| of each c; NULL if it is not known */
    const void *sharpness; /* REAL [2][padded k]: no less than |P_c v| / |v| for any v; and log_norm, −huge past the last */
    const double *width;   /* [k]: no less than |v| / |P_g v| for any v */
} cgmm_reach;

/* What each component expects of m features of a row: μ_c + B_c (x − ν_c), x the first p of the d features of a panel. */
typedef struct cgmm_regression {
    ptrdiff_t d, p, m, k;
    ptrdiff_t step;        /* from the slopes of a component to those of the next: 0 if they share them */
    const double *centres; /* ν (k,p), relative to the panel's centre */
    const double *means;   /* μ (k,m) */
    const double *slopes;  /* Bᵀ (k,p,m) or (1,p,m) */
} cgmm_regression;

typedef struct cgmm_kernels {
    ptrdiff_t itemsize; /* sizeof(REAL) */
    ptrdiff_t group;    /* rows in a group */
    ptrdiff_t lanes;    /* rows in a vector */
    double negligible;  /* nats: a component whose density is e⁻⁴⁶ (float: e⁻³⁰) of another's changes no digit */

    /* panel ← rows of X minus centre.
     * IN X: REAL, element (i, j) at byte i·row_stride + j·column_stride; index (rows,): which rows, or NULL for
     * the first; centre (d,). OUT panel. */
    void (*pack)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, const ptrdiff_t *index,
                 ptrdiff_t rows, ptrdiff_t d, const double *centre, void *panel);

    /* 1 when every element of the rows is a number of at most that size, else 0. IN as pack; bound, at most the
     * largest number of the type. */
    int (*all_within)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                      ptrdiff_t d, double bound);

    /* P (d,d) ← L⁻¹ of a covariance Σ = L Lᵀ (d,d), its lower triangle read; zeros above. SCRATCH U (d,d).
     * All double. Rows are added to rows, so that the compiler vectorises without reordering a sum.
     * Returns 0 when Σ is not positive definite or not finite, else 1. */
    int (*root)(ptrdiff_t d, const double *covariance, double *U, double *P);

    /* The same of many features, in parts that threads can take: strips of `group` columns, of which there are
     * root_strips, and blocks of CGMM_ROOT_BLOCK rows. First root_load for each strip; then, block by block, root_pivots,
     * which returns 0 when Σ is not positive definite, and after it root_eliminate for each strip; then root_store for
     * each strip, which returns 0 when P has an element that is not finite. Strips of one step may be taken at once.
     * IN covariance (d,d), the lower triangle read, with its own diagonal or another (d,). OUT P (d,d), squares (d,):
     * the squared norms of the columns of P. SCRATCH strips: root_strips × (d + group) × group, aligned; pivots (d,).
     * All double, in its table only. */
    ptrdiff_t (*root_strips)(ptrdiff_t d);
    void (*root_load)(ptrdiff_t d, ptrdiff_t strip, const double *covariance, const double *diagonal,
                      double *strips);
    int (*root_pivots)(ptrdiff_t d, ptrdiff_t block, double *strips, double *pivots);
    void (*root_eliminate)(ptrdiff_t d, ptrdiff_t block, ptrdiff_t strip, double *strips, const double *pivots);
    int (*root_store)(ptrdiff_t d, ptrdiff_t strip, const double *strips, double *P, double *squares);
    /* OUT some rows of L (d,d), Σ = L Lᵀ, once all blocks are done: those of a strip's columns. */
    void (*root_factor)(ptrdiff_t d, ptrdiff_t strip, const double *strips, double *L);

    /* What P (d,d), lower triangular, becomes when only some features are observed. IN columns (d,): the p observed
     * ones, then the others, m. OUT A = [[P_o, 0], [B, K]], rows cgmm_pad8(d) apart: P_o the root of the marginal
     * covariance of x_o but for the signs of its rows, and x_m given x_o normal with mean μ_m + B (x_o − μ_o) and
     * covariance K Kᵀ, K lower triangular. Returns Σ_j log |P_o,jj|. SCRATCH v (d). All double, in its table only.
     * By reflections: Q [P_o 0; R S] is P with its columns in that order, Q orthogonal; B = −S⁻¹ R, K = S⁻¹. So no
     * covariance is formed, and nothing can fail to be positive definite. */
    double (*condition)(ptrdiff_t d, ptrdiff_t p, const ptrdiff_t *columns, const double *P, double *A, double *v);

    /* Second moments of rows whose m was missing, from those of what was observed, S_oo = Σ_i r_i (x_o−μ_o)(x_o−μ_o)ᵀ:
     * S_mo = B S_oo and the lower triangle of S_mm = B S_oo Bᵀ + mass K Kᵀ; what is above it is undefined.
     * IN A as left by condition. IN/OUT S, rows cgmm_pad8(d) apart, of which the first p and their first p columns are
     * given. SCRATCH v (pad8(d)). All double, in its table only. */
    void (*complete)(ptrdiff_t d, ptrdiff_t p, const double *A, double mass, double *v, double *S);

    /* IN P: double (k,d,d), the upper triangle is not read. OUT factor: see Factor. */
    void (*pack_factor)(ptrdiff_t k, ptrdiff_t d, const double *P, void *factor);

    /* OUT white (panel, d features) ← P x, with one factor (k = 1). IN panel. */
    void (*whiten)(const void *panel, ptrdiff_t rows, ptrdiff_t d, const void *factor, void *white);

    /* OUT logd (panel, k features): log_norm_c − ½ |P_c (x − μ_c)|²; masked: log_norm_c + Σ_j (log_scale_cj −
     * ½ P_cjj² (x_j − μ_cj)²) over the features that are not NaN. IN panel. SCRATCH z: a group's panel.
     * The squared norm is bounded, so that no row is infinitely far. */
    void (*densities)(const void *panel, ptrdiff_t rows, const cgmm_mixture *mixture, void *z, void *logd);

    /* The box around rows first … last − 1 of a panel: OUT low, high REAL (d,). */
    void (*box)(const void *panel, ptrdiff_t first, ptrdiff_t last, ptrdiff_t d, void *low, void *high);

    /* Which of CGMM_BOXES boxes come near the box low … high, REAL (d,): bit l of what it returns says whether
     * Σ_j gap_j² ≤ limits_l, gap_j being how far the two are apart along feature j. IN boxes REAL [d][2][CGMM_BOXES]:
     * where each begins and ends; limits REAL (CGMM_BOXES,).
     * These are the operations of `densities` on a row, with a gap for each difference; rounding is monotone, so no
     * squared distance that it computes between two points of the boxes is less than this sum. */
    unsigned (*near)(const void *boxes, ptrdiff_t d, const void *low, const void *high, const void *limits);

    /* OUT tops REAL (CGMM_BOXES,): no log-density of a component is larger anywhere in the box whose middle and half
     * width are given, REAL (d,). IN components: REAL [values][CGMM_BOXES], the values being means (d), half widths (d)
     * by which a mean may be elsewhere, log_norm, and, row by row, P's lower triangle, or if not triangular its
     * diagonal: of each of so many components. IN/OUT sure, or NULL: raised to what the log-density of one of the
     * components is everywhere in the box at least.
     * Returns which of the tops, bit l of the l-th, are at least so large.
     * |P (x − μ)|² is between Σ_i max(0, |P (middle − μ)|_i − Σ_j |P_ij| half_j)² and the same with a sum for the
     * difference. */
    unsigned (*tops)(const void *components, ptrdiff_t d, int triangular, const void *middle, const void *half,
                     double least, void *tops, double *sure);

    /* Which of such tops are at least so large. */
    unsigned (*reaching)(const void *tops, double least);

    /* IN/OUT low, high REAL (d,) → the middle of a box, and half its width, or by rounding a little more. */
    void (*halve)(ptrdiff_t d, void *low, void *high);

    /* As densities, of one group and some components of a mixture, numbers (count,), not masked. */
    void (*densities_of)(const void *panel, const cgmm_mixture *mixture, const ptrdiff_t *numbers, ptrdiff_t count,
                         void *logd);

    /* Of `count` features of a group of rows, those that matter to any: IN/OUT logd, a panel of one group, and numbers
     * (count,), which they are, in their order. One that is e^−margin of a row's largest does not matter to it; see
     * docs/pruning.md. IN log_norm, no less than any component's. Returns how many there are. */
    ptrdiff_t (*keep)(ptrdiff_t count, double margin, double log_norm, void *logd, ptrdiff_t *numbers);

    /* OUT images (panel, CGMM_GUIDE features) ← guide x. IN panel; guide REAL [CGMM_GUIDE/4][d][4]. */
    void (*project)(const void *panel, ptrdiff_t rows, ptrdiff_t d, const void *guide, void *images);

    /* OUT label (rows,): of each row the component whose image is nearest to its own, in float of either type: a guess.
     * IN images as project gives them; means float (k,CGMM_GUIDE). */
    void (*guess)(const void *images, ptrdiff_t rows, ptrdiff_t k, const float *means, ptrdiff_t *label);

    /* The log-densities of the components that matter to a block: a component is left out of a vector when
     * its density cannot come within e^−margin of another's for any row; see docs/pruning.md.
     * IN panel, mixture; images as project gives them, and marginal: the triangular mixture of the components'
     * images, of CGMM_GUIDE features, with the log_norm of mixture; boxes: REAL
     * [k / CGMM_BOXES, rounded up][CGMM_GUIDE_VALUES][CGMM_BOXES], the same as tops takes it, the last repeated; reach,
     * k padded to CGMM_BOXES; guess (rows,): a likely component of each row, rows of one guess together. OUT active
     * (count of k): the components that matter to any vector, ascending; logd (panel, count features): −huge where left
     * out; present [count][vectors]: 1 where not, which has room for k of them; work += multiply-adds for a row of a
     * vector. SCRATCH floor (block), z (group's panel), found (k × block). Returns count. */
    ptrdiff_t (*screen)(const void *panel, ptrdiff_t rows, const cgmm_mixture *mixture, const void *images,
                        const cgmm_mixture *marginal, const void *boxes, const cgmm_reach *reach, double margin,
                        const ptrdiff_t *guess, void *floor, void *z, void *found, void *logd, ptrdiff_t *active,
                        unsigned char *present, ptrdiff_t *work);

    /* Log-sum-exp of each row. IN/OUT logd → exp(logd − max). IN row_weights REAL, 0 past the last row.
     * OUT lse REAL: the row's log-likelihood; scale REAL: 1 / Σ_c exp(logd − max).
     * Returns Σ_i row_weight_i · lse_i. */
    double (*softmax)(ptrdiff_t rows, ptrdiff_t k, const void *row_weights, void *logd, void *lse,
                      void *scale);

    /* IN/OUT e (panel) ← e · scale: responsibilities; times row_weights, if not NULL. */
    void (*rescale)(ptrdiff_t rows, ptrdiff_t k, const void *scale, const void *row_weights, void *e);

    /* Responsibilities of rows that weigh the same: IN/OUT logd → weight · exp(logd) / Σ_c exp(logd), zero past the last
     * row. Returns Σ_i of the rows' log-likelihoods, not weighted. */
    double (*shares)(ptrdiff_t rows, ptrdiff_t k, double weight, void *logd);

    /* Weighted moments about the means, added to
     *   n_k (k,) += Σ_i r_ic;  first (k,d) += Σ_i r_ic (x_i − μ_c);
     *   second: full tiles (k, tiles of (d,d)) += Σ_i r_ic (x_i − μ_c)(x_i − μ_c)ᵀ, or
     *           diag (k,d), the diagonal of it.
     * IN panel, means as above; r (panel of k features): responsibilities times row weights; components (k,): which
     * they are of those that means and sums hold, and present [k][vectors], 0 where r is nothing, as left by screen; or
     * NULL, NULL: all.
     * SCRATCH sz: a panel of d features; s: a block. */
    void (*moments_full)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                         const ptrdiff_t *components, const unsigned char *present, const void *r,
                         void *sz, void *s, double *n_k, double *first, double *second);
    void (*moments_diag)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                         const ptrdiff_t *components, const unsigned char *present, const void *r,
                         double *n_k, double *first, double *second);

    /* moments_diag of rows some of whose features are NaN, which count as μ_cj with the variance variances_cj, REAL
     * (k,d): second += Σ_i r_ic (variances_cj where x_ij is NaN). */
    void (*moments_masked)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                           const void *variances, const void *r, double *n_k, double *first, double *second);

    /* The moments that a variance for each component needs, from the densities themselves (isotropic form):
     * n_k as above; cross (k,d) += Σ_i r_ic x_i (about the centre); second (k,) += Σ_i r_ic |P_c (x_i − μ_c)|².
     * IN panel, r as above; logd (panel of k features) as
     * densities or screen left it; log_norm REAL; components as above. */
    void (*moments_radial)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k,
                           const ptrdiff_t *components, const void *r, const void *logd, const void *log_norm,
                           double *n_k, double *cross, double *second);

    /* The scatter of all components together, without k·d² work and without cancellation:
     *   Σ_c r_c (x−μ_c)(x−μ_c)ᵀ = u uᵀ + Σ_{c<b} r_c r_b (μ_c−μ_b)(μ_c−μ_b)ᵀ,  u = x − Σ_c r_c μ_c,
     * so it adds to  residual (tiles of (d,d)) += Σ_i w_i u_i u_iᵀ,  overlap (tiles of (k,k)) +=
     * Σ_i w_i r_ic r_ib,  and cross (k,d) += Σ_i w_i r_ic x_i (about the centre).
     * IN panel, means, row_weights; r (panel): responsibilities without row weights.
     * SCRATCH u, wu: panels of d features; wr: panel of k features. OUT also n_k (k,). */
    void (*moments_pooled)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                           const void *r, const void *row_weights, void *u, void *wu, void *wr,
                           double *n_k, double *cross, double *residual, double *overlap);

    /* Rows with errors of measurement: x_i ~ N(μ_c, T), T = Σ_c + S_i; a feature that is NaN is not observed. All
     * double, in its table only; the mixture of the form CGMM_COVARIANCES, or CGMM_VARIANCES, then errors are diagonal.
     * errors: S, a panel of pad4(d) features where it is diagonal, of its lower triangle, row by row, where not.
     * SCRATCH scratch: 3 d(d+1)/2 + 5 d + k vectors.
     * errors_pack: OUT errors. IN S, element (i,j,l) at byte i·strides[0] + j·strides[1] + l·strides[2], float if
     * single; the upper triangle is not read.
     * errors_densities: OUT logd as densities.
     * errors_moments, u = T⁻¹ (x − μ_c): n_k (k,) += Σ_i w_i r_ic; first (k,d) += Σ_i w_i r_ic u;
     * second (k,d(d+1)/2), or its diagonal (k,d), += Σ_i w_i r_ic (u uᵀ − T⁻¹). IN r (panel), row_weights. So the moments
     * of the true values about μ_c are Σ_c first and n_c Σ_c + Σ_c second Σ_c: sums of Σ_c u, and of
     * Σ_c u uᵀ Σ_c + Σ_c − Σ_c T⁻¹ Σ_c, which cost a row no product with Σ_c.
     * errors_posterior: OUT truth (panel of d + d(d+1)/2 features, without pad4): mean and covariance of the true
     * values, Σ_c r_c b_c and Σ_c r_c (B_c + (b_c − mean)(b_c − mean)ᵀ). IN r. Of the form CGMM_COVARIANCES. */
    void (*errors_pack)(const char *S, const ptrdiff_t *strides, int diagonal, int single, ptrdiff_t rows, ptrdiff_t d,
                        void *errors);
    void (*errors_densities)(const void *panel, const void *errors, int diagonal, ptrdiff_t rows,
                             const cgmm_mixture *mixture, void *scratch, void *logd);
    void (*errors_moments)(const void *panel, const void *errors, int diagonal, ptrdiff_t rows,
                           const cgmm_mixture *mixture, const void *r, const void *row_weights, void *scratch,
                           double *n_k, double *first, double *second);
    void (*errors_posterior)(const void *panel, const void *errors, int diagonal, ptrdiff_t rows,
                             const cgmm_mixture *mixture, const void *r, void *scratch, void *truth);

    /* Regressions of components on features of a panel. All double, in its table only.
     * regress: OUT found (panel of `width` features, without pad4): Σ_c r_c (μ_c + B_c (x − ν_c)) in the first m of
     * them, IN r (panel); where r is NULL each component's own, k·m of them.
     * regress_spread: IN found, of m + size features, as regress leaves it; OUT its others: the variances, or the lower
     * triangle of the covariance, Σ_c r_c (C_c + (own − all) (own − all)ᵀ), IN covariances (k,size), where size is m or
     * m (m + 1) / 2. SCRATCH: m vectors. */
    void (*regress)(const void *panel, ptrdiff_t rows, const cgmm_regression *of, const void *r, ptrdiff_t width,
                    void *found);
    void (*regress_spread)(const void *panel, ptrdiff_t rows, const cgmm_regression *of, const void *r,
                           const double *covariances, ptrdiff_t size, void *scratch, void *found);

    /* OUT label (rows,): the component of the largest logd, the lowest of equals; top REAL: its logd. */
    void (*argmax)(ptrdiff_t rows, ptrdiff_t k, const void *logd, void *top, ptrdiff_t *label);

    /* What seeding by k-means++ asks of k candidates, means REAL (k,d) about the panel's centre: OUT sums (k,) +=
     * Σ_i row_weights_i min(closest_i, |x_i − mean_c|²), and these minima, out double (k,rows), n apart, unless NULL.
     * IN closest (rows,), which may be `out` of a single candidate; row_weights (rows,) double, or NULL: ones. */
    void (*closer)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means, const double *closest,
                   const double *row_weights, ptrdiff_t n, double *out, double *sums);

    /* Returns Σ_i row_weights_i values_i, double (rows,); row_weights or NULL: ones. Of distances this is what `closer`
     * would add, to the bit. */
    double (*row_sum)(ptrdiff_t rows, const double *values, const double *row_weights);

    /* What `closer` asks of a candidate, of a block of CGMM_NEARBY rows, double [d][CGMM_NEARBY]: OUT out as there, to
     * the bit. IN middle (d,), which pack would take for the centre; mean REAL (d,), about it; weights or NULL.
     * Returns Σ_i weights_i (closest_i − out_i). */
    double (*nearer)(const double *rows, ptrdiff_t d, const double *middle, const void *mean, const double *closest,
                     const double *weights, double *out);

    /* Moments of hard labels about the centre, from X itself (as pack):
     * n_k (k,) += w_i, first (k,d) += w_i (x_i − centre), for c = label_i. IN row_weights REAL. */
    void (*moments_hard)(const char *X, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                         ptrdiff_t d, const double *centre, const ptrdiff_t *label,
                         const void *row_weights, double *n_k, double *first);

    /* The nearest of a few means (see cgmm_few) to each row, the lowest of equals, and the moments of the rows that are
     * nearest to each: OUT label (rows,); n_k (k,) += w_i, first (k,d) += w_i x_i about the centre, for c = label_i, and
     * unless it is NULL inertia += w_i |x_i − μ_c|². With no means, NULL, labels are given. No n_k, NULL: labels only.
     * IN panel; means REAL (k,d); row_weights REAL, 0 past the last row, or NULL: ones. Distances are to the bit those
     * of isotropic densities. */
    void (*assign)(const void *panel, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k, const void *means,
                   const void *row_weights, ptrdiff_t *label, double *inertia, double *n_k, double *first);

    /* OUT r (panel of k features): the rows' weights where label (rows,) is c, else zero. IN row_weights as assign. */
    void (*members)(ptrdiff_t rows, ptrdiff_t k, const ptrdiff_t *label, const void *row_weights, void *r);

    /* OUT out double (·, columns), C order ← panel of k features: row i to row index_i and feature c to column
     * components_c, the others zero; or, with NULL, to row i and column c. */
    void (*unpack)(const void *panel, ptrdiff_t rows, ptrdiff_t k, const ptrdiff_t *index,
                   const ptrdiff_t *components, ptrdiff_t columns, double *out);

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

static inline ptrdiff_t cgmm_pad8(ptrdiff_t m) { return (m + 7) & ~(ptrdiff_t)7; }

static inline ptrdiff_t cgmm_tiles(ptrdiff_t m) { return (m + 3) / 4 * ((m + 3) / 4 + 1) / 2; }

/* Values in one component's factor. */
static inline ptrdiff_t cgmm_factor_size(ptrdiff_t d) {
    ptrdiff_t size = 0;
    for (ptrdiff_t i = 0; i < d; i += 4) size += 4 * (i + 4 < d ? i + 4 : d);
    return size;
}

#define CGMM_CHUNK_ROWS 1024
#define CGMM_NOTHING 1e-20 /* a responsibility of less changes no digit of what rows of the component leave */
#define CGMM_ROOT_BLOCK 64 /* rows: a multiple of every target's group of doubles */
#define CGMM_BOXES 16 /* boxes that are looked at at once: a multiple of every target's lanes */
#define CGMM_NEARBY 32 /* rows in a block that a seed of k-means is near to or not: a multiple of 8 */
#define CGMM_GUIDE 8 /* dimensions of a guide: enough to tell components apart, few enough to cost little */
#define CGMM_GUIDE_VALUES (2 * CGMM_GUIDE + 1 + CGMM_GUIDE * (CGMM_GUIDE + 1) / 2) /* see tops */

/* Whether k clusters of d features are so few that their sums are added up in vectors of rows, each of which every
 * cluster looks at; of more, each row adds to the sums of its own. */
#define CGMM_FEW_SUMS 64 /* in an L1 cache, beside the rows */
static inline int cgmm_few(ptrdiff_t d, ptrdiff_t k) { return d <= 8 && k * (d + 1) <= CGMM_FEW_SUMS; }

/* Rows in a block: a multiple of every target's group; as many as keep a panel within L1 or, for large d, L2: the more
 * there are, the less do sums over lanes cost. */
#define CGMM_BLOCK_ROWS 512 /* at most */
static inline ptrdiff_t cgmm_block_rows(ptrdiff_t d, ptrdiff_t k, ptrdiff_t itemsize) {
    return CGMM_BLOCK_ROWS / (d > 16 || k > 64 ? 2 : 1) * 4 / itemsize;
}

#endif
