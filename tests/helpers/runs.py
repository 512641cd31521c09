"""Runs of EM for tests: where they begin, and whether they end alike."""

import numpy as np
from numpy.testing import assert_array_equal

from cgmm import _kernels
from cgmm.em.abreast import Leaning, runs_of
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.rules import Rules
from cgmm.mixture.target import Point
from cgmm.rows.floor import least_variances
from problems import clusters, data_of


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


def walk_of(d=2, steps=((0, False, 1),), ks=(1, 2), edges=None, near=9, rounds=((2, 1), (9, 1)), ranks=None, n=50):
    """A walk along mixtures of so many components each, far from what n rows ask for."""
    data = data_of(clusters(n, d, 2))
    family, settings = FAMILIES["full"], settings_of(data)
    none = [np.empty((0, *shape)) for shape in ((1,), (1, d), (1, d, d))]
    rows = runs_of(data, data.at_hand(), family, 1, none, settings, [(1, 1)], Leaning(0.25, 0.01, 1.0))
    mixtures = [(np.full(k, 1 / k), np.zeros((k, d)), np.repeat(np.eye(d)[np.newaxis], k, axis=0)) for k in ks]
    edge = np.ones(d if edges is None else edges)
    ranks = [3] * len(ks) if ranks is None else ranks
    return _kernels.Walk(rows, mixtures, ranks, [-9.0] * len(ks), steps, near, edge, -edge, edge, rounds)
