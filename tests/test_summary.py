"""What was learnt, for people: summaries, frames, dictionaries."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import cgmm
from cgmm import GMM, BayesianGMM, GMMClassifier, GMMRegressor
from cgmm.mixture.families import FAMILIES
from datasets import table

FRAME = pd.DataFrame(table("faithful"), columns=["eruptions", "waiting"])
LONG = np.where(FRAME.waiting > 70, "long", "short")


def fitted(kind, **arguments):
    """An estimator of each kind, fitted to the same rows."""
    if kind is GMMClassifier:
        return kind(random_state=0).fit(FRAME, LONG)
    if kind is GMMRegressor:
        return kind(2, random_state=0).fit(FRAME[["eruptions"]], FRAME.waiting)
    settings = {"max_iter": 300} if kind is BayesianGMM else {}
    return kind(2, random_state=0, **settings, **arguments).fit(FRAME)


KINDS = [GMM, BayesianGMM, GMMClassifier, GMMRegressor]


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_estimator_is_printed_as_its_summary(kind):
    model = fitted(kind)
    assert str(kind(2)) == repr(kind(2)) == f"{kind.__name__}(n_components=2)"
    assert repr(model).startswith(f"{kind.__name__}(") and "\n" not in repr(model)
    text, summary = str(model), model.summary()
    assert text == summary.to_text() == repr(summary)
    assert text.startswith(f"{kind.__name__} of 2 c") and "eruptions" in text
    assert f"parameters {model.n_parameters_}" in re.sub(" +", " ", text)
    assert f"converged in {model.n_iter_} iterations" in text
    html = summary._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 2 and "<th>weight" in html.replace("prior", "weight")
    told = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert told["model"] == kind.__name__ and told["n_parameters"] == model.n_parameters_
    assert summary.to_text(ascii=True).isascii()


def test_goodness_of_given_rows_and_of_the_fit():
    model = fitted(GMM, tol=1e-9)
    told = model.summary(FRAME).to_dict()
    assert_allclose([told["bic"], told["log_likelihood"]], [model.bic(FRAME), model.score(FRAME) * 272], rtol=1e-12)
    alone = model.summary()
    assert_allclose(alone.to_dict()["bic"], told["bic"], rtol=1e-6)
    assert_allclose(alone.to_dict()["effective_counts"], model.predict_proba(FRAME).sum(axis=0), rtol=1e-4)
    weighted = model.summary(FRAME, np.full(272, 2.0)).to_dict()
    assert_allclose(weighted["log_likelihood"], 2 * told["log_likelihood"])
    assert "bic" not in fitted(BayesianGMM).summary(FRAME).to_dict()


def test_what_is_not_known_is_not_told():
    noisy = GMM(2, noise_component="uniform", random_state=0, tol=1e-9).fit(FRAME)
    assert_allclose(noisy.summary().to_dict()["bic"], noisy.bic(FRAME), rtol=1e-6)
    assert "a share of" in noisy.summary().facts["noise"]
    penalised = fitted(GMM, prior="default").summary()
    assert "with the prior" in penalised.facts["log-likelihood"] and "BIC" not in penalised.facts
    stream = GMM(2, learning_rows=100, random_state=0).partial_fit(FRAME).partial_fit(FRAME).summary()
    assert stream.facts["fit"].startswith("learns from a stream") and "log-likelihood" not in stream.facts
    given = GMM.from_parameters([1.0], [[0.0]], [[[1.0]]]).summary()
    assert given.facts["fit"] == "none: the parameters were given" and "repaired" not in given.facts


@pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning", "ignore::cgmm.ConvergenceWarning")
def test_what_went_wrong_is_told():
    rows = np.repeat([[0.0, 1], [1, 2], [5, 5]], 4, axis=0)
    singular = GMM(3, reg_covar=0, random_state=0).fit(rows).summary()
    assert singular.facts["repaired"] == "see below" and "its covariance is singular" in singular.notes[0]
    assert singular.to_dict()["repairs"][0]["cause"] == "its covariance is singular"
    short = GMM(3, max_iter=1, random_state=0).fit(FRAME).summary()
    assert short.facts["fit"] == "did not converge in 1 iteration: a larger max_iter lets it go on"
    assert short.facts["repaired"] == "nothing" and not short.notes


def test_a_summary_of_much_is_short_and_hides_no_markup():
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 12)), columns=[f"<b{j}>" for j in range(12)])
    model = GMM(33, covariance_type="spherical", random_state=0, max_iter=2, tol=10, on_degenerate="repair").fit(rows)
    text = str(model)
    assert len(text.splitlines()) < 50 and max(map(len, text.splitlines())) < 250
    assert "\nand 4 features and 3 components more" in text
    assert "<b0>" not in model.summary()._repr_html_() and "&lt;b0&gt;" in model.summary()._repr_html_()


@pytest.mark.parametrize("targets", [[12], [10, 11, 12], [0, 7, 12], [2], range(1, 12)], ids=str)
def test_a_regressor_of_many_features_shows_its_targets(targets):
    names = [f"x{j}" for j in range(13)]
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 13)), columns=names)
    model = GMMRegressor.from_mixture(GMM(1).fit(rows), targets=[names[j] for j in targets])
    summary = model.summary()
    others = [j for j in range(13) if j not in targets][: max(8 - len(targets), 0)]
    shown = sorted([*targets, *others])
    assert summary.grid.head[3:] == [names[j] for j in shown]
    assert summary.grid.lines[0][3:] == [
        f"{model.mixture_.means_[0, j]:.5g} ± {rows[names[j]].std(ddof=0):.3g}" for j in shown
    ]
    assert summary.grid.more == f"and {13 - len(shown)} feature{'s' * (len(shown) < 12)} more"
    listed = summary.facts["features"].removeprefix("13 (").removesuffix(")").split(", ")
    assert [name for name in listed if name != "…"] == [names[j] for j in shown]
    gaps = np.count_nonzero(np.diff([-1, *shown, 13]) > 1)
    assert listed.count("…") == gaps


def test_targets_are_told_with_features_of_which_many_are_hidden():
    rows = np.random.default_rng(0).normal(size=(100, 12))
    text = str(GMMRegressor().fit(rows, rows @ np.ones((12, 2)) + np.random.default_rng(1).normal(size=(100, 2))))
    assert "feature 5, …, y[0], y[1])" in text and "\nand 6 features more" in text


@pytest.mark.parametrize("family", ["full", "tied", "diag", "VEV"])
def test_frames_hold_the_parameters(family):
    model = fitted(GMM, covariance_type=family)
    frame = model.to_frame()
    assert list(frame.columns[:5]) == ["weight", "mean[eruptions]", "mean[waiting]", "sd[eruptions]", "sd[waiting]"]
    assert frame.index.name == "component"
    assert_array_equal(frame["mean[waiting]"], model.means_[:, 1])
    full = FAMILIES[family].expand(model.covariances_, 2, 2) if FAMILIES[family].correlated else None
    if full is None:
        assert_allclose(frame["sd[waiting]"] ** 2, model.covariances_[:, 1])
    else:
        assert_allclose(frame["sd[waiting]"] ** 2, full[:, 1, 1])
        assert_array_equal(frame["covariance[eruptions, waiting]"], full[:, 0, 1])


def test_frames_of_classes_and_of_regressions():
    assert list(fitted(GMMClassifier).to_frame()["class"]) == ["long", "short"]
    regressor = fitted(GMMRegressor)
    assert list(regressor.to_frame().columns[:3]) == ["weight", "mean[eruptions]", "mean[y]"]
    told = regressor.summary(FRAME[["eruptions"]], FRAME.waiting)
    assert told.facts["predicts"] == "y from eruptions" and told.to_dict()["r2"] == regressor.score(
        FRAME[["eruptions"]], FRAME.waiting
    )
    classes = fitted(GMMClassifier).summary(FRAME, LONG)
    assert classes.to_dict()["right"] == fitted(GMMClassifier).score(FRAME, LONG)


@pytest.mark.parametrize("kind", [GMM, BayesianGMM, GMMClassifier])
def test_dictionaries_go_through_json_to_the_bit(kind):
    model = fitted(kind)
    told = json.loads(json.dumps(model.to_dict()))
    again = kind.from_dict(told)
    assert again.to_dict() == model.to_dict()
    assert_array_equal(again.predict_proba(FRAME), model.predict_proba(FRAME))
    assert again.get_params() == model.get_params() and list(again.feature_names_in_) == list(FRAME)
    others = {GMM: BayesianGMM, BayesianGMM: GMMClassifier, GMMClassifier: GMM}
    for broken, error, message in (
        (told | {"version": 99}, ValueError, "newer than this cgmm"),
        (told | {"format": "other"}, ValueError, "header is not cgmm's"),
        ({name: value for name, value in told.items() if not name.startswith("means")}, ValueError, "lacks means"),
        ([], TypeError, "made of a dictionary, not of list"),
    ):
        with pytest.raises(error, match=message):
            kind.from_dict(broken)
    with pytest.raises(ValueError, match="it holds"):
        others[kind].from_dict(told)


def test_a_stream_goes_on_from_a_dictionary():
    half = len(FRAME) // 2
    stream = GMM(2, learning_rows=50, noise_component=1e-3, random_state=0).partial_fit(FRAME[:half])
    again = GMM.from_dict(json.loads(json.dumps(stream.to_dict())))
    assert_array_equal(again.partial_fit(FRAME[half:]).means_, stream.partial_fit(FRAME[half:]).means_)


@pytest.mark.parametrize("labels", [np.array([1, 2], np.uint8), np.array([1.0, 2.0]), np.array(["a", "b"])])
def test_classes_keep_their_type(labels):
    model = GMMClassifier().fit([[0.0], [1.0], [8.0], [9.0]], np.repeat(labels, 2))
    again = GMMClassifier.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.classes_.dtype == model.classes_.dtype and again.predict([[7.0]]) == labels[1]


# Names of components, and frames of results


@pytest.mark.parametrize("kind", [GMM, BayesianGMM])
def test_names_of_components_are_told_everywhere(kind, tmp_path):
    model = fitted(kind)
    assert model.component_names_ == ("component_0", "component_1")
    model.component_names_ = ["short", "long"]
    assert "\n    short  0." in str(model) and list(model.to_frame().index) == ["short", "long"]
    if kind is GMM:
        assert model.sorted("means", reverse=True).component_names_ == ("long", "short")
    model.save(tmp_path / "model.npz")
    for again in (kind.load(tmp_path / "model.npz"), kind.from_dict(model.to_dict())):
        assert again.component_names_ == ("short", "long")
    if kind is BayesianGMM:
        assert model.prune(150).component_names_ == model.prune(150, point=True).component_names_ == ("long",)
    for wrong in (["a"], ["a", "a"], "ab", [1, 2], ["", "b"]):
        with pytest.raises(ValueError, match="component_names_ must be 2 different texts"):
            model.component_names_ = wrong
    assert model.component_names_ == ("short", "long")
    assert model.fit(FRAME).component_names_ == ("component_0", "component_1")


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_results_as_data_frames(container):
    model, rows = clone(GMM(2, random_state=0).set_output(transform=container)).fit(FRAME), FRAME[10:20]
    model.component_names_ = ["short", "long"]
    expected = fitted(GMM).predict_proba(rows)
    found = model.set_output().predict_proba(rows)
    assert type(found).__module__.startswith(container) and list(found.columns) == ["short", "long"]
    assert_array_equal(found.to_numpy(), expected)
    assert list(model.impute(rows).columns) == list(FRAME)
    if container == "pandas":
        assert list(found.index) == list(rows.index)
    classifier = fitted(GMMClassifier).set_output(transform=container)
    for verb in ("predict_proba", "predict_log_proba", "decision_log_density"):
        assert list(getattr(classifier, verb)(rows).columns) == ["long", "short"]
    assert isinstance(cgmm.combine(model, FRAME).predict_proba(FRAME), np.ndarray)
    assert isinstance(model.set_output(transform="default").predict_proba(rows), np.ndarray)
    with pytest.raises(ValueError, match="transform must be one of 'default', 'pandas', 'polars', not 'dask'"):
        model.set_output(transform="dask")
