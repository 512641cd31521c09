"""An estimator that learns a mixture: how it is fitted, and what a file has of it, whatever of a mixture it learns."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

from cgmm import persistence
from cgmm.em.stage import Fit
from cgmm.fit import fitting, report
from cgmm.fit.state import State
from cgmm.fitted import Fitted
from cgmm.stored import Stored
from cgmm.suggestions import explained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cgmm.em.stepwise import Memory
    from cgmm.fit.request import Request
    from cgmm.mixture.families import Family
    from cgmm.persistence import Loaded
    from cgmm.types import ArrayLike, Labels, OnDegenerate


class Learner(Stored, Fitted):
    """An estimator with a request: what its arguments ask for."""

    on_degenerate: OnDegenerate

    @abstractmethod
    def _asks(self) -> Request:
        """What the arguments ask for; ValueError or TypeError names one that cannot be used."""

    @explained
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> Self:
        """Estimate the parameters.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows. A float32 or float64 array is not copied, whatever its strides; others become float64. Or rows that
            are not in memory, docs/large-data.md; among them Dask arrays and data frames, docs/cluster.md.
        y : ignored
        sample_weight : array-like of shape (n,), optional
            Non-negative row weights: weight 2 is the row twice.
        labels : array-like of shape (n,), optional
            The component to which a row is known to belong, from 0 to k − 1, or −1 where it is not known: such a row
            counts for its component alone. See docs/noise-and-labels.md.
        error_covariances : array-like, optional
            Of the errors with which rows were measured: covariance matrices (n, d, d) or variances (n, d), one for each
            row, or (d, d) or (d,) for all. The mixture is then that of the true values, without the errors. See
            docs/measurement-errors.md.

        Returns
        -------
        self
            Changed only when the fit succeeded.

        Raises
        ------
        ValueError, TypeError
            X, sample_weight, labels, error_covariances or a parameter cannot be used; the message says which and why.

        Warns
        -----
        ConvergenceWarning
            max_iter ended the fit.
        DegenerateWarning
            A component could not be estimated and was repaired.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> model.means_.round(1).tolist()
        [[9.5], [0.5]]
        >>> GMM(2, random_state=0).fit(X, sample_weight=[3, 1, 1, 1]).weights_.round(2).tolist()
        [0.67, 0.33]
        """
        self._learn(X, sample_weight, labels, error_covariances)
        return self

    @explained
    def fit_predict(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> Labels:
        """``fit`` and then ``predict`` on the same rows, whose labels do not count there; labels (n,).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        y : ignored
            For scikit-learn's convention.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        labels : array-like of shape (n,), optional
            Known components, as in ``fit``.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> GMM(2, random_state=0).fit_predict([[0.0], [1.0], [9.0], [10.0]]).tolist()
        [1, 1, 0, 0]
        """
        state = self._learn(X, sample_weight, labels, error_covariances)
        return self._evaluations(X, state=state, errors=error_covariances).evaluate("labels")

    def _packed(self) -> persistence.Packed:
        state, settings = self._fitted(), self.get_params(deep=False)
        fit = state.fit
        return persistence.packed(
            self._kind,
            fit.parameters,
            lower_bounds=fit.lower_bounds,
            converged=fit.converged,
            names=state.names,
            memory=self._remembered(state),
            settings=settings,
            component_names=state.component_names,
        )

    @classmethod
    def _of_loaded(cls, loaded: Loaded) -> Self:
        parameters = loaded.parameters
        model = cls._of_file(loaded.settings, parameters.family, parameters.k)
        fit = Fit(parameters, loaded.lower_bounds, loaded.converged)
        return model._with(State(fit, loaded.names, memory=loaded.memory, component_names=loaded.component_names))

    @classmethod
    def _of_file(cls, settings: Mapping[str, Any], family: Family, k: int) -> Self:
        """The estimator that a file keeps the arguments of, those of them that are known here."""
        known = cls._defaults()
        model = cls(**{name: value for name, value in settings.items() if name in known})
        return model.set_params(n_components=k, covariance_type=family.name)

    def _learn(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        labels: ArrayLike | None = None,
        errors: ArrayLike | None = None,
    ) -> State:
        """Fit, and the State that the estimator has from now on."""
        asked = self._asks()
        last = self._learnt() if asked.warm_start else None
        state = fitting.fit(asked, X, sample_weight, last if isinstance(last, State) else None, labels, errors)
        assert state.settings is not None  # it was fitted
        report.warn(state.fit, state.settings, state.names, self.on_degenerate)
        self._state = state
        return state

    def _remembered(self, state: State) -> Memory | None:
        """What a file keeps of the rows."""
        return state.remembered()
