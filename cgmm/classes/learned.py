"""What a classifier has learnt: what it predicts, and how it is told, saved and loaded."""

from __future__ import annotations

import os
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self

import numpy as np

from cgmm import errors, protocol
from cgmm.classes import file, told
from cgmm.classes.fitting import Found
from cgmm.classes.known import check_classes
from cgmm.classes.open import batches_of
from cgmm.framing import Framing
from cgmm.rows.checks import check_weights
from cgmm.rows.sources import source_of
from cgmm.suggestions import explained
from cgmm.tables import Frame
from cgmm.validation import check_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cgmm.classes.choosing import Candidate
    from cgmm.classes.classified import Classified
    from cgmm.classes.open import Batch
    from cgmm.gmm import GMM
    from cgmm.summary import Summary
    from cgmm.types import Array, ArrayLike, Mask, Missing, Names, Seed


class Learned(Framing):
    """A classifier with what it has learnt: what it predicts, in words, in files and as attributes."""

    _kind: ClassVar[str]  # Under which name its files are known.
    _found: Found | None
    missing: Missing
    n_threads: int | None
    random_state: Seed

    # Predicting

    @explained
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each row of X (n,d), wherever its rows are; labels (n,).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> model.predict([[2.0], [7.0]]).tolist()
        ['low', 'high']
        """
        return self._classified().labels(X)

    @explained
    def predict_proba(self, X: ArrayLike) -> Array:
        """The probability of each class given each row of X (n,d), π_g p(x | g) / Σ_h π_h p(x | h); (n,C).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> model.predict_proba([[4.5]]).round(3).tolist()
        [[0.5, 0.5]]
        """
        classified = self._classified()
        return self._in_frame(classified.probabilities(X), X, lambda: classified.classes)

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """The logarithms of ``predict_proba``, which are numbers where the probabilities are rounded to zero; (n,C).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> model.predict_log_proba([[1.0]]).round(1).tolist()
        [[-112.0, 0.0]]
        """
        classified = self._classified()
        return self._in_frame(classified.log_probabilities(X), X, lambda: classified.classes)

    def decision_log_density(self, X: ArrayLike) -> Array:
        """log π_g p(x | g) in nats of each class g and row of X (n,d); (n,C). The class of the largest is predicted.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> model.decision_log_density([[1.0]]).round(1).tolist()
        [[-113.4, -1.4]]
        """
        classified = self._classified()
        return self._in_frame(classified.log_densities(X), X, lambda: classified.classes)

    def uncertainty(self, X: ArrayLike) -> Array:
        """The probability that the predicted class of each row of X (n,d) is not the right one; (n,).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> model.uncertainty([[0.0], [4.5]]).round(3).tolist()
        [0.0, 0.5]
        """
        return self._classified().uncertainty(X)

    def anomalies(self, X: ArrayLike, share: float = 0.01, *, n_samples: int = 100_000, random_state: Seed = 0) -> Mask:
        """Which rows of X (n,d) belong to none of the classes: they are unlikely in each.

        Parameters
        ----------
        X : array-like of shape (n, d)
        share : float in [0, 1], default=0.01
            A row is marked where the density of each class is lower than at all but that share of the draws from the
            model of the class. If the model is right, no more than that share of the rows of a class is marked; with
            few rows per class, many more new rows are. Choose the share on held-out rows.
        n_samples, random_state
            As for ``GMM.level``; where a class has one component its level is exact.

        Returns
        -------
        ndarray of bool (n,)

        Examples
        --------
        >>> from cgmm import GMM, GMMClassifier
        >>> mixture = GMM.from_parameters([0.5, 0.5], [[0.0], [9.0]], [1.0, 4.0], "spherical")
        >>> GMMClassifier.from_mixtures(mixture).anomalies([[0.0], [3.5], [5.0], [20.0]]).tolist()
        [False, True, False, True]
        """
        return self._classified().anomalies(X, share, n_samples=n_samples, random_state=random_state)

    @explained
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The share of the rows of X (n,d) whose class is predicted rightly; with weights (n,), of their weight.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        y : array-like of shape (n,)
            The classes.
        sample_weight : array-like of shape (n,), optional
            Row weights.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> model.score(X, y)
        1.0
        """
        weights_of_rows = None if sample_weight is None or source_of(X) is not None else sample_weight
        predicted = self._classified().labels(X, weights_of_rows)
        right = predicted == check_classes(y, len(predicted))
        weights = check_weights(sample_weight, len(predicted))
        return float(np.average(right, weights=weights))

    def bic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion of X (n,d), smaller is better: −2 Σ_i w_i log p(x_i) + p log Σ_i w_i.

        The density is that of all classes together, and p counts the free parameters of their densities but not the
        priors, as in mclust, whose BIC has the other sign.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        sample_weight : array-like of shape (n,), optional
            Row weights.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> bool(np.isfinite(model.bic(X)))
        True
        """
        return told.bic_of(self.mixture_._evaluations(X, sample_weight).sums(), self._classified().n_parameters)

    # Telling

    def summary(
        self, X: ArrayLike | None = None, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Summary:
        """What was learnt, for people: each class's probability, components and family, and how the fit ended.

        ``print(model)`` prints it, and a notebook shows ``model.summary()`` as tables.

        Parameters
        ----------
        X : array-like of shape (n, d), optional
            Rows, from wherever ``fit`` takes them.
        y : array-like of shape (n,), or int or str, optional
            Their classes, as ``fit`` takes them: with X and y, the share of the rows that are predicted rightly, of all
            and of each class, and the BIC are told, too.
        sample_weight : array-like of shape (n,), optional
            Row weights.

        Returns
        -------
        cgmm.summary.Summary
            ``to_text()``, which ``print`` shows, ``to_dict()``, which JSON can hold, and HTML in a notebook.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> GMMClassifier().fit(X, y).summary(X, y).facts["right"]
        '100.00% of these rows'
        """
        found, name = self._found_or_error(), type(self).__name__
        if X is None:
            return told.summary_of(name, found)
        gaps, names = check_missing(self.missing), found.classified.names
        batches = batches_of(X, y, sample_weight, None, gaps, self.n_threads, names)
        each = map(self._predicted, batches)
        first = next(each, None)
        if first is None:
            raise ValueError("X has no rows of positive weight: nothing can be told of them")
        return told.summary_of(name, found, reduce(add, each, first))

    def _predicted(self, batch: Batch) -> told.Predicted:
        """How the rows of a batch are predicted."""
        rows = batch.rows if batch.names is None else Frame(batch.rows, batch.names.tolist())
        sums = self.mixture_._evaluations(rows, batch.weights).sums()
        return told.Predicted.of(self.classes_, batch.labels, self.predict(rows), batch.weights, sums)

    def to_frame(self) -> Any:
        """The parameters as a pandas.DataFrame, a row for each component of each class.

        Returns
        -------
        pandas.DataFrame
            Columns "class" and those of ``GMM.to_frame``; "weight" is the component's in the mixture of all classes.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> model = GMMClassifier().fit([[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"])
        >>> model.to_frame()["class"].tolist()
        ['high', 'low']
        """
        frame = self.mixture_.to_frame()
        frame.insert(0, "class", self.component_classes_)
        return frame

    def __str__(self) -> str:
        return str(self.summary()) if self.__sklearn_is_fitted__() else repr(self)

    # Files

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the fitted model to a file, atomically: an interrupted save leaves an old file whole.

        path may also be a file that is open for writing bytes, such as an io.BytesIO. The file is a versioned npz
        archive without pickle. Of the constructor's arguments it keeps those that JSON can hold.

        Parameters
        ----------
        path : str, path-like or binary file
            Where to write, or a file that is open for writing.

        Raises
        ------
        ValueError
            The labels of the classes are Python objects that are no texts.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "classes.npz"))
        ...     os.listdir(folder)
        ['classes.npz']
        """
        file.packed(self._kind, self._found_or_error(), self.get_params(deep=False)).write(path)

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
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> import io
        >>> file = io.BytesIO()
        >>> model.save(file)
        >>> GMMClassifier.load(io.BytesIO(file.getvalue())).predict([[2.0]]).tolist()
        ['low']
        """
        return cls._of_saved(file.load(path, cls._kind))

    def to_dict(self) -> dict[str, Any]:
        """The fitted model as a dictionary that JSON can hold, for ``from_dict``.

        It has what a file of ``save`` has, arrays as lists; numbers that go through JSON are read back exactly.

        Raises
        ------
        ValueError
            The labels of the classes are bytes, or Python objects that are no texts.

        Examples
        --------
        >>> import json
        >>> from cgmm import GMMClassifier
        >>> model = GMMClassifier().fit([[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"])
        >>> GMMClassifier.from_dict(json.loads(json.dumps(model.to_dict()))).predict([[7.0]]).tolist()
        ['high']
        """
        return file.told(self._kind, self._found_or_error(), self.get_params(deep=False))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The model of a dictionary that ``to_dict`` has made; it predicts bit-identically.

        Parameters
        ----------
        values : dict

        Returns
        -------
        GMMClassifier

        Raises
        ------
        ValueError, TypeError
            The dictionary is none of ``to_dict``'s, or of a newer version.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> model = GMMClassifier().fit([[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"])
        >>> GMMClassifier.from_dict(model.to_dict()).predict([[7.0]]).tolist()
        ['high']
        """
        return cls._of_saved(file.of_told(values, cls._kind))

    @classmethod
    def _of_saved(cls, saved: file.Saved) -> Self:
        known = cls._defaults()
        model = cls(**{name: value for name, value in saved.settings.items() if name in known})
        model._found = saved.found(model.missing, model.n_threads, model.random_state)
        return model

    # What was learnt

    def _found_or_error(self) -> Found:
        found = vars(self).get("_found")
        if isinstance(found, Found):
            return found
        raise errors.not_fitted(self)

    def _classified(self) -> Classified:
        """What was learnt, asked with the arguments that decide how rows are read as they are now."""
        found = self._found_or_error().classified
        return found.read_by(missing=self.missing, n_threads=self.n_threads)

    def __sklearn_is_fitted__(self) -> bool:
        return isinstance(vars(self).get("_found"), Found)

    @property
    def classes_(self) -> NDArray[Any]:
        return self._found_or_error().classified.classes

    @property
    def priors_(self) -> Array:
        return self._found_or_error().classified.priors

    @property
    def mixture_(self) -> GMM:
        return self._found_or_error().classified.mixture

    @property
    def mixtures_(self) -> tuple[GMM, ...]:
        return self._found_or_error().classified.each

    @property
    def component_classes_(self) -> NDArray[Any]:
        classified = self._found_or_error().classified
        return classified.classes[classified.owners]

    @property
    def candidates_(self) -> tuple[Candidate, ...]:
        return self._found_or_error().candidates

    @property
    def n_parameters_(self) -> int:
        return self._classified().n_parameters

    @property
    def n_iter_(self) -> int:
        return self._found_or_error().n_iter

    @property
    def converged_(self) -> bool:
        return self._found_or_error().converged

    @property
    def n_features_in_(self) -> int:
        return self._found_or_error().classified.mixture.n_features_in_

    @property
    def feature_names_in_(self) -> Names:
        return protocol.seen_names(self._found_or_error().classified.names)
