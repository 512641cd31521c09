"""Laws over random combinations of options: what may change no bit, and what may change no more than rounding does.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import deconvolution
import recipes
import reference
from cgmm import GMM
from fuzzing import (
    ERRORS,
    FITTED,
    Killed,
    assert_same,
    attempt,
    check_parameters,
    differing,
    fuzzed,
    killed_at,
    refused,
)
from ways import WAYS, as_array, assert_close, block_of, blocks_of, companions_of, cuts_of, part_of, parts_of, tame

SEEDS = st.integers(0, 2**31)
FUNCTIONS = ("means", "labels", "responsibilities")  # starts that need all rows in memory


def fitted(recipe, X, companions, **changes):
    """The model of a recipe, fitted to rows that are handed over in some way; or the error."""
    model = GMM(**recipe.constructor(recipe.build()) | changes)
    return attempt(lambda: model.fit(X, **companions))


# No bit


def in_blocks(recipe):
    """Whether a recipe can be fitted to blocks, with the bits of memory: with gaps it is to rounding."""
    return recipe.labels is None and recipe.start not in FUNCTIONS and not recipe.missing


@fuzzed(30, recipe=recipes.fits().filter(in_blocks), way=st.sampled_from(sorted(WAYS)), seed=SEEDS)
def test_blocks_are_the_array(tmp_path_factory, recipe, way, seed):
    X, companions = as_array(recipe.build()), recipe.companions()
    given = WAYS[way](X, companions, np.random.default_rng(seed), tmp_path_factory.getbasetemp())
    assert_same(fitted(recipe, *given), fitted(recipe, X, companions))


@fuzzed(
    20,
    recipe=recipes.fits().filter(lambda recipe: recipe.missing and in_blocks(recipe._replace(missing=0))),
    seed=SEEDS,
)
def test_any_cut_of_rows_with_gaps(recipe, seed):
    whole, rng = part_of(as_array(recipe.build()), **recipe.companions()), np.random.default_rng(seed)
    one, other = (fitted(recipe, blocks_of(whole, rng), {}) for _ in range(2))
    assert_same(one, other)


@fuzzed(20, recipe=recipes.fits(), layout=st.sampled_from(recipes.LAYOUTS))
def test_layouts(recipe, layout):
    """However rows lie in memory."""
    X, companions = as_array(recipe.build()), recipe.companions()
    given = recipes.arranged(X.copy(), layout)
    if layout == "list":  # which has lost its type
        X = np.array(given)
    assert_same(fitted(recipe, given, companions), fitted(recipe, X, companions))


WHOLE = st.sampled_from(["ones", "counts", "many zeros", "wide", "integers"])


@fuzzed(20, recipe=recipes.fits(), kind=WHOLE, exponent=st.integers(-800, 800))
def test_weights_times_a_power_of_two(recipe, kind, exponent):
    """Weights count rows where starts are compared, of which few lean on reg_covar for a variance: so there it is 0."""
    arguments = dict(recipe.arguments)
    if recipe.noise or arguments.get("n_init", 1) > 1:
        arguments["reg_covar"] = 0.0
    recipe = recipe._replace(sample_weight=kind, prior="none", arguments=tuple(arguments.items()))
    X, companions = recipe.build(), recipe.companions()
    larger = companions | {"sample_weight": np.ldexp(np.asarray(companions["sample_weight"], float), exponent)}
    assert_same(fitted(recipe, X, larger), fitted(recipe, X, companions))


@fuzzed(15, recipe=recipes.fits(), interval=st.integers(1, 5), end=st.integers(0, 40))
def test_a_checkpoint_goes_on(tmp_path_factory, recipe, interval, end):
    """The `end`-th call of the callback kills the fit."""
    path = tmp_path_factory.getbasetemp() / "fit.checkpoint"
    path.unlink(missing_ok=True)
    recipe = recipe._replace(stop=None)
    X, companions = recipe.build(), recipe.companions()
    given = {"checkpoint": path, "checkpoint_interval": interval}
    model = GMM(**recipe.constructor(X) | given | {"callback": killed_at(end)})
    attempt(lambda: model.fit(X, **companions), (*ERRORS, Killed))
    assert_same(fitted(recipe, X, companions, **given), fitted(recipe, X, companions))


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
    X, companions = as_array(recipe.build()), recipe.companions()
    for name, values in companions.items():
        companions[name] = np.asarray(values) if isinstance(values, list) else values
    arguments = recipe.constructor(X)
    given = arrays_in(X, *companions.values(), *arguments.values())
    before = [array.copy() for array in given]
    model = GMM(**arguments)
    if isinstance(attempt(lambda: model.fit(X, **companions)), Exception):
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
    return parts_of(part_of(as_array(recipe.build()), **recipe.companions()), rng)


def learn(model, part):
    found = attempt(lambda: model.partial_fit(part.rows, **companions_of(part)), (*ERRORS, ZeroDivisionError))
    assert not isinstance(found, ZeroDivisionError), found
    return found


streams = recipes.fits(noise=False).filter(lambda recipe: recipe.labels is None)


@fuzzed(30, recipe=streams, seed=SEEDS)
def test_batches_stay_their_owners(recipe, seed):
    """A stream of one array that is refilled, and a stream of arrays that nobody touches, are the same."""
    own, twin = (GMM(**recipe.constructor(recipe.build())) for _ in range(2))
    for part in batches_of(recipe, np.random.default_rng(seed)):
        given = part.copied()
        found, other = learn(own, given), learn(twin, part.copied())
        spoil(arrays_in(given))
        assert isinstance(found, Exception) == isinstance(other, Exception), (found, other)
        assert own.__sklearn_is_fitted__() == twin.__sklearn_is_fitted__()
        if own.__sklearn_is_fitted__():
            assert not differing(own, twin)


@fuzzed(20, recipe=streams, seed=SEEDS, how=st.sampled_from(["pickled", "copied", "blocks"]))
def test_streams_that_are_sent(recipe, seed, how):
    """A model that is pickled or copied between its batches goes on to the same bits; so does one of blocks at once."""
    X = recipe.build()
    own, twin = (GMM(**recipe.constructor(X) | {"callback": None, "init_params": "kmeans"}) for _ in range(2))
    batches = [part for part in batches_of(recipe, np.random.default_rng(seed)) if part.total_weight]
    found = [learn(own, part) for part in batches]
    if how == "blocks":
        others = [attempt(lambda: twin.partial_fit([block_of(part) for part in batches]))]
        if any(isinstance(one, Exception) for one in found):
            return  # the others learn what can be learnt of each batch
    else:
        others = []
        for part in batches:
            others.append(learn(twin, part))
            twin = pickle.loads(pickle.dumps(twin)) if how == "pickled" else copy.deepcopy(twin)
        assert [isinstance(one, Exception) for one in found] == [isinstance(one, Exception) for one in others]
    assert own.__sklearn_is_fitted__() == twin.__sklearn_is_fitted__()
    if own.__sklearn_is_fitted__():
        assert not differing(own, twin)


# By hand


def by_hand(model, part):
    return attempt(lambda: cgmm.expectation(model, part.rows, part.weights, part.errors))


@fuzzed(30, recipe=recipes.fits(labels=False, noise=False), seed=SEEDS, kind=st.sampled_from(sorted(recipes.WEIGHTS)))
def test_by_hand_is_always_a_model(recipe, seed, kind):
    """An E-step of any blocks, and the M-step of their sum, of rows and weights of any size."""
    recipe = recipe._replace(prior="none", sample_weight=kind)
    whole = part_of(as_array(recipe.build()), **recipe.companions())
    model = fitted(recipe, whole.rows, recipe.companions())
    if isinstance(model, Exception):
        return
    parts = [by_hand(model, part) for part in parts_of(whole, np.random.default_rng(seed)) if len(part.rows)]
    if recipe.errors != "none" and any(map(refused, parts)):
        return  # a model that begins far from rows which vary by denormals
    assert not any(isinstance(part, Exception) for part in parts), parts
    total = attempt(lambda: sum(parts))
    found = attempt(lambda: cgmm.maximisation(model, pickle.loads(pickle.dumps(total))))
    assert isinstance(found, GMM), found
    check_parameters(found.set_params(max_iter=10_000), iterations=False)


# No more than rounding


def fit_of(recipe, part, **changes):
    """The model of a tame recipe."""
    return attempt(lambda: recipe.model(**changes).fit(part.rows, **companions_of(part)))


@fuzzed(15, recipe=tame(weights=("whole",)), way=st.sampled_from(sorted(WAYS)))
def test_weight_counts_rows(tmp_path_factory, recipe, way):
    part, rng, folder = recipe.part(), np.random.default_rng(recipe.seed), tmp_path_factory.getbasetemp()
    twice = part.gathered(np.repeat(np.arange(recipe.n), part.weights.astype(int)))._replace(weights=None)
    whole, companions = WAYS[way](part.rows, companions_of(part), rng, folder)
    found = attempt(lambda: recipe.model().fit(whole, **companions))
    assert_close(found, fit_of(recipe, twice), recipe)


@fuzzed(15, recipe=tame(weights=("zeros among them",)))
def test_weight_zero_is_absence(recipe):
    part = recipe.part()
    assert_close(fit_of(recipe, part), fit_of(recipe, part.positive()), recipe)


@fuzzed(15, recipe=tame(priors=("none",)), seed=SEEDS)
def test_by_hand_is_the_iteration_of_a_fit(recipe, seed):
    part = recipe.part()
    model = fit_of(recipe, part, warm_start=True)
    total = sum(by_hand(model, one) for one in parts_of(part, np.random.default_rng(seed)) if len(one.rows))
    found = attempt(lambda: cgmm.maximisation(model, total))
    assert isinstance(found, GMM), found
    again = attempt(lambda: model.set_params(max_iter=1).fit(part.rows, **companions_of(part)))
    assert_close(found, again, recipe, ("weights_", "means_", "covariances_", "lower_bound_"))


@fuzzed(15, recipe=tame(), seed=SEEDS)
def test_order_of_rows(recipe, seed):
    part = recipe.part()
    found = fit_of(recipe, part.taken(np.random.default_rng(seed).permutation(recipe.n)))
    assert_close(found, fit_of(recipe, part), recipe)


def features_in_order(start, order, family):
    """Parameters of features in another order."""
    weights, means, covariances = start
    if family in ("full", "tied"):
        covariances = covariances[..., order, :][..., order]
    return weights, means[:, order], covariances[:, order] if family == "diag" else covariances


@fuzzed(15, recipe=tame(), seed=SEEDS)
def test_order_of_features(recipe, seed):
    part, order = recipe.part(), np.random.default_rng(seed).permutation(recipe.d)
    ours, start = fit_of(recipe, part), features_in_order(recipe.start(), order, recipe.family)
    errors = part.errors
    if errors is not None:
        errors = errors[:, order] if errors.ndim == 2 else errors[:, order][:, :, order]
    found = fit_of(recipe, part._replace(rows=part.rows[:, order], errors=errors), start=start)
    assert_close(found, ours, recipe, ("weights_", "lower_bounds_"))
    expected = features_in_order((ours.weights_, ours.means_, ours.covariances_), order, recipe.family)
    assert_allclose(found.means_, expected[1], rtol=0, atol=recipe.rounding * np.abs(expected[1]).max())
    assert_allclose(found.covariances_, expected[2], rtol=0, atol=recipe.rounding * max(1, np.abs(expected[2]).max()))


INITS = st.sampled_from(["given", "kmeans", "k-means++", "random_from_data"])


@fuzzed(20, recipe=tame(), shift=st.integers(-(2**20), 2**20), exponent=st.integers(-30, 30), init=INITS)
def test_shifted_and_scaled(recipe, shift, exponent, init):
    """Adding a whole number to these rows is exact in float64, and so is a power of two; float32 has not the digits."""
    recipe = recipe._replace(dtype="float64", fixed=() if init != "given" else recipe.fixed)
    scale, w, errors = 2.0**exponent, recipe.row_weights(), recipe.error_covariances()
    larger = None if errors is None else errors * scale**2
    weights, means, covariances = recipe.start()
    moved = weights, (means + shift) * scale, covariances * scale**2
    start = {"weights_init": None, "means_init": None, "precisions_init": None, "random_state": recipe.seed}
    start = {} if init == "given" else start | {"init_params": init}
    X, Y = recipe.build(), recipe.build((recipe.complete() + shift) * scale)
    ours = attempt(lambda: recipe.model(**start).fit(X, sample_weight=w, error_covariances=errors))
    model = recipe.model(moved, reg_covar=1e-6 * scale**2, **start)
    found = attempt(lambda: model.fit(Y, sample_weight=w, error_covariances=larger))
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
    part, rng = recipe.part(), np.random.default_rng(seed)
    given, companions = WAYS[way](part.rows, companions_of(part), rng, tmp_path_factory.getbasetemp())
    found, whole = attempt(lambda: recipe.model().fit(given, **companions)), fit_of(recipe, part)
    assert_close(found, whole, recipe)
    X, errors = (part.rows, part.errors) if part.weights is not None else (given, companions.get("error_covariances"))
    expected = whole.score_samples(part.rows, error_covariances=part.errors)
    assert_allclose(found.score_samples(X, error_covariances=errors), expected, rtol=recipe.rounding)


def in_chunks(part, sizes, da):
    """Rows and what goes with them as Dask arrays, in chunks of so many rows."""
    arrays = (None if own is None else da.from_array(own, (tuple(sizes.tolist()), *own.shape[1:])) for own in part)
    return type(part)(*arrays)


@fuzzed(12, recipe=tame(), seed=SEEDS)
def test_chunks_agree(recipe, seed):
    """A Dask array is the array; any scheduler gives the same bits."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    part, n = recipe.part(), recipe.n
    sizes = np.diff([0, *sorted({*np.random.default_rng(seed).integers(0, n, 4).tolist()} - {0}), n])
    chunks, fits = in_chunks(part, sizes, da), []
    for scheduler in ("synchronous", "threads"):
        with dask.config.set(scheduler=scheduler):
            fits.append(fit_of(recipe, chunks))
    assert_same(*fits)
    assert_close(fits[0], fit_of(recipe, part), recipe)


@fuzzed(10, recipe=recipes.fits().filter(lambda recipe: recipe.labels is None), seed=SEEDS)
def test_chunks_of_anything(recipe, seed):
    """Of any rows, weights and options, with chunks of one row: a model or a documented error, the same for threads."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    start = "kmeans" if recipe.start in FUNCTIONS else recipe.start
    few = {"max_iter": 4, "n_init": 2}  # each pass costs a scheduler's time
    recipe = recipe._replace(start=start, arguments=tuple((dict(recipe.arguments) | few).items()))
    sizes = np.diff(cuts_of(recipe.rows.n, np.random.default_rng(seed)))
    chunks = in_chunks(part_of(as_array(recipe.build()), **recipe.companions()), sizes, da)
    fits = []
    for scheduler in ("synchronous", "threads"):
        with dask.config.set(scheduler=scheduler):
            fits.append(fitted(recipe, chunks.rows, companions_of(chunks)))
    assert_same(*fits)
    if isinstance(fits[0], GMM):
        check_parameters(fits[0])


@fuzzed(15, recipe=tame(missing=(0.0,)))
def test_a_large_first_batch_is_a_fit(recipe):
    """And rows without gaps are the same whether gaps are allowed or not."""
    part = recipe.part()
    whole = fit_of(recipe, part)
    found = attempt(lambda: recipe.model(learning_rows=1.0).partial_fit(part.rows, **companions_of(part)))
    assert_close(found, whole, recipe, ("weights_", "means_", "covariances_"))
    assert_same(fit_of(recipe, part, missing="marginal"), whole)


@fuzzed(15, recipe=tame(missing=(0.0,)))
def test_likelihood_is_that_of_its_formula(recipe):
    """And, of rows with errors, so are true values."""
    part = recipe.part()
    model = fit_of(recipe, part)
    X, parameters = part.rows.astype(float), (model.weights_, model.means_, model.covariances_)
    expected = reference.log_likelihoods(X, *parameters, recipe.family)
    bound = recipe.rounding * max(1, np.abs(expected).max())
    assert_allclose(model.score_samples(part.rows), expected, rtol=0, atol=bound)
    if part.errors is None:
        return
    full = *parameters[:2], reference.expand(parameters[2], recipe.family, recipe.k, recipe.d)
    _, expected, _, _ = deconvolution.e_step(X, part.errors, *full)
    found = model.score_samples(part.rows, error_covariances=part.errors)
    assert_allclose(found, expected, rtol=0, atol=recipe.rounding * max(1, np.abs(expected).max()))
    found = model.denoise(part.rows, part.errors, return_cov=True)
    for values, own in zip(found, deconvolution.denoised(X, part.errors, *full), strict=True):
        assert_allclose(values, own, rtol=0, atol=recipe.rounding * max(1, np.abs(own).max()))


@fuzzed(15, recipe=tame(errors=("zeros", "zero matrices")))
def test_errors_of_zero_are_none(recipe):
    """Rows without errors are computed in their own type, those with errors in double."""
    part = recipe.part()
    assert_close(fit_of(recipe, part), fit_of(recipe, part._replace(errors=None)), recipe)


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
