"""Restarts: more of them never end worse, their kinds vary, and together they find mclust's optima."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM
from cgmm.fit import moves, restarts
from cgmm.fit.moves import MOVES
from cgmm.fit.restarts import FRESH_FIRST, MADE
from cgmm.fit.split_merge import closeness, split_and_merge
from cgmm.fit.starts import KINDS
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.sketches import Sketches
from datasets import FAMILY_OF_MODEL, MCLUST, table
from problems import assert_same_bits, clusters, start_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
]
families = pytest.mark.parametrize("family", reference.FAMILIES)
CLOUD = np.random.default_rng(0).standard_t(4, size=(400, 2)) @ [[2, 0.5], [0, 1]]


@pytest.mark.parametrize("known", MCLUST, ids=lambda known: f"{known['dataset']}-{known['model']}-{known['k']}")
def test_forty_starts_reach_mclusts_optimum(known):
    """To 1e-7 of the log-likelihood: its values are printed to eight decimals, and stop short of the optimum."""
    X, family = table(known["dataset"]), FAMILY_OF_MODEL[known["model"]]
    model = GMM(known["k"], covariance_type=family, n_init=40, tol=1e-8, max_iter=2000, random_state=0).fit(X)
    assert model.score(X) * len(X) >= known["loglik"] - 1e-7 * abs(known["loglik"])


@families
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("seed", range(3))
def test_more_starts_never_end_worse(family, init, seed):
    """Fewer are the first of more; a fit that is degenerate is the worse."""
    models = [
        GMM(6, covariance_type=family, init_params=init, n_init=n_init, random_state=seed).fit(CLOUD)
        for n_init in (1, 2, 5, 12)
    ]
    ranks = [(not model.diagnostics_.degenerate, model.lower_bound_) for model in models]
    assert ranks == sorted(ranks)
    for fewer, more in itertools.pairwise(models):
        told = [[restart[:2] for restart in model.diagnostics_.restarts] for model in (fewer, more)]
        assert told[1][: len(told[0])] == told[0]


@pytest.mark.parametrize("seed", range(8))
def test_more_starts_never_end_lower_where_slivers_are(seed):
    """Nine components of 150 flowers: the first fit may owe its likelihood to reg_covar alone, and others do not. One
    with a DegenerateWarning is the worse."""
    X = table("iris")
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    arguments = {"n_components": 9, "random_state": seed, "max_iter": 500}
    models = [GMM(**arguments, n_init=n_init).fit(X) for n_init in (1, 2, 4, 8)]
    ranks = [(not model.diagnostics_.degenerate, model.lower_bound_) for model in models]
    assert ranks == sorted(ranks)


def test_kinds_of_starts_vary():
    """With the default; a start that is asked for by name is the kind of all."""
    found = {restart.kind for restart in GMM(6, n_init=60, random_state=0).fit(CLOUD).diagnostics_.restarts}
    assert found <= {*KINDS, *MOVES} and len(found - set(MOVES)) > 1 and len(found - set(KINDS)) > 1
    found = GMM(6, n_init=30, init_params="random_from_data", random_state=0).fit(CLOUD).diagnostics_.restarts
    assert {restart.kind for restart in found} - set(MOVES) == {"random_from_data"}


def test_restarts_of_many_rows_are_tried_on_a_sample():
    """The rows of a pass are counted through the callback: those given up have none."""
    X, iterations = np.tile(CLOUD, (100, 1)), []
    model = GMM(4, n_init=9, random_state=0, callback=lambda state: iterations.append(state.restart)).fit(X)
    for at, restart in enumerate(model.diagnostics_.restarts):
        assert iterations.count(at) == restart.n_iter
        assert restart.carried == (restart.n_iter > 0)
    assert 1 < sum(restart.carried for restart in model.diagnostics_.restarts) < 9


@pytest.mark.parametrize(
    "n, d, k, candidates", [(150, 4, 3, 24), (1000, 5, 9, 72), (16384, 1, 10, 31), (20000, 20, 9, 16)]
)
def test_a_start_made_of_good_fits_costs_little_on_large_data(monkeypatch, n, d, k, candidates):
    """Eight candidates for each component, or fewer, such that candidates × rows × parameters are bounded."""
    counts = []

    def made(good, count, *rest):
        counts.append(count)
        return moves.made(good, MADE, *rest)

    monkeypatch.setattr(restarts, "made", made)
    GMM(k, n_init=FRESH_FIRST + 2, max_iter=2, random_state=0).fit(clusters(n, d, k))
    assert counts == [candidates]


@families
def test_threads_do_not_change_restarts(family):
    one, two = (GMM(5, covariance_type=family, n_init=10, random_state=0, n_threads=n).fit(CLOUD) for n in (1, 2))
    assert_same_bits(one, two)


def test_a_callback_ends_the_whole_fit():
    states = []

    def stop(state):
        states.append(state)
        return state.iteration == 3

    model = GMM(4, n_init=10, tol=0, random_state=0, callback=stop).fit(CLOUD)
    assert len(states) == model.n_iter_ == 3 and len(model.diagnostics_.restarts) < 10


@families
@pytest.mark.parametrize("k", [2, 3, 7])
def test_split_and_merge_keeps_a_mixture(family, k):
    """Weights sum to one; the two that are merged and the one that is split keep their moments together."""
    weights, means, covariances = start_of(clusters(200, 3, k), k, family)
    before = Parameters.build(FAMILIES[family], weights, means, covariances)
    least, bounds = np.full(3, 1e-12), (np.full(3, -1e9), np.full(3, 1e9))
    for seed in range(10):
        sums = np.cumsum(closeness(before, least))[np.newaxis]
        after = split_and_merge(Sketches.of([before]), sums, bounds, np.random.default_rng(seed)).held(0, least)
        assert_allclose(after.weights.sum(), 1, rtol=1e-14)
        same = (after.means[:, None] == before.means).all(axis=2)
        assert k - 3 <= same.sum() <= k - 2
        assert_allclose(same.sum(axis=1) * after.weights, same @ before.weights, rtol=1e-14)
        if k > 2:
            assert_allclose(after.weights @ after.means, before.weights @ before.means, rtol=1e-12, atol=1e-12)
        if k > 2 and family == "full":
            moments = [np.einsum("c,cij->ij", p.weights, p.covariances + p.means[:, :, None] * p.means[:, None])
                       for p in (before, after)]  # fmt: skip
            assert_allclose(*moments, rtol=1e-10, atol=1e-10)


# Starts that the user makes


@families
@pytest.mark.parametrize("kind", ["means", "labels", "responsibilities"])
def test_a_function_is_a_start(family, kind):
    """It sees all rows, k and a RandomState; what it returns is where EM begins."""
    X = clusters(300, 3, 3)
    centres = X[[0, 100, 200]]
    labels = reference.squared_distances(X, centres).argmin(axis=1)
    returned = {"means": centres, "labels": labels, "responsibilities": np.eye(3)[labels]}[kind]
    seen = []

    def init(rows, n_components, random_state):
        seen.append((rows.shape, n_components, type(random_state)))
        return returned

    model = GMM(3, covariance_type=family, init_params=init, max_iter=0).fit(X)
    assert seen == [((300, 3), 3, np.random.RandomState)]
    weights, means, covariances = reference.maximise(X, None, np.eye(3)[labels], family, 1e-6)
    assert_allclose(model.weights_, weights, rtol=1e-12)
    assert_allclose(model.means_, means, rtol=1e-10, atol=1e-12)
    assert_allclose(model.covariances_, covariances, rtol=1e-9, atol=1e-12)
    given = returned if kind != "means" else labels
    same = GMM(3, covariance_type=family, responsibilities_init=given, max_iter=0).fit(X)
    assert_array_equal(same.means_, model.means_)


@pytest.mark.parametrize(
    "returned, fragment",
    [
        (np.zeros(3), "what init_params returned"),
        (None, "what init_params returned"),
        (np.full((300, 3), 2.0), "sum to one"),
    ],
)
def test_what_a_function_returns_is_checked(returned, fragment):
    with pytest.raises((ValueError, TypeError), match=fragment):
        GMM(3, init_params=lambda *_: returned).fit(clusters(300, 2, 3))


@pytest.mark.parametrize("last", [[0.0, 1.0, 0.0], [-1e-310, 1.0, 0.0], [1e308, 1e308, 1e308], [-1.0, 1.0, 1.0]])
def test_as_many_rows_as_components_and_features(last):
    """What a function returns is responsibilities if it can be, otherwise means."""
    returned = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], last])
    X = np.array([[0.0, 0.1, 1.0], [0.1, 0.0, 1.0], [0.8, 0.0, 0.1]])
    model = GMM(3, covariance_type="diag", init_params=lambda *_: returned, max_iter=0).fit(X)
    given = returned if min(last) >= 0 and max(last) <= 1 else [0, 0, 1]  # each row's nearest mean
    same = GMM(3, covariance_type="diag", responsibilities_init=given, max_iter=0).fit(X)
    assert_array_equal(same.means_, model.means_)


@families
def test_a_function_is_called_for_each_start(family):
    calls = []

    def init(X, n_components, random_state):
        calls.append(random_state.randint(2**31))
        return X[random_state.choice(len(X), n_components, replace=False)]

    GMM(3, covariance_type=family, init_params=init, n_init=4, random_state=0).fit(CLOUD)
    assert len(set(calls)) == 4


def test_a_function_sees_all_rows_each_time():
    """Also those of weight zero, and those that a start would leave out: its labels are of the rows given to it."""
    X = np.tile(CLOUD, (60, 1))
    weights, sizes = np.arange(len(X)) % 2, []

    def init(rows, n_components, random_state):
        sizes.append(len(rows))
        return random_state.randint(n_components, size=len(rows))

    GMM(2, init_params=init, n_init=3, random_state=0).fit(X, sample_weight=weights)
    assert sizes == [len(X)] * 3


# What is known of some components


@families
@pytest.mark.parametrize("names", [("means",), ("weights", "means"), ("weights", "means", "covariances")])
def test_known_components_stay_while_others_learn(family, names):
    """By masks. The known ones keep their bits, the others' weights share what is left, and the likelihood rises."""
    if family == "tied" and "covariances" in names:
        names = names[:2]
    X = clusters(600, 3, 4)
    start = start_of(X, 4, family)
    mask = np.array([True, False, False, True])
    known = GMM.from_parameters(*start, family)
    given = {
        "weights_init": np.where(mask, start[0], np.nan) if "weights" in names else None,
        "means_init": np.where(mask[:, None], start[1], np.nan),
        "precisions_init": known.precisions_,
    }
    model = GMM(4, covariance_type=family, fixed=dict.fromkeys(names, mask), tol=0, max_iter=30, reg_covar=0, **given)
    model.set_params(random_state=0).fit(X)
    for name, value in zip(("weights", "means", "covariances"), start, strict=True):
        learned = getattr(model, name + "_")
        if name == "covariances":
            value = known.set_params(max_iter=0).covariances_
        if name in names:
            assert_allclose(learned[mask], value[mask], rtol=1e-12)
            assert not np.isclose(learned[~mask], value[~mask]).all()
    assert_array_equal(model.means_[mask], start[1][mask])
    assert_allclose(model.weights_.sum(), 1, rtol=1e-14)
    assert np.all(np.diff(model.lower_bounds_) >= -1e-12)


@families
def test_masks_of_all_are_names(family):
    X = clusters(300, 3, 2)
    weights, means, _ = start_of(X, 2, family)
    arguments = {"covariance_type": family, "weights_init": weights, "means_init": means, "random_state": 0}
    by_name = GMM(2, fixed=("weights", "means"), **arguments).fit(X)
    by_mask = GMM(2, fixed={"weights": True, "means": [True, True], "covariances": [False, False]}, **arguments)
    assert_same_bits(by_name, by_mask.fit(X))


def test_unknown_components_are_found():
    """Of three clusters one is known: the start gives the others' means, and none of them twice."""
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [20, 0], [0, 20]])
    X = np.repeat(centres, 50, axis=0) + rng.standard_normal((150, 2))
    for known in range(3):
        means = np.full((3, 2), np.nan)
        means[1] = centres[known]
        found = GMM(3, means_init=means, random_state=0).fit(X).means_
        assert_allclose(found[1], centres[known], atol=1)
        assert_allclose(np.sort(found.sum(axis=1)), [0, 20, 20], atol=1)


def test_tied_covariances_are_fixed_together():
    with pytest.raises(ValueError, match="all or nothing"):
        GMM(2, covariance_type="tied", precisions_init=np.eye(2), fixed={"covariances": [True, False]}).fit(CLOUD)


def test_what_is_fixed_must_be_known():
    means = [[0.0, 0.0], [np.nan, np.nan]]
    GMM(2, means_init=means, fixed={"means": [True, False]}).fit(CLOUD)
    with pytest.raises(ValueError, match=r"means_init\[1\] is unknown"):
        GMM(2, means_init=means, fixed={"means": [False, True]}).fit(CLOUD)
