"""Fits of posteriors, and how they are compared."""

import numpy as np
from numpy.testing import assert_allclose

from cgmm import BayesianGMM

FITTED = (
    "weights_",
    "means_",
    "covariances_",
    "mean_precision_",
    "degrees_of_freedom_",
    "weight_concentration_",
    "lower_bounds_",
)
ROUNDING = 1e-10  # what thirty iterations leave of 1e-16, beside the largest value of an attribute


def shares_of(n, k, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(k), n)


def fitted(X, k, sample_weight=None, **arguments):
    settings = {"tol": 0, "max_iter": 12, "reg_covar": 0, "responsibilities_init": shares_of(len(X), k)}
    return BayesianGMM(k, **settings | arguments).fit(X, sample_weight=sample_weight)


def assert_close(model, expected, name, rtol=ROUNDING):
    assert_allclose(getattr(model, name), expected, rtol=0, atol=rtol * np.abs(expected).max(), err_msg=name)
