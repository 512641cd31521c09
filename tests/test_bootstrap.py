"""Replicates of a fit: each is the fit that it should be, whoever makes it; what their spread says; and the tests."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, BayesianGMM, NotFittedError, Prior, _kernels, bootstrap, likelihood_ratio_test, table
from cgmm.bootstrapped import DRAWS, prepared_of, replica
from cgmm.em import problems
from cgmm.fit.replicates import Replicates, original_of
from cgmm.fit.request import request_of
from problems import clusters

KINDS = ("nonparametric", "parametric", "weighted")
kinds = pytest.mark.parametrize("kind", KINDS)
FAITHFUL = np.loadtxt("examples/data/faithful.csv", delimiter=",", skiprows=1)


def replicates_of(model, X, kind, m=5, w=None, compiled=True, n_threads=2):
    """Replicates, all of them made by compiled code, or none."""
    model.set_params(n_threads=n_threads)
    parameters = model._fitted().fit.parameters
    prepared, total = prepared_of(model, X, w, parameters.k)
    asked = request_of(replica(model, 1e-6, 50))
    found = Replicates(original_of(asked, prepared, parameters), m, criteria=True)
    if not compiled:
        found._task = None
    found.run(*DRAWS[kind](prepared.data, parameters, total, np.random.default_rng(4)))
    return found


@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("n, d, k", [(20, 1, 1), (50, 3, 2), (1025, 5, 4)])
@kinds
def test_a_compiled_replicate_has_the_bits_of_a_fit_that_goes_on(kind, n, d, k, dtype, family):
    X = clusters(n, d, k).astype(dtype)
    model = GMM(k, covariance_type=family, random_state=0, reg_covar="relative").fit(X)
    found, other = (replicates_of(model, X, kind, compiled=compiled) for compiled in (True, False))
    assert found._task is not None
    assert not found.errors
    for name in ("weights", "means", "covariances", "roots", "n_iter", "converged"):
        assert_array_equal(getattr(found.solutions, name), getattr(other.solutions, name), err_msg=name)
    assert_array_equal(found.log_likelihoods, other.log_likelihoods)


@kinds
def test_the_same_bits_for_any_number_of_threads_and_batch(kind, monkeypatch):
    X = clusters(200, 2, 2)
    model = GMM(2, random_state=0).fit(X)
    one, two = (replicates_of(model, X, kind, 40, n_threads=threads) for threads in (1, 3))
    for a, b in zip(one.solutions, two.solutions, strict=True):
        assert_array_equal(a, b)


def test_one_component_has_the_moments_of_the_rows_that_were_drawn():
    X = clusters(60, 2, 1)
    found = bootstrap(GMM(reg_covar=0.0).fit(X), X, 30, random_state=3)
    which = np.random.default_rng(3).integers(0, 60, size=(30, 60))
    assert_allclose(found.replicates.means[:, 0], X[which].mean(axis=1), rtol=1e-12)
    expected = [np.cov(rows.T, ddof=0) for rows in X[which]]
    assert_allclose(found.replicates.covariances[:, 0], expected, rtol=1e-9)
    assert_allclose(found.standard_errors.means[0], X[which].mean(axis=1).std(axis=0, ddof=1), rtol=1e-9)
    assert_allclose(found.bias.means[0], X[which].mean(axis=(0, 1)) - X.mean(axis=0), rtol=1e-6)
    lower, upper = found.intervals(0.8)
    assert_allclose(lower.means[0], np.quantile(X[which].mean(axis=1), 0.1, axis=0))
    assert_allclose(upper.means[0], np.quantile(X[which].mean(axis=1), 0.9, axis=0))


@kinds
def test_standard_errors_are_those_of_theory(kind):
    """Of two components that do not overlap: those of a binomial share, of means, and of variances. A standard
    deviation over m replicates is known to 1/√(2m) of itself: 2.2 % here, of which this allows four, and the part of
    the rows' own sampling in a variance's fourth moment."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 1500), rng.normal(40, 2, 4500)])[:, None]
    found = bootstrap(GMM(2, random_state=0).fit(X).sorted(), X, 999, kind=kind, random_state=0)
    errors = found.standard_errors
    assert_allclose(errors.weights, (0.25 * 0.75 / 6000) ** 0.5, rtol=0.1)
    assert_allclose(errors.means[:, 0], [1 / 1500**0.5, 2 / 4500**0.5], rtol=0.13)
    assert_allclose(errors.covariances[:, 0, 0], [(2 / 1500) ** 0.5, 4 * (2 / 4500) ** 0.5], rtol=0.15)


@kinds
def test_weights_count_as_rows(kind):
    """To the bit where rows are drawn from the model; else in distribution, within the errors of 999 replicates."""
    X = clusters(60, 1, 2)
    doubled, w = np.repeat(X, 2, axis=0), np.full(60, 2.0)
    model = GMM(2, random_state=0, tol=1e-9).fit(X)
    own = bootstrap(model, X, 999, kind=kind, sample_weight=w, random_state=0)
    other = bootstrap(model, doubled, 999, kind=kind, random_state=0)
    if kind == "parametric":
        assert_allclose(own.replicates.means, other.replicates.means, rtol=1e-9)
    assert_allclose(own.standard_errors.means, other.standard_errors.means, rtol=0.12)
    once = bootstrap(model, X, 999, kind=kind, random_state=0)
    assert (own.standard_errors.means < 0.85 * once.standard_errors.means).all()


@pytest.mark.parametrize("family", reference.FAMILIES)
def test_components_that_changed_their_order_are_put_back(family):
    X = clusters(300, 2, 3)
    found = replicates_of(GMM(3, covariance_type=family, random_state=0).fit(X), X, "nonparametric", m=20)
    found.align()
    expected = [array.copy() for array in found.solutions]
    for i in range(20):
        found._reorder(i, np.random.default_rng(i).permutation(3))
    found.align()
    for a, b in zip(found.solutions, expected, strict=True):
        assert_array_equal(a, b)


def test_components_of_equal_means_are_told_apart_by_their_covariances():
    crossed = GMM.from_parameters([0.5, 0.5], np.zeros((2, 2)), [[[4, 3.8], [3.8, 4]], [[4, -3.8], [-3.8, 4]]])
    X = crossed.sample(400, random_state=0)[0]
    found = replicates_of(crossed, X, "parametric", m=20)
    for i in range(0, 20, 2):
        found._reorder(i, np.array([1, 0]))
    found.align()
    assert (found.solutions.covariances[:, 0, 0, 1] > 0).all()


@pytest.mark.parametrize(
    "arguments",
    [{"prior": "default"}, {"prior": Prior()}, {"noise_component": "uniform"}, {"missing": "marginal"},
     {"covariance_type": "VEE"}, {"covariance_type": "EEI"}, {"accelerate": True}, {"n_init": 3}],
    ids=str,
)  # fmt: skip
@kinds
def test_goes_with(arguments, kind):
    X = clusters(150, 2, 2)
    if "missing" in arguments:
        X[::7, 0] = np.nan
    model = GMM(2, random_state=0, **arguments).fit(X)
    found = bootstrap(model, X, 12, kind=kind, random_state=0)
    assert found.converged.all()
    assert all(np.isfinite(values).all() for values in found.replicates)
    assert (found.standard_errors.means > 0).all()
    assert_allclose(found.replicates.weights.sum(axis=1) + found.replicates.noise_weight, 1.0)
    assert ("noise weight" in repr(found)) == ("noise_component" in arguments)


def test_what_is_fixed_has_no_error():
    X = clusters(150, 2, 2)
    start = GMM(2, random_state=0).fit(X)
    model = GMM(2, means_init=start.means_, fixed={"means"}, random_state=0).fit(X)
    found = bootstrap(model, X, 12, random_state=0)
    assert_array_equal(found.replicates.means, np.broadcast_to(start.means_, (12, 2, 2)))
    assert (found.standard_errors.weights > 0).all()


def test_gaps_of_simulated_rows_are_those_of_the_rows():
    X = clusters(80, 2, 1)
    X[:30, 0] = np.nan
    model = GMM(missing="marginal", random_state=0).fit(X)
    prepared, total = prepared_of(model, X, None, 1)
    draw, _ = DRAWS["parametric"](prepared.data, model._fitted().fit.parameters, total, np.random.default_rng(0))
    for part in draw(3):
        assert_array_equal(np.isnan(part.rows), np.isnan(X))


def test_names_and_table():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    found = bootstrap(GMM(2, random_state=0, tol=1e-8).fit(X).sorted(), X, 199, random_state=0)
    frame = found.to_frame()
    assert list(frame.columns) == ["estimate", "standard_error", "bias", "lower", "upper"]
    assert len(frame) == 2 + 4 + 6
    assert frame.loc["mean[1, waiting]", "estimate"] == found.estimates.means[1, 1]
    assert "covariance[0, eruptions, waiting]" in repr(found)
    assert ((frame.lower < frame.estimate) & (frame.estimate < frame.upper)).all()


def test_what_cannot_be_fitted_is_left_out_and_told():
    X = np.array([[0.0], [0.1], [5.0], [9.0]])  # 2 of these at least are in a replicate of three components or less
    model = GMM.from_parameters([0.5, 0.25, 0.25], [[0.05], [5.0], [9.0]], np.full((3, 1, 1), 0.1))
    with pytest.warns(UserWarning, match="of 20 replicates could not be fitted and are left out; the first: "):
        found = bootstrap(model, X, 20, random_state=1)
    assert found.errors
    assert np.isnan(found.replicates.weights[list(found.errors)]).all()
    assert np.isfinite(found.standard_errors.weights).all()


def test_too_few_iterations_are_told():
    model = GMM(2, random_state=0).fit(FAITHFUL)
    with pytest.warns(UserWarning, match="20 of 20 replicates did not converge"):
        bootstrap(model, FAITHFUL, 20, max_iter=1, random_state=1)


@pytest.mark.parametrize(
    "model, X, arguments, error, text",
    [
        (BayesianGMM(), FAITHFUL, {}, TypeError, "model must be a fitted GMM, not BayesianGMM"),
        (GMM(), FAITHFUL, {}, NotFittedError, "not fitted"),
        ("fitted", FAITHFUL[:, :1], {}, ValueError, "1 features"),
        ("fitted", lambda: iter([FAITHFUL]), {}, TypeError, "X must be rows in memory"),
        ("fitted", FAITHFUL, {"kind": "jackknife"}, ValueError, "kind"),
        ("fitted", FAITHFUL, {"n_replicates": 1}, ValueError, "n_replicates"),
        ("fitted", FAITHFUL, {"sample_weight": -np.ones(272)}, ValueError, "sample_weight"),
        (
            "fitted",
            FAITHFUL,
            {"sample_weight": np.full(272, 1e-3 / 272)},
            ValueError,
            "counts rows here, and sums to 0.001",
        ),
    ],
)
def test_what_cannot_be_used(model, X, arguments, error, text):
    model = GMM().fit(FAITHFUL) if model == "fitted" else model
    with pytest.raises(error, match=text):
        bootstrap(model, X, **arguments)


def test_level_is_a_share():
    found = bootstrap(GMM().fit(FAITHFUL), FAITHFUL, 5, random_state=0)
    with pytest.raises(ValueError, match="level must be between 0 and 1, and is 95"):
        found.intervals(95)


def test_the_test_finds_published_statistics():
    """mclust 6 finds 319.0654 for Old Faithful (VVV, 1 against 2; tolerance 1e-5 of the log-likelihood)."""
    found = likelihood_ratio_test(FAITHFUL, n_replicates=19, max_components=2, random_state=0)
    (test,) = found.tests
    assert test.statistic == pytest.approx(319.0654, abs=0.02)
    assert (test.n_components, test.p_value, found.n_components) == (1, 0.05, 2)
    assert found.best.bic(FAITHFUL) == pytest.approx(2322.1917, abs=0.02)
    assert repr(found).endswith("2 is the largest that was tried at level 0.05")


def test_statistics_are_twice_the_differences_of_fits():
    X = clusters(120, 1, 2)
    found = likelihood_ratio_test(X, n_replicates=19, max_components=2, random_state=0, tol=1e-8)
    fits = [GMM(k, tol=1e-12, max_iter=5000, reg_covar="relative", random_state=0).fit(X) for k in (1, 2)]
    expected = 2 * len(X) * (fits[1].score(X) - fits[0].score(X))
    assert found.tests[0].statistic == pytest.approx(expected, abs=1e-6)
    assert found.n_components == 2
    assert found.best.sorted().means_ == pytest.approx(fits[1].sorted().means_, abs=1e-3)


def test_a_narrow_component_of_many_rows_is_no_needle_to_the_test():
    """Its rows lie on a line: splits that found it were passed over, for less likely fits without it."""
    rng = np.random.default_rng(0)
    line = rng.normal(size=(100, 1)) + 1e-3 * rng.normal(size=(100, 2))
    centres = 6 * np.array([[1, 0], [0, 1], [1, 1], [2, 0], [2, 1]])
    X = np.concatenate([line, *(centre + rng.normal(size=(100, 2)) for centre in centres)])
    arguments = {"max_components": 5, "n_replicates": 1, "level": 0.5, "reg_covar": 1e-5, "random_state": 9}
    assert likelihood_ratio_test(X, 4, **arguments).tests[0].statistic > 1000


def test_the_level_is_held():
    """Of one component a test at 5 % rejects in 5 % of samples: of 60, more than 9 with a probability of 0.002."""
    rng = np.random.default_rng(0)
    rejected = sum(
        likelihood_ratio_test(rng.normal(size=(50, 1)), n_replicates=19, max_components=2, random_state=i).n_components
        == 2
        for i in range(60)
    )
    assert rejected <= 9


@pytest.mark.parametrize(
    "arguments", [{}, {"n_init": 2}, {"covariance_type": "tied"}, {"missing": "marginal"}], ids=str
)
def test_the_test_has_the_same_bits_for_any_number_of_threads(arguments):
    X = clusters(100, 2, 2)
    if "missing" in arguments:
        X[::9, 1] = np.nan
    usual = {"n_replicates": 9, "max_components": 3, "random_state": 0, "level": 0.2} | arguments
    one, two = (likelihood_ratio_test(X, n_threads=threads, **usual) for threads in (1, 3))
    assert repr(one) == repr(two)
    for a, b in zip(one.tests, two.tests, strict=True):
        assert_array_equal(a.replicates, b.replicates)
        assert np.isfinite(a.replicates).all()
        assert (a.replicates >= 0).all()
    assert_array_equal(one.best.means_, two.best.means_)


def test_counts_are_rows_to_the_test():
    X = clusters(60, 1, 2)
    own = likelihood_ratio_test(X, sample_weight=np.full(60, 2.0), n_replicates=19, max_components=2, random_state=0)
    other = likelihood_ratio_test(np.repeat(X, 2, axis=0), n_replicates=19, max_components=2, random_state=0)
    assert own.tests[0].statistic == pytest.approx(other.tests[0].statistic, abs=0.02)


@pytest.mark.parametrize(
    "X, arguments, error, text",
    [
        (lambda: iter([FAITHFUL]), {}, TypeError, "X must be rows in memory"),
        (FAITHFUL[:3], {"n_components": 3, "max_components": 4}, ValueError, "components"),
        (FAITHFUL, {"max_components": 1}, ValueError, "max_components"),
        (FAITHFUL, {"level": 0}, ValueError, "level"),
        (FAITHFUL, {"n_replicates": 9}, ValueError, r"n_replicates=9 can reject nothing at level=0.05: .* at least 19"),
        (FAITHFUL, {"covariance_type": "round"}, ValueError, "covariance_type"),
    ],
)
def test_what_the_test_cannot_use(X, arguments, error, text):
    with pytest.raises(error, match=text):
        likelihood_ratio_test(X, **arguments)


def test_many_rows_are_fitted_one_replicate_after_the_other():
    """Where a pass may leave components out, no compiled call takes a replicate whole."""
    X = clusters(9000, 2, 2)
    found = bootstrap(GMM(2, random_state=0).fit(X), X, 4, random_state=0)
    assert found.converged.all()
    which = np.random.default_rng(0).integers(0, 9000, size=(4, 9000))
    assert_allclose(np.einsum("mc,mcj->mj", *found.replicates[:2]), X[which].mean(axis=1), rtol=1e-6)


def test_a_table_is_refused(tmp_path):
    path = tmp_path / "faithful.csv"
    np.savetxt(path, FAITHFUL, delimiter=",", header="a,b", comments="")
    with pytest.raises(TypeError, match="X must be rows in memory"):
        bootstrap(GMM().fit(FAITHFUL), table(path))


@pytest.mark.parametrize(
    "change",
    [{"weights": np.full(3, 1 / 3)}, {"means": np.zeros((2, 2), order="F").T[:1]}, {"least": np.zeros(2, np.float32)}],
    ids=["weights", "means", "least"],
)
def test_a_start_of_another_shape_or_type_is_refused(change):
    model = GMM(2, random_state=0).fit(FAITHFUL)
    found = replicates_of(model, FAITHFUL, "weighted")
    start = problems.Start.at(model._fitted().fit.parameters, found.original.settings.rules)._replace(**change)
    with pytest.raises(ValueError, match=f"the {next(iter(change))} of a start must be"):
        problems.solve(found._task, [FAITHFUL], None, found._uniforms, found.solutions.part(slice(0, 1)), 1, start)


def test_rows_of_weight_zero_do_not_matter_to_a_given_start():
    """Where EM starts at clusters of the rows, such problems are left to Python."""
    model = GMM(2, random_state=0).fit(FAITHFUL)
    found = replicates_of(model, FAITHFUL, "weighted", m=2)
    start = problems.Start.at(model._fitted().fit.parameters, found.original.settings.rules)
    w = (np.arange(272) % 3 > 0).astype(float)
    rows, weights = [FAITHFUL, np.ascontiguousarray(FAITHFUL[w > 0])], [w, None]
    problems.solve(found._task, rows, weights, found._uniforms, found.solutions, 1, start)
    assert found.solutions.status.tolist() == [0, 0]
    assert_allclose(found.solutions.means[0], found.solutions.means[1], rtol=1e-12)
    draws = np.random.default_rng(0).random((1, found._uniforms.shape[1]))
    problems.solve(found._task, rows, weights, draws, found.solutions, 1)
    assert found.solutions.status.tolist() == [_kernels.STATUSES["weights"], 0]
