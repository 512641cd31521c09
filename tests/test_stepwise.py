"""partial_fit: stepwise EM meets the fit of all rows, keeps what it knows, and survives what comes."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, NotFittedError, Prior
from cgmm.em.stepwise import Rates
from cgmm.fit.partial import HISTORY
from cgmm.mixture.families import FAMILIES
from cgmm.rows.partition import of_labels
from datasets import table
from problems import (
    assert_same_bits,
    assert_same_fit,
    batches,
    begin_at,
    clusters,
    learnt,
    mixture,
    rows_of,
    start_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
PARAMETERS = ("weights_", "means_", "covariances_")
X = clusters(3000, 3, 4)
FORGETTING = {"learning_rows": 1, "learning_decay": 0.5, "reg_covar": 0}  # 3000 rows leave e^-107 of what was


def given(family, rows=X, k=4, **arguments):
    return GMM.from_parameters(*start_of(rows, k, family), family).set_params(**arguments)


# Step sizes


@pytest.mark.parametrize("decay", [0.5, 0.6, 0.7, 1.0])
@pytest.mark.parametrize("half_life", [None, 20.0, 5000.0])
def test_steps_are_made_of_single_rows(decay, half_life):
    """Hundredths of them: ∫ du / m(u) as a sum; and as that over two halves."""
    rates = Rates(decay, 100.0, half_life)
    for first, weight in ((10, 40), (60, 200), (150, 3000), (9000, 500)):
        expected = sum(0.01 / rates.memory(first + 0.01 * i + 0.005) for i in range(100 * weight))
        assert_allclose(rates.passed(first, weight), expected, rtol=1e-4)
        halves = rates.passed(first, weight / 2) + rates.passed(first + weight / 2, weight / 2)
        assert_allclose(rates.passed(first, weight), halves, rtol=1e-10)


@pytest.mark.parametrize("decay", [0.6, 0.7, 1.0])
def test_steps_of_equal_batches_are_those_of_stepwise_em(decay):
    """t^−decay, between those at the batch's ends."""
    rates = Rates(decay, 1000.0)
    for t in range(1, 1000):
        passed = rates.passed(1000 * t, 1000)
        assert (t + 1) ** -decay < passed < t**-decay


def test_no_decay_is_a_mean():
    rates = Rates(1.0, 50.0)
    assert_allclose(np.exp(-rates.passed(30, 300)), 30 / 330, rtol=1e-12)
    assert rates.passed(0, 1) == np.inf
    assert_allclose(rates.memory(330), 330, rtol=1e-14)


# Statistics


@families
def test_statistics_about_other_points(family):
    """As if taken about those; and back, where the rows are far from the origin, with no digit lost."""
    labels, shift = np.arange(3000) % 4, np.arange(12.0).reshape(4, 3)
    own = of_labels(X, labels, 4, FAMILIES[family])
    moved = own.moved_to(shift)
    parts = [X[labels == c] - shift[c] for c in range(4)]
    second = np.array([part.T @ part for part in parts])
    expected = {"full": second, "tied": second.sum(axis=0), "diag": second.diagonal(axis1=1, axis2=2)}
    expected["spherical"] = second.trace(axis1=1, axis2=2)
    assert_allclose(moved.first, [part.sum(axis=0) for part in parts], rtol=1e-11)
    assert_allclose(moved.second, expected[family], rtol=1e-11)
    far = of_labels(X + 1e8, labels, 4, FAMILIES[family])  # exact: X lies on a grid
    back = far.moved_to(far.shift + 0.5).moved_to(far.shift)
    assert_allclose(back.second, own.second, rtol=0, atol=1e-12 * np.abs(own.second).max())


@pytest.mark.filterwarnings("ignore:reg_covar=0.3 is")
@families
@pytest.mark.parametrize("prior", [None, Prior(2.0, 3.0, degrees_of_freedom=50.0)])
def test_the_statistics_of_a_fit(family, prior):
    """Its M-step makes its parameters of them; of rows in other units and weights as well."""
    model = GMM(4, covariance_type=family, prior=prior, reg_covar=0.3, random_state=0).fit(X, sample_weight=8.0)
    state = vars(model)["_state"]
    found = state.fit.parameters.statistics(state.fit.n_k, state.settings.rules, state.fit.exponent)
    again, _ = state.fit.parameters.maximise(found, state.settings.rules)
    for name in ("weights", "means", "covariances"):
        assert_allclose(getattr(again, name), getattr(state.fit.parameters, name), rtol=1e-10, atol=1e-12)


# Steps


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_of_size_one_is_an_iteration(family, dtype):
    """float32: sums of as many rounding errors, of 6e-8 each."""
    rows = X.astype(dtype)
    ours = given(family, **FORGETTING).partial_fit(rows)
    expected = begin_at(start_of(X, 4, family), family, max_iter=1, reg_covar=0).fit(rows)
    assert_same_fit(ours, expected, rtol=1e-12 if dtype == np.float64 else 1e-5, names=PARAMETERS)
    assert_allclose(ours.lower_bound_, expected.lower_bound_, rtol=1e-12 if dtype == np.float64 else 1e-6)


@families
def test_with_decay_one_statistics_add_up(family):
    """Of an iteration on some rows, and of others under the parameters that it left: NumPy's M-step of both."""
    start = start_of(X, 4, family)
    model = begin_at(start, family, max_iter=1, reg_covar=0, learning_decay=1.0).fit(X[:1000])
    first = reference.responsibilities(X[:1000], *start, family)
    second = reference.responsibilities(X[1000:], model.weights_, model.means_, model.covariances_, family)
    weights, means, covariances = reference.maximise(X, None, np.vstack([first, second]), family)
    model.partial_fit(X[1000:])
    assert_allclose(model.weights_, weights, rtol=1e-10)
    assert_allclose(model.means_, means, rtol=1e-10, atol=1e-10)
    assert_allclose(model.covariances_, covariances, rtol=1e-9, atol=1e-9)
    assert_allclose(model.diagnostics_.effective_counts.sum(), 3000, rtol=1e-12)


@families
def test_weight_two_is_the_row_twice(family):
    """And weight zero is no row."""
    counts = np.arange(3000) % 3
    weighted, repeated = given(family), given(family)
    for part in (slice(0, 2000), slice(2000, 3000)):
        weighted.partial_fit(X[part], sample_weight=counts[part])
        repeated.partial_fit(X[part].repeat(counts[part], axis=0))
    assert_same_fit(weighted, repeated, rtol=1e-11, names=(*PARAMETERS, "lower_bounds_"))


@families
@pytest.mark.parametrize("size", [0.25, 1e6, 1e300])
def test_weights_of_any_size(family, size):
    """They are numbers of rows, as `learning_rows` and `forget` are: in another unit, the same."""
    one = learnt(given(family, learning_rows=2**10, forget=2**12), X, 1000)
    other = given(family, learning_rows=2**10 * size, forget=2**12 * size)
    for batch in batches(X, (1000,)):
        other.partial_fit(batch, sample_weight=size)
    assert_same_fit(one, other, rtol=1e-9, names=PARAMETERS)


@families
def test_rows_of_no_weight_change_nothing(family):
    """But for rounding: 1e-300 of a row beside 1000 that given parameters count for."""
    model = given(family, reg_covar=0).partial_fit(X, sample_weight=1e-300)
    for name, expected in zip(PARAMETERS, start_of(X, 4, family), strict=True):
        assert_allclose(getattr(model, name), expected, rtol=1e-13, atol=1e-13)


@families
@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(family, n_threads):
    rows = clusters(9000, 5, 7)
    one, many = (
        learnt(GMM(7, covariance_type=family, random_state=0, n_threads=n), rows, 5000, 17, 300) for n in (1, n_threads)
    )
    assert_same_bits(one, many)


# Where it leads to


def stream_of(name):
    """Rows, a family and a number of components."""
    if name == "mixture":
        truth = mixture("full", 5, 6, np.random.default_rng(1))
        return rows_of(truth, 20_000, np.random.default_rng(2)), "full", 6
    return {"faithful": (table("faithful"), "full", 2), "iris": (table("iris"), "tied", 3)}[name]


@pytest.mark.parametrize("name", ["mixture", "faithful", "iris"])
@pytest.mark.parametrize("sizes", [(1, 400, 20, 3), (50,)])
def test_meets_the_fit_of_all_rows(name, sizes):
    """From the same start. An estimate of m rows is p / 2m nats a row below the optimum, for p parameters, in the
    mean; the rows that are remembered are not quite all alike, so thrice that is allowed."""
    rows, family, k = stream_of(name)
    rows = np.random.default_rng(0).permutation(rows)
    full = GMM(k, covariance_type=family, tol=1e-10, max_iter=10_000, n_init=3, random_state=0).fit(rows)
    ours = GMM(k, covariance_type=family, n_init=3, random_state=0)
    learnt(ours, rows, *sizes, passes=4 if len(rows) > 10_000 else 40)
    remembered = ours.diagnostics_.effective_counts.sum()
    assert abs(ours.score(rows) - full.score(rows)) < 1.5 * ours._n_parameters() / remembered


def drifting(n):
    """Rows of two clusters that move by 40 while n come, each with a standard deviation of 1."""
    rng = np.random.default_rng(4)
    centres = np.where(np.arange(n) % 2 == 0, 0.0, 15.0) + np.linspace(0, 40, n)
    return (centres + rng.standard_normal(n))[:, np.newaxis]


@families
@pytest.mark.parametrize("sizes", [(1,), (100,), (3, 250)])
def test_a_stream_that_moves_is_followed_by_one_that_forgets(family, sizes):
    """At a lag of as many rows as it remembers, 289 of 8000, over which it moves by 1.4."""
    ours = learnt(GMM(2, covariance_type=family, forget=200, random_state=0), drifting(8000), *sizes)
    assert_allclose(np.sort(ours.means_[:, 0]), [40 - 1.4, 55 - 1.4], atol=0.6)
    assert_allclose(ours.weights_, 0.5, atol=0.05)


@families
@pytest.mark.parametrize("sizes", [(100,), (3, 250)])
def test_one_that_does_not_forget_stays_behind(family, sizes):
    keeps = learnt(GMM(2, covariance_type=family, learning_rows=200, random_state=0), drifting(8000), *sizes)
    assert keeps.means_.mean() < 45


@families
def test_rows_far_from_the_origin(family):
    """Lose nothing but their means' last digits: 1e8 is added exactly, and means are rounded to 1.5e-8."""
    near, far = (learnt(GMM(4, covariance_type=family, random_state=0), X + shift, 700, 1) for shift in (0, 1e8))
    assert_allclose(far.means_ - 1e8, near.means_, rtol=0, atol=1e-6)
    assert_allclose(far.covariances_, near.covariances_, rtol=0, atol=1e-6 * np.abs(near.covariances_).max())
    assert_allclose(far.weights_, near.weights_, rtol=1e-6)


# What it goes on from


@pytest.mark.filterwarnings("ignore:reg_covar=1 is")
@families
@pytest.mark.parametrize("prior", [None, Prior(degrees_of_freedom=500.0)])
def test_a_fit_counts_as_its_rows(family, prior):
    """A row beside 3000 of them moves little, and neither prior nor reg_covar is counted twice."""
    model = GMM(4, covariance_type=family, reg_covar=1.0, prior=prior, learning_decay=1.0, tol=1e-9, max_iter=1000)
    model.set_params(random_state=0).fit(X)
    before = copy.deepcopy(model)
    model.partial_fit(X[:1])
    assert_same_fit(model, before, rtol=2e-2, names=PARAMETERS)
    assert not np.array_equal(model.means_, before.means_)
    assert model.n_iter_ == before.n_iter_ + 1 and not model.converged_
    assert_array_equal(model.lower_bounds_[:-1], before.lower_bounds_)
    assert_allclose(model.lower_bound_, before.score(X[:1]), rtol=1e-12)


def test_a_fit_goes_on_from_a_stream(tmp_path):
    """And does not take the last batch's likelihood for that of its rows: whatever tol, there are two iterations."""
    model = GMM(4, random_state=0, warm_start=True, tol=1e9).partial_fit(X).partial_fit(X)
    for own in (saved(model, tmp_path / "model.npz"), model):
        assert own.fit(X).n_iter_ == 2 and own.converged_
        assert own.fit(X).n_iter_ == 1


def test_given_parameters_count_as_learning_rows():
    model = given("full", learning_rows=1000, learning_decay=1.0).partial_fit(X[:1000])
    expected = (given("full").weights_ + given("full", **FORGETTING).partial_fit(X[:1000]).weights_) / 2
    assert_allclose(model.weights_, expected, rtol=1e-10)


def saved(model, path):
    model.save(path)
    return GMM.load(path)


COPIES = {
    "copied": lambda model, path: copy.deepcopy(model),
    "pickled": lambda model, path: pickle.loads(pickle.dumps(model)),
    "saved": saved,
}


@families
@pytest.mark.parametrize(
    "begun, way", [*product(["fit", "stream"], COPIES), ("few rows", "copied"), ("few rows", "pickled")]
)
def test_copies_go_on_to_the_same_bits(way, family, begun, tmp_path):
    model = GMM(4, covariance_type=family, random_state=0)
    if begun == "fit":
        model.fit(X[:1500], sample_weight=3.0)
    else:
        learnt(model, X[:1500] if begun == "stream" else X[:300], 100)
    other = COPIES[way](model, tmp_path / "model.npz")
    for again in (model, other):
        learnt(again, X[1500:], 100)
    assert_same_bits(model, other, names=(*PARAMETERS, "lower_bounds_", "n_iter_"))


def test_a_file_of_few_rows_goes_on(tmp_path):
    model = GMM(4, random_state=0).partial_fit(X[:100])
    other = saved(model, tmp_path / "model.npz").partial_fit(X[100:])
    assert np.isfinite(other.score(X)) and other.n_iter_ == model.n_iter_ + 1


# Starts


def test_rows_are_gathered_until_a_start_can_be_made():
    """What is gathered is a copy, and is as much as a fit of these rows once there are enough."""
    model, rows = GMM(4, random_state=0, learning_rows=500), X.copy()
    model.partial_fit(rows[:3])
    with pytest.raises(NotFittedError):
        model.predict(X)
    rows[:3] = 7.0
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(X[:, :2])
    learnt(model, X[3:499], 1, 20)
    assert len(vars(model)["_state"].gathered.batch.part.rows) == 499
    model.partial_fit(X[499:510])
    assert vars(model)["_state"].gathered is None
    assert_same_bits(model, GMM(4, random_state=0).fit(X[:510]))
    assert_same_bits(copy.deepcopy(model).fit(X), GMM(4, random_state=0).fit(X))


def test_no_more_is_gathered_than_is_remembered():
    model = GMM(4, random_state=0, forget=100).partial_fit(X[:200])
    assert vars(model)["_state"].gathered is None
    assert_allclose(model.partial_fit(X[200:]).diagnostics_.effective_counts.sum(), 100 / np.log(2), rtol=1e-12)


def test_names_of_features():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = GMM(4, random_state=0).partial_fit(frame[:2]).partial_fit(frame).partial_fit(frame)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="names should match"):
        model.partial_fit(frame[["b", "a", "c"]])
    with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
        model.partial_fit(X)
    assert caught[0].filename == __file__ and model.feature_names_in_.tolist() == ["a", "b", "c"]


def test_weights_are_gathered():
    model = GMM(4, random_state=0, learning_rows=500)
    model.partial_fit(X[:100]).partial_fit(X[100:600], sample_weight=np.arange(500) % 3)
    assert_allclose(model.diagnostics_.effective_counts.sum(), 100 + np.sum(np.arange(500) % 3), rtol=1e-12)


@families
def test_a_start_is_given(family):
    """Means that stay are fixed in each step; the others learn."""
    start = start_of(X, 4, family)
    mask = np.array([True, False, False, True])
    model = learnt(begin_at(start, family, fixed={"means": mask}), X, 1200, 1)
    assert_array_equal(model.means_[mask], start[1][mask])
    assert (np.abs(model.means_ - start[1])[~mask] > 1e-3).all()
    assert_allclose(model.weights_.sum(), 1)


# Blocks


def test_each_block_is_a_step():
    """Of a list, of a function, and of an iterator, which others cannot use; empty ones are none."""
    blocks = batches(X, (1100, 1, 399))
    expected = learnt(GMM(4, random_state=0), X, 1100, 1, 399)
    for source in (blocks, lambda: iter(blocks), iter([np.empty((0, 3)), *blocks])):
        assert_same_bits(GMM(4, random_state=0).partial_fit(source), expected, names=(*PARAMETERS, "n_iter_"))
    weighted = GMM(4, random_state=0).partial_fit([(block, np.ones(len(block))) for block in blocks])
    assert_same_fit(weighted, expected, rtol=1e-9, names=PARAMETERS)


@pytest.mark.parametrize("begun", [True, False])
def test_what_fails_changes_nothing(begun):
    model = GMM(4, random_state=0)
    if begun:
        model.partial_fit(X)
    bad = X.copy()
    bad[5, 1] = np.nan
    before = dict(vars(model))
    for rows, weights, fault in (
        (X[:, :2], None, "2 features" if begun else None),
        (bad, None, r"NaN: the first is X\[5, 1\]"),
        (X, np.zeros(3000), "zero for every row"),
        (X, -np.ones(3000), "negative"),
        ([X, bad], None, "block 1: Input X contains NaN"),
        ([X, X[:, :2]], None, "block 1: X has 2 features"),
        (iter([]), None, "no rows"),
        (X[:0], None, "0 sample"),
    ):
        if fault:
            with pytest.raises(ValueError, match=fault):
                model.partial_fit(rows, sample_weight=weights)
        assert vars(model) == before
    with pytest.raises(ValueError, match="no finite sum"):
        model.partial_fit([(X, np.full(3000, 5e304))] * 2)
    with pytest.raises(ValueError, match=r"partial_fit cannot continue.*n_components=4.*5.*begin with fit"):
        GMM(4, random_state=0).partial_fit(X).set_params(n_components=5).partial_fit(X)
    assert vars(model) == before


@pytest.mark.parametrize(
    "argument, bad", [("learning_decay", 0.4), ("learning_rows", 0), ("forget", "a"), ("tol", -1), ("n_components", 0)]
)
def test_arguments_are_checked(argument, bad):
    with pytest.raises(ValueError, match=argument):
        GMM(**{argument: bad}).partial_fit(X)


def test_the_history_is_bounded():
    model = given("diag")
    learnt(model, X[: HISTORY + 10], 1)
    assert len(model.lower_bounds_) == HISTORY and model.n_iter_ == HISTORY + 10
