"""What every fitted mixture says of rows and of itself: verbs and attributes, whatever it was learned by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from cgmm import errors, plot
from cgmm.diagnostics import Diagnostics
from cgmm.errors import NotFittedError
from cgmm.fit.state import Gathered, State
from cgmm.mixture.parameters import Parameters
from cgmm.plot.protocols import Subject
from cgmm.protocol import Estimator
from cgmm.rows.evaluation import Asked, Evaluations
from cgmm.rows.open import open_rows
from cgmm.rows.opened import AtHand
from cgmm.validation import check_count, check_flag, check_missing, check_random_state, check_threads

if TYPE_CHECKING:
    from typing import Unpack

    from matplotlib.axes import Axes

    from cgmm.plot.wholes import Options
    from cgmm.types import Array, ArrayLike, Labels, Missing, Names, Rows, Seed

T = TypeVar("T")


def _reads(read: Callable[[Any], T]) -> T:
    """A property, of the type that it reads."""
    return cast(T, property(read))


class Fitted(Estimator):
    """An estimator whose fit leaves a State. A verb reads it once, so that a fit in another thread does not matter."""

    random_state: Seed
    missing: Missing
    n_threads: int | None
    _state: State | Gathered

    def predict(self, X: ArrayLike) -> Labels:
        """The most probable component of each row of X (n,d); integers (n,), −1 where it is the noise component."""
        return self._evaluations(X).evaluate("labels")

    def predict_proba(self, X: ArrayLike) -> Array:
        """The responsibilities: the probability of each component given each row of X (n,d); (n,k).

        With a noise component each row sums to 1 − its noise_probability.
        """
        return self._evaluations(X).evaluate("responsibilities")

    def noise_probability(self, X: ArrayLike) -> Array:
        """The probability that each row of X (n,d) belongs to the noise component; (n,), zero without one."""
        return self._evaluations(X).evaluate("noise")

    def score_samples(self, X: ArrayLike) -> Array:
        """The log-likelihood (nats) of each row of X (n,d); (n,)."""
        return self._evaluations(X).evaluate("log_likelihood")

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """The mean log-likelihood (nats) of a row of X (n,d); with weights (n,), their mean."""
        return self._evaluations(X, sample_weight).sums().mean_log_likelihood

    def impute(self, X: ArrayLike, *, draws: bool = False, random_state: Seed = None) -> Rows:
        """Fill the gaps of rows; NaN is a missing value here whatever `missing` says.

        Parameters
        ----------
        X : array-like of shape (n, d)
        draws : bool, default=False
            Fill with a draw from the distribution of what is missing given what is observed of its row, in place of its
            mean: means are nearer to what is missing, draws vary as it does.
        random_state : None, int, RandomState or Generator
            Of the draws; None: the model's.

        Returns
        -------
        ndarray (n, d)
            A copy of X, float32 if X is, or float64; what is observed is the same, bit for bit.
        """
        seed = self.random_state if random_state is None else random_state
        rng = check_random_state(seed) if check_flag("draws", draws) else None
        return self._evaluations(X, gaps=True).impute(rng, single=getattr(X, "dtype", None) == np.float32)

    def sample(self, n_samples: int = 1) -> tuple[Array, Labels]:
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1

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
        """
        parameters = self._parameters
        n = check_count("Invalid value for 'n_samples': it", n_samples)
        rng = check_random_state(self.random_state)
        weights, noise = parameters.shares, parameters.noise
        if noise is not None:
            weights = np.append(weights, noise.weight)
        counts = rng.multinomial(n, weights / weights.sum())
        labels = np.repeat(np.arange(parameters.k), counts[: parameters.k])
        normal = rng.standard_normal((len(labels), parameters.d))
        rows = parameters.means[labels] + parameters.family.colour(parameters.root, labels, normal)
        if noise is None:
            return rows, labels
        if noise.box is None:
            raise ValueError(
                "of the noise component only the density is known, not where its rows are: fit with "
                "noise_component='uniform' to draw from it"
            )
        left = n - len(labels)
        return np.vstack([rows, noise.box.drawn(left, rng)]), np.append(labels, np.full(left, -1))

    def bic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion of X (n,d), smaller is better: −2 log L + p log n (Schwarz 1978).

        Row weights (n,) count rows: n is their sum.
        """
        return self._evaluations(X, sample_weight).sums().criteria().bic

    def aic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Akaike's information criterion of X (n,d), smaller is better: −2 log L + 2 p (Akaike 1974)."""
        return self._evaluations(X, sample_weight).sums().criteria().aic

    def icl(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Integrated completed likelihood of X (n,d), smaller is better.

        BIC − 2 Σ_i log max_c r_ic (Biernacki, Celeux and Govaert 2000): BIC and what doubtful assignments cost.
        """
        return self._evaluations(X, sample_weight).sums(certainty=True).criteria().icl

    def plot(self, X: ArrayLike, ax: Axes | None = None, **options: Unpack[Options]) -> Any:
        """A picture of the fit beside the rows X (n,d), of a kind that suits d; its artists.

        See ``cgmm.plot.model``, which takes the options and chooses. It needs matplotlib: ``pip install 'cgmm[plot]'``.
        """
        return plot.model(self, X, ax=ax, **options)

    def _subject(self, X: ArrayLike | None, sample_weight: ArrayLike | None) -> Subject:
        """The mixture as it is now, with checked rows at hand beside it where X is given: what a picture draws."""
        state = self._fitted()
        if X is None:
            return Subject(state.fit.parameters, state.names, None)
        asked = self._asked(state)
        at_hand = isinstance(X, np.ndarray)  # a map is an array, too
        opened = AtHand(X, sample_weight, asked.gaps) if at_hand else open_rows(X, sample_weight, asked.gaps)
        if not isinstance(opened, AtHand):
            raise TypeError("X must be rows in memory: a picture shows a sample of more, so give some of them")
        rows = opened.evaluations(asked).only()
        return Subject(state.fit.parameters, state.names, rows)

    weights_: Array = _reads(lambda self: self._parameters.shares)
    noise_weight_: float = _reads(lambda self: noise.weight if (noise := self._parameters.noise) else 0.0)
    means_: Array = _reads(lambda self: self._parameters.means)
    covariances_: Array = _reads(lambda self: self._parameters.covariances)
    precisions_: Array = _reads(lambda self: self._parameters.precisions)
    precisions_cholesky_: Array = _reads(lambda self: self._parameters.precisions_cholesky)
    n_features_in_: int = _reads(lambda self: self._parameters.d)
    converged_: bool = _reads(lambda self: self._fitted().fit.converged)
    n_iter_: int = _reads(lambda self: self._fitted().n_iter)
    lower_bound_: float = _reads(lambda self: self._fitted().fit.lower_bound)
    lower_bounds_: Array = _reads(lambda self: self._fitted().fit.lower_bounds)
    _parameters: Parameters = _reads(lambda self: self._fitted().fit.parameters)

    @property
    def feature_names_in_(self) -> Names:
        names = self._fitted().names
        if names is None:
            raise AttributeError("feature_names_in_ is only there after a fit on a data frame with string names")
        return names

    @property
    def diagnostics_(self) -> Diagnostics:
        state = self._fitted()
        return Diagnostics(state.fit, state.restarts, state.winner, state.passes)

    def _n_parameters(self) -> int:
        """Free parameters, under the name that scikit-learn's users know."""
        return self._parameters.n_parameters

    def __sklearn_is_fitted__(self) -> bool:
        return isinstance(vars(self).get("_state"), State)

    def _fitted(self) -> State:
        """The State of the last fit: a verb reads it once, so that a fit in another thread does not matter."""
        state = vars(self).get("_state")
        if not isinstance(state, State):
            name = type(self).__name__
            raise errors.kin(NotFittedError)(
                f"This {name} instance is not fitted yet. Call 'fit' with appropriate arguments before using this "
                "estimator."
            )
        return state

    def _evaluations(
        self,
        X: Any,
        sample_weight: Any = None,
        state: State | None = None,
        some: bool = True,
        gaps: bool = False,
    ) -> Evaluations:
        """Rows beside the parameters of that state, or of the last fit.

        They may have gaps if the model allows them or `gaps`; `some` of their weights are to be positive.
        """
        asked = self._asked(state or self._fitted(), gaps)
        return open_rows(X, sample_weight, asked.gaps).evaluations(asked, some)

    def _asked(self, state: State, gaps: bool = False) -> Asked:
        """The mixture of a state, as rows are put beside it."""
        gaps = check_missing(self.missing) or gaps
        return Asked(state.fit.parameters, state.names, check_threads(self.n_threads), gaps)

    def _with(self, state: State) -> Self:
        """Itself, of that state."""
        self._state = state
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "marginal"
        return tags
