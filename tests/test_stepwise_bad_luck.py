"""partial_fit survives what comes: degenerate streams, batches of any weight, fixed covariances of any size."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import degenerate
import recipes
import reference
from cgmm import GMM, DegenerateError, DegenerateWarning
from cgmm.mixture.families import FAMILIES
from problems import learnt, start_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)


@families
@pytest.mark.parametrize("sizes", [(1,), (7, 90)])
@pytest.mark.parametrize("arguments", [{}, {"learning_rows": 5}, {"learning_rows": 5, "forget": 3, "reg_covar": 0}])
@pytest.mark.parametrize("dtype, name", [(t, name) for t in (np.float64, np.float32) for name in degenerate.names(t)])
def test_degenerate_streams(name, family, sizes, dtype, arguments):
    """Raise nothing, and leave a mixture; from a start, from few rows, and where much is forgotten."""
    case = degenerate.case(name, dtype)
    rows = case.X if dtype == np.float32 else np.clip(case.X, -1e147, 1e147)  # no larger may values of a stream be
    model = GMM(case.n_components, covariance_type=family, random_state=0, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateWarning)
        learnt(model, rows, *sizes)
    for found in (model.weights_, model.means_, model.covariances_, model.precisions_, model.lower_bounds_):
        assert np.isfinite(found).all()
    assert_allclose(model.weights_.sum(), 1, rtol=1e-12)
    assert np.isfinite(model.score_samples(rows)).all()


def test_what_is_degenerate_is_told_once():
    """When it begins; then no more, until it has been well."""
    flat, fine = degenerate.case("constant column").X, degenerate.clusters()[0]
    model = GMM(3, random_state=0, learning_rows=200)
    with pytest.warns(DegenerateWarning, match="Feature 1 is constant, and covariances singular.*learning goes on"):
        model.partial_fit(flat)
    model.partial_fit(flat)
    assert len(model.diagnostics_.degenerate) == 3
    assert model.partial_fit(fine).diagnostics_.degenerate == ()
    before = vars(model)["_state"]
    model.set_params(on_degenerate="raise", learning_decay=0.5, learning_rows=1)
    with pytest.raises(DegenerateError, match="singular"):
        model.partial_fit(np.tile(flat, (10, 1)))
    assert vars(model)["_state"] is before


def test_a_component_without_rows_begins_again():
    """Once nothing is remembered of it, at the row that is explained worst; and learns from there."""
    rows, _ = degenerate.clusters()
    _, means, covariances = start_of(rows, 2, "full")
    model = GMM.from_parameters([0.5, 0.5], [means[0], means[0] + 1e6], covariances)
    model.set_params(forget=10, learning_rows=100)
    with pytest.warns(DegenerateWarning, match=r"component 1 .*began again at row \d+ of a batch"):
        model.partial_fit(rows)
    before = model.score(rows)
    for _ in range(20):
        model.partial_fit(rows)
    assert model.weights_[1] > 0.01 and model.diagnostics_.degenerate == ()
    assert model.score(rows) > before


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("weight", [5e-324, 1e-310, 1e-300, 1e300])
def test_batches_of_any_weight_can_be_learnt_of(weight):
    """The sums of such weights are hardly numbers, and have no quotients."""
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = GMM(1, learning_rows=1, on_degenerate="repair")
    for part in np.split(X, 40):
        model.partial_fit(part, sample_weight=np.full(1, weight))
    assert np.isfinite(model.lower_bounds_).all()
    assert ((X.min(axis=0) <= model.means_) & (model.means_ <= X.max(axis=0))).all()


@pytest.mark.parametrize("weight", [5e-324, 1e-300, 1.0])
@pytest.mark.parametrize("prior", [None, "default"])
@pytest.mark.parametrize("family", FAMILIES)
def test_learning_goes_on_beside_fixed_covariances_whatever_reg_covar_is(family, prior, weight):
    """No M-step adds reg_covar or a prior to fixed covariances: what is remembered of them is their own."""
    ones = np.ones(FAMILIES[family].shape(1, 1))
    model = GMM(1, covariance_type=family, reg_covar=1e300, learning_rows=1, prior=prior, precisions_init=ones)
    model.set_params(fixed=("weights", "covariances"), weights_init=[1.0], max_iter=1)
    for row in (7.0, 8.0, 9.0):
        model.partial_fit([[row]], sample_weight=[weight])
    assert_array_equal(model.covariances_, ones)
    assert 7 <= model.means_[0, 0] <= 9


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::cgmm.DegenerateWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("prior", ["none", "default", "strong", "means"])
@pytest.mark.parametrize("weight", [1e-290, 1.0, 1e290])
@pytest.mark.parametrize("fixed", [(), ("means",), ("covariances",)])
@pytest.mark.parametrize("family", recipes.FAMILIES + recipes.OTHERS)
def test_what_is_remembered_of_covariances_of_any_size_are_numbers(family, fixed, weight, prior, dtype, tmp_path):
    """A prior counts as rows, which are many times what light rows weigh: its moments are larger than numbers are; and
    a component that begins again has less than the reg_covar that is added."""
    given = {"weights": "equal", "means": "rows", "precisions": "data", "fixed": fixed, "fixed_every": 2}
    rows = recipes.Rows(n=14, columns=("normal", "scales"), dtype=dtype)
    recipe = recipes.Fit(rows, 3, family, (("reg_covar", 1e300), ("max_iter", 3)), prior=prior, **given)
    X, w = recipe.build(), np.full(14, weight)
    model = GMM(**recipe.constructor(X)).fit(X, sample_weight=w)
    for _ in range(2):
        model.save(tmp_path / "model.npz")
        model = GMM.load(tmp_path / "model.npz").partial_fit(X, sample_weight=w)
        assert np.isfinite(model.covariances_).all() and np.isfinite(model.means_).all()
