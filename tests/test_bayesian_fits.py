"""Posteriors with whatever a fit can be combined with: sources, files, starts, bad luck, wrong arguments."""

import copy
import json
import pickle
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import digamma

import reference
import variational
from cgmm import GMM, BayesianGMM, ConvergenceWarning, DegenerateError, DegenerateWarning
from cgmm.mixture import density
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.posterior import Posterior
from cgmm.mixture.rules import Rules
from cgmm.rows import data
from cgmm.rows.part import Part
from cgmm.rows.place import InMemory
from datasets import compact
from gaps import gappy
from posteriors import FITTED, assert_close, fitted
from problems import assert_same_bits, clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
kinds = pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])


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
        ("weight_concentration_prior", -1, "weight_concentration_prior must be positive and finite"),
        ("weight_concentration_prior", "small", "weight_concentration_prior must be a number"),
        ("mean_precision_prior", 0.0, "mean_precision_prior must be positive"),
        ("mean_precision_prior", np.nan, "mean_precision_prior must be positive and finite"),
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
@pytest.mark.parametrize("reg_covar", [0, 1e-6, 0.01, "relative"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_column_is_held_and_told(family, reg_covar, dtype):
    X = np.column_stack([clusters(200, 2, 2), np.full(200, 3.3)])[:, [0, 2, 1]].astype(dtype)
    settings = {"covariance_type": family, "reg_covar": reg_covar, "random_state": 0}
    with pytest.warns(DegenerateWarning, match="Feature 1 is constant, and covariances singular: drop it") as told:
        model = BayesianGMM(3, **settings).fit(X)
    with pytest.warns(DegenerateWarning) as expected:
        GMM(3, **settings).fit(X)
    texts = ([str(one.message) for one in some if one.category is DegenerateWarning] for some in (told, expected))
    assert next(texts) == next(texts)
    assert np.isfinite(model.score_samples(X)).all() and np.isfinite(model.lower_bounds_).all()
    with pytest.raises(DegenerateError, match="constant"):
        BayesianGMM(3, on_degenerate="raise", **settings).fit(X)


@families
@pytest.mark.filterwarnings("error::cgmm.DegenerateWarning")
def test_a_reg_covar_that_replaces_no_variance_is_not_told_of(family):
    """Nor is one beside which the prior of a feature without a variance is large."""
    X = clusters(200, 3, 2)
    BayesianGMM(3, covariance_type=family, reg_covar=0.01, random_state=0).fit(X)
    X[:, 1] = 3.3
    believed = {"full": np.eye(3), "tied": np.eye(3), "diag": np.ones(3), "spherical": 1.0}[family]
    BayesianGMM(3, covariance_type=family, covariance_prior=believed, random_state=0).fit(X)


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

    def counted(self, density, moment, *rest, **known):
        passes.append(len(density.means))
        return inner(self, density, moment, *rest, **known)

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


@pytest.mark.filterwarnings("error::RuntimeWarning")
@families
def test_where_distances_are_beyond_all_numbers_each_component_matters(family):
    """Squares of rows of 1e150, in deviations of 1e-20."""
    covariances = 1e-40 * np.broadcast_to(np.eye(2), (3, 2, 2))
    parameters = Parameters.build(FAMILIES[family], np.full(3, 1 / 3), np.zeros((3, 2)), compact(covariances, family))
    assert density.that_matter(parameters.density, np.full(2, -1e150), np.full(2, 1e150)).all()


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
    X = clusters(100, 2, 5, distance=3.0)
    bounds = [BayesianGMM(6, n_init=n, random_state=1).fit(X).lower_bound_ for n in (1, 2, 5)]
    assert (np.diff(bounds) >= 0).all()
    found = BayesianGMM(3, n_init="auto", random_state=1).fit(X[:60])
    assert found.lower_bound_ >= BayesianGMM(3, random_state=1).fit(X[:60]).lower_bound_


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


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("masses", np.array([1.0, -1.0, 3.0]), "masses must not be negative"),
        ("masses", np.array([1.0, 2.0]), "masses"),
        ("belief_mean", np.array([np.nan, 0.0]), "belief_mean contains NaN"),
        ("belief_covariance", -np.eye(2), "belief_covariance should be symmetric, positive-definite"),
        ("belief_covariance", None, "it lacks belief_covariance"),
        ("belief", None, "'belief'"),
        ("belief", {"kind": "unknown"}, "concentration"),
        ("degrees", 0.5, "degrees of its prior are 0.5, of 2 features"),
        ("kind", "unknown", "weight_concentration_prior_type must be one of"),
        ("concentration", -1.0, "concentration of its prior"),
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


# What it says of components


@families
def test_sorted_is_the_same_posterior(family):
    X, k = clusters(300, 2, 3), 4
    model = fitted(X, k, covariance_type=family, weight_concentration_prior_type="dirichlet_distribution")
    after, order = model.sorted(), np.lexsort(model.means_.T[::-1])
    assert_array_equal(after.weight_concentration_, model.weight_concentration_[order])
    assert_allclose(after.score_samples(X), model.score_samples(X), rtol=1e-12)
    assert_allclose(after.log_predictive(X), model.log_predictive(X), rtol=1e-12)
    assert after.n_effective_ == model.n_effective_


def test_components_of_a_process_keep_their_order():
    model = fitted(clusters(300, 2, 3), 4)
    assert_same_bits(model.sorted(range(4)), model, FITTED)
    with pytest.raises(ValueError, match="in the order of its sticks"):
        model.sorted(range(4), reverse=True)


@kinds
def test_expected_log_densities_and_log_weights_add_up(kind):
    X = clusters(300, 2, 3)
    model = fitted(X, 4, weight_concentration_prior_type=kind)
    both = model._estimate_log_prob(X) + model._estimate_log_weights()
    assert_allclose(np.logaddexp.reduce(both, axis=1), model.score_samples(X), rtol=1e-12)
    if kind == "dirichlet_distribution":
        concentration = model.weight_concentration_
        assert_allclose(model._estimate_log_weights(), digamma(concentration) - digamma(concentration.sum()))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_bound_that_is_no_number_is_refused():
    """Weights may sum to 1e290, but times a row's own bound that may be too much: it was infinite."""
    X = np.random.default_rng(0).normal(size=(40, 2))
    parameters = BayesianGMM(2, random_state=0).fit(X)._parameters
    large = replace(data.Complete(InMemory(Part(X))).statistics(parameters), exponent=1100)
    with pytest.raises(ValueError, match=r"sample_weight is so large .* it counts rows, so divide it"):
        parameters.objective(large, Rules(), parameters)
