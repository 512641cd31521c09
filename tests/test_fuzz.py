"""Fits, streams, given parameters and k-means under everything that is legal: no crash, no hang, no silent nonsense.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import pickle

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import recipes
from cgmm import GMM
from fuzzing import assert_same, attempt, check_measured, check_parameters, differing, fuzzed, refused
from recipes import Rows
from ways import companions_of, part_of

# A fit


def check_fit(recipe, directory):
    """All that is promised of a fit by this recipe."""
    X, row_weights = recipe.build(), recipe.row_weights()
    companions = recipe.companions()
    model = GMM(**recipe.constructor(X))
    before = dict(vars(model))
    fitted = attempt(lambda: model.fit(X, **companions))
    if fitted is not model:
        assert refused(fitted), fitted
        assert vars(model) == before
        return
    check_parameters(model)
    check_history(recipe, model)
    check_fixed(recipe, model, X, companions)
    check_verbs(model, X, row_weights)
    check_measured(model, X, companions["error_covariances"])
    check_copies(model, X, directory)
    again = GMM(**recipe.constructor(X) | {"n_threads": 2})
    assert attempt(lambda: again.fit(X, **companions)) is again
    assert_same(model, again)
    if recipe.warm:
        continued = attempt(lambda: model.fit(X, **companions))
        if continued is not model:
            assert isinstance(continued, cgmm.DegenerateError), continued
        assert continued is model or not differing(model, again)
        check_parameters(model)
        check_verbs(model, X, row_weights)


def check_stream(recipe):
    """What is promised of partial_fit, batch by batch, of a fit's rows."""
    X, companions = recipe.build(), recipe.companions()
    model = GMM(**recipe.constructor(X))
    whole, start = part_of(np.asarray(X), **companions), 0
    for size in [1, 2, 30, 1, 5, *[9] * (len(X) // 9 + 1)]:
        part = slice(start, start + size)
        rows, given = X[part], companions_of(whole.taken(part))
        start += size
        if not whole.taken(part).total_weight:
            continue
        before = dict(vars(model))
        found = attempt(lambda rows=rows, given=given: model.partial_fit(rows, **given))
        if found is not model:
            assert refused(found) or "no finite sum" in str(found), found
            assert vars(model) == before
        elif model.__sklearn_is_fitted__():
            check_parameters(model, iterations=False)
    if model.__sklearn_is_fitted__():
        check_verbs(model, X, companions["sample_weight"])
        check_measured(model, X, companions["error_covariances"])


def check_history(recipe, model):
    history = model.lower_bounds_
    assert np.isfinite(history).all()
    if dict(recipe.arguments).get("reg_covar", 1e-6) == 0 and not drops_weights(recipe, model):
        slack = 1e-5 if recipe.rows.dtype in ("float32", ">f4") else 1e-10
        falls = np.diff(history) / np.maximum(1, np.abs(history[1:]))
        assert (falls >= -slack).all(), falls.min()


def drops_weights(recipe, model):
    """Whether the weights that are fixed leave the others less than rounding: an M-step makes that zero."""
    return "weights" in recipe.fixed and bool((model.weights_ == 0).any())


def check_fixed(recipe, model, X, companions):
    """What is fixed is as in a fit of no iterations, to the bit."""
    if not recipe.fixed:
        return
    start = GMM(**recipe.constructor(X) | {"max_iter": 0, "on_degenerate": "repair"})
    assert attempt(lambda: start.fit(X, **companions)) is start
    for name, mask in recipe.masks().items():
        value, own = getattr(start, f"{name}_"), getattr(model, f"{name}_")
        if name == "weights" and recipe.noise:  # they are shares of what is no noise
            fixed = start.get_params()["weights_init"][mask]
            assert_allclose(own[mask], (1 - model.noise_weight_) * fixed, rtol=1e-9, atol=1e-15)
            continue
        if len(value) == len(mask):
            value, own = value[mask], own[mask]
        assert_array_equal(own, value, err_msg=name)
        if name != "covariances":
            assert_array_equal(value, start.get_params()["weights_init" if name == "weights" else "means_init"][mask])


def check_verbs(model, X, row_weights):
    rows = attempt(lambda: model.score_samples(X))
    assert np.isfinite(rows).all()
    counts = np.broadcast_to(1.0 if row_weights is None else np.asarray(row_weights, float), len(X))
    counts = counts / counts.max()
    shares = attempt(lambda: model.predict_proba(X))
    labels = attempt(lambda: model.predict(X))
    single = getattr(X, "dtype", None) == np.float32
    assert (shares >= 0).all()
    noise = attempt(lambda: model.noise_probability(X)) if model.noise_component else 0.0
    assert np.abs(shares.sum(axis=1) + noise - 1).max() < (1e-5 if single else 1e-12)
    assert labels.shape == (len(X),) and labels.dtype == np.intp
    best = np.where(labels < 0, noise, shares[np.arange(len(X)), labels])
    assert (best >= np.maximum(noise, shares.max(axis=1)) * (1 - (1e-5 if single else 1e-12))).all()
    mean = (counts * rows).sum() / counts.sum()
    with np.errstate(over="ignore"):
        total = np.sum(rows if row_weights is None else np.asarray(row_weights, float) * rows)
    assert abs(model.score(X, sample_weight=row_weights) - mean) <= 1e-9 * np.abs(rows).max()
    for verb in (model.aic, model.bic, model.icl):
        assert np.isfinite(attempt(lambda verb=verb: verb(X)))
        weighted = attempt(lambda verb=verb: verb(X, sample_weight=row_weights))
        assert np.isfinite(weighted) == np.isfinite(total)
    assert np.isfinite(attempt(lambda: model.impute(X))).all()
    drawn, kinds = attempt(lambda: model.sample(7))
    assert drawn.shape == (7, len(model.means_[0])) and np.isfinite(drawn).all()
    assert (model.weights_[kinds[kinds >= 0]] > 0).all() and (kinds.min() >= 0 or model.noise_weight_ > 0)


def check_copies(model, X, directory):
    """A model that was saved and loaded, or pickled, is the same."""
    path = directory / "model.npz"
    model.save(path)
    for copy in (attempt(lambda: GMM.load(path)), pickle.loads(pickle.dumps(model))):
        assert isinstance(copy, GMM), copy
        assert_same(copy, model)
        assert_array_equal(copy.score_samples(X), model.score_samples(X))


@fuzzed(80, recipe=recipes.fits())
def test_fit(tmp_path_factory, recipe):
    check_fit(recipe, tmp_path_factory.getbasetemp())


@fuzzed(50, recipe=recipes.fits(noise=False).filter(lambda recipe: recipe.labels is None))
def test_partial_fit(recipe):
    check_stream(recipe)


# Given parameters


@fuzzed(
    60,
    family=st.sampled_from(recipes.FAMILIES),
    k=st.integers(1, 4),
    d=st.integers(1, 4),
    weights=st.sampled_from(["equal", "steep", "zeros"]),
    columns=st.lists(st.sampled_from(sorted(recipes.COLUMNS)), min_size=1, max_size=3),
    precisions=st.sampled_from(["unit", "large", "small", "huge", "tiny", "correlated"]),
    seed=st.integers(0, 100),
)
def test_from_parameters(tmp_path_factory, family, k, d, weights, columns, precisions, seed):
    """Of all sizes: a model as good as a fitted one, also for rows that are far from it."""
    rng = np.random.default_rng(seed)
    means = Rows(k, d, columns=tuple(columns), seed=seed).build()
    covariances = recipes.start_precisions(precisions, means, k, family, rng)
    given = recipes.start_weights(weights, k, rng), means, covariances
    model = attempt(lambda: GMM.from_parameters(*given, covariance_type=family))
    assert isinstance(model, GMM), model
    model.random_state = 0
    check_copies(model, means, tmp_path_factory.getbasetemp())
    for X in (means, means + 1.0, Rows(9, d, columns=("nasty", "huge"), seed=seed).build()):
        shares = attempt(lambda X=X: model.predict_proba(X))
        assert np.abs(shares.sum(axis=1) - 1).max() < 1e-12
        rows = attempt(lambda X=X: model.score_samples(X))
        assert not np.isnan(rows).any() and (rows < np.inf).all()
        assert (shares[np.arange(len(X)), attempt(lambda X=X: model.predict(X))] >= shares.max(axis=1) - 1e-12).all()
    drawn, _ = attempt(lambda: model.sample(5))
    assert np.isfinite(drawn).all()


# k-means


@fuzzed(
    50,
    data=recipes.rows(),
    share=st.floats(0, 1),
    init=st.sampled_from(["k-means++", "random", "given"]),
    n_init=st.integers(1, 3),
    max_iter=st.integers(0, 20),
    tol=st.sampled_from([0.0, 1e-4, 1.0]),
    sample_weight=st.sampled_from(sorted(recipes.WEIGHTS)),
)
def test_kmeans(data, share, init, n_init, max_iter, tol, sample_weight):
    X = data.build()
    k = 1 + int(share * min(7, data.n - 1))
    rows = np.asarray(X).astype(float)
    weights = recipes.WEIGHTS[sample_weight](np.random.default_rng(data.seed), data.n)
    init = rows[:k] if init == "given" else init
    arguments = {"init": init, "n_init": n_init, "max_iter": max_iter, "tol": tol, "random_state": data.seed}
    found = attempt(lambda: cgmm.kmeans(X, k, sample_weight=weights, **arguments))
    if isinstance(found, Exception):
        assert "of positive weight" in str(found), found
        return
    assert np.isfinite(found.centers).all()
    assert ((found.labels >= 0) & (found.labels < k)).all()
    assert found.n_iter <= max_iter and found.inertia == found.inertia_history[-1]
    again = attempt(lambda: cgmm.kmeans(X, k, sample_weight=weights, n_threads=2, **arguments))
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert (found.inertia_history >= 0).all()
    squares = ((rows[:, np.newaxis] - found.centers) ** 2).sum(axis=-1)
    own = squares[np.arange(len(rows)), found.labels]
    rounding = 1e-4 if data.dtype in ("float32", ">f4") else 1e-9
    slack = rounding * (squares.max() + np.abs(rows - np.median(rows, axis=0)).max() ** 2)
    assert (own <= squares.min(axis=1) + slack).all()
    counts = np.broadcast_to(1.0 if weights is None else np.asarray(weights, dtype=float), len(rows))
    if counts.max() > 1e-290 and np.isfinite(found.inertia):  # of smaller weights the sum has no digits
        most = counts.max()
        assert abs(found.inertia / most - counts / most @ own) <= slack * (counts / most).sum()
