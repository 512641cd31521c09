"""Maximum a posteriori: mclust's answers with its default prior (tests/data/mclust_prior.json), and laws."""

import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose

import reference
from cgmm import GMM, DegenerateWarning, Prior, SelectionWarning, select
from cgmm.mixture.conjugate import _sum_of_products
from cgmm.mixture.families import FAMILIES
from cgmm.rows.floor import least_variances
from datasets import DATA, FAMILY_OF_MODEL, compact, invert, table
from problems import begin_at, clusters, data_of, start_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
]
families = pytest.mark.parametrize("family", reference.FAMILIES)
every_family = pytest.mark.parametrize("family", [name for name in FAMILIES if not FAMILIES[name].one_feature])
RECORDED = json.loads((DATA / "mclust_prior.json").read_text())
MCLUST, FROM_LABELS = RECORDED["results"], RECORDED["fits_from_labels"]["fits"]
LABELS = json.loads((DATA / "mclust_families.json").read_text())["labels"]
mclust = pytest.mark.parametrize("known", MCLUST, ids=[f"{r['dataset']}-{r['model']}-{r['k']}" for r in MCLUST])


def parameters(known, family):
    weights = np.array(known["weights"])
    return weights / weights.sum(), np.array(known["means"]), compact(known["covariances"], family).copy()


def at(known, family, **arguments):
    return begin_at(parameters(known, family), family, **{"reg_covar": 0, "prior": "default"} | arguments)


def assert_parameters(model, known, rtol):
    _, means, covariances = parameters(known, model.covariance_type)
    assert_allclose(model.weights_, known["weights"], atol=rtol)
    assert_allclose(model.means_, means, rtol=rtol)
    assert_allclose(model.covariances_, covariances, rtol=0, atol=rtol * np.abs(covariances).max())


@mclust
def test_one_step_is_mclusts(known):
    family = FAMILY_OF_MODEL[known["model"]]
    model = at(known["from"], family, max_iter=1).fit(table(known["dataset"]))
    assert_parameters(model, known["after_one_step"], 1e-12)


@mclust
def test_mclusts_optimum_stays_and_restarts_reach_it(known):
    """mclust stops at a change of 1e-12 of the log-likelihood: a step moves parameters by the root of that."""
    family, X = FAMILY_OF_MODEL[known["model"]], table(known["dataset"])
    there = at(known["converged"], family, max_iter=1).fit(X)
    assert_parameters(there, known["converged"], 1e-6)
    found = GMM(known["k"], covariance_type=family, prior="default", n_init=5, tol=1e-9, max_iter=5000, reg_covar=0)
    assert found.set_params(random_state=0).fit(X).lower_bound_ >= there.lower_bound_ - 1e-7


@pytest.mark.parametrize("known", FROM_LABELS, ids=[f"{r['dataset']}-{r['model']}-{r['k']}" for r in FROM_LABELS])
def test_the_fits_of_mclusts_formulas_are_its_own(known):
    """mclust's stopping leaves up to 2e-5; and in EEI it adds the prior's share of means to the scatter only, and not
    to the means, which is no maximum and costs up to 4e-3."""
    labels = [int(label) for label in LABELS[known["dataset"]][str(known["k"])]]
    model = GMM(known["k"], covariance_type=known["model"], prior="mclust", responsibilities_init=labels, reg_covar=0)
    model.set_params(tol=1e-13, max_iter=10_000).fit(X := table(known["dataset"]))
    tolerance = 5e-3 if known["model"] == "EEI" else 2e-5
    assert_allclose(model.score(X) * len(X), known["log_likelihood"], rtol=0, atol=tolerance)
    assert np.all(np.diff(model.lower_bounds_) >= -1e-12 * np.abs(model.lower_bounds_[1:]))


@pytest.mark.parametrize("family", ["VEE", "EVE", "VVE", "EVV"])
def test_families_for_which_mclust_has_no_prior_are_named(family):
    X = clusters(60, 2, 2)
    with pytest.raises(ValueError, match=f"mclust has none for covariance_type '{family}'"):
        GMM(2, covariance_type=family, prior="mclust").fit(X)
    with pytest.warns(SelectionWarning, match=r"VEE.* are left out: mclust has no prior"):
        assert {row.covariance_type for row in select(X, [2], prior="mclust", n_init=1).table}.isdisjoint({family})


def test_a_component_without_rows_keeps_its_covariance_where_a_prior_adds_no_counts():
    X, start = clusters(60, 2, 2), [[0.0, 1.0]] * 60
    with pytest.warns(DegenerateWarning):
        model = GMM(2, covariance_type="VEV", prior="mclust", responsibilities_init=start).fit(X)
    assert np.isfinite(model.covariances_).all() and model.weights_.tolist() == [0.0, 1.0]


@families
def test_the_posterior_never_falls(family):
    X = clusters(200, 4, 3)
    history = GMM(6, covariance_type=family, prior="default", tol=0, reg_covar=0, random_state=0).fit(X).lower_bounds_
    assert len(history) == 100 and np.all(np.diff(history) >= -1e-12 * np.abs(history[1:]))


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("E", "V")])
def test_a_component_without_rows_is_as_the_prior_has_it(family):
    """Had it kept its covariance, families that share a part would fall: the prior counts it."""
    arguments = {"weights_init": [1.0, 0.0], "means_init": [[1.0, 1.0], [0.0, 0.0]], "fixed": ("means",)}
    prior = Prior(mean_precision=0)
    model = GMM(2, covariance_type=family, prior=prior, reg_covar=0, tol=0, max_iter=20, **arguments)
    history = model.fit([[0.0, 0.0], [1.0, 3.0], [4.0, 1.0]]).lower_bounds_
    assert model.weights_[1] == 0 and np.all(np.diff(history) >= -1e-12)


@families
def test_the_lower_bound_is_likelihood_and_prior(family):
    """Differences of it between parameters are those of log p(X | θ) + log p(θ), by SciPy's densities."""
    stats = pytest.importorskip("scipy.stats")
    X, k, d = clusters(50, 2, 2), 2, 2
    m, kappa, nu, alpha = np.array([0.5, -1.0]), 0.7, 5.0, 1.5
    scale = {"full": np.array([[2.0, 0.3], [0.3, 1.0]]), "tied": np.eye(2) + 0.2, "diag": [2.0, 0.5], "spherical": 1.5}
    prior = Prior(alpha, kappa, m, nu, scale[family])

    def log_posterior(model):
        full = reference.expand(model.covariances_, family, k, d)
        total = model.score(X) * 50 + (alpha - 1) * np.log(model.weights_).sum()
        total += sum(
            stats.multivariate_normal(m, S / kappa).logpdf(mu) for mu, S in zip(model.means_, full, strict=True)
        )
        if family in ("full", "tied"):
            matrices = full if family == "full" else full[:1]
            return total + sum(stats.invwishart(nu, scale[family]).logpdf(S) for S in matrices)
        variances = np.asarray(model.covariances_)
        return total + stats.invgamma(nu / 2, scale=np.array(scale[family]) / 2).logpdf(variances).sum()

    bounds, posteriors = [], []
    for weights in ([0.5, 0.5], [0.2, 0.8]):
        _, means, covariances = start_of(X, k, family)
        start = (np.array(weights), means + weights[0], covariances * (1 + weights[0]))
        bounds.append(begin_at(start, family, prior=prior, max_iter=1).fit(X).lower_bound_)
        posteriors.append(log_posterior(GMM.from_parameters(*start, family)) / 50)
    assert_allclose(bounds[1] - bounds[0], posteriors[1] - posteriors[0], rtol=1e-9)


@families
def test_a_prior_counts_as_rows(family):
    """Weight w is the row w times, with a prior too; a tenth of the weights makes the prior ten times as strong."""
    X = clusters(60, 3, 2)
    counts = np.random.default_rng(0).integers(0, 4, size=60)
    start = start_of(X, 2, family)
    weighted = begin_at(start, family, prior="default").fit(X, sample_weight=counts)
    repeated = begin_at(start, family, prior="default").fit(np.repeat(X, counts, axis=0))
    assert_allclose(weighted.means_, repeated.means_, rtol=1e-9)
    assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-9)
    light = begin_at(start, family, prior="default").fit(X, sample_weight=counts / 1024)
    assert not np.allclose(light.covariances_, weighted.covariances_, rtol=1e-3)


@families
def test_few_rows_count_by_their_weights(family):
    """The default prior is that of the repeated rows, also where the rows are fewer than the features."""
    X = np.random.default_rng(0).standard_normal((4, 4))
    arguments = {"covariance_type": family, "prior": "default", "random_state": 0, "tol": 0, "max_iter": 5}
    weighted = GMM(1, **arguments).fit(X, sample_weight=np.full(4, 2))
    repeated = GMM(1, **arguments).fit(np.repeat(X, 2, axis=0))
    assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-9)
    assert_allclose(weighted.lower_bound_, repeated.lower_bound_, rtol=1e-9)


@families
def test_no_rows_but_the_priors(family):
    """Where rows weigh next to nothing, means are the prior's, and covariances its mode."""
    X, m = clusters(30, 2, 2), np.array([3.0, 4.0])
    scale = {"full": 2 * np.eye(2), "tied": 2 * np.eye(2), "diag": 2.0, "spherical": 2.0}[family]
    prior = Prior(mean=m, mean_precision=1.0, degrees_of_freedom=6, covariance=scale)
    model = GMM(2, covariance_type=family, prior=prior, reg_covar=0, random_state=0)
    model.fit(X, sample_weight=np.full(30, 1e-12))
    mode = {"full": 2 / 10, "tied": 2 / 11, "diag": 2 / 9, "spherical": 2 / 10}[family]
    assert_allclose(model.means_, np.array([m, m]), rtol=1e-9)
    variances = np.diagonal(reference.expand(model.covariances_, family, 2, 2), axis1=1, axis2=2)
    assert_allclose(variances, mode, rtol=1e-9)


@families
def test_fewer_rows_than_features_give_sane_covariances(family):
    X = np.random.default_rng(0).standard_normal((15, 30))
    model = GMM(2, covariance_type=family, prior="default", reg_covar=0, random_state=0).fit(X)
    assert model.diagnostics_.condition_numbers.max() < 1e4
    assert model.diagnostics_.degenerate == ()


@pytest.mark.parametrize(
    "arguments, fragment",
    [
        ({"weight_concentration": 0.5}, "weight_concentration must be finite and at least 1"),
        ({"mean_precision": -1}, "mean_precision must be"),
        ({"mean": [1.0]}, r"'prior.mean' should have the shape of \(2,\)"),
        ({"degrees_of_freedom": "many"}, "degrees_of_freedom must be a number"),
        ({"covariance": np.eye(3)}, r"prior.covariance should have the shape of \(2, 2\)"),
        ({"covariance": -np.eye(2)}, "prior.covariance should be symmetric, positive-definite"),
        ({"formulas": "R"}, "prior.formulas must be one of 'density', 'mclust'"),
        ({"covariance": [[1, 2], [0, 5]]}, "prior.covariance should be symmetric, positive-definite"),
    ],
)
def test_priors_are_checked(arguments, fragment):
    with pytest.raises(ValueError, match=fragment):
        GMM(2, prior=Prior(**arguments)).fit(clusters(30, 2, 2))


def test_invert_is_used():
    """The start's precisions are those of the known covariances."""
    known = MCLUST[0]["from"]
    model = at(known, "full", max_iter=0).fit(table(MCLUST[0]["dataset"]))
    assert_allclose(model.precisions_, invert(np.array(known["covariances"]), "full"), rtol=1e-9)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@families
@pytest.mark.parametrize("precision", [1.0, 1e6, 1e12])
@pytest.mark.parametrize("weight", [5e-324, 1e-300, 1.0, 1e300])
def test_a_heavy_prior_far_from_huge_rows_leaves_the_numbers_nowhere(family, weight, precision):
    """Its second moments about them are larger than a double holds; means and covariances are not."""
    X = np.array([[3e149], [3.1e149], [2.8e149]])
    prior = Prior(mean_precision=precision, mean=[1.0])
    model = GMM(1, covariance_type=family, prior=prior).fit(X, sample_weight=np.full(3, weight))
    share = 3 * weight / (3 * weight + precision)  # the rows' in the mean; they weigh no less than 2^−60 each
    assert_allclose(model.means_[0, 0] / 3e149, share * X.mean() / 3e149 + (1 - share) / 3e149, rtol=1e-12, atol=1e-15)
    assert np.isfinite([model.covariances_.item(), model.lower_bound_]).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("weight", [5e-324, 1.0])
def test_a_concentration_beyond_all_rows_makes_weights_equal(weight):
    X = np.random.default_rng(0).normal(size=(60, 2))
    assert np.isfinite(GMM(3, prior=Prior(degrees_of_freedom=1e300), random_state=0).fit(X).means_).all()
    model = GMM(3, prior=Prior(weight_concentration=1e300), random_state=0).fit(X, sample_weight=np.full(60, weight))
    assert_allclose(model.weights_, 1 / 3, rtol=1e-12)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_family
def test_the_prior_is_a_number_however_far_means_are_from_it(family, dtype):
    """Squares of that distance, in deviations, are beyond all numbers, of either sign beside each other."""
    X = (1e-20 * np.random.default_rng(0).standard_normal((24, 5))).astype(dtype)
    means = np.outer([1e140, 2e140], [1.0, -1.0, 1.0, 1.0, -1.0])
    model = GMM(2, covariance_type=family, means_init=means, prior="default", reg_covar=0, random_state=0).fit(X)
    assert np.isfinite(model.lower_bounds_).all()


def test_products_beyond_all_numbers_are_added_up():
    """A sum of numbers of all sizes and signs, beside that of fractions."""
    rng = np.random.default_rng(0)
    for largest in (10, 300):
        a, b = rng.standard_normal((2, 30)) * 10.0 ** rng.uniform(-300, largest, (2, 30))
        exact = sum(Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True))
        expected = float(exact) if abs(exact) < sys.float_info.max else np.copysign(np.inf, float(np.sign(exact)))
        assert_allclose(_sum_of_products(a, b), expected, rtol=1e-12)
    assert _sum_of_products(np.array([1e200, 1e200, 3.0]), np.array([1e200, -1e200, 1e-3])) == 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_family
def test_no_scale_of_a_prior_is_negative(family, dtype):
    """Beside a row that weighs all others down, rounding leaves of a variance what may be less than zero."""
    rng, model = np.random.default_rng(0), FAMILIES[family]
    for _ in range(20):
        rows = data_of((1e15 * rng.uniform(-1, 1, (31, 2))).astype(dtype), 10.0 ** rng.uniform(-290, 0, 31))
        scale = Prior().conjugate(rows.moments(), least_variances(rows), model, 1).scale
        assert (model.variances(np.broadcast_to(scale, model.shape(1, 2)), 1, 2) >= 0).all()


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::cgmm.DegenerateWarning")
def test_masses_without_counts_beside_huge_rows():
    """The prior of VEV adds mass to each component, but no counts: its scatter over counts of 1e-39 is no number."""
    X = np.array([[-9.0e149, -6.5e149], [-8.5e149, 2.1e149]])
    given = {"weights_init": [1.0, 1e-40], "means_init": X[::-1], "fixed": ("weights", "means")}
    model = GMM(2, covariance_type="VEV", prior="mclust", random_state=0, **given).fit(X)
    assert np.isfinite(model.covariances_).all() and np.isfinite(model.score_samples(X)).all()
