"""n_init="auto": it goes on while better optima are found, stops by its rule, and is a prefix of more starts."""

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, Prior, select
from cgmm.em.stage import Fit
from cgmm.fit import pool
from cgmm.fit.moves import MOVES, Good, Ground, made
from cgmm.fit.pool import SAME, Pool
from cgmm.fit.split_merge import closeness
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from datasets import FAMILY_OF_MODEL, MCLUST, table
from problems import assert_same_bits, clusters, data_of, start_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
]
families = pytest.mark.parametrize("family", reference.FAMILIES)
CLOUD = np.random.default_rng(0).standard_t(4, size=(400, 2)) @ [[2, 0.5], [0, 1]]


def fit_of(bound):
    """One that only has a likelihood."""
    parameters = Parameters.build(FAMILIES["full"], *start_of(CLOUD, 2, "full"))
    return Fit(parameters, np.array([bound]), True)


# The rule


def test_few_optima_that_are_found_again_are_enough():
    """One optimum: w (N − 1) / (N − w − 2) is 1.5 at N = 7, and less beyond. Three need more starts."""
    one, three = Pool(same=SAME), Pool(same=SAME)
    for starts in range(1, 60):
        one.take(fit_of(-1.0), sound=True, fresh=True)
        three.take(fit_of(-1.0 - starts % 3), sound=True, fresh=True)
        assert (one.unseen < 0.5) == (starts >= 8)
        assert one.enough(starts) == (starts > pool.SETTLED)
        assert three.enough(starts) == (starts > 29)  # 3 (N − 1) / (N − 5) < 3.5


def test_starts_that_depend_on_others_tell_nothing_of_what_is_unseen():
    found = Pool(same=SAME)
    for starts in range(1, pool.PATIENCE + 2):
        found.take(fit_of(-1.0), sound=True, fresh=False)
        assert found.enough(starts) == (starts == pool.PATIENCE + 1)  # the first of them found the best


def test_ever_new_optima_end_by_patience_and_better_ones_by_the_budget():
    worse, better = Pool(same=SAME), Pool(same=SAME)
    for starts in range(1, pool.MOST + 1):
        worse.take(fit_of(-float(starts)), sound=True, fresh=True)
        better.take(fit_of(float(starts)), sound=True, fresh=True)
        assert worse.enough(starts) == (starts > pool.PATIENCE)
        assert better.enough(starts) == (starts == pool.MOST)


def test_a_pool_keeps_the_best_of_each_optimum():
    found = Pool(same=SAME)
    fits = [fit_of(bound) for bound in (-3.0, -1.0, -1.0 + 1e-6, -2.0, -1.0 - 1e-6)]
    for fit in fits:
        found.take(fit, sound=True, fresh=True)
    found.take(fit_of(5.0), sound=False, fresh=True)
    assert [id(kept) for kept in found.fits] == [id(fits[at].parameters) for at in (2, 3, 0)]


# Moves


@families
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("move", MOVES)
def test_moves_make_mixtures(move, family, dtype):
    """Positive weights that sum to one, means among the rows, covariances that are held; rows of weight zero, even far
    away, are not begun at. The fits are as they were."""
    X = clusters(300, 3, 4).astype(dtype)
    weights = np.ones(300)
    X[:5], weights[:5] = 1e6, 0
    fits = [Parameters.build(FAMILIES[family], *start_of(clusters(300, 3, 4, seed), 4, family)) for seed in (0, 1, 2)]
    before = [fit.means.copy() for fit in fits]
    ground = Ground(data_of(X, weights).completed(), np.full(3, 1e-12))
    for count in (1, 3) if move != "cross of two fits" else (2, 3):
        sketches = MOVES[move](Good(fits[:count], ground), 30, np.random.default_rng(count))
        assert sketches.m == 30
        for at in range(30):
            made = sketches.held(at, ground.least)
            assert made.k == 4 and (made.weights > 0).all()
            assert_allclose(made.weights.sum(), 1, rtol=1e-14)
            if move != "split and merge":  # whose means stay between the least and the largest row
                assert abs(made.means).max() < 1e3
            assert np.isfinite(made.root).all()
    for fit, means in zip(fits, before, strict=True):
        assert_array_equal(fit.means, means)


@pytest.mark.parametrize("count", [1, 3])
def test_each_move_makes_as_many_starts_as_any_other(count):
    """But for a cross, which takes two fits."""
    fits = [
        Parameters.build(FAMILIES["full"], *start_of(clusters(300, 3, 4, seed), 4, "full")) for seed in range(count)
    ]
    ground = Ground(data_of(clusters(300, 3, 4)).completed(), np.full(3, 1e-12))
    kinds, sketches = made(Good(fits, ground), 14, np.random.default_rng(3))
    assert len(kinds) == sketches.m == 14
    numbers = [kinds.count(kind) for kind in MOVES if count > 1 or kind != "cross of two fits"]
    assert sum(numbers) == 14 and max(numbers) - min(numbers) <= 1


@families
def test_closeness(family):
    """Of each pair once; whatever blocks of components are looked at."""
    fit = Parameters.build(FAMILIES[family], *start_of(clusters(300, 3, 5), 5, family))
    spread = np.sqrt(np.maximum(fit.weights @ fit.variances, 1e-12))
    found = closeness(fit, np.full(3, 1e-12)).reshape(5, 5)
    for a, b in np.ndindex(5, 5):
        apart = 1e-3 + (((fit.means[a] - fit.means[b]) / spread) ** 2).sum()
        assert_allclose(found[a, b], 1 / apart if a < b else 0, rtol=1e-12)


@families
def test_a_cross_has_components_of_both(family):
    X = clusters(300, 2, 5)
    fits = [Parameters.build(FAMILIES[family], *start_of(clusters(300, 2, 5, seed), 5, family)) for seed in (0, 1)]
    both, ground = 0, Ground(data_of(X).completed(), np.full(2, 1e-12))
    for means in MOVES["cross of two fits"](Good(fits, ground), 40, np.random.default_rng(0)).means:
        own = [(means[:, None] == fit.means).all(axis=2).any(axis=1) for fit in fits]
        assert (own[0] | own[1]).all()
        both += own[0].any() and own[1].any()
    assert both > 20


# Fits


@families
def test_auto_is_the_first_of_more_starts(family):
    auto = GMM(3, covariance_type=family, n_init="auto", random_state=1).fit(CLOUD)
    count = len(auto.diagnostics_.restarts)
    assert 1 < count <= pool.MOST
    same = GMM(3, covariance_type=family, n_init=count, random_state=1).fit(CLOUD)
    assert_same_bits(auto, same)
    assert_same_bits(auto, GMM(3, covariance_type=family, n_init="auto", random_state=1, n_threads=3).fit(CLOUD))


def test_components_apart_need_few_starts():
    """All starts find the same optimum: 25 that find nothing better are enough."""
    restarts = GMM(3, n_init="auto", random_state=0, tol=1e-6).fit(clusters(400, 2, 3)).diagnostics_.restarts
    assert len(restarts) == 1 + pool.SETTLED


@pytest.mark.parametrize("known", MCLUST[::7], ids=lambda known: f"{known['dataset']}-{known['model']}-{known['k']}")
def test_auto_reaches_mclusts_optimum(known):
    """To 1e-7 of the log-likelihood: its values are printed to eight decimals, and stop short of the optimum."""
    X, family = table(known["dataset"]), FAMILY_OF_MODEL[known["model"]]
    model = GMM(known["k"], covariance_type=family, n_init="auto", tol=1e-8, max_iter=2000, random_state=0).fit(X)
    assert model.score(X) * len(X) >= known["loglik"] - 1e-7 * abs(known["loglik"])


WAYS = {
    "weights": lambda X: ({}, X, np.arange(len(X)) % 3),
    "float32": lambda X: ({}, X.astype(np.float32), None),
    "prior": lambda X: ({"prior": "default"}, X, None),
    "own prior": lambda X: ({"prior": Prior(mean_precision=0.1)}, X, None),
    "gaps": lambda X: ({"missing": "marginal"}, np.where(np.arange(X.size).reshape(X.shape) % 7, X, np.nan), None),
    "blocks": lambda X: ({}, lambda: np.array_split(X, 5), None),
    "dask": lambda X: ({}, da.from_array(X, chunks=(150, 2)), None),
    "fixed": lambda X: ({"fixed": ("means",), "means_init": X[:3]}, X, None),
    "a known mean": lambda X: ({"means_init": np.where([[True], [False], [False]], X[:3], np.nan)}, X, None),
    "a function": lambda X: ({"init_params": lambda X, k, rng: X[rng.choice(len(X), k, replace=False)]}, X, None),
    "random": lambda X: ({"init_params": "random"}, X, None),
    "one component": lambda X: ({"n_components": 1}, X, None),
    "constant column": lambda X: ({}, np.column_stack([X, np.ones(len(X))]), None),
    "max_iter 0": lambda X: ({"max_iter": 0}, X, None),
}


@pytest.mark.parametrize("family", ["full", "tied", "diag"])
@pytest.mark.parametrize("way", WAYS)
def test_auto_goes_with_all_else(way, family, monkeypatch):
    """It is no less likely than one start, and the same twice."""
    monkeypatch.setattr(pool, "MOST", 12)
    changed, X, sample_weight = WAYS[way](CLOUD[:300])
    arguments = {"n_components": 3, "covariance_type": family, "random_state": 0, "max_iter": 15, **changed}
    one, auto, again = (GMM(**arguments, n_init=n).fit(X, sample_weight=sample_weight) for n in (1, "auto", "auto"))
    assert (not auto.diagnostics_.degenerate, auto.lower_bound_) >= (not one.diagnostics_.degenerate, one.lower_bound_)
    assert_same_bits(auto, again)


def test_select_goes_on_by_itself():
    found = select(CLOUD, [2, 3], "full", n_init="auto", random_state=0).table
    ten = select(CLOUD, [2, 3], "full", n_init=2, random_state=0).table
    assert all(ours.log_likelihood >= theirs.log_likelihood - 1e-3 for ours, theirs in zip(found, ten, strict=True))


@pytest.mark.parametrize("n_init", ["all", "AUTO", "10", None, 1.5])
def test_other_words_are_refused(n_init):
    with pytest.raises(TypeError, match="n_init"):
        GMM(2, n_init=n_init).fit(CLOUD)
