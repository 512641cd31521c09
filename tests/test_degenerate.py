"""Rows that a mixture cannot be estimated from (degenerate.py): fits survive them, and say what they repaired."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import degenerate
import reference
from cgmm import GMM, DegenerateError
from cgmm.mixture.families import FAMILIES
from survival import assert_survives, model_of, repaired

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
CASES = [(name, dtype) for dtype in (np.float64, np.float32) for name in degenerate.names(dtype)]
cases = pytest.mark.parametrize("name, dtype", CASES, ids=[f"{name}-{dtype.__name__}" for name, dtype in CASES])


@families
@cases
@pytest.mark.parametrize("reg_covar", [1e-6, 0])
@pytest.mark.parametrize("init", ["kmeans", "random_from_data"])
def test_fits_survive(name, dtype, family, reg_covar, init):
    case = degenerate.case(name, dtype)
    model, told = repaired(model_of(case, family, reg_covar=reg_covar, init_params=init), case.X)
    assert_survives(model, case.X, told)


@families
@cases
def test_long_fits_survive(name, dtype, family):
    """Where nothing ends them, at an optimum or at a singularity."""
    case = degenerate.case(name, dtype)
    model, told = repaired(model_of(case, family, reg_covar=0, tol=0, max_iter=100), case.X)
    assert_survives(model, case.X, told)


@families
@cases
def test_weighted_restarts_survive(name, dtype, family):
    case = degenerate.case(name, dtype)
    weights = np.arange(len(case.X)) % 3 + 0.5
    model, told = repaired(model_of(case, family, n_init=6, reg_covar=0), case.X, sample_weight=weights)
    assert_allclose(model.weights_.sum(), 1, rtol=1e-12)
    assert np.isfinite(model.score(case.X, sample_weight=weights)) and np.isfinite(model.covariances_).all()
    assert bool(told) == bool(model.diagnostics_.degenerate)


SINGULAR = {  # cases in which no component can be estimated, and the families that say so
    "constant column": ("full", "tied", "diag"),
    "n < d": ("full", "tied"),
    "collinear columns": ("full", "tied"),
    "one row": reference.FAMILIES,
    "n = k": ("full", "tied", "diag", "spherical"),
}


@families
@pytest.mark.parametrize("reg_covar", [1e-6, 0])
@pytest.mark.parametrize("name", SINGULAR)
def test_what_only_a_floor_holds_is_told(name, reg_covar, family):
    """Also when it is reg_covar that holds it: the likelihood is its choice, not the data's."""
    case = degenerate.case(name)
    _, told = repaired(model_of(case, family, reg_covar=reg_covar), case.X)
    assert ("singular" in told) == (family in SINGULAR[name])


@families
@pytest.mark.parametrize("name", ["each row twice", "integers", "one column", "offset 1e9, spread 1"])
def test_what_can_be_estimated_is_not_told(name, family):
    assert repaired(model_of(degenerate.case(name), family), degenerate.case(name).X)[1] == ""


@families
@pytest.mark.parametrize(
    "name", ["constant column", "each row twice", "one outlier at 1e12", "columns 1e-150 to 1e150", "integers"]
)
def test_clusters_beside_the_defect_are_found(name, family):
    """The fit is as likely as one M-step from the true clusters, whatever the defect, with the same floor."""
    case = degenerate.case(name)
    model, _ = repaired(model_of(case, family, reg_covar=0, n_init=5), case.X)
    given = GMM(case.n_components, covariance_type=family, reg_covar=0, responsibilities_init=case.labels, max_iter=0)
    given, _ = repaired(given, case.X)
    assert model.score(case.X) >= given.score(case.X) - 1e-6 * abs(given.score(case.X))


@families
def test_a_floor_is_relative(family):
    """Rows in other units: the same fit in those, floors too; correlations to what rounding leaves of held axes."""
    case = degenerate.case("constant column")
    units = 2.0 ** np.array([-30, -30, -30])
    ours, _ = repaired(model_of(case, family, reg_covar=0), case.X)
    other, _ = repaired(model_of(case, family, reg_covar=0), case.X * units)
    full = [reference.expand(model.covariances_, family, 3, 3) for model in (other, ours)]
    sigma = [np.sqrt(np.diagonal(S, axis1=1, axis2=2)) for S in full]
    assert_allclose(sigma[0] * 2.0**30, sigma[1], rtol=1e-9)
    correlations = [S / s[:, :, None] / s[:, None, :] for S, s in zip(full, sigma, strict=True)]
    assert_allclose(*correlations, rtol=0, atol=1e-6)
    assert_allclose(other.means_ * 2.0**30, ours.means_, rtol=1e-9)


@families
def test_an_emptied_component_begins_again_where_rows_are_explained_worst(family):
    """It ends with rows of its own, and with a likelihood above that of the others alone."""
    case = degenerate.case("a component that empties")
    model, told = repaired(model_of(case, family), case.X)
    (repair,) = model.diagnostics_.degenerate
    assert repair.component == 2 and f"it began again at row {repair.row}" in told
    without = GMM(2, covariance_type=family, means_init=case.start[1][:2]).fit(case.X)
    assert without.score_samples(case.X).argmin() == repair.row
    assert model.weights_[2] > 1e-3 and model.score(case.X) > without.score(case.X)


@pytest.mark.parametrize("family", ["full", "tied", "VEE", "VVE"])
@pytest.mark.parametrize("d", [3, 6])
def test_given_means_leave_a_start_its_exact_root(d, family):
    """Rows on a line, whose mean is zero: of the raised matrix itself the smallest variances are known to its rounding
    only, and the first likelihood was off by up to a part in a thousand."""
    half = np.arange(1.0, 8.0)[:, np.newaxis] * np.array([3.0, -5, 7, 2, 11, 4])[:d]
    X = np.vstack([half, -half])
    one, given = (
        repaired(GMM(1, covariance_type=family, reg_covar=0, max_iter=1, **arguments), X)[0]
        for arguments in ({}, {"means_init": np.zeros((1, d))})
    )
    assert_array_equal(given.lower_bounds_, one.lower_bounds_)


def test_a_component_that_no_row_needs_stays_empty():
    """Each of three values has a component: two more cannot raise the likelihood."""
    case = degenerate.case("fewer distinct rows than k")
    model, told = repaired(model_of(case, "full"), case.X)
    assert np.count_nonzero(model.weights_ == 0) == 2
    assert "each of components 3, 4 (from iteration" in told and told.count("no row belongs to it") == 1
    assert model.diagnostics_.passes <= model.n_iter_ + 6, "looking ahead ends where nothing moves"


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if not family.one_feature])
def test_an_empty_component_keeps_its_covariance(family):
    """It grew by reg_covar in each iteration."""
    rng = np.random.default_rng(0)
    X = rng.normal([[0, 0]] * 200 + [[1, 2]] * 200)
    start = {"means_init": [[0, 0], [1, 0], [1e7, 5]], "fixed": {"means": [True, False, False]}}  # none begins again
    start |= {"reg_covar": 0.1, "tol": 0, "random_state": 0, "on_degenerate": "repair"}
    before, after = (GMM(3, covariance_type=family, max_iter=most, **start).fit(X) for most in (2, 60))
    assert after.weights_[2] == 0 and after.n_iter_ == 60
    if not FAMILIES[family].shared:
        assert_array_equal(after.covariances_[2], before.covariances_[2])
    variances = [FAMILIES[family].variances(model.covariances_, 3, 2)[2].sum() for model in (before, after)]
    assert variances[1] < 1.5 * variances[0]


@families
def test_on_degenerate(family):
    case = degenerate.case("one row")
    silent = model_of(case, family, on_degenerate="repair").fit(case.X)
    told, _ = repaired(model_of(case, family), case.X)
    assert_array_equal(silent.covariances_, told.covariances_)
    assert silent.diagnostics_.degenerate == told.diagnostics_.degenerate != ()
    fine = degenerate.clusters()[0]
    model = model_of(case, family, on_degenerate="raise").fit(fine)
    means = model.means_
    with pytest.raises(DegenerateError, match=r"component 0 \(iteration \d\): its covariance is singular"):
        model.fit(case.X)
    assert model.means_ is means


def test_diagnostics():
    """Effective counts are the last E-step's; what was repaired, and when; condition numbers are NumPy's."""
    X, _ = degenerate.clusters()
    weights = np.arange(300) % 2 + 1.0
    model = GMM(3, n_init=8, random_state=0).fit(X, sample_weight=weights)
    found = model.diagnostics_
    assert_allclose(found.effective_counts.sum(), weights.sum(), rtol=1e-12)
    assert_allclose(found.effective_counts, weights @ model.predict_proba(X), rtol=1e-2)
    assert_allclose(found.condition_numbers, np.linalg.cond(model.covariances_), rtol=1e-9)
    assert len(found.restarts) == 8 and found.restarts[found.winner].log_likelihood == model.lower_bound_
    assert found.repairs == found.degenerate == ()
    assert found.restarts[0].kind == "kmeans" and len({restart.kind for restart in found.restarts}) > 2
    assert "winner" in repr(found)
    loaded = GMM.from_parameters(model.weights_, model.means_, model.covariances_).diagnostics_
    assert loaded.effective_counts is None and loaded.restarts == ()
    assert_allclose(loaded.condition_numbers, found.condition_numbers)
