"""Mixtures, rows and what is read from artists, for tests of pictures."""

import numpy as np
from matplotlib import pyplot as plt

from cgmm import GMM
from datasets import compact

WEIGHTS = np.array([0.5, 0.3, 0.2])


def mixture(d, family="full", k=3, distance=8.0):
    """k components, some distance apart."""
    random = np.random.RandomState(d)
    factors = random.randn(k, d, d)
    covariances = compact(factors @ factors.transpose(0, 2, 1) + np.eye(d), family)
    weights = WEIGHTS if k == 3 else np.full(k, 1 / k)
    return GMM.from_parameters(weights, distance * random.randn(k, d), covariances, family)


def rows(model, n=300):
    return model.set_params(random_state=1).sample(n)[0]


def full(model):
    """Covariances (k,d,d) of any family."""
    family = model._parameters.family
    return family.expand(model.covariances_, *model.means_.shape)


def squared_distances(points, mean, covariance):
    offsets = points - mean
    return np.einsum("ij,ij->i", offsets, np.linalg.solve(covariance, offsets.T).T)


def drawn():
    """Draw the current figure, as saving it would."""
    plt.gcf().canvas.draw()


def polygons(collection):
    return [path.vertices for path in collection.get_paths()]


def normal_density(x, mean, variance):
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
