"""Laws over random regressors and classifiers: what is learnt of rows and their targets, and what is said of others.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import json
import pickle

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import deconvolution
import recipes
import reference
from cgmm import GMM, GMMClassifier, GMMRegressor
from fuzzing import attempt, differing, fuzzed, refused
from ways import as_array, assert_close, blocks_of, companions_of, part_of, tame

SEEDS = st.integers(0, 2**31)


def loaded(model, directory):
    """The model as a file, a pickle and a dictionary bring it back."""
    path = directory / "targets.npz"
    model.save(path)
    found = [attempt(lambda: type(model).load(path)), pickle.loads(pickle.dumps(model))]
    return [*found, type(model).from_dict(json.loads(json.dumps(model.to_dict())))]


# Regressors


def of_features(part, p):
    """Errors of the first p columns, and as errors of all, zero for the others."""
    if part.errors is None:
        return None, None
    found = part.errors.copy()
    found[:, p:] = 0
    if found.ndim == 2:
        return part.errors[:, :p], found
    found[:, :, p:] = 0
    return part.errors[:, :p, :p], found


def all_said(model, X, errors):
    """What a regressor says of features."""
    mean, std, covariance = attempt(lambda: model.predict(X, True, True, error_covariances=errors))
    quantiles = attempt(lambda: model.predict_quantiles(X, (0.1, 0.5, 0.9), error_covariances=errors))
    return mean, std, covariance, quantiles


@fuzzed(
    20,
    recipe=recipes.fits(labels=False, noise=False).filter(lambda recipe: recipe.rows.d > 1 and recipe.labels is None),
    share=st.floats(0, 1),
    targets_too=st.booleans(),
)
def test_any_regressor(tmp_path_factory, recipe, share, targets_too):
    """Its mixture is GMM's of features and targets, to the bit; what it says are numbers; a file says the same."""
    plain = {"weights": None, "means": None, "precisions": None, "fixed": (), "stop": None, "warm": False}
    recipe = recipe._replace(rows=recipe.rows._replace(layout="C"), **plain)
    rows, companions = as_array(recipe.build()), recipe.companions()
    part = part_of(rows if rows.dtype == np.float32 else rows.astype(float), **companions)
    p, known, given = 1 + int(share * (recipe.rows.d - 2)), GMMRegressor().get_params(), recipe.constructor(part.rows)
    errors, of_all = of_features(part, p)
    if targets_too:
        of_all = part.errors
    model = GMMRegressor(**{name: value for name, value in given.items() if name in known})
    X, y, w = part.rows[:, :p], part.rows[:, p:], part.weights
    given = {name: value for name, value in model.get_params().items() if name != "max_components"}
    joint = attempt(lambda: GMM(**given).fit(part.rows, sample_weight=w, error_covariances=of_all))
    found = attempt(lambda: model.fit(X, y, w, of_all if targets_too else errors))
    if isinstance(joint, Exception):
        assert refused(joint) and str(found) == str(joint), (found, joint)
        return
    assert found is model, found
    assert not differing(model.mixture_, joint)
    said = all_said(model, X, errors)
    assert all(np.isfinite(values).all() for values in said)
    _, std, _, quantiles = said
    assert (std >= 0).all() and (np.diff(quantiles, axis=-1) >= 0).all()
    for copy in loaded(model, tmp_path_factory.getbasetemp()):
        copy.set_params(missing=model.missing)
        for values, own in zip(said, all_said(copy, X, errors), strict=True):
            assert_array_equal(values, own)
    for values, own in zip(said, all_said(model.set_params(n_threads=2), X, errors), strict=True):
        assert_array_equal(values, own)


@fuzzed(20, recipe=tame(missing=(0.0, 0.0, 0.1)).filter(lambda recipe: recipe.d > 1), share=st.floats(0, 1))
def test_a_prediction_is_the_conditional_mean(recipe, share):
    """Of rows with gaps and errors, too: by the formulas of true values of which the targets are missing."""
    part, p = recipe.part(), 1 + int(share * (recipe.d - 2))
    joint = attempt(lambda: recipe.model().fit(part.rows, **companions_of(part)))
    X, y = part.rows[:, :p], part.rows[:, p:]
    (errors, of_all), targets = of_features(part, p), list(range(p, recipe.d))
    model = GMMRegressor.from_mixture(joint, targets)
    mean, covariance = model.predict(X, return_cov=True, error_covariances=errors)
    full = reference.expand(joint.covariances_, recipe.family, recipe.k, recipe.d)
    wide = np.column_stack([X, np.full(y.shape, np.nan)]).astype(float)
    of_all = np.zeros(wide.shape) if of_all is None else of_all
    truth, spread = deconvolution.denoised(wide, of_all, joint.weights_, joint.means_, full)
    assert_allclose(mean, truth[:, p:], rtol=0, atol=recipe.rounding * max(1, np.abs(truth).max()))
    assert_allclose(covariance, spread[:, p:, p:], rtol=0, atol=recipe.rounding * max(1, np.abs(spread).max()))
    given = joint.conditional(X, range(p), errors)
    assert_array_equal(given.mean(), mean)
    if errors is None and not recipe.missing:
        logs = joint.score_samples(part.rows) - joint.marginal(range(p)).score_samples(X)
        found = model.log_predictive(X, y)
        assert_allclose(
            found, logs, rtol=0, atol=recipe.rounding * max(1, np.abs(joint.score_samples(part.rows)).max())
        )
    if errors is None:
        seen = {j: value for j, value in enumerate(X[-1].tolist()) if value == value}
        alone = joint.condition(seen) if seen else joint
        assert_allclose(
            mean[-1], alone.mean()[-len(targets) :], rtol=0, atol=recipe.rounding * max(1, np.abs(truth).max())
        )


@fuzzed(15, recipe=tame(missing=(0.0,)).filter(lambda recipe: recipe.d > 2), seed=SEEDS)
def test_gaps_of_predictions_are_the_marginals(recipe, seed):
    """A feature that is missing in every row is as if the mixture had none such."""
    part, rng = recipe.part(), np.random.default_rng(seed)
    joint = attempt(lambda: recipe.model().fit(part.rows, **companions_of(part)))
    p, missing = recipe.d - 1, rng.integers(recipe.d - 1)
    others = [j for j in range(p) if j != missing]
    model = GMMRegressor.from_mixture(joint, p).set_params(missing="marginal")
    alone = GMMRegressor.from_mixture(joint.marginal([*others, p]), p - 1)
    X, (errors, _) = part.rows[:, :p].copy(), of_features(part, p)
    X[:, missing] = np.nan
    some = errors
    if errors is not None:
        some = errors[:, others] if errors.ndim == 2 else errors[:, others][:, :, others]
    found, expected = all_said(model, X, errors), all_said(alone, X[:, others], some)
    for values, own in zip(found, expected, strict=True):
        assert_allclose(values, own, rtol=0, atol=recipe.rounding * max(1, np.abs(own).max()))


# Classifiers

NAMES = {  # function of classes 0, 1, … (n,) → their names, in the same order;  the name of rows without a label
    "numbers": (lambda y: y, -1),
    "far numbers": (lambda y: 1000 * y - 5000, 7),
    "floats": (lambda y: 2.0 * y, np.nan),
    "texts": (lambda y: np.array(list("abcdefgh"))[y], ""),
    "objects": (lambda y: np.array(["a", "bc", "d e", "é", "语", "🙂"], dtype=object)[y], "none"),
}
TOO_FEW = ("n_samples=", "rows of", "row of", "nothing can be learnt")
NOT_TOGETHER = ("prior must be None where rows are unlabelled", "priors must be positive where shared=True")
CHOICES = {  # of arguments: what each may be, beside what it is by default
    "n_components": st.sampled_from([1, 1, 2, 3, (1, 2), (2, 4)]),
    "covariance_type": st.sampled_from(["full", "tied", "diag", "spherical", ("EEI", "VVV"), ("tied", "full", "EII")]),
    "shared": st.sampled_from([None, True, False]),
    "criterion": st.sampled_from(["bic", "bic", "bic", "cv"]),
    "priors": st.sampled_from([None, "equal", "steep", "zero"]),
}


def named(y, kind, unknown):
    """Classes by their names, and the arguments that tell which name is none."""
    function, nothing = NAMES[kind]
    names = function(y)
    if not unknown.any():
        return names, {}
    names = names.astype(object if names.dtype == object else np.result_type(names, np.asarray(nothing)))
    names[unknown] = nothing
    return names, {"unlabelled": nothing}


def priors_of(kind, n_classes):
    if kind is None:
        return None
    priors = {"equal": np.ones(n_classes), "steep": 10.0 ** -np.arange(n_classes), "zero": np.arange(n_classes) + 0.0}[
        kind
    ]
    return None if n_classes == 1 else priors / priors.sum()


def verdicts(model, X):
    """All that a classifier says of rows, by name."""
    names = ("predict_proba", "predict_log_proba", "decision_log_density", "uncertainty", "predict")
    return {name: attempt(lambda name=name: getattr(model, name)(X)) for name in names}


def assert_same_verdicts(found, expected):
    for name, values in found.items():
        assert_array_equal(values, expected[name], err_msg=name)


@fuzzed(
    40,
    recipe=recipes.fits(labels=False, noise=False),
    n_classes=st.integers(1, 4),
    names=st.sampled_from(sorted(NAMES)),
    unlabelled=st.sampled_from([0.0, 0.0, 0.5]),
    choices=st.fixed_dictionaries({}, optional=CHOICES),
    seed=SEEDS,
)
def test_any_classifier(tmp_path_factory, recipe, n_classes, names, unlabelled, choices, seed):
    """Of any rows, options and names of classes: probabilities, or a documented error; and a file says the same."""
    if recipe.prior in ("small", "strong"):  # whose shape is that of one family
        choices = choices | {"covariance_type": recipe.family}
    X, w, rng = recipe.build(), recipe.row_weights(), np.random.default_rng(seed)
    y, unknown = rng.integers(0, n_classes, recipe.rows.n), rng.random(recipe.rows.n) < unlabelled
    labels, told = named(y, names, unknown)
    known, given = GMMClassifier().get_params(), recipe.constructor(X)
    given = {name: value for name, value in given.items() if name in known and name != "n_components"} | choices
    given.setdefault("max_iter", 100)  # not 1000: where tol is 0, all are made
    if recipe.start in ("means", "labels", "responsibilities"):
        given["init_params"] = "kmeans"
    counted = ~unknown & (np.broadcast_to(1.0 if w is None else np.asarray(w, float), len(y)) > 0)
    given["priors"] = priors_of(choices.get("priors"), len(np.unique(y[counted])))
    model = GMMClassifier(**given | told)
    found = attempt(lambda: model.fit(X, labels, w))
    if found is not model:
        assert refused(found) or any(part in str(found) for part in TOO_FEW + NOT_TOGETHER), found
        return
    said, single = verdicts(model, X), getattr(X, "dtype", None) == np.float32
    shares, predicted = said["predict_proba"], said["predict"]
    rounding = 1e-5 if single else 1e-12
    assert_array_equal(model.classes_, np.unique(labels[counted]))
    assert (shares >= 0).all() and np.abs(shares.sum(axis=1) - 1).max() < rounding
    best = shares[np.arange(len(shares)), np.searchsorted(model.classes_, predicted)]
    assert (best >= shares.max(axis=1) - rounding).all()
    assert not np.isnan(said["predict_log_proba"]).any() and not np.isnan(said["decision_log_density"]).any()
    assert np.isfinite(attempt(lambda: model.bic(X)))
    assert 0 <= attempt(lambda: model.score(X, model.predict(X), w)) <= 1 + rounding
    assert attempt(lambda: model.anomalies(X, n_samples=100)).dtype == bool
    assert str(attempt(lambda: model.summary()))
    for copy in loaded(model, tmp_path_factory.getbasetemp()):
        assert_same_verdicts(verdicts(copy, X), said)
        assert_array_equal(copy.classes_, model.classes_)
    again = GMMClassifier(**given | told | {"n_threads": 2})
    assert attempt(lambda: again.fit(X, labels, w)) is again
    assert_same_verdicts(verdicts(again, X), said)
    renamed, told = named(y, "numbers", unknown)
    again = GMMClassifier(**given | told)
    assert attempt(lambda: again.fit(X, renamed, w)) is again
    assert_array_equal(again.predict_proba(X), shares)


@fuzzed(
    20,
    recipe=tame(missing=(0.0,), weights=("whole", "zeros among them"), priors=("none",), errors=("none",)),
    n_classes=st.integers(1, 3),
    shared=st.booleans(),
    unlabelled=st.sampled_from([0.0, 0.0, 0.3]),
    seed=SEEDS,
)
def test_what_changes_no_class(recipe, n_classes, shared, unlabelled, seed):
    """Rows in another order or in blocks, a weight as repetitions of the row, and zero as its absence.

    Of one component a class, without gaps: k-means, which begins others, draws other rows where there are others, and
    the EM that fills gaps for a start ends where it is near enough.
    """
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(recipe.n) < unlabelled, -1, np.arange(recipe.n) % n_classes)
    part = recipe.part()._replace(labels=y)
    arguments = {"covariance_type": recipe.family, "shared": shared, "unlabelled": -1, "reg_covar": 1e-6}
    arguments |= {"max_iter": recipe.iterations, "tol": 0.0}

    def fitted(part):
        return attempt(lambda: GMMClassifier(**arguments).fit(part.rows, part.labels, part.weights))

    if recipe.weights == "whole":
        other = part.gathered(np.repeat(np.arange(recipe.n), part.weights.astype(int)))._replace(weights=None)
    else:
        other = part.positive()
    expected = fitted(part)
    in_blocks = attempt(lambda: GMMClassifier(**arguments).fit(blocks_of(part, rng), None))
    for model in (fitted(part.taken(rng.permutation(recipe.n))), fitted(other), in_blocks):
        assert isinstance(model, GMMClassifier), model
        assert_array_equal(model.classes_, expected.classes_)
        assert_close(model.mixture_, expected.mixture_, recipe, ("weights_", "means_", "covariances_"))
        shares = model.predict_proba(part.rows), expected.predict_proba(part.rows)
        assert_allclose(*shares, rtol=0, atol=100 * recipe.rounding)  # densities are as far off as a hundred variances
