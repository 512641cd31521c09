"""Fits of scikit-learn's, from its own starts: k-means and draws are scikit-learn's, EM is cgmm's."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from sklearn import cluster
from sklearn.utils._array_api import get_namespace
from threadpoolctl import ThreadpoolController

from cgmm.config import threads
from cgmm.em.loop import run
from cgmm.em.settings import Settings
from cgmm.em.stage import Fit, Stage
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.posterior import Belief
from cgmm.mixture.rules import SINGULAR, Rules
from cgmm.rows import partition
from cgmm.rows.checks import check_rows
from cgmm.rows.floor import least_variances
from cgmm.rows.k_means import lloyd, moderate
from cgmm.rows.opened import data_of
from cgmm.rows.part import Part
from cgmm.sklearn.believed import Believed, updated
from cgmm.sklearn.mixtures import BELIEVED, POINT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cgmm.em.stage import Observer
    from cgmm.mixture.families import Family
    from cgmm.mixture.rules import Repair
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.data import Data
    from cgmm.sklearn.mixtures import Reading
    from cgmm.types import Array, Labels, Rows


def hook(method: Any, *arguments: Any) -> None:
    """Call a method of scikit-learn's, which from its version 1.8 on asks for the namespace of arrays, too."""
    named = {"xp": get_namespace(np.empty(0))[0]} if "xp" in signature(method).parameters else {}
    method(*arguments, **named)


@cache
def _openmp() -> Any:
    """The libraries with threads that are loaded at the first fit: scikit-learn's are."""
    return ThreadpoolController()


class Unlike(Exception):
    """cgmm would do something else than scikit-learn, which therefore does it itself."""


MOVES, KMEANS_TOL = 300, 1e-4  # The defaults of scikit-learn's KMeans, which its mixtures use.


class Fitted(NamedTuple):
    """The best of a model's starts, in scikit-learn's terms."""

    parameters: Parameters
    converged: bool
    lower_bounds: list[float]

    @property
    def lower_bound(self) -> float:
        return self.lower_bounds[-1]


class Fitting:
    """A fit of a model to checked rows X (n,d). Unlike: scikit-learn is to make it.

    reading : of its class;  given : the arguments that give parameters to start from
    """

    reading: ClassVar[Reading] = POINT
    given: ClassVar[tuple[str, ...]] = ("weights_init", "means_init", "precisions_init")

    def __init__(self, model: Any, X: Rows) -> None:
        self.model, self.X = model, X
        try:
            self.rows = check_rows(X.astype(np.float64, copy=False) if self.reading.wide else X)
        except ValueError as error:  # values so large that their squares overflow
            raise Unlike from error
        self.family: Family = FAMILIES[model.covariance_type]
        self.data: Data = data_of(Part(self.rows), complete=True)
        least, reg_covar = least_variances(self.data), float(model.reg_covar)
        # Where reg_covar is more than the floor under variances, there need be none: a covariance is regular by it, as
        # it is in scikit-learn. Where it is not, one that is held by the floor is scikit-learn's to judge.
        self.regular = bool(reg_covar > least.max())
        self.rules = Rules(reg_covar=reg_covar, least=None if self.regular else least)

    def estimated(self, sums: SufficientStatistics) -> tuple[Parameters, list[Repair]]:
        """What scikit-learn's M-step makes of the statistics of some rows' start."""
        return Parameters.estimated(self.family, sums, self.rules)

    def there(self) -> Parameters | None:
        """The mixture of the model's attributes, from which EM can go on; None if they are none."""
        return self.reading.mixture(self.model)

    def attributes(self, found: Parameters) -> tuple[Any, ...]:
        """What scikit-learn's class sets its attributes from."""
        return found.weights, found.means, found.covariances, found.precisions_cholesky

    def best(self, rng: np.random.RandomState) -> Fitted:
        """Of all starts, or that which goes on from the last fit."""
        model = self.model
        goes_on = model.warm_start and "converged_" in vars(model)
        best: Fitted | None = None
        for init in range(1 if goes_on else model.n_init):
            model._print_verbose_msg_init_beg(init)
            fitted = self._continued() if goes_on else self._run(self.start(rng), -np.inf)
            model._print_verbose_msg_init_end(fitted.lower_bound, fitted.converged)
            if best is None or fitted.lower_bound > best.lower_bound:
                best = fitted
        assert best is not None  # n_init is at least one
        return best

    def _continued(self) -> Fitted:
        last = self.there()
        if last is None or last.means.shape != (self.model.n_components, self.X.shape[1]):
            raise Unlike
        return self._run(last, float(self.model.lower_bound_))

    def _run(self, start: Parameters, lower_bound: float) -> Fitted:
        """EM from a start; lower_bound : of the run that it continues."""
        settings = Settings(self.rules, tol=float(self.model.tol), max_iter=int(self.model.max_iter))
        fit = run(self.data, Stage.first(start, (), lower_bound), settings, self._observer())
        if self._strange(fit):
            raise Unlike
        return Fitted(fit.parameters, fit.converged, fit.lower_bounds.tolist())

    def _strange(self, fit: Fit) -> bool:
        """Whether something was repaired that scikit-learn leaves, or at which it stops."""
        return not np.isfinite(fit.lower_bounds).all() or self._repaired(fit.repairs)

    def _repaired(self, repairs: Iterable[Repair]) -> bool:
        return any(repair.cause != SINGULAR or not self.regular for repair in repairs)

    def _observer(self) -> Observer | None:
        """What prints an iteration as scikit-learn does, where it is asked to."""
        if not self.model.verbose:
            return None

        def observe(iteration: int, log_likelihood: float, change: float, parameters: Parameters) -> bool:
            self.model._print_verbose_msg_iter_end(iteration, change)
            return False

        return observe

    def start(self, rng: np.random.RandomState) -> Parameters:
        """Parameters to start from: scikit-learn's own, or, of its k-means, what its M-step makes of the labels."""
        model = self.model
        if model.init_params == "kmeans" and all(getattr(model, name) is None for name in self.given):
            sums = partition.of_labels(self.rows, self._clusters(rng), model.n_components, self.family)
            found, repairs = self.estimated(sums)
            if self._repaired(repairs):
                raise Unlike
            return found
        hook(model._initialize_parameters, self.X, rng)
        start = self.there()
        if start is None:
            raise Unlike
        return start

    def _clusters(self, rng: np.random.RandomState) -> Labels:
        """The labels of scikit-learn's k-means, of which it makes the seeds and the first move itself.

        Rows on a grid may be equally near to two seeds, for these are rows, too, and rounding then decides: it has
        to be scikit-learn's. The other moves are the same by cgmm's k-means, if rows are float64 and none is in doubt.
        """
        k, drawn = self.model.n_components, rng.get_state()
        if self.X.dtype == np.float64:
            one_move = cluster.KMeans(n_clusters=k, n_init=1, max_iter=1, random_state=rng)
            # To wake threads for one move, beside busy processes, takes longer than the move by one of them.
            with _openmp().limit(limits=1, user_api="openmp"):
                moved = one_move.fit(self.X).cluster_centers_
            found = lloyd(*self._moderate(moved), MOVES - 1, KMEANS_TOL, None, threads(None)).labels
            if np.bincount(found, minlength=k).all():
                return found
            rng.set_state(drawn)  # a cluster without rows is moved by scikit-learn, and stays where it is in cgmm
        labels: Labels = cluster.KMeans(n_clusters=k, n_init=1, random_state=rng).fit(self.X).labels_
        return labels.astype(np.intp, copy=False)

    def _moderate(self, centers: Array) -> tuple[Rows, Array]:
        rows, exponent = moderate(self.rows)
        return rows, np.ldexp(np.ascontiguousarray(centers, dtype=np.float64), -exponent)


class BayesianFitting(Fitting):
    """The same of a BayesianGaussianMixture, which computes in float64."""

    reading = BELIEVED
    given = ()

    def __init__(self, model: Any, X: Rows) -> None:
        super().__init__(model, X)
        covariance, mean = np.array(model.covariance_prior_, dtype=np.float64), np.array(model.mean_prior_, dtype=float)
        if covariance.shape != self.family.scale_shape(X.shape[1]) or not np.isfinite(covariance).all():
            raise Unlike
        self.belief = Belief.of_told(
            self.family,
            k=model.n_components,
            kind=model.weight_concentration_prior_type,
            concentration=float(model.weight_concentration_prior_),
            mean_precision=float(model.mean_precision_prior_),
            mean=mean,
            degrees=float(model.degrees_of_freedom_prior_),
            covariance=covariance,
            rows=float(len(X)),
        )

    def estimated(self, sums: SufficientStatistics) -> tuple[Parameters, list[Repair]]:
        return updated(self.belief, sums, self.rules)

    def _repaired(self, repairs: Iterable[Repair]) -> bool:
        """Any: reg_covar, of which a component has as much as it has rows, keeps none of them regular."""
        return any(True for _ in repairs)

    def there(self) -> Parameters | None:
        found = super().there()
        return replace(found, belief=self.belief, law=self.belief.weights) if isinstance(found, Believed) else None

    def attributes(self, found: Parameters) -> tuple[Any, ...]:
        assert isinstance(found, Believed)
        concentration = tuple(found.concentration) if found.concentration.ndim == 2 else found.concentration
        of_means, of_precisions = (found.mean_precision, found.means), (found.degrees, found.covariances)
        return concentration, *of_means, *of_precisions, found.precisions_cholesky
