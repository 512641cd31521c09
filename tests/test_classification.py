"""Discriminant analysis by mixtures: mclust's values, the textbook's EM, scikit-learn's classifiers and its checks."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import datasets
import textbook_classes
from cgmm import GMM, GMMClassifier
from clouds import clouds, split
from programs import output

MCLUST = json.loads((Path(__file__).parent / "data" / "mclust_classes.json").read_text())
FAMILIES = ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]
SPECIES = np.repeat(["setosa", "versicolor", "virginica"], 50)


# mclust


@pytest.mark.parametrize("case", MCLUST, ids=lambda case: f"{case['type']} {case['allowed']}")
def test_mclust_models(case):
    """Likelihoods to 1e-4, as mclust's EM stops; the same predictions of its own rows, so the same error."""
    X = datasets.table("iris")
    arguments = {"reg_covar": 0.0, "tol": 1e-10, "random_state": 0}
    if case["type"] == "EDDA":
        model = GMMClassifier(1, FAMILIES if case["allowed"] == "all" else case["allowed"], **arguments)
        model.fit(X, SPECIES)
    else:
        each = []
        for label, (family, k) in zip(np.unique(SPECIES), case["chosen"], strict=True):
            own = label == SPECIES
            of_class = GMMClassifier(k, family.replace("XXX", "VVV"), shared=False, n_init=10, **arguments)
            each += of_class.fit(X[own], SPECIES[own]).mixtures_
        model = GMMClassifier.from_mixtures(each, np.unique(SPECIES))
    assert model._classified().n_parameters == case["n_parameters"]
    assert len(X) * model.mixture_.score(X) == pytest.approx(case["log_likelihood"], abs=1e-4)
    assert -model.bic(X) == pytest.approx(case["bic"], abs=2e-4)  # twice the likelihood
    assert 1 - model.score(X, SPECIES) == pytest.approx(case["error"], abs=1e-12)
    off = model.predict_proba(X) - (SPECIES[:, None] == model.classes_)
    assert (off**2).sum(axis=1).mean() / 2 == pytest.approx(case["brier"], abs=1e-5)
    assert_allclose(model.predict_proba(X[:5]), case["first"], atol=1e-4)
    for mixture, means in zip(model.mixtures_, case["means"], strict=True):
        order, theirs = np.argsort(mixture.means_[:, 0]), np.array(means)
        assert_allclose(mixture.means_[order], theirs[np.argsort(theirs[:, 0])], rtol=1e-3)


@pytest.mark.parametrize("allowed", ["EEE", "VVV", "VEV"])
def test_mixtures_of_classes_have_no_worse_bic_than_mclusts(allowed):
    """mclust starts once: with ten starts a class may have a better mixture, of another number of components."""
    (case,) = (case for case in MCLUST if case["type"] == "MclustDA" and case["allowed"] == allowed)
    model = GMMClassifier(case["components"], allowed, reg_covar=0.0, n_init=10, random_state=0)
    model.fit(datasets.table("iris"), SPECIES)
    for label, mixture, (_, k) in zip(model.classes_, model.mixtures_, case["chosen"], strict=True):
        values = {one.n_components: one.value for one in model.candidates_ if one.label == label}
        assert values[mixture.n_components] == min(values.values())
        assert mixture.n_components == k or values[mixture.n_components] < values[k]


def test_the_family_of_all_classes_is_chosen_as_mclust_does():
    X = datasets.table("iris")
    model = GMMClassifier(1, FAMILIES, reg_covar=0.0, random_state=0).fit(X, SPECIES)
    assert model.mixture_.covariance_type == "VEV"
    best = min(model.candidates_, key=lambda candidate: candidate.value)
    assert best.covariance_type == "VEV" and {candidate.label for candidate in model.candidates_} == {None}
    assert [candidate.covariance_type for candidate in model.candidates_] == FAMILIES


# The textbook


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_moments_of_the_classes_are_those_of_their_rows(covariance_type, weighted):
    X, y = clouds()
    weights = np.random.default_rng(1).random(len(X)) if weighted else np.ones(len(X))
    model = GMMClassifier(covariance_type=covariance_type, reg_covar=0.0).fit(X, y, weights if weighted else None)
    parts = (y[:, None] == model.classes_) * weights[:, None]
    priors, means, covariances = textbook_classes.maximum(X, parts)
    if covariance_type == "tied":
        covariances = np.repeat(np.einsum("c,cij->ij", priors, covariances)[None], 3, axis=0)
    assert_allclose(model.priors_, priors, rtol=1e-12)
    assert_allclose(model.mixture_.means_, means, rtol=1e-9, atol=1e-12)
    logs = textbook_classes.log_joint(X, priors, means, covariances)
    assert_allclose(model.decision_log_density(X), logs, rtol=1e-9)
    assert_allclose(model.predict_proba(X), textbook_classes.posterior(logs), rtol=1e-8, atol=1e-14)
    assert_allclose(model.predict_log_proba(X), logs - np.logaddexp.reduce(logs, axis=1, keepdims=True), atol=1e-8)
    assert_array_equal(model.predict(X), model.classes_[logs.argmax(axis=1)])
    assert_allclose(model.uncertainty(X), 1 - textbook_classes.posterior(logs).max(axis=1), atol=1e-12)


@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("priors", [None, [0.2, 0.3, 0.5]])
def test_unlabelled_rows_are_shared_out_by_em(n_components, priors):
    """From its own end the textbook's iteration goes nowhere, and the likelihood is no lower than of labels alone."""
    X, y = clouds(600)
    some, weights = split(X, y), np.random.default_rng(2).uniform(0.5, 2, size=600)
    arguments = {"reg_covar": 0.0, "tol": 1e-12, "max_iter": 5000, "random_state": 0, "priors": priors}
    model = GMMClassifier(n_components, shared=n_components == 1, unlabelled="?", **arguments)
    model.fit(X, some, weights)
    assert model.classes_.tolist() == ["a", "b", "c"] and model.converged_
    whole, owners = model.mixture_, np.searchsorted(model.classes_, model.component_classes_)
    of_row = np.where(some == "?", -1, np.searchsorted(model.classes_, np.where(some == "?", "a", some)))
    now = whole.weights_, whole.means_, whole.covariances_
    fixed = None if priors is None else np.asarray(priors)
    after = textbook_classes.step(X, of_row, owners, *now, weights, fixed)
    for mine, theirs in zip(now, after, strict=True):
        assert_allclose(mine, theirs, rtol=2e-4, atol=2e-4)  # what EM leaves where a step gains less than 1e-12 a row
    if priors is not None:
        assert_allclose(model.priors_, priors, rtol=1e-12)
    labelled = GMMClassifier(n_components, shared=n_components == 1, **arguments)
    labelled.fit(X[some != "?"], some[some != "?"], weights[some != "?"])
    assert objective(model, X, of_row, weights) > objective(labelled, X, of_row, weights)


@pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning")  # of subclasses that are equal
@pytest.mark.parametrize("unlabelled", [None, "?"])
@pytest.mark.parametrize("priors", [None, [0.2, 0.3, 0.5]])
def test_subclasses_with_one_covariance_are_where_em_goes_nowhere(unlabelled, priors):
    """Mixture discriminant analysis, for 2 components a class; the covariance is the weighted mean of those of all."""
    X, y = clouds(600)
    some, weights = split(X, y) if unlabelled else y, np.random.default_rng(2).uniform(0.5, 2, size=600)
    arguments = {"reg_covar": 0.0, "tol": 1e-10, "random_state": 0, "priors": priors, "unlabelled": unlabelled}
    model = GMMClassifier(2, "EEE", True, **arguments).fit(X, some, weights)
    assert model.converged_ and model.component_classes_.tolist() == ["a", "a", "b", "b", "c", "c"]
    whole, owners = model.mixture_, np.repeat([0, 1, 2], 2)
    of_row = np.where(some == "?", -1, np.searchsorted(model.classes_, np.where(some == "?", "a", some)))
    now = whole.weights_, whole.means_, whole.covariances_
    after = textbook_classes.step(X, of_row, owners, *now, weights, None if priors is None else np.asarray(priors))
    parts = textbook_classes.step(X, of_row, owners, *now, weights)[0]
    pooled = np.einsum("k,kij->ij", parts, after[2])
    for mine, theirs in zip(now, (*after[:2], np.tile(pooled, (6, 1, 1))), strict=True):
        assert_allclose(mine, theirs, rtol=2e-4, atol=2e-4)  # what EM leaves where a step gains less than 1e-10 a row
    bounds = whole.lower_bounds_
    assert np.all(np.diff(bounds) >= -1e-12 * np.abs(bounds[1:]))
    assert_allclose(bounds[-1], objective(model, X, of_row, weights) / weights.sum(), atol=1e-8)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_a_class_whose_prior_is_zero_is_described_and_never_predicted(covariance_type):
    X, y = clouds(300)
    model = GMMClassifier(covariance_type=covariance_type, priors=[0.5, 0.5, 0.0]).fit(X, y)
    assert_allclose(model.mixture_.means_[2], X[y == model.classes_[2]].mean(axis=0), rtol=1e-9)
    assert_array_equal(np.unique(model.predict(X)), model.classes_[:2])


def test_subclasses_that_share_nothing_are_mixtures_of_each_class():
    X, y = clouds(600)
    shared, apart = (GMMClassifier(2, "VVV", own, tol=1e-10, random_state=0).fit(X, y) for own in (True, False))
    assert_allclose(shared.predict_proba(X), apart.predict_proba(X), atol=1e-4)
    assert shared.bic(X) == pytest.approx(apart.bic(X), abs=1e-3)
    with pytest.raises(ValueError, match=r"priors must be positive where .*, but that of class .* is zero"):
        GMMClassifier(2, shared=True, priors=[0.5, 0.5, 0.0]).fit(X, y)


def objective(model, X, of_row, weights):
    logs = model.decision_log_density(X)
    own = np.where(of_row < 0, np.logaddexp.reduce(logs, axis=1), logs[np.arange(len(X)), of_row])
    return weights @ own


def test_a_class_of_several_clusters_is_described_by_several_components():
    X, y = clouds(900)
    fresh, truth = clouds(4000, seed=1)
    one = GMMClassifier().fit(X, y)
    several = GMMClassifier(range(1, 5), random_state=0).fit(X, y)
    assert [model.n_components for model in several.mixtures_] == [1, 1, 2]
    assert several.score(fresh, truth) > one.score(fresh, truth) + 0.005
    assert several.component_classes_.tolist() == ["a", "b", "c", "c"]
    logs = textbook_classes.log_joint(
        fresh, several.mixture_.weights_, several.mixture_.means_, several.mixture_.covariances_
    )
    logs = textbook_classes.by_class(logs, np.array([0, 1, 2, 2]))
    assert_allclose(several.decision_log_density(fresh), logs, rtol=1e-9)
    assert_allclose(several.predict_proba(fresh), textbook_classes.posterior(logs), rtol=1e-8, atol=1e-14)
    assert_array_equal(several.predict(fresh), several.classes_[logs.argmax(axis=1)])
    own = [mixture.score_samples(fresh) for mixture in several.mixtures_]
    assert_allclose(np.column_stack(own) + np.log(several.priors_), logs, rtol=1e-9)


def test_a_fold_without_rows_of_classes_that_occur():
    """The only row of a class is never left out, and rows of a class whose prior is zero tell nothing."""
    X, y = [[0.0], [1.0], [2.0], [5.0]], [0, 0, 0, 1]
    model = GMMClassifier(covariance_type=["E", "V"], criterion="cv", priors=[0, 1]).fit(X, y)
    assert [candidate.value for candidate in model.candidates_] == [0.0, 0.0]


@pytest.mark.parametrize("shared", [True, False])
def test_cross_validation_chooses_what_predicts(shared):
    X, y = clouds(600)
    if shared:
        model = GMMClassifier(1, ["EII", "full"], criterion="cv", random_state=0).fit(X, y)
        assert [candidate.label for candidate in model.candidates_] == [None, None]
        return
    model = GMMClassifier([1, 2, 3], criterion="cv", random_state=0).fit(X, y)
    assert model.mixtures_[2].n_components >= 2
    assert len(model.candidates_) == 9
    again = GMMClassifier([1, 2, 3], criterion="cv", random_state=0).fit(X, y)
    assert again.candidates_ == model.candidates_


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_every_family_is_that_of_labels(covariance_type):
    X, y = clouds()
    model = GMMClassifier(covariance_type=covariance_type, random_state=0).fit(X, y)
    labels = np.searchsorted(model.classes_, y)
    mixture = GMM(3, covariance_type=covariance_type, reg_covar="relative", tol=1e-4, random_state=0)
    mixture.set_params(responsibilities_init=labels, max_iter=1000).fit(X, labels=labels)
    assert_array_equal(model.mixture_.covariances_, mixture.covariances_)
    assert_array_equal(model.predict(X), model.classes_[mixture.predict(X)])
    assert model._classified().n_parameters == mixture._n_parameters() - 2


# Laws


@pytest.mark.parametrize("covariance_type", ["EII", "VVI", "VEE", "EVV", "tied", "full"])
@pytest.mark.parametrize("shared", [True, False])
def test_what_changes_no_probability(covariance_type, shared):
    """Other names of classes, other units and origins, another order of rows, and larger weights of all rows."""
    X, y = clouds(400)
    arguments = {"covariance_type": covariance_type, "shared": shared, "reg_covar": 0.0, "tol": 1e-12}
    weights = np.random.default_rng(0).uniform(0.5, 2, size=len(X))
    order = np.random.default_rng(1).permutation(len(X))
    found = GMMClassifier(**arguments).fit(X, y, weights).predict_proba(X)
    renamed = GMMClassifier(**arguments).fit(X, np.array([label.upper() for label in y]), weights)
    assert renamed.classes_.tolist() == ["A", "B", "C"]
    assert_array_equal(renamed.predict_proba(X), found)
    backwards = GMMClassifier(**arguments).fit(X, [-ord(label) for label in y], weights)
    assert_allclose(backwards.predict_proba(X)[:, ::-1], found, rtol=1e-7, atol=1e-12)
    moved = GMMClassifier(**arguments).fit(8 * X + 3, y, weights)
    assert_allclose(moved.predict_proba(8 * X + 3), found, rtol=1e-7, atol=1e-12)
    mixed = GMMClassifier(**arguments).fit(X[order], y[order], weights[order])
    assert_allclose(mixed.predict_proba(X), found, rtol=1e-7, atol=1e-12)
    for scale in (1e-200, 1e200):
        heavy = GMMClassifier(**arguments).fit(X, y, scale * weights)
        assert_allclose(heavy.predict_proba(X), found, rtol=1e-7, atol=1e-12)
        assert heavy.score(X, y, scale * weights) == pytest.approx(renamed.score(X, np.char.upper(y), weights))


# Peers


@pytest.mark.parametrize(("covariance_type", "theirs"), [("full", "Quadratic"), ("tied", "Linear")])
def test_discriminant_analysis_of_scikit_learn(covariance_type, theirs):
    """Its QDA divides by n − 1: rows of each class are so many that predictions agree nearly everywhere."""
    module = pytest.importorskip("sklearn.discriminant_analysis")
    X, y = clouds(3000)
    other = getattr(module, f"{theirs}DiscriminantAnalysis")().fit(X, y)
    model = GMMClassifier(covariance_type=covariance_type, reg_covar=0.0).fit(X, y)
    assert np.mean(model.predict(X) == other.predict(X)) > 0.998
    assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=0.02)
    assert_allclose(model.priors_, other.priors_, rtol=1e-12)


# scikit-learn

CHECKS = """
import json, sys
from cgmm import GMMClassifier
from sklearn.utils.estimator_checks import check_estimator
arguments, known = map(json.loads, sys.argv[1:])
model = GMMClassifier(**arguments)
for check in check_estimator(model, on_skip=None, on_fail=None, expected_failed_checks=known):
    print(check["check_name"], check["status"], repr(check["exception"]))
"""
CHOICE = {"n_components": [1, 2], "covariance_type": ["EEE", "VVV"], "missing": "marginal"}
FEW = {"check_sample_weight_equivalence_on_dense_data": "a class of one row has two components"}
by_default = pytest.mark.full("the classifier without arguments")


@pytest.mark.parametrize(
    "arguments, known",
    [
        ({}, {}),
        *(pytest.param(*case, marks=by_default) for case in (({"shared": False}, {}), ({"n_components": 2}, FEW))),
        pytest.param(CHOICE, {}, marks=by_default),
    ],
)
def test_every_check_of_scikit_learn(arguments, known):
    """None fails or is skipped but that of two components for a class of one row; one wants arrays of the array API."""
    pytest.importorskip("sklearn")
    pytest.importorskip("array_api_strict")
    given = map(json.dumps, (arguments, known))
    lines = output(CHECKS, *given, SCIPY_ARRAY_API="1", PYTHONWARNINGS="ignore").splitlines()
    assert len(lines) > 55
    assert [line.split()[:2] for line in lines if line.split()[1] != "passed"] == [[name, "xfail"] for name in known]


def test_meta_estimators_take_it():
    sklearn = pytest.importorskip("sklearn")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = clouds(600)
    assert sklearn.base.is_classifier(GMMClassifier())
    steps = make_pipeline(StandardScaler(), GMMClassifier(2, random_state=0))
    assert cross_val_score(steps, X, y, cv=3, scoring="roc_auc_ovr").min() > 0.9
    search = GridSearchCV(GMMClassifier(random_state=0), {"n_components": [1, 2]}, cv=3).fit(X, y)
    assert search.best_params_ == {"n_components": 2}


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::cgmm.DegenerateWarning")
def test_a_class_whose_rows_weigh_nothing_beside_others_has_its_prior():
    """Of rows some of which have no label."""
    X, w = np.full((4, 1), 7.1), [1e300, 1e-300, 1e-300, 1e-300]
    for y in ([0, 1, -1, -1], [1, 0, -1, -1]):
        model = GMMClassifier(unlabelled=-1, n_components=1, priors=[0.0, 1.0]).fit(X, y, sample_weight=w)
        assert_array_equal(model.mixture_.weights_, [0.0, 1.0])
