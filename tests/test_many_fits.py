"""What many fits leave: errors and warnings of each, the value Fits, its verbs, files and pickles."""

import inspect
import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import reference
from cgmm import GMM, ConvergenceWarning, DegenerateError, DegenerateWarning, Fits, fit_many, table
from datasets import DATA
from many import UNWARNED, alone_as, assert_same_fit, problems_like
from problems import FITTED, assert_same_bits, clusters
from steps import at_each_line

pytestmark = UNWARNED
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
# What GMM has for one fit only: what watches or keeps it, goes on from it, or is of the rows of one problem.
OF_ONE = {"warm_start", "verbose_interval", "responsibilities_init", "callback", "checkpoint", "checkpoint_interval"}
OF_STREAMS = {"learning_decay", "learning_rows", "forget"}
OF_NOISE = {"noise_component"}  # A fit of many holds parameters of components alone.


# What cannot be fitted, and what is warned of

BAD = {
    "few": (np.zeros((1, 2)), "n_samples=1 should be >= n_components=2"),
    "none": (np.empty((0, 2)), "0 sample"),
    "infinite": (np.array([[0.0, np.inf], [1, 2], [3, 4]]), "infinity"),
    "nan": (np.array([[0.0, np.nan], [1, 2], [3, 4]]), "NaN"),
    "flat": (np.zeros(9), "Expected 2D"),
    "text": (np.array([["a", "b"]] * 3), "must be numeric"),
    "wide": (np.zeros((9, 3)), "3 features, and the problems before it have 2"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_problem_that_cannot_be_fitted_is_named(kind):
    rows, message = BAD[kind]
    X = clusters(50, 2, 2)
    with pytest.raises((ValueError, TypeError), match=rf"problem 1 cannot be fitted: .*{message}"):
        fit_many([X, rows, X], 2, random_state=0)


@pytest.mark.parametrize("kind", BAD)
def test_or_skipped_and_the_others_are_fitted(kind):
    rows, message = BAD[kind]
    X = clusters(50, 2, 2)
    with pytest.warns(UserWarning, match=r"2 of 4 problems \(1, 3\) could not be fitted") as caught:
        fits = fit_many([X, rows, X[:40], rows], 2, random_state=0, on_error="skip")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert list(fits.errors) == [1, 3]
    assert message in fits.errors[1]
    for name in ("weights", "means", "covariances", "log_likelihood", "bic", "aic"):
        assert np.isnan(getattr(fits, name)[[1, 3]]).all()
        assert np.isfinite(getattr(fits, name)[[0, 2]]).all()
    assert_array_equal(fits.n_components, [2, 0, 2, 0])
    assert_array_equal(fits.converged, [True, False, True, False])
    assert_same_fit(fits[2], alone_as(2, random_state=0).fit(X[:40]))
    with pytest.raises(ValueError, match=r"problem 1 has no fit: .*"):
        fits[1]
    labels = fits.predict([X, X[:3], X, X[:1]])
    assert_array_equal(labels[1], [-1, -1, -1])
    assert np.isnan(fits.score_samples([X, X[:3], X, X[:1]])[3]).all()
    assert np.isnan(fits.predict_proba([X, X[:3], X, X[:1]])[3]).all()
    frame = fits.to_frame()
    assert list(frame["error"] != "") == [False, True, False, True]
    assert len(fits.to_frame(components=True)) == 4


def test_where_none_can_be_fitted():
    with pytest.warns(UserWarning, match="3 of 3 problems"):
        fits = fit_many([np.zeros((1, 2))] * 3, 2, on_error="skip")
    assert np.isnan(fits.weights).all() and len(fits.errors) == 3
    assert "3 without a fit" in repr(fits)


def test_a_group_is_named_by_its_label():
    X = clusters(9, 1, 1)
    with pytest.warns(UserWarning, match=r"1 of 2 groups \('b'\) could not be fitted"):
        fit_many(X, 2, groups=["a"] * 8 + ["b"], on_error="skip")
    with pytest.raises(ValueError, match=r"problem 1 \(group 'b'\) cannot be fitted: n_samples=1"):
        fit_many(X, 2, groups=["a"] * 8 + ["b"])


CONVERGENCE = "12 of 12 problems (0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more) did not converge"


def test_there_is_one_warning():
    X = np.stack([clusters(100, 2, 3, seed=i) for i in range(12)])
    X[5:7, :, 1] = 3.0
    arguments = {"random_state": 0, "reg_covar": 0.0}
    with pytest.warns(UserWarning) as caught:
        fits = fit_many(X, 3, max_iter=2, tol=0.0, **arguments)
    assert len(caught) == 1 and caught[0].category is UserWarning
    assert caught[0].filename == __file__
    assert str(caught[0].message).startswith(CONVERGENCE)
    assert "2 of 12 problems (5, 6) had a component that could not be estimated" in str(caught[0].message)
    assert any("constant" in told for told in fits.warnings[5])


@pytest.mark.parametrize(
    "arguments, category",
    [
        ({"max_iter": 2, "tol": 0.0, "on_degenerate": "repair"}, ConvergenceWarning),
        ({"max_iter": 500}, DegenerateWarning),
        ({"max_iter": 500, "on_degenerate": "repair"}, None),
    ],
    ids=str,
)
def test_of_one_kind_it_is_of_that_kind(arguments, category):
    X = np.stack([clusters(100, 2, 3, seed=i) for i in range(12)])
    X[5:7, :, 1] = 3.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_many(X, 3, random_state=0, reg_covar=0.0, **arguments)
    assert [issubclass(warning.category, category) for warning in caught] == [True] * (category is not None)


def test_errors_of_measurement_larger_than_the_spread_are_told_of_the_problem():
    X = [clusters(100, 2, 2, seed=i) for i in range(3)]
    with pytest.warns(DegenerateWarning) as caught:
        fits = fit_many(X, 2, error_covariances=[[0.1, 0.1], [0.1, 1e4], None], random_state=0, max_iter=500)
    assert len(caught) == 1 and "1 of 3 problems (1) had" in str(caught[0].message)
    assert list(fits.warnings) == [1] and "vary as much as the values of feature 1" in fits.warnings[1][0]


def test_degenerate_problems_can_be_errors():
    X = [clusters(50, 2, 2), np.ones((50, 2))]
    with pytest.raises(DegenerateError, match="problem 1 cannot be fitted"):
        fit_many(X, 2, random_state=0, on_degenerate="raise")
    with pytest.warns(UserWarning, match=r"1 of 2 problems \(1\)"):
        fits = fit_many(X, 2, random_state=0, on_degenerate="raise", on_error="skip")
    assert list(fits.errors) == [1]


X2 = clusters(10, 2, 2)


@pytest.mark.parametrize(
    "X, arguments, error, message",
    [
        (X2, {}, ValueError, "has 2 dimensions"),
        ([], {}, ValueError, "empty list"),
        (np.empty((0, 3, 2)), {}, ValueError, "no problem"),
        (X2, {"groups": [1] * 9}, ValueError, r"groups must have shape \(10,\)"),
        (X2, {"groups": [None] + [1] * 9}, ValueError, r"groups\[0\] is None"),
        (X2, {"groups": [1.0] * 9 + [np.nan]}, ValueError, r"groups\[9\] is .*nan"),
        (X2, {"groups": np.array(["a"] * 5 + [1] * 5, object)}, TypeError, "sorted"),
        (X2, {"groups": [1] * 10, "columns": True}, ValueError, "not both"),
        (X2, {"columns": 1}, ValueError, "True or False"),
        (X2[0], {"columns": True}, ValueError, "must be a matrix"),
        (X2, {"columns": True, "sample_weight": np.ones(3)}, ValueError, "sample_weight must have shape"),
        (X2, {"groups": [1] * 10, "sample_weight": np.ones(3)}, ValueError, r"sample_weight must have shape \(10,\)"),
        ([X2, X2], {"sample_weight": [None]}, ValueError, "a list of 2"),
        ([X2, X2], {"sample_weight": 3.0}, ValueError, "a list of 2"),
        (X2[None], {"sample_weight": np.ones((1, 9))}, ValueError, "sample_weight must have shape"),
        ("rows.csv", {}, TypeError, "not str: read the file"),
        (iter([X2]), {}, TypeError, "not list_iterator"),
        (lambda: iter([X2]), {}, TypeError, "not function"),
        ([X2], {"n_components": 0}, ValueError, "n_components must be at least 1"),
        ([X2], {"n_components": []}, ValueError, "at least one number"),
        ([X2], {"n_components": [1, 2], "means_init": X2[:2]}, ValueError, "means_init is of one number of components"),
        ([X2], {"criterion": "best"}, ValueError, "criterion must be one of"),
        ([X2], {"on_error": "ignore"}, ValueError, "on_error must be one of"),
        ([X2], {"random_state": [1, 2]}, ValueError, "2 seeds for 1 problems"),
        ([X2], {"random_state": [-1]}, ValueError, "must not be negative"),
        ([X2], {"random_state": "a"}, ValueError, "random_state must be"),
        ([X2], {"tol": -1}, ValueError, "tol must be"),
        ([X2], {"covariance_type": "round"}, ValueError, "covariance_type must be one of"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(X, arguments, error, message):
    with pytest.raises(error, match=message):
        fit_many(X, **arguments)


def test_rows_in_blocks_are_refused_with_the_reason():
    dask = pytest.importorskip("dask.array")
    for X in (dask.zeros((4, 10, 2)), table(DATA / "faithful.csv")):
        with pytest.raises(TypeError, match=r"array in memory.* not (Array|Table): the rows of one problem may"):
            fit_many(X)


def test_but_those_of_one_problem_may_come_in_blocks(tmp_path):
    dask = pytest.importorskip("dask.array")
    X = clusters(9000, 2, 2)
    np.save(tmp_path / "rows.npy", X)
    in_blocks = lambda: (X[start : start + 1000] for start in range(0, 9000, 1000))  # noqa: E731
    problems = [dask.from_array(X, chunks=(3000, 2)), X, in_blocks, table(tmp_path / "rows.npy")]
    fits = fit_many(problems, 2, random_state=0)
    for i, rows in enumerate(problems):
        assert_same_fit(fits[i], alone_as(2, random_state=0).fit(rows))


# The value


def test_fits_are_a_sequence():
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    assert isinstance(fits, Fits) and len(fits) == len(list(fits)) == 3
    assert_same_fit(fits[-1], fits[2])
    assert_same_fit(fits[np.int64(1)], fits[1])
    for index in (3, -4):
        with pytest.raises(IndexError, match="3 problems"):
            fits[index]
    with pytest.raises(TypeError):
        fits["a"]
    with pytest.raises(KeyError):
        fits.of(9)
    assert repr(fits) == "Fits(3 problems, 2 components, 2 features, 3 converged)"
    for name in ("weights", "means", "covariances", "log_likelihood", "aic", "bic", "converged", "n_iter"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(fits, name)[0] = 0


def test_a_fit_learns_on_and_is_saved(tmp_path):
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    fits[1].save(tmp_path / "model.npz")
    assert_same_bits(GMM.load(tmp_path / "model.npz"), fits[1], names=FITTED)
    alone = alone_as(2, random_state=0).fit(X[1])
    assert_same_bits(fits[1].partial_fit(X[2]), alone.partial_fit(X[2]), names=FITTED)
    assert_same_fit(fits[1], alone_as(2, random_state=0).fit(X[1]))  # which has not changed


def test_frames():
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    frame = fits.to_frame()
    assert frame.index.name == "problem" and list(frame["bic"]) == list(fits.bic)
    parts = fits.to_frame(components=True)
    assert parts.loc[(2, 1), "mean_1"] == fits.means[2, 1, 1]
    assert parts.loc[(2, 1), "variance_1"] == fits.covariances[2, 1, 1, 1]
    for family, shape in (("tied", (3, 2, 2)), ("diag", (3, 2, 2)), ("spherical", (3, 2))):
        other = fit_many(X, 2, covariance_type=family, random_state=0)
        assert other.covariances.shape == shape
        assert len(other.to_frame(components=True)) == 6


def test_verbs_refuse_other_problems():
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    with pytest.raises(ValueError, match="X has 2 problems, and 3 were fitted"):
        fits.predict(X[:2])
    with pytest.raises(ValueError, match="none of the groups"):
        fits.predict(X[0], groups=[0] * 60)
    assert_array_equal(fits.predict(list(X)), fits.predict(X))


def test_the_arguments_are_those_of_gmm():
    ours, theirs = (inspect.signature(of).parameters for of in (fit_many, GMM))
    own = {"X", "model", "groups", "columns", "sample_weight", "labels", "error_covariances", "criterion", "on_error"}
    assert set(ours) - own == set(theirs) - OF_ONE - OF_STREAMS - OF_NOISE
    other = {name for name in set(ours) & set(theirs) if ours[name].default != theirs[name].default}
    assert other == {"reg_covar", "n_components"}  # a model has a number of its own, and without one None is 1
    assert ours["reg_covar"].default == "relative" and ours["n_components"].default is None


def test_progress(capsys):
    """The first fit by itself, and then batches, or one by one what is not for the compiled core."""
    fit_many([clusters(50, 1, 1)] * 3, verbose=2)
    assert capsys.readouterr().out.splitlines() == ["1 of 3: problem 0", "3 of 3: problem 2"]
    fit_many([clusters(50, 1, 1)] * 3, verbose=2, prior="default")
    assert capsys.readouterr().out.splitlines() == ["1 of 3: problem 0", "2 of 3: problem 1", "3 of 3: problem 2"]


def test_an_interrupt_ends_it():
    """Between any two lines; there is no result, and what comes after is as if nothing had been."""
    X = np.stack([clusters(20, 1, 2, seed=i) for i in range(3)])
    expected = fit_many(X, 2, random_state=0)

    def interrupted():
        raise KeyboardInterrupt

    for value, error in at_each_line(interrupted, lambda: fit_many(X, 2, random_state=0)):
        assert value is None and isinstance(error, KeyboardInterrupt)
    assert_array_equal(fit_many(X, 2, random_state=0).means, expected.means)


# Files and pickles


def assert_same_fits(found, expected):
    for name in ("labels", "weights", "means", "covariances", "log_likelihood", "aic", "bic", "converged", "n_iter"):
        assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)
    assert_array_equal(found.n_components, expected.n_components)
    assert found.errors == expected.errors and found.warnings == expected.warnings
    assert repr(found) == repr(expected)


def assert_kept(kept, fits, tmp_path, problems):
    """Each fit is what a model of its own that was saved is: it predicts and learns on with the same bits."""
    assert_same_fits(kept, fits)
    for i, X in enumerate(problems):
        if i in fits.errors:
            with pytest.raises(ValueError, match="has no fit"):
                kept[i]
            continue
        fits[i].save(tmp_path / "model.npz")
        found, alone = kept[i], GMM.load(tmp_path / "model.npz")
        assert found.get_params() == alone.get_params()
        assert getattr(found, "feature_names_in_", None) is getattr(alone, "feature_names_in_", None) is None
        assert_same_bits(found, alone, names=(*FITTED, "n_iter_", "converged_", "precisions_cholesky_"))
        assert_array_equal(found.score_samples(X), fits[i].score_samples(X))
        assert_same_bits(found.partial_fit(X), alone.partial_fit(X), names=("weights_", "means_", "covariances_"))


@families
@types
def test_fits_are_saved_and_pickled(tmp_path, dtype, family):
    problems = [*problems_like(90, 2, 2, dtype=dtype), np.empty((0, 2)), np.ones((9, 2))]
    with pytest.warns(UserWarning, match="could not be fitted"):
        fits = fit_many(problems, [1, 2], covariance_type=family, random_state=3, on_error="skip", missing="marginal")
    fits.save(tmp_path / "fits.npz")
    assert_kept(Fits.load(tmp_path / "fits.npz"), fits, tmp_path, problems)
    again = pickle.loads(pickle.dumps(fits))
    assert_same_fits(again, fits)
    for i in (0, 1, 2, 3, 4, 6):
        assert_same_fit(again[i], fits[i])
    assert_array_equal(again.score_samples(problems)[0], fits.score_samples(problems)[0])


@pytest.mark.parametrize("arguments", [{"n_init": 3}, {"prior": "default"}, {"max_iter": 0}, {"fixed": {"weights"}}])
def test_what_is_saved_predicts_whatever_was_asked_for(tmp_path, arguments):
    problems = problems_like(90, 2, 2)
    fits = fit_many(problems, 2, random_state=0, weights_init=[0.5, 0.5], **arguments)
    fits.save(tmp_path / "fits.npz")
    found = Fits.load(tmp_path / "fits.npz")
    assert_same_fits(found, fits)
    for one, other in zip(found.predict_proba(problems), fits.predict_proba(problems), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("labels", [["b", "a"], [2, 1], np.array(["b", "a"], object), np.array([2, 1], "M8[D]")])
def test_labels_and_names_are_saved(tmp_path, labels):
    frame = pd.DataFrame(clusters(60, 2, 2), columns=["height", "width"])
    fits = fit_many(frame, 2, groups=np.repeat(labels, 30), random_state=0)
    fits.save(tmp_path / "fits.npz")
    found = Fits.load(tmp_path / "fits.npz")
    assert_same_fits(found, fits)
    assert list(found[1].feature_names_in_) == ["height", "width"]
    groups = np.repeat(labels, 30)
    assert_array_equal(found.predict(frame, groups=groups), fits.predict(frame, groups=groups))
    pd.testing.assert_frame_equal(found.to_frame(components=True), fits.to_frame(components=True))


def test_labels_that_a_file_cannot_hold(tmp_path):
    fits = fit_many(clusters(60, 1, 1), groups=np.array([1, 2] * 30, dtype=object))
    with pytest.raises(ValueError, match="Python objects"):
        fits.save(tmp_path / "fits.npz")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_kind_is_named(tmp_path):
    X = clusters(60, 2, 2)
    GMM(2).fit(X).save(tmp_path / "model.npz")
    fit_many([X], 2).save(tmp_path / "fits.npz")
    with pytest.raises(ValueError, match=r"model\.npz cannot be loaded as the fits of many .* use GMM\.load"):
        Fits.load(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"fits\.npz cannot be loaded as a cgmm model: .* use Fits\.load"):
        GMM.load(tmp_path / "fits.npz")


DAMAGE = {
    "weights": (lambda a: a * 2, "weights"),
    "means": (lambda a: a[0], "means has shape"),
    "root": (lambda a: a * 1.01, "problem 0: .*does not belong"),
    "n_components": (lambda a: a + 9, "n_components must be from 0 to 2"),
    "n_iter": (lambda a: a + 1, "one float64 an iteration"),
    "history": (lambda a: a[1:], "one float64 an iteration"),
    "labels": (lambda a: a[1:], "labels has shape"),
    "covariances": (lambda a: -a, "problem 0: "),
    "bic": (lambda a: a.astype(complex), "bic has shape"),
    "least": (lambda a: -a, "problem 0: n_k and least"),
    "seeds": (lambda seeds: seeds[1:], "1 seeds for 2 problems"),
    "kind": (lambda _: "row", "kind must be one of"),
    "errors": (lambda _: [[7, "why"]], "no problem 7"),
    "names": (lambda _: [], "damaged: names"),
    "version": (lambda _: 9, "newer than this"),
}


@pytest.mark.parametrize("part", DAMAGE)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, part):
    change, message = DAMAGE[part]
    path = tmp_path / "fits.npz"
    fit_many([clusters(60, 2, 2, seed=i) for i in range(2)], 2).save(path)
    arrays = dict(np.load(path))
    header = json.loads(arrays["header"].item())
    where = header if part in header else arrays
    where[part] = change(where[part])
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})
    with pytest.raises(ValueError, match=rf"fits\.npz cannot be loaded as the fits of many problems: .*{message}"):
        Fits.load(path)


def test_a_file_that_is_cut_or_changed_is_refused_or_the_same(tmp_path):
    path = tmp_path / "fits.npz"
    fits = fit_many([clusters(30, 1, 2, seed=i) for i in range(3)], 2, random_state=0)
    fits.save(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for size in {*range(0, len(whole), 97), *range(40), *range(len(whole) - 40, len(whole))}:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"fits\.npz cannot be loaded as the fits of many problems"):
            Fits.load(path)
    same = 0
    for _ in range(300):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            found = Fits.load(path)
        except ValueError as error:
            assert "fits.npz cannot be loaded as the fits of many problems" in str(error)
            continue
        assert_same_fits(found, fits)
        same += 1
    assert same < 60  # what no reader looks at, as dates
