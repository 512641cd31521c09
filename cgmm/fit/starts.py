"""Where EM starts: k-means, k-means++, random responsibilities, random rows.

A start works on a sample of the rows when there are many: it is to cost no more than a few EM iterations, and
the parameters that it estimates are about to be improved anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cgmm.config import threads
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import SINGULAR, Fixed, Repair, Rules
from cgmm.rows import partition
from cgmm.rows.checks import are_responsibilities, check_responsibilities
from cgmm.rows.data import Complete
from cgmm.rows.floor import least_variances
from cgmm.rows.k_means import MOST_MOVES, MOVED, lloyd, moderate, nearest, plus_plus, random_rows
from cgmm.rows.part import Part
from cgmm.rows.place import InMemory
from cgmm.validation import check_array, check_start_array

if TYPE_CHECKING:
    from cgmm.mixture.noise import Noise
    from cgmm.mixture.target import Target
    from cgmm.rows.data import Data
    from cgmm.types import Array, Labels, Mask, Partition, Rows

# A start looks at no fewer than SAMPLE_ROWS rows, if there are so many, and at no fewer than SAMPLE_PER_PARAMETER for
# each component and feature.
SAMPLE_ROWS = 16384
SAMPLE_PER_PARAMETER = 10
# Runs of k-means on a sample of that size, of which the best counts: beside a fit they are cheap. Of SAMPLE_MANY
# components or more one run is as good, for what the parts of a partition lack evens out.
SAMPLE_TRIES = 3
SAMPLE_MANY = 64
# Such a run ends when the squared steps of its centers, in mean variances of a feature, are less than this in their
# mean: EM ended no lower from there, and a run to the end took up to 120 passes.
SAMPLE_STEP = 3e-4
# k-means++ reads its rows once for each seed. It looks at no fewer than SEEDING_ROWS rows of the sample, and at no
# fewer than SEEDING_PER_COMPONENT for each component.
SEEDING_ROWS = 16384
SEEDING_PER_COMPONENT = 64
FAR = 1e300  # Squared distances are no larger: this is still a number, and beyond it all rows are alike.
# Up to so many features, a start's rows are whitened by their covariance; beyond, they are only scaled.
WHITENED_FEATURES = 32
LEAST_SHARE = 1e-12  # Responsibilities that sum to one sum to less by rounding, which is no noise.

# (X, k, rng, row_weights, n_threads) → labels or responsibilities: where a start begins.
Method: TypeAlias = Callable[["Rows", int, np.random.Generator, "Array | None", int], "Partition"]


def sample_size(k: int, d: int) -> int:
    """The rows that a start looks at."""
    return max(SAMPLE_ROWS, SAMPLE_PER_PARAMETER * k * d)


def start(
    rows: Data,
    k: int,
    target: Target,
    method: Method,
    rng: np.random.Generator,
    rules: Rules,
    given: Mapping[str, Any] | None = None,
    labelled: bool = False,
    noise: Noise | None = None,
    inner: Mask | None = None,
) -> tuple[Parameters, list[Repair]]:
    """Parameters of a mixture of these rows by a method, and what had to be repaired in them.

    method : function (X, k, rng, row_weights, n_threads) → labels (n,) or responsibilities (n,k)
    given : those of weights, means and covariances that the user gives, NaN where unknown; they replace the start's
    labelled : the method's labels are the user's, who means that component by each
    noise : beside the components; its weight is that of the rows that the method leaves out, if there are any
    inner : (n,) the rows that the method is to see; the others are noise
    """
    family, given = target.family, given or {}
    complete = [name for name, value in given.items() if not np.isnan(value).any()]
    if len(complete) == 3:
        return Parameters.build(family, **given).beside(noise), []
    place = rows.completed()
    parts = _parts(place.part, k, method, rng, threads(rules.n_threads), inner)
    if place.part.labels is not None:
        parts = with_known(parts, place.part.labels, k)
    sums = partition.of_partition(place, parts, k, family, threads(rules.n_threads))
    if rules.prior is not None and rules.prior.mean.ndim == 2 and not (labelled or rows.labelled):
        plain, _ = Parameters.estimated(family, sums, rules._replace(fixed=Fixed(), prior=None))
        sums = sums.taken(_beside(plain, rules.prior.mean, np.arange(k)))
    found, repairs = target.estimated(sums, rules._replace(fixed=Fixed()))
    if noise is not None:
        share = 1.0 - float(sums.n_k.sum()) / place.part.total_weight
        noise = noise.weighing(share) if share > LEAST_SHARE else noise
    if not given:
        return found.beside(noise), repairs
    order = np.arange(k) if rows.labelled else _alike(found, given)
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
    if "covariances" not in given:
        return Parameters(family, **own, root=family.take(found.root, order)).beside(noise), repairs
    if "covariances" in complete:
        repairs = [repair for repair in repairs if repair.cause != SINGULAR]
    return Parameters.build(family, **own).beside(noise), repairs


def _parts(
    part: Part, k: int, method: Method, rng: np.random.Generator, n_threads: int, inner: Mask | None
) -> Partition:
    """Labels or responsibilities of the rows by a method, which sees the inner ones; the others are noise."""
    if inner is None:
        return method(part.rows, k, rng, part.weights, n_threads)
    some = part.gathered(np.flatnonzero(inner))
    found = method(some.rows, k, rng, some.weights, n_threads)
    parts = np.full((len(inner), *found.shape[1:]), -1 if found.ndim == 1 else 0, dtype=found.dtype)
    parts[inner] = found
    return parts


def _alike(found: Parameters, given: Mapping[str, Any]) -> Labels:
    """An order of the start's components in which the known means stand beside those nearest to them."""
    means = given.get("means")
    if means is None or not np.isnan(means).any():
        return np.arange(found.k)
    return _beside(found, means, np.flatnonzero(~np.isnan(means[:, 0])))


def _beside(found: Parameters, means: Array, known: Labels) -> Labels:
    """An order of the start's components, in which means (k,d) that are known stand beside those nearest to them."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    order = np.arange(found.k)
    scale = np.sqrt(found.variances.mean(axis=0))
    with np.errstate(over="ignore"):
        distances = [(((means[c] - found.means) / scale) ** 2).sum(axis=1) for c in known]
    taken = np.empty(len(known), dtype=int)
    rows, columns = linear_sum_assignment(np.minimum(distances, FAR).reshape(len(known), found.k))
    taken[rows] = columns
    order[known] = taken
    order[np.setdiff1d(order, known)] = np.setdiff1d(np.arange(found.k), taken)
    return order


def with_known(parts: Partition, labels: Labels, k: int) -> Partition:
    """Labels or responsibilities in which rows whose component is known (n,), not −1, belong to it.

    The parts are numbered so that as many of these rows as possible were there already, and else as they are.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    known = np.flatnonzero(labels >= 0)
    own, seen = labels[known], parts[known] >= 0  # others were taken for noise
    agreement = np.eye(k) / (4 * k)  # less than a row in all: it decides where no row does
    if parts.ndim == 1:
        agreement += np.bincount((parts[known] * k + own)[seen], minlength=k * k).reshape(k, k)
    else:
        np.add.at(agreement.T, own, parts[known])
    numbers = linear_sum_assignment(-agreement)[1]
    if parts.ndim == 1:
        parts = np.where(parts < 0, parts, numbers[parts])
        parts[known] = own
    else:
        parts = parts[:, np.argsort(numbers)]
        parts[known] = np.eye(k)[own]
    return parts


def _seeds(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Array:
    step = max(1, len(X) // max(SEEDING_ROWS, SEEDING_PER_COMPONENT * k))
    return plus_plus(X[::step], k, rng, None if row_weights is None else row_weights[::step], n_threads)


def _kmeans(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Labels:
    X, tries, tol = moderate(X, n_threads)[0], 1, MOVED
    if len(X) >= SAMPLE_ROWS:
        tries, tol = SAMPLE_TRIES if k < SAMPLE_MANY else 1, max(MOVED, SAMPLE_STEP * k)
    results = (
        lloyd(X, _seeds(X, k, rng, row_weights, n_threads), MOST_MOVES, tol, row_weights, n_threads)
        for _ in range(tries)
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
    one = partition.of_labels(X, np.zeros(len(X), dtype=np.intp), 1, family, row_weights)
    least = least_variances(Complete(InMemory(Part(X))))
    whole, _ = Parameters.estimated(family, one, Rules(least=least))
    centred, root = X - whole.means[0], whole.root[0]
    Y = centred * root if root.ndim == 1 else np.einsum("ij,lj->il", centred, root)  # the same bits for any BLAS
    return _kmeans(np.ascontiguousarray(Y), k, rng, row_weights, n_threads)


def of_function(function: Callable[..., Any], noise: bool = False) -> Method:
    """A method from a user's function (X, n_components, random_state) → means, labels or responsibilities, which may
    leave out rows that are `noise`."""

    def method(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int) -> Partition:
        found = function(X, k, np.random.RandomState(rng.integers(2**32, dtype=np.uint64)))
        found = check_array("what init_params returned", found)
        shape = found.shape
        if shape == (k, X.shape[1]) and not (shape == (len(X), k) and are_responsibilities(found, noise)):
            centers = check_start_array("what init_params returned", found, shape)
            X, scale = moderate(X, n_threads)
            return nearest(X, np.ldexp(centers, -scale), n_threads)
        return check_responsibilities("what init_params returned", found, len(X), k, noise)

    return method


def of_parts(parts: Partition) -> Method:
    """A method that returns given labels or responsibilities."""
    return lambda *_: parts


METHODS: dict[str, Method] = {
    "kmeans": _kmeans,
    "k-means++": _plus_plus,
    "random_from_data": _random_rows,
    "random": _random,
}
# The kinds of the further starts of a fit whose first is k-means, in turn.
KINDS: dict[str, Method] = {
    "kmeans": _kmeans,
    "whitened kmeans": _whitened,
    "k-means++": _plus_plus,
    "random_from_data": _random_rows,
}
