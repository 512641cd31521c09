"""The density and the probabilities of a mixture: slopes, modes, levels, distribution functions, Fisher vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import _kernels
from cgmm.errors import counted
from cgmm.fitted import Fitted
from cgmm.mixture import univariate
from cgmm.rows.conditional import check_probabilities
from cgmm.rows.fisher import fisher_vector
from cgmm.rows.landscape import Landscape, Modes
from cgmm.rows.levels import Levels, level
from cgmm.validation import check_array, check_count, check_random_state, check_real, check_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.types import Array, ArrayLike, Labels, Mask, Seed


class Probability(Fitted):
    """What a mixture's density is like, and how much of its mass lies where."""

    def gradient(self, X: ArrayLike) -> Array:
        """The gradient of the log-density at each row of X (n,d); (n,d). NaN is refused.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows without missing values.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0]], [4.0], "spherical")
        >>> model.gradient([[2.0]]).tolist()  # −(x − μ) / σ²
        [[-0.5]]
        """
        landscape, rows = self._landscape(X)
        return landscape.gradient(rows)

    def hessian(self, X: ArrayLike) -> Array:
        """The matrix of second derivatives of the log-density at each row of X (n,d); (n,d,d). NaN is refused.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows without missing values.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0]], [4.0], "spherical")
        >>> model.hessian([[2.0]]).tolist()  # −1 / σ²
        [[[-0.25]]]
        """
        landscape, rows = self._landscape(X)
        found = np.empty((*rows.shape, rows.shape[1]))
        for part in landscape.parts(len(rows)):
            found[part] = landscape.hessian(rows[part])
        return found

    def modes(self) -> Modes:
        """The modes of the density, the highest first.

        Those to which the density rises from the components' means, and from points between each two of them, by mean
        shifts and Newton's steps (Carreira-Perpiñán 2000). Each is right to 1e-9 of its own width or to rounding, and
        two that are nearer than 1e-4 of it are one.

        Returns
        -------
        Modes
            A tuple of points (m,d), log_densities (m,), and labels (k,): to which of them each component's mean leads.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> model.modes().points.round(6).tolist()
        [[0.5]]
        """
        return Landscape(self._mixture, check_threads(self.n_threads)).modes()

    def modal_labels(self, X: ArrayLike) -> Labels:
        """To which of ``modes()`` the density rises from each row of X (n,d); (n,). NaN is refused.

        −1 marks a row from which it rises to a mode that ``modes()`` does not have.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows without missing values.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> model.modal_labels([[1.0], [12.0]]).tolist()
        [0, 1]
        """
        landscape, rows = self._landscape(X)
        return landscape.labels(rows, landscape.modes())

    def level(self, p: float, *, n_samples: int = 100_000, random_state: Seed = 0) -> float:
        """The log-density above which a share p of the mass lies: the level of the highest-density region.

        The smallest region that holds p of the mass is where ``score_samples`` is above it (Hyndman 1996). It is that
        of true values; of rows measured with errors of covariance S it is ``convolve(S).level(p)``.

        Parameters
        ----------
        p : float in [0, 1]
        n_samples : int, default=100_000
            Draws from which it is estimated; the share above it is right to a standard error of
            √(p (1 − p) / n_samples). Of one component it is exact, and nothing is drawn.
        random_state : None, int, RandomState or Generator, default=0

        Returns
        -------
        float
            In nats, as score_samples.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0]], [[[1.0]]])
        >>> round(model.level(0.95), 4)  # at ±1.96
        -2.8397
        """
        p = check_real("p", p, most=1.0)
        n = check_count("n_samples", n_samples)
        return level(self._mixture, p, n, check_random_state(random_state), check_threads(self.n_threads))

    def anomalies(
        self,
        X: ArrayLike,
        share: float = 0.01,
        *,
        n_samples: int = 100_000,
        random_state: Seed = 0,
        error_covariances: ArrayLike | None = None,
    ) -> Mask:
        """Which rows of X (n,d) lie where the density is lower than at all but a share of the mixture's own draws.

        So of rows that do come from the mixture a share is marked. With ``missing="marginal"`` a row with gaps is
        compared with draws of the features that it has, and a row with errors of measurement with draws that are
        measured with the same errors: large errors alone make no row an anomaly.

        Parameters
        ----------
        X : array-like of shape (n, d)
        share : float in [0, 1], default=0.01
            The rate of false alarms.
        n_samples, random_state
            As for ``level``. Draws are made for each pattern of gaps, and for each of the errors that differ.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``. Blocks bring their own.

        Returns
        -------
        ndarray of bool (n,)

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0]], [[[1.0]]])
        >>> model.anomalies([[0.0], [2.5], [2.7]]).tolist()
        [False, False, True]
        """
        share = check_real("share", share, most=1.0)
        n, seed = check_count("n_samples", n_samples), int(check_random_state(random_state).integers(2**63))
        levels = Levels(share, n, seed)
        rows = self._evaluations(X, state=self._as_mixture(), errors=error_covariances)
        return rows.values(levels.anomalous, np.empty(0, dtype=bool))

    def cdf(self, X: ArrayLike, lower: ArrayLike | None = None, *, accuracy: float = 1e-6) -> Array:
        """The probability of each box lower < x ≤ X.

        Parameters
        ----------
        X : array-like of shape (n, d), or (n,) if d is 1
            Upper corners; infinite where there is no bound.
        lower : array-like of the same shape, or of one row, optional
            Lower corners. Default: none.
        accuracy : float, default=1e-6
            Absolute, of each component with correlated features, which are integrated numerically (Genz 1992, by
            SciPy). Otherwise the probabilities are exact to rounding.

        Returns
        -------
        ndarray (n,)

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]])
        >>> model.cdf([2.0, 4.0]).round(6).tolist()
        [0.5, 0.749984]
        """
        parameters = self._mixture
        upper = self._corners("X", X)
        below = np.full_like(upper, -np.inf) if lower is None else self._corners("lower", lower)
        if len(below) not in (1, len(upper)):
            raise ValueError(f"lower must have one row, or {len(upper)} as X has, not {len(below)}")
        below = np.broadcast_to(below, upper.shape)
        found = univariate.box_probabilities(
            parameters, np.minimum(below, upper), upper, check_real("accuracy", accuracy, least=1e-15)
        )
        return np.where((below >= upper).any(axis=1), 0.0, found)

    def ppf(self, q: ArrayLike) -> Any:
        """The quantiles q of a mixture of one feature: the inverse of ``cdf``, exact to rounding, of the shape of q.

        Parameters
        ----------
        q : float or array-like
            Probabilities, between 0 and 1.

        Examples
        --------
        >>> from cgmm import GMM
        >>> GMM.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]]).ppf([0.0, 0.5]).round(9).tolist()
        [-inf, 2.0]
        """
        parameters = self._mixture
        if parameters.d != 1:
            raise ValueError(f"quantiles are of one feature, and the model has {parameters.d}: take a marginal")
        levels = check_probabilities("q", q)
        many = (levels.size, parameters.k)
        weights = np.broadcast_to(parameters.unit_weights, many)
        means = np.broadcast_to(parameters.means[:, 0], many)
        deviations = np.broadcast_to(np.sqrt(parameters.variances[:, 0]), many)
        found = univariate.quantiles(weights, means, deviations, levels.ravel())
        return univariate.in_order(found, levels.ravel()).reshape(levels.shape)[()]

    def interval(self, p: float) -> tuple[float, float]:
        """The interval of a mixture of one feature that holds p of the mass and leaves as much below as above it.

        Parameters
        ----------
        p : float
            The probability, between 0 and 1.

        Examples
        --------
        >>> from cgmm import GMM
        >>> low, high = GMM.from_parameters([1.0], [[1.0]], [[[1.0]]]).interval(0.95)
        >>> round(low, 3), round(high, 3)
        (-0.96, 2.96)
        """
        p = check_real("p", p, most=1.0)
        low, high = self.ppf([0.5 - 0.5 * p, 0.5 + 0.5 * p])
        return float(low), float(high)

    def fisher_vector(self, X: ArrayLike | Sequence[ArrayLike], *, improved: bool = False, alpha: float = 0.5) -> Array:
        """How the mean log-likelihood of sets of rows changes with the parameters: a description of each set.

        The gradient with respect to weights, means and deviations, each divided by the root of its Fisher information
        (Perronnin and Dance 2007; Sánchez, Perronnin, Mensink and Verbeek 2013), as scikit-image's ``fisher_vector``.

        Parameters
        ----------
        X : array-like of shape (n, d), or sequence of such
            The rows of one set, an image's descriptors say, or of many sets.
        improved : bool, default=False
            Give each number the power alpha, keeping its sign, and the vector the length 1 (Perronnin, Sánchez and
            Mensink 2010).
        alpha : float in [0, 1], default=0.5

        Returns
        -------
        ndarray (k + 2 k d,), or (sets, k + 2 k d) for many

        Raises
        ------
        ValueError
            The features of a component are correlated: covariance_type is neither "diag" nor "spherical".

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0]], [[1.0]], "diag")
        >>> model.fisher_vector([[1.0], [2.0]]).round(4).tolist()
        [0.0, 1.5, -1.0607]
        """
        alpha = check_real("alpha", alpha, most=1.0) if improved else None
        state = self._as_mixture()
        many = isinstance(X, list | tuple) and len(X) > 0 and all(np.ndim(rows) == 2 for rows in X)
        sets: Any = X if many else [X]
        blocks = (self._at_hand(rows, None, state, "give some sets at a time") for rows in sets)
        found = np.array([fisher_vector(block, alpha) for block in blocks])
        return found if many else found[0]

    def _landscape(self, X: ArrayLike) -> tuple[Landscape, Array]:
        """The landscape, and rows in memory that lack nothing."""
        block = self._at_hand(X, None, self._as_mixture(), "give some of them at a time")
        rows = np.ascontiguousarray(block.data.part.rows, dtype=np.float64)
        if not _kernels.all_within(rows, np.inf):
            raise ValueError("X has gaps, and the density of a row with gaps is that of fewer features: impute them")
        return Landscape(block.parameters.normals, block.n_threads), rows

    def _corners(self, name: str, X: Any) -> Array:
        d = self._mixture.d
        X = np.asarray(check_array(name, X), dtype=np.float64)
        if X.ndim < 2 and d == 1:
            X = X.reshape(-1, 1)
        if X.ndim == 1:
            X = X[None]
        if X.ndim != 2 or X.shape[1] != d:
            raise ValueError(
                f"{name} should have {counted(d, 'column')}, one for each feature, but has the shape {X.shape}"
            )
        if np.isnan(X).any():
            raise ValueError(f"{name} contains NaN: give ±infinity where a box has no bound")
        return X
