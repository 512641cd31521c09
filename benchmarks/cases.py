"""The benchmark cases: the rows of each and a start, the same for every library."""

import zlib
from typing import NamedTuple

import numpy as np

SPREAD = 3.0  # standard deviation of the cluster centres, where clusters have about 1: moderately separated
START_ROWS = 20_000  # that the start is estimated from, about


class Start(NamedTuple):
    """Parameters before the first iteration, in scikit-learn's shapes: weights (k,), means (k,d), covariances."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class Problem(NamedTuple):
    """A case: n rows of d features, k components of a covariance family; `source` names its data."""

    name: str
    n: int
    d: int
    k: int
    covariance_type: str
    source: str = "synthetic"

    def rows(self, scale=1.0, dtype="float64"):
        """X (n,d), C order. A scale below 1 takes that part of the rows, but enough to estimate k components."""
        least = 12 * self.k * (self.d if self.covariance_type == "full" else 1)
        n = min(self.n, max(int(scale * self.n), least))
        return np.ascontiguousarray(SOURCES[self.source](self, n), dtype=dtype)

    def start(self, X):
        """Clusters of a short k-means on some rows, and the covariance within them for each component."""
        from sklearn.cluster import KMeans

        rows = X[:: max(1, len(X) // START_ROWS)].astype(np.float64)
        clusters = KMeans(self.k, n_init=1, max_iter=5, random_state=0).fit(rows)
        weights = np.bincount(clusters.labels_, minlength=self.k) / len(rows)
        residuals = rows - clusters.cluster_centers_[clusters.labels_]
        within = residuals.T @ residuals / len(rows)
        variances = np.diag(within)
        covariances = {
            "full": np.tile(within, (self.k, 1, 1)),
            "tied": within,
            "diag": np.tile(variances, (self.k, 1)),
            "spherical": np.full(self.k, variances.mean()),
        }[self.covariance_type]
        return Start(weights, clusters.cluster_centers_, covariances)

    @property
    def flops(self):
        """Useful floating-point operations of one EM iteration and row.

        Two for each multiply-add of the shortest dense form of the iteration; no exp, log, or centring:

        - full: whitening d(d+1)/2, squared norm d, first moment d and second moment d(d+1)/2 a component;
        - diag: x² and x with the precision, first and second moment, each d a component;
        - spherical: x with the mean and first moment, each d a component;
        - tied: as spherical, and d(d+1)/2 each for whitening and the scatter of the row, once.
        """
        d, k, triangle = self.d, self.k, self.d * (self.d + 1) // 2
        multiply_adds = {
            "full": k * (2 * triangle + 2 * d),
            "diag": k * 4 * d,
            "spherical": k * 2 * d,
            "tied": k * 2 * d + 2 * triangle,
        }
        return 2 * multiply_adds[self.covariance_type]


def synthetic(problem, n):
    """n rows of k Gaussian clusters with standard deviations between ½ and 2, of the problem's family."""
    rng = np.random.default_rng(zlib.crc32(problem.name.encode()))
    d, k = problem.d, problem.k
    centres = SPREAD * rng.standard_normal((k, d))
    shapes = [_shape(rng, d, problem.covariance_type) for _ in range(k)]
    labels = rng.integers(k, size=n)
    X = rng.standard_normal((n, d))
    for c in range(k):
        shape = shapes[0] if problem.covariance_type == "tied" else shapes[c]
        rows = labels == c
        X[rows] = (X[rows] @ shape if shape.ndim == 2 else X[rows] * shape) + centres[c]
    return X


def china(problem, n):
    """Pixels of a photograph, (427·640, 3), between 0 and 1."""
    from sklearn.datasets import load_sample_image

    return _evenly(load_sample_image("china.jpg").reshape(-1, 3) / 255.0, n)


def digits(problem, n):
    """Images of handwritten digits, (1797, 64)."""
    from sklearn.datasets import load_digits

    return _evenly(load_digits().data, n)


def _shape(rng, d, covariance_type):
    """What makes a cluster of standard normal rows: a matrix (d,d), scales (d,) or a scale (1,)."""
    scales = np.exp(rng.uniform(-np.log(2), np.log(2), 1 if covariance_type == "spherical" else d))
    if covariance_type in ("diag", "spherical"):
        return scales
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return scales[:, np.newaxis] * rotation


def _evenly(X, n):
    return X[np.linspace(0, len(X) - 1, n).astype(int)]


SOURCES = {"synthetic": synthetic, "china": china, "digits": digits}

PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("tiny2d", 1_000_000, 2, 10, "full"),
        Problem("rgba", 256_000, 4, 30, "full"),
        Problem("mid8", 500_000, 8, 16, "full"),
        Problem("mid32", 100_000, 32, 32, "full"),
        Problem("wide128", 30_000, 128, 16, "full"),
        Problem("manyk", 100_000, 16, 256, "full"),
        Problem("diag64", 200_000, 64, 64, "diag"),
        Problem("diag8", 1_000_000, 8, 32, "diag"),
        Problem("sph784", 20_000, 784, 20, "spherical"),
        Problem("tied32", 200_000, 32, 32, "tied"),
        Problem("china5", 427 * 640, 3, 5, "full", "china"),
        Problem("china30", 427 * 640, 3, 30, "full", "china"),
        Problem("digits", 1797, 64, 20, "spherical", "digits"),
    )
}

SYNTHETIC = tuple(name for name, problem in PROBLEMS.items() if problem.source == "synthetic")
