"""Iterations in one compiled call: the bits of Python's one by one; and what they are made of, beside NumPy."""

from contextlib import nullcontext as nothing

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import degenerate
import parsimonious
import reference
from cgmm import GMM, DegenerateWarning, _kernels
from cgmm.em import loop
from cgmm.em.stage import History
from cgmm.mixture.density import weighted_median
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.second import SECOND_MOMENTS
from cgmm.mixture.statistics import EMPTY
from cgmm.rows.part import Part
from cgmm.rows.partition import of_labels, of_partition
from cgmm.rows.place import InMemory
from problems import CHUNK, FITTED, assert_same_bits, clusters, mixture, rows_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning", "ignore::cgmm.DegenerateWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
all_families = pytest.mark.parametrize("family", [*reference.FAMILIES, *parsimonious.OWN])
shared = pytest.mark.parametrize("family", parsimonious.OWN)  # families whose components share something
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
SHAPES = [(3, 1, 1), (7, 2, 1), (33, 3, 2), (CHUNK + 1, 5, 7), (3 * CHUNK, 17, 9), (300, 9, 40), (9 * CHUNK, 2, 5)]


def watched(model, X, w=None):
    """A fit whose every iteration someone looks at, and one that nobody does: fitted attributes and what they tell."""
    one = model.fit(X, sample_weight=w)
    other = GMM(**{**model.get_params(), "callback": lambda state: None}).fit(X, sample_weight=w)
    assert_same_bits(one, other, names=(*FITTED, "n_iter_", "converged_", "precisions_cholesky_"))
    assert str(one.diagnostics_) == str(other.diagnostics_)
    return one


@families
@types
@pytest.mark.parametrize("n, d, k", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_whether_a_fit_is_watched_changes_no_bit(weighted, n, d, k, dtype, family):
    w = np.random.default_rng(n).integers(0, 3, size=n) + 0.5 if weighted else None
    model = GMM(k, covariance_type=family, tol=1e-8, max_iter=60, n_init=2, random_state=0)
    watched(model, clusters(n, d, k).astype(dtype), w)


@shared
@types
@pytest.mark.parametrize("n, d, k", [(7, 2, 1), (60, 1, 2), (33, 3, 2), (CHUNK + 1, 5, 7), (500, 20, 9)])
def test_nor_where_components_share_something(n, d, k, dtype, family):
    w = np.random.default_rng(n).integers(0, 3, size=n) + 0.5
    watched(GMM(k, covariance_type=family, tol=1e-8, max_iter=30, random_state=0), clusters(n, d, k).astype(dtype), w)


@all_families
@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
@pytest.mark.parametrize("name", degenerate.names())
def test_nor_where_rows_are_degenerate(name, reg_covar, family):
    case = degenerate.case(name)
    watched(GMM(case.n_components, covariance_type=family, reg_covar=reg_covar, random_state=0), case.X)


@all_families
@pytest.mark.parametrize("d", [1, 7, 8, 9, 17, 33])
def test_nor_where_variances_are_held_in_features_of_many_scales(d, family):
    """A component of one row in each fit; a floor is summed over the features."""
    for seed in range(20 if family in reference.FAMILIES else 3):
        X = np.random.default_rng(seed).normal(size=(5, d)) * 10.0 ** np.linspace(-4, 4, d)
        watched(GMM(4, covariance_type=family, reg_covar=0, random_state=seed), X)


@all_families
def test_nor_where_float32_does_not_do(family):
    """Clusters so narrow beside their distance that the pass turns to float64, at once or while components shrink."""
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 0.0], [1.0, 3.0], [4.0, -1.0]], 200, axis=0)
    for width in (1e-1, 1e-3, 1e-4, 1e-5):
        rows = (X + width * rng.standard_normal(X.shape)).astype(np.float32)
        watched(GMM(3, covariance_type=family, reg_covar=0, tol=1e-9, init_params="random", random_state=0), rows)


@families
@types
def test_ordinary_fits_are_not_left_to_python(dtype, family, monkeypatch):
    def iterate(*_):
        raise AssertionError("an iteration in Python")

    monkeypatch.setattr(loop, "iterate", iterate)
    X = clusters(500, 4, 3).astype(dtype)
    assert GMM(3, covariance_type=family, random_state=0, n_init=3).fit(X).converged_
    GMM(5, covariance_type=family, random_state=0).fit(clusters(9 * CHUNK, 2, 5).astype(dtype))  # no pass is pruned
    X[:, 1] = 7.0  # held in each iteration
    with pytest.warns(DegenerateWarning, match="singular") if family != "spherical" else nothing():
        GMM(3, covariance_type=family, reg_covar=0, random_state=0).fit(X)


@shared
@types
def test_nor_are_those_of_families_that_share(dtype, family, monkeypatch):
    def iterate(*_):
        raise AssertionError("an iteration in Python")

    monkeypatch.setattr(loop, "iterate", iterate)
    assert GMM(3, covariance_type=family, random_state=0, n_init=3).fit(clusters(500, 4, 3).astype(dtype)).converged_


@pytest.mark.parametrize("family", ["E", "V"])
def test_of_one_feature_a_fit_is_compiled_too(family):
    watched(GMM(3, covariance_type=family, tol=1e-8, random_state=0), clusters(300, 1, 3))


def test_a_compiled_m_step_refuses_the_moments_of_another_family():
    X = clusters(50, 4, 3)
    with pytest.raises(ValueError, match="M-step of full covariances does not take diag moments"):
        _kernels.Iterations(X, 3, "diag", "full", None, (np.ones(4), *[1.0] * 8), None, 1)


def as_moments(full, family):
    """Second moments (k, d, d) in the form that the kernels accumulate."""
    if family in ("full", "tied"):
        return full if family == "full" else full.sum(axis=0)
    return np.einsum("cjj->cj" if family == "diag" else "cjj->c", full)


@families
@pytest.mark.parametrize("n, d, k", SHAPES)
def test_central_moments(n, d, k, family):
    """(second − Σ mass · offset offsetᵀ) / counts, as the family divides."""
    rng = np.random.default_rng([n, d, k])
    found = FAMILIES[family]
    shift, first, n_k = rng.normal(size=(k, d)), rng.normal(size=(k, d)), rng.uniform(1, 5, size=k)
    full = rng.normal(size=(k, d, d))
    full = full @ full.transpose(0, 2, 1)
    second, counts = as_moments(full, family), found.counts(n_k, d)
    offsets, means, covariances = _kernels.central_moments(found.moment, n_k, np.ravel(counts), first, second, shift)
    assert_array_equal(offsets, first / n_k[:, None])
    assert_array_equal(means, shift + offsets)
    scatter = SECOND_MOMENTS[found.moment].scatter(n_k, offsets)
    assert_allclose(covariances, (second - scatter) / counts, rtol=1e-13, atol=1e-13 * np.abs(second).max())
    if found.correlated:
        assert_array_equal(covariances, np.swapaxes(covariances, -1, -2))
    with pytest.raises(ValueError, match="do not fit"):
        _kernels.central_moments(found.moment, n_k, np.ones(k + 2), first, second, shift)


@families
@pytest.mark.parametrize("n, d, k", SHAPES)
def test_reach(n, d, k, family):
    """The largest variance of a feature over that left of it in a component, given those before it: 1 / P_jj²."""
    found = mixture(family, d, k, np.random.default_rng([d, k]))
    full = reference.expand(found.covariances, family, k, d)
    left = np.diagonal(np.linalg.cholesky(full), axis1=1, axis2=2) ** 2
    away = found.means - found.weights @ found.means
    spread = found.weights @ (np.diagonal(full, axis1=1, axis2=2) + away**2)
    assert_allclose(found.reach, (spread / left).max(), rtol=1e-12)


@pytest.mark.parametrize("n, d, k", SHAPES)
def test_the_weighted_median_is_where_half_of_the_weight_is_passed(n, d, k):
    rng = np.random.default_rng([d, k])
    means, weights = rng.integers(0, 4, (k, d)).astype(float), rng.dirichlet(np.ones(k))  # some are equal
    found = weighted_median(means, weights)
    for j in range(d):
        below = weights[means[:, j] < found[j]].sum()
        assert below < 0.5 <= below + weights[means[:, j] == found[j]].sum() + 1e-12


def test_a_history_that_two_runs_go_on_from_is_neithers():
    both = History([1.0, 2.0])
    one = both.and_then(3.0, 4.0)
    other = both.and_then(5.0)
    assert [*map(list, (both, one, other))] == [[1, 2], [1, 2, 3, 4], [1, 2, 5]]
    assert list(History().and_then(6.0)) == [6.0] and not len(History())


def test_a_history_that_goes_on_is_not_copied():
    """It would be in each of a million iterations."""
    history = History([1.0])
    assert history.and_then(2.0)._shared is history._shared


@families
@pytest.mark.parametrize("n, d, k", SHAPES)
def test_log_norms(n, d, k, family):
    found = mixture(family, d, k, np.random.default_rng([d, k]))
    log_det = np.linalg.slogdet(reference.expand(found.covariances, family, k, d))[1]
    expected = np.log(found.weights) - 0.5 * log_det - 0.5 * d * np.log(2 * np.pi)
    assert_allclose(found.density.log_norm, expected, rtol=1e-12, atol=1e-12)


@families
@types
@pytest.mark.parametrize("n, d, k", [*SHAPES, (2 * CHUNK + 7, 33, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_labels(weighted, n, d, k, dtype, family, target):
    """Those of a one-hot E-step; the last component is empty where there are two."""
    rng = np.random.default_rng([n, d, k])
    X = rows_of(mixture(family, d, k, rng), n, rng)
    labels = rng.integers(max(k - 1, 1), size=n)
    w = rng.integers(0, 3, size=n).astype(float) if weighted else None
    found = of_labels(X.astype(dtype), labels, k, FAMILIES[family], w)
    one_hot = np.eye(k)[labels]
    expected = reference.statistics(X, w, one_hot, found.shift)
    second = as_moments(expected["second"], family)
    eps = np.finfo(dtype).eps
    assert_allclose(found.n_k, expected["n_k"], rtol=4 * eps)
    assert_allclose(found.second, second, rtol=0, atol=50 * eps * max(np.abs(second).max(), 1))
    assert_allclose(found.first, expected["first"], rtol=0, atol=50 * eps * max(np.abs(second).max(), 1) + n * eps)
    mass = one_hot.T @ (np.ones(n) if w is None else w)
    mean = (one_hot * (1 if w is None else w[:, None])).T @ X / np.maximum(mass, 1)[:, None]
    assert_allclose(found.shift[mass > 0], mean[mass > 0], rtol=0, atol=20 * eps * np.abs(X).max())
    assert_allclose(found.shift[mass == 0], np.tile(X.mean(axis=0), (np.count_nonzero(mass == 0), 1)), rtol=1e-6)


@families
@types
@pytest.mark.parametrize("n, d, k", [*SHAPES, (2 * CHUNK + 7, 33, 3), (70, 150, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_shares(weighted, n, d, k, dtype, family, target):
    """Half of the shares are zero, and all of the last component where there are two."""
    rng = np.random.default_rng([n, d, k])
    X = rows_of(mixture(family, d, k, rng), n, rng).astype(dtype)
    shares = rng.random((n, k)) * (rng.random((n, k)) < 0.5)
    shares[:, 1:][:, -1:] = 0.0
    w = rng.integers(0, 3, size=n).astype(float) if weighted else None
    found = of_partition(InMemory(Part(X, w)), shares, k, FAMILIES[family])
    expected = reference.statistics(X.astype(float), w, shares, found.shift)
    second = as_moments(expected["second"], family)
    eps = np.finfo(dtype).eps
    assert_allclose(found.n_k, expected["n_k"], rtol=50 * eps)
    assert_allclose(found.second, second, rtol=0, atol=50 * eps * max(np.abs(second).max(), 1))
    assert_allclose(found.first, expected["first"], rtol=0, atol=50 * eps * max(np.abs(second).max(), 1) + n * eps)
    mean = expected["first"] / np.where(expected["n_k"] > 0, expected["n_k"], 1)[:, None] + found.shift
    assert_allclose(found.shift, np.where(expected["n_k"][:, None] > 0, mean, X.mean(axis=0)), rtol=1e-5, atol=1e-6)


@families
def test_moments_of_a_partition_in_threads(family):
    """The same bits for any number."""
    rng = np.random.default_rng(0)
    X, shares = rng.normal(size=(900, 130)), rng.dirichlet(np.ones(5), size=900)
    for partition in (shares, shares.argmax(axis=1)):
        one, two, four = (
            of_partition(InMemory(Part(X)), partition, 5, FAMILIES[family], n_threads) for n_threads in (1, 2, 4)
        )
        for other in (two, four):
            for name in ("n_k", "first", "second", "shift"):
                assert_array_equal(getattr(one, name), getattr(other, name))


def test_labels_that_are_none_are_refused():
    X = clusters(5, 2, 2)
    for labels in ([0, 1, 2, 0, 1], [0, 1, -1, 0, 1]):
        with pytest.raises(ValueError, match="labels must be 0 … 1"):
            _kernels.moments_of_labels(X, np.array(labels), 2, "full", EMPTY)
    with pytest.raises(ValueError, match="4 labels for 5 rows"):
        _kernels.moments_of_labels(X, np.zeros(4, dtype=np.intp), 2, "full", EMPTY)
    with pytest.raises(ValueError, match="shares of 4 rows for 5 rows"):
        _kernels.moments_of_shares(X, np.ones((2, 4)), "full", EMPTY)
