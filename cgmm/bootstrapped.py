"""How sure a fitted mixture's parameters are: `cgmm.bootstrap`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from cgmm import errors
from cgmm.errors import InvalidParameterError
from cgmm.fit import fitting
from cgmm.fit.replicates import LEFT, Replicates, original_of
from cgmm.fit.request import request_of
from cgmm.gmm import GMM
from cgmm.rows.open import open_rows
from cgmm.rows.opened import AtHand
from cgmm.rows.part import Part
from cgmm.suggestions import explained
from cgmm.validation import check_choice, check_count, check_missing, check_random_state, check_real

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cgmm.fit.replicates import Draw
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.data import Data
    from cgmm.types import Array, ArrayLike, Labels, Mask, Names, Seed

MOST_ITERATIONS = 1000  # Of a replicate: it starts close to its end, and seldom takes twenty.
REMEDY = (
    "each replicate looks at all rows many times. Give a sample of the rows: standard errors are those of the sample "
    "then, and fall with the root of the number of rows"
)


class Estimates(NamedTuple):
    """A number for each parameter of a mixture, or for each replicate and parameter.

    Attributes
    ----------
    weights : ndarray (…, k)
    means : ndarray (…, k, d)
    covariances : ndarray
        (…, k, d, d) full, (…, d, d) tied, (…, k, d) diag, (…, k) spherical.
    noise_weight : ndarray (…)
        Zero without a noise component.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.random.default_rng(0).normal(5, 2, (400, 1))
    >>> found = cgmm.bootstrap(cgmm.GMM().fit(X), X, 999, random_state=0)
    >>> found.estimates.means.shape, found.replicates.means.shape
    ((1, 1), (999, 1, 1))
    """

    weights: Array
    means: Array
    covariances: Array
    noise_weight: Array

    def _each(self, of: Callable[[Array], Array]) -> Estimates:
        return Estimates(*(of(values) for values in self))


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """What `bootstrap` found: the parameters of each replicate, and how much they vary.

    Attributes
    ----------
    kind : {"nonparametric", "parametric", "weighted"}
    estimates : Estimates
        The parameters of the model.
    replicates : Estimates
        Those of m replicates, each array with a first axis of m; NaN of a replicate that could not be fitted.
    converged : ndarray (m,) of bool
    n_iter : ndarray (m,) of int
        Iterations of EM.
    errors : dict
        From the index of each replicate that could not be fitted to the reason.
    family : cgmm.mixture.families.Family
        Of the covariances.
    feature_names : list of str or None

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.random.default_rng(0).normal(5, 2, (400, 1))
    >>> found = cgmm.bootstrap(cgmm.GMM().fit(X), X, 999, random_state=0)
    >>> found.standard_errors.means.round(1).tolist()  # σ/√n = 0.1
    [[0.1]]
    """

    kind: str
    estimates: Estimates
    replicates: Estimates
    converged: Mask
    n_iter: Labels
    errors: dict[int, str]
    family: Family
    feature_names: Sequence[str] | None = None

    def __len__(self) -> int:
        """How many replicates there are."""
        return len(self.converged)

    @property
    def _fitted(self) -> Estimates:
        """The replicates that could be fitted."""
        known = np.ones(len(self), dtype=bool)
        known[list(self.errors)] = False
        return self.replicates if known.all() else self.replicates._each(lambda values: values[known])

    @property
    def standard_errors(self) -> Estimates:
        """The standard deviation of each parameter over the replicates.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(5, 2, (400, 1))
        >>> found = cgmm.bootstrap(cgmm.GMM().fit(X), X, 999, random_state=0)
        >>> found.standard_errors.means.round(1).tolist()  # σ/√n = 0.1
        [[0.1]]
        """
        return self._fitted._each(lambda values: values.std(axis=0, ddof=1))

    @property
    def bias(self) -> Estimates:
        """The mean of each parameter over the replicates less that of the model.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(5, 2, (400, 1))
        >>> found = cgmm.bootstrap(cgmm.GMM().fit(X), X, 999, random_state=0)
        >>> bool(abs(found.bias.means[0, 0]) < 0.01)
        True
        """
        means = self._fitted._each(lambda values: values.mean(axis=0))
        return Estimates(*(mean - own for mean, own in zip(means, self.estimates, strict=True)))

    def intervals(self, level: float = 0.95) -> tuple[Estimates, Estimates]:
        """Percentile intervals: quantiles of each parameter over the replicates (Efron 1979).

        Parameters
        ----------
        level : float in (0, 1), default=0.95
            The share of the replicates inside.

        Returns
        -------
        lower, upper : Estimates

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(5, 2, (400, 1))
        >>> found = cgmm.bootstrap(cgmm.GMM().fit(X), X, 999, random_state=0)
        >>> lower, upper = found.intervals(0.95)
        >>> (upper.means - lower.means).round(1).tolist()  # 2 · 1.96 σ/√n = 0.39
        [[0.4]]
        """
        level = check_level(level)
        tail = (1 - level) / 2
        both = [np.quantile(values, [tail, 1 - tail], axis=0) for values in self._fitted]
        return Estimates(*(ends[0] for ends in both)), Estimates(*(ends[1] for ends in both))

    def to_frame(self, level: float = 0.95) -> Any:
        """A pandas.DataFrame with a row for each parameter: estimate, standard_error, bias, lower, upper.

        Parameters
        ----------
        level : float, default=0.95
            The coverage of the intervals.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(5, 2, (400, 1))
        >>> found = cgmm.bootstrap(cgmm.GMM().fit(X), X, 999, random_state=0)
        >>> list(found.to_frame().columns)
        ['estimate', 'standard_error', 'bias', 'lower', 'upper']
        """
        import pandas as pd

        rows = self._rows(level)
        return pd.DataFrame([row[1:] for row in rows], index=[row[0] for row in rows], columns=list(COLUMNS))

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} without a fit" if self.errors else ""
        head = f"{self.kind} bootstrap of {len(self)} replicates{failed}; intervals of 95 %"
        rows = self._rows(0.95)
        shown = rows if len(rows) <= SHOWN else rows[:SHOWN]
        width = max(len(row[0]) for row in shown)
        lines = [f"{'':{width}}" + "".join(f"{name.replace('_', ' '):>16}" for name in COLUMNS)]
        lines += [f"{name:{width}}" + "".join(f"{value:16.6g}" for value in values) for name, *values in shown]
        more = [f"… and {len(rows) - SHOWN} more: see to_frame()"] if len(rows) > SHOWN else []
        return "\n".join([head, *(line.rstrip() for line in lines), *more])

    def _rows(self, level: float) -> list[tuple[Any, ...]]:
        """The name of each parameter, and its COLUMNS."""
        columns = [self.estimates, self.standard_errors, self.bias, *self.intervals(level)]
        flat = [np.concatenate([np.ravel(values) for values in column]).tolist() for column in columns]
        names = _names_of(self.estimates, self.family, self.feature_names)
        rows = [row for row in zip(names, *flat, strict=True) if row[0]]
        return rows if self.estimates.noise_weight else rows[:-1]


COLUMNS = ("estimate", "standard_error", "bias", "lower", "upper")
SHOWN = 40  # Rows of a printed table: more would not be read.


def check_level(level: Any) -> float:
    """A share strictly between zero and one."""
    level = check_real("level", level)
    if not 0 < level < 1:
        raise InvalidParameterError(f"level must be between 0 and 1, and is {level}")
    return level


def _names_of(values: Estimates, family: Family, features: Sequence[str] | None) -> list[str]:
    """What parameters are called, "mean[0, waiting]"; nothing, if one is another's mirror image."""
    k, d = values.means.shape
    told = [str(name) for name in (range(d) if features is None else features)]
    names = [f"weight[{c}]" for c in range(k)] + [f"mean[{c}, {name}]" for c in range(k) for name in told]
    for place in np.ndindex(*values.covariances.shape):
        component = place[: int(family.per_component)]
        own = place[len(component) :]
        text = ", ".join([*map(str, component), *(told[j] for j in own)])
        names.append("" if len(own) == 2 and own[0] > own[1] else f"covariance[{text}]")
    return [*names, "noise weight"]


@explained
def bootstrap(
    model: GMM,
    X: ArrayLike,
    n_replicates: int = 999,
    *,
    kind: Literal["nonparametric", "parametric", "weighted"] = "nonparametric",
    sample_weight: ArrayLike | None = None,
    tol: float = LEFT,
    max_iter: int = MOST_ITERATIONS,
    random_state: Seed = None,
) -> Bootstrap:
    """Standard errors and intervals of all parameters of a fitted mixture, from replicates of its fit.

    Each replicate is EM from the model's parameters on rows, or weights of rows, that are drawn anew. Components that
    have changed their order are put back, so that those of all replicates are averaged that are nearest to each other.

    Parameters
    ----------
    model : GMM
        Fitted to X. Its arguments (family, prior, fixed, reg_covar, noise_component, missing, n_threads) are those of
        the replicates.
    X : array-like (n, d)
        The rows, in memory.
    n_replicates : int, default=999
    kind : {"nonparametric", "parametric", "weighted"}, default="nonparametric"
        "nonparametric": n rows drawn from X with replacement (Efron 1979), as integer weights of the rows: none is
        copied. "parametric": n rows drawn from the model (McLachlan and Basford 1988). "weighted": each row has a
        random weight, of a Dirichlet distribution (Newton and Raftery 1994), so that no row is ever left out: for small
        components.
    sample_weight : array-like (n,), optional
        Row weights, which count as numbers of rows: weight 2 is the row twice.
    tol : float, default=0.005
        A replicate ends when, by an estimate, less is left to gain of the log-likelihood of all rows. With the default
        no parameter is further from its end than a tenth of its standard error.
    max_iter : int, default=1000
        Iterations of a replicate at most.
    random_state : None, int, RandomState or Generator
        The same int gives the same replicates, for any number of threads.

    Returns
    -------
    Bootstrap

    Raises
    ------
    NotFittedError
        The model is not fitted.
    TypeError, ValueError
        The model is not a GMM, X is not in memory, or an argument cannot be used.

    Warns
    -----
    UserWarning
        Some replicates could not be fitted, or did not converge: one warning for all.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (100, 1)), rng.normal(10, 1, (300, 1))])
    >>> model = cgmm.GMM(2, random_state=0).fit(X).sorted()
    >>> found = cgmm.bootstrap(model, X, 999, random_state=0)
    >>> found.standard_errors.weights.round(2).tolist()  # (0.25 · 0.75 / 400)^½ = 0.02
    [0.02, 0.02]
    >>> lower, upper = found.intervals(0.9)
    >>> bool(lower.means[0, 0] < model.means_[0, 0] < upper.means[0, 0])
    True
    """
    if not isinstance(model, GMM):
        raise TypeError(f"model must be a fitted GMM, not {type(model).__name__}")
    kind = check_choice("kind", kind, KINDS)
    m, rng = check_count("n_replicates", n_replicates, least=2), check_random_state(random_state)
    state = model._fitted()
    parameters = state.fit.parameters
    model._at_hand(X, sample_weight, state, REMEDY)  # names and number of features are those of the fit
    prepared, total = prepared_of(model, X, sample_weight, parameters.k)
    asked = request_of(replica(model, check_real("tol", tol) / total, max_iter))
    replicates = Replicates(original_of(asked, prepared, parameters), m)
    replicates.run(*DRAWS[kind](prepared.data, parameters, total, rng))
    replicates.align()
    _warn(replicates)
    return _found(kind, parameters, replicates, state.names)


def check_at_hand(X: Any, sample_weight: Any, model: GMM) -> None:
    """TypeError unless rows are in memory."""
    if not isinstance(open_rows(X, sample_weight, check_missing(model.missing)), AtHand):
        raise TypeError(f"X must be rows in memory: {REMEDY}")


def prepared_of(model: GMM, X: Any, sample_weight: Any, k: int) -> tuple[fitting.Prepared, float]:
    """Rows in memory, checked, and the weight of all: how many rows they are, no fewer than components."""
    asked = request_of(GMM(**{**model.get_params(deep=False), "checkpoint": None, "noise_component": None}))
    prepared = fitting.prepare(X, sample_weight, asked, k, np.random.default_rng(0))
    data = prepared.data
    total = float(np.ldexp(data.part.total_weight, data.exponent))
    if sample_weight is not None and _count(total) < k:
        raise ValueError(
            f"sample_weight counts rows here, and sums to {total:g}, less than the number of components ({k}): scale "
            "it to sum to the number of rows that are known"
        )
    return prepared, total


def replica(model: GMM, tol: float, max_iter: int) -> GMM:
    """The arguments of a replicate."""
    quiet = {"verbose": 0, "callback": None, "checkpoint": None, "on_degenerate": "repair", "warm_start": True}
    started = {"n_init": 1, "init_params": "kmeans", "responsibilities_init": None}
    ended = {"tol": tol, "stop": "distance", "max_iter": check_count("max_iter", max_iter)}
    return GMM(**{**model.get_params(deep=False), **quiet, **started, **ended})


def _found(kind: str, parameters: Parameters, replicates: Replicates, names: Names | None) -> Bootstrap:
    own, out, noise = parameters, replicates.solutions, parameters.noise
    weight = 0.0 if noise is None else noise.weight
    rest = 1.0 if noise is None else (1 - replicates.noise)[:, np.newaxis]
    return Bootstrap(
        kind=kind,
        estimates=Estimates(own.shares, own.means, own.covariances, np.array(weight)),
        replicates=Estimates(out.weights * rest, out.means, out.covariances, replicates.noise),
        converged=out.converged,
        n_iter=out.n_iter,
        errors=replicates.errors,
        family=own.family,
        feature_names=None if names is None else [str(name) for name in names],
    )


def _warn(replicates: Replicates) -> None:
    m, failed = len(replicates.noise), replicates.errors
    if len(failed) > m - 2:
        raise ValueError(
            f"{len(failed)} of {m} replicates could not be fitted; the first: {next(iter(failed.values()))}"
        )
    if failed:
        first = next(iter(failed.values()))
        errors.warn(
            f"{len(failed)} of {m} replicates could not be fitted and are left out; the first: {first}", UserWarning
        )
    unconverged = m - len(failed) - int(replicates.solutions.converged.sum())
    if unconverged:
        text = f"{unconverged} of {m} replicates did not converge: max_iter ended them. Increase max_iter."
        errors.warn(text, errors.kin(errors.ConvergenceWarning))


# What replicates are made of: how to draw them, and how many numbers one takes to itself.


def _resampled(data: Data, parameters: Parameters, total: float, rng: np.random.Generator) -> tuple[Draw, int]:
    """Rows with replacement, as weights."""
    part = _counted(data)
    n, drawn = len(part.rows), _count(total)
    edges = None if part.weights is None else np.cumsum(part.weights) / part.total_weight

    def draw(m: int) -> Sequence[Part]:
        if edges is None:
            which = rng.integers(0, n, size=(m, drawn))
        else:
            which = np.searchsorted(edges, rng.random((m, drawn)), side="right").clip(max=n - 1)
        which += n * np.arange(m)[:, np.newaxis]
        counts = np.bincount(which.ravel(), minlength=m * n).astype(np.float64).reshape(m, n)
        return [Part(part.rows, weights) for weights in counts]

    return draw, max(n, drawn)


def _weighted(data: Data, parameters: Parameters, total: float, rng: np.random.Generator) -> tuple[Draw, int]:
    """The rows with weights of a Dirichlet distribution, which sum to what they do."""
    part = _counted(data)
    n = len(part.rows)

    def draw(m: int) -> Sequence[Part]:
        drawn = rng.standard_gamma(1.0 if part.weights is None else part.weights, (m, n))
        drawn *= total / drawn.sum(axis=1, keepdims=True)
        return [Part(part.rows, weights) for weights in drawn]

    return draw, n


def _simulated(data: Data, parameters: Parameters, total: float, rng: np.random.Generator) -> tuple[Draw, int]:
    """Rows of the model, with the gaps of the rows."""
    part, n = _counted(data), _count(total)
    gaps = np.isnan(part.rows) if np.isnan(part.rows).any() else None

    def draw(m: int) -> Sequence[Part]:
        rows, _ = parameters.sample(m * n, rng)
        rows = rows[rng.permutation(m * n)].reshape(m, n, parameters.d)  # they come ordered by component
        if gaps is not None:
            for own in rows:
                own[gaps[_rows_of(part, n, rng)]] = np.nan
        return [Part(own) for own in rows]

    return draw, n * parameters.d


def _rows_of(part: Part, n: int, rng: np.random.Generator) -> Any:
    """Rows (n,) whose gaps simulated ones have: each its own, if they are as many."""
    if n == len(part.rows) and part.weights is None:
        return np.arange(n)
    shares = None if part.weights is None else part.weights / part.weights.sum()
    return rng.choice(len(part.rows), n, p=shares)


def _counted(data: Data) -> Part:
    """The rows of positive weight, with the user's weights."""
    return data.part.times_power_of_two(data.exponent).positive()


def _count(total: float) -> int:
    """How many rows make up so much weight."""
    return round(total)


Kind: TypeAlias = Literal["nonparametric", "parametric", "weighted"]
DRAWS: dict[Kind, Any] = {"nonparametric": _resampled, "parametric": _simulated, "weighted": _weighted}
KINDS: dict[str, Kind] = {name: name for name in DRAWS}
