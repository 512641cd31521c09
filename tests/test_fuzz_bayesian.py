"""BayesianGMM under everything that is legal: a posterior or a documented error, a bound that never falls, the same
bits in any number of threads, from blocks, of a file, and after a checkpoint.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import pickle

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import recipes
from cgmm import BayesianGMM
from fuzzing import ERRORS, POSTERIOR, Killed, attempt, check_measured, differing, end_alike, fuzzed, killed_at, refused
from ways import WAYS, as_array


def fitted(recipe, priors, X, companions, **changes):
    model = BayesianGMM(**recipes.posterior_arguments(recipe, priors) | changes)
    return attempt(lambda: model.fit(X, **companions))


def assert_same(a, b):
    if end_alike(a, b):
        assert not differing(a, b, POSTERIOR), differing(a, b, POSTERIOR)


def check_verbs(model, X):
    shares, labels = attempt(lambda: model.predict_proba(X)), attempt(lambda: model.predict(X))
    single = getattr(X, "dtype", None) == np.float32
    assert (shares >= 0).all() and np.abs(shares.sum(axis=1) - 1).max() < (1e-5 if single else 1e-12)
    assert (shares[np.arange(len(X)), labels] >= shares.max(axis=1) * (1 - (1e-5 if single else 1e-12))).all()
    for rows in (attempt(lambda: model.score_samples(X)), attempt(lambda: model.log_predictive(X))):
        assert np.isfinite(rows).all()
    drawn, _ = attempt(lambda: model.sample(5))
    assert np.isfinite(drawn).all()


@fuzzed(60, drawn=recipes.posteriors())
def test_posterior(tmp_path_factory, drawn):
    recipe, priors = drawn
    X, companions = recipe.build(), recipe.companions()
    model = fitted(recipe, priors, X, companions)
    if isinstance(model, Exception):
        assert refused(model), model
        return
    for name in POSTERIOR:
        for values in getattr(model, name) if isinstance(getattr(model, name), tuple) else (getattr(model, name),):
            assert np.isfinite(values).all(), name
    assert abs(model.weights_.sum() - 1) < 1e-12 and (model.weights_ >= 0).all()
    if dict(recipe.arguments).get("reg_covar", 1e-6) == 0 and not model.diagnostics_.degenerate:
        falls = np.diff(model.lower_bounds_) / np.maximum(1, np.abs(model.lower_bounds_[1:]))
        # the bound has sums of precisions times moments, whose rounding is that of the condition numbers
        conditions = np.linalg.cond(model._parameters.family.expand(model.covariances_, *model.means_.shape))
        slack = max(1e-10, 4 * np.finfo(float).eps * conditions.max())
        assert (falls >= -(1e-5 if recipe.rows.dtype in ("float32", ">f4") else slack)).all(), falls.min()
    check_verbs(model, X)
    check_measured(model, X, companions["error_covariances"])
    assert_same(fitted(recipe, priors, X, companions, n_threads=2), model)
    path = tmp_path_factory.getbasetemp() / "posterior.npz"
    model.save(path)
    for copied in (attempt(lambda: BayesianGMM.load(path)), pickle.loads(pickle.dumps(model))):
        assert_same(copied, model)
        assert_array_equal(copied.log_predictive(X), model.log_predictive(X))


@fuzzed(25, drawn=recipes.posteriors(gaps=False), way=st.sampled_from(sorted(WAYS)), seed=st.integers(0, 2**31))
def test_posteriors_of_blocks_are_the_arrays(tmp_path_factory, drawn, way, seed):
    recipe, priors = drawn
    X, companions = as_array(recipe.build()), recipe.companions()
    given = WAYS[way](X, companions, np.random.default_rng(seed), tmp_path_factory.getbasetemp())
    assert_same(fitted(recipe, priors, *given), fitted(recipe, priors, X, companions))


@fuzzed(10, drawn=recipes.posteriors(), interval=st.integers(1, 5), end=st.integers(0, 40))
def test_a_checkpoint_goes_on(tmp_path_factory, drawn, interval, end):
    """The `end`-th call of the callback kills the fit."""
    path, (recipe, priors) = tmp_path_factory.getbasetemp() / "posterior.checkpoint", drawn
    path.unlink(missing_ok=True)
    X, companions = recipe.build(), recipe.companions()
    given = {"checkpoint": path, "checkpoint_interval": interval}
    model = BayesianGMM(**recipes.posterior_arguments(recipe, priors) | given | {"callback": killed_at(end)})
    attempt(lambda: model.fit(X, **companions), (*ERRORS, Killed))
    assert_same(fitted(recipe, priors, X, companions, **given), fitted(recipe, priors, X, companions))
