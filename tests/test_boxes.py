"""Passes over few features that leave far components out, whole boxes of them at once: docs/pruning.md."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMM, _kernels
from cgmm.em import loop
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.rows import pruning
from cgmm.rows.boxes import Boxes, boxes_of, in_space, least_scales
from problems import data_of

BOXED = ("full", "diag", "spherical")


def mixture(family, means, rng, stretch=0.3):
    """Components about means (k,d), correlated and of different sizes."""
    k, d = means.shape
    root = np.tril(rng.normal(0, stretch, (k, d, d)), -1) + np.eye(d)
    full = root @ root.transpose(0, 2, 1) * rng.uniform(0.3, 2.0, (k, 1, 1))
    variances = np.diagonal(full, axis1=1, axis2=2).copy()
    compact = {"full": full, "tied": full[0], "diag": variances, "spherical": variances[:, 0].copy()}
    return Parameters.build(FAMILIES[family], rng.dirichlet(np.full(k, 5.0)), means, compact[family])


def rows_about(means, n, rng):
    return means[rng.integers(len(means), size=n)] + rng.standard_normal((n, means.shape[1]))


@settings(max_examples=120, deadline=None)
@given(
    family=st.sampled_from(BOXED),
    kind=st.sampled_from(["normal", "heavy_tailed", "duplicated", "offset", "constant"]),
    n=st.integers(1, 3000),
    d=st.integers(1, 8),
    k=st.integers(1, 400),
    spread=st.sampled_from([0.0, 0.3, 3.0, 30.0, 1e4]),
    stretch=st.sampled_from([0.0, 0.3, 3.0]),
    magnitude=st.integers(0, 6),
    weighted=st.booleans(),
    ordered=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_boxed_is_dense(family, kind, n, d, k, spread, stretch, magnitude, weighted, ordered, seed):
    """Whatever the data: the log-likelihood to 1e-12, and what a component is made of to 1e-10, as any pruned pass."""
    rng = np.random.default_rng(seed)
    means = spread * rng.standard_normal((k, d))
    X = rows_about(means, n, rng)
    if kind == "heavy_tailed":
        X = means[rng.integers(k, size=n)] + rng.standard_t(1.5, size=(n, d))
    elif kind == "duplicated":
        X[n // 2 :] = X[: n - n // 2]
    elif kind == "offset":
        means, X = means + 1e6, X + 1e6
    elif kind == "constant":
        X[:] = X[0]
    p = mixture(family, means, rng, stretch)
    if family == "full":
        units = 10.0 ** rng.uniform(-magnitude, magnitude, d)
        p = Parameters.build(p.family, p.weights, means * units, p.covariances * np.outer(units, units))
        X = X * units
    w = rng.uniform(0, 3, n) if weighted else None
    dense, _ = _kernels.expectation(X, p.density, p.family.moment, w)
    order = in_space(X) if ordered else None
    boxed, share = _kernels.expectation(X, p.density, p.family.moment, w, 2, boxes_of(p, X.dtype), None, order)
    assert share > 0
    assert_allclose(boxed[3], dense[3], rtol=1e-12, atol=1e-12 * n)
    assert_allclose(boxed[4], dense[4], rtol=1e-12)
    fed = dense[0] > pruning.STARVED_SHARE * dense[0].sum()  # a pass that starves a component is repeated densely
    size = np.abs(X - p.density.centre).max(axis=0) + np.sqrt(p.variances.max(axis=0))
    unit = {"full": np.outer(size, size), "diag": size**2, "radial": (size**2).sum()}[p.family.moment]
    for a, b, of in zip(boxed[:3], dense[:3], (1.0, size, unit), strict=True):
        n_k = dense[0][fed].reshape((-1,) + (1,) * (a.ndim - 1))
        assert_allclose(a[fed] / n_k / of, b[fed] / n_k / of, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("family", BOXED)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8])
def test_every_target_and_type(target, family, d):
    """Statistics and values of rows in their order, in float64 to rounding and in float32 to that type's."""
    rng = np.random.default_rng(d)
    means = 6 * rng.standard_normal((150, d))
    X, p = rows_about(means, 5000, rng), mixture(family, means, rng)
    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 1e-4)):
        rows, boxes = X.astype(dtype), boxes_of(p, dtype)
        dense, _ = _kernels.expectation(rows, p.density, p.family.moment)
        order = in_space(rows)
        boxed, _ = _kernels.expectation(rows, p.density, p.family.moment, None, 2, boxes, None, order)
        for a, b in zip(boxed[:4], dense[:4], strict=True):
            assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())
        for output in "log_likelihood", "responsibilities":
            expected = _kernels.evaluate(rows, p.density, output, 2)
            for which in (None, order):
                found = _kernels.evaluate(rows, p.density, output, 2, boxes, which)
                assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
        for which in (None, order):
            labels = [_kernels.evaluate(rows, p.density, "labels", 2, guide, which) for guide in (boxes, None)]
            assert_array_equal(*labels)


@pytest.mark.parametrize("stretch", [0.0, 0.3, 3.0])
def test_least_scales_are_a_lower_bound(stretch):
    rng = np.random.default_rng(0)
    p = mixture("full", rng.normal(size=(50, 4)), rng, stretch)
    z = rng.standard_normal((200, 4))
    norms = (np.einsum("cij,zj->czi", p.density.factor, z) ** 2).sum(axis=2)
    assert (((least_scales(p)[:, None] * z) ** 2).sum(axis=2) <= norms * (1 + 1e-12)).all()


def test_rows_in_an_order_in_space_lie_together():
    """Each 16 of a permutation are in a box whose sides are an eighth of all, on average: 8³ boxes of 8192 rows."""
    X = np.random.default_rng(0).random((8192, 3))
    order = _kernels.order_in_space(X, 16)
    assert_array_equal(np.sort(order), np.arange(8192))
    assert np.ptp(X[order].reshape(-1, 16, 3), axis=1).mean() < 1 / 8


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(2)
    means = 30 * rng.standard_normal((400, 3))
    return rows_about(means, 30000, rng), mixture("full", means + 0.3 * rng.standard_normal((400, 3)), rng)


def fit(X, start, n_threads=2, prune=True):
    rules = Rules(reg_covar=1e-6, n_threads=n_threads)
    return loop.run(data_of(X), Stage.first(start), Settings(rules, tol=0.0, max_iter=8, prune=prune))


def test_a_fit_is_the_dense_fit(run, monkeypatch):
    monkeypatch.setattr(pruning, "LEAST_BOXED", 64)
    guides, expectation = [], _kernels.Expectation
    monkeypatch.setattr(_kernels, "Expectation", lambda *a: (guides.append(a[2]), expectation(*a))[1])
    boxed = fit(*run)
    assert any(isinstance(guide, Boxes) for guide in guides)
    dense = fit(*run, prune=False)
    assert guides[-1] is None
    assert_allclose(boxed.lower_bounds, dense.lower_bounds, rtol=1e-12)
    for name in ("weights", "means", "covariances"):
        a, b = getattr(boxed.parameters, name), getattr(dense.parameters, name)
        assert_allclose(a, b, rtol=1e-8, atol=1e-8 * np.abs(b).max(), err_msg=name)


@pytest.mark.parametrize("n_threads", [2, 5])
def test_threads_change_no_bit(run, n_threads):
    one, many = fit(*run, n_threads=1), fit(*run, n_threads=n_threads)
    assert_array_equal(one.lower_bounds, many.lower_bounds)
    assert_array_equal(one.parameters.covariances, many.parameters.covariances)


def test_counts_decide(monkeypatch):
    """Verbs leave components out where they are many and far from each other, and not where they are near."""
    guides, evaluate = [], _kernels.evaluate
    monkeypatch.setattr(_kernels, "evaluate", lambda *a: (guides.append(a[4]), evaluate(*a))[1])
    rng = np.random.default_rng(5)
    means = 30 * rng.standard_normal((1500, 3))
    X, far = rows_about(means, 20000, rng), mixture("full", means, rng)
    equal = np.repeat(far.covariances[:1], 1500, axis=0)
    for means, covariances in (far.means, far.covariances), (far.means / 100, equal):
        GMM.from_parameters(far.weights, means, covariances, "full").predict(X)
    assert isinstance(guides[0], Boxes) and guides[1] is None


def test_boxes_of_something_else_are_refused(run):
    X, p = run
    boxes = boxes_of(p, X.dtype)
    with pytest.raises(ValueError, match="the boxes do not fit"):
        _kernels.expectation(X, p.density, "full", guide=boxes._replace(order=boxes.order[1:]))
    with pytest.raises(ValueError, match="pooled"):
        _kernels.expectation(X, mixture("tied", p.means, np.random.default_rng(0)).density, "pooled", guide=boxes)
