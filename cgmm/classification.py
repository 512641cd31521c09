"""Discriminant analysis by mixtures: each class has a density, and the most probable class is predicted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from cgmm.classes import fitting, stream
from cgmm.classes.assembled import of_given
from cgmm.classes.fitting import Found
from cgmm.classes.known import check_priors, check_same_classes, distinct_classes
from cgmm.classes.learned import Learned
from cgmm.classes.open import batches_of, given_of
from cgmm.classes.wanted import Wanted
from cgmm.gmm import GMM
from cgmm.selection import check_families
from cgmm.suggestions import explained
from cgmm.validation import (
    check_choice,
    check_counts,
    check_flag,
    check_missing,
    check_real,
    check_seed,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from cgmm.classes.stream import Stream
    from cgmm.mixture.prior import Prior
    from cgmm.types import (
        ArrayLike,
        CovarianceType,
        Init,
        Missing,
        NamedPrior,
        OnDegenerate,
        Seed,
        Starts,
    )

CRITERIA = {name: name for name in ("bic", "cv")}
# Arguments that a classifier hands on to its mixtures as they are.
HANDED_ON = (
    "tol",
    "reg_covar",
    "max_iter",
    "n_init",
    "init_params",
    "prior",
    "on_degenerate",
    "missing",
    "n_threads",
    "accelerate",
)
OF_STREAMS = ("learning_decay", "learning_rows", "forget")


class GMMClassifier(Learned):
    """Discriminant analysis by mixtures: a density of each class, and the class that is most probable given a row.

    With one component a class, the classes are the components of one mixture, whose family says what they share
    (Bensmail and Celeux 1996): "EEE" is linear discriminant analysis, "VVV" quadratic, and twelve others lie between or
    beside them. With more, each class has a mixture of its own, so it may consist of several clusters and have any
    shape (Hastie and Tibshirani 1996; Fraley and Raftery 2002). See docs/classification.md.

    Parameters
    ----------
    n_components : int or iterable of int, default=1
        Components of each class; of several numbers the best is chosen for each class by itself.
    covariance_type : str or collection of str, default="full"
        A family, by any name that GMM takes; the best of several is chosen: for all classes together if they are the
        components of one mixture, or else for each class by itself.
    shared : bool, optional
        Whether the components of all classes are those of one mixture, whose family says what they share; with several
        components a class, covariance_type="EEE" is mixture discriminant analysis (Hastie and Tibshirani 1996).
        Default: if n_components is 1.
    criterion : {"bic", "cv"}, default="bic"
        By which a number or a family is chosen. "cv": five-fold cross-validation, of the probability of the right class
        where the classes are the components of one mixture, and of the density of the class's rows where not.
    priors : array-like of shape (C,) or mapping of class to float, optional
        The probability of each class, in the order of ``classes_``. With shared=True and several components a class
        each must be positive. Default: its share of the rows of a fit.
    unlabelled : object, optional
        The label in y of rows whose class is not known, such as -1, or NaN: they count for all classes, each by its
        probability. Default: the class of each row is known.
    tol, reg_covar, max_iter, n_init, init_params, random_state, prior, on_degenerate, n_threads, accelerate
        As of GMM. The default of reg_covar is "relative"; several starts, n_init, are for classes of several
        components.
    learning_decay, learning_rows, forget
        Of ``partial_fit``, as of GMM. Default of learning_decay: 0.7 of mixtures of a class, and 1 where each class is
        one component, for the statistics of all batches then add up.
    missing : {"error", "marginal"}, default="error"
        What NaN is in X: an error, or a value that was not observed. Then a fit counts what is observed, and a
        prediction is that given what is observed of the row.

    Attributes
    ----------
    classes_ : ndarray (C,)
        The labels of the classes, ascending.
    priors_ : ndarray (C,)
        Their probabilities.
    mixture_ : GMM
        Of all classes together: its components are those of the first class, then those of the second, and so on.
    component_classes_ : ndarray (K,)
        The label of the class to which each component of ``mixture_`` belongs.
    mixtures_ : tuple of GMM
        The density of each class.
    candidates_ : tuple of cgmm.classes.choosing.Candidate
        What families and numbers were chosen from, with (label, covariance_type, n_components, value): of each class,
        or, with label None, of all. Empty if there was no choice.
    n_iter_ : int
        EM iterations of the fit, of the class that took most.
    converged_ : bool
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only there after a fit on a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import GMMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(0, 1, (100, 2)), rng.normal(4, 2, (100, 2))])
    >>> y = np.repeat(["near", "far"], 100)
    >>> model = GMMClassifier().fit(X, y)
    >>> model.predict([[0.0, 0.0], [5.0, 5.0]]).tolist()
    ['near', 'far']
    >>> model.predict_proba([[0.0, 0.0], [5.0, 5.0]]).round(2).tolist()
    [[0.01, 0.99], [1.0, 0.0]]
    >>> model.anomalies([[0.0, 0.0], [50.0, 5.0]]).tolist()
    [False, True]
    """

    _kind = "GMMClassifier"
    _found: Found | None = None
    _stream: Stream | None = None

    def __init__(
        self,
        n_components: int | Iterable[int] = 1,
        covariance_type: CovarianceType | Collection[CovarianceType] = "full",
        shared: bool | None = None,
        *,
        criterion: Literal["bic", "cv"] = "bic",
        priors: ArrayLike | Mapping[Any, float] | None = None,
        unlabelled: object = None,
        tol: float = 1e-4,
        reg_covar: float | Literal["relative"] = "relative",
        max_iter: int = 1000,
        n_init: Starts = 3,
        init_params: Init = "kmeans",
        random_state: Seed = None,
        prior: Prior | NamedPrior | None = None,
        on_degenerate: OnDegenerate = "warn",
        missing: Missing = "error",
        n_threads: int | None = None,
        accelerate: bool = False,
        learning_decay: float | None = None,
        learning_rows: float | None = None,
        forget: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.shared = shared
        self.criterion = criterion
        self.priors = priors
        self.unlabelled = unlabelled
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.prior = prior
        self.on_degenerate = on_degenerate
        self.missing = missing
        self.n_threads = n_threads
        self.accelerate = accelerate
        self.learning_decay = learning_decay
        self.learning_rows = learning_rows
        self.forget = forget

    @classmethod
    def from_mixtures(
        cls,
        mixtures: GMM | Sequence[GMM],
        classes: ArrayLike | None = None,
        priors: ArrayLike | Mapping[Any, float] | None = None,
    ) -> Self:
        """A classifier of mixtures that are there: of given parameters, or fitted to rows that are not in memory.

        Parameters
        ----------
        mixtures : GMM, or sequence of C of them
            One mixture whose components are the classes, as ``GMM.fit(X, labels=…)`` makes it; or one for each class.
        classes : array-like of shape (C,), optional
            Their labels, which differ. Default: 0 to C − 1.
        priors : array-like of shape (C,) or mapping of class to float, optional
            Their probabilities. Default: the weights of the one mixture, or all alike.

        Returns
        -------
        GMMClassifier

        Raises
        ------
        ValueError, TypeError
            The mixtures are not of the same features, or something is not of C classes.

        Examples
        --------
        >>> from cgmm import GMM, GMMClassifier
        >>> low, high = (GMM.from_parameters([1.0], [[mean]], [[[1.0]]]) for mean in (0.0, 4.0))
        >>> GMMClassifier.from_mixtures([low, high], ["low", "high"], [0.9, 0.1]).predict([[1.9], [3.0]]).tolist()
        ['low', 'high']
        """
        shared, each, classified = of_given(mixtures, classes, priors)
        kept = {name: getattr(each[0], name) for name in (*HANDED_ON, "random_state")}
        sizes = 1 if shared else [mixture._mixture.k for mixture in each]
        model = cls(sizes, each[0]._mixture.family.name, None if shared else False, **kept)
        model._found = Found(classified, (), 0, True)
        return model

    # Learning

    @explained
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the densities of the classes.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, as ``GMM.fit`` takes them: in memory, or in files, blocks or a Dask collection. Those that are not in
            memory are read in each iteration, and by each class that has a mixture of its own.
        y : array-like of shape (n,), or int or str
            The class of each row: labels of any type that can be sorted; Dask's beside rows of Dask. Or the index or
            name of the column of X that holds them, which is then no feature. None: X comes in blocks that bring
            them, (rows, weights or None, labels).
        sample_weight : array-like of shape (n,), optional
            Non-negative row weights: weight 2 is the row twice. Blocks bring their own.

        Returns
        -------
        GMMClassifier
            self, changed only when the fit succeeded.

        Raises
        ------
        ValueError, TypeError
            X, y, sample_weight or an argument cannot be used; the message says which and why.

        Warns
        -----
        ConvergenceWarning, DegenerateWarning
            As of GMM, of a class that is named.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> X, y = [[0.0], [1.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> model = GMMClassifier().fit(X, y)
        >>> model.classes_.tolist(), model.predict([[2.0]]).tolist()
        (['high', 'low'], ['low'])
        """
        wanted = self._wanted()
        given = given_of(X, y, sample_weight, self.unlabelled, check_missing(self.missing), self.n_threads)
        self._found = fitting.fit(wanted, replace(given, priors=check_priors(self.priors, given.classes)))
        self._stream = None
        return self

    @explained
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from a batch of rows, or from each block of a stream's.

        Where each class is one component that is the fit of all rows that came, however they are cut, but in families
        that share shapes or axes. Mixtures of a class take a step of stepwise EM, as ``GMM.partial_fit``. It goes on
        from ``fit``. The model is fitted as soon as there are rows of each class. See docs/classification.md.

        Parameters
        ----------
        X, y, sample_weight
            As of ``fit``; blocks may be those of an iterator. Rows without a label are for shared=True.
        classes : array-like of shape (C,), optional
            At the first call the labels of all classes. Default: those of its first batch.

        Returns
        -------
        GMMClassifier
            self, changed only when nothing failed.

        Raises
        ------
        ValueError, TypeError
            X, y, classes, sample_weight or an argument cannot be used, or a label is none of the classes.

        Warns
        -----
        DegenerateWarning
            As of ``GMM.partial_fit``.

        Examples
        --------
        >>> from cgmm import GMMClassifier
        >>> model = GMMClassifier().partial_fit([[0.0], [1.0], [5.0]], ["low", "low", "high"])
        >>> model.partial_fit([[6.0]], ["high"]).predict([[0.0], [3.0], [5.0]]).tolist()
        ['low', 'high', 'high']
        """
        wanted, known, found = self._wanted(), vars(self).get("_stream"), vars(self).get("_found")
        if known is None and found is None and not wanted.chosen:
            if classes is not None:
                check_same_classes(classes, distinct_classes(y, self.unlabelled))
            return self.fit(X, y, sample_weight)
        if known is None and found is not None:
            known = stream.after(wanted, found, check_priors(self.priors, found.classified.classes))
        gaps, names = check_missing(self.missing), None if known is None else known.names
        batches = batches_of(X, y, sample_weight, self.unlabelled, gaps, self.n_threads, names)
        known = stream.learnt(known, batches, classes, wanted, self.priors, self.unlabelled)
        self._stream, self._found = known, known.found(wanted, found)
        return self

    def _wanted(self) -> Wanted:
        """The arguments, checked."""
        sizes = check_counts("n_components", self.n_components)
        shared = sizes == [1] if self.shared is None else check_flag("shared", self.shared)
        families = check_families("covariance_type", self.covariance_type)
        seed = check_seed(self.random_state)
        arguments = {name: getattr(self, name) for name in HANDED_ON} | {"random_state": seed}
        criterion = check_choice("criterion", self.criterion, CRITERIA)
        check_real("tol", self.tol)
        streaming = {name: getattr(self, name) for name in OF_STREAMS}
        return Wanted(shared, sizes, families, criterion, seed, arguments, streaming)

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, ClassifierMixin

        class Classifier(ClassifierMixin, BaseEstimator):
            pass

        tags = Classifier().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "marginal"
        return tags
