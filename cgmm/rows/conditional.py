"""The distributions of some features of rows given others, of many rows at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture import univariate
from cgmm.mixture.conditioning import Conditioning
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.transform import conditional, marginal
from cgmm.once import once
from cgmm.rows.impute import drawn
from cgmm.rows.measured import density_of
from cgmm.rows.part import Part
from cgmm.rows.patterns import Patterns
from cgmm.rows.pieces import Deblurred, Regressed, away
from cgmm.rows.row_errors import among
from cgmm.validation import check_array, check_count, check_random_state, first_not_within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgmm.rows.pieces import Piece
    from cgmm.types import Array, ArrayLike, Labels, Names, Output, RowErrors, Rows, Seed

NUMBERS_AT_A_TIME = 1 << 20  # Numbers of rows × components × features that are held where not each is wanted: 8 MiB.

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Maker(Protocol[T_co]):
    """What makes a model of parameters and the names of its features."""

    def __call__(self, parameters: Parameters, names: Names | None) -> T_co: ...


@dataclass(frozen=True, eq=False)
class Conditionals(Generic[T]):
    """The distributions of some features of n rows, each a mixture, given others: ``GMM.conditional`` makes them.

    They are computed when they are asked for, all rows at once. Of rows whose given values have gaps (NaN), what is
    there is given. Of values with errors of measurement the features are those that go with their true values.

    Parameters
    ----------
    parameters : Parameters
        Of the mixture of all features.
    values : ndarray (n, p)
        Of the features that are given, NaN where one is not.
    given : ndarray (p,)
        These features.
    features : ndarray (m,)
        The features whose distributions these are.
    names : ndarray of str or None
        Of all features.
    n_threads : int or None
    make : callable
        What makes a model of Parameters and names.
    random_state : None, int, RandomState or Generator
        Of draws for which no other is named.
    errors : ndarray (n, p) or (n, p, p), or None
        Variances or covariances of the errors with which the values were measured.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import GMM
    >>> model = GMM.from_parameters([0.5, 0.5], [[0, 0], [4, 2]], [np.eye(2)] * 2)
    >>> given = model.conditional([[0.0], [2.0], [4.0]], [0])
    >>> len(given), given.means.shape, given.covariances.shape
    (3, (3, 2, 1), (2, 1, 1))
    >>> given.mean().round(3).tolist()
    [[0.001], [1.0], [1.999]]
    >>> given.quantile(0.5).round(3).tolist()
    [0.0, 1.0, 2.0]
    >>> given[1].weights_.tolist()
    [0.5, 0.5]
    """

    parameters: Parameters
    values: Rows
    given: Labels
    features: Labels
    names: Names | None
    n_threads: int | None
    make: Maker[T]
    random_state: Seed = None
    errors: RowErrors | None = None

    def __len__(self) -> int:
        return len(self.values)

    def of(self, features: Labels) -> Conditionals[T]:
        """The distributions of some of the features, the columns (m,) of the mixture's, given the same.

        Parameters
        ----------
        features : ndarray of int or str
            Which of the features to keep.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.of([1]).mean().round(2).tolist()
        [[0.8], [-0.8]]
        """
        found = replace(self, features=features)
        vars(found)["weights"] = self.weights  # they follow from what is given alone
        return found

    def __getitem__(self, i: int) -> T:
        """The mixture of row i."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"there is no row {i}: there are {len(self)}")
        names = None if self.names is None else self.names[self.features]
        if self.errors is not None:
            return self.make(self._deblurred_mixture(i % len(self)), names)
        known = ~np.isnan(self.values[i])
        given, x = self.given[known], np.asarray(self.values[i][known], dtype=np.float64)
        regression = Conditioning.of(self.parameters, given, self.features)
        means = regression.component_means(x[None, : len(regression.given)])[0]
        return self.make(conditional(self.parameters, given, self.features, self.weights[i], means), names)

    def _deblurred_mixture(self, i: int) -> Parameters:
        """That of row i, whose values have errors: where features are correlated, it has covariances of its own."""
        (piece,) = self._deblurred(i, i + 1)
        weights, means = self.weights[i], piece.means[0]
        if not self.parameters.family.correlated:
            return conditional(self.parameters, self.given, self.features, weights, means)
        return Parameters.given(FAMILIES["full"], weights.copy(), means.copy(), piece.covariances[0].copy())

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(len(self)))

    @once
    def _complete(self) -> bool:
        return _kernels.all_within(self.values, np.inf) if self.values.size else not len(self.given)

    @once
    def _patterns(self) -> Patterns:
        """The rows (n,d) of all features, with gaps where nothing is given."""
        return Patterns(Part(self._with(None)))

    def _with(self, Y: Array | None, some: slice = slice(None)) -> Array:
        """Some of the rows (n,d) of what is given, and of Y (n,m) where it is."""
        values = self.values[some]
        X = np.full((len(values), self.parameters.d), np.nan)
        X[:, self.given] = values
        if Y is not None:
            X[:, self.features] = Y[some]
        return X

    @once
    def weights(self) -> Array:
        """Of the components, (n,k): their responsibilities given what is given."""
        return self._evaluate("responsibilities")

    def _evaluate(self, what: Output) -> Any:
        """What the mixture says of what is given."""
        if self.errors is not None:
            own = density_of(marginal(self.parameters, self.given), self.errors.ndim, gapped=True)
            return _kernels.evaluate(self.values, own, what, threads(self.n_threads), errors=self.errors)
        if not self._complete or not len(self.given):
            return self._patterns.evaluate(self.parameters, what, self.n_threads)
        values = self.values.astype(np.float64, copy=False)  # as rows with gaps are computed
        return _kernels.evaluate(values, marginal(self.parameters, self.given).density, what, threads(self.n_threads))

    @once
    def means(self) -> Array:
        """Of the components, (n,k,m)."""
        found = np.empty((len(self), self.parameters.k, len(self.features)))
        for piece in self._all():
            found[piece.rows] = piece.means
        return found

    @property
    def covariances(self) -> Array:
        """Of the components, (k,m,m), the same for all rows; ValueError if rows have different gaps, or errors.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> model.conditional([[1.0], [-1.0]], [0]).covariances.round(2).tolist()
        [[[0.36]]]
        """
        if self.errors is not None:
            raise ValueError("rows of different errors have different covariances: ask a row, as conditionals[i]")
        regressions = list(self._regressions())
        if len(regressions) > 1:
            raise ValueError("rows of different gaps have different covariances: ask a row, as conditionals[i]")
        own = regressions[0][1].covariances
        return np.repeat(own, self.parameters.k // len(own), axis=0)

    def _regressions(self) -> Iterator[tuple[Labels | None, Conditioning]]:
        """Rows of which the same is given, None for all, and the regressions on it."""
        if self._complete:
            yield None, Conditioning.of(self.parameters, self.given, self.features)
            return
        for rows, columns, p in self._patterns.by_pattern.patterns():
            yield rows, Conditioning.of(self.parameters, columns[:p], self.features)

    def _all(self) -> Iterator[Piece]:
        """Rows of which the same is given, so few that the values of all components fit into memory."""
        if self.errors is not None:
            yield from self._deblurred(0, len(self))
            return
        n_threads = threads(self.n_threads)
        size = max(1, NUMBERS_AT_A_TIME // (self.parameters.k * len(self.features)))
        for rows, regression in self._regressions():
            for start in range(0, len(self) if rows is None else len(rows), size):
                some: Any = slice(start, start + size) if rows is None else rows[start : start + size]
                x = self.values[some] if rows is None else self._patterns.part.rows[some[:, None], regression.given]
                x = np.ascontiguousarray(x[:, : len(regression.given)], dtype=np.float64)
                yield Regressed(some, regression, x, self.weights[some], n_threads)

    def _deblurred(self, first: int, end: int) -> Iterator[Deblurred]:
        """The same of rows first … end whose values have errors."""
        assert self.errors is not None
        d, m = self.parameters.d, len(self.features)
        density = density_of(self.parameters, error_axes=3, gapped=False)
        size = max(1, NUMBERS_AT_A_TIME // (self.parameters.k * m * m + d * d))
        for start in range(first, end, size):
            some = slice(start, min(start + size, end))
            errors = among(self.errors[some], self.given, d)
            x = self._with(None, some)
            yield Deblurred(some, density, x, errors, self.features, self.weights[some], threads(self.n_threads))

    def mean(self) -> Array:
        """The mean of each row's features, (n,m): the prediction of least squared error.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.mean().round(2).tolist()
        [[0.8], [-0.8]]
        """
        if self._alike:
            return self._predicted()[0]
        found = np.empty((len(self), len(self.features)))
        for piece in self._all():
            found[piece.rows] = piece.mean
        return found

    def covariance(self) -> Array:
        """The covariance of each row's features, (n,m,m): that within components and that of their means.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.covariance().round(2).tolist()
        [[[0.36]], [[0.36]]]
        """
        if self._alike:
            return self._predicted("covariances")[1]
        m = len(self.features)
        found = np.empty((len(self), m, m))
        for piece in self._all():
            about = away(piece)
            between = np.zeros((len(about), m, m))
            for c in range(about.shape[1]):
                between += (piece.shares[:, c, None] * about[:, c])[:, :, None] * about[:, c, None, :]
            found[piece.rows] = piece.within + between
        return found

    def std(self) -> Array:
        """The standard deviation of each row's features, (n,m).

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.std().round(2).tolist()
        [[0.6], [0.6]]
        """
        if self._alike:
            return np.sqrt(self._predicted("variances")[1])
        found = np.empty((len(self), len(self.features)))
        for piece in self._all():
            about = away(piece)
            between = (piece.shares[:, :, np.newaxis] * about * about).sum(axis=1)  # a square alone may be no number
            found[piece.rows] = np.sqrt(piece.variances_within + between)
        return found

    @property
    def _alike(self) -> bool:
        """Whether the same features of all rows are given, and exact: one pass predicts them all."""
        return self.errors is None and self._complete and bool(len(self.given))

    def _predicted(self, spread: Literal["variances", "covariances"] | None = None) -> tuple[Array, Any]:
        """Means (n,m) by a pass that weighs components and regresses; and variances (n,m), or covariances (n,m,m)."""
        own = Conditioning.of(self.parameters, self.given, self.features)
        return _kernels.predictions(
            self.values.astype(np.float64, copy=False),
            marginal(self.parameters, self.given).density,
            own.means_given,
            own.means,
            own.slopes,
            None if spread is None else self.covariances,
            spread == "variances",
            threads(self.n_threads),
        )

    def score_samples(self, Y: ArrayLike) -> Array:
        """The log-density (nats) of each row of Y (n,m) given what is given, (n,); NaN in Y is a missing value.

        log p(y | x) = log p(x, y) − log p(x), both by the passes of ``GMM.score_samples``. Y has no errors.

        Parameters
        ----------
        Y : array-like of shape (n, m)
            Values of the features that are not given.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.score_samples([[0.8], [-0.8]]).round(3).tolist()
        [-0.408, -0.408]
        """
        return self._together(self._checked(Y)) - self._evaluate("log_likelihood")

    def _together(self, Y: Array) -> Array:
        """log p(x_i, y_i), (n,)."""
        if self.errors is None:
            return Patterns(Part(self._with(Y))).evaluate(self.parameters, "log_likelihood", self.n_threads)
        d, found = self.parameters.d, np.empty(len(self))
        density = density_of(self.parameters, self.errors.ndim, gapped=True)
        size = max(1, NUMBERS_AT_A_TIME // d**2)
        for start in range(0, len(self), size):
            some = slice(start, start + size)
            errors, rows = among(self.errors[some], self.given, d), self._with(Y, some)
            found[some] = _kernels.evaluate(rows, density, "log_likelihood", threads(self.n_threads), errors=errors)
        return found

    def score(self, Y: ArrayLike) -> float:
        """The mean of score_samples(Y).

        Parameters
        ----------
        Y : array-like of shape (n, m)
            Values of the features that are not given.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> round(float(found.score([[0.8], [-0.8]])), 3)
        -0.408
        """
        return float(self.score_samples(Y).mean())

    def cdf(self, y: ArrayLike) -> Array:
        """The probability of a value no larger than y (n,) in each row, (n,); of one feature.

        Parameters
        ----------
        y : ignored
            For scikit-learn's convention.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.cdf([0.8, -0.8]).round(3).tolist()
        [0.5, 0.5]
        """
        y = self._checked(np.reshape(check_array("y", y), (-1, 1)))[:, 0]
        found = np.empty(len(self))
        for piece in self._of_one_feature("cdf"):
            found[piece.rows] = univariate.cdf(piece.shares, piece.means[:, :, 0], piece.deviations, y[piece.rows])
        return found

    def quantile(self, q: ArrayLike) -> Array:
        """The quantiles q of each row's one feature: (n,) for a number, (n,number of q) for a sequence.

        Parameters
        ----------
        q : float or array-like
            Probabilities, between 0 and 1.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.quantile(0.5).round(2).tolist()
        [0.8, -0.8]
        """
        levels = check_probabilities("q", q)
        found = np.empty((len(self), levels.size))
        for piece in self._of_one_feature("quantile"):
            means, deviations = piece.means[:, :, 0], piece.deviations
            for at, level in enumerate(levels.ravel()):
                levels_of_rows = np.full(len(means), level)
                found[piece.rows, at] = univariate.quantiles(piece.shares, means, deviations, levels_of_rows)
        return found[:, 0] if levels.ndim == 0 else univariate.in_order(found, levels.ravel())

    def sample(self, size: int | None = None, random_state: Seed = None) -> Array:
        """A draw for each row, (n,m); or `size` of them, (size,n,m).

        Parameters
        ----------
        size : int, optional
            Draws per row. Default: one, without an axis of draws.
        random_state : None, int, RandomState or Generator, default=0
            Seed or source of the draws.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
        >>> found = model.conditional([[1.0], [-1.0]], [0])  # The second feature given the first
        >>> found.sample(5, random_state=0).shape
        (5, 2, 1)
        """
        rng = check_random_state(self.random_state if random_state is None else random_state)
        count = 1 if size is None else check_count("size", size)
        found = np.empty((count, len(self), len(self.features)))
        for piece in self._all():
            for one in found:
                one[piece.rows] = piece.draws(drawn(piece.shares, rng), rng)
        return found[0] if size is None else found

    def _of_one_feature(self, name: str) -> Iterator[Piece]:
        if len(self.features) != 1:
            raise ValueError(f"{name} is of one feature, and {len(self.features)} are left: give all but one")
        return self._all()

    def _checked(self, Y: Any) -> Array:
        Y = check_array("Y", Y)
        if Y.ndim == 1 and len(self.features) == 1:
            Y = Y[:, None]
        if Y.shape != (len(self), len(self.features)):
            raise ValueError(f"Y should have the shape of {(len(self), len(self.features))}, but got {Y.shape}")
        fault = first_not_within("Y", Y, gaps=True)
        if fault:
            raise ValueError(fault)
        return Y.astype(np.float64)


def check_probabilities(name: str, value: object) -> Array:
    """Numbers within [0,1], of any shape."""
    found = np.asarray(check_array(name, value), dtype=np.float64)
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"{name} must lie between 0 and 1")
    return found
