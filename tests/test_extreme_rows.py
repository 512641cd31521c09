"""Fits of extreme rows that the fuzzers have found to fail."""

import numpy as np
import pytest

import cgmm
from cgmm import GMM, BayesianGMM, DegenerateWarning, Prior, kmeans
from fuzzing import attempt, check_parameters
from recipes import FAMILIES, Fit, Rows

FOUND = {
    "overflow of what is expected of a gap": Fit(
        rows=Rows(11, 20, ("constant", "nasty")),
        k=3,
        arguments=(("reg_covar", 0.0),),
        start="random",
        missing=0.1,
        sample_weight="counts",
    ),
    "fewer rows that are no noise than components": Fit(
        rows=Rows(6, 20, ("denormal",)), k=3, arguments=(("n_init", 2),), noise=True, sample_weight="ones"
    ),
    "overflow of volumes": Fit(rows=Rows(24, 3, ("nasty",)), k=1, noise=True, sample_weight="ones"),
    "overflow of a volume times a shape": Fit(
        rows=Rows(4, 2, ("nasty",)), k=2, family="VEI", weights="equal", fixed=("weights",), sample_weight="ones"
    ),
    "overflow of a shape times one volume": Fit(
        rows=Rows(2, 3, ("nasty",)), k=2, family="EVI", arguments=(("n_init", 5),), prior="mclust"
    ),
    "overflow of a condition number": Fit(
        rows=Rows(15, 3, ("constant",)), k=4, family="EVI", precisions="tiny", missing=0.1
    ),
    "all rows are noise": Fit(rows=Rows(2, 1, ("denormal",)), k=1, noise=True, sample_weight="ones"),
}


@pytest.mark.parametrize("recipe", FOUND.values(), ids=FOUND)
def test_what_was_found(recipe):
    X = recipe.build()
    model = GMM(**recipe.constructor(X))
    assert attempt(lambda: model.fit(X, sample_weight=recipe.row_weights())) is model
    check_parameters(model)
    assert "per row" in str(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prior_mean_of_endless_strength(family):
    """Beside it the counts of rows vanish, of all components at a start."""
    X = np.random.default_rng(0).standard_normal((40, 2))
    model = GMM(2, covariance_type=family, max_iter=3, prior=Prior(mean_precision=1e300), random_state=0)
    assert attempt(lambda: model.fit(X)) is model
    check_parameters(model)


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
def test_a_log_likelihood_that_is_no_number_is_told_per_row():
    model = GMM(
        max_iter=1,
        weights_init=[1.0],
        means_init=[[0.0]],
        precisions_init=[[[1.0]]],
        fixed=("weights", "means", "covariances"),
    )
    model.fit([[1e150], [-1e150]], sample_weight=[1e300, 1e300])
    assert model.summary().to_dict()["bic"] is None and "per row" in str(model)


def test_a_variance_that_rounding_makes_negative_is_none():
    """Of k-means' tolerance: −1 was taken for an exception, of which there was none."""
    X = np.array([-(2.0**30), -2, -1, -3, -1, -4, -3, -1, 0, -4, -3, -2])[:, np.newaxis]
    found = kmeans(X, 2, sample_weight=[1.3552527156068805e-20, *[1.0] * 11], random_state=0)
    assert np.isfinite(found.centers).all()


ESTIMATORS = [(GMM, family) for family in FAMILIES]
ESTIMATORS += [(BayesianGMM, family) for family in ("full", "tied", "diag", "spherical")]


@pytest.mark.parametrize(("model", "family"), ESTIMATORS)
def test_rows_of_nothing_but_zeros_have_the_same_density_in_both_types(model, family):
    """The floor under a variance of no scale is 1e-300: the root of its inverse is larger than any float32."""
    zeros = np.zeros((19, 2))
    with pytest.warns(DegenerateWarning):
        single, double = (
            model(1, covariance_type=family, reg_covar=0).fit(zeros.astype(dtype)) for dtype in (np.float32, np.float64)
        )
    assert single.score(zeros.astype(np.float32)) == pytest.approx(double.score(zeros), rel=1e-6)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, rel=1e-6)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_moments_of_heavy_rows_far_apart():
    """A weight of 1e290 times a distance of 1e37 is no number, and the mean of the rows is one."""
    X = np.repeat([[1e37], [-1e37]], 10, axis=0)
    model = GMM.from_parameters([0.5, 0.5], [[1e37], [-1e37]], [1.0, 1.0], "spherical")
    heavy, light = (cgmm.expectation(model, X, np.full(20, weight)) for weight in (2.0**960, 1.0))
    assert (heavy.exponent, heavy.n_k.max()) == (0, 10 * 2.0**960)
    for found, expected in zip(
        heavy.moments(model._parameters.family)[1:], light.moments(model._parameters.family)[1:], strict=True
    ):
        np.testing.assert_array_equal(found, expected)
