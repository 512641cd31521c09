"""An estimator that learns a mixture: how it is fitted, saved and loaded, whatever of a mixture it learns."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self

from cgmm import persistence
from cgmm.em.stage import Fit
from cgmm.fit import fitting, report
from cgmm.fit.state import State
from cgmm.fitted import Fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cgmm.em.stepwise import Memory
    from cgmm.fit.request import Request
    from cgmm.mixture.families import Family
    from cgmm.persistence import Loaded
    from cgmm.types import ArrayLike, Labels, OnDegenerate


class Learner(Fitted):
    """An estimator with a request: what its arguments ask for."""

    _kind: ClassVar[str]  # Under which name its files are known.
    on_degenerate: OnDegenerate

    @abstractmethod
    def _asks(self) -> Request:
        """What the arguments ask for; ValueError or TypeError names one that cannot be used."""

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

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the fitted model to a file, atomically: an interrupted save leaves an old file whole.

        path may also be a file that is open for writing bytes, such as an io.BytesIO.

        The file is a versioned npz archive without pickle, with the names of the features, and with what
        ``partial_fit`` goes on from (but no rows, which it may still be gathering). Of the constructor's arguments it
        keeps those that JSON can hold (not callbacks, generators, priors, start arrays or masks).

        Parameters
        ----------
        path : str, path-like or binary file
            Where to write, or a file that is open for writing.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> import io
        >>> file = io.BytesIO()
        >>> model.save(file)
        >>> GMM.load(io.BytesIO(file.getvalue())).n_components
        2
        """
        self._packed().write(path)

    def to_dict(self) -> dict[str, Any]:
        """The fitted model as a dictionary that JSON can hold, for ``from_dict``.

        It has what a file of ``save`` has, arrays as lists: "weights", "means", "covariances", "covariance_type",
        "feature_names", "settings" and what else a model is made of. Numbers that go through JSON are read back
        exactly. Its "format" and "version" tell how it is to be read.

        Returns
        -------
        dict

        Examples
        --------
        >>> import json
        >>> from cgmm import GMM
        >>> text = json.dumps(GMM.from_parameters([1.0], [[0.5]], [[[4.0]]]).to_dict())
        >>> GMM.from_dict(json.loads(text)).means_.tolist()
        [[0.5]]
        """
        return self._packed().told()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The model of a dictionary that ``to_dict`` has made; it predicts bit-identically.

        Parameters
        ----------
        values : dict

        Returns
        -------
        GMM or BayesianGMM
            Of the class from which it is called.

        Raises
        ------
        ValueError, TypeError
            The dictionary is none of ``to_dict``'s, of a newer version, or of another class.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM(2, random_state=0).fit([[0.0], [1.0], [9.0], [10.0]])
        >>> GMM.from_dict(model.to_dict()).predict([[2.0], [8.0]]).tolist() == model.predict([[2.0], [8.0]]).tolist()
        True
        """
        return cls._of_loaded(persistence.told(values, cls._kind))

    def _packed(self) -> persistence.Packed:
        """The fitted model as what a file has of it."""
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
    def load(cls, path: str | os.PathLike[str] | BinaryIO) -> Self:
        """The model of a file that ``save`` wrote, or of one that is open for reading; it predicts bit-identically.

        Parameters
        ----------
        path : str, path-like or binary file
            What to read, or a file that is open for reading.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is damaged, not cgmm's, of a newer version, or holds another kind of model; the message names the file
            and the fault.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.npz")
        ...     model.save(path)
        ...     again = GMM.load(path)
        >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
        True
        """
        return cls._of_loaded(persistence.load(path, cls._kind))

    @classmethod
    def _of_loaded(cls, loaded: Loaded) -> Self:
        """The model that a file holds."""
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
