"""What every fitted mixture says of rows and of itself: verbs and attributes, whatever it was learned by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from cgmm import plot, summary
from cgmm.fit.state import State
from cgmm.holding import Holding
from cgmm.mixture.features import told_features
from cgmm.mixture.order import order_of
from cgmm.plot.protocols import Subject
from cgmm.rows.evaluation import Evaluation
from cgmm.rows.open import open_rows
from cgmm.rows.opened import AtHand
from cgmm.rows.row_errors import blurred
from cgmm.suggestions import explained
from cgmm.validation import (
    check_count,
    check_flag,
    check_random_state,
)

if TYPE_CHECKING:
    from typing import Unpack

    from matplotlib.axes import Axes

    from cgmm.mixture.criteria import Sums
    from cgmm.plot.wholes import Options
    from cgmm.summary import Summary
    from cgmm.types import Array, ArrayLike, Labels, Rows, Seed


class Fitted(Holding):
    """An estimator with a mixture, and what it says of rows and of itself."""

    random_state: Seed
    _absent: ClassVar[Mapping[str, str]] = {"labels_": "predict(X) gives labels"}  # What others have, and what does it.

    if not TYPE_CHECKING:  # a type checker is to find what there is not

        def __getattr__(self, name: str) -> Any:
            """AttributeError of what others have and this has not, which says what to do; or that of a property."""
            if name not in self._absent:
                return super().__getattribute__(name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: {self._absent[name]}")

    @explained
    def predict(self, X: ArrayLike, error_covariances: ArrayLike | None = None) -> Labels:
        """The most probable component of each row of X (n,d), which may have errors of measurement as of ``fit``;
        integers (n,), −1 where it is the noise component.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> model.predict([[1.0], [8.0]]).tolist()
        [0, 1]
        """
        return self._evaluations(X, errors=error_covariances).evaluate("labels")

    @explained
    def predict_proba(self, X: ArrayLike, error_covariances: ArrayLike | None = None) -> Array:
        """The responsibilities: the probability of each component given each row of X (n,d), which may have errors of
        measurement as of ``fit``; (n,k).

        With a noise component each row sums to 1 − its noise_probability.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> model.predict_proba([[5.0], [5.1]]).round(3).tolist()
        [[0.5, 0.5], [0.269, 0.731]]
        """
        state = self._fitted()
        found = self._evaluations(X, state=state, errors=error_covariances).evaluate("responsibilities")
        return self._in_frame(found, X, lambda: state.component_titles)

    def noise_probability(self, X: ArrayLike, error_covariances: ArrayLike | None = None) -> Array:
        """The probability that each row of X (n,d) belongs to the noise component; (n,), zero without one.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMM
        >>> X = np.append(np.random.default_rng(0).normal(size=200), 9.0)[:, None]
        >>> model = GMM(1, noise_component="uniform").fit(X)
        >>> (model.noise_probability([[0.0], [9.0]]) > 0.5).tolist()
        [False, True]
        """
        return self._evaluations(X, errors=error_covariances).evaluate("noise")

    def uncertainty(self, X: ArrayLike, error_covariances: ArrayLike | None = None) -> Array:
        """The probability that a row of X (n,d), which may have errors as of ``fit``, is not of its most probable
        component, 1 − max_c r_ic; (n,).

        Zero: the row is surely of the component that ``predict`` gives; 1 − 1/k: each is as probable. With a noise
        component that one counts, too.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> model.uncertainty([[0.0], [5.0]]).round(3).tolist()
        [0.0, 0.5]
        """
        return self._evaluations(X, errors=error_covariances).values(Evaluation.uncertainty, np.empty(0))

    @explained
    def score_samples(self, X: ArrayLike, error_covariances: ArrayLike | None = None) -> Array:
        """The log-likelihood (nats) of each row of X (n,d), which may have errors as of ``fit``; (n,).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> model.score_samples([[0.0], [1.0]]).round(4).tolist()
        [-1.6121, -2.1121]
        """
        return self._evaluations(X, errors=error_covariances).evaluate("log_likelihood")

    @explained
    def score(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> float:
        """The mean log-likelihood (nats) of a row of X (n,d), which may have errors of measurement as of ``fit``; with
        weights (n,), their mean.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        y : ignored
            For scikit-learn's convention.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> round(model.score([[0.0], [10.0]]), 4)  # ln 0.5 − ln √(2π)
        -1.6121
        """
        return self._evaluations(X, sample_weight, errors=error_covariances).sums().mean_log_likelihood

    def denoise(
        self, X: ArrayLike, error_covariances: ArrayLike | None = None, *, return_cov: bool = False
    ) -> Array | tuple[Array, Array]:
        """What is known of the true values of rows that were measured with errors.

        The true value of a row is distributed as the mixture, and the row normally about it: given the row, it is
        distributed as a mixture of normal distributions with means b_ic and covariances B_ic (Bovy, Hogg and Roweis
        2011, equation 16), whose mean and covariance are returned; of a BayesianGMM those of its variational
        posterior.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows. With ``missing="marginal"`` NaN is a missing value, of which the others tell.
        error_covariances : array-like
            Of their errors, as of ``fit``. Blocks bring their own.
        return_cov : bool, default=False

        Returns
        -------
        means : ndarray (n, d)
            Of the true values: the estimates of least squared error.
        covariances : ndarray (n, d, d)
            Of the true values, if return_cov. With a noise component both are those of a row that is no noise.

        Raises
        ------
        ValueError, TypeError
            X or error_covariances cannot be used, or there are none.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[4.0, 0.0], [0.0, 1.0]]])
        >>> model.denoise([[2.0, 2.0]], [1.0, 1.0]).round(6).tolist()
        [[1.6, 1.0]]
        """
        evaluations = self._evaluations(X, errors=error_covariances)
        means, covariances = evaluations.truth(check_flag("return_cov", return_cov))
        return means if covariances is None else (means, covariances)

    def impute(
        self,
        X: ArrayLike,
        error_covariances: ArrayLike | None = None,
        *,
        draws: bool = False,
        random_state: Seed = None,
    ) -> Rows:
        """Fill the gaps of rows; NaN is a missing value here whatever `missing` says.

        Parameters
        ----------
        X : array-like of shape (n, d)
        error_covariances : array-like, optional
            Covariances of the measurement errors of what is observed, as in ``fit``: a gap is then filled with its true
            value's mean, or a draw of it, given what was measured. Blocks bring their own. ``denoise`` estimates the
            true values of what is observed, too.
        draws : bool, default=False
            Fill with a draw from the distribution of what is missing given what is observed of its row, in place of its
            mean: means are nearer to what is missing, draws vary as it does.
        random_state : None, int, RandomState or Generator
            Of the draws; None: the model's.

        Returns
        -------
        ndarray (n, d)
            A copy of X, float32 if X is, or float64; what is observed is the same, bit for bit.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> model.impute([[1.0, np.nan], [1.0, 2.0]]).round(3).tolist()
        [[1.0, 0.8], [1.0, 2.0]]
        """
        seed = self.random_state if random_state is None else random_state
        rng = check_random_state(seed) if check_flag("draws", draws) else None
        state = self._fitted()
        single = getattr(X, "dtype", None) == np.float32
        found = self._evaluations(X, state=state, gaps=True, errors=error_covariances).impute(rng, single=single)
        return self._in_frame(found, X, lambda: told_features(state.names, found.shape[1]))

    def sample(
        self, n_samples: int = 1, random_state: Seed = None, error_covariances: ArrayLike | None = None
    ) -> tuple[Array, Labels]:
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : None, int, RandomState or Generator
            Of the draws; None: the model's.
        error_covariances : array-like, optional
            Draw rows as they are measured with errors of these covariances, as of ``fit``.

        Returns
        -------
        X : ndarray (n_samples, d)
            Ordered by component, rows of the noise component last.
        labels : ndarray (n_samples,)
            The component of each, −1 for the noise component.

        Raises
        ------
        ValueError
            Of the noise component only the density is known, not where its rows are.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> X, labels = model.sample(4, random_state=0)
        >>> X.shape, labels.shape
        ((4, 1), (4,))
        """
        parameters = self._parameters
        n = check_count("Invalid value for 'n_samples': it", n_samples)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        rows, labels = parameters.sample(n, rng)
        return (rows, labels) if error_covariances is None else (blurred(rows, error_covariances, rng), labels)

    def sorted(self, by: ArrayLike | str | Callable[..., Any] = "means", *, reverse: bool = False) -> Self:
        """The same model with its components in a chosen order; self stays as it is.

        Parameters
        ----------
        by : "means", "weights", a feature, a function or array-like (k,), default="means"
            What is to ascend. "means": the mean of the first feature, and where that is equal, of the next. A feature,
            by number or name: its mean. A function of a component's weight, mean (d,) and covariance (d, d), as
            Python's ``sorted`` takes a key. Or a number for each component. Components of which it is equal stay in
            their order.
        reverse : bool, default=False
            Descending.

        Returns
        -------
        GMM
            With the same arguments; those of components, such as ``means_init``, in the order in which they were.

        Raises
        ------
        ValueError, TypeError
            by is nothing by which components can be sorted.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.2, 0.5, 0.3], [[3.0], [1.0], [2.0]], [1.0, 2.0, 3.0], "spherical")
        >>> model.sorted().means_[:, 0].tolist()
        [1.0, 2.0, 3.0]
        >>> model.sorted("weights", reverse=True).weights_.tolist()
        [0.5, 0.3, 0.2]
        """
        state = self._fitted()
        order = order_of(state.fit.parameters, state.names, by, check_flag("reverse", reverse))
        return type(self)(**self.get_params(deep=False))._with(state.taken(order))

    def summary(
        self,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> Summary:
        """What was learnt, for people: each component's weight, size, and mean ± standard deviation of each feature;
        how the fit ended, how well it explains the rows, and what was repaired.

        ``print(model)`` prints it, and a notebook shows ``model.summary()`` as tables.

        Parameters
        ----------
        X : array-like of shape (n, d), optional
            Rows, of which the log-likelihood and the BIC are told. Without them those of the last iteration's rows
            are told, before its last step, which raises the log-likelihood per row by about tol or less.
        sample_weight : array-like of shape (n,), optional
            Row weights of X.
        error_covariances : array-like, optional
            Of the errors of X, as of ``fit``.

        Returns
        -------
        cgmm.summary.Summary
            ``to_text()``, which ``print`` shows, ``to_dict()``, which JSON can hold, and HTML in a notebook. Its
            "size" is the sum of the responsibilities of the rows of the fit.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.25, 0.75], [[0.0], [5.0]], [1.0, 4.0], "spherical")
        >>> print(model.summary())
        GMM of 2 components in 1 feature
        <BLANKLINE>
        components  2, spherical
        features    1
        parameters  5
        fit         none: the parameters were given
        <BLANKLINE>
        component  weight  feature 0
                0  0.2500      0 ± 1
                1  0.7500      5 ± 2
        """
        if X is None:
            return self._summarised()
        return self._summarised(self._evaluations(X, sample_weight, errors=error_covariances).sums())

    def to_frame(self) -> Any:
        """The parameters as a pandas.DataFrame, a row for each component.

        Returns
        -------
        pandas.DataFrame
            Columns "weight", and of each feature "mean[name]" and "sd[name]", the standard deviation; where features
            correlate within components, also "covariance[name, other]" of each two. A feature without a name has its
            number.

        Examples
        --------
        >>> from cgmm import GMM
        >>> frame = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]]).to_frame()
        >>> list(frame.columns)
        ['weight', 'mean[0]', 'mean[1]', 'sd[0]', 'sd[1]', 'covariance[0, 1]']
        """
        state = self._fitted()
        return summary.frame_of(state.fit.parameters, state.names, state.component_names)

    def _summarised(self, sums: Sums | None = None) -> Summary:
        """The summary, with what is said of rows of which these are the sums."""
        return summary.of_mixture(type(self).__name__, self._fitted(), sums, self._told())

    def _told(self) -> dict[str, Any]:
        """What there is to tell of a model besides its mixture, as JSON can hold it."""
        return {}

    def __str__(self) -> str:
        return str(self.summary()) if self.__sklearn_is_fitted__() else repr(self)

    def plot(self, X: ArrayLike, ax: Axes | None = None, **options: Unpack[Options]) -> Any:
        """A picture of the fit beside the rows X (n,d), of a kind that suits d; its artists.

        See ``cgmm.plot.model``, which takes the options and chooses. It needs matplotlib:
        ``pip install 'compiled-gmm[plot]'``.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows in memory.
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: the current axes.
        **options
            Those of ``cgmm.plot.model``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> picture = model.plot(X)
        """
        return plot.model(self, X, ax=ax, **options)

    def _subject(self, X: ArrayLike | None, sample_weight: ArrayLike | None) -> Subject:
        """The mixture as it is now, with checked rows at hand beside it where X is given: what a picture draws."""
        state = self._fitted()
        if X is None:
            return Subject(state.fit.parameters.point, state.names, None, state.component_names)
        rows = self._at_hand(X, sample_weight, state, "a picture shows a sample of more, so give some of them")
        return Subject(state.fit.parameters.point, state.names, rows, state.component_names)

    def _at_hand(self, X: ArrayLike, sample_weight: ArrayLike | None, state: State, remedy: str) -> Evaluation:
        """Checked rows in memory beside the parameters of that state; TypeError names the remedy if they are not."""
        asked = self._asked(state)
        at_hand = isinstance(X, np.ndarray)  # a map is an array, too
        opened = AtHand(X, sample_weight, asked.gaps) if at_hand else open_rows(X, sample_weight, asked.gaps)
        if not isinstance(opened, AtHand):
            raise TypeError(f"X must be rows in memory: {remedy}")
        return opened.evaluations(asked).only()

    def _n_parameters(self) -> int:
        """Free parameters, under the name that scikit-learn's users know."""
        return self.n_parameters_

    def _estimate_log_prob(self, X: ArrayLike) -> Array:
        """log N(x_i | μ_c, Σ_c) (n,k), under the name that scikit-learn's users know."""
        state = self._fitted()
        fit, k = state.fit, state.fit.parameters.k
        alike = replace(fit, parameters=replace(fit.parameters.beside(None), weights=np.full(k, 1 / k)))
        return self._evaluations(X, state=state._replace(fit=alike)).evaluate("log_densities") + np.log(k)

    def _estimate_weighted_log_prob(self, X: ArrayLike) -> Array:
        """log π_c N(x_i | μ_c, Σ_c) (n,k), under that name."""
        return self._evaluations(X).evaluate("log_densities")

    def _estimate_log_weights(self) -> Array:
        """log π_c (k,), under that name."""
        with np.errstate(divide="ignore"):
            return np.log(self._parameters.shares)

    def _estimate_log_prob_resp(self, X: ArrayLike) -> tuple[Array, Array]:
        """The log-likelihood (n,) of each row, and its log-responsibilities (n,k), under that name."""
        weighted = self._estimate_weighted_log_prob(X)
        noise = self._parameters.noise
        log_likelihood = np.logaddexp.reduce(weighted, axis=1) if noise is None else self.score_samples(X)
        return log_likelihood, weighted - log_likelihood[:, np.newaxis]


def check_mixture(name: str, model: Any) -> Any:
    """A mixture, which an argument of that name must be; TypeError says what it is instead."""
    if not isinstance(model, Fitted):
        raise TypeError(f"{name} must be a fitted mixture such as a GMM, not {type(model).__name__}")
    return model
