"""Posteriors of rows with errors of measurement: the formulas, laws, and pairs with everything else."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import gammaln, logsumexp

import cgmm
import deconvolution
import reference
import variational
from cgmm import GMM, BayesianGMM
from gaps import gappy
from measurements import measured
from posteriors import FITTED, assert_close, fitted, shares_of
from problems import assert_same_bits, assert_same_fit, clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
kinds = pytest.mark.parametrize("kind", ["covariances", "variances"])
believed = pytest.mark.parametrize("believed", ["dirichlet_process", "dirichlet_distribution"])
UPDATES = 1e-9  # what twelve iterations leave of rounding, inverses of errors in the reference included


# The formulas


@families
@believed
@kinds
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
@pytest.mark.parametrize("reg_covar", [0.0, 0.01])
def test_updates_and_bounds_are_those_of_the_formulas(family, believed, kind, gaps, reg_covar):
    """From the posterior of three iterations on rows that are exact."""
    _, X, S = measured(kind, n=60, d=3)
    rows, w = (gappy(X, 0.2) if gaps else X), np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    prior = variational.default_prior(X, 4, family, believed)
    given = {"mean_prior": prior["m"], "covariance_prior": prior["S"], "weight_concentration_prior_type": believed}
    settings = {"covariance_type": family, "reg_covar": reg_covar, "missing": "marginal" if gaps else "error"}
    model = fitted(X, 4, w, max_iter=3, warm_start=True, **given, **settings)
    posterior = variational.run(X, shares_of(60, 4), prior, family, 3, w, reg_covar)[0][-1]
    errors, bounds = deconvolution.covariances_of_errors(S, *X.shape), []
    for _ in range(8):
        r, _, truth = variational.e_step(rows, posterior, family, errors)
        posterior = variational.m_step(r, truth, prior, family, w, reg_covar)
        bounds.append(variational.elbo(r, truth, posterior, prior, family, w, reg_covar))
    model.set_params(max_iter=8).fit(rows, sample_weight=w, error_covariances=S)
    assert_close(model, np.array(bounds), "lower_bounds_", UPDATES)
    assert_close(model, posterior["m"], "means_", UPDATES)
    assert_close(model, variational.covariances_of(posterior, family), "covariances_", UPDATES)
    assert_close(model, variational.expected_weights(posterior), "weights_", UPDATES)
    assert_close(model, posterior["b"], "mean_precision_", UPDATES)
    assert_close(model, variational.degrees_of(posterior, family), "degrees_of_freedom_", UPDATES)
    r, norm, (b, B, _) = variational.e_step(rows, posterior, family, errors)
    assert_allclose(model.predict_proba(rows, S), r, atol=1e-8)
    assert_allclose(model.score_samples(rows, S), norm, atol=UPDATES * np.abs(norm).max())
    mean = np.einsum("ic,icj->ij", r, b)
    away = b - mean[:, None]
    spread = np.einsum("ic,icjl->ijl", r, B) + np.einsum("ic,icj,icl->ijl", r, away, away)
    means, covariances = model.denoise(rows, S, return_cov=True)
    assert_allclose(means, mean, atol=1e-8 * np.abs(mean).max())
    assert_allclose(covariances, spread, atol=1e-8 * np.abs(spread).max())


@pytest.mark.parametrize("size", [0.01, 1.0])
def test_the_bound_is_one_of_the_evidence(size):
    """Of one component and feature, whose evidence is an integral over its mean and precision: of few rows the bound is
    less by what q(μ, λ) Π q(v_i) cannot say, which is nothing if errors are small."""
    _, X, S = measured("variances", n=12, d=1, k=1, size=size)
    settings = {"weight_concentration_prior_type": "dirichlet_distribution", "tol": 1e-12, "max_iter": 5000}
    model = BayesianGMM(1, reg_covar=0, **settings).fit(X, error_covariances=S)
    b, nu, scale = model.mean_precision_prior_, model.degrees_of_freedom_prior_, model.covariance_prior_[0, 0]
    t = np.linspace(-8, 8, 400)
    mu, log_lambda = np.meshgrid(X.mean() + t * X.std(), t - 2 * np.log(X.std()), indexing="ij")
    variance = np.exp(-log_lambda)
    logs = 0.5 * np.log(b / (2 * np.pi * variance)) - 0.5 * b * (mu - model.mean_prior_[0]) ** 2 / variance
    logs += 0.5 * nu * (log_lambda + np.log(scale / 2)) - 0.5 * scale / variance - gammaln(nu / 2)
    for x, s in zip(X[:, 0], S[:, 0], strict=True):
        logs -= 0.5 * (np.log(2 * np.pi * (variance + s)) + (x - mu) ** 2 / (variance + s))
    evidence = logsumexp(logs) + np.log((t[1] - t[0]) ** 2 * X.std())
    assert 0 < evidence - model.lower_bound_ < (0.02 if size < 1 else 0.6)


# Laws


@families
@kinds
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
def test_without_errors_it_is_the_ordinary_fit(family, kind, gaps):
    X = clusters(400, 3, 3)
    rows, zeros = (gappy(X, 0.15) if gaps else X), np.zeros((400, 3, 3) if kind == "covariances" else (400, 3))
    settings = {"covariance_type": family, "missing": "marginal" if gaps else "error"}
    settings["responsibilities_init"] = shares_of(400, 4)
    models = [BayesianGMM(4, tol=0, max_iter=12, **settings) for _ in range(2)]
    ordinary, exact = models[0].fit(rows), models[1].fit(rows, error_covariances=zeros)
    for name in FITTED:
        assert_close(exact, getattr(ordinary, name), name, 1e-9)
    assert_allclose(exact.denoise(X, zeros), X, atol=1e-9)


@families
@believed
@kinds
@pytest.mark.parametrize("size", [0.1, 3.0, 100.0])
def test_the_bound_never_falls(family, believed, kind, size):
    _, X, S = measured(kind, size=size)
    model = BayesianGMM(6, covariance_type=family, weight_concentration_prior_type=believed, reg_covar=0, tol=0)
    history = model.set_params(max_iter=150, random_state=0).fit(X, error_covariances=S).lower_bounds_
    assert np.diff(history).min() >= -1e-12 * np.abs(history).max()


@families
def test_a_row_of_weight_two_is_the_row_twice(family):
    _, X, S = measured(n=150)
    w, shares = np.random.default_rng(0).integers(0, 3, 150), shares_of(150, 4)
    settings = {"covariance_type": family, "tol": 0, "max_iter": 12}
    one = BayesianGMM(4, responsibilities_init=shares, **settings).fit(X, sample_weight=w, error_covariances=S)
    twice = [np.repeat(values, w, axis=0) for values in (X, S, shares)]
    two = BayesianGMM(4, responsibilities_init=twice[2], **settings).fit(twice[0], error_covariances=twice[1])
    for name in FITTED:
        assert_close(one, getattr(two, name), name, 1e-11)


def test_components_are_those_of_the_true_values():
    """Errors twice as large as components: as many are found as there are, and each is nearer to 0.3, its standard
    deviation, than to 0.7, that of what was measured. True values are found as if the mixture were known, within what
    three variances of 500 rows can be wrong."""
    rng, centres = np.random.default_rng(0), np.array([[0.0, 0.0], [3.0, 1.0], [0.0, 4.0]])
    truth = np.repeat(centres, 500, axis=0) + 0.3 * rng.normal(size=(1500, 2))
    S = rng.gamma(1.0, 0.4, size=(1500, 2))
    X = truth + np.sqrt(S) * rng.normal(size=(1500, 2))
    model = BayesianGMM(8, weight_concentration_prior=1e-3, max_iter=2000, random_state=0).fit(X, error_covariances=S)
    assert model.n_effective_ == 3
    spread = np.sqrt(model.prune(point=True).covariances_.diagonal(axis1=1, axis2=2))
    assert (spread > 0.2).all() and (spread < 0.5).all()
    known = GMM.from_parameters(np.full(3, 1 / 3), centres, np.full(3, 0.09), "spherical")
    error, least = (np.square(one.denoise(X, S) - truth).mean() for one in (model, known))
    assert error < 1.1 * least


@pytest.mark.parametrize("n_threads", [2, 5])
def test_threads_change_no_bit(n_threads):
    _, X, S = measured(n=20000)
    settings = {"random_state": 0, "max_iter": 5, "n_init": 2}
    one, many = (BayesianGMM(3, n_threads=m, **settings).fit(X, error_covariances=S) for m in (1, n_threads))
    assert_same_bits(one, many)


# With everything else


def cuts(X, S, w):
    return [(X[a : a + 400], w[a : a + 400], None, S[a : a + 400]) for a in range(0, len(X), 400)]


@kinds
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
def test_blocks_are_the_array(kind, gaps):
    _, X, S = measured(kind, n=1500)
    X, w = (gappy(X, 0.1) if gaps else X), np.random.default_rng(0).uniform(0.5, 2, 1500)
    settings = {"random_state": 0, "tol": 0, "max_iter": 15, "missing": "marginal" if gaps else "error"}
    whole = BayesianGMM(4, **settings).fit(X, sample_weight=w, error_covariances=S)
    blocks = BayesianGMM(4, **settings).fit(cuts(X, S, w))
    assert_same_fit(blocks, whole, 1e-9, FITTED)
    assert_allclose(whole.score(cuts(X, S, w)), whole.score(X, sample_weight=w, error_covariances=S), rtol=1e-12)
    assert_array_equal(whole.predict_proba(cuts(X, S, w)), whole.predict_proba(X, S))
    assert_array_equal(whole.denoise(cuts(X, S, w)), whole.denoise(X, S))


def test_dask_is_the_array():
    da = pytest.importorskip("dask.array")
    _, X, S = measured(n=3000)
    whole = BayesianGMM(3, random_state=0, tol=0, max_iter=15).fit(X, error_covariances=S)
    chunked = BayesianGMM(3, random_state=0, tol=0, max_iter=15).fit(
        da.from_array(X, chunks=(1300, 2)), error_covariances=da.from_array(S, chunks=(1300, 2, 2))
    )
    assert_same_fit(chunked, whole, 1e-9, FITTED)


def test_labels_starts_and_draws():
    _, X, S = measured(n=600)
    labels = np.where(np.arange(600) < 60, np.arange(600) % 3, -1)
    for errors in (S, S[:, [0, 1], [0, 1]]):
        model = BayesianGMM(3, random_state=0, reg_covar=0, tol=0, max_iter=60)
        history = model.fit(X, labels=labels, error_covariances=errors).lower_bounds_
        assert np.diff(history).min() >= -1e-12 * np.abs(history).max()
    one, many = (BayesianGMM(4, random_state=0, n_init=m).fit(X, error_covariances=S) for m in (1, 5))
    assert many.lower_bound_ >= one.lower_bound_
    drawn = one.sample(100_000, random_state=0, error_covariances=[1.0, 4.0])[0]
    assert_allclose(np.cov(drawn.T), one.covariance() + np.diag([1.0, 4.0]), atol=0.02 * np.trace(one.covariance()))


def test_checkpoints_and_files(tmp_path):
    _, X, S = measured(n=500)
    plain = BayesianGMM(4, random_state=0, tol=0, max_iter=30).fit(X, error_covariances=S)
    settings = {"checkpoint": tmp_path / "checkpoint", "checkpoint_interval": 5, "tol": 0, "max_iter": 30}

    def kill(state):
        if state.iteration == 17:
            raise InterruptedError

    model = BayesianGMM(4, random_state=0, callback=kill, **settings)
    with pytest.raises(InterruptedError):
        model.fit(X, error_covariances=S)
    with pytest.raises(ValueError, match="errors"):
        model.set_params(callback=None).fit(X, error_covariances=2 * S)
    assert_same_bits(model.fit(X, error_covariances=S), plain, FITTED)
    plain.save(tmp_path / "model.npz")
    loaded = BayesianGMM.load(tmp_path / "model.npz")
    assert_array_equal(loaded.score_samples(X, S), plain.score_samples(X, S))
    assert_array_equal(loaded.denoise(X, S), plain.denoise(X, S))


def test_many_posteriors_are_those_of_each():
    problems = [measured(n=80, seed=seed)[1:] for seed in range(3)]
    X, S = (list(values) for values in zip(*problems, strict=True))
    S[1] = None
    fits = cgmm.fit_many(X, model=BayesianGMM(3, max_iter=20), error_covariances=S, random_state=0)
    for i, (rows, errors) in enumerate(zip(X, S, strict=True)):
        alone = BayesianGMM(3, max_iter=20, random_state=0).fit(rows, error_covariances=errors)
        assert_same_bits(fits[i], alone, FITTED)


def test_parts_that_were_assigned_are_a_mixture():
    _, X, S = measured()
    model = BayesianGMM(2)
    model.weights_, model.means_, model.covariances_ = [0.3, 0.7], [[0.0, 0.0], [3.0, 1.0]], [np.eye(2)] * 2
    mixture = GMM.from_parameters(model.weights_, model.means_, model.covariances_)
    assert_array_equal(model.denoise(X, S), mixture.denoise(X, S))
    assert_array_equal(model.score_samples(X, S), mixture.score_samples(X, S))


def test_a_predictive_density_has_no_errors():
    """A t distribution and a normal error together have no density in closed form."""
    _, X, S = measured()
    model = BayesianGMM(2, random_state=0).fit(X, error_covariances=S)
    with pytest.raises(ValueError, match="log_predictive is the density of true values"):
        model.log_predictive([(X, None, None, S)])
