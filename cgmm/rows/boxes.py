"""Components in boxes: what tells a pass which of many components cannot matter to rows that lie together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Labels, Order, Rows, RowType

SIZE = _kernels.BOXES
UNIT_ROWS = 1024  # Rows that tell the unit in which a feature's width counts, when rows are put in an order.
GROUP_ROWS = 64  # No group of rows that share a list of components has more of them on any processor.


class Boxes(NamedTuple):
    """Components that lie together in boxes of SIZE, which are boxes in sets of SIZE.

    A box is what kernels.h calls one: the middle, half the width, a log_norm, and a triangle or a scale of each of SIZE
    components or boxes, [values][SIZE]. The log-density of what is in it is nowhere larger than log_norm −
    ½ Σ_j scale_j² gap_j², gap_j being the distance from its middle less half its width.

    order : (boxes·SIZE,), the components; those past the last repeat it
    inner : (boxes, values, SIZE), of the components;  outer : (sets, values, SIZE), of the boxes
    scale : (d,), the unit in which a feature's width counts
    """

    order: Labels
    inner: Array
    outer: Array
    scale: Array


def boxes_of(parameters: Parameters, dtype: RowType) -> Boxes:
    """The Boxes of a mixture whose density is not whitened, for rows of that type."""
    density = parameters.density
    k, d = parameters.k, parameters.d
    means, factor = density.means - density.centre, density.factor
    scale = 1.0 / np.sqrt(np.einsum("c,cj->j", parameters.weights, parameters.variances))
    boxes = -(-k // SIZE)
    order = _kernels.order_in_space(means * scale, SIZE)[np.minimum(np.arange(boxes * SIZE), k - 1)]
    least = least_scales(parameters)
    if density.form == "triangular":
        rows, columns = np.tril_indices(d)
        factor = factor[:, rows, columns]
    else:
        factor = np.broadcast_to(factor.reshape(k, -1), (k, d))
    inner = (means[order], np.zeros((len(order), d)), density.log_norm[order, np.newaxis], factor[order])
    low, high = (
        reduce(each[order].reshape(boxes, SIZE, d), axis=1) for reduce, each in ((np.min, means), (np.max, means))
    )
    outer = (
        (low + high) / 2,
        # Half of the width, and what rounding may take from it.
        (high - low) / 2 + np.finfo(dtype).eps * (np.abs(low) + np.abs(high)),
        density.log_norm[order].reshape(boxes, SIZE).max(axis=1)[:, np.newaxis],
        least[order].reshape(boxes, SIZE, d).min(axis=1),
    )
    return Boxes(order, _packed(inner), _packed(outer), scale)


def in_space(X: Rows, n_threads: int = 1) -> Order:
    """The rows in an order in which each few lie together, int32 (n,). It depends on the rows alone."""
    some = np.sort(X[:: max(1, len(X) // UNIT_ROWS)].astype(np.float64), axis=0)
    quarter = len(some) // 4
    with np.errstate(over="ignore"):
        widths = some[-1 - quarter] - some[quarter]
        widths = np.where(widths > 0, widths, some[-1] - some[0])  # more than half of the values are alike
    usable = (widths > 1e-300) & np.isfinite(widths)
    return _kernels.order_of_rows(X, 1 / np.where(usable, widths, 1.0), n_threads)


def together(X: Rows, order: Order, count: int) -> Rows:
    """About `count` of the rows, of which each GROUP_ROWS, evenly spread in their order, lie together."""
    runs = len(order) // GROUP_ROWS
    some = order[: runs * GROUP_ROWS].reshape(runs, GROUP_ROWS)[:: max(1, len(order) // max(1, count))]
    return np.ascontiguousarray(X[some.ravel()])


def least_scales(parameters: Parameters) -> Array:
    """u (k,d) with Σ_j u_cj² z_j² ≤ |P_c z|² for any z.

    Of a covariance S R S, S the standard deviations, it is (S √‖R‖)⁻¹, for R⁻¹ ≥ 1 / ‖R‖; the largest sum of a row's
    absolute values is no less than this norm.
    """
    density = parameters.density
    if density.form != "triangular":
        return np.broadcast_to(density.factor.reshape(parameters.k, -1), (parameters.k, parameters.d))
    deviations = np.sqrt(parameters.variances)
    covariances = np.abs(parameters.covariances)
    norms = (covariances / deviations[:, :, np.newaxis] / deviations[:, np.newaxis]).sum(axis=2).max(axis=1)
    return 1.0 / (deviations * np.sqrt(norms)[:, np.newaxis])


def _packed(values: tuple[Array, ...]) -> Array:
    """(sets, values, SIZE) of arrays (count, …): the last set's missing ones repeat the last that there is."""
    each = np.concatenate(values, axis=1)
    sets = -(-len(each) // SIZE)
    each = each[np.minimum(np.arange(sets * SIZE), len(each) - 1)]
    return np.ascontiguousarray(each.reshape(sets, SIZE, -1).transpose(0, 2, 1))
