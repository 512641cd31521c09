"""Where EM starts: k-means, k-means++, random responsibilities, random rows.

A start works on a sample of the rows when there are many: it is to cost no more than a few EM iterations, and
the parameters that it estimates are about to be improved anyway.
"""

import numpy as np

from cgmm import statistics
from cgmm.em import INDEFINITE, maximise
from cgmm.kmeans import lloyd, nearest, plus_plus, random_rows
from cgmm.parameters import Parameters

SAMPLE_ROWS = 16384  # at least
SAMPLE_TRIES = 3  # of k-means on so many rows, for the best: beside a fit they are cheap
SAMPLE_PER_PARAMETER = 10  # and this many rows for each component and feature
SEEDING_ROWS = 16384  # k-means++ reads its rows once for each seed: it looks at least at so many of the sample
SEEDING_PER_COMPONENT = 64  # and at so many for each component


def start(X, row_weights, k, family, method, rng, reg_covar, given, n_threads):
    """Parameters by a method of METHODS, and what had to be repaired in them.

    `given` holds those of weights, means and covariances that the user gives; they replace the start's.
    """
    if len(given) == 3:
        return Parameters.build(family, **given), []
    X, row_weights = sample_rows(X, row_weights, k, rng)
    responsibilities = method(X, k, rng, row_weights, n_threads)
    if responsibilities.ndim == 1:
        sums = statistics.of_labels(X, responsibilities, k, family, row_weights)
    else:
        sums = statistics.of_responsibilities(X, responsibilities, family, row_weights)
    found, repairs = maximise(sums, family, reg_covar=reg_covar)
    if not given:
        return found, repairs
    own = {"weights": found.weights, "means": found.means, "covariances": found.covariances}
    if "covariances" in given:
        repairs = [repair for repair in repairs if repair.cause != INDEFINITE]
    return Parameters.build(family, **(own | given)), repairs


def sample_rows(X, row_weights, k, rng):
    """The rows of positive weight, or as many of them as a start looks at, in their order."""
    rows = len(X) if row_weights is None else np.flatnonzero(row_weights > 0)
    count = rows if row_weights is None else len(rows)
    size = max(SAMPLE_ROWS, SAMPLE_PER_PARAMETER * k * X.shape[1])
    if count > size:
        rows = np.sort(rng.choice(rows, size, replace=False, shuffle=False))
    elif count == len(X):
        return X, row_weights
    return np.ascontiguousarray(X[rows]), None if row_weights is None else row_weights[rows]


def _seeds(X, k, rng, row_weights, n_threads):
    step = max(1, len(X) // max(SEEDING_ROWS, SEEDING_PER_COMPONENT * k))
    return plus_plus(X[::step], k, rng, None if row_weights is None else row_weights[::step], n_threads)


def _kmeans(X, k, rng, row_weights, n_threads):
    tries = SAMPLE_TRIES if len(X) >= SAMPLE_ROWS else 1
    results = (
        lloyd(X, _seeds(X, k, rng, row_weights, n_threads), 300, 1e-4, row_weights, n_threads)
        for _ in range(tries)
    )
    return min(results, key=lambda result: result.inertia).labels


def _plus_plus(X, k, rng, row_weights, n_threads):
    return nearest(X, _seeds(X, k, rng, row_weights, n_threads), n_threads)


def _random_rows(X, k, rng, row_weights, n_threads):
    return nearest(X, random_rows(X, k, rng, row_weights), n_threads)


def _random(X, k, rng, row_weights, n_threads):
    responsibilities = rng.random((len(X), k))
    return responsibilities / responsibilities.sum(axis=1, keepdims=True)


METHODS = {
    "kmeans": _kmeans,
    "k-means++": _plus_plus,
    "random_from_data": _random_rows,
    "random": _random,
}
