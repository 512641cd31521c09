"""Posteriors of many problems: each is that of BayesianGMM by itself; and what Fits are of them."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, BayesianFits, BayesianGMM, Fits, fit_many
from cgmm.fit.many import Task, side_by_side
from cgmm.rows.problems import problems_of
from gaps import gappy
from many import UNWARNED, problems_like, weights_like
from posteriors import FITTED
from problems import assert_same_bits, clusters

pytestmark = [*UNWARNED, pytest.mark.filterwarnings("ignore:.* did not converge")]
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
kinds = pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
OF_PRIOR = ("mean_prior_", "covariance_prior_", "degrees_of_freedom_prior_", "weight_concentration_prior_")
ARRAYS = ("weights", "means", "covariances", "mean_precision", "degrees_of_freedom", "lower_bound", "n_effective",
          "converged", "n_iter", "n_components", "labels")  # fmt: skip


def believed(k=3, **arguments):
    return BayesianGMM(k, **{"max_iter": 15, "random_state": 0, **arguments})


def assert_same_posterior(found, alone):
    assert_same_bits(found, alone, names=(*FITTED, *OF_PRIOR, "lower_bounds_", "n_iter_", "converged_"))
    assert_array_equal(np.array(found.weight_concentration_), np.array(alone.weight_concentration_))
    assert str(found.diagnostics_) == str(alone.diagnostics_)
    assert repr(found) == repr(alone)


def assert_same_fits(found, expected):
    for name in ARRAYS:
        assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)
    assert_array_equal(np.array(found.weight_concentration), np.array(expected.weight_concentration))
    assert found.errors == expected.errors and found.warnings == expected.warnings
    assert repr(found) == repr(expected)


@families
@kinds
@types
def test_each_fit_is_that_of_one_model(family, kind, dtype):
    problems = problems_like(120, 2, 3, dtype=dtype)
    weights = weights_like(problems, "counts")
    arguments = {"covariance_type": family, "weight_concentration_prior_type": kind}
    fits = fit_many(problems, model=believed(**arguments), sample_weight=weights)
    assert isinstance(fits, BayesianFits) and len(fits) == len(problems)
    for i, (X, w) in enumerate(zip(problems, weights, strict=True)):
        alone = believed(**arguments).fit(X, sample_weight=w)
        assert_same_posterior(fits[i], alone)
        for name in ("weights", "means", "covariances", "mean_precision", "lower_bound", "n_effective", "n_iter"):
            assert_array_equal(getattr(fits, name)[i], getattr(alone, f"{name}_"))
        assert_allclose(fits.degrees_of_freedom[i], alone.degrees_of_freedom_, rtol=1e-15)
        own = [array[i] for array in np.atleast_3d(np.array(fits.weight_concentration).T).T]
        assert_array_equal(np.squeeze(own), np.array(alone.weight_concentration_))


@families
def test_any_number_of_threads_gives_the_same_bits(family):
    problems = problems_like(150, 2, 3, m=7)
    one, three = (fit_many(problems, model=believed(covariance_type=family, n_threads=threads)) for threads in (1, 3))
    assert_same_bits(one, three, names=("weights", "means", "covariances", "lower_bound"))


def test_gaps_and_several_starts_are_as_alone():
    problems = [gappy(X, 0.2) for X in problems_like(90, 2, 2, m=3)]
    arguments = {"missing": "marginal", "n_init": 3}
    fits = fit_many(problems, model=believed(2, **arguments), random_state=[4, 5, 6])
    for i, X in enumerate(problems):
        assert_same_posterior(fits[i], believed(2, **arguments, random_state=4 + i).fit(X))
    assert np.isfinite(fits.score_samples(problems)[0]).all()


def test_the_random_state_is_the_models_unless_given():
    problems, model = problems_like(90, 2, 2, m=2), believed(random_state=3)
    assert_same_posterior(fit_many(problems, model=model)[1], model.fit(problems[1]))
    found = fit_many(problems, model=model, random_state=8)
    assert_same_posterior(found[1], believed(random_state=8).fit(problems[1]))


def test_the_largest_lower_bound_chooses():
    problems = [clusters(200, 1, k, seed=3, distance=20.0) for k in (1, 2, 3)]
    settings = {"weight_concentration_prior_type": "dirichlet_distribution", "max_iter": 200, "reg_covar": 0}
    settings |= {"weight_concentration_prior": 1.0, "random_state": 0}
    fits = fit_many(problems, [1, 2, 3], model=BayesianGMM(**settings))
    bounds = np.array([[BayesianGMM(k, **settings).fit(X).lower_bound_ for k in (1, 2, 3)] for X in problems])
    assert_array_equal(fits.n_components, bounds.argmax(axis=1) + 1)
    assert len(set(fits.n_components.tolist())) > 1
    assert_array_equal(fits.lower_bound, bounds.max(axis=1))
    lacks = np.arange(3) >= fits.n_components[:, np.newaxis]
    assert (fits.weights[lacks] == 0).all() and np.isfinite(fits.weights).all()
    for name in ("means", "mean_precision", "degrees_of_freedom"):
        assert np.isnan(getattr(fits, name)[lacks]).all() and np.isfinite(getattr(fits, name)[~lacks]).all()


def test_the_defaults_are_those_of_each_number_of_components():
    """1 / n_components, say."""
    X = clusters(90, 2, 2)
    fits = fit_many([X], [2, 4], model=believed(9))
    k = int(fits.n_components[0])
    assert_same_posterior(fits[0], believed(k).fit(X))
    assert fits[0].weight_concentration_prior_ == 1 / k


def test_verbs_are_those_of_each_model():
    X = np.stack([clusters(90, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, model=believed())
    for i, rows in enumerate(X):
        assert_array_equal(fits.predict(X)[i], fits[i].predict(rows))
        assert_array_equal(fits.predict_proba(X)[i], fits[i].predict_proba(rows))
        assert_array_equal(fits.score_samples(X)[i], fits[i].score_samples(rows))
        assert_array_equal(fits.log_predictive(X)[i], fits[i].log_predictive(rows))
    frame = fits.to_frame()
    assert list(frame) == ["n_components", "n_effective", "lower_bound", "converged", "n_iter"]
    assert list(frame["lower_bound"]) == list(fits.lower_bound)
    assert len(fits.to_frame(components=True)) == 9


def test_groups_columns_and_frames():
    frame = pd.DataFrame(clusters(120, 3, 2), columns=["a", "b", "c"])
    fits = fit_many(frame, columns=True, model=believed())
    assert_same_posterior(fits.of("b"), believed().fit(frame[["b"]]))
    assert fits.log_predictive(frame, columns=True).shape == (120, 3)
    groups = np.repeat(["x", "y"], 60)
    fits = fit_many(frame, groups=groups, model=believed())
    assert_same_posterior(fits.of("y"), believed().fit(frame[60:]))
    assert_array_equal(fits.predict(frame, groups=groups)[60:], fits.of("y").predict(frame[60:]))


def test_what_cannot_be_fitted_is_skipped_or_named():
    problems = [clusters(90, 2, 2), np.zeros((1, 2)), clusters(80, 2, 2)]
    with pytest.raises(ValueError, match="problem 1 cannot be fitted: n_samples=1"):
        fit_many(problems, model=believed())
    with pytest.warns(UserWarning, match=r"1 of 3 problems \(1\) could not be fitted"):
        fits = fit_many(problems, model=believed(), on_error="skip")
    assert_array_equal(fits.n_components, [3, 0, 3])
    for name in ("weights", "means", "lower_bound", "mean_precision", "degrees_of_freedom"):
        assert np.isnan(getattr(fits, name)[1]).all() and np.isfinite(getattr(fits, name)[2]).all()
    assert fits.n_effective[1] == 0
    assert np.isnan(fits.log_predictive(problems)[1]).all()
    assert np.isnan(fits.predict_proba(problems)[1]).all() and (fits.predict(problems)[1] == -1).all()


def test_warnings_are_told_at_the_end():
    problems = problems_like(90, 2, 2, m=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fits = fit_many(problems, model=believed(max_iter=2, tol=0))
    assert len(caught) == 1 and "3 of 3 problems (0, 1, 2) did not converge" in str(caught[0].message)
    assert sorted(fits.warnings) == [0, 1, 2]


@families
@kinds
def test_fits_are_saved_and_pickled(tmp_path, family, kind):
    problems = [*problems_like(90, 2, 2, m=3), np.empty((0, 2))]
    model = believed(covariance_type=family, weight_concentration_prior_type=kind, missing="marginal")
    with pytest.warns(UserWarning, match="could not be fitted"):
        fits = fit_many(problems, [1, 3], model=model, on_error="skip")
    fits.save(tmp_path / "fits.npz")
    kept = BayesianFits.load(tmp_path / "fits.npz")
    assert_same_fits(kept, fits)
    assert_same_fits(pickle.loads(pickle.dumps(fits)), fits)
    for i in range(3):
        fits[i].save(tmp_path / "model.npz")
        found, alone = kept[i], BayesianGMM.load(tmp_path / "model.npz")
        assert_same_bits(found, alone, names=(*FITTED, *OF_PRIOR, "lower_bounds_", "n_iter_", "converged_"))
        assert found.get_params() == alone.get_params()
        assert_array_equal(found.log_predictive(problems[i]), fits[i].log_predictive(problems[i]))
        assert found.prune().n_components == fits[i].prune().n_components


def test_a_file_of_another_kind_is_named(tmp_path):
    X = clusters(60, 2, 2)
    believed().fit(X).save(tmp_path / "model.npz")
    fit_many([X], model=believed()).save(tmp_path / "posteriors.npz")
    fit_many([X]).save(tmp_path / "mixtures.npz")
    for load, name, remedy in (
        (BayesianFits.load, "model", r"use BayesianGMM\.load"),
        (BayesianFits.load, "mixtures", r"use Fits\.load"),
        (Fits.load, "posteriors", r"use BayesianFits\.load"),
        (BayesianGMM.load, "posteriors", r"use BayesianFits\.load"),
    ):
        with pytest.raises(ValueError, match=rf"{name}\.npz cannot be loaded as .*: .*{remedy}"):
            load(tmp_path / f"{name}.npz")


DAMAGE = {
    "masses": (lambda a: -a - 1, "problem 0: masses must not be negative"),
    "concentration": (lambda a: -a, "problem 0: concentration of its prior"),
    "degrees": (lambda a: a - 1, "problem 0: degrees of its prior are 1.0, of 2 features"),
    "prior_mean": (lambda a: a * np.nan, r"problem 0: .*the first is belief_mean\[0\] = nan"),
    "prior_covariance": (lambda a: -a, "problem 0: belief_covariance should be"),
    "rows": (lambda a: a[1:], "rows has shape"),
    "belief": (lambda _: "flat", "belief must be one of"),
    "covariance_type": (lambda _: "VEV", "covariance_type must be one of"),
}


@pytest.mark.parametrize("part", DAMAGE)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, part):
    change, message = DAMAGE[part]
    path = tmp_path / "fits.npz"
    fit_many(problems_like(60, 2, 2, m=2), model=believed()).save(path)
    arrays = dict(np.load(path))
    header = json.loads(arrays["header"].item())
    where = header if part in header else arrays
    where[part] = change(where[part])
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})
    with pytest.raises(ValueError, match=rf"fits\.npz cannot be loaded as the fits of many problems: .*{message}"):
        BayesianFits.load(path)


@pytest.mark.parametrize(
    "model, arguments, message",
    [
        (GMM(2), {}, "model must be a BayesianGMM, not GMM"),
        (BayesianGMM, {}, "model must be a BayesianGMM"),
        (believed(), {"tol": 1e-5}, r"tol is not for a model: give it to the model: BayesianGMM\(…, tol=…\)"),
        (believed(), {"missing": "marginal"}, "missing is not for a model"),
        (believed(), {"prior": "default"}, "prior is not for a model: a BayesianGMM has nothing like it"),
        (believed(), {"criterion": "aic"}, "criterion is not for a model"),
        (believed(), {"means_init": np.zeros((3, 2))}, "means_init is not for a model"),
        (believed(callback=print), {}, "the model's callback belongs to one fit"),
        (believed(warm_start=True), {}, "the model's warm_start belongs to one fit"),
        (believed(responsibilities_init=[0, 1]), {}, "the model's responsibilities_init belongs to one fit"),
        (believed(checkpoint="x"), {}, "the model's checkpoint belongs to one fit"),
        (believed(mean_precision_prior=-1), {}, "mean_precision_prior must be"),
        (believed(degrees_of_freedom_prior=0.5), {}, "problem 0 cannot be fitted: degrees_of_freedom_prior"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_one_clear_error(model, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit_many([clusters(30, 2, 2)], model=model, **arguments)


def test_the_model_stays_as_it_is(capsys):
    model = believed(verbose=2)
    before = model.get_params()
    fit_many(problems_like(60, 2, 2, m=2), [1, 2], model=model)
    assert model.get_params() == before and not hasattr(model, "weights_")
    assert capsys.readouterr().out == ""


def test_an_error_ends_the_fits_that_run_beside_it():
    """As Ctrl-C does: those that run end after their iteration, and the others never begin."""
    endless = {"max_iter": 10**9, "tol": 0, "n_threads": 3}
    problems = [clusters(90, 2, 2), np.zeros((1, 2)), *(clusters(200, 2, 3, seed=i) for i in range(12))]
    task = Task([believed(**endless)._asks()], "lower_bound", [0] * len(problems))
    found = side_by_side(problems_of(problems, None, False, None), range(1, len(problems)), task, 2, 3)
    i, outcome = next(found)
    assert i == 1 and "n_samples=1" in str(outcome.error)
    found.close()  # and not after a thousand million iterations
    with pytest.raises(StopIteration):
        next(found)
