"""What many fits have found, and what they say of rows: the value that `cgmm.fit_many` returns."""

from __future__ import annotations

import copy
import operator
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

import numpy as np

from cgmm import errors, fits_file, protocol
from cgmm.errors import counted
from cgmm.gmm import GMM
from cgmm.rows.evaluation import Asked, Evaluations
from cgmm.rows.open import open_rows
from cgmm.rows.problems import Grouped, problems_of
from cgmm.validation import check_missing, check_threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cgmm.fit.ledger import Ledger
    from cgmm.learner import Learner
    from cgmm.rows.problems import Problems, Titles
    from cgmm.types import Array, ArrayLike, Labels, Mask, Names, Output

M = TypeVar("M", bound="Learner")  # The estimator of which each fit is one.


class ManyFits(Generic[M]):
    """The fits of m problems, whatever of a mixture they have learnt: see Fits."""

    _class: ClassVar[type[Any]]  # M
    _told: ClassVar[tuple[str, ...]]  # The columns of to_frame.
    _believed: ClassVar[bool]  # Whether each fit is a posterior.
    labels: NDArray[Any]

    def __init__(self, ledger: Ledger, titles: Titles, model: M, seeds: Sequence[int]) -> None:
        """model : of the arguments of all fits;  seeds : random_state of each"""
        self._ledger, self._titles, self._model, self._seeds = ledger, titles, model, seeds
        self.labels = titles.labels
        self.weights: Array = ledger.weights
        self.means: Array = ledger.means
        self.covariances: Array = ledger.covariances
        self.converged: Mask = ledger.converged
        self.n_iter: Labels = ledger.n_iter
        self.n_components: Labels = ledger.n_components
        self.errors: Mapping[int, str] = ledger.errors
        self.warnings: Mapping[int, tuple[str, ...]] = ledger.told

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: int | slice) -> M | list[M]:
        """The fitted model of a problem: what ``fit`` of one with its seed gives, bit for bit; of a slice a list.

        Raises
        ------
        IndexError
            There is no such problem.
        ValueError
            It could not be fitted; the message says why.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = operator.index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"there are {len(self)} problems, and none of index {i}")
        i %= len(self)
        if i in self.errors:
            raise ValueError(f"{self._titles.told(i)} has no fit: {self.errors[i]}")
        model = copy.copy(self._model)
        model.set_params(n_components=int(self.n_components[i]), random_state=self._seeds[i])
        return model._with(self._ledger.state(i))

    def __iter__(self) -> Iterator[M]:
        return (self[i] for i in range(len(self)))

    def of(self, label: Any) -> M:
        """The fitted model of a group, or of a column, by its label; KeyError if there is none.

        Parameters
        ----------
        label : object
            The label of a group or a column.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X.reshape(600, 1), 1, groups=np.repeat(["a", "b", "c"], 200))
        >>> fits.of("b").means_.round().tolist()
        [[50.0]]
        """
        return self[self._index_of(label)]

    def predict(self, X: ArrayLike, *, groups: ArrayLike | None = None, columns: bool = False) -> Any:
        """The most probable component of each row under the mixture of its own problem.

        Parameters
        ----------
        X, groups, columns
            Rows in any form that ``cgmm.fit_many`` takes: as many problems as were fitted, in their order; or rows with
            groups, each of them one of ``labels``.

        Returns
        -------
        ndarray of int, or a list of these
            In the form of X: a list of (n_i,), an array (m, n), (n,) for rows with groups, (n, m) for columns. −1 where
            the problem has no fit.

        Raises
        ------
        ValueError, TypeError
            X or groups cannot be used.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X, 1)
        >>> fits.predict(X).shape
        (3, 200)
        """
        return self._evaluate(partial(_evaluated, "labels"), -1, X, groups, columns)

    def predict_proba(self, X: ArrayLike, *, groups: ArrayLike | None = None, columns: bool = False) -> Any:
        """The probability of each component given each row; as ``predict``, with one more axis (…, k).

        Zero for components that a problem does not have, NaN where it has no fit.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        groups : array-like, optional
            As in ``fit_many``.
        columns : bool, default=False
            As in ``fit_many``.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X, 1)
        >>> fits.predict_proba(X).shape
        (3, 200, 1)
        """
        k = self.weights.shape[1]
        return self._evaluate(partial(_responsibilities, k), np.full(k, np.nan), X, groups, columns)

    def score_samples(self, X: ArrayLike, *, groups: ArrayLike | None = None, columns: bool = False) -> Any:
        """The log-likelihood (nats) of each row, as the fit of its problem has it; as ``predict``, NaN where there is
        none.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        groups : array-like, optional
            As in ``fit_many``.
        columns : bool, default=False
            As in ``fit_many``.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X, 1)
        >>> fits.score_samples(X).shape
        (3, 200)
        """
        return self._evaluate(partial(_evaluated, "log_likelihood"), np.nan, X, groups, columns)

    def to_frame(self, components: bool = False) -> Any:
        """A pandas.DataFrame: a row for each problem, or with ``components=True`` for each component of each.

        Parameters
        ----------
        components : bool, default=False
            False: number of components, criteria, convergence, and the reason of an error, if there is one. True:
            weight, means and variances; problems without a fit have no row.

        Returns
        -------
        pandas.DataFrame
            Indexed by the problems' labels, and by the number of the component.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X, 1)
        >>> fits.to_frame(components=True).filter(like="mean").iloc[:, 0].round().tolist()
        [0.0, 50.0, 100.0]
        """
        import pandas as pd

        index = pd.Index(self.labels, name=self._titles.kind)
        if not components:
            told = {name: getattr(self, name) for name in self._told}
            if self.errors:
                told["error"] = np.array([self.errors.get(i, "") for i in range(len(self))], dtype=object)
            return pd.DataFrame(told, index=index)
        problem, component, told = self._components()
        both = pd.MultiIndex.from_arrays([index[problem], component], names=[self._titles.kind, "component"])
        return pd.DataFrame(told, index=both)

    def _components(self) -> tuple[Labels, Labels, dict[str, Any]]:
        """The problem and the number of each component of all fits, and by name weights, means and variances."""
        problem, component = np.nonzero(np.arange(self.weights.shape[1]) < self.n_components[:, np.newaxis])
        means, variances = self.means[problem, component], self._ledger.variances()[problem, component]
        told = {"weight": self.weights[problem, component]}
        for j, feature in enumerate(self._features()):
            told[f"mean{feature}"], told[f"variance{feature}"] = means[:, j], variances[:, j]
        return problem, component, told

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fits to a file, atomically: an interrupted save leaves an old file whole.

        The file is a versioned npz archive without pickle. It holds what ``GMM.save`` keeps of each fit, and nothing of
        how its start was chosen; of fits with a prior not what ``partial_fit`` goes on from.

        Parameters
        ----------
        path : str or path-like
            A name may end in anything, and the file is the same, as of ``GMM.save``.

        Raises
        ------
        OSError
            The file cannot be written.
        ValueError
            The labels of groups are Python objects that are no texts.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X, 1)
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fits.save(os.path.join(folder, "fits.npz"))
        ...     os.listdir(folder)
        ['fits.npz']
        """
        settings = self._model.get_params(deep=False)
        fits_file.save(path, fits_file.Saved(self._ledger, self._titles, self._seeds, settings))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The fits of a file that ``save`` wrote; they predict bit-identically.

        Parameters
        ----------
        path : str, path-like or binary file
            What to read, or a file that is open for reading.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is damaged, not of fits, or of a newer version; the message names the file and the fault.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X, 1)
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "fits.npz")
        ...     fits.save(path)
        ...     again = cgmm.Fits.load(path)
        >>> bool((again.means == fits.means).all())
        True
        """
        saved = fits_file.load(path, cls._believed)
        model = cls._class._of_file(saved.settings, saved.ledger.family, saved.ledger.k)
        return cls(saved.ledger, saved.titles, model, saved.seeds)

    def __repr__(self) -> str:
        m, failed, repaired = len(self), len(self.errors), len(self.warnings)
        k = sorted({int(k) for k in self.n_components if k})
        sizes = f"{k[0]} to {k[-1]} components" if len(k) > 1 else counted(k[0], "component") if k else "no fit"
        told = [
            counted(m, "problem"),
            sizes,
            counted(self._ledger.d, "feature"),
            f"{int(self.converged.sum())} converged",
        ]
        told += [f"{repaired} with warnings"] * bool(repaired) + [f"{failed} without a fit"] * bool(failed)
        return f"{type(self).__name__}({', '.join(told)})"

    def _index_of(self, label: Any) -> int:
        found = np.flatnonzero(self.labels == label)
        if len(found) != 1:
            raise KeyError(f"{label!r} is no {self._titles.kind}")
        return int(found[0])

    def _features(self) -> list[str]:
        """What tells the features apart in the names of columns; nothing, if there is one."""
        names: Names | None = self._titles.names
        told = range(self._ledger.d) if names is None else names
        return [""] if len(told) == 1 else [f"_{name}" for name in told]

    def _evaluate(self, ask: Callable[[Evaluations], Any], nothing: Any, X: Any, groups: Any, columns: bool) -> Any:
        """What is asked of the rows of each problem beside its mixture; `nothing` of each row where there is no fit."""
        problems = problems_of(X, groups, columns)
        n_threads, gaps = check_threads(self._model.n_threads), check_missing(self._model.missing)
        told: dict[str, None] = {}
        found: list[NDArray[Any]] = []
        for at, i in enumerate(self._indices(problems)):
            rows = problems.part(at).rows
            if i in self.errors:
                found.append(np.full((len(rows), *np.shape(nothing)), nothing))
                continue
            own = protocol.feature_names(rows)
            try:
                told[protocol.check_feature_names(problems.names_of(at, own), self._ledger.names[i]) or ""] = None
                asked = Asked(self._ledger.parameters(i), own, n_threads, gaps)
                found.append(np.asarray(ask(open_rows(rows, None, gaps).evaluations(asked))))
            except (ValueError, TypeError) as error:
                raise type(error)(f"{problems.titles.told(at)}: {error}") from error
        for text in filter(None, told):
            errors.warn(text, UserWarning)
        return problems.gather(found)

    def _indices(self, problems: Problems) -> list[int]:
        """The fit that each of some problems belongs to."""
        if isinstance(problems, Grouped):
            places = {label: i for i, label in enumerate(self.labels.tolist())}
            asked = problems.titles.labels.tolist()
            unknown = [label for label in asked if label not in places]
            if self._titles.kind != "group" or unknown:
                raise ValueError(
                    f"groups: {unknown[0] if unknown else asked[0]!r} is none of the groups that were fitted"
                )
            return [places[label] for label in asked]
        if len(problems) != len(self):
            raise ValueError(f"X has {len(problems)} problems, and {len(self)} were fitted")
        return list(range(len(self)))


class Fits(ManyFits[GMM]):
    """The mixtures of m problems: what ``cgmm.fit_many`` has found.

    ``fits[i]`` is the i-th as a fitted GMM, ``fits.of(label)`` that of a group or of a named column, and ``len(fits)``
    is m. The arrays are read-only. With a sequence of numbers of components, k is the largest; a problem that has fewer
    has weights of zero, and means and covariances that are NaN, for the rest. All is NaN of a problem without a fit.

    Attributes
    ----------
    labels : ndarray (m,)
        The groups, sorted; the names of the columns; or 0 … m − 1.
    weights : ndarray (m, k)
    means : ndarray (m, k, d)
    covariances : ndarray
        (m, k, d, d) full, (m, d, d) tied, (m, k, d) diag, (m, k) spherical.
    log_likelihood : ndarray (m,)
        Of all rows of the problem (nats), under the fitted parameters; with ``labels`` a row counts as in the fit, by
        the component to which it is known to belong. So do aic and bic, and ``select``'s criteria, whereas ``bic`` of a
        model does not use labels.
    aic, bic : ndarray (m,)
        Smaller is better.
    converged : ndarray (m,) of bool
    n_iter : ndarray (m,) of int
        Iterations of EM.
    n_components : ndarray (m,) of int
        Of the fit that was chosen; 0 where there is none.
    errors : dict
        From the index of each problem that has no fit to the reason.
    warnings : dict
        From an index to what ``GMM.fit`` would have warned of, a tuple of str, where there is something to tell.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
    >>> fits = cgmm.fit_many(X, 1)
    >>> len(fits), fits.means.shape
    (3, (3, 1, 1))
    >>> fits[1].means_.round().tolist()
    [[50.0]]
    """

    _class, _believed = GMM, False
    _told = ("n_components", "log_likelihood", "aic", "bic", "converged", "n_iter")

    def __init__(self, ledger: Ledger, titles: Titles, model: GMM, seeds: Sequence[int]) -> None:
        super().__init__(ledger, titles, model, seeds)
        self.log_likelihood: Array = ledger.log_likelihood
        self.aic: Array = ledger.aic
        self.bic: Array = ledger.bic


def _evaluated(what: Output, evaluations: Evaluations) -> Any:
    return evaluations.evaluate(what)


def _responsibilities(k: int, evaluations: Evaluations) -> Any:
    """Of each row, with a column for each of k components."""
    found = evaluations.evaluate("responsibilities")
    return np.pad(found, ((0, 0), (0, k - found.shape[1]))) if found.shape[1] < k else found
