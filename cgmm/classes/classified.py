"""What a classifier has learnt: one mixture of all rows, each component of which belongs to a class."""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.gmm import GMM
from cgmm.mixture import transform
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.statistics import frozen
from cgmm.rows.evaluation import joined
from cgmm.rows.open import open_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cgmm.classes.given import Some
    from cgmm.rows.evaluation import Evaluation, Evaluations
    from cgmm.types import Array, Labels, Mask, Missing, Names

CLASSIFIER = "GMMClassifier"


@dataclass(frozen=True, eq=False)
class Classified:
    """Classes, and a mixture of each.

    classes : (C,) labels, ascending
    mixture : p(x) = Σ_g π_g p(x | g), of K components, those of a class one after the other
    owners : (K,) the index of each component's class, ascending
    each : p(x | g), a mixture of each class
    priors : (C,) π_g, the probability of each class
    shared : whether a fit has made the classes components of one mixture, whose family says what they share
    """

    classes: NDArray[Any]
    mixture: GMM
    owners: Labels
    each: tuple[GMM, ...]
    priors: Array
    shared: bool

    @classmethod
    def of_components(
        cls, classes: NDArray[Any], mixture: GMM, priors: Array | None = None, owners: Labels | None = None
    ) -> Classified:
        """Of classes (C,) that are the components of a mixture, whose weights are the priors (C,) unless these are
        given.

        owners : (K,) the index of each component's class, ascending, if a class has several
        """
        parameters = mixture._mixture
        names = mixture._fitted().names
        if priors is not None:
            parameters = weighing(parameters, priors)
            mixture = mixture._made(parameters, names)
        owners = np.arange(parameters.k) if owners is None else owners
        each = tuple(mixture._made(one, names) for one in parts_of(parameters, owners))
        shares = np.bincount(owners, parameters.weights).astype(np.float64)
        return cls(classes, mixture, owners, each, shares, True)

    @classmethod
    def of_mixtures(cls, classes: NDArray[Any], each: Sequence[GMM], priors: Array) -> Classified:
        """Of a mixture for each class, and priors (C,)."""
        parameters = [model._mixture for model in each]
        owners = np.repeat(np.arange(len(each)), [one.k for one in parameters])
        whole = each[0]._made(transform.mix(parameters, priors), each[0]._fitted().names)
        return cls(classes, whole, owners, tuple(each), frozen(priors), False)

    def read_by(self, missing: Missing, n_threads: int | None) -> Classified:
        """The same, asked by so many threads, where NaN in rows is what `missing` says."""
        own = {"missing": missing, "n_threads": n_threads}
        if all(getattr(self.mixture, name) == value for name, value in own.items()):
            return self
        whole, *each = (copy.copy(model).set_params(**own) for model in (self.mixture, *self.each))
        return replace(self, mixture=whole, each=tuple(each))

    @property
    def names(self) -> Names | None:
        """Of the features, or None."""
        return self.mixture._fitted().names

    @property
    def alone(self) -> bool:
        """Whether each class has one component."""
        return len(self.owners) == len(self.classes)

    @property
    def n_parameters(self) -> int:
        """Free parameters of the densities of the classes; priors are not counted, as in mclust."""
        if self.shared:
            parameters = self.mixture._mixture
            return parameters.n_parameters - (len(self.classes) - 1)
        return sum(model._mixture.n_parameters for model in self.each)

    # What it says of rows, wherever they are

    def labels(self, X: Any, sample_weight: Any = None) -> NDArray[Any]:
        """The label (n,) of the most probable class of each row; one of weight zero may hold anything."""
        of = partial(_labels, self.classes, self._firsts)
        return self._evaluations(X, sample_weight).values(of, self.classes[:0])

    def probabilities(self, X: Any) -> Array:
        """(n,C) the probability of each class given each row."""
        return self._evaluations(X).values(partial(_probabilities, self._firsts), self._none)

    def log_probabilities(self, X: Any) -> Array:
        """(n,C) their logarithms, which are numbers where the probabilities are not."""
        return self._evaluations(X).values(partial(_log_probabilities, self._firsts), self._none)

    def log_densities(self, X: Any) -> Array:
        """(n,C) log π_g p(x_i | g)."""
        return self._evaluations(X).values(partial(_log_densities, self._firsts), self._none)

    def uncertainty(self, X: Any) -> Array:
        """(n,) the probability that each row is of another than its most probable class."""
        return self._evaluations(X).values(partial(_uncertainty, self._firsts), np.empty(0))

    def anomalies(self, X: Any, share: float, **draws: Any) -> Mask:
        """(n,) whether a row lies where the density of each class is lower than at all but a share of its rows."""
        return reduce(operator.and_, (model.anomalies(X, share, **draws) for model in self.each))

    def log_likelihood(self, some: Some, g: int | None = None) -> float:
        """Σ_i w_i log p(x_i), or log p(x_i | g) of a class."""
        model = self.mixture if g is None else self.each[g]
        sums = model._evaluations(some.rows, some.weights).sums()
        return float(np.ldexp(sums.log_likelihood, sums.exponent))

    def _evaluations(self, X: Any, sample_weight: Any = None) -> Evaluations:
        """Rows beside the mixture, under the name by which a user knows it."""
        asked = self.mixture._asked(self.mixture._fitted())._replace(name=CLASSIFIER)
        return open_rows(X, sample_weight, asked.gaps).evaluations(asked)

    @property
    def _firsts(self) -> Labels | None:
        """(C,) the first component of each class; None if each has one."""
        return None if self.alone else np.searchsorted(self.owners, np.arange(len(self.classes)))

    @property
    def _none(self) -> Array:
        """The values of no rows."""
        return np.empty((0, len(self.classes)))


# Of a block of rows; firsts : (C,) the first component of each class, or None if each has one


def _labels(classes: NDArray[Any], firsts: Labels | None, block: Evaluation) -> NDArray[Any]:
    if firsts is None:
        found: Labels = block.evaluate("labels")
    else:
        found = joined([_probabilities(firsts, part).argmax(axis=1) for part in block.parts()])
    return classes[found]


def _probabilities(firsts: Labels | None, block: Evaluation) -> Array:
    if firsts is None:
        return block.evaluate("responsibilities")
    return joined([np.add.reduceat(part.evaluate("responsibilities"), firsts, axis=1) for part in block.parts()])


def _uncertainty(firsts: Labels | None, block: Evaluation) -> Array:
    return joined([1.0 - _probabilities(firsts, part).max(axis=1) for part in block.parts()])


def _log_probabilities(firsts: Labels | None, block: Evaluation) -> Array:
    """Near one as the probabilities say, and otherwise from the densities, whose logarithms are numbers anywhere."""
    likely, found = _probabilities(firsts, block), _log_densities(firsts, block)
    found = found - np.logaddexp.reduce(found, axis=1)[:, np.newaxis]
    return np.where(likely > 0.5, np.log(np.maximum(likely, 0.5)), found)


def _log_densities(firsts: Labels | None, block: Evaluation) -> Array:
    if firsts is None:
        return block.evaluate("log_densities")
    return joined([_sums_of_exponentials(part.evaluate("log_densities"), firsts) for part in block.parts()])


def _sums_of_exponentials(logs: Array, firsts: Labels) -> Array:
    """log Σ_c exp, over the components of each class."""
    most = np.maximum.reduceat(logs, firsts, axis=1)
    most = np.where(np.isfinite(most), most, 0.0)  # of a class whose prior is zero
    counts = np.diff(np.append(firsts, logs.shape[1]))
    with np.errstate(divide="ignore"):
        return most + np.log(np.add.reduceat(np.exp(logs - np.repeat(most, counts, axis=1)), firsts, axis=1))


def parts_of(parameters: Parameters, owners: Labels) -> list[Parameters]:
    """The mixture of each class, of the components that owners (K,) say."""
    found = []
    for g in range(owners.max() + 1):
        own = parameters.taken(np.flatnonzero(owners == g))
        share = own.weights.sum()
        found.append(weighing(own, own.weights / share if share > 0 else np.full(own.k, 1 / own.k)))
    return found


def weighing(parameters: Parameters, weights: Array) -> Parameters:
    """The same components with those weights."""
    own = parameters.covariances, parameters.root
    return Parameters(parameters.family, weights.copy(), parameters.means.copy(), *(value.copy() for value in own))
