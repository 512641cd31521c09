"""Rows on which a mixture, or a part of it, cannot be estimated as it stands: the same for tests and benchmarks.

Where there is room they are clusters with a defect, and `labels` tell each row's cluster: one M-step from them is
the obvious solution, perhaps of fewer components. Clusters lie on a grid: float32 holds their numbers exactly.
"""

from typing import NamedTuple

import numpy as np

GRID = 2.0**16
DISTANCE = 4.0  # between neighbouring clusters in each feature, of standard deviations of about 1


class Case(NamedTuple):
    """Rows, how many components to fit, and what is known about them.

    X : (n, d), float64 or int64
    n_components : int, not always that of clusters
    labels : (n,), the cluster of each row
    start : weights (k,), means (k, d) and covariances (k, d, d) to begin from, or None: the library's own
    """

    X: np.ndarray
    n_components: int
    labels: np.ndarray
    start: tuple | None = None


def clusters(n=300, d=3, k=3):
    """Correlated clusters, in turn a row of each, (n, d); and their labels (n,)."""
    rng = np.random.default_rng([n, d, k])
    labels = np.arange(n) % k
    mixing = np.eye(d) + 0.5 * np.tril(rng.uniform(-1, 1, size=(k, d, d)), -1)
    centres = DISTANCE * (np.arange(k)[:, np.newaxis] - (k - 1) / 2) * rng.choice([-1, 1], size=d)
    X = centres[labels] + np.einsum("nij,nj->ni", mixing[labels], rng.standard_normal((n, d)))
    return np.round(X * GRID) / GRID, labels


def constant_column():
    X, labels = clusters()
    X[:, 1] = 7.0
    return Case(X, 3, labels)


def all_rows_equal():
    return Case(np.tile([0.5, -3.0, 7.0], (100, 1)), 2, np.zeros(100, int))


def each_row_twice():
    X, labels = clusters(150)
    return Case(X.repeat(2, axis=0), 3, labels.repeat(2))


def n_equals_k():
    X, labels = clusters(5, 2, 2)
    return Case(X, 5, labels)


def n_below_d():
    X, labels = clusters(8, 20, 2)
    return Case(X, 2, labels)


def fewer_distinct_rows_than_k():
    X = np.array([[0.5, -4.0], [1.0, 3.0], [5.0, -2.0]])
    return Case(X.repeat(20, axis=0), 5, np.arange(3).repeat(20))


def k_300_on_301_rows():
    X, labels = clusters(301, 2)
    return Case(X, 300, labels)


def one_outlier():
    """The last row is at 1e12, and its own cluster."""
    X, labels = clusters()
    X[-1], labels[-1] = 1e12, 3
    return Case(X, 4, labels)


def far_outlier_without_its_component():
    """The same with a component less: two clusters share one."""
    found = one_outlier()
    return found._replace(n_components=3, labels=np.array([0, 0, 1, 2])[found.labels])


def columns_scaled(largest=150):
    """Columns whose largest absolute values are 1e-150, 1e-75, 1, 1e75 and 1e150."""
    X, labels = clusters(d=5)
    return Case(X / np.abs(X).max(axis=0) * 10.0 ** (largest * np.linspace(-1, 1, 5)), 3, labels)


def offset():
    X, labels = clusters()
    return Case(X + 1e9, 3, labels)


def collinear_columns():
    """The last two columns are sums of the first two, exactly."""
    X, labels = clusters(d=4)
    X[:, 2:] = X[:, :2] @ [[2.0, 1.0], [-1.0, 1.0]]
    return Case(X, 3, labels)


def integers():
    X, labels = clusters()
    return Case(np.round(X).astype(np.int64), 3, labels)


def one_column():
    X, labels = clusters(d=1)
    return Case(X, 3, labels)


def one_row():
    X, labels = clusters(1)
    return Case(X, 1, labels)


def denormals(unit=1e-310):
    X, labels = clusters()
    return Case(X * unit, 3, labels)


def empty_component():
    """The last component begins where no row is: its responsibilities are zero in double precision."""
    return _far_component(1e6)


def nearly_empty_component():
    """The last component begins so far off that its responsibilities sum to 1e-145; in float32, to zero."""
    return _far_component(30.0)


def _far_component(distance):
    """Two clusters, a good start for them, and a third component that is `distance` from the nearest row."""
    X, labels = clusters(k=2)
    means = np.stack([*(X[labels == c].mean(axis=0) for c in range(2)), X[X[:, 0].argmax()]])
    means[2, 0] += distance
    return Case(X, 3, labels, (np.full(3, 1 / 3), means, np.array([np.eye(3)] * 3)))


CASES = {
    "constant column": constant_column,
    "all rows equal": all_rows_equal,
    "each row twice": each_row_twice,
    "n = k": n_equals_k,
    "n < d": n_below_d,
    "fewer distinct rows than k": fewer_distinct_rows_than_k,
    "k = 300 on 301 rows": k_300_on_301_rows,
    "one outlier at 1e12": one_outlier,
    "that outlier, no component to spare": far_outlier_without_its_component,
    "columns 1e-150 to 1e150": columns_scaled,
    "offset 1e9, spread 1": offset,
    "collinear columns": collinear_columns,
    "integers": integers,
    "one column": one_column,
    "one row": one_row,
    "denormals": denormals,
    "a component that empties": empty_component,
    "a component that nearly empties": nearly_empty_component,
}
IN_FLOAT32 = {  # in the place of numbers that float32 has not
    "columns 1e-150 to 1e150": lambda: columns_scaled(30),
    "denormals": lambda: denormals(1e-40),
}


def case(name, dtype=np.float64):
    """A case with rows of that type, or None when it cannot hold them: when numbers of a column become equal."""
    single = np.dtype(dtype) == np.float32
    found = ((single and IN_FLOAT32.get(name)) or CASES[name])()
    X = found.X.astype(dtype)
    same = all(len(np.unique(x)) == len(np.unique(y)) for x, y in zip(X.T, found.X.T, strict=True))
    return found._replace(X=X) if same else None


def names(dtype=np.float64):
    """The names of the cases that the type can hold."""
    return [name for name in CASES if case(name, dtype) is not None]
