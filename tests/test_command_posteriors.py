"""The command line fits posteriors, looks at them and applies them as Python does."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMM, BayesianGMM
from datasets import DATA, numbers, table
from problems import same_model

FAITHFUL = str(DATA / "faithful.csv")
X = table("faithful")


BELIEVED = ("--bayesian", "--weight-concentration-prior", 0.01, "--max-iter", 200)


def believed():
    return BayesianGMM(
        6, weight_concentration_prior=0.01, max_iter=200, reg_covar="relative", random_state=0, n_threads=None
    ).fit(X)


def saved_posterior(done, tmp_path):
    return done("fit", FAITHFUL, "-k", 6, *BELIEVED, "-o", tmp_path / "posterior.npz")


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
def test_a_posterior_is_fitted_and_looked_at(tmp_path, done):
    printed, expected = saved_posterior(done, tmp_path), believed()
    found = BayesianGMM.load(tmp_path / "posterior.npz")
    same_model(found, expected)
    assert_array_equal(found.mean_precision_, expected.mean_precision_)
    for text in (printed, done("info", tmp_path / "posterior.npz")):
        told = dict(line.split(maxsplit=1) for line in text.split("\n\n")[1].splitlines())
        assert told["components"] == f"6, full; {expected.n_effective_} live"
        assert_allclose(float(told["lower"].split()[1]), expected.lower_bound_, rtol=1e-7)
    told = json.loads(done("info", tmp_path / "posterior.npz", "--json"))
    assert told["n_effective"] == expected.n_effective_
    assert told["mean_precision"] == expected.mean_precision_.tolist()
    assert told["weight_concentration"] == np.array(expected.weight_concentration_).tolist()


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
def test_a_posterior_is_applied(tmp_path, done, run):
    saved_posterior(done, tmp_path)
    path, model = tmp_path / "posterior.npz", believed()
    assert_array_equal(numbers(done("predict", path, FAITHFUL), 1), model.predict(X))
    assert_array_equal(numbers(done("responsibilities", path, FAITHFUL), 1), model.predict_proba(X))
    code, printed, errors = run("score", path, FAITHFUL)
    assert code == 0 and printed.startswith("log_predictive\n")
    assert_array_equal(numbers(printed, 1), model.log_predictive(X))
    assert f"mean predictive log-density of a row: {model.log_predictive(X).mean():.10g}" in errors
    rows, _ = model.set_params(random_state=3).sample(20)
    assert_array_equal(numbers(done("sample", path, "-n", 20, "--seed", 3), 1), rows)
    done("plot", path, FAITHFUL, "-o", tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "options, message",
    [
        (["--bayesian", "--accelerate"], "--accelerate is not for --bayesian"),
        (["--bayesian", "--stop", "distance"], "--stop is not for --bayesian"),
        (["--bayesian", "--prior", "default"], "--prior is not for --bayesian"),
        (["--mean-precision-prior", 2], "--mean-precision-prior needs --bayesian"),
        (["--bayesian", "--mean-precision-prior", -2], "mean_precision_prior must be"),
        (["--bayesian", "--covariance", "VEV"], "--covariance must be one of"),
    ],
)
def test_options_that_are_not_for_posteriors(run, options, message):
    code, printed, errors = run("fit", FAITHFUL, "-k", 2, *options)
    assert code == 2 and not printed and message in errors and len(errors.splitlines()) == 1


def test_a_model_of_an_unknown_kind_is_named(tmp_path, run):
    GMM(1).fit(X).save(tmp_path / "model.npz")
    arrays = dict(np.load(tmp_path / "model.npz"))
    header = json.loads(arrays["header"].item()) | {"model": "Other"}
    np.savez(tmp_path / "model.npz", **arrays | {"header": np.array(json.dumps(header))})
    code, _, errors = run("predict", tmp_path / "model.npz", FAITHFUL)
    assert code == 1 and "model.npz" in errors and "it holds a Other, not a GMM or BayesianGMM" in errors
