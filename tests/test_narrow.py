"""A component along which features nearly determine one another: what reg_covar blurs there is told, once."""

import numpy as np
import pytest

from cgmm import GMM, BayesianGMM, DegenerateError, fit_many, select
from cgmm.fit.doubts import OWN_ROWS
from cgmm.mixture import matrices
from cgmm.mixture.families import FAMILIES
from survival import text_of

ADDED = 1e-6
CORRELATED = [name for name, family in FAMILIES.items() if family.correlated]


def planes(n=1000, left=1e-6, seed=0, dtype=np.float64):
    """Two clusters of five features; in both, feature 4 is the sum of 1 and 2 but for that variance."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)) + 8 * (np.arange(n) % 2)[:, np.newaxis]
    X[:, 4] = X[:, 1] + X[:, 2] + np.sqrt(left) * rng.normal(size=n)
    return X.astype(dtype)


def fitted(X, k=2, kind=GMM, **arguments):
    return text_of(lambda: kind(k, **{"random_state": 0, "reg_covar": ADDED, **arguments}).fit(X))


@pytest.mark.parametrize("family", CORRELATED)
def test_the_features_and_the_ratio_are_told(family):
    model, text = fitted(planes(), covariance_type=family)
    assert "Features 1, 2, 4 nearly determine one another in " in text
    assert "Set reg_covar=0 or a smaller one." in text
    least = np.linalg.eigvalsh(model.covariances_)[..., 0] - ADDED
    times = float(text.split("it is ")[1].split(" times")[0].replace(",", ""))
    assert times == pytest.approx(ADDED / least.min(), rel=6e-3)  # three digits
    component = f"component {least.argmin()}" if FAMILIES[family].per_component else "all components"
    assert f"one another in {component}," in text
    cured, text = fitted(planes(), covariance_type=family, reg_covar=0)
    assert not text and cured.score(planes()) > model.score(planes())


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if not family.correlated])
def test_features_that_are_independent_determine_nothing(family):
    X = planes()[:, :1] if FAMILIES[family].one_feature else planes()
    assert not fitted(X, covariance_type=family)[1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("left", "told"), [(9 * ADDED, True), (40 * ADDED, False)])
def test_a_tenth_is_the_limit(left, told, dtype):
    """The sum of two features and minus a third has a third of the variance that is left to the third, given them."""
    assert bool(fitted(planes(4000, 3 * left, dtype=dtype))[1]) == told


def test_names_are_told():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(planes(), columns=["mass", "fat", "lean", "age", "sum"])
    assert "Features fat, lean, sum nearly determine" in fitted(X)[1]


def test_a_stream_is_told_once():
    model = GMM(2, random_state=0, reg_covar=ADDED, learning_rows=200)
    texts = [text_of(lambda seed=seed: model.partial_fit(planes(400, seed=seed)))[1] for seed in range(3)]
    assert [("nearly determine" in text) for text in texts] == [True, False, False]


def test_raise_raises():
    with pytest.raises(DegenerateError, match="nearly determine"):
        GMM(2, random_state=0, reg_covar=ADDED, on_degenerate="raise").fit(planes())


def test_select_tells_of_its_winner():
    """Its reg_covar is relative: a millionth of the least variance of a column."""
    found, text = text_of(lambda: select(planes(left=1e-7), [1, 2], ["full", "diag"], random_state=0))
    assert "nearly determine" in text and text in found.table[found.winner].warnings


def test_each_of_many_fits_is_told_of_as_by_itself():
    X = [planes(seed=0), planes(left=1e-2, seed=1), planes(seed=2)]
    arguments = {"reg_covar": ADDED, "random_state": 0}
    found, text = text_of(lambda: fit_many(X, 2, **arguments))
    told = {i: [str(one)] for i, one in enumerate(fitted(rows)[1] for rows in X) if one}
    assert "nearly determine" in text and {i: list(texts) for i, texts in found._ledger.told.items()} == told


def test_a_posterior_is_told_of():
    assert "Features 1, 2, 4 nearly determine" in fitted(planes(), kind=BayesianGMM)[1]


def test_the_command_line_tells(run, tmp_path):
    np.savetxt(tmp_path / "rows.csv", planes(left=1e-7), delimiter=",")
    code, _, errors = run("fit", tmp_path / "rows.csv", "-k", 2)
    assert code == 0
    (line,) = errors.splitlines()
    assert line.startswith("cgmm: warning: Features 1, 2, 4 nearly determine one another in component")


# What has other causes, or none


def test_few_rows_are_narrow_by_chance():
    rng = np.random.default_rng(0)
    few = OWN_ROWS * 6 - 1
    X = np.concatenate([planes()[::2][:few], 20 + rng.normal(size=(few, 5))])
    assert not fitted(X)[1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_features_that_are_duplicated_or_constant_have_their_own_cause(dtype):
    X = planes(dtype=dtype)
    X[:, 4] = X[:, 1]
    text = fitted(X)[1]
    assert "Features 1, 4 determine one another, and covariances singular" in text and "nearly determine" not in text
    X[:, 4] = 3
    text = fitted(X)[1]
    assert "Feature 4 is constant" in text and "nearly determine" not in text


def test_small_units_are_the_cause_where_they_are():
    text = fitted(planes() * 1e-5)[1]
    assert "times the variance of feature" in text and "nearly determine" not in text


def test_rows_that_are_equal_in_a_feature_are_not_oblique():
    X = planes(left=1)
    X[::2, 0] = 3 + 1e-7 * X[::2, 1]
    assert "nearly determine" not in fitted(X)[1]


def test_many_features_have_small_variances_by_nature():
    """The least variance of so many features is a twentieth of theirs."""
    X = np.random.default_rng(0).normal(size=(6600, 300))
    assert not fitted(X, 1, reg_covar=1e-3)[1]
    assert not fitted(X.astype(np.float32), 1, reg_covar=1e-3)[1]


def test_covariances_that_are_fixed_are_not_blurred():
    X = planes()
    free = GMM(2, random_state=0, reg_covar=0).fit(X)
    start = {"weights_init": free.weights_, "means_init": free.means_, "precisions_init": free.precisions_}
    model, text = fitted(X, fixed=("covariances",), **start)
    assert not text and np.allclose(model.covariances_, free.covariances_, rtol=1e-5)


@pytest.mark.parametrize("d", [1, 2, 7, 64, 300])
@pytest.mark.parametrize("scale", [1e-140, 1.0, 1e140])
def test_the_narrowest_direction(d, scale):
    """Its variance is the least, or no more than half again as much: enough to tell whether reg_covar is a tenth."""
    rng = np.random.default_rng(d)
    rows = rng.normal(size=(3, 2 * d, d))
    covariances = np.swapaxes(rows, 1, 2) @ rows
    roots = FAMILIES["full"].root(covariances) / scale
    directions, variances = matrices.narrowest(roots)
    least = np.linalg.eigvalsh(covariances)[:, 0]
    assert (variances <= 1.5 * least * scale**2).all() and (variances >= 0.999 * least * scale**2).all()
    np.testing.assert_allclose((directions**2).sum(axis=1), 1, rtol=1e-12)
    along = np.einsum("mi,mij,mj->m", directions, covariances, directions)
    np.testing.assert_allclose(along * scale**2, variances, rtol=1e-9)  # the condition number times the rounding
