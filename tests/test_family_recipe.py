"""A family that a newcomer adds is its own: each way to fit it gives the fit of its formulas, not of what it resembles.

Compiled iterations know the four families. A subclass of one of them that changes a formula, and a family that has the
same moments as one of them, must not be taken for it.
"""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgmm import GMM, _kernels
from cgmm.mixture.families import FAMILIES, Diag, Full, Spherical
from cgmm.rows.pruning import guide_of
from problems import assert_same_bits, assert_same_fit, clusters, mixture, patterns_of, rows_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning", "ignore::cgmm.DegenerateWarning")
K = 3
FLOOR = 0.95  # of Floored: some clusters' variances in some features are less, others are more


class Halved(Full):
    """Covariances divided by twice the weight of their rows."""

    name = "halved"

    def counts(self, n_k, d):
        return 2 * super().counts(n_k, d)


class Floored(Diag):
    """Variances of at least FLOOR."""

    name = "floored"

    def least(self, least):
        return np.maximum(least, FLOOR)


class Equal(Spherical):
    """One variance for all components and features (mclust's EII), kept k times."""

    name = "equal"
    per_component = False

    def n_parameters(self, k, d):
        return 1

    def counts(self, n_k, d):
        """A k-th of d Σ n_c, so that the mean of the quotients is Σ_c W_c / (d Σ n_c)."""
        return np.full(len(n_k), d * n_k.sum() / len(n_k))

    def keep(self, covariances, components, previous):
        return covariances

    def hold(self, covariances, least, reg_covar, n_threads=1):
        return super().hold(np.full_like(covariances, covariances.mean()), least, reg_covar, n_threads)


TOYS = {toy.name: toy for toy in (Halved(), Floored(), Equal())}


def family_table():
    """Where the name of a family leads to it."""
    return FAMILIES


@pytest.fixture(params=TOYS)
def toy(request, monkeypatch):
    monkeypatch.setitem(family_table(), request.param, TOYS[request.param])
    return request.param


def rows(n=600):
    return clusters(n, 4, K)


def same_means(X, k, random_state):
    """A start at the same means, however many rows there are and whatever their weights."""
    return np.quantile(rows(), np.linspace(0.1, 0.9, k), axis=0)


def fit(toy, X, w=None, **arguments):
    model = GMM(K, covariance_type=toy, **{"random_state": 0, "tol": 0, "max_iter": 25, **arguments})
    return model.fit(X, sample_weight=w)


def watched(toy, X, w=None, **arguments):
    """A fit whose iterations are made one by one, by the family's own methods."""
    return fit(toy, X, w, callback=lambda state: None, **arguments)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("n_init", [1, 6])
def test_a_fit_is_the_same_bits_whether_it_is_watched(n_init, dtype, toy):
    X = rows().astype(dtype)
    assert_same_bits(fit(toy, X, n_init=n_init), watched(toy, X, n_init=n_init))


def test_a_fit_is_the_same_bits_from_blocks(toy):
    X = rows(20_000)
    whole = fit(toy, X)
    assert_same_bits(fit(toy, lambda: (X[at : at + 3001] for at in range(0, len(X), 3001))), whole)
    assert_same_bits(watched(toy, X), whole)


def test_a_weight_of_two_is_the_row_twice(toy):
    """To rounding, which 25 iterations increase."""
    X = rows()
    w = np.random.default_rng(0).integers(1, 3, size=len(X))
    weighted = fit(toy, X, w.astype(float), init_params=same_means)
    assert_same_bits(weighted, watched(toy, X, w.astype(float), init_params=same_means))
    assert_same_fit(weighted, fit(toy, np.repeat(X, w, axis=0), init_params=same_means), 1e-9)


def test_rows_that_may_have_gaps_and_have_none_are_the_same_bits(toy):
    X = rows()
    assert_same_bits(fit(toy, X, missing="marginal"), fit(toy, X))


def test_rows_with_gaps_are_fitted_by_the_same_formulas(toy):
    """One value in 2400 is missing: the fit is near that of all values, and not near another family's."""
    X = rows()
    gapped = X.copy()
    gapped[7, 2] = np.nan
    found = fit(toy, gapped, missing="marginal", init_params=same_means)
    assert_same_bits(found, watched(toy, gapped, missing="marginal", init_params=same_means))
    assert_same_fit(found, fit(toy, X, init_params=same_means), 0.02)
    resembled = next(base.name for base in type(TOYS[toy]).__mro__ if base.__dict__.get("compiled"))
    assert not np.allclose(found.covariances_, fit(resembled, X, init_params=same_means).covariances_, rtol=0.02)


def test_an_empty_component_has_what_all_share_or_keeps_its_own(toy):
    X = rows()
    means = np.concatenate([X[:2], np.full((1, 4), 1e7)])
    start = {"means_init": means, "fixed": {"means": [True, False, False]}, "reg_covar": 0.1}  # none begins again
    before, after = fit(toy, X, max_iter=3, **start), fit(toy, X, **start)
    assert after.weights_[2] == 0
    expected = after.covariances_[0] if toy == "equal" else before.covariances_[2]
    np.testing.assert_array_equal(after.covariances_[2], expected)


def test_each_toy_is_fitted_by_its_formula(toy):
    """The M-step's own equation, at the responsibilities of the parameters before."""
    X = rows()
    model = fit(toy, X, max_iter=24, init_params=same_means, reg_covar=0)
    r = model.predict_proba(X)
    n_k = r.sum(axis=0)
    away = X - (r.T @ X / n_k[:, None])[:, None]
    scatter = np.einsum("ic,cij,cil->cjl", r, away, away)
    variances = np.einsum("cjj->cj", scatter)
    expected = {
        "halved": scatter / (2 * n_k[:, None, None]),
        "floored": np.maximum(variances / n_k[:, None], FLOOR),
        "equal": np.full(K, variances.sum() / X.size),
    }[toy]
    found = fit(toy, X, init_params=same_means, reg_covar=0).covariances_
    assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_the_floor_is_one_that_matters():
    covariances = GMM(K, covariance_type="diag", random_state=0).fit(rows()).covariances_
    assert covariances.min() < FLOOR < covariances.max()


def test_a_subclass_does_not_inherit_that_it_is_compiled():
    class Renamed(Full):
        pass

    class Known(Full):
        compiled = True

    class Child(Known):
        pass

    assert [family.compiled for family in (Full, Renamed, Known, Child)] == [True, False, True, False]
    assert {family.name for family in FAMILIES.values() if family.compiled} == set(_kernels.FAMILIES)


def with_moment(name, moment):
    """Parameters (k = 3, d = 5) of a family that differs from another in the moments that it asks for."""
    found = mixture(name, 5, 3, np.random.default_rng(0))
    base = type(found.family)
    return replace(found, family=type("Asking", (base,), {"moment": moment})())


def some_rows(gaps):
    X = rows_of(mixture("full", 5, 3, np.random.default_rng(0)), 200, np.random.default_rng(1))
    if gaps:
        X[np.random.default_rng(2).random(X.shape) < 0.3] = np.nan
    return X


@pytest.mark.parametrize("gaps", [False, True])
def test_moments_are_those_that_the_family_asks_for(gaps):
    """With one covariance for all components, each component's own second moments add up to the pooled ones."""
    X = some_rows(gaps)
    each, pooled = (patterns_of(X).statistics(with_moment("tied", moment)) for moment in ("full", "pooled"))
    assert_allclose(each.second.sum(axis=0), pooled.second, rtol=0, atol=1e-11 * np.abs(pooled.second).max())
    assert_allclose(each.n_k, pooled.n_k, rtol=1e-12)


@pytest.mark.parametrize(
    "name, moment, gaps",
    [
        ("full", "radial", False),
        ("tied", "radial", False),
        ("diag", "radial", False),
        ("full", "radial", True),
        ("full", "diag", True),
        ("full", "pooled", True),
        ("tied", "diag", True),
        ("diag", "full", True),
        ("spherical", "pooled", True),
    ],
)
def test_moments_that_a_pass_cannot_add_up_are_refused(name, moment, gaps):
    with pytest.raises(ValueError, match=f"{moment} moments"):
        patterns_of(some_rows(gaps)).statistics(with_moment(name, moment))


def test_a_guided_pass_refuses_moments_that_it_cannot_add_up():
    found = mixture("tied", 9, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="cannot add up pooled moments"):
        _kernels.expectation(np.zeros((5, 9)), found.density, "pooled", guide=guide_of(found, np.dtype(float)))
