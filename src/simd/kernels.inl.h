/* The body of every micro-kernel, once, for one REAL and one vector width; see kernels.h for what each
 * computes. Included by a target file, which defines
 *   DOUBLE 1 or 0 (REAL is double or float), VECTOR_BYTES, NV (vectors in a group), MI (rows of a 4×4
 *   tile that are computed at once, so that accumulators fit the registers), VMAX(a, b), VMIN(a, b)
 *   (the second operand where the first is NaN), VANY(v) (whether any lane is ≥ 0), and NAME(f); where the processor
 *   has an instruction for it VBITS(v) (bit l says whether lane l is ≥ 0); with large
 *   registers also VLOAD_FIRST(p, count) (count < W values from p on, the other lanes zero), VPICK16(table, v) (the
 *   element of 16 that the last four bits of a lane say), VSCALE(x, low, v, m) (v · 2^⌊m⌋ where x > low, else 0),
 *   VMANTISSA(x) and VEXPONENT(x) (of positive numbers).
 * Vectors run over samples: whitening then broadcasts P and streams rows, with no horizontal sums. */
#include "vector.inl.h"

#include "layout.inl.h"

#include "density.inl.h"

#include "boxes.inl.h"

#include "screen.inl.h"

#include "moments.inl.h"

#include "missing.inl.h"

#include "errors.inl.h"

#include "regress.inl.h"

#include "roots.inl.h"

static double NAME(multiply_add)(ptrdiff_t repeats, double *sink) {
    enum { CHAINS = VECTOR_BYTES == 64 ? 16 : 12 }; /* latency × ports, within the registers */
    V x[CHAINS];
    V factor = ZERO + (REAL)(1 - 1e-6), term = ZERO + (REAL)1e-6, total = ZERO;
    for (int q = 0; q < CHAINS; q++) x[q] = ZERO + (REAL)q;
    for (ptrdiff_t i = 0; i < repeats; i++) {
#pragma GCC unroll 16
        for (int q = 0; q < CHAINS; q++) x[q] = x[q] * factor + term;
    }
    for (int q = 0; q < CHAINS; q++) total += x[q];
    *sink = NAME(sum)(total);
    return 2.0 * CHAINS * (double)W * (double)repeats;
}

static const cgmm_kernels NAME(table) = {
    .itemsize = sizeof(REAL),
    .group = G,
    .lanes = W,
    .negligible = DOUBLE ? 46 : 30,
    .pack = NAME(pack),
    .all_within = NAME(all_within),
    .root = NAME(root),
#if DOUBLE
    .root_strips = NAME(root_strips),
    .root_load = NAME(root_load),
    .root_pivots = NAME(root_pivots),
    .root_eliminate = NAME(root_eliminate),
    .root_store = NAME(root_store),
    .root_factor = NAME(root_factor),
    .condition = NAME(condition),
    .complete = NAME(complete),
    .errors_pack = NAME(errors_pack),
    .errors_densities = NAME(errors_densities),
    .errors_moments = NAME(errors_moments),
    .errors_posterior = NAME(errors_posterior),
    .regress = NAME(regress),
    .regress_spread = NAME(regress_spread),
#endif
    .pack_factor = NAME(pack_factor),
    .whiten = NAME(whiten),
    .densities = NAME(densities),
    .box = NAME(box),
    .near = NAME(near),
    .tops = NAME(tops),
    .reaching = NAME(reaching),
    .halve = NAME(halve),
    .densities_of = NAME(densities_of),
    .keep = NAME(keep),
    .project = NAME(project),
    .guess = NAME(guess),
    .screen = NAME(screen),
    .softmax = NAME(softmax),
    .rescale = NAME(rescale),
    .shares = NAME(shares),
    .assign = NAME(assign),
    .members = NAME(members),
    .moments_full = NAME(moments_full),
    .moments_diag = NAME(moments_diag),
    .moments_masked = NAME(moments_masked),
    .moments_radial = NAME(moments_radial),
    .moments_pooled = NAME(moments_pooled),
    .argmax = NAME(argmax),
    .closer = NAME(closer),
    .row_sum = NAME(row_sum),
    .nearer = NAME(nearer),
    .moments_hard = NAME(moments_hard),
    .unpack = NAME(unpack),
    .convert = NAME(convert),
    .widen = NAME(widen),
    .multiply_add = NAME(multiply_add),
};

#undef REAL
#undef INT
#undef W
#undef G
#undef V
#undef WIDE
#undef VI
#undef GROUPS
#undef SUM_LANES
#undef LOAD
#undef STORE
#undef SELECT
#undef ZERO
#undef BIG
#undef SQRT
#undef UP_TO_FOUR
#undef LOW
#undef LANES
#undef LANES_IN_VECTOR
#undef FOLD_MASK_A
#undef FOLD_MASK_B
#undef FOLD
