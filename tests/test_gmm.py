"""The public face: what each argument, verb and attribute of GMM means."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, ConvergenceWarning, DegenerateWarning
from cgmm.fit import report
from datasets import compact, invert

families = pytest.mark.parametrize("family", reference.FAMILIES)

RANDOM = np.random.RandomState(0)
CENTRES = np.array([[0.0, 0, 0], [30, 0, 0], [0, 30, 0], [30, 30, 30]])
CLUSTERS = np.repeat(CENTRES, [40, 50, 60, 70], axis=0) + RANDOM.randn(220, 3)
CLOUD = RANDOM.standard_t(4, size=(400, 2)) @ [[2, 0.5], [0, 1]]  # no clusters: many local optima


def fit(X=CLOUD, k=4, **settings):
    return GMM(k, **{"random_state": 0} | settings).fit(X)


def ended(**settings):
    """A fit that max_iter ends."""
    with pytest.warns(ConvergenceWarning):
        return fit(**{"tol": 0} | settings)


def start(family):
    """Weights, means, covariances and precisions to start from on CLUSTERS, none of them optimal."""
    factors = np.random.RandomState(1).randn(4, 3, 3)
    covariances = compact(factors @ factors.transpose(0, 2, 1) + 4 * np.eye(3), family)
    return np.array([0.1, 0.2, 0.3, 0.4]), CENTRES + 1.0, covariances, invert(covariances, family)


# Starts and restarts


def test_n_init_keeps_the_best():
    last = {}
    model = fit(init_params="random_from_data", n_init=12, callback=lambda state: last.update({state.restart: state}))
    restarts = model.diagnostics_.restarts
    assert [restart.carried for restart in restarts].count(True) == len(last) > 3
    likelihoods = {at: state.log_likelihood for at, state in last.items()}
    assert len(set(np.round(list(likelihoods.values()), 3))) > 1
    assert all(likelihoods[at] == restarts[at].log_likelihood for at in last)
    winner = model.diagnostics_.winner
    assert model.lower_bound_ == max(likelihoods.values()) == likelihoods[winner] == model.lower_bounds_[-1]
    assert model.n_iter_ == last[winner].iteration == len(model.lower_bounds_)
    assert fit(init_params="random_from_data").lower_bound_ == likelihoods[0]


@families
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_finds_separated_clusters(family, init_params):
    """Random rows need a few attempts, and random responsibilities a tolerance that sees their slow beginning."""
    model = fit(CLUSTERS, 4, covariance_type=family, init_params=init_params, n_init=10, tol=1e-7, max_iter=2000)
    order = np.argsort(model.weights_)
    assert_allclose(220 * model.weights_[order], [40, 50, 60, 70], atol=1e-4)
    assert_allclose(model.means_[order], CENTRES, atol=0.6)


@families
@pytest.mark.parametrize("given", [("weights",), ("means",), ("precisions",), ("weights", "means", "precisions")])
def test_given_starts_are_used(family, given):
    weights, means, covariances, precisions = start(family)
    starts = {"weights": weights, "means": means, "precisions": precisions}
    arguments = {f"{name}_init": starts[name] for name in given}
    model = fit(CLUSTERS, 4, covariance_type=family, max_iter=0, **arguments)
    own = fit(CLUSTERS, 4, covariance_type=family, max_iter=0)
    for name, value in {"weights": weights, "means": means}.items():
        assert_array_equal(getattr(model, name + "_"), value if name in given else getattr(own, name + "_"))
    expected = covariances if "precisions" in given else own.covariances_
    assert_allclose(model.covariances_, expected, rtol=1e-10, atol=1e-12)
    assert_allclose(model.precisions_, invert(expected, family), rtol=1e-10, atol=1e-12)


@families
@pytest.mark.parametrize("fixed", ["weights", ("means",), {"covariances"}, ("weights", "covariances")])
def test_fixed_parameters_stay(family, fixed):
    weights, means, covariances, precisions = start(family)
    arguments = {"weights_init": weights, "means_init": means, "precisions_init": precisions}
    model = ended(X=CLUSTERS, covariance_type=family, fixed=fixed, max_iter=5, reg_covar=0, **arguments)
    expected, history = reference.em(CLUSTERS, weights, means, covariances, family, 5, fixed=fixed)
    assert_allclose(model.lower_bounds_, history, rtol=1e-10)
    for name, value in zip(("weights_", "means_", "covariances_"), expected, strict=True):
        assert_allclose(getattr(model, name), value, rtol=1e-8, atol=1e-12)
    assert "means" not in fixed or np.array_equal(model.means_, means)
    assert "weights" not in fixed or np.array_equal(model.weights_, weights)


def test_warm_start_continues():
    whole = ended(max_iter=7)
    model = ended(max_iter=3, warm_start=True)
    first = model.lower_bounds_
    restarts = set()
    model.set_params(max_iter=4, n_init=3, callback=lambda state: restarts.add(state.restart))
    with pytest.warns(ConvergenceWarning):
        model.fit(CLOUD)
    assert_array_equal([*first, *model.lower_bounds_], whole.lower_bounds_)
    assert_array_equal(model.means_, whole.means_)
    assert restarts == {0}
    assert model.set_params(tol=1.0).fit(CLOUD).n_iter_ == 1
    with pytest.raises(ValueError, match=r"warm_start cannot continue.*n_components=4.*5"):
        model.set_params(n_components=5).fit(CLOUD)


def test_warm_start_on_other_rows():
    """Of which the last fit's likelihood says nothing: not even where a component has no spread."""
    tight = np.concatenate([np.zeros((50, 2)), CLOUD[:100] + 9])
    model = fit(tight, 2, reg_covar=0, warm_start=True, on_degenerate="repair")
    model.fit(3 * CLOUD)
    assert model.n_iter_ > 1 and np.isfinite(model.lower_bound_)
    assert np.all(np.diff(model.lower_bounds_) >= -1e-10)


@pytest.mark.parametrize("distance", [1e7, 1e8])
def test_clusters_far_apart_keep_their_spread(distance):
    """The floor is far below what double precision tells apart."""
    X = np.concatenate([CLUSTERS[:40], CLUSTERS[:40] + distance])
    near = np.cov(CLUSTERS[:40].T, bias=True)
    for covariance in fit(X, 2).covariances_:
        assert_allclose(covariance, near, atol=1e-5)


def test_starts_that_are_given_in_full_are_one():
    weights, means, _, precisions = start("full")
    model = fit(CLUSTERS, 4, n_init=9, weights_init=weights, means_init=means, precisions_init=precisions)
    assert len(model.diagnostics_.restarts) == 1


def test_random_states():
    def means(random_state):
        return fit(random_state=random_state, max_iter=0, init_params="random").means_

    expected = means(5)
    assert_array_equal(means(np.int64(5)), expected)
    assert not np.array_equal(means(6), expected)
    for make in (np.random.RandomState, np.random.default_rng):
        state = make(5)
        first = means(state)
        assert not np.array_equal(means(state), first)
        assert_array_equal(means(make(5)), first)
    for unseeded in (None, np.random):
        np.random.seed(5)
        first = means(unseeded)
        assert not np.array_equal(means(unseeded), first)
        np.random.seed(5)
        assert_array_equal(means(unseeded), first)


@pytest.mark.parametrize("n_threads", [2, np.int32(3), 50])
def test_n_threads_does_not_change_the_result(n_threads):
    X = np.tile(CLOUD, (20, 1))
    expected, found = (fit(X, n_threads=threads) for threads in (1, n_threads))
    assert_array_equal(found.means_, expected.means_)
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


# What a fit says


def test_verbose(capsys):
    model = ended(max_iter=7, verbose=2, verbose_interval=3, n_init=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in lines] == [
        *("Start 0", "Iteration 3", "Iteration 6", "Start 0 did not converge after 7 iterations"),
        *("Start 1", "Iteration 3", "Iteration 6", "Start 1 did not converge after 7 iterations"),
    ]
    assert f"{model.lower_bound_:.8g}" in lines[3] + lines[7]
    model, silent = fit(verbose=2, verbose_interval=1), fit(verbose=0)
    assert_array_equal(model.means_, silent.means_)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_ + 2 and f"converged after {model.n_iter_} iterations" in lines[-1]
    for line, bound in zip(lines[1:-1], model.lower_bounds_, strict=True):
        assert f"{bound:.8g}" in line


def test_verbose_shows_a_bar(capsys):
    """Of each start, where tqdm is installed; it goes to standard error."""
    pytest.importorskip("tqdm")
    model = fit(verbose=1, n_init=2)
    out, err = capsys.readouterr()
    assert out == "" and "Start 0" in err and "Start 1" in err
    assert f"{model.n_iter_}/100" in err and "log_likelihood=" in err


def test_verbose_without_tqdm(capsys, monkeypatch):
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    fit(verbose=1, n_init=1)
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "Start 0" and err == ""


def test_callback_sees_each_iteration():
    states = []
    model = ended(max_iter=4, n_init=2, callback=states.append)
    assert [(state.restart, state.iteration) for state in states] == [(r, i) for r in (0, 1) for i in (1, 2, 3, 4)]
    kept = states[4:] if states[-1].log_likelihood > states[3].log_likelihood else states[:4]
    assert_array_equal([state.log_likelihood for state in kept], model.lower_bounds_)
    assert_array_equal([state.change for state in kept], [np.inf, *np.diff(model.lower_bounds_)])
    assert_array_equal(kept[-1].parameters.means, model.means_)
    before = GMM.from_parameters(*(getattr(kept[1].parameters, n) for n in ("weights", "means", "covariances")))
    assert_allclose(kept[2].log_likelihood, before.score(CLOUD), rtol=1e-12)


@pytest.mark.parametrize("stop", [True, np.True_, 1])
def test_callback_stops_the_fit_without_a_warning(stop):
    model = fit(tol=0, callback=lambda state: stop if state.iteration == 3 else None)
    assert model.n_iter_ == 3 and not model.converged_


def test_warnings_point_to_the_call_of_fit():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = GMM(4, max_iter=2, tol=0, weights_init=[0.5, 0.5, 0, 0], random_state=0).fit(CLOUD)
    degenerate, convergence = caught
    assert {w.filename for w in caught} == {__file__}
    assert degenerate.category is DegenerateWarning and "component 2 (iteration 1)" in str(degenerate.message)
    assert issubclass(convergence.category, ConvergenceWarning) and "max_iter=2" in str(convergence.message)
    assert not model.converged_ and model.n_iter_ == 2


def test_max_iter_zero_leaves_the_start():
    model = fit(max_iter=0)
    assert model.n_iter_ == 0 and not model.converged_ and model.lower_bound_ == -np.inf
    assert model.lower_bounds_.shape == (0,) and np.isfinite(model.score(CLOUD))


@families
def test_lower_bound_is_of_the_last_e_step(family):
    """As in scikit-learn, the parameters have moved once since."""
    model, before = (ended(covariance_type=family, max_iter=max_iter) for max_iter in (5, 4))
    assert_allclose(model.lower_bound_, before.score(CLOUD), rtol=1e-12)
    assert_array_equal(model.lower_bounds_[:4], before.lower_bounds_)
    assert model.score(CLOUD) > model.lower_bound_


def test_tol_is_the_change_that_ends_a_fit():
    model = fit(tol=1e-2)
    changes = np.abs(np.diff(model.lower_bounds_))
    assert changes[-1] < 1e-2 and (changes[:-1] >= 1e-2).all() and model.converged_


# The fitted model


def test_fit_returns_self_and_ignores_y():
    model = GMM(4, random_state=0)
    assert model.fit(CLOUD, y="anything") is model
    assert_array_equal(model.means_, fit().means_)
    assert model.score(CLOUD, object()) == model.score(CLOUD)


def test_fit_predict_is_fit_and_predict():
    labels = GMM(4, random_state=0).fit_predict(CLOUD, None, np.arange(400) % 3)
    assert_array_equal(labels, GMM(4, random_state=0).fit(CLOUD, None, np.arange(400) % 3).predict(CLOUD))
    assert labels.shape == (400,) and labels.dtype.kind == "i"


@families
def test_given_parameters_predict_as_the_reference(family):
    weights, means, covariances, precisions = start(family)
    model = GMM.from_parameters(weights, means, covariances, family)
    mixture = (weights, means, covariances, family)
    assert_allclose(model.predict_proba(CLUSTERS), reference.responsibilities(CLUSTERS, *mixture), atol=1e-12)
    likelihoods = reference.log_likelihoods(CLUSTERS, *mixture)
    assert_allclose(model.score_samples(CLUSTERS), likelihoods, rtol=1e-12)
    assert_allclose(model.score(CLUSTERS, None, range(220)), np.average(likelihoods, weights=range(220)))
    assert_array_equal(model.predict(CLUSTERS), model.predict_proba(CLUSTERS).argmax(axis=1))
    assert_array_equal(model.covariances_, covariances)
    assert_allclose(model.precisions_, precisions, rtol=1e-10, atol=1e-12)
    upper = model.precisions_cholesky_
    square = upper @ np.swapaxes(upper, -1, -2) if family in ("full", "tied") else upper**2
    assert_allclose(square, precisions, rtol=1e-10, atol=1e-12)
    assert (model.n_components, model.covariance_type, model.n_features_in_) == (4, family, 3)
    assert model.converged_ and model.n_iter_ == 0


@families
def test_fitted_arrays_are_read_only(family):
    model = fit(covariance_type=family)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_"):
        array = getattr(model, name)
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@families
def test_information_criteria(family):
    X = np.tile(CLUSTERS * np.linspace(0, 1, 220)[:, np.newaxis], (300, 1))  # more than one batch of icl
    model = GMM.from_parameters(*start(family)[:3], family)
    likelihood, p = model.score_samples(X).sum(), reference.n_parameters(4, 3, family)
    doubt = -2 * np.log(model.predict_proba(X).max(axis=1)).sum()
    assert_allclose(model.aic(X), -2 * likelihood + 2 * p, rtol=1e-12)
    assert_allclose(model.bic(X), -2 * likelihood + np.log(len(X)) * p, rtol=1e-12)
    assert_allclose(model.icl(X) - model.bic(X), doubt, rtol=1e-6)


# Parameters


def test_parameters_can_be_read_and_set():
    model = GMM(3, tol=0.1)
    assert model.set_params(n_components=5, covariance_type="diag") is model
    expected = {"n_components": 5, "covariance_type": "diag", "tol": 0.1}
    assert model.get_params() == GMM().get_params() | expected
    with pytest.raises(ValueError, match=r"'components'.*n_components"):
        model.set_params(components=2)


@pytest.mark.parametrize("settings", [{}, {"n_components": 3, "fixed": ("means",), "tol": 1}, {"means_init": [[1.0]]}])
def test_repr_can_be_evaluated(settings):
    assert eval(repr(GMM(**settings))).get_params() == GMM(**settings).get_params()
    assert repr(GMM()) == "GMM()"
