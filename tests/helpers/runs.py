"""Runs of EM for tests: where they begin, and whether they end alike."""

import numpy as np
from numpy.testing import assert_array_equal

from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.rules import Rules
from cgmm.mixture.target import Point
from cgmm.rows.floor import least_variances


def settings_of(data, n_threads=1, reg_covar=1e-6, **more):
    rules = Rules(reg_covar=reg_covar, least=least_variances(data), n_threads=n_threads)
    return Settings(rules, **{"tol": 1e-6, "max_iter": 40, **more})


def stages_of(data, k, family, settings, count=5):
    """First stages of as many random starts."""
    rng, target = np.random.default_rng(0), Point(FAMILIES[family])
    methods = [starts.METHODS["random_from_data"], starts.METHODS["kmeans"]]
    made = [starts.start(data, k, target, methods[at % 2], rng, settings.rules) for at in range(count)]
    return [Stage.first(*one) for one in made]


def assert_same_fits(some, others):
    for one, other in zip(some, others, strict=True):
        for own, its in zip(one.parameters.values, other.parameters.values, strict=True):
            assert_array_equal(own, its)
        assert_array_equal(one.lower_bounds, other.lower_bounds)
        assert_array_equal(one.n_k, other.n_k)
        told = [(fit.converged, fit.repairs, fit.singular, fit.starved, fit.exponent) for fit in (one, other)]
        assert told[0] == told[1]
