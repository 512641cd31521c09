"""How many components a mixture needs, by tests: `cgmm.likelihood_ratio_test`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cgmm.bootstrapped import DRAWS, check_at_hand, check_level, prepared_of, replica
from cgmm.errors import InvalidParameterError
from cgmm.fit import fitting
from cgmm.fit.batches import VALUES
from cgmm.fit.leaning import each_leans
from cgmm.fit.many import Run, Task
from cgmm.fit.replicates import Replicates, original_of
from cgmm.fit.request import request_of
from cgmm.fit.split_merge import splits
from cgmm.fit.state import State
from cgmm.gmm import GMM
from cgmm.rows.part import Part
from cgmm.rows.problems import Listed
from cgmm.suggestions import explained
from cgmm.validation import check_count, check_random_state, check_real

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cgmm.fit.request import Request
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, ArrayLike, CovarianceType, Mask, Missing, Seed

MOST_ITERATIONS = 1000  # Of a fit: one component too many converges slowly.
# An accelerated fit leaves so much of the log-likelihood of all rows to gain, by an estimate that plateaus deceive:
# where it is 0.005, statistics of 300 replicates of Old Faithful miss 1.1 in the mean, and 0.01 or less with this one.
LEFT_IN_A_TEST = 1e-4


class Comparison(NamedTuple):
    """One test: whether k components are enough, against one more.

    Attributes
    ----------
    n_components : int
        k.
    statistic : float
        2 (log L of k + 1 components − log L of k components).
    p_value : float
        (1 + the number of replicates whose statistic is no smaller) / (1 + the number of replicates).
    replicates : ndarray (m,)
        The statistics of rows that were drawn from the fit of k components, and fitted in the same way.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
    >>> found = cgmm.likelihood_ratio_test(X, 1, max_components=2, n_replicates=99, random_state=0)
    >>> found.tests[0].n_components, bool(found.tests[0].p_value <= 0.05)
    (1, True)
    """

    n_components: int
    statistic: float
    p_value: float
    replicates: Array


@dataclass(frozen=True, eq=False)
class LikelihoodRatioTest:
    """What `likelihood_ratio_test` found.

    Attributes
    ----------
    tests : tuple of Comparison
        One after the other, until one does not reject.
    n_components : int
        The number of components that was not rejected; the largest that was tried, if each was.
    level : float
        A test rejects where the p-value is no larger.
    covariance_type : str
    best : GMM
        The fit of n_components.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
    >>> found = cgmm.likelihood_ratio_test(X, 1, max_components=2, n_replicates=99, random_state=0)
    >>> found.n_components
    2
    """

    tests: tuple[Comparison, ...]
    n_components: int
    level: float
    covariance_type: CovarianceType
    best: GMM

    def to_frame(self) -> Any:
        """A pandas.DataFrame with a row for each test.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.likelihood_ratio_test(X, 1, max_components=2, n_replicates=99, random_state=0)
        >>> list(found.to_frame().columns)
        ['statistic', 'p_value']
        """
        import pandas as pd

        rows = [
            (f"{test.n_components} vs {test.n_components + 1}", test.statistic, test.p_value) for test in self.tests
        ]
        return pd.DataFrame(rows, columns=["components", "statistic", "p_value"]).set_index("components")

    def __repr__(self) -> str:
        lines = [
            f"bootstrap likelihood-ratio test, {self.covariance_type}, {len(self.tests[0].replicates)} replicates",
            f"{'components':>10}{'statistic':>14}{'p-value':>10}",
        ]
        lines += [f"{f'{k} vs {k + 1}':>10}{value:14.6g}{p:10.4g}" for k, value, p, _ in self.tests]
        ended = "is not rejected" if self.tests[-1].p_value > self.level else "is the largest that was tried"
        return "\n".join([*lines, f"{self.n_components} {ended} at level {self.level:g}"])


@explained
def likelihood_ratio_test(
    X: ArrayLike,
    n_components: int = 1,
    *,
    max_components: int = 9,
    covariance_type: CovarianceType = "full",
    n_replicates: int = 999,
    level: float = 0.05,
    n_init: int = 1,
    sample_weight: ArrayLike | None = None,
    reg_covar: float | Literal["relative"] = "relative",
    tol: float = LEFT_IN_A_TEST,
    max_iter: int = MOST_ITERATIONS,
    missing: Missing = "error",
    random_state: Seed = None,
    n_threads: int | None = None,
) -> LikelihoodRatioTest:
    """Test k components against k + 1 by the parametric bootstrap, for k from n_components until one is not rejected.

    The likelihood ratio of mixtures has no χ² distribution: a component that is not needed lies on the border of the
    parameters. So its distribution is found by fitting k and k + 1 components to rows that are drawn from the fit of k
    (McLachlan 1987). Replicates are fitted many at a time by compiled code, as by `fit_many`.

    Parameters
    ----------
    X : array-like (n, d)
        The rows, in memory.
    n_components : int, default=1
        The first k.
    max_components : int, default=9
        The last k + 1.
    covariance_type : str, default="full"
        As of GMM.
    n_replicates : int, default=999
        Of each test. The smallest p-value is 1 / (n_replicates + 1).
    level : float, default=0.05
    n_init : int, default=1
        Starts by k-means of each fit. Others are the splits of each component of the smaller fit; the most likely end
        is taken, of X as of replicates.
    sample_weight : array-like (n,), optional
        Row weights, which count as numbers of rows.
    reg_covar, missing, n_threads
        As of GMM; the default of reg_covar is a share of the smallest variance of a column.
    tol : float, default=0.0001
        A fit, which is accelerated, ends when, by an estimate, less is left to gain of the log-likelihood of all rows.
        A component too many converges slowly: with a larger tol the test is faster, and its replicates have too small
        a statistic.
    max_iter : int, default=1000
        Iterations of a fit at most.
    random_state : None, int, RandomState or Generator
        The same int gives the same result, for any number of threads.

    Returns
    -------
    LikelihoodRatioTest

    Raises
    ------
    TypeError, ValueError
        X is not in memory, or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (100, 1)), rng.normal(6, 1, (100, 1))])
    >>> found = cgmm.likelihood_ratio_test(X, n_replicates=199, random_state=0)
    >>> [test.p_value <= 0.05 for test in found.tests], found.n_components
    ([True, False], 2)
    """
    first = check_count("n_components", n_components)
    last = check_count("max_components", max_components, least=first + 1)
    m, level = check_count("n_replicates", n_replicates), check_level(level)
    if 1 / (m + 1) > level:
        raise InvalidParameterError(
            f"n_replicates={m} can reject nothing at level={level:g}: the least p-value of so many is "
            f"{1 / (m + 1):.3g}. Take at least {math.ceil(1 / level) - 1}."
        )
    starts, rng = check_count("n_init", n_init), check_random_state(random_state)
    model = GMM(
        covariance_type=covariance_type, reg_covar=reg_covar, missing=missing, n_threads=n_threads, accelerate=True
    )
    check_at_hand(X, sample_weight, model)
    prepared, total = prepared_of(model, X, sample_weight, first + 1)
    like, seeds = replica(model, check_real("tol", tol) / total, max_iter), rng.integers(2**31, size=starts).tolist()
    rows: Any = X
    weights: Any = sample_weight
    method, parts = Method(like, prepared, total, seeds), [Part(rows, weights)]
    null, tests = method.fits(first, parts), []
    for k in range(first, last):
        larger = method.fits(k + 1, parts, null.parameters)
        statistic = float(_statistics(larger, null)[0])
        found = np.concatenate(list(_replicated(method, null.parameters, m, rng)))
        p_value = (1 + np.count_nonzero(found >= statistic)) / (1 + len(found))
        tests.append(Comparison(k, statistic, float(p_value), found))
        if p_value > level:
            break
        null = larger
    best = method.model_of(null, X, sample_weight)
    return LikelihoodRatioTest(tuple(tests), null.parameters.k, level, covariance_type, best)


@dataclass
class Best:
    """The best fits of m problems so far: those that lean least on reg_covar, and of these the most likely.

    log_likelihoods : (m,);  leaning : (m,) bool;  parameters : of the first problem
    """

    log_likelihoods: Array
    leaning: Mask
    parameters: Parameters

    def take(self, other: Best) -> None:
        """The better of each problem."""
        likelier = ~(other.log_likelihoods <= self.log_likelihoods)
        better = (other.leaning < self.leaning) | ((other.leaning == self.leaning) & likelier)
        if better[0]:
            self.parameters = other.parameters
        self.log_likelihoods = np.where(better, other.log_likelihoods, self.log_likelihoods)
        self.leaning = other.leaning & self.leaning


class Method(NamedTuple):
    """How rows are fitted, given ones and drawn ones alike.

    model : the arguments;  prepared, total : the given rows, and the weight of all;  seeds : of the starts by k-means
    """

    model: GMM
    prepared: fitting.Prepared
    total: float
    seeds: Sequence[int]

    def request(self, k: int, **changed: Any) -> Request:
        return request_of(GMM(**{**self.model.get_params(deep=False), "n_components": k, **changed}))

    def fits(self, k: int, parts: Sequence[Part], smaller: Parameters | None = None) -> Best:
        """Of some rows each, from starts by k-means, and from each split of a mixture of one component fewer."""
        best = self._by_k_means(k, parts, self.seeds[0])
        for seed in self.seeds[1:]:
            best.take(self._by_k_means(k, parts, seed))
        if smaller is not None:
            edge = np.full(smaller.d, np.inf)  # means of a start may be anywhere
            sketches = splits(smaller, np.arange(smaller.k), (-edge, edge))
            for c in range(smaller.k):
                best.take(self.fits_from(sketches.held(c, self.prepared.least), parts))
        return best

    def fits_from(self, start: Parameters, parts: Sequence[Part]) -> Best:
        """Those that start at a mixture."""
        replicates = Replicates(original_of(self.request(start.k), self.prepared, start), len(parts), criteria=True)
        left, values = iter(parts), max(len(part.rows) for part in parts) * start.d
        replicates.run(lambda count: list(islice(left, count)), values)
        found, reg_covar = replicates.solutions, replicates.original.settings.rules.reg_covar
        leaning = each_leans(start.family, found.roots, replicates.masses, start.d, reg_covar)
        return Best(replicates.log_likelihoods, leaning, replicates.parameters(0))

    def _by_k_means(self, k: int, parts: Sequence[Part], seed: int) -> Best:
        rows, weights = [part.rows for part in parts], [part.weights for part in parts]
        task = Task([self.request(k, warm_start=False)], "bic", [seed] * len(parts))
        run = Run(Listed(rows, weights), task, skip=len(parts) > 1)
        for _ in run.steps():
            pass
        ledger = run.ledger
        return Best(ledger.log_likelihood, ledger.leaning(), ledger.parameters(0))

    def model_of(self, best: Best, X: Any, sample_weight: Any) -> GMM:
        """A fitted model of the given rows, which goes on from there."""
        k = best.parameters.k
        found = fitting.found(self.request(k), X, sample_weight, State.given(best.parameters))
        usual = {"n_components": k, "warm_start": False, "on_degenerate": "warn", "accelerate": False}
        return GMM(**{**self.model.get_params(deep=False), **usual})._with(State.of(*found))


def _replicated(method: Method, null: Parameters, m: int, rng: np.random.Generator) -> Iterator[Array]:
    """The statistics of rows that are drawn from the smaller mixture, some at a time, where both could be fitted."""
    draw, values = DRAWS["parametric"](method.prepared.data, null, method.total, rng)
    at_once = max(1, VALUES // values)
    for start in range(0, m, at_once):
        parts = draw(min(at_once, m - start))
        found = _statistics(method.fits(null.k + 1, parts, null), method.fits_from(null, parts))
        yield found[~np.isnan(found)]


def _statistics(larger: Best, smaller: Best) -> Array:
    """2 (log L of k + 1 − log L of k). It is no less than zero where both are maxima, for the larger model contains the
    smaller: where it is less, the larger was not found, and no evidence against the smaller is."""
    return np.maximum(2 * (larger.log_likelihoods - smaller.log_likelihoods), 0.0)
