"""Mixtures made of a mixture: each result is a model of its own, so everything composes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from cgmm.fitted import Fitted, check_mixture
from cgmm.mixture import products, transform
from cgmm.mixture.families.family import NotPositiveDefinite
from cgmm.mixture.features import columns_of, others_than
from cgmm.rows.checks import check_observed
from cgmm.rows.conditional import Conditionals
from cgmm.rows.row_errors import check_errors
from cgmm.validation import check_array, check_count, check_start_array, check_threads

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, ArrayLike, Labels, Names

M = TypeVar("M")  # The model that a mixture is: GMM.


class Algebra(Fitted, Generic[M]):
    """A mixture's moments, its marginal and conditional mixtures, and those of sums, products and other mixtures."""

    @abstractmethod
    def _made(self, parameters: Parameters, names: Names | None = None) -> M:
        """A mixture of those parameters, with this one's random_state, missing and n_threads."""

    def mean(self) -> Array:
        """The mean of the whole mixture, Σ_c π_c μ_c; (d,).

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> model.mean().tolist()
        [5.0]
        """
        return transform.mean(self._mixture)

    def covariance(self) -> Array:
        """The covariance of the whole mixture, Σ_c π_c (Σ_c + (μ_c − m)(μ_c − m)ᵀ), m its mean; (d,d).

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> model.covariance().tolist()
        [[26.0]]
        """
        return transform.covariance(self._mixture)

    def marginal(self, features: Any) -> M:
        """The mixture of some of the features.

        Parameters
        ----------
        features : int, str, or sequence of them (m,)
            Their indices or names, in the order in which the result has them.

        Returns
        -------
        GMM

        Raises
        ------
        ValueError
            There is no such feature, or one comes twice.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> model.marginal([1]).covariances_.tolist()
        [[[9.0]]]
        """
        state = self._fitted()
        columns = self._columns(features)
        return self._made(transform.marginal(self._mixture, columns), _taken(state.names, columns))

    def condition(self, given: Mapping[Any, float]) -> M:
        """The mixture of the other features once some have known values.

        Each component is regressed on what is given, and its weight becomes its responsibility there (Bishop 2006,
        2.81, 2.82 and 9.23).

        Parameters
        ----------
        given : mapping of int or str to float
            The value of each feature that is given, by index or name.

        Returns
        -------
        GMM
            Of the other features, in their order.

        Raises
        ------
        ValueError
            There is no such feature, a value is not a number, or no feature is left.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> model.condition({0: 3.0}).means_.tolist()
        [[2.5]]
        """
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"given must be a mapping of features to their values, such as {{0: 1.5}}, not {given!r}")
        values = check_start_array("given", list(given.values()), (len(given),))
        return self.conditional(values[None], list(given))[0]

    def conditional(
        self, values: ArrayLike, features: Any, error_covariances: ArrayLike | None = None
    ) -> Conditionals[M]:
        """The distributions of the other features of many rows at once.

        Parameters
        ----------
        values : array-like of shape (n, p)
            What is given of each row. NaN is a missing value, whatever `missing` says: of such a row the rest is given.
        features : int, str, or sequence of them (p,)
            Which features the columns of values are, by index or name.
        error_covariances : array-like, optional
            Of the errors with which the values were measured, as of ``fit``: covariance matrices (n, p, p) or variances
            (n, p), one for each row, or (p, p) or (p,) for all. What is told of the others is then what goes with the
            true values, and components have covariances of their own in each row.

        Returns
        -------
        Conditionals
            Of the other features, m = d − p: weights (n,k), means (n,k,m) and covariances (k,m,m) of components; means,
            standard deviations, quantiles, log-densities and draws; and of row i a GMM, as ``conditionals[i]``.

        Raises
        ------
        ValueError, TypeError
            There is no such feature, none is left, or values or error_covariances cannot be used.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> model.conditional([[1.0], [3.0]], 0).mean().tolist()
        [[2.0], [2.5]]
        """
        columns = self._columns(features)
        state, n_threads = self._fitted(), check_threads(self.n_threads)
        values = np.asarray(check_array("values", values))
        if values.ndim == 1 and len(columns) == 1:
            values = values[:, None]
        if values.ndim != 2 or values.shape[1] != len(columns) or not len(values):
            raise ValueError(f"values should have the shape of (rows, {len(columns)}), but got {values.shape}")
        if len(columns):
            values, _ = check_observed(values, len(columns), n_threads or 1, gaps=True)
        return Conditionals(
            parameters=self._mixture,
            values=values,
            given=columns,
            features=others_than(columns, self._mixture.d),
            names=state.names,
            n_threads=n_threads,
            make=self._made,
            random_state=self.random_state,
            errors=check_errors(error_covariances, values, gaps=True) if len(columns) else None,
        )

    def affine(self, A: ArrayLike, b: ArrayLike | float = 0.0) -> M:
        """The mixture of A x + b.

        Parameters
        ----------
        A : array-like of shape (m, d)
            Of full row rank: a projection has m < d.
        b : array-like of shape (m,) or float, default=0.0

        Returns
        -------
        GMM
            Of m features and full covariances A Σ Aᵀ.

        Raises
        ------
        ValueError
            A or b has another shape or is not finite; or A maps x to fewer than m dimensions.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> model.affine([[1.0, 1.0]]).covariances_.tolist()
        [[[15.0]]]
        """
        parameters = self._mixture
        A = np.asarray(check_array("A", A), dtype=np.float64)
        if A.ndim != 2 or not len(A):
            raise ValueError(f"A must be a matrix (m, {parameters.d}), not of shape {A.shape}")
        A = check_start_array("A", A, (len(A), parameters.d))
        b = check_start_array("b", np.broadcast_to(check_array("b", b), len(A)), (len(A),))
        if np.linalg.matrix_rank(A) < len(A):
            raise ValueError(f"A must have full row rank, {len(A)}: what it makes of x would else have no density")
        try:
            return self._made(transform.affine(parameters, A, b))
        except NotPositiveDefinite as error:
            raise ValueError(f"A makes of the mixture one without a density, to rounding: {error}") from None

    def convolve(self, covariance: ArrayLike) -> M:
        """The mixture of x + e, where e is independent normal noise about zero.

        Parameters
        ----------
        covariance : array-like of shape (d, d), (d,) or ()
            Of the noise: a matrix, variances, or one variance for all; positive semidefinite.

        Returns
        -------
        GMM
            Σ_c + covariance in each component.

        Raises
        ------
        ValueError
            covariance has another shape, or is not one.

        Examples
        --------
        >>> from cgmm import GMM
        >>> GMM.from_parameters([1.0], [[1.0]], [[[4.0]]]).convolve(2.0).covariances_.tolist()
        [[[6.0]]]
        """
        state, d = self._fitted(), self._mixture.d
        S = np.asarray(check_array("covariance", covariance), dtype=np.float64)
        S = check_start_array("covariance", np.broadcast_to(S, d) if S.ndim == 0 else S, (d,) * max(S.ndim, 1))
        if S.ndim not in (1, 2):
            raise ValueError(f"covariance must have the shape of ({d}, {d}), ({d},) or (), not {S.shape}")
        least = np.linalg.eigvalsh(S).min() if S.ndim == 2 else S.min()
        if least < -1e-12 * np.abs(S).max() or (S.ndim == 2 and not np.allclose(S, S.T)):
            raise ValueError("covariance must be symmetric and positive semidefinite")
        return self._made(transform.convolve(self._mixture, S), state.names)

    def product(self, other: Fitted) -> tuple[M, float]:
        """The mixture whose density is proportional to the product of two: what independent sources say together.

        Parameters
        ----------
        other : GMM
            Of the same features.

        Returns
        -------
        product : GMM
            Of as many components as there are pairs.
        log_normaliser : float
            log ∫ p(x) q(x) dx, by which the product of the densities is more than this mixture.

        Examples
        --------
        >>> from cgmm import GMM
        >>> one = GMM.from_parameters([1.0], [[0.0]], [[[2.0]]])
        >>> both, log_normaliser = one.product(GMM.from_parameters([1.0], [[1.0]], [[[2.0]]]))
        >>> both.means_.round(12).tolist(), both.covariances_.round(12).tolist(), round(log_normaliser, 4)
        ([[0.5]], [[[1.0]]], -1.7371)
        """
        found, log_norm = products.product(self._mixture, self._other(other))
        return self._made(found, self._fitted().names), log_norm

    def simplify(self, n_components: int) -> M:
        """A mixture of fewer components, by merging those that are most alike.

        Each step merges the two whose merging bounds the Kullback–Leibler divergence from the mixture lowest
        (Runnalls 2007); the mean and covariance of the whole stay as they are (spherical: the mean variance).

        Parameters
        ----------
        n_components : int
            No more than there are.

        Returns
        -------
        GMM

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.25, 0.25, 0.5], [[0.0], [0.2], [9.0]], [[[1.0]]] * 3)
        >>> model.simplify(2).means_.round(12).tolist()
        [[0.1], [9.0]]
        """
        k = check_count("n_components", n_components, most=self._mixture.k)
        return self._made(transform.simplify(self._mixture, k), self._fitted().names)

    def merge(self, labels: ArrayLike) -> M:
        """The mixture in which components of the same label are one, of the same weight, mean and covariance.

        Parameters
        ----------
        labels : array-like of int (k,)
            The group of each component; the result is in the order of the labels.

        Returns
        -------
        GMM

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.25, 0.25, 0.5], [[0.0], [2.0], [9.0]], [[[1.0]]] * 3)
        >>> model.merge([0, 0, 1]).covariances_.ravel().tolist()
        [2.0, 1.0]
        """
        groups = np.asarray(labels)
        if groups.shape != (self._mixture.k,) or groups.dtype.kind not in "iub":
            raise ValueError(f"labels must be {self._mixture.k} integers, one for each component, not {labels!r}")
        return self._made(transform.merge(self._mixture, groups), self._fitted().names)

    @staticmethod
    def mix(models: Sequence[Algebra[M]], weights: ArrayLike | None = None) -> M:
        """The mixture of mixtures Σ_m w_m p_m.

        Parameters
        ----------
        models : sequence of GMM
            Of the same features.
        weights : array-like (number of models,), optional
            Non-negative; they are divided by their sum. Default: the same for all.

        Returns
        -------
        GMM
            Of all components; "full" if one model is full or tied, else "diag" if one is, else "spherical".

        Examples
        --------
        >>> from cgmm import GMM
        >>> models = [GMM.from_parameters([1.0], [[mean]], [[[1.0]]]) for mean in (0.0, 4.0)]
        >>> GMM.mix(models, [1, 3]).weights_.tolist()
        [0.25, 0.75]
        """
        models = list(models)
        if not models:
            raise ValueError("models must hold at least one mixture")
        first = check_mixture("models[0]", models[0])
        mixtures = [first._other(model, f"models[{at}]") for at, model in enumerate(models)]
        shares = check_start_array("weights", np.ones(len(models)) if weights is None else weights, (len(models),))
        if not (shares >= 0).all() or not shares.sum() > 0:
            raise ValueError(f"weights must be non-negative and not all zero, not {shares.tolist()}")
        return first._made(transform.mix(mixtures, shares / shares.sum()), first._fitted().names)

    def _other(self, other: Any, name: str = "other") -> Parameters:
        """The parameters of another mixture of the same features."""
        found, d = check_mixture(name, other)._mixture, self._mixture.d
        if found.d != d:
            raise ValueError(f"mixtures of {d} and {found.d} features cannot be put together")
        return found

    def _columns(self, features: Any) -> Labels:
        return columns_of(features, self._fitted().names, self._mixture.d)


def _taken(names: Names | None, columns: Labels) -> Names | None:
    return None if names is None else names[columns]
