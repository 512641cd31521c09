"""BayesianGMM under everything that is legal: a posterior or a documented error, a bound that never falls, the same
bits in any number of threads, from blocks, and of a file.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import pickle

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import recipes
from cgmm import BayesianGMM
from fuzzing import FITTED, attempt, differing, end_alike, fuzzed, refused
from ways import WAYS, as_array

POSTERIOR = (*FITTED, "mean_precision_", "degrees_of_freedom_", "weight_concentration_")
SHARED_ARGUMENTS = ("tol", "reg_covar", "max_iter", "n_init", "on_degenerate", "n_threads", "verbose")
PRIORS = {  # of arguments: what each may be, beside what it is by default
    "weight_concentration_prior": st.sampled_from([1e-9, 0.1, 1.0, 1e6]),
    "weight_concentration_prior_type": st.sampled_from(["dirichlet_process", "dirichlet_distribution"]),
    "mean_precision_prior": st.sampled_from([1e-6, 0.5, 1e6]),
    "more_degrees_of_freedom": st.sampled_from([1e-3, 1.0, 1e6]),  # than the least
}


@st.composite
def posteriors(draw, gaps=True):
    """A recipe of rows and companions, and BayesianGMM's own arguments."""
    recipe = draw(recipes.fits(labels=False, noise=False))
    recipe = recipe._replace(
        family=draw(st.sampled_from(recipes.FAMILIES)),
        missing=recipe.missing if gaps else 0.0,
        arguments=tuple((name, value) for name, value in recipe.arguments if name in SHARED_ARGUMENTS),
        start="kmeans" if recipe.start in ("means", "labels", "responsibilities") else recipe.start,
        **dict.fromkeys(("weights", "means", "precisions", "labels", "stop")),
        fixed=(),
        prior="none",
    )
    return recipe, draw(st.fixed_dictionaries({}, optional=PRIORS))


def arguments_of(recipe, priors):
    own = dict(priors)
    more = own.pop("more_degrees_of_freedom", None)
    if more is not None:
        own["degrees_of_freedom_prior"] = recipe.rows.d - 1 + more
    given = recipe.constructor(recipe.build())
    for name in ("fixed", "prior", "warm_start", "callback"):
        del given[name]
    return given | own


def fitted(recipe, priors, X, w, **changes):
    model = BayesianGMM(**arguments_of(recipe, priors) | changes)
    return attempt(lambda: model.fit(X, sample_weight=w))


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


@fuzzed(60, drawn=posteriors())
def test_posterior(tmp_path_factory, drawn):
    recipe, priors = drawn
    X, w = recipe.build(), recipe.row_weights()
    model = fitted(recipe, priors, X, w)
    if isinstance(model, Exception):
        assert refused(model), model
        return
    for name in POSTERIOR:
        for values in getattr(model, name) if isinstance(getattr(model, name), tuple) else (getattr(model, name),):
            assert np.isfinite(values).all(), name
    assert abs(model.weights_.sum() - 1) < 1e-12 and (model.weights_ >= 0).all()
    if dict(recipe.arguments).get("reg_covar", 1e-6) == 0 and not model.diagnostics_.degenerate:
        falls = np.diff(model.lower_bounds_) / np.maximum(1, np.abs(model.lower_bounds_[1:]))
        assert (falls >= -(1e-5 if recipe.rows.dtype in ("float32", ">f4") else 1e-10)).all(), falls.min()
    check_verbs(model, X)
    assert_same(fitted(recipe, priors, X, w, n_threads=2), model)
    path = tmp_path_factory.getbasetemp() / "posterior.npz"
    model.save(path)
    for copied in (attempt(lambda: BayesianGMM.load(path)), pickle.loads(pickle.dumps(model))):
        assert_same(copied, model)
        assert_array_equal(copied.log_predictive(X), model.log_predictive(X))


@fuzzed(25, drawn=posteriors(gaps=False), way=st.sampled_from(sorted(WAYS)), seed=st.integers(0, 2**31))
def test_posteriors_of_blocks_are_the_arrays(tmp_path_factory, drawn, way, seed):
    recipe, priors = drawn
    X, w = as_array(recipe.build()), recipe.row_weights()
    w = w if w is None else np.broadcast_to(np.asarray(w, float), len(X))
    given = WAYS[way](X, w, np.random.default_rng(seed), tmp_path_factory.getbasetemp())
    assert_same(fitted(recipe, priors, *given), fitted(recipe, priors, X, w))
