"""Components that together are one cluster: `cgmm.combine`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.errors import InvalidParameterError, counted
from cgmm.gmm import GMM
from cgmm.rows.entropy import merged_sums
from cgmm.suggestions import explained
from cgmm.validation import check_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cgmm.rows.evaluation import Evaluations
    from cgmm.types import Array, ArrayLike, Labels

Clusters = tuple[tuple[int, ...], ...]  # The components of each.


class Merge(NamedTuple):
    """One step of the way from k clusters to one.

    Attributes
    ----------
    n_clusters : int
        That are left.
    first, second : tuple of int
        The components of the two clusters that become one.
    entropy : float
        That is left.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
    >>> X, _ = model.sample(2000, random_state=0)
    >>> found = cgmm.combine(model, X)
    >>> [(merge.first, merge.second) for merge in found.merges]
    [((1,), (2,)), ((0,), (1, 2))]
    """

    n_clusters: int
    first: tuple[int, ...]
    second: tuple[int, ...]
    entropy: float


@dataclass(frozen=True, eq=False)
class Combination:
    """What `combine` found: which components make a cluster, for each number of clusters.

    Attributes
    ----------
    merges : tuple of Merge
        From k components to one cluster, one after the other.
    entropies : ndarray (k,)
        −Σ_i w_i Σ_c t_ic log t_ic for 1, 2, … k clusters, t_ic the probability of cluster c: how unsure the mixture is
        of the clusters of the rows.
    n_clusters : int
        The elbow of the entropies: where two straight lines, which meet there, fit them best over the number of
        clusters. Of one component 1, and of two 2.
    model : GMM
        Whose components they are.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
    >>> X, _ = model.sample(2000, random_state=0)
    >>> found = cgmm.combine(model, X)
    >>> found.n_clusters, found.clusters()
    (2, ((0,), (1, 2)))
    """

    merges: tuple[Merge, ...]
    entropies: Array
    n_clusters: int
    model: GMM

    def clusters(self, n_clusters: int | None = None) -> Clusters:
        """The components of each cluster, in the order of their first; by default for the elbow's number.

        Parameters
        ----------
        n_clusters : int, optional
            Default: the number at the elbow of the entropies.

        Examples
        --------
        >>> import cgmm
        >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
        >>> X, _ = model.sample(2000, random_state=0)
        >>> found = cgmm.combine(model, X)
        >>> found.clusters(2)
        ((0,), (1, 2))
        """
        k = len(self.entropies)
        left = check_count("n_clusters", self.n_clusters if n_clusters is None else n_clusters)
        if left > k:
            raise InvalidParameterError(f"n_clusters is {left}, and the mixture has {counted(k, 'component')}")
        found: dict[int, tuple[int, ...]] = {c: (c,) for c in range(k)}
        for merge in self.merges[: k - left]:
            found[merge.first[0]] = tuple(sorted(merge.first + merge.second))
            del found[merge.second[0]]
        return tuple(found[c] for c in sorted(found))

    def labels(self, n_clusters: int | None = None) -> Labels:
        """The cluster of each component, (k,).

        Parameters
        ----------
        n_clusters : int, optional
            Default: the number at the elbow of the entropies.

        Examples
        --------
        >>> import cgmm
        >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
        >>> X, _ = model.sample(2000, random_state=0)
        >>> found = cgmm.combine(model, X)
        >>> found.labels(2).tolist()
        [0, 1, 1]
        """
        found = np.empty(len(self.entropies), dtype=np.intp)
        for at, components in enumerate(self.clusters(n_clusters)):
            found[list(components)] = at
        return found

    def predict_proba(self, X: ArrayLike, n_clusters: int | None = None) -> Array:
        """The probability (n, n_clusters) of each cluster given each row.

        Parameters
        ----------
        X : array-like (n, d)
            Whatever ``GMM.predict_proba`` takes.
        n_clusters : int, optional
            Default: the elbow's.

        Examples
        --------
        >>> import cgmm
        >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
        >>> X, _ = model.sample(2000, random_state=0)
        >>> found = cgmm.combine(model, X)
        >>> found.predict_proba([[0.0], [10.4]], 2).round(3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
        """
        labels = self.labels(n_clusters)
        return np.asarray(self.model.predict_proba(X)) @ np.eye(labels.max() + 1)[labels]

    def predict(self, X: ArrayLike, n_clusters: int | None = None) -> Labels:
        """The most probable cluster (n,) of each row; −1 where noise is more probable. Arguments as `predict_proba`.

        A row's most probable cluster need not be that of its most probable component.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        n_clusters : int, optional
            Default: the number at the elbow of the entropies.

        Examples
        --------
        >>> import cgmm
        >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
        >>> X, _ = model.sample(2000, random_state=0)
        >>> found = cgmm.combine(model, X)
        >>> found.predict([[0.0], [10.4]], 2).tolist()
        [0, 1]
        """
        found = self.predict_proba(X, n_clusters)
        labels = found.argmax(axis=1)
        if not self.model.noise_weight_:
            return labels
        return np.where(self.model.noise_probability(X) > found.max(axis=1), -1, labels)

    def plot(self, **options: Any) -> Any:
        """The tree of the merges: see cgmm.plot.tree, which takes the options.

        Parameters
        ----------
        **options
            Those of ``cgmm.plot.model``.

        Examples
        --------
        >>> import cgmm
        >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
        >>> X, _ = model.sample(2000, random_state=0)
        >>> found = cgmm.combine(model, X)
        >>> picture = found.plot()
        """
        from cgmm import plot

        return plot.tree(self, **options)

    def __repr__(self) -> str:
        lines = [f"{'clusters':>8}{'entropy':>14}  components"]
        for left in range(len(self.entropies), 0, -1):
            told = " ".join("+".join(map(str, components)) for components in self.clusters(left))
            mark = "  <- elbow" if left == self.n_clusters else ""
            lines.append(f"{left:8}{self.entropies[left - 1]:14.6g}  {told}{mark}")
        return "\n".join(lines)


@explained
def combine(model: GMM, X: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Combination:
    """Components of a mixture merged into clusters, two at a time, so that the entropy falls most (Baudry et al. 2010).

    BIC chooses the components that a density needs; a cluster that is not normal takes several of them. Those belong
    together that rows are unsure between. The density stays what it is.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d)
        The rows; in memory, in blocks, in files or Dask collections. They are read k − 1 times, and no array of more
        than a block times k is made.
    sample_weight : array-like (n,), optional
        Row weights.

    Returns
    -------
    Combination

    Raises
    ------
    NotFittedError
        The model is not fitted.
    TypeError, ValueError
        The model is not a GMM, or X cannot be used.

    Examples
    --------
    Two components are needed for the left cluster, which is no ellipse:

    >>> import numpy as np
    >>> import cgmm
    >>> rng = np.random.default_rng(0)
    >>> left = np.concatenate([rng.normal(0, 0.3, 300), rng.normal(0, 2, 300)])
    >>> X = np.concatenate([left, rng.normal(12, 1, 300)])[:, np.newaxis]
    >>> model = cgmm.GMM(3, means_init=[[0.1], [-0.1], [12]], tol=1e-6, max_iter=1000, random_state=0).fit(X)
    >>> found = cgmm.combine(model, X)
    >>> found.clusters(2), found.n_clusters
    (((0, 1), (2,)), 2)
    """
    if not isinstance(model, GMM):
        raise TypeError(f"model must be a fitted GMM, not {type(model).__name__}")
    k = model._fitted().fit.parameters.k
    rows = model._evaluations(X, sample_weight)
    entropies, merges = np.empty(k), []
    for left, (pair, entropy) in zip(range(k, 0, -1), _steps(rows, k), strict=True):
        entropies[left - 1] = entropy
        if pair is not None:
            merges.append(Merge(left, *pair, entropy))
    entropies.flags.writeable = False
    return Combination(tuple(merges), entropies, elbow(entropies), model)


Pair = tuple[tuple[int, ...], tuple[int, ...]]


def _steps(rows: Evaluations, k: int) -> Iterator[tuple[Pair | None, float]]:
    """The clusters that become one, and the entropy that is left: k times, before the first of which nothing does."""
    clusters: list[tuple[int, ...]] = [(c,) for c in range(k)]
    sums = rows.total(partial(merged_sums, np.arange(k), np.arange(k)))
    yield None, -float(sums.diagonal().sum())
    while len(clusters) > 1:
        alone = sums.diagonal()
        gains = np.where(np.triu(np.ones_like(sums), 1) > 0, sums - alone - alone[:, np.newaxis], -np.inf)
        a, b = divmod(int(gains.argmax()), len(clusters))
        pair = clusters[a], clusters[b]
        clusters[a] = tuple(sorted(pair[0] + pair[1]))
        del clusters[b]
        both, sums = sums[a, b], np.delete(np.delete(sums, b, axis=0), b, axis=1)
        sums[a, a] = both
        yield pair, -float(sums.diagonal().sum())
        if len(clusters) > 1:
            found = rows.total(partial(merged_sums, _labels(clusters, k), np.array([a])))[a]
            sums[a], sums[:, a] = found, found


def _labels(clusters: Sequence[Iterable[int]], k: int) -> Labels:
    """The cluster of each component, (k,)."""
    found = np.empty(k, dtype=np.intp)
    for at, components in enumerate(clusters):
        found[list(components)] = at
    return found


def elbow(entropies: Array) -> int:
    """Where two straight lines that share this number fit the entropies of 1 … k clusters best (Baudry et al. 2010,
    section 4.2)."""
    k = len(entropies)
    if k < 3:
        return k
    numbers = np.arange(1.0, k + 1)
    errors = [_error(numbers[:c], entropies[:c]) + _error(numbers[c - 1 :], entropies[c - 1 :]) for c in range(2, k)]
    return 2 + int(np.argmin(errors))


def _error(x: Array, y: Array) -> float:
    """The sum of squares about the straight line of least squares."""
    x, y = x - x.mean(), y - y.mean()
    return float(((y - x * (x @ y) / (x @ x)) ** 2).sum())
