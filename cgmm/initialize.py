"""Where EM starts: k-means, k-means++, random responsibilities, random rows.

A start works on a sample of the rows when there are many: it is to cost no more than a few EM iterations, and
the parameters that it estimates are about to be improved anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import statistics
from cgmm.config import threads
from cgmm.covariance import FAMILIES
from cgmm.data import InMemory
from cgmm.degenerate import SINGULAR, Repair, least_variances
from cgmm.em import Settings, maximise
from cgmm.kmeans import lloyd, moderate, nearest, plus_plus, random_rows
from cgmm.parameters import Fixed, Parameters
from cgmm.validation import check_array, check_responsibilities, check_start_array

if TYPE_CHECKING:
    from cgmm.covariance import AnyFamily
    from cgmm.types import Array, Labels, Method, Parts, Rows

SAMPLE_ROWS = 16384  # at least
SAMPLE_TRIES = 3  # of k-means on so many rows, for the best: beside a fit they are cheap
SAMPLE_PER_PARAMETER = 10  # and this many rows for each component and feature
SEEDING_ROWS = 16384  # k-means++ reads its rows once for each seed: it looks at least at so many of the sample
SEEDING_PER_COMPONENT = 64  # and at so many for each component
FAR = 1e300  # of a squared distance: a number, beyond which all are alike
WHITENED_FEATURES = 32  # beyond it a start's rows are no more whitened, but only scaled


def sample_size(k: int, d: int) -> int:
    """The rows that a start looks at."""
    return max(SAMPLE_ROWS, SAMPLE_PER_PARAMETER * k * d)


def start(
    rows: InMemory,
    k: int,
    family: AnyFamily,
    method: Method,
    rng: np.random.Generator,
    settings: Settings,
    given: Mapping[str, Any] | None = None,
) -> tuple[Parameters, list[Repair]]:
    """Parameters of a mixture of these rows by a method, and what had to be repaired in them.

    method : function (X, k, rng, row_weights, n_threads) → labels (n,) or responsibilities (n,k)
    given : those of weights, means and covariances that the user gives, NaN where unknown; they replace the start's
    """
    given = given or {}
    complete = [name for name, value in given.items() if not np.isnan(value).any()]
    if len(complete) == 3:
        return Parameters.build(family, **given), []
    found, repairs = of_partition(rows, k, family, method, rng, settings)
    if not given:
        return found, repairs
    order = _alike(found, given)
    own: dict[str, Any] = {
        "weights": found.weights[order],
        "means": found.means[order],
        "covariances": family.take(found.covariances, order),
    }
    for name, value in given.items():
        own[name] = np.where(np.isnan(value), own[name], value)
    if "weights" in given and "weights" not in complete:
        unknown = np.isnan(given["weights"])
        rest = own["weights"][unknown]
        rest = rest if rest.sum() > 0 else np.ones(len(rest))
        own["weights"][unknown] = (1 - own["weights"][~unknown].sum()) * rest / rest.sum()
    if "covariances" in complete:
        repairs = [repair for repair in repairs if repair.cause != SINGULAR]
    return Parameters.build(family, **own), repairs


def of_partition(
    rows: InMemory,
    k: int,
    family: AnyFamily,
    method: Method,
    rng: np.random.Generator,
    settings: Settings,
) -> tuple[Parameters, list[Repair]]:
    """Parameters of the partition of these rows by a method, and what had to be repaired in them."""
    n_threads, rows = threads(settings.n_threads), rows.completed
    parts: Any = method(rows.X, k, rng, rows.row_weights, n_threads)
    build = statistics.of_labels if parts.ndim == 1 else statistics.of_responsibilities
    sums = build(rows.X, parts, k, family, rows.row_weights)
    return maximise(sums, family, settings=settings._replace(fixed=Fixed()))


def _alike(found: Parameters, given: Mapping[str, Any]) -> Labels:
    """An order of the start's components in which the known means stand beside those nearest to them."""
    means = given.get("means")
    order = np.arange(found.k)
    if means is None or not np.isnan(means).any():
        return order
    from scipy.optimize import linear_sum_assignment  # slow to import

    known = np.flatnonzero(~np.isnan(means[:, 0]))
    scale = np.sqrt(found.family.variances(found.covariances, found.k, found.d).mean(axis=0))
    with np.errstate(over="ignore"):
        distances = [(((means[c] - found.means) / scale) ** 2).sum(axis=1) for c in known]
    taken = np.empty(len(known), dtype=int)
    rows, columns = linear_sum_assignment(np.minimum(distances, FAR).reshape(len(known), found.k))
    taken[rows] = columns
    order[known] = taken
    order[np.isnan(means[:, 0])] = np.setdiff1d(np.arange(found.k), taken)
    return order


def _seeds(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Array:
    step = max(1, len(X) // max(SEEDING_ROWS, SEEDING_PER_COMPONENT * k))
    return plus_plus(X[::step], k, rng, None if row_weights is None else row_weights[::step], n_threads)


def _kmeans(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Labels:
    X, tries = moderate(X, n_threads)[0], SAMPLE_TRIES if len(X) >= SAMPLE_ROWS else 1
    results = (
        lloyd(X, _seeds(X, k, rng, row_weights, n_threads), 300, 1e-4, row_weights, n_threads) for _ in range(tries)
    )
    return min(results, key=lambda result: result.inertia).labels


def _plus_plus(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Labels:
    X = moderate(X, n_threads)[0]
    return nearest(X, _seeds(X, k, rng, row_weights, n_threads), n_threads)


def _random_rows(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Labels:
    X = moderate(X, n_threads)[0]
    return nearest(X, random_rows(X, k, rng, row_weights), n_threads)


def _random(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Array:
    responsibilities = rng.random((len(X), k))
    return responsibilities / responsibilities.sum(axis=1, keepdims=True)


def _whitened(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Labels:
    """k-means of rows in units of their own spread: of their covariance, or where d is large of each column's."""
    family = FAMILIES["full" if X.shape[1] <= WHITENED_FEATURES else "diag"]
    one = statistics.of_labels(X, np.zeros(len(X), dtype=np.intp), 1, family, row_weights)
    whole, _ = maximise(one, family, settings=Settings(least=least_variances(InMemory(X))))
    centred, root = X - whole.means[0], whole.root[0]
    Y = centred * root if root.ndim == 1 else np.einsum("ij,lj->il", centred, root)  # the same bits for any BLAS
    return _kmeans(np.ascontiguousarray(Y), k, rng, row_weights, n_threads)


def of_function(function: Callable[..., Any]) -> Method:
    """A method from a user's function (X, n_components, random_state) → means, labels or responsibilities."""

    def method(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Parts:
        found = function(X, k, np.random.RandomState(rng.integers(2**32, dtype=np.uint64)))
        found = check_array("what init_params returned", found)
        shape = found.shape
        if shape == (k, X.shape[1]) and not (shape == (len(X), k) and np.allclose(np.sum(found, axis=1), 1)):
            centers = check_start_array("what init_params returned", found, shape)
            X, scale = moderate(X, n_threads)
            return nearest(X, np.ldexp(centers, -scale), n_threads)
        return check_responsibilities("what init_params returned", found, len(X), k)

    return method


def of_parts(parts: Parts) -> Method:
    """A method that returns given labels or responsibilities."""
    return lambda *_: parts


METHODS: dict[str, Method] = {
    "kmeans": _kmeans,
    "k-means++": _plus_plus,
    "random_from_data": _random_rows,
    "random": _random,
}
KINDS: dict[str, Method] = {  # of the further starts of a fit
    "kmeans": _kmeans,
    "whitened kmeans": _whitened,
    "k-means++": _plus_plus,
    "random_from_data": _random_rows,
}
