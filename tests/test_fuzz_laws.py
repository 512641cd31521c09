"""Laws over random combinations of options: what may change no bit, and what may change no more than rounding does.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import recipes
import reference
from cgmm import GMM
from cgmm.fit import report
from fuzzing import ERRORS, FITTED, assert_same, attempt, check_parameters, differing, fuzzed
from ways import WAYS, as_array, blocks_of, cuts_of, tame

SEEDS = st.integers(0, 2**31)
FUNCTIONS = ("means", "labels", "responsibilities")  # starts that need all rows in memory


def fitted(recipe, X, row_weights, **changes):
    """The model of a recipe, fitted to rows that are handed over in some way; or the error."""
    model = GMM(**recipe.constructor(recipe.build()) | changes)
    labels = recipe.component_labels()  # blocks bring their own
    return attempt(lambda: model.fit(X, sample_weight=row_weights, labels=labels))


# No bit


def in_blocks(recipe):
    """Whether a recipe can be fitted to blocks, with the bits of memory: with gaps it is to rounding."""
    return recipe.labels is None and recipe.start not in FUNCTIONS and not recipe.missing


@fuzzed(30, recipe=recipes.fits(labels=False).filter(in_blocks), way=st.sampled_from(sorted(WAYS)), seed=SEEDS)
def test_blocks_are_the_array(tmp_path_factory, recipe, way, seed):
    X, w = as_array(recipe.build()), recipe.row_weights()
    w = w if w is None else np.broadcast_to(np.asarray(w, float), len(X))
    given = WAYS[way](X, w, np.random.default_rng(seed), tmp_path_factory.getbasetemp())
    assert_same(fitted(recipe, *given), fitted(recipe, X, w))


@fuzzed(
    20,
    recipe=recipes.fits(labels=False).filter(lambda recipe: recipe.missing and in_blocks(recipe._replace(missing=0))),
    seed=SEEDS,
)
def test_any_cut_of_rows_with_gaps(recipe, seed):
    X, w, rng = as_array(recipe.build()), recipe.row_weights(), np.random.default_rng(seed)
    w = w if w is None else np.broadcast_to(np.asarray(w, float), len(X))
    one, other = (fitted(recipe, blocks_of(X, w, rng), None) for _ in range(2))
    assert_same(one, other)


@fuzzed(20, recipe=recipes.fits(), layout=st.sampled_from(recipes.LAYOUTS))
def test_layouts(recipe, layout):
    """However rows lie in memory."""
    X = as_array(recipe.build())
    w = recipe.row_weights()
    given = recipes.arranged(X.copy(), layout)
    if layout == "list":  # which has lost its type
        X = np.array(given)
    assert_same(fitted(recipe, given, w), fitted(recipe, X, w))


WHOLE = st.sampled_from(["ones", "counts", "many zeros", "wide", "integers"])


@fuzzed(20, recipe=recipes.fits(), kind=WHOLE, exponent=st.integers(-800, 800))
def test_weights_times_a_power_of_two(recipe, kind, exponent):
    recipe = recipe._replace(sample_weight=kind, prior="none")
    X, w = recipe.build(), np.asarray(recipe.row_weights(), float)
    assert_same(fitted(recipe, X, np.ldexp(w, exponent)), fitted(recipe, X, w))


ONE_FIT = {"callback", "warm_start", "verbose", "learning_decay", "learning_rows", "forget"}
NOT_PLAIN = {"n_init", "accelerate"}


@fuzzed(
    60,
    recipe=recipes.fits(labels=False, noise=False).filter(lambda recipe: recipe.labels is None and recipe.stop is None),
    plain=st.sampled_from([True, True, False]),
)
def test_each_of_many_fits(recipe, plain):
    """Beside a problem that has nothing special; `plain` are those that may be compiled whole."""
    if plain:
        own = tuple((name, value) for name, value in recipe.arguments if name not in NOT_PLAIN)
        recipe = recipe._replace(start="kmeans", weights=None, means=None, precisions=None, fixed=(), prior="none")
        recipe = recipe._replace(arguments=own)
    X, w = recipe.build(), recipe.row_weights()
    arguments = {name: value for name, value in recipe.constructor(X).items() if name not in ONE_FIT}
    beside = np.random.default_rng(0).standard_normal((9 * recipe.k, recipe.rows.d))
    if recipe.means is not None:
        beside += np.resize(np.nan_to_num(np.asarray(arguments["means_init"], float)), beside.shape)

    def many():
        problems, weights = [beside, X, beside], [None, w, None]
        return cgmm.fit_many(problems, sample_weight=weights, on_error="skip", **{"reg_covar": 1e-6, **arguments})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = many()
    alone = attempt(lambda: GMM(**arguments).fit(X, sample_weight=w))
    if isinstance(alone, ERRORS):
        assert fits.errors[1] == str(alone)
        return
    for name in FITTED:
        assert_array_equal(getattr(fits[1], name), getattr(alone, name))
    told = attempt(lambda: report.faults(alone._state.fit, alone._state.settings, alone._state.names))
    assert fits.warnings.get(1, ()) == tuple(text for text, _ in told)


class Killed(Exception):
    pass


@fuzzed(15, recipe=recipes.fits(), interval=st.integers(1, 5), end=st.integers(0, 40))
def test_a_checkpoint_goes_on(tmp_path_factory, recipe, interval, end):
    """The `end`-th call of the callback kills the fit."""
    path = tmp_path_factory.getbasetemp() / "fit.checkpoint"
    path.unlink(missing_ok=True)
    recipe = recipe._replace(stop=None)
    X, w = recipe.build(), recipe.row_weights()
    calls = []

    def kill(state):
        calls.append(state)
        if len(calls) > end:
            raise Killed("the fit is killed")

    given = {"checkpoint": path, "checkpoint_interval": interval}
    model = GMM(**recipe.constructor(X) | given | {"callback": kill})
    attempt(lambda: model.fit(X, sample_weight=w, labels=recipe.component_labels()), (*ERRORS, Killed))
    assert_same(fitted(recipe, X, w, **given), fitted(recipe, X, w))


# Whose memory


def arrays_in(*values):
    """The arrays among some values, and in the priors, masks and pairs among them."""
    found = []
    for value in values:
        if isinstance(value, np.ndarray):
            found.append(value)
        elif isinstance(value, dict):
            found += arrays_in(*value.values())
        elif isinstance(value, list | tuple):
            found += arrays_in(*value)
        elif isinstance(value, cgmm.Prior):
            found += arrays_in(*vars(value).values())
    return found


def spoil(arrays):
    """Overwrite them, as their owner may."""
    for array in arrays:
        array.flags.writeable = True
        array[...] = np.array(-77).astype(array.dtype)


def snapshot(model):
    return {name: copy.deepcopy(getattr(model, name)) for name in (*FITTED, "precisions_")}


@fuzzed(30, recipe=recipes.fits())
def test_arrays_stay_their_owners(recipe):
    """A fit changes none of the caller's arrays, and keeps none of them."""
    X, w = as_array(recipe.build()), recipe.row_weights()
    w = np.asarray(w, float) if isinstance(w, list) else w
    arguments = recipe.constructor(X)
    given = arrays_in(X, w, *arguments.values())
    before = [array.copy() for array in given]
    model, labels = GMM(**arguments), recipe.component_labels()
    if isinstance(attempt(lambda: model.fit(X, sample_weight=w, labels=labels)), Exception):
        return
    for array, copied in zip(given, before, strict=True):
        assert_array_equal(array, copied)
    known, score = snapshot(model), model.score_samples(before[0])
    spoil(given)
    for name, value in known.items():
        assert_array_equal(getattr(model, name), value, err_msg=name)
    assert_array_equal(model.score_samples(before[0]), score)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[...] = 0


def batches_of(recipe, rng):
    X, w = as_array(recipe.build()), recipe.row_weights()
    w = w if w is None else np.array(np.broadcast_to(np.asarray(w, float), len(X)))
    return [block if isinstance(block, tuple) else (block, None) for block in blocks_of(X, w, rng)]


def learn(model, rows, w):
    found = attempt(lambda: model.partial_fit(rows, sample_weight=w), (*ERRORS, ZeroDivisionError))
    assert not isinstance(found, ZeroDivisionError), found
    return found


streams = recipes.fits(labels=False, noise=False).filter(lambda recipe: recipe.labels is None)


@fuzzed(30, recipe=streams, seed=SEEDS)
def test_batches_stay_their_owners(recipe, seed):
    """A stream of one array that is refilled, and a stream of arrays that nobody touches, are the same."""
    own, twin = (GMM(**recipe.constructor(recipe.build())) for _ in range(2))
    for rows, w in batches_of(recipe, np.random.default_rng(seed)):
        rows, given = np.array(rows), None if w is None else w.copy()
        found, other = learn(own, rows, given), learn(twin, np.array(rows), None if w is None else w.copy())
        spoil(arrays_in(rows, given))
        assert isinstance(found, Exception) == isinstance(other, Exception), (found, other)
        assert own.__sklearn_is_fitted__() == twin.__sklearn_is_fitted__()
        if own.__sklearn_is_fitted__():
            assert not differing(own, twin)


@fuzzed(20, recipe=streams, seed=SEEDS, how=st.sampled_from(["pickled", "copied", "blocks"]))
def test_streams_that_are_sent(recipe, seed, how):
    """A model that is pickled or copied between its batches goes on to the same bits; so does one of blocks at once."""
    X = recipe.build()
    own, twin = (GMM(**recipe.constructor(X) | {"callback": None, "init_params": "kmeans"}) for _ in range(2))
    batches = [(rows, w) for rows, w in batches_of(recipe, np.random.default_rng(seed)) if len(rows)]
    batches = [(rows, w) for rows, w in batches if w is None or w.any()]
    found = [learn(own, rows, w) for rows, w in batches]
    if how == "blocks":
        others = [attempt(lambda: twin.partial_fit([(rows, w) if w is not None else rows for rows, w in batches]))]
        if any(isinstance(one, Exception) for one in found):
            return  # the others learn what can be learnt of each batch
    else:
        others = []
        for rows, w in batches:
            others.append(learn(twin, rows, w))
            twin = pickle.loads(pickle.dumps(twin)) if how == "pickled" else copy.deepcopy(twin)
        assert [isinstance(one, Exception) for one in found] == [isinstance(one, Exception) for one in others]
    assert own.__sklearn_is_fitted__() == twin.__sklearn_is_fitted__()
    if own.__sklearn_is_fitted__():
        assert not differing(own, twin)


# By hand


@fuzzed(30, recipe=recipes.fits(labels=False, noise=False), seed=SEEDS, kind=st.sampled_from(sorted(recipes.WEIGHTS)))
def test_by_hand_is_always_a_model(recipe, seed, kind):
    """An E-step of any blocks, and the M-step of their sum, of rows and weights of any size."""
    recipe = recipe._replace(prior="none", sample_weight=kind)
    X, w = as_array(recipe.build()), recipe.row_weights()
    model = fitted(recipe, X, w)
    if isinstance(model, Exception):
        return
    w = w if w is None else np.broadcast_to(np.asarray(w, float), len(X))
    blocks = [
        block if isinstance(block, tuple) else (block, None) for block in blocks_of(X, w, np.random.default_rng(seed))
    ]
    parts = [attempt(lambda block=block: cgmm.expectation(model, *block)) for block in blocks if len(block[0])]
    assert not any(isinstance(part, Exception) for part in parts), parts
    total = attempt(lambda: sum(parts))
    found = attempt(lambda: cgmm.maximisation(model, pickle.loads(pickle.dumps(total))))
    assert isinstance(found, GMM), found
    check_parameters(found.set_params(max_iter=10_000), iterations=False)


# No more than rounding


def assert_close(a, b, recipe, names=("weights_", "means_", "covariances_", "lower_bounds_")):
    """Equal to the recipe's rounding of the largest value, or of one where that is less."""
    for name in names:
        expected = getattr(b, name)
        bound = recipe.rounding * max(1.0, np.abs(expected).max())
        assert_allclose(getattr(a, name), expected, rtol=0, atol=bound, err_msg=name)


@fuzzed(15, recipe=tame(weights=("whole",)), way=st.sampled_from(sorted(WAYS)))
def test_weight_counts_rows(tmp_path_factory, recipe, way):
    X, w = recipe.build(), recipe.row_weights()
    twice = np.repeat(X, w.astype(int), axis=0)
    rng, folder = np.random.default_rng(recipe.seed), tmp_path_factory.getbasetemp()
    whole, sample_weight = WAYS[way](X, w, rng, folder)
    found = attempt(lambda: recipe.model().fit(whole, sample_weight=sample_weight))
    assert_close(found, attempt(lambda: recipe.model().fit(twice)), recipe)


@fuzzed(15, recipe=tame(weights=("zeros among them",)))
def test_weight_zero_is_absence(recipe):
    X, w = recipe.build(), recipe.row_weights()
    found = attempt(lambda: recipe.model().fit(X, sample_weight=w))
    assert_close(found, attempt(lambda: recipe.model().fit(X[w > 0], sample_weight=w[w > 0])), recipe)


@fuzzed(15, recipe=tame(priors=("none",)), seed=SEEDS)
def test_by_hand_is_the_iteration_of_a_fit(recipe, seed):
    X, w = recipe.build(), recipe.row_weights()
    model = attempt(lambda: recipe.model(warm_start=True).fit(X, sample_weight=w))
    blocks = blocks_of(X, w, np.random.default_rng(seed))
    blocks = [block if isinstance(block, tuple) else (block, None) for block in blocks]
    total = sum(attempt(lambda block=block: cgmm.expectation(model, *block)) for block in blocks if len(block[0]))
    found = attempt(lambda: cgmm.maximisation(model, total))
    assert isinstance(found, GMM), found
    again = attempt(lambda: model.set_params(max_iter=1).fit(X, sample_weight=w))
    assert_close(found, again, recipe, ("weights_", "means_", "covariances_", "lower_bound_"))


@fuzzed(15, recipe=tame(), seed=SEEDS)
def test_order_of_rows(recipe, seed):
    X, w = recipe.build(), recipe.row_weights()
    order = np.random.default_rng(seed).permutation(len(X))
    found = attempt(lambda: recipe.model().fit(X[order], sample_weight=w if w is None else w[order]))
    assert_close(found, attempt(lambda: recipe.model().fit(X, sample_weight=w)), recipe)


def features_in_order(start, order, family):
    """Parameters of features in another order."""
    weights, means, covariances = start
    if family in ("full", "tied"):
        covariances = covariances[..., order, :][..., order]
    return weights, means[:, order], covariances[:, order] if family == "diag" else covariances


@fuzzed(15, recipe=tame(), seed=SEEDS)
def test_order_of_features(recipe, seed):
    X, w = recipe.build(), recipe.row_weights()
    order = np.random.default_rng(seed).permutation(recipe.d)
    ours = attempt(lambda: recipe.model().fit(X, sample_weight=w))
    model = recipe.model(features_in_order(recipe.start(), order, recipe.family))
    found = attempt(lambda: model.fit(X[:, order], sample_weight=w))
    assert_close(found, ours, recipe, ("weights_", "lower_bounds_"))
    expected = features_in_order((ours.weights_, ours.means_, ours.covariances_), order, recipe.family)
    assert_allclose(found.means_, expected[1], rtol=0, atol=recipe.rounding * np.abs(expected[1]).max())
    assert_allclose(found.covariances_, expected[2], rtol=0, atol=recipe.rounding * max(1, np.abs(expected[2]).max()))


INITS = st.sampled_from(["given", "kmeans", "k-means++", "random_from_data"])


@fuzzed(20, recipe=tame(), shift=st.integers(-(2**20), 2**20), exponent=st.integers(-30, 30), init=INITS)
def test_shifted_and_scaled(recipe, shift, exponent, init):
    """Adding a whole number to these rows is exact in float64, and so is a power of two; float32 has not the digits."""
    recipe = recipe._replace(dtype="float64", fixed=() if init != "given" else recipe.fixed)
    scale, w = 2.0**exponent, recipe.row_weights()
    weights, means, covariances = recipe.start()
    moved = weights, (means + shift) * scale, covariances * scale**2
    start = {"weights_init": None, "means_init": None, "precisions_init": None, "random_state": recipe.seed}
    start = {} if init == "given" else start | {"init_params": init}
    X, Y = recipe.build(), recipe.build((recipe.complete() + shift) * scale)
    ours = attempt(lambda: recipe.model(**start).fit(X, sample_weight=w))
    model = recipe.model(moved, reg_covar=1e-6 * scale**2, **start)
    found = attempt(lambda: model.fit(Y, sample_weight=w))
    bound = 1e-15 * max(abs(shift), 100) * 1e3  # of digits that the shift takes, times what iterations make of it
    observed = np.isfinite(np.asarray(X)).sum() / len(X) if w is None else None
    assert_allclose(found.weights_, ours.weights_, rtol=0, atol=bound)
    assert_allclose(found.means_ / scale - shift, ours.means_, rtol=0, atol=bound * np.abs(ours.means_).max())
    assert_allclose(found.covariances_ / scale**2, ours.covariances_, rtol=0, atol=bound * ours.covariances_.max())
    assert_allclose(found.predict_proba(Y), ours.predict_proba(X), rtol=0, atol=100 * bound)
    if observed is not None and recipe.prior == "none":
        lower = found.lower_bounds_ + observed * np.log(scale)
        assert_allclose(lower, ours.lower_bounds_, rtol=0, atol=bound * np.abs(lower).max())


@fuzzed(15, recipe=tame(), way=st.sampled_from(sorted(WAYS)), seed=SEEDS)
def test_ways_agree(tmp_path_factory, recipe, way, seed):
    """With gaps, too, and of more than one part of a pass."""
    X, w, rng = recipe.build(), recipe.row_weights(), np.random.default_rng(seed)
    given = WAYS[way](X, w, rng, tmp_path_factory.getbasetemp())
    found = attempt(lambda: recipe.model().fit(given[0], sample_weight=given[1]))
    whole = attempt(lambda: recipe.model().fit(X, sample_weight=w))
    assert_close(found, whole, recipe)
    assert_allclose(found.score_samples(given[0] if w is None else X), whole.score_samples(X), rtol=recipe.rounding)


@fuzzed(12, recipe=tame(), seed=SEEDS)
def test_chunks_agree(recipe, seed):
    """A Dask array is the array; any scheduler gives the same bits."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    X, w = recipe.build(), recipe.row_weights()
    sizes = np.diff([0, *sorted({*np.random.default_rng(seed).integers(0, len(X), 4).tolist()} - {0}), len(X)])
    rows = da.from_array(np.asarray(X), chunks=(tuple(sizes.tolist()), recipe.d))
    weights = None if w is None else da.from_array(w, chunks=(tuple(sizes.tolist()),))
    fits = []
    for scheduler in ("synchronous", "threads"):
        with dask.config.set(scheduler=scheduler):
            fits.append(attempt(lambda: recipe.model().fit(rows, sample_weight=weights)))
    assert_same(*fits)
    assert_close(fits[0], attempt(lambda: recipe.model().fit(X, sample_weight=w)), recipe)


@fuzzed(10, recipe=recipes.fits(labels=False).filter(lambda recipe: recipe.labels is None), seed=SEEDS)
def test_chunks_of_anything(recipe, seed):
    """Of any rows, weights and options, with chunks of one row: a model or a documented error, the same for threads."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    start = "kmeans" if recipe.start in FUNCTIONS else recipe.start
    few = {"max_iter": 4, "n_init": 2}  # each pass costs a scheduler's time
    recipe = recipe._replace(start=start, arguments=tuple((dict(recipe.arguments) | few).items()))
    X, w = as_array(recipe.build()), recipe.row_weights()
    sizes = tuple(np.diff(cuts_of(len(X), np.random.default_rng(seed))).tolist())
    rows = da.from_array(X, chunks=(sizes, X.shape[1]))
    weights = None if w is None else da.from_array(np.array(np.broadcast_to(np.asarray(w, float), len(X))), (sizes,))
    fits = []
    for scheduler in ("synchronous", "threads"):
        with dask.config.set(scheduler=scheduler):
            fits.append(fitted(recipe, rows, weights))
    assert_same(*fits)
    if isinstance(fits[0], GMM):
        check_parameters(fits[0])


@fuzzed(15, recipe=tame(missing=(0.0,)))
def test_a_large_first_batch_is_a_fit(recipe):
    """And rows without gaps are the same whether gaps are allowed or not."""
    X, w = recipe.build(), recipe.row_weights()
    whole = attempt(lambda: recipe.model().fit(X, sample_weight=w))
    found = attempt(lambda: recipe.model(learning_rows=1.0).partial_fit(X, sample_weight=w))
    assert_close(found, whole, recipe, ("weights_", "means_", "covariances_"))
    assert_same(attempt(lambda: recipe.model(missing="marginal").fit(X, sample_weight=w)), whole)


@fuzzed(15, recipe=tame(missing=(0.0,)))
def test_likelihood_is_that_of_its_formula(recipe):
    X, w = recipe.build(), recipe.row_weights()
    model = attempt(lambda: recipe.model().fit(X, sample_weight=w))
    parameters = model.weights_, model.means_, model.covariances_
    expected = reference.log_likelihoods(np.asarray(X, float), *parameters, recipe.family)
    assert_allclose(model.score_samples(X), expected, rtol=0, atol=recipe.rounding * max(1, np.abs(expected).max()))


# Samples


@fuzzed(
    15,
    family=st.sampled_from(recipes.FAMILIES),
    d=st.integers(1, 6),
    k=st.integers(1, 4),
    scale=st.sampled_from([1e-100, 1e-3, 1.0, 1e100]),
    seed=SEEDS,
)
def test_moments_of_samples(family, d, k, scale, seed):
    """Counts, means and covariances of draws are within six standard errors: a chance of 2e-9 for a normal value.

    Of m draws a mean has the variance Σ_jj / m, and a covariance (Σ_jj Σ_ll + Σ_jl²) / m.
    """
    rng, n = np.random.default_rng(seed), 20_000
    roots = rng.standard_normal((k, d, d)) * rng.uniform(0.1, 3.0, (k, 1, d)) + 0.3 * np.eye(d)
    covariances = roots @ roots.transpose(0, 2, 1) * scale**2
    if family in ("diag", "spherical"):
        covariances = covariances.diagonal(axis1=1, axis2=2).copy()
    covariances = {"full": covariances, "tied": covariances[0], "diag": covariances}.get(family, covariances[..., 0])
    model = GMM.from_parameters(rng.dirichlet(np.ones(k)), 5 * scale * rng.standard_normal((k, d)), covariances, family)
    model.random_state = seed
    X, labels = model.sample(n)
    expanded = reference.expand(covariances, family, k, d)
    counts = np.bincount(labels, minlength=k)
    assert (np.abs(counts - n * model.weights_) <= 6 * np.sqrt(n * model.weights_ * (1 - model.weights_)) + 6).all()
    assert (np.diff(labels) >= 0).all()
    for c in (counts >= 2000).nonzero()[0]:  # of fewer, a covariance is far from normal in its tails
        rows, S = (X[labels == c] - model.means_[c]) / scale, expanded[c] / scale**2
        variances = S.diagonal()
        assert (np.abs(rows.mean(axis=0)) <= 6 * np.sqrt(variances / counts[c])).all()
        errors = np.sqrt((np.outer(variances, variances) + S**2) / counts[c])
        assert (np.abs(rows.T @ rows / counts[c] - S) <= 6 * errors).all()
