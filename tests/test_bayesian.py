"""Variational Bayes: the textbook's, scikit-learn's where that is the textbook's, and laws."""

import copy
import json
import pickle

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
import variational
from cgmm import GMM, BayesianGMM, ConvergenceWarning, DegenerateError, DegenerateWarning
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.posterior import Posterior
from cgmm.rows import data
from cgmm.rows.place import InMemory
from datasets import DATA, table
from gaps import gappy
from problems import assert_same_bits, clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
kinds = pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
# scikit-learn 1.9.1, and exact updates in NumPy: 30 iterations from labels, of which a tenth is spread over all.
PUBLISHED = json.loads((DATA / "variational.json").read_text())
FITTED = (
    "weights_",
    "means_",
    "covariances_",
    "mean_precision_",
    "degrees_of_freedom_",
    "weight_concentration_",
    "lower_bounds_",
)
ROUNDING = 1e-10  # what thirty iterations leave of 1e-16, beside the largest value of an attribute


def shares_of(n, k, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(k), n)


def fitted(X, k, sample_weight=None, **arguments):
    settings = {"tol": 0, "max_iter": 12, "reg_covar": 0, "responsibilities_init": shares_of(len(X), k)}
    return BayesianGMM(k, **settings | arguments).fit(X, sample_weight=sample_weight)


def assert_close(model, expected, name, rtol=ROUNDING):
    assert_allclose(getattr(model, name), expected, rtol=0, atol=rtol * np.abs(expected).max(), err_msg=name)


def assert_is_posterior(model, posterior, family, rtol=ROUNDING):
    assert_close(model, posterior["m"], "means_", rtol)
    assert_close(model, variational.covariances_of(posterior, family), "covariances_", rtol)
    assert_close(model, variational.expected_weights(posterior), "weights_", rtol)
    assert_close(model, posterior["b"], "mean_precision_", rtol)
    assert_close(model, variational.degrees_of(posterior, family), "degrees_of_freedom_", rtol)
    assert_close(model, posterior["concentration"], "weight_concentration_", rtol)


def told(fit):
    return "-".join([fit["dataset"], *(str(value) for value in list(fit["arguments"].values())[:3])])


@pytest.mark.parametrize("fit", PUBLISHED["fits"], ids=told)
def test_published_iterates(fit):
    arguments = fit["arguments"]
    k, X = arguments["n_components"], table(fit["dataset"])
    labels = np.array(PUBLISHED["labels"][f"{fit['dataset']}-{k}"])
    model = BayesianGMM(**arguments, responsibilities_init=0.9 * np.eye(k)[labels] + 0.1 / k).fit(X)
    assert_close(model, np.array(fit["means"]), "means_")
    assert_close(model, np.array(fit["covariances"]), "covariances_")
    assert_allclose(model.lower_bounds_[[0, -1]], fit["lower_bounds"], rtol=1e-12)
    if "scikit_learn" in fit:  # the same but for a constant of the lower bound
        assert_close(model, np.array(fit["scikit_learn"]["weights"]), "weights_")
        constant = model.lower_bounds_[[0, -1]] - fit["scikit_learn"]["lower_bounds"]
        assert abs(constant[1] - constant[0]) <= 1e-11 * abs(model.lower_bound_)


@families
@kinds
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("reg_covar", [0.0, 0.01])
def test_updates_are_the_textbooks(family, kind, d, reg_covar):
    X, k = clusters(60, d, 3), 4
    w = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    given = {"concentration": 0.7, "b": 0.3, "m": np.ones(d), "nu": d + 0.5}
    prior = variational.default_prior(X, k, family, kind, **given)
    posteriors, bounds = variational.run(X, shares_of(60, k), prior, family, 12, w, reg_covar)
    model = fitted(
        X,
        k,
        w,
        covariance_type=family,
        weight_concentration_prior_type=kind,
        weight_concentration_prior=0.7,
        mean_precision_prior=0.3,
        mean_prior=np.ones(d),
        degrees_of_freedom_prior=d + 0.5,
        covariance_prior=prior["S"],
        reg_covar=reg_covar,
    )
    assert_is_posterior(model, posteriors[-1], family)
    assert_close(model, bounds, "lower_bounds_")
    r, norm, _ = variational.e_step(X, posteriors[-1], family)
    assert_allclose(model.predict_proba(X), r, atol=1e-9)
    assert_allclose(model.score_samples(X), norm, atol=1e-9 * np.abs(norm).max())


@families
@kinds
def test_the_default_prior_is_scikit_learns(family, kind):
    X, k = clusters(50, 3, 3), 4
    prior = variational.default_prior(X, k, family, kind)
    model = fitted(X, k, covariance_type=family, weight_concentration_prior_type=kind)
    posteriors, bounds = variational.run(X, shares_of(50, k), prior, family, 12)
    assert_is_posterior(model, posteriors[-1], family)
    assert_close(model, bounds, "lower_bounds_")
    assert_allclose(model.covariance_prior_, prior["S"], rtol=1e-12)
    assert_allclose(model.mean_prior_, prior["m"], rtol=1e-12)
    told = model.weight_concentration_prior_, model.mean_precision_prior_, model.degrees_of_freedom_prior_
    assert told == (0.25, 1.0, 3.0)


@families
@pytest.mark.parametrize("d", [1, 3])
def test_scikit_learns_iterates(family, d):
    """Where its updates are the exact ones: one feature, or matrices."""
    mixture = pytest.importorskip("sklearn.mixture")
    if family in ("diag", "spherical") and d > 1:
        pytest.skip("scikit-learn takes the digammas of a Wishart distribution there: docs/bayesian.md")

    class FromShares(mixture.BayesianGaussianMixture):
        def _initialize_parameters(self, X, random_state, **rest):
            self._initialize(X, shares_of(len(X), self.n_components))

    X = clusters(200, d, 3, distance=2.0)
    arguments = {"covariance_type": family, "tol": 1e-2, "max_iter": 500, "reg_covar": 1e-6, "random_state": 0}
    theirs = FromShares(n_components=5, **arguments).fit(X)
    ours = BayesianGMM(5, **arguments, responsibilities_init=shares_of(200, 5)).fit(X)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    for name in ("precisions_cholesky_", *FITTED[:5]):
        assert_close(ours, getattr(theirs, name), name, 1e-9)
    assert_close(ours, np.array(theirs.weight_concentration_), "weight_concentration_", 1e-9)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    difference = ours.score_samples(X) - theirs.score_samples(X)
    assert np.ptp(difference) < 1e-8 and (family == "tied" or abs(difference[0]) < 1e-8)
    assert_array_equal(ours.predict(X), theirs.predict(X))


@families
@kinds
def test_gaps_have_a_posterior_of_their_own(family, kind):
    """From the posterior of a few iterations on complete rows; one row has nothing observed."""
    X, k = clusters(50, 3, 3), 3
    rows = gappy(X, 0.3)
    rows[0] = np.nan
    w = np.random.default_rng(2).integers(1, 3, len(X)).astype(float)
    prior = variational.default_prior(X, k, family, kind)
    given = {"mean_prior": prior["m"], "covariance_prior": prior["S"], "weight_concentration_prior_type": kind}
    model = fitted(X, k, w, covariance_type=family, missing="marginal", max_iter=3, warm_start=True, **given)
    posterior = variational.run(X, shares_of(50, k), prior, family, 3, w)[0][-1]
    bounds = []
    for _ in range(5):
        r, _, believed = variational.e_step(rows, posterior, family)
        posterior = variational.m_step(r, believed, prior, family, w)
        bounds.append(variational.elbo(r, believed, posterior, prior, family, w))
    model.set_params(max_iter=5).fit(rows, sample_weight=w)
    assert_is_posterior(model, posterior, family)
    assert_close(model, np.array(bounds), "lower_bounds_")
    assert (np.diff(bounds) > 0).all()


@families
@kinds
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_lower_bound_never_falls(family, kind, dtype):
    """Of float32 rows the logarithms are exact to the rounding of float32."""
    X = clusters(400, 3, 4, distance=2.5).astype(dtype)
    model = BayesianGMM(
        8, covariance_type=family, weight_concentration_prior_type=kind, tol=0, max_iter=80, reg_covar=0, random_state=0
    ).fit(X)
    rounding = 1e-13 if dtype == np.float64 else 1e-6
    assert (np.diff(model.lower_bounds_) >= -rounding * np.abs(model.lower_bound_)).all()


@families
def test_float32_rows_are_float64_rows_to_their_rounding(family):
    X = clusters(500, 4, 3).astype(np.float32)
    one, two = fitted(X, 5, covariance_type=family), fitted(X.astype(np.float64), 5, covariance_type=family)
    for name in ("means_", "covariances_", "weights_"):
        assert_close(one, getattr(two, name), name, 1e-4)
    assert abs(one.lower_bound_ - two.lower_bound_) <= 1e-6 * abs(two.lower_bound_)


@families
def test_weight_two_is_the_row_twice(family):
    X = clusters(150, 2, 3)
    w = np.random.default_rng(0).integers(0, 3, 150)
    shares = shares_of(150, 4)
    one = fitted(X, 4, w, covariance_type=family, responsibilities_init=shares)
    two = fitted(np.repeat(X, w, axis=0), 4, covariance_type=family, responsibilities_init=np.repeat(shares, w, axis=0))
    for name in FITTED:
        assert_close(one, getattr(two, name), name, 1e-11)


@families
@pytest.mark.parametrize("n", [300, 20000])
def test_any_number_of_threads_gives_the_same_bits(family, n):
    X, arguments = clusters(n, 3, 4), {"covariance_type": family, "random_state": 0, "max_iter": 10}
    one, two = (BayesianGMM(6, **arguments, n_threads=threads).fit(X) for threads in (1, 3))
    assert_same_bits(one, two, FITTED)


@families
def test_blocks_files_and_chunks_are_the_rows(family, tmp_path):
    """So few that a start looks at all of them."""
    X, w = clusters(12000, 3, 4), np.random.default_rng(0).integers(0, 3, 12000).astype(float)
    arguments = {"covariance_type": family, "random_state": 0, "max_iter": 6}
    whole = BayesianGMM(5, **arguments).fit(X, sample_weight=w)
    blocks = [(X[:8192], w[:8192]), (X[8192:], w[8192:])]
    np.save(tmp_path / "rows.npy", X)
    for rows, weights in (
        (blocks, None),
        (tmp_path / "rows.npy", w),
        (da.from_array(X, (8192, 3)), da.from_array(w, 8192)),
    ):
        model = BayesianGMM(5, **arguments).fit(rows, sample_weight=weights)
        for name in FITTED:
            assert_close(model, np.asarray(getattr(whole, name)), name, 1e-9)


@families
def test_blocks_with_gaps_are_the_rows(family):
    X = gappy(clusters(3000, 3, 3), 0.2)
    arguments = {"covariance_type": family, "random_state": 0, "max_iter": 6, "missing": "marginal"}
    whole, cut = (BayesianGMM(4, **arguments).fit(rows) for rows in (X, [X[:1000], X[1000:]]))
    for name in FITTED:
        assert_close(cut, np.asarray(getattr(whole, name)), name, 1e-9)
    assert np.isfinite(whole.impute(X)).all()


class Broken(Exception):
    pass


def break_at(iteration):
    def callback(state):
        if state.iteration == iteration:
            raise Broken

    return callback


@families
@kinds
def test_a_fit_that_is_broken_off_goes_on_from_its_checkpoint(family, kind, tmp_path):
    X, path = clusters(500, 2, 3), tmp_path / "fit"
    arguments = {
        "covariance_type": family,
        "weight_concentration_prior_type": kind,
        "random_state": 0,
        "tol": 0,
        "max_iter": 12,
    }
    whole = BayesianGMM(5, **arguments).fit(X)
    with pytest.raises(Broken):
        BayesianGMM(5, **arguments, checkpoint=path, checkpoint_interval=3, callback=break_at(8)).fit(X)
    assert path.exists()
    with pytest.raises(ValueError, match="whose weight_concentration_prior was"):
        BayesianGMM(5, **arguments, weight_concentration_prior=3.0, checkpoint=path).fit(X)
    assert_same_bits(BayesianGMM(5, **arguments, checkpoint=path).fit(X), whole, FITTED)
    assert not path.exists()


@families
@kinds
def test_a_file_and_a_pickle_are_the_model(family, kind, tmp_path):
    X, path = clusters(300, 2, 3), tmp_path / "model.npz"
    model = fitted(X, 4, covariance_type=family, weight_concentration_prior_type=kind, on_degenerate="repair")
    model.save(path)
    for other in (BayesianGMM.load(path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same_bits(other, model, FITTED)
        assert_array_equal(other.score_samples(X), model.score_samples(X))
        assert other.weight_concentration_prior_type == kind and other.covariance_type == family
    warm = BayesianGMM.load(path).set_params(warm_start=True, max_iter=1)
    assert warm.fit(X).lower_bound_ > model.lower_bound_


def test_a_file_of_the_other_kind_is_refused(tmp_path):
    X = clusters(100, 2, 2)
    BayesianGMM(2, random_state=0).fit(X).save(tmp_path / "bayesian.npz")
    GMM(2, random_state=0).fit(X).save(tmp_path / "point.npz")
    with pytest.raises(ValueError, match=r"it holds a BayesianGMM, not a GMM: load it with BayesianGMM.load"):
        GMM.load(tmp_path / "bayesian.npz")
    with pytest.raises(ValueError, match=r"it holds a GMM, not a BayesianGMM: load it with GMM.load"):
        BayesianGMM.load(tmp_path / "point.npz")


@pytest.mark.parametrize(
    "argument, value, message",
    [
        ("weight_concentration_prior_type", "process", "weight_concentration_prior_type must be one of"),
        ("weight_concentration_prior", 0, "weight_concentration_prior must be positive"),
        ("weight_concentration_prior", -1, "weight_concentration_prior must be finite and at least"),
        ("weight_concentration_prior", "small", "weight_concentration_prior must be a number"),
        ("mean_precision_prior", 0.0, "mean_precision_prior must be positive"),
        ("mean_precision_prior", np.nan, "mean_precision_prior must be finite"),
        ("mean_prior", [1.0, 2.0, 3.0], "'mean_prior' should have the shape of"),
        ("mean_prior", [1.0, np.inf], "mean_prior contains infinity"),
        ("degrees_of_freedom_prior", 1.0, "degrees_of_freedom_prior must be greater than 1"),
        ("degrees_of_freedom_prior", 0, "degrees_of_freedom_prior must be positive"),
        ("covariance_prior", 1.0, "covariance_prior should have the shape of"),
        ("covariance_prior", np.eye(3), "covariance_prior should have the shape of"),
        ("covariance_prior", [[1.0, 2.0], [2.0, 1.0]], "covariance_prior should be symmetric, positive-definite"),
        ("covariance_prior", [[1.0, 0.5], [0.0, 1.0]], "covariance_prior should be symmetric, positive-definite"),
        ("covariance_prior", [[np.nan, 0.5], [0.5, 1.0]], "covariance_prior should be symmetric, positive-definite"),
        ("n_components", 0, "n_components must be at least 1"),
        ("covariance_type", "round", "covariance_type must be one of 'full', 'tied', 'diag', 'spherical'"),
        ("tol", -1, "tol must be finite and at least 0"),
        ("init_params", "best", "init_params must be one of"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error_before_any_work(argument, value, message):
    def never(*_):
        raise AssertionError("a start was made")

    arguments = {"n_components": 3, "init_params": never, argument: value}
    with pytest.raises(ValueError, match=message):
        BayesianGMM(**arguments).fit(clusters(50, 2, 2))


@pytest.mark.parametrize("family, value", [("diag", [1.0, 0.0]), ("diag", np.eye(2)), ("spherical", [1.0, 1.0])])
def test_covariance_priors_are_of_their_family(family, value):
    with pytest.raises(ValueError, match="covariance_prior should"):
        BayesianGMM(2, covariance_type=family, covariance_prior=value).fit(clusters(50, 2, 2))


def test_weights_that_leave_components_no_mass_are_refused():
    X = clusters(50, 2, 2)
    with pytest.raises(ValueError, match="n_components=3"):
        BayesianGMM(3).fit(X, sample_weight=np.r_[1.0, 1.0, np.zeros(48)])
    with pytest.raises(ValueError, match="sample_weight"):
        BayesianGMM(3).fit(X, sample_weight=np.zeros(50))
    with pytest.raises(ValueError, match="sample_weight sums to 5e\\+291, but may sum to 1e\\+290"):
        BayesianGMM(3).fit(X, sample_weight=np.full(50, 1e290))


@families
@pytest.mark.parametrize("size", [1e-250, 1e-20, 1e20, 1e250])
def test_weights_of_any_size(family, size):
    """Rows of next to no weight leave the prior as it is; heavy ones leave nothing of it."""
    X = clusters(200, 2, 2)
    model = fitted(X, 3, np.full(200, size), covariance_type=family, mean_precision_prior=1.0)
    values = (model.means_, model.covariances_, model.weights_, model.lower_bounds_, model.score_samples(X))
    assert all(np.isfinite(value).all() for value in values)
    assert (np.diff(model.lower_bounds_) >= -1e-12 * np.abs(model.lower_bound_)).all()
    if size < 1:
        assert_allclose(model.means_, np.tile(model.mean_prior_, (3, 1)), atol=1e-12)
        assert abs(model.lower_bound_) < 1e-10
    else:
        assert_allclose(model.mean_precision_.sum(), 200 * size, rtol=1e-12)


@pytest.mark.parametrize("family", ["full", "tied", "diag"])
def test_a_constant_column_is_held_and_told(family):
    X = np.column_stack([clusters(200, 1, 2), np.full(200, 3.0)])
    with pytest.warns(DegenerateWarning, match="Feature 1 is constant"):
        model = BayesianGMM(3, covariance_type=family, reg_covar=0, random_state=0).fit(X)
    assert np.isfinite(model.score_samples(X)).all() and np.isfinite(model.lower_bounds_).all()
    with pytest.raises(DegenerateError, match="constant"):
        BayesianGMM(3, covariance_type=family, reg_covar=0, on_degenerate="raise").fit(X)


@families
def test_few_rows_of_many_features_are_no_bad_luck(family):
    """The default prior of a singular covariance is its diagonal."""
    X = clusters(8, 12, 2)
    model = BayesianGMM(4, covariance_type=family, random_state=0, reg_covar=0).fit(X)
    assert np.isfinite(model.lower_bounds_).all() and np.isfinite(model.score_samples(X)).all()


@families
@kinds
def test_components_that_are_not_needed_die_and_are_pruned(family, kind):
    X = clusters(2000, 2, 3, distance=40.0)
    arguments = {"weight_concentration_prior": 1e-3, "max_iter": 300, "random_state": 0, "covariance_type": family}
    model = BayesianGMM(8, weight_concentration_prior_type=kind, **arguments).fit(X)
    assert 3 <= model.n_effective_ < 8
    small = model.prune()
    assert isinstance(small, BayesianGMM) and small.n_components == model.n_effective_ == small.n_effective_
    living = model.mean_precision_ - 1 >= 1
    assert_array_equal(small.means_, model.means_[living])
    assert_array_equal(small.mean_precision_, model.mean_precision_[living])
    if family == "tied":  # what all share has lost the prior of those that died
        nu, died = 8 * model.degrees_of_freedom_, 8 - model.n_effective_
        scale = nu * model.covariances_ - died * model.covariance_prior_
        assert_allclose(small.covariances_, scale / (nu - 2 * died), rtol=1e-3)
    else:
        assert_array_equal(small.covariances_, model.covariances_[living])
    labels = np.searchsorted(np.flatnonzero(living), model.predict(X))
    assert np.mean(small.predict(X) == labels) > (0.99 if family == "tied" else 0.9999)
    point = model.prune(point=True)
    assert isinstance(point, GMM) and not isinstance(point._parameters, Posterior)
    assert_array_equal(point.means_, small.means_)
    assert_allclose(point.weights_, small.weights_, rtol=1e-12)
    with pytest.raises(ValueError, match="no component has rows that weigh 1e\\+06 or more"):
        model.prune(1e6)


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 3])
def test_components_that_have_died_leave_the_pass(family, dtype, d, monkeypatch):
    """A stick behind the last that lives has the logarithm ψ(γ)."""
    X = clusters(4000, d, 3, distance=20.0).astype(dtype)
    arguments = {"covariance_type": family, "weight_concentration_prior": 1e-3, "tol": 0, "max_iter": 30}
    passes = []
    inner = InMemory.expectation

    def counted(self, density, moment, *rest):
        passes.append(len(density.means))
        return inner(self, density, moment, *rest)

    monkeypatch.setattr(InMemory, "expectation", counted)
    labels = np.random.default_rng(0).integers(0, 2, 4000) + 3 * (X[:, 0] > np.median(X[:, 0]))
    model = BayesianGMM(9, **arguments, responsibilities_init=labels).fit(X)
    assert min(passes[1:]) < 9 and passes[-1] < 9
    passes.clear()
    monkeypatch.setattr(data, "that_matter", lambda density, *_: np.ones(len(density.means), dtype=bool))
    dense = BayesianGMM(9, **arguments, responsibilities_init=labels).fit(X)
    assert set(passes[1:]) == {9}
    for name in FITTED:
        assert_close(model, np.asarray(getattr(dense, name)), name, 1e-12)


def test_lower_bounds_of_other_numbers_of_components_can_be_compared():
    """Each is less than the logarithm of the evidence; that of the right number is the highest."""
    X = clusters(600, 2, 3, distance=20.0)
    arguments = {"weight_concentration_prior_type": "dirichlet_distribution", "weight_concentration_prior": 1.0}
    bounds = [BayesianGMM(k, **arguments, random_state=0, n_init=3).fit(X).lower_bound_ for k in range(1, 6)]
    assert np.argmax(bounds) == 2


def test_one_component_has_the_evidence_itself():
    """With one component the posterior is exact, and the bound the logarithm of the marginal likelihood: the product of
    the predictive densities of each row given those before it."""
    X = clusters(30, 2, 1)
    prior = {"mean_prior": [0.0, 0.0], "covariance_prior": np.eye(2), "degrees_of_freedom_prior": 3.5}
    arguments = {"weight_concentration_prior_type": "dirichlet_distribution", "reg_covar": 0, **prior}
    whole = BayesianGMM(1, **arguments).fit(X)
    believed = variational.default_prior(X, 1, "full", "dirichlet_distribution", m=np.zeros(2), nu=3.5, S=np.eye(2))
    evidence = 0.0
    for i, x in enumerate(X):
        before = variational.m_step(np.ones((i, 1)), variational.completed(X[:i], 1), believed, "full")
        evidence += variational.log_predictive(x[np.newaxis], before, "full")[0]
    assert_allclose(whole.lower_bound_, evidence, rtol=1e-12)


def test_more_starts_never_end_lower():
    X = clusters(200, 2, 5, distance=3.0)
    bounds = [BayesianGMM(6, n_init=n, random_state=1).fit(X).lower_bound_ for n in (1, 2, 5)]
    assert (np.diff(bounds) >= 0).all()
    found = BayesianGMM(3, n_init="auto", random_state=1).fit(X[:100])
    assert found.lower_bound_ >= BayesianGMM(3, random_state=1).fit(X[:100]).lower_bound_


def test_a_callback_sees_the_lower_bound_and_stops():
    seen = []

    def stop(state):
        seen.append(state.log_likelihood)
        return state.iteration == 4

    model = BayesianGMM(4, tol=0, random_state=0, callback=stop).fit(clusters(300, 2, 3))
    assert_array_equal(seen, model.lower_bounds_)
    assert model.n_iter_ == 4


def test_what_a_fit_prints(capsys):
    with pytest.warns(ConvergenceWarning, match="while the lower bound still changed"):
        BayesianGMM(4, tol=0, max_iter=10, random_state=0, verbose=2).fit(clusters(300, 2, 3))
    assert "Iteration 10: lower bound is -" in capsys.readouterr().out


def test_warm_start_goes_on_under_another_prior():
    X = clusters(300, 2, 3)
    model = BayesianGMM(4, random_state=0, warm_start=True, max_iter=5).fit(X)
    bound = model.lower_bound_
    assert model.fit(X).lower_bound_ >= bound
    model.set_params(weight_concentration_prior=50.0).fit(X)
    assert model.weight_concentration_prior_ == 50.0 and model.weights_.min() > 0.05
    with pytest.raises(ValueError, match="warm_start cannot continue"):
        model.set_params(n_components=3).fit(X)


def test_pruned_passes_are_dense_ones(monkeypatch):
    """Of many components, most of which are far from a row."""
    X = clusters(20000, 16, 24, distance=30.0)
    fits = []
    for prune in ("1", "0"):
        monkeypatch.setenv("CGMM_PRUNE", prune)
        fits.append(BayesianGMM(32, max_iter=8, tol=0, random_state=0).fit(X))
    for name in FITTED:
        assert_close(fits[0], np.asarray(getattr(fits[1], name)), name, 1e-9)


@families
def test_rows_are_sampled_and_drawn_from_the_expected_mixture(family):
    pytest.importorskip("matplotlib").use("Agg")
    X = clusters(300, 2, 3)
    model = BayesianGMM(3, covariance_type=family, random_state=0).fit(X)
    rows, labels = model.sample(4000)
    assert_allclose(np.bincount(labels, minlength=3) / 4000, model.weights_, atol=0.03)
    assert rows.shape == (4000, 2)
    model.plot(X)


def test_families_that_have_no_conjugate_prior_are_not_offered(monkeypatch):
    monkeypatch.setitem(FAMILIES, "other", FAMILIES["full"])
    with pytest.raises(ValueError, match="covariance_type must be one of"):
        BayesianGMM(2, covariance_type="other").fit(clusters(50, 2, 2))


@families
@kinds
@pytest.mark.parametrize("d", [1, 3])
def test_the_predictive_density_is_a_mixture_of_t_distributions(family, kind, d):
    X = clusters(60, d, 3)
    prior = variational.default_prior(X, 3, family, kind)
    posterior = variational.run(X, shares_of(60, 3), prior, family, 12)[0][-1]
    model = fitted(X, 3, covariance_type=family, weight_concentration_prior_type=kind)
    rows = np.concatenate([X, 100 * X])
    expected = variational.log_predictive(rows, posterior, family)
    assert_allclose(model.log_predictive(rows), expected, rtol=1e-9)
    assert_allclose(model.log_predictive([rows[:50], rows[50:]]), expected, rtol=1e-9)
    assert_allclose(model.log_predictive(rows.astype(np.float32)), expected, rtol=1e-4)


@families
def test_the_predictive_density_integrates_to_one(family):
    """Over the line; and, of a row with a gap, that of what is observed is the integral over what may be there."""
    model = fitted(clusters(30, 1, 2), 3, covariance_type=family)
    tangent = np.tan(np.pi * (np.arange(1, 40001) - 20000.5) / 40001)  # from −∞ to ∞
    weights = np.pi / 40001 * (1 + tangent**2)
    assert_allclose(weights @ np.exp(model.log_predictive(tangent[:, np.newaxis])), 1.0, rtol=1e-4)
    model = fitted(clusters(30, 3, 2), 3, covariance_type=family, missing="marginal")
    rows = np.column_stack([np.full(len(tangent), 0.3), tangent, np.full(len(tangent), -0.2)])
    gap = np.array([[0.3, np.nan, -0.2], [np.nan] * 3, [0.3, 0.1, -0.2]])
    found = model.log_predictive(gap)
    assert_allclose(found[0], np.log(weights @ np.exp(model.log_predictive(rows))), rtol=1e-5)
    assert found[1] == 0
    assert_allclose(found[2], model.log_predictive(gap[2:])[0], rtol=1e-12)


@families
def test_the_predictive_density_has_the_same_bits_for_any_number_of_threads(family):
    X = clusters(3000, 3, 3)
    model = fitted(X, 3, covariance_type=family)
    one, two = (model.set_params(n_threads=threads).log_predictive(X) for threads in (1, 3))
    assert_array_equal(one, two)


def along_scikit_learn(X, labels, k, family, iterations):
    """scikit-learn's model from labels, and the evidence lower bound of each of its iterations."""
    mixture = pytest.importorskip("sklearn.mixture")
    prior, rows, bounds = variational.default_prior(X, k, family), variational.completed(X, k), []

    class Watched(mixture.BayesianGaussianMixture):
        def _initialize_parameters(self, X, random_state, **rest):
            self._initialize(X, 0.9 * np.eye(k)[labels] + 0.1 / k)

        def _m_step(self, X, log_resp, **rest):
            super()._m_step(X, log_resp, **rest)
            nu = self.degrees_of_freedom_
            posterior = {
                "concentration": np.array(self.weight_concentration_),
                "b": self.mean_precision_,
                "m": self.means_,
                "nu": nu,
                "S": nu.reshape(-1, *[1] * (np.ndim(self.covariances_) - 1)) * self.covariances_,
            }
            bounds.append(variational.elbo(np.exp(log_resp), rows, posterior, prior, family))

    arguments = {"covariance_type": family, "tol": 0, "max_iter": iterations, "reg_covar": 0}
    model = Watched(n_components=k, **arguments).fit(X)
    return model, np.array(bounds)


@pytest.mark.filterwarnings("ignore:Best performing:UserWarning")
@pytest.mark.parametrize("family", ["diag", "spherical"])
def test_what_the_lower_bound_does_along_scikit_learns_iterates(family):
    """It falls, on iris from a tenth of all rows in each component: docs/bayesian.md has the numbers."""
    X, labels = table("iris"), np.array(PUBLISHED["labels"]["iris-5"])
    theirs, bounds = along_scikit_learn(X, labels, 5, family, 30)
    assert np.diff(bounds).min() < -0.005
    ours = BayesianGMM(
        5,
        covariance_type=family,
        tol=0,
        max_iter=30,
        reg_covar=0,
        responsibilities_init=0.9 * np.eye(5)[labels] + 0.02,
    ).fit(X)
    assert np.diff(ours.lower_bounds_).min() >= 0
    assert np.abs(ours.means_ - theirs.means_).max() > 0.01


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("masses", np.array([1.0, -1.0, 3.0]), "masses must not be negative"),
        ("masses", np.array([1.0, 2.0]), "masses"),
        ("belief_mean", np.array([np.nan, 0.0]), "belief_mean contains NaN"),
        ("belief_covariance", -np.eye(2), "belief_covariance should be symmetric, positive-definite"),
        ("belief_covariance", None, "it lacks belief_covariance"),
        ("belief", None, "'belief'"),
        ("belief", {"kind": "unknown"}, "degrees"),
        ("degrees", 0.5, "degrees are 0.5, of 2 features"),
        ("kind", "unknown", "weight_concentration_prior_type must be one of"),
        ("concentration", -1.0, "its header's concentration"),
    ],
)
def test_a_file_that_is_no_posterior_is_refused(name, value, message, tmp_path):
    path = tmp_path / "model.npz"
    fitted(clusters(100, 2, 2), 3).save(path)
    arrays = dict(np.load(path))
    header = json.loads(arrays["header"].item())
    if name in arrays:
        arrays[name] = value
    elif name == "belief":
        header["belief"] = value
    else:
        header["belief"][name] = value
    header = {key: content for key, content in header.items() if content is not None or key != "belief"}
    kept = {key: content for key, content in arrays.items() if content is not None}
    np.savez(path, **kept | {"header": np.array(json.dumps(header))})
    with pytest.raises(ValueError, match=r"model.npz cannot be loaded as a cgmm model: .*" + message):
        BayesianGMM.load(path)


@pytest.mark.filterwarnings("ignore:Estimator BayesianGMM does not inherit:UserWarning")
def test_it_is_an_estimator_of_scikit_learns():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    checks.check_estimator(BayesianGMM(n_threads=1), on_skip=None)
