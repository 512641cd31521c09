"""EM by hand: E-steps of blocks, added up, and M-steps of the sums."""

import pickle

import numpy as np
import pytest

import reference
from cgmm import GMM, SufficientStatistics, expectation, maximisation
from problems import assert_same_fit, begin_at, clusters, start_of

X = clusters(3000, 4, 5)
ITERATIONS = 10
families = pytest.mark.parametrize("family", reference.FAMILIES)


def by_hand(model, blocks, iterations=ITERATIONS):
    for _ in range(iterations):
        model = maximisation(model, sum(expectation(model, *block) for block in blocks))
    return model


def model_of(start, family, **arguments):
    return GMM.from_parameters(*start, family).set_params(**arguments)


@families
def test_steps_are_a_fit(family):
    """To rounding: sums of blocks are rounded otherwise than sums of chunks."""
    start, w = start_of(X, 5, family), np.random.default_rng(0).uniform(size=len(X))
    with pytest.warns(UserWarning, match="did not converge"):
        whole = begin_at(start, family, max_iter=ITERATIONS).fit(X, sample_weight=w)
    blocks = [(X[part], w[part]) for part in (slice(0, 900), slice(900, 2000), slice(2000, None))]
    found = by_hand(model_of(start, family), blocks)
    assert_same_fit(found, whole, 1e-10)
    assert found.n_iter_ == ITERATIONS
    np.testing.assert_allclose(found.diagnostics_.effective_counts, whole.diagnostics_.effective_counts, rtol=1e-10)


@families
@pytest.mark.parametrize("fixed", ["weights", "means", "covariances"])
def test_what_is_fixed_stays(family, fixed):
    start = start_of(X, 5, family)
    found = by_hand(model_of(start, family, fixed=(fixed,), reg_covar=0.0), [(X,)], 2)
    for name, before in zip(("weights", "means", "covariances"), start, strict=True):
        assert np.array_equal(getattr(found, f"{name}_"), before) == (name == fixed)


@families
def test_a_component_without_rows_stays_where_it_was(family):
    weights, means, covariances = start_of(X, 5, family)
    means[2] += 1e6
    found = by_hand(model_of((weights, means, covariances), family), [(X,)], 1)
    assert found.weights_[2] == 0
    np.testing.assert_array_equal(found.means_[2], means[2])
    assert {repair.component for repair in found.diagnostics_.repairs} == {2}


def test_equal_rows_leave_a_density():
    """The floor under a variance is of the mixture's own."""
    rows = np.repeat(X[:5], 20, axis=0)
    found = by_hand(model_of(start_of(X, 5, "diag"), "diag", reg_covar=0.0), [(rows,)], 50)
    assert (found.covariances_ > 0).all()
    assert np.isfinite(found.score(rows))


def test_statistics_are_small_and_pickle():
    k, d = 5, 4
    found = expectation(model_of(start_of(X, 5, "full"), "full"), X)
    text = pickle.dumps(found)
    assert len(text) < 8 * k * (d * d + 2 * d + 1) + 1500
    again = pickle.loads(text) + found
    np.testing.assert_array_equal(again.second, 2 * found.second)


def test_zero_adds_nothing():
    found = expectation(model_of(start_of(X, 5, "full"), "full"), X)
    assert isinstance(found, SufficientStatistics)
    assert 0 + found is found
    assert found + 0 is found
    for other in (1, None, found.n_k.tolist()):
        with pytest.raises(TypeError):
            found + other
        with pytest.raises(TypeError):
            other + found


@pytest.mark.parametrize("prior, other, message", [
    ("default", {}, "prior must be None"),
    (None, {"k": 4}, "other components"),
    (None, {"family": "diag"}, "other components, features or covariances"),
    (None, {"weight": 0.0}, "no rows of positive weight"),
])  # fmt: skip
def test_what_makes_no_model(prior, other, message):
    family, k, weight = other.get("family", "full"), other.get("k", 5), other.get("weight", 1.0)
    theirs = model_of(start_of(X, k, family), family)
    with pytest.raises(ValueError, match=message):
        maximisation(
            model_of(start_of(X, 5, "full"), "full", prior=prior), expectation(theirs, X, np.full(len(X), weight))
        )
