"""Cross-validation of a regression: how well mixtures predict the targets of rows that they have not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgmm.gmm import GMM
    from cgmm.rows.part import Part
    from cgmm.types import Array, Labels

FOLDS = 5  # As many as scikit-learn's default.


def best_of_folds(part: Part, p: int, most: int, make: Callable[[int], GMM], rng: np.random.Generator) -> int:
    """The number of components, up to `most`, whose mean log-density of left-out targets is highest.

    part : rows (n,p+t) of features and targets;  make : of a number of components, the mixture that is to be fitted
    """
    fold_of = rng.permutation(len(part.rows)) % min(FOLDS, len(part.rows))
    scores = [_score(part, p, fold_of, k, make) for k in range(1, most + 1)]
    return int(np.argmax(scores)) + 1


def _score(part: Part, p: int, fold_of: Labels, k: int, make: Callable[[int], GMM]) -> float:
    """The weighted log-density of all targets, each left out; −∞ where rows are fewer than components."""
    total = 0.0
    for fold in np.unique(fold_of):
        kept, out = part.taken(fold_of != fold), part.taken(fold_of == fold)
        if len(kept.positive().rows) < k:
            return -np.inf
        mixture = make(k).fit(kept.rows, sample_weight=kept.weights, error_covariances=kept.errors)
        known = log_density_of_targets(mixture, out, p)
        total += float(known.sum() if out.weights is None else out.weights @ known)
    return total


def log_density_of_targets(mixture: GMM, part: Part, p: int) -> Array:
    """log p(y_i | x_i) of rows (n,p+t) as they were measured, (n,)."""
    rows, found = part.rows, part.errors
    if found is None:
        return mixture.conditional(rows[:, :p], range(p)).score_samples(rows[:, p:])
    of_features = found[:, :p] if found.ndim == 2 else found[:, :p, :p]
    alone = mixture.marginal(range(p)).score_samples(rows[:, :p], error_covariances=of_features)
    return mixture.score_samples(rows, error_covariances=found) - alone
