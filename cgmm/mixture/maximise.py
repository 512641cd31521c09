"""The M-step: parameters from sufficient statistics; and its inverse.

It is the same for all families, priors and masks: a prior adds to the statistics, the means follow, the family makes
covariances of the second moments about these, and what is fixed is put back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.mixture.conjugate import MOST_MOMENT
from cgmm.mixture.families import Central, Estimate
from cgmm.mixture.rules import EMPTIED, SINGULAR, Repair
from cgmm.mixture.second import SECOND_MOMENTS
from cgmm.mixture.statistics import EMPTY, SufficientStatistics
from cgmm.mixture.values import Values

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.mixture.rules import Fixed, Rules
    from cgmm.types import Array, Labels, Mask

# A component whose rows weigh less than this share of what the prior adds to it is known by the prior alone: in the
# sum, rounding is larger than they are.
LIGHT = 1e-9


class Totals(NamedTuple):
    """Statistics as the M-step takes them, those of a prior's unseen rows included.

    weights : (k,) what the weights are in proportion to;  masses : (k,) what first moments are divided by
    first, second : moments about the statistics' shift;  counts : what second moments are divided by
    empty : components that no row belongs to
    """

    weights: Array
    masses: Array
    first: Array
    second: Array
    counts: Array
    empty: Labels


def maximise(
    statistics: SufficientStatistics,
    family: Family,
    rules: Rules,
    last: Values | None = None,
    iteration: int = 0,
) -> tuple[Values, list[Repair]]:
    """The parameters of highest likelihood, or posterior density, that obey the rules; and what had to be repaired.

    A component without rows keeps its `last` mean, with weight zero, and its covariance unless a prior has one. Where
    something is fixed there is a last.
    """
    totals = _totals(statistics, family, rules)
    repairs = [Repair(iteration, int(c), EMPTIED) for c in totals.empty]
    weights = _shares(totals.weights, last and last.weights, rules.fixed.weights)
    offsets, means, covariances = _moments(totals, statistics.shift, family, rules, last)
    fixed = rules.fixed.covariances
    if last is not None and fixed is not None and fixed.all():
        return Values(weights, means, last.covariances, last.root), repairs
    bare = totals.empty if rules.prior is None else _uncounted(totals)
    central = Central(covariances, totals.counts, bare, rules.floor_of(offsets, means))
    kept = _and_bare(fixed, bare, len(means)) if family.per_component and not family.shared else fixed
    found = _but_kept(family.estimate(central, rules, last), kept, last)
    repairs += [Repair(iteration, c, SINGULAR) for c in found.held]
    return Values(weights, means, found.covariances, found.root), repairs


def _totals(statistics: SufficientStatistics, family: Family, rules: Rules) -> Totals:
    """The statistics, to which a prior has added its own, with masses and counts that can be divided by."""
    n_k, d = statistics.n_k, statistics.shift.shape[1]
    if rules.prior is None:
        counts, empty = family.counts(n_k, d), statistics.empty
        totals = Totals(
            weights=n_k, masses=n_k, first=statistics.first, second=statistics.second, counts=counts, empty=empty
        )
    else:
        both = rules.prior.with_unseen(statistics, family)
        unknown = (both.masses < EMPTY) | (np.ravel(both.counts) < EMPTY)
        totals = Totals(*both, empty=unknown.nonzero()[0])
    if totals.counts.ndim not in (0, totals.second.ndim):
        raise ValueError(
            f"the counts of family {family.name!r} have shape {totals.counts.shape}: they must be a number, or have as "
            f"many axes as its second moments, of shape {totals.second.shape}"
        )
    if not len(totals.empty):
        return totals
    return totals._replace(masses=np.maximum(totals.masses, EMPTY), counts=np.maximum(totals.counts, EMPTY))


def _uncounted(totals: Totals) -> Labels:
    """Those of the empty components to whose covariance a prior adds nothing, either."""
    counts = np.broadcast_to(np.ravel(totals.counts), len(totals.masses))
    return totals.empty[counts[totals.empty] <= EMPTY]


def _moments(
    totals: Totals, shift: Array, family: Family, rules: Rules, last: Values | None
) -> tuple[Array, Array, Array]:
    """How far the rows' means (k,d) are from the shift, the means that are chosen, and the second moments about these
    over the counts."""
    offsets, means, covariances = _kernels.central_moments(
        family.moment, totals.masses, np.ravel(totals.counts), totals.first, totals.second, shift
    )
    if last is None:
        return offsets, means, covariances
    if len(totals.empty):
        means[totals.empty] = last.means[totals.empty]
    fixed = rules.fixed.means
    if fixed is not None:
        means[fixed] = last.means[fixed]
        away = np.where(fixed[:, None], offsets - (means - shift), 0.0)
        with np.errstate(over="ignore", invalid="ignore"):  # a prior may have masses where there are no counts
            covariances += SECOND_MOMENTS[family.moment].scatter(totals.masses / np.ravel(totals.counts), away)
    return offsets, means, covariances


def _and_bare(fixed: Mask | None, bare: Labels, k: int) -> Mask | None:
    """The components that are fixed, or of which nothing is known."""
    if not len(bare):
        return fixed
    kept = np.zeros(k, dtype=bool) if fixed is None else fixed.copy()
    kept[bare] = True
    return kept


def _but_kept(found: Estimate, kept: Mask | None, last: Values | None) -> Estimate:
    """The estimate, with the last covariances of the components that keep theirs."""
    if kept is None or last is None:
        return found
    found.covariances[kept] = last.covariances[kept]
    found.root[kept] = last.root[kept]
    return found._replace(held=[c for c in found.held if not kept[c]])


def _shares(n_k: Array, last: Array | None, fixed: Mask | None) -> Array:
    """Weights (k,) in proportion to n_k, but for those that are fixed."""
    if fixed is None or last is None:
        whole = _kernels.total(n_k)
        return n_k / whole if whole >= EMPTY or last is None else last  # all rows may be noise
    weights = np.where(fixed, last, 0.0)
    free = np.where(fixed, 0.0, n_k)
    if free.sum() < EMPTY:
        return last
    return weights + max(1.0 - weights.sum(), 0.0) * free / free.sum()


def restored(values: Values, last: Values, fixed: Fixed) -> Values:
    """The values, but what is fixed as it was last, to the bit."""
    weights, means = _shares(values.weights, last.weights, fixed.weights), values.means
    if fixed.means is not None:
        means = np.where(fixed.means[:, None], last.means, means)
    if fixed.covariances is None:
        return Values(weights, means, values.covariances, values.root)
    if fixed.covariances.all():
        return Values(weights, means, last.covariances, last.root)
    found = _but_kept(Estimate(values.covariances, values.root, []), fixed.covariances, last)
    return Values(weights, means, found.covariances, found.root)


def statistics_of(
    family: Family, values: Values, n_k: Array, rules: Rules | None = None, exponent: int = 0
) -> SufficientStatistics:
    """Statistics, about the means, of which an M-step with these rules makes these parameters; without rules, one that
    adds nothing to covariances. Covariances that are fixed are those of the rows, for no M-step adds to them.

    n_k : (k,) the weight of each component, as multiples of 2^exponent
    """
    largest = int(np.frexp(n_k.max())[1])
    n_k, means, covariances = np.ldexp(n_k, -largest), values.means, values.covariances
    (k, d), prior = means.shape, None if rules is None else rules.prior
    fixed, added = fixed_covariances(rules, covariances.ndim), 0.0 if rules is None else rules.reg_covar
    if added:
        covariances = np.where(fixed, covariances, family.without(covariances, added))
    found = SufficientStatistics(
        n_k=n_k,
        first=np.zeros(means.shape),
        second=np.zeros(SECOND_MOMENTS[family.moment].shape(k, d)),
        log_likelihood=np.nan,
        total_weight=n_k.sum(),
        shift=means,
        moment=family.moment,
        exponent=exponent + largest,
    )
    if prior is not None:
        found = prior.beside(found)
    most = np.max(family.counts(found.n_k, d)) + (0.0 if prior is None else prior.counts_beside(found.exponent))
    beyond = int(np.frexp(np.abs(covariances).max())[1] + np.frexp(most)[1]) - MOST_MOMENT
    found = found.with_exponent(found.exponent + max(beyond, 0))
    found = replace(found, second=family.second(covariances, family.counts(found.n_k, d)))
    if rules is None or prior is None:
        return found
    unseen = prior.with_unseen(found.without_moments(), family)
    known = found.n_k < LIGHT * unseen.masses  # of the prior's mean only, or fixed
    if rules.fixed.means is not None:
        known |= rules.fixed.means
    first = np.where(known[:, None], 0.0, -unseen.first)
    second = family.second(np.where(fixed, 0.0, covariances), unseen.counts) - unseen.second
    return found.with_moments(first, np.where(fixed, found.second, second))


def fixed_covariances(rules: Rules | None, ndim: int) -> Mask:
    """Which covariances are fixed, as a mask beside an array of them, of ndim axes."""
    fixed = None if rules is None else rules.fixed.covariances
    if fixed is None or fixed.all() or not fixed.any():
        return np.array(fixed is not None and fixed.any())
    return fixed.reshape(-1, *[1] * (ndim - 1))
