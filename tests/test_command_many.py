"""`cgmm fit-many`: the fits of cgmm.fit_many, from a file, as a table."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import frames
from cgmm import BayesianFits, BayesianGMM, Fits, fit_many
from frames import read
from problems import clusters

N = 90
FRAME = pd.DataFrame(clusters(N, 2, 3), columns=["height", "width"])
WEIGHTS = np.random.default_rng(0).integers(1, 4, N).astype(float)
SPECIES = np.random.default_rng(1).choice(["oak", "ash", "elm"], N)
NUMBERS = np.random.default_rng(1).choice([10, 9, -1], N)
DEFAULTS = {"reg_covar": "relative", "random_state": 0}


written = partial(frames.written, FRAME)


def expected_table(fits):
    """What the frames of Fits have, as one table."""
    parts = fits.to_frame(components=True)
    problems = fits.to_frame().loc[parts.index.get_level_values(0), ["log_likelihood", "bic", "converged"]]
    return parts.assign(**{name: problems[name].to_numpy() for name in problems}).reset_index()


def assert_same_values(found, expected):
    assert len(found) == len(expected)
    assert_array_equal(found.to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("labels", [SPECIES, NUMBERS, NUMBERS / 2], ids=["texts", "integers", "reals"])
def test_groups(tmp_path, done, labels, ending):
    path = written(tmp_path / f"data.{ending}", kind=labels, count=WEIGHTS)
    found = read(done("fit-many", path, "-k", 2, "--by", "kind", "--weights", "count", "-o", tmp_path / "fits.npz"))
    fits = fit_many(FRAME, 2, groups=labels, sample_weight=WEIGHTS, **DEFAULTS)
    assert list(found.columns) == [
        "kind", "component", "weight", "mean_height", "variance_height", "mean_width", "variance_width",
        "log_likelihood", "bic", "converged",
    ]  # fmt: skip
    assert_same_values(found, expected_table(fits))
    saved = Fits.load(tmp_path / "fits.npz")
    assert_array_equal(saved.means, fits.means)
    assert_array_equal(saved.labels, fits.labels)
    assert list(saved[0].feature_names_in_) == ["height", "width"]


def test_groups_of_numpy_files(tmp_path, done):
    path = written(tmp_path / "data.npy", kind=NUMBERS)
    found = read(done("fit-many", path, "-k", 2, "--by", 2))
    assert list(found.columns[:4]) == ["group", "component", "weight", "mean_0"]
    assert_same_values(found, expected_table(fit_many(FRAME.to_numpy(), 2, groups=NUMBERS, **DEFAULTS)))


def test_columns(tmp_path, done):
    path = written(tmp_path / "data.csv", kind=SPECIES)
    arguments = ("-k", "1-3", "--criterion", "icl", "--columns", "width,height", "--tol", 1e-6)
    found = read(done("fit-many", path, "--each-column", *arguments, "-o", tmp_path / "fits.npz"))
    fits = fit_many(FRAME[["width", "height"]], [1, 2, 3], columns=True, criterion="icl", tol=1e-6, **DEFAULTS)
    assert list(found.columns[:5]) == ["column", "component", "weight", "mean", "variance"]
    assert_same_values(found, expected_table(fits))
    assert_array_equal(Fits.load(tmp_path / "fits.npz").labels, ["width", "height"])


def test_columns_in_groups(tmp_path, done, run):
    path = written(tmp_path / "data.csv", kind=SPECIES)
    found = read(done("fit-many", path, "--each-column", "--by", "kind", "-k", 2))
    assert list(found.columns[:4]) == ["kind", "column", "component", "weight"]
    for column in FRAME:
        fits = fit_many(FRAME[[column]].to_numpy(), 2, groups=SPECIES, **DEFAULTS)
        own = found[found["column"] == column].drop(columns="column")
        assert_same_values(own, expected_table(fits))
    code, _, told = run("fit-many", path, "--each-column", "--by", "kind", "-k", 2, "-o", tmp_path / "fits.npz")
    assert code == 2 and "choose one column, or none" in told


def test_gaps_are_those_of_the_features(tmp_path, done, run):
    path = tmp_path / "data.csv"
    frame = FRAME.assign(kind=SPECIES)
    frame.loc[::7, "width"] = np.nan
    frame.to_csv(path, index=False)
    found = read(done("fit-many", path, "-k", 2, "--by", "kind", "--missing", "marginal"))
    fits = fit_many(frame[["height", "width"]], 2, groups=SPECIES, missing="marginal", **DEFAULTS)
    assert_same_values(found, expected_table(fits))
    code, _, told = run("fit-many", path, "-k", 2, "--by", "kind")
    assert code == 1 and "data.csv, line 2, column 'width': the cell is empty" in told


def test_what_cannot_be_fitted_is_a_row_with_its_error(tmp_path, run):
    path = tmp_path / "data.csv"
    labels = np.append(SPECIES, "yew")
    pd.concat([FRAME, FRAME[:1]]).assign(kind=labels).to_csv(path, index=False)
    code, _, told = run("fit-many", path, "-k", 2, "--by", "kind")
    assert code == 1 and "problem 3 (group 'yew') cannot be fitted: too few rows for -k 2: 1 row" in told
    code, printed, told = run("fit-many", path, "-k", 2, "--by", "kind", "--skip")
    found = read(printed)
    assert code == 0 and "1 of 4 groups ('yew') could not be fitted" in told
    assert list(found["kind"]) == ["ash", "ash", "elm", "elm", "oak", "oak", "yew"]
    assert found["error"].isna().tolist() == [True] * 6 + [False]
    assert found["error"].iloc[-1].startswith("too few rows for -k 2: 1 row")


@pytest.mark.parametrize(
    "options, told",
    [
        (("--by", "kind"), "data.csv, line 4, column 'kind': the row has no label there"),
        (("--by", "species"), "has no column 'species'; it has 'height', 'width', 'kind'"),
        (("--by", "0-1"), "one column of labels is needed, not '0-1'"),
        (("--by", "kind", "--columns", "kind"), "column 'kind' is chosen twice"),
        ((), "say what is fitted by itself"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, run, options, told):
    path = written(tmp_path / "data.csv", kind=np.where(np.arange(N) == 2, "", SPECIES))
    code, printed, error = run("fit-many", path, "-k", 2, *options)
    assert code and not printed
    assert told in error and len(error.splitlines()) == 1


def test_labels_in_quotes_and_among_spaces(tmp_path, done):
    path = tmp_path / "data.csv"
    lines = [f'{x}, "{label}, {label}" ,{y}' for (x, y), label in zip(FRAME.to_numpy().tolist(), SPECIES, strict=True)]
    path.write_text("\n".join(["height,kind,width", *lines, ""]))
    found = read(done("fit-many", path, "-k", 2, "--by", "kind"))
    fits = fit_many(FRAME, 2, groups=[f"{label}, {label}" for label in SPECIES], **DEFAULTS)
    assert_same_values(found, expected_table(fits))


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_posteriors(tmp_path, done, run):
    path = written(tmp_path / "rows.csv")
    options = ["--bayesian", "--weight-concentration-prior", 0.1]
    printed = done("fit-many", path, "-k", 4, "--each-column", *options, "-o", tmp_path / "fits.npz")
    model = BayesianGMM(4, weight_concentration_prior=0.1, **DEFAULTS)
    expected, kept = fit_many(FRAME, columns=True, model=model), BayesianFits.load(tmp_path / "fits.npz")
    assert_array_equal(kept.means, expected.means)
    assert_array_equal(kept.mean_precision, expected.mean_precision)
    parts = expected.to_frame(components=True)
    told = expected.to_frame().loc[parts.index.get_level_values(0), ["lower_bound", "n_effective", "converged"]]
    table = parts.assign(**{name: told[name].to_numpy() for name in told}).reset_index()
    assert_same_values(read(printed), table)
    code, _, errors = run("fit-many", path, "-k", 4, "--each-column", *options, "--criterion", "aic")
    assert code == 2 and "--criterion is not for --bayesian" in errors
