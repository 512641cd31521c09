"""Columns of errors in files: the command line and cgmm.table give what the arrays give."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cgmm
from cgmm import GMM, BayesianGMM
from cgmm.tables import TableError
from problems import assert_same_bits, clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
HEADER = "x,y,x_err,y_err,w"


@pytest.fixture
def stars(tmp_path):
    """A file of rows, standard deviations and weights; and these."""
    rng = np.random.default_rng(0)
    sigma = rng.gamma(2.0, 0.3, size=(300, 2))
    X = clusters(300, 2, 2, distance=8.0) + sigma * rng.standard_normal((300, 2))
    w = rng.integers(1, 4, size=300).astype(float)
    path = tmp_path / "stars.csv"
    np.savetxt(path, np.column_stack([X, sigma, w]), fmt="%.17g", delimiter=",", header=HEADER, comments="")
    return str(path), X, np.square(sigma), w


ARGUMENTS = ("--error-columns", "x_err,y_err", "--weights", "w")


def test_fit_score_and_predict(stars, tmp_path, done, run):
    path, X, S, w = stars
    model = str(tmp_path / "model.npz")
    printed = done("fit", path, "-k", 2, "-o", model, *ARGUMENTS)
    expected = GMM(2, reg_covar="relative", random_state=0).fit(X, sample_weight=w, error_covariances=S)
    assert_same_bits(GMM.load(model), expected)
    told = dict(line.split(maxsplit=1) for line in printed.split("\n\n")[1].splitlines())
    assert told["features"] == "2 (x, y)"
    assert float(told["BIC"].split()[0]) == pytest.approx(expected.bic(X, w, S), rel=1e-7)
    code, printed, _ = run("score", model, path, *ARGUMENTS)
    assert code == 0
    assert_array_equal(np.loadtxt(printed.splitlines(), skiprows=1), expected.score_samples(X, S))
    labels = np.loadtxt(done("predict", model, path, *ARGUMENTS[:2]).splitlines(), skiprows=1)
    assert_array_equal(labels, expected.predict(X, S))
    shares = np.loadtxt(done("responsibilities", model, path, *ARGUMENTS[:2]).splitlines(), skiprows=1, delimiter=",")
    assert_array_equal(shares, expected.predict_proba(X, S))


@pytest.mark.parametrize("command", ["predict", "responsibilities", "score"])
def test_errors_follow_the_columns_into_the_order_of_the_model(stars, tmp_path, done, run, command):
    path, model = stars[0], tmp_path / "m.npz"
    done("fit", path, "-k", 2, *ARGUMENTS, "-o", model)
    expected = run(command, model, path, *ARGUMENTS[:2])
    found = run(command, model, path, "--columns", "y,x", "--error-columns", "y_err,x_err")
    assert found == expected and found[0] == 0


def test_a_posterior(stars, tmp_path, done, run):
    path, X, S, w = stars
    model = str(tmp_path / "model.npz")
    assert run("fit", path, "-k", 3, "--bayesian", "-o", model, *ARGUMENTS)[0] == 0
    expected = BayesianGMM(3, reg_covar="relative", random_state=0).fit(X, sample_weight=w, error_covariances=S)
    assert_same_bits(BayesianGMM.load(model), expected)
    labels = np.loadtxt(done("predict", model, path, *ARGUMENTS[:2]).splitlines(), skiprows=1)
    assert_array_equal(labels, expected.predict(X, S))
    code, _, told = run("score", model, path, *ARGUMENTS)
    assert code == 2 and "log_predictive is the density of true values" in told


def test_select(stars, tmp_path, done):
    path = stars[0]
    best = tmp_path / "best.npz"
    done("select", path, "-k", "1-3", "--covariance", "full", "-o", best, "--columns", "x,y", *ARGUMENTS[:2])
    assert GMM.load(best).n_components == 2


def test_a_table_brings_errors(stars):
    path, X, S, w = stars
    table = cgmm.table(path, "x,y", "w", error_columns="x_err,y_err")
    whole = GMM(2, random_state=0, tol=0, max_iter=10).fit(X, sample_weight=w, error_covariances=S)
    assert_same_bits(GMM(2, random_state=0, tol=0, max_iter=10).fit(table), whole)
    assert_array_equal(whole.score_samples(table), whole.score_samples(X, S))
    assert_array_equal(whole.denoise(table), whole.denoise(X, S))
    with pytest.raises(TypeError, match="each of which brings those of its rows"):
        whole.denoise(path, S)


def test_what_is_missing_has_no_error(stars, tmp_path):
    path, X, S, w = stars
    X[3, 0] = np.nan
    lines = (tmp_path / "stars.csv").read_text().splitlines()
    cells = lines[4].split(",")
    lines[4] = ",".join(["", cells[1], "", *cells[3:]])
    (tmp_path / "stars.csv").write_text("\n".join(lines))
    table = cgmm.table(path, "x,y", "w", error_columns="x_err,y_err", missing="marginal")
    whole = GMM(2, random_state=0, missing="marginal").fit(X, sample_weight=w, error_covariances=S)
    found = GMM(2, random_state=0, missing="marginal").fit(table)
    assert_same_bits(found, whole)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("1,2,-0.5,1,1", "the standard deviation of an error -0.5 is negative"),
        ("1,2,nan,1,1", "nan is not a finite number"),
        ("1,2,,1,1", "the cell is empty"),
    ],
)
def test_what_is_wrong_with_errors_is_told_with_its_place(cells, told, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text(f"{HEADER}\n0,0,1,1,1\n{cells}\n")
    with pytest.raises(TableError, match=f"line 3, column 'x_err': {told}"):
        GMM(1).fit(cgmm.table(path, "x,y", error_columns="x_err,y_err"))


def test_as_many_columns_of_errors(stars):
    with pytest.raises(TableError, match="2 columns are chosen, and 1 of errors: give one for each"):
        cgmm.table(stars[0], "x,y", error_columns="x_err")
    with pytest.raises(TableError, match="chosen twice"):
        cgmm.table(stars[0], "x,y", error_columns="x_err,x_err")
