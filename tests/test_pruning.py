"""Passes that leave negligible components out give what dense ones give: docs/pruning.md."""

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, _kernels
from cgmm.em import loop
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.mixture.target import Point
from cgmm.rows import pruning
from fuzzing import fuzzed
from problems import data_of

PRUNABLE = ("full", "diag", "spherical")
FIELDS = ("n_k", "first", "second", "log_likelihood")


def rows_of(kind, n, d, k, rng):
    """n rows about k centres, of the kinds on which a shortcut could go wrong, and the centres."""
    centres = 5.0 * rng.standard_normal((k, d))
    X = centres[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    if kind == "overlapping":
        centres, X = centres / 20, rng.standard_normal((n, d))
    elif kind == "nested":
        centres[k // 2 :] = centres[0]
    elif kind == "heavy_tailed":
        X = centres[rng.integers(k, size=n)] + rng.standard_t(1.5, size=(n, d))
    elif kind == "duplicated":
        X[n // 2 :] = X[: n - n // 2]
    elif kind == "offset":
        centres, X = centres + 1e6, X + 1e6
    return X, centres


KINDS = ("separated", "overlapping", "nested", "heavy_tailed", "duplicated", "offset")


def mixture(family, centres, rng):
    k, d = centres.shape
    scales = rng.uniform(0.5, 2.0, (k, 1, 1))
    root = np.tril(rng.normal(0, 0.2, (k, d, d)), -1) + np.eye(d)
    full = root @ root.transpose(0, 2, 1) * scales
    variances = np.diagonal(full, axis1=1, axis2=2).copy()
    compact = {"full": full, "tied": full[0], "diag": variances, "spherical": scales.ravel()}
    return Parameters.build(FAMILIES[family], rng.dirichlet(np.full(k, 5.0)), centres, compact[family])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", PRUNABLE)
@pytest.mark.parametrize("n, d, k", [(3000, 16, 8), (1031, 33, 70), (1025, 9, 4)])
def test_pruned_is_dense(target, kind, family, n, d, k):
    """What is left out is below e⁻⁴⁶ of a row's density: only the order of the additions differs.

    Sums of n terms in another order differ by less than n ε of the sum of their sizes.
    """
    rng = np.random.default_rng([n, KINDS.index(kind)])
    X, centres = rows_of(kind, n, d, k, rng)
    parameters = mixture(family, centres, rng)
    density, moment = parameters.density, parameters.family.moment
    for w in (None, rng.uniform(0, 3, n) * (rng.random(n) > 0.1)):
        dense, _ = _kernels.expectation(X, density, moment, w)
        pruned, share = _kernels.expectation(X, density, moment, w, 2, pruning.guide_of(parameters, X.dtype))
        assert share > 0
        bound = n * np.finfo(float).eps
        size = np.abs(X - parameters.density.centre).max()
        for name, a, b, unit in zip(FIELDS, dense, pruned, (n, n * size, n * size**2, abs(dense[3])), strict=False):
            assert_allclose(a, b, rtol=1e-10, atol=bound * unit, err_msg=name)


@fuzzed(
    150,
    family=st.sampled_from(PRUNABLE),
    kind=st.sampled_from(KINDS),
    n=st.integers(800, 3000),
    d=st.integers(8, 40),
    k=st.integers(1, 130),
    spread=st.floats(0.01, 3.0),
    magnitude=st.integers(0, 8),
    tight=st.integers(0, 6),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_the_data(family, kind, n, d, k, spread, magnitude, tight, weighted, seed):
    """One iteration: log-likelihood within 1e-12 and parameters within 1e-10 of the dense ones.

    Features of different magnitudes, components of which some are tight, more or less far apart.
    """
    rng = np.random.default_rng(seed)
    X, centres = rows_of(kind, n, d, k, rng)
    X, centres = X * spread, centres * spread
    units = 10.0 ** rng.uniform(-magnitude, magnitude, d)
    scales = 10.0 ** -rng.uniform(0, tight, k)
    p = mixture(family, centres, rng)
    full = FAMILIES[family].expand(p.covariances, k, d) * scales[:, None, None]
    if family == "full":
        X, centres, full = X * units, centres * units, full * np.outer(units, units)
    compact = {"full": full, "diag": np.diagonal(full, axis1=1, axis2=2).copy(), "spherical": full[:, 0, 0].copy()}
    p = Parameters.build(FAMILIES[family], p.weights, centres, compact[family])
    w = rng.uniform(0, 3, n) if weighted else None
    dense, _ = _kernels.expectation(X, p.density, p.family.moment, w)
    pruned, _ = _kernels.expectation(X, p.density, p.family.moment, w, 2, pruning.guide_of(p, X.dtype))
    assert_allclose(pruned[3], dense[3], rtol=1e-12)
    fed = dense[0] > pruning.STARVED_SHARE * dense[0].sum()  # a pass that starves a component is repeated densely
    size = np.abs(X - p.density.centre).max(axis=0)
    for a, b, unit in zip(pruned[:3], dense[:3], (1.0, size, moment_unit(p.family.moment, size)), strict=True):
        n_k = dense[0][fed].reshape((-1,) + (1,) * (a.ndim - 1))
        assert_allclose(a[fed] / n_k / unit, b[fed] / n_k / unit, rtol=1e-10, atol=1e-10)


def moment_unit(moment, size):
    """The size of second moments of features of that size."""
    return {"full": np.outer(size, size), "diag": size**2, "radial": (size**2).sum()}[moment]


def assert_sums_alike(some, others, tolerance):
    """n_k, first and second moments and the log-likelihood of two passes, each to that share of its largest value."""
    for a, b in zip(some[:4], others[:4], strict=True):
        assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("k", [8, 70])
@pytest.mark.parametrize("family", PRUNABLE)
def test_float32(target, family, k):
    """In float32 what is left out is below e⁻³⁰, a ten-thousandth of the type's ε."""
    rng = np.random.default_rng(0)
    X, centres = rows_of("separated", 3000, 16, k, rng)
    parameters = mixture(family, centres, rng)
    guide = pruning.guide_of(parameters, X.dtype)
    arguments = X.astype(np.float32), parameters.density, parameters.family.moment, None, 1
    assert_sums_alike(_kernels.expectation(*arguments)[0], _kernels.expectation(*arguments, guide)[0], 1e-5)


@pytest.mark.parametrize("family", PRUNABLE)
def test_work_is_left_out(target, family):
    rng = np.random.default_rng(1)
    X, centres = rows_of("separated", 20000, 40, 120, rng)
    parameters = mixture(family, centres, rng)
    guide = pruning.guide_of(parameters, X.dtype)
    share = _kernels.expectation(X, parameters.density, parameters.family.moment, guide=guide)[1]
    assert share < pruning.WORTH


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("family", PRUNABLE)
def test_no_row_is_nearer_than_its_reach(family, scale):
    """Of features in any units: |P_c (x − μ_c)| ≥ apart_gc − sharpness_c width_g |P_g (x − μ_g)|."""
    rng = np.random.default_rng(0)
    d, k = 20, 65
    units = scale ** np.linspace(-1, 1, d) if family != "spherical" else np.full(d, scale)
    parameters = mixture(family, 10 * rng.normal(size=(k, d)), rng)
    full = parameters.family.expand(parameters.covariances, k, d) * units * units[:, np.newaxis]
    covariances = parameters.family.compact(full)
    parameters = GMM.from_parameters(parameters.weights, parameters.means * units, covariances, family)._parameters
    reach = pruning.guide_of(parameters, np.dtype(float)).reach
    precisions = parameters.family.expand(parameters.precisions, k, d)
    for far in (0.1, 1.0, 100.0):
        X = parameters.means[rng.integers(k, size=500)] + far * units * rng.normal(size=(500, d))
        away = X[:, np.newaxis] - parameters.means
        norms = np.sqrt(np.einsum("nci,cij,ncj->nc", away, precisions, away))
        bounds = reach.apart - np.multiply.outer(norms * reach.width, reach.sharpness)  # of row n, guess g, component c
        assert (bounds <= norms[:, np.newaxis] * (1 + 1e-12)).all()
        assert (bounds > 0).any() == (far < 100)
    apart = parameters.means[:, np.newaxis] - parameters.means
    assert_allclose(reach.apart**2, np.einsum("gci,cij,gcj->gc", apart, precisions, apart), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [100, 300])
@pytest.mark.parametrize("family", PRUNABLE)
def test_distances_of_means_leave_out_what_is_negligible(target, family, k):
    """Where many rows are of one guess, and where few are: the sums are the dense ones, for less work."""
    rng = np.random.default_rng(3)
    X, centres = rows_of("separated", 12000, 16, k, rng)
    parameters = mixture(family, centres, rng)
    guide = pruning.guide_of(parameters, X.dtype)
    arguments = X, parameters.density, parameters.family.moment, None, 2
    (dense, _), (pruned, share), (_, more) = (
        _kernels.expectation(*arguments, *guides) for guides in ((), (guide,), (guide._replace(reach=None),))
    )
    assert_sums_alike(pruned, dense, 1e-11)
    assert share < more


@pytest.mark.filterwarnings("error")
def test_images_beyond_single_precision():
    """Guesses are found in it: where it has no such numbers, the densities are still those of a dense pass."""
    rng, k, d, n = np.random.default_rng(0), 40, 16, 9000
    means = rng.normal(size=(k, d))
    X = means[rng.integers(k, size=n)] + 1e-30 * rng.normal(size=(n, d))
    model = GMM.from_parameters(np.full(k, 1 / k), means, np.tile(1e-80 * np.eye(d), (k, 1, 1)), "full")
    parameters = model._parameters
    guide = pruning.guide_of(parameters, X.dtype)
    dense, pruned = (
        _kernels.evaluate(X, parameters.density, "log_likelihood", 2, *guides) for guides in ((), (guide,))
    )
    assert_allclose(pruned, dense, rtol=1e-12)
    assert_allclose(model.score_samples(X), dense, rtol=1e-12)


def test_distances_of_means_are_found_where_they_cost_little():
    """Not for few rows of many features, where they take longer than what they spare."""
    rng = np.random.default_rng(0)
    _, centres = rows_of("separated", 1000, 48, 64, rng)
    parameters = mixture("full", centres, rng)
    few, many = (pruning.guide_of(parameters, np.dtype(float), n) for n in (20_000, 200_000))
    assert few.reach is None and many.reach is not None


def fit(X, parameters, n_threads=2, prune=True, max_iter=12):
    rules = Rules(reg_covar=1e-6, n_threads=n_threads)
    settings = Settings(rules, tol=0.0, max_iter=max_iter, prune=prune)
    return loop.run(data_of(X), Stage.first(parameters), settings)


@pytest.fixture(scope="module", params=PRUNABLE)
def run(request):
    """Data on which pruning pays, the distances of means among it, and a start."""
    rng = np.random.default_rng(2)
    X, _ = rows_of("separated", 16000, 24, 96, rng)
    family = FAMILIES[request.param]
    rules = Rules(reg_covar=1e-6, n_threads=2)
    start, _ = starts.start(data_of(X), 96, Point(family), starts.METHODS["kmeans"], rng, rules)
    return X, start


def test_a_fit_is_the_dense_fit(run, monkeypatch):
    """Histories to 1e-12 and parameters to 1e-10: it pruned, and nobody can tell."""
    shares = []
    observed = pruning.Pruning.observed
    monkeypatch.setattr(
        pruning.Pruning,
        "observed",
        lambda self, share, *sums: (shares.append(share), observed(self, share, *sums))[1],
    )
    pruned, dense = fit(*run), fit(*run, prune=False)
    assert min(shares) < pruning.WORTH
    assert_allclose(pruned.lower_bounds, dense.lower_bounds, rtol=1e-12)
    for name in ("weights", "means", "covariances"):
        a, b = getattr(pruned.parameters, name), getattr(dense.parameters, name)
        assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max(), err_msg=name)


def test_a_component_that_hardly_any_row_belongs_to_recovers():
    """Its few rows' shares of it are negligible for them and all there is for it: the pass is repeated densely."""
    rng = np.random.default_rng(3)
    centres = 3 * rng.standard_normal((7, 32))
    X = centres[rng.integers(7, size=20000)] + rng.standard_normal((20000, 32))
    means = np.concatenate([centres, centres[2:3] + 2.5])
    start = Parameters.build(FAMILIES["full"], np.full(8, 1 / 8), means, np.tile(np.eye(32), (8, 1, 1)))
    pruned, dense = fit(X, start), fit(X, start, prune=False)
    assert pruned.repairs == dense.repairs
    assert dense.parameters.weights[7] > 0
    assert_allclose(pruned.lower_bounds, dense.lower_bounds, rtol=1e-10)
    assert_allclose(pruned.parameters.weights, dense.parameters.weights, rtol=1e-6)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit(run, n_threads):
    one, many = fit(*run, n_threads=1), fit(*run, n_threads=n_threads)
    assert_array_equal(one.lower_bounds, many.lower_bounds)
    assert_array_equal(one.parameters.covariances, many.parameters.covariances)
    X, parameters = run[0], one.parameters
    guide = pruning.guide_of(parameters, X.dtype)
    for output in "labels", "log_likelihood", "responsibilities":
        found = [_kernels.evaluate(X, parameters.density, output, threads, guide) for threads in (1, n_threads)]
        assert_array_equal(*found)


def test_the_environment_forbids_it(run, monkeypatch):
    monkeypatch.setenv("CGMM_PRUNE", "0")
    assert_array_equal(fit(*run, max_iter=3).lower_bounds, fit(*run, prune=False, max_iter=3).lower_bounds)


@pytest.mark.parametrize(("d", "k"), [(64, 40), (24, 70)])
@pytest.mark.parametrize("family", reference.FAMILIES)
def test_inference_prunes_too(target, family, d, k):
    """predict, predict_proba and score_samples of separated rows, in their order, are the dense ones."""
    rng = np.random.default_rng(4)
    X, centres = rows_of("separated", 9000, d, k, rng)
    parameters = mixture(family, centres, rng)
    density = parameters.density
    guide = pruning.guide_of(parameters, X.dtype)
    for output, tolerance in ("labels", 0), ("log_likelihood", 1e-12), ("responsibilities", 1e-15):
        dense, pruned = _kernels.evaluate(X, density, output), _kernels.evaluate(X, density, output, 2, guide)
        assert_allclose(pruned, dense, rtol=tolerance, atol=tolerance if output == "responsibilities" else 0)


def test_inference_decides_by_itself(monkeypatch):
    """GMM.predict prunes where it pays, and not otherwise."""
    rng = np.random.default_rng(5)
    guides = []
    evaluate = _kernels.evaluate
    monkeypatch.setattr(_kernels, "evaluate", lambda *a: (guides.extend(a[4:5]), evaluate(*a))[1])
    for kind in "separated", "overlapping":
        X, centres = rows_of(kind, 9000, 32, 40, rng)
        p = mixture("full", centres, rng)
        GMM.from_parameters(p.weights, p.means, p.covariances, "full").predict(X)
    assert guides[0] is not None and guides[1] is None
