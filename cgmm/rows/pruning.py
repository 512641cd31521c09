"""When a pass leaves negligible components out, and what guides it: see docs/pruning.md."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from cgmm import _kernels
from cgmm.rows.boxes import GROUP_ROWS, Boxes, boxes_of

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Mask, Moment, Rows, RowType

DIMENSIONS = _kernels.GUIDE_DIMENSIONS
STEPS = 4  # Iterations by which the guide's directions are found: any guide is exact, and a few make a good one.
# A pruned pass is the faster one if it does less than this share of the dense work, in multiply-adds: measured.
WORTH = 0.9
PRUNED_ROWS = 8192  # Rows that a pass has at least if it may be pruned: a shorter one has nothing to gain.
# Features, by the form of the density, below which the dense kernels are always the faster ones: measured.
LEAST_FEATURES = {"triangular": 9, "diagonal": 16, "isotropic": 24}
# Features up to which components are put into boxes where there are fewer than those, and how many components there are
# at least: a box says little in a space of many more dimensions, and few components cost less than to look at boxes.
MOST_BOXED_FEATURES, LEAST_BOXED = 16, 64
# Rows are put in an order only where single rows, which the fewest components matter to, show that a pass may do less
# than this share of the dense work: groups of rows do half as much again, or twice as much.
WORTH_ALONE = 0.6
# Components that there are at least where rows come in blocks, whose passes order them again and again, or are
# evaluated once, which an order costs more than a twentieth of.
LEAST_UNORDERED = 512
# Components between which, and features up to which, distances between means leave components out: fewer components
# are soon looked at, distances are square in their number, and bounds are cubic in the number of features. Measured.
LEAST_IN_REACH, MOST_IN_REACH, MOST_REACHING_FEATURES = 64, 1024, 48
# Multiply-adds for a row and a component that they may cost: of fewer rows, they take longer than what they spare.
REACHING_WORK = 8
LEAST_COMPONENTS = 4  # Components that a mixture has at least if its passes may be pruned.
# A probe asks of one row in PROBE_SHARE whether pruning would pay: it costs little beside a pass. It asks of no fewer
# than PROBE_LEAST, for the answer to be sure, and of no more than PROBE_MOST.
PROBE_SHARE, PROBE_LEAST, PROBE_MOST = 32, 1024, 4096
# With boxes it asks of one row in so many: fewer lie so far apart that boxes say little of them.
PROBE_SHARE_IN_BOXES = 12
# What is left out weighs up to 1e-20 of all (float32: 1e-13). Of a component with a smaller share than this, that may
# be more than 1e-14 (1e-7), or all it has.
STARVED_SHARE = 1e-6

Sample: TypeAlias = Callable[[int], "Rows"]  # Some rows, no more than so many, evenly spread among all.


class Pruning(NamedTuple):
    """Whether the passes of one run of EM prune: decided by counts of the work done, so always the same.

    A pass that prunes counts its work; while passes are dense, a sample of the rows is tried at the iterations
    1, 2, 4, 8, …

    iteration : passes that were made;  pays : whether the last one, or a probe, showed that pruning pays
    """

    iteration: int = 0
    pays: bool = False

    def guide(
        self,
        parameters: Parameters,
        n: int,
        dtype: RowType,
        sample: Sample,
        moment: Moment | None,
        possible: bool = True,
        neighbours: Sample | None = None,
    ) -> tuple[AnyGuide | None, Self]:
        """The guide of the next pass over n rows of that type, or None for a dense one; and what is known then.

        moment : what the pass accumulates, None if it evaluates
        neighbours : a sample of rows of which each few lie together, as in the order in which a pass in boxes is
            given all; None: it is given none
        """
        now = type(self)(self.iteration + 1, self.pays)
        if not possible or n < PRUNED_ROWS or os.environ.get("CGMM_PRUNE") == "0" or not _may_gain(parameters, moment):
            return None, now
        boxed = _in_boxes(parameters)
        if boxed and parameters.k < LEAST_UNORDERED and (neighbours is None or moment is None):
            return None, now
        if not (now.pays or _probes(now.iteration, boxed)):
            return None, now
        if not now.pays and _kernels.least_share(parameters.density, moment, boxed) > WORTH:
            return None, now
        guide = boxes_of(parameters, dtype) if boxed else guide_of(parameters, dtype, n)
        if not now.pays:
            now = now._replace(pays=_pays(parameters, n, moment, guide, sample, neighbours))
        return (guide if now.pays else None), now

    def observed(self, share: float, n_k: Array, needed: Mask | None) -> tuple[Self, bool]:
        """What is known after a pass that did this share of the dense work, and whether it must be repeated densely.

        What a pruned pass leaves out is negligible for the rows. For a component that hardly any row belongs to it may
        be all there is.

        needed : (k,) the components of which nothing is known without rows; None: there is none
        """
        starved = needed is not None and bool(np.any((n_k < STARVED_SHARE * n_k.sum()) & needed))
        return self._replace(pays=self.pays and share < WORTH and not starved), starved


def _pays(
    parameters: Parameters, n: int, moment: Moment | None, guide: AnyGuide, sample: Sample, neighbours: Sample | None
) -> bool:
    """Whether a pass with this guide over n rows is the faster one, as far as some of them tell."""
    count = min(max(PROBE_LEAST, n // (PROBE_SHARE_IN_BOXES if isinstance(guide, Boxes) else PROBE_SHARE)), PROBE_MOST)
    if neighbours is None or not isinstance(guide, Boxes):
        return _kernels.share_of_work(sample(count), parameters.density, moment, guide, n) < WORTH
    alone = np.repeat(sample(count // GROUP_ROWS), GROUP_ROWS, axis=0)
    if _share_in_order(alone, parameters, moment, guide, n) > WORTH_ALONE:
        return False
    return _share_in_order(neighbours(count), parameters, moment, guide, n) < WORTH


def _share_in_order(rows: Rows, parameters: Parameters, moment: Moment | None, guide: AnyGuide, n: int) -> float:
    """The share of the dense work that a pass in boxes does over rows of which each few lie together, part of n."""
    return _kernels.share_of_work(rows, parameters.density, moment, guide, n, np.arange(len(rows), dtype=np.int32))


def _probes(iteration: int, boxed: bool) -> bool:
    """Whether a sample is tried: at the iterations 1, 2, 4, 8, …; of boxes, whose probe costs more, at 1, 8, 64, …"""
    return iteration & (iteration - 1) == 0 and (not boxed or (iteration.bit_length() - 1) % 3 == 0)


def may_be_pruned(n: int, d: int, k: int) -> bool:
    """Whether a pass over n rows may be, for some density."""
    return n >= PRUNED_ROWS and k >= LEAST_COMPONENTS and (d >= min(LEAST_FEATURES.values()) or k >= LEAST_BOXED)


def _may_gain(parameters: Parameters, moment: Moment | None) -> bool:
    """Whether there are kernels that leave components out of a pass, and they may be faster than those that do not."""
    if moment not in _kernels.PRUNED or parameters.k < LEAST_COMPONENTS:
        return False
    return _in_boxes(parameters) or parameters.d >= LEAST_FEATURES[parameters.density.form]


def _in_boxes(parameters: Parameters) -> bool:
    """Whether its components can be put into boxes, and boxes are the better guide."""
    if parameters.k < LEAST_BOXED:
        return False
    density = parameters.density
    few = parameters.d <= min(MOST_BOXED_FEATURES, LEAST_FEATURES[density.form] - 1)
    return few and density.whitener is None


def guide_by_itself(
    parameters: Parameters, n: int, dtype: RowType, sample: Sample, neighbours: Sample
) -> AnyGuide | None:
    """The guide of a single pass that evaluates n rows, or None for a dense one."""
    return Pruning().guide(parameters, n, dtype, sample, None, neighbours=neighbours)[0]


class Reach(NamedTuple):
    """How near to other components the rows of one may be, by the triangle inequality, where all features are measured
    in their deviations within components, or, if all share P, by that: |P_c (x − μ_c)| ≥ apart_gc − sharpness_c width_g
    |P_g (x − μ_g)|.

    apart : (k,k), no more than |P_c (μ_g − μ_c)|, of g in its rows
    sharpness, width : (k,), no less than |P_c v| / |v|, and than |v| / |P_g v|, of any v
    """

    apart: Array
    sharpness: Array
    width: Array


class Guide(NamedTuple):
    """A projection to m dimensions in which components are told apart, and their images in it.

    directions : ndarray (m,d);  roots : ndarray (k,m,m), P = L⁻¹ of no less than the images' covariances.
    """

    directions: Array
    roots: Array
    reach: Reach | None


AnyGuide: TypeAlias = Guide | Boxes  # What tells a pass which components cannot matter: of many features, or of few.


def guide_of(parameters: Parameters, dtype: RowType, n: float = np.inf) -> Guide:
    """The Guide of a mixture for n rows of that type.

    Its covariances are larger than the images' by the square of what rounding may do to an image: by rounding,
    distances in it exceed the true ones by little. One whose root cannot be taken has zero for it, and is never
    left out.
    """
    directions = principal_directions(parameters)
    covariances = parameters.project(directions)
    images = np.einsum("cj,mj->cm", parameters.means - parameters.means[0], directions)
    diagonal = np.einsum("cmm->cm", covariances)
    slack = 1e-10 * diagonal.max(axis=1) + (8 * np.finfo(dtype).eps * np.abs(images).max()) ** 2
    diagonal += slack[:, np.newaxis]
    return Guide(directions, _kernels.roots(covariances)[0], _reach_of(parameters, n))


def _reach_of(parameters: Parameters, n: float) -> Reach | None:
    """None where it would not pay over n rows."""
    family, k, d, density = parameters.family, parameters.k, parameters.d, parameters.density
    if not LEAST_IN_REACH <= k <= MOST_IN_REACH or d > MOST_REACHING_FEATURES:
        return None
    if (k * d * (d + 1) // 2 + 6 * d**3 if density.form == "triangular" else 2 * k * d) > REACHING_WORK * n:
        return None
    joint = _kernels.evaluate(parameters.means, density, "log_densities")[:, :k]
    scale = _deviations(parameters)
    with np.errstate(all="ignore"):  # what is no number leaves nothing out
        slack = 1e-12 * (np.abs(density.log_norm) + np.abs(joint))
        apart = np.sqrt(np.maximum(2 * (density.log_norm - joint) - slack, 0))
        if density.whitener is not None:  # P is that of all components: lengths are measured by it
            return Reach(apart, np.ones(k), np.ones(k))
        if density.form != "triangular":
            deviations = np.sqrt(parameters.variances) / scale
            return Reach(apart, (1 + 1e-9) / deviations.min(axis=1), (1 + 1e-9) * deviations.max(axis=1))
        units = scale[:, None] * scale
        sharpness = _most(family.expand(parameters.precisions, k, d) * units)
        return Reach(apart, sharpness, _most(family.expand(parameters.covariances, k, d) / units))


def _most(matrices: Array) -> Array:
    """No less than the square root of the largest eigenvalue λ of each positive definite matrix A, (k,d,d) → (k,): by
    λ ≤ (tr A¹⁶)^(1/16). So few features keep the products from the threads of a BLAS."""
    trace = np.einsum("cjj->c", matrices)
    power = matrices / trace[:, None, None]
    for _ in range(3):
        power = power @ power
    largest = trace * np.einsum("cij,cij->c", power, power) ** (1 / 16)
    return np.where(largest > 0, np.sqrt(largest) * (1 + 1e-9), np.inf)


def _deviations(parameters: Parameters) -> Array:
    """(d,): of each feature within components."""
    return np.sqrt(np.einsum("c,cj->j", parameters.weights, parameters.variances))


def principal_directions(parameters: Parameters) -> Array:
    """(m,d): the principal directions of the means, in units of the spread within components.

    By subspace iteration (Golub and Van Loan 2013, section 8.2), made orthonormal by the Cholesky factor of its
    Gram matrix; a few steps suffice, for any guide is exact. Products are small: einsum keeps them from a BLAS,
    whose threads would go on spinning beside those of the pass.
    """
    weights, means = parameters.weights, parameters.means
    scale = 1.0 / _deviations(parameters)
    offsets = (means - np.einsum("c,cj->j", weights, means)) * scale * np.sqrt(weights)[:, None]
    basis = np.eye(DIMENSIONS, parameters.d)
    for _ in range(STEPS):
        images = np.einsum("cj,mj->cm", offsets, basis)
        basis = np.einsum("cm,cj->mj", images, offsets) + 1e-12 * basis
        gram = np.einsum("mj,lj->ml", basis, basis)
        roots, _ = _kernels.roots((gram + 1e-12 * gram.trace() * np.eye(DIMENSIONS))[np.newaxis])
        basis = np.einsum("lm,mj->lj", roots[0], basis)
    return np.ascontiguousarray(basis * scale)
