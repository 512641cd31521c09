"""What a regressor has learnt: a mixture of features and targets, and how it is told."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from cgmm import errors, protocol, summary
from cgmm.fit.report import listed
from cgmm.protocol import Estimator

if TYPE_CHECKING:
    from cgmm.gmm import GMM
    from cgmm.summary import Summary
    from cgmm.types import ArrayLike, Labels, Names


class Learned(NamedTuple):
    """What a fit leaves in a regressor.

    features, targets : the columns of the mixture's rows that are features (p,) and targets (t,)
    names : of the features, or None;  flat : whether there is one target, and predictions have one dimension
    """

    mixture: GMM
    features: Labels
    targets: Labels
    names: Names | None
    flat: bool


class Regressed(Estimator):
    """A regressor with what it has learnt, in words and as attributes."""

    @abstractmethod
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R² of the predictions."""

    def summary(
        self, X: ArrayLike | None = None, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Summary:
        """What was learnt, for people: the mixture of features and targets, as of ``GMM.summary``.

        ``print(model)`` prints it, and a notebook shows ``model.summary()`` as tables.

        Parameters
        ----------
        X : array-like of shape (n, p), optional
        y : array-like of shape (n,) or (n, t), optional
            With both, the R² of the predictions is told, too.
        sample_weight : array-like of shape (n,), optional
            Row weights.

        Returns
        -------
        cgmm.summary.Summary
            ``to_text()``, which ``print`` shows, ``to_dict()``, which JSON can hold, and HTML in a notebook.

        Examples
        --------
        >>> from cgmm import GMM, GMMRegressor
        >>> mixture = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> GMMRegressor.from_mixture(mixture, targets=1).summary().facts["predicts"]
        'y from feature 0'
        """
        learned = self._learned_or_error()
        names, titles = self._titles(learned)
        targets, features = (listed([titles[j] for j in some]) for some in (learned.targets, learned.features))
        state = learned.mixture._fitted()._replace(names=names)
        found = summary.of_mixture(type(self).__name__, state).with_facts({"predicts": f"{targets} from {features}"})
        if X is None or y is None:
            return found
        score = self.score(X, y, sample_weight)
        return found.with_facts({}, {"R²": f"{score:.6g}"}, {"r2": score})

    def to_frame(self) -> Any:
        """The parameters of the mixture of features and targets as a pandas.DataFrame: see ``GMM.to_frame``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor(2, random_state=0).fit(X, y)
        >>> len(model.to_frame())  # A row for each component
        2
        """
        names, _ = self._titles(self._learned_or_error())
        return summary.frame_of(self.mixture_._parameters, names)

    def _titles(self, learned: Learned) -> tuple[Names, list[str]]:
        """The names of the mixture's features, and what they are called in a sentence."""
        known = learned.mixture._fitted().names
        if known is not None:
            return known, list(known)
        names: dict[int, str] = {}
        for at, j in enumerate(learned.features.tolist()):
            names[j] = f"feature {at}" if learned.names is None else learned.names[at]
        for at, j in enumerate(learned.targets.tolist()):
            names[j] = "y" if learned.flat else f"y[{at}]"
        ordered = [names[j] for j in range(len(names))]
        return protocol.names_of_features(ordered), ordered

    def __str__(self) -> str:
        return str(self.summary()) if self.__sklearn_is_fitted__() else repr(self)

    def _learned_or_error(self) -> Learned:
        learned = vars(self).get("_learned")
        if isinstance(learned, Learned):
            return learned
        raise errors.not_fitted(self)

    def __sklearn_is_fitted__(self) -> bool:
        return isinstance(vars(self).get("_learned"), Learned)

    @property
    def mixture_(self) -> GMM:
        return self._learned_or_error().mixture

    @property
    def n_components_(self) -> int:
        return self._learned_or_error().mixture._parameters.k

    @property
    def n_parameters_(self) -> int:
        return self.mixture_.n_parameters_

    @property
    def n_iter_(self) -> int:
        return self._learned_or_error().mixture.n_iter_

    @property
    def n_features_in_(self) -> int:
        return len(self._learned_or_error().features)

    @property
    def feature_names_in_(self) -> Names:
        return protocol.seen_names(self._learned_or_error().names)
