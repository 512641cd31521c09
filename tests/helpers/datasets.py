"""The data behind the published values in tests/data, each made by the recipe of its source.

- lecture_values.json: k-means and the unit-variance mixture of "COMP 755, lecture 11"; worked
  examples and two programs of the lecture notes "Lecture 15: EM and mixture models". Recomputed in NumPy.
- mclust_fits.json: R's mclust 6.0.0 on faithful.csv, iris.csv and diabetes.csv.

NumPy's legacy generator has a frozen stream, so that a seed and an order of calls fix the data everywhere.
"""

import io
import json
from pathlib import Path

import numpy as np

import parsimonious

DATA = Path(__file__).parents[1] / "data"
FAMILY_OF_MODEL = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}

LECTURE = json.loads((DATA / "lecture_values.json").read_text())
MCLUST = json.loads((DATA / "mclust_fits.json").read_text())


def table(name):
    """The rows of one csv file, (n, d)."""
    return np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1)


def compact(covariances, covariance_type):
    """Covariances given as (k, d, d), in the family's shape; of mclust's families, the nearest."""
    covariances = np.asarray(covariances)
    if covariance_type in parsimonious.NAMES:
        found = parsimonious.m_step(covariance_type, covariances, np.ones(len(covariances)))
        return parsimonious.compact(covariance_type, found)
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return covariances[0]
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    return variances if covariance_type == "diag" else variances[:, 0]


def invert(covariances, covariance_type):
    """Precisions in the same shape as the covariances."""
    matrices = covariance_type in ("full", "tied", *parsimonious.MATRICES)
    return np.linalg.inv(covariances) if matrices else 1 / np.asarray(covariances)


def comp755(random, n, A=None):
    """Samples of COMP 755's three classes, one at a time, (n, 2)."""
    A = np.eye(2) if A is None else A
    class_means = 2 * np.array([[-1, 1, 2], [1, -1, 2]])
    X = np.empty((n, 2))
    for i in range(n):
        y = random.choice(3, 1)
        X[i] = (A @ random.randn(2, 1) + class_means[:, y])[:, 0]
    return X


def comp755_kmeans(name):
    """Samples, starting centres, and how many iterations at most."""
    seed, k, max_iter = {"seed1_k3": (1, 3, 30), "seed6_k6": (6, 6, 30), "seed7_A": (7, 3, 10)}[name]
    random = np.random.RandomState(seed)
    A = 1.4 * random.randn(2, 2) if name == "seed7_A" else None
    X = comp755(random, 1000, A)
    if name == "seed1_k3":
        random.seed(seed)
    centres = 0.01 * random.randn(2, k).T + X.mean(axis=0)
    return X, centres, max_iter


def comp755_mixture():
    """Samples and starting means of the mixture with unit variances."""
    random = np.random.RandomState(1)
    X = comp755(random, 300)
    return X, X.mean(axis=0) + 0.01 * X.std(axis=0) * random.randn(2, 3).T


def lecture15_1d():
    """Six numbers (6, 1) and the parameters before the first iteration."""
    X = np.array([-2, -1, -0.5, 1, 2, 3])[:, np.newaxis]
    return X, (np.array([0.5, 0.5]), np.array([[-1.0], [2.0]]), np.ones((2, 1, 1)))


def lecture15_2d():
    """Six points (6, 2) and the parameters before the first iteration."""
    X = np.array([[0, 0], [1, 0], [0, 1], [4, 4], [5, 4], [4, 5]], dtype=np.float64)
    return X, (np.array([0.5, 0.5]), np.array([[0.0, 0.0], [4.0, 4.0]]), np.array([np.eye(2)] * 2))


def lecture15_fit1d():
    """Samples (600, 1) and start of program 1."""
    random = np.random.RandomState(0)
    z = random.choice([0, 1], size=600, p=[0.65, 0.35])
    y = random.randn(600) * np.array([0.45, 0.7])[z] + np.array([-1.2, 1.8])[z]
    means = random.choice(y, 2, replace=False)
    return y[:, np.newaxis], (np.array([0.5, 0.5]), means[:, np.newaxis], np.full((2, 1, 1), y.var()))


def lecture15_fit2d(seed):
    """Samples (800, 2), class after class, and start of program 2."""
    random = np.random.RandomState(seed)
    means = [(-2, -1), (1.5, 0.7), (0, 2.5)]
    covariances = [[[0.6, 0.2], [0.2, 0.5]], [[0.5, -0.1], [-0.1, 0.4]], [[0.3, 0], [0, 0.8]]]
    z = random.choice(np.arange(3), size=800, p=[0.4, 0.35, 0.25])
    X = np.concatenate([random.multivariate_normal(means[c], covariances[c], size=np.sum(z == c)) for c in range(3)])
    start = X[random.choice(800, 3, replace=False)]
    return X, (np.full(3, 1 / 3), start, np.array([np.cov(X.T)] * 3))


def numbers(printed, skiprows=0):
    """What a command has printed as CSV."""
    return np.loadtxt(io.StringIO(printed), delimiter=",", skiprows=skiprows)
