"""mclust's fourteen families: each M-step is the maximum for its statistics; mclust's fits, counts and criteria."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import parsimonious
from cgmm import GMM
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.families.family import Central
from cgmm.mixture.rules import Rules
from datasets import DATA, table

families = pytest.mark.parametrize("family", parsimonious.NAMES)
MCLUST = json.loads((DATA / "mclust_families.json").read_text())
FITS = {(fit["dataset"], fit["model"], fit["k"]): fit for fit in MCLUST["fits"]}
LEAST = 1e-300
SHAPES = [(3, 2), (2, 3), (4, 3), (1, 3), (3, 1), (1, 1)]


def scatters(k, d, seed, rows=None):
    """W_c (k, d, d) of components of different size, shape and axes, and n_c, from a tenth to ten."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(k, d, rows or d + 2)) * np.exp(rng.normal(size=(k, 1, 1)))
    n = 10 ** rng.uniform(-1, 1, size=k)
    return n[:, None, None] * (factors @ factors.transpose(0, 2, 1)), n


def estimated(name, W, n, last=None, least=LEAST, reg_covar=0.0):
    """The family's own M-step of these statistics, and its covariances (k, d, d)."""
    family, d = FAMILIES[name], W.shape[-1]
    second = {"full": W, "diag": np.einsum("cjj->cj", W), "radial": np.einsum("cjj->c", W)}[family.moment]
    counts = family.counts(n, d)
    central = Central(second / counts, counts, np.array([], dtype=np.intp), np.full(d, least))
    found = family.estimate(central, Rules(reg_covar=reg_covar, n_threads=1), last)
    return found, family.expand(found.covariances, len(n), d)


@families
@pytest.mark.parametrize("k, d", SHAPES)
def test_an_m_step_is_the_maximum(k, d, family):
    """The objective is flat at the maximum: covariances agree to the root of its rounding, and the slow reference ends
    a little before where axes are searched for."""
    W, n = scatters(k, d, seed=10 * k + d)
    found, full = estimated(family, W, n)
    expected = parsimonious.m_step(family, W, n)
    ours, theirs = (parsimonious.objective(W, n, covariances) for covariances in (full, expected))
    assert ours >= theirs - 1e-13 * abs(theirs)
    assert_allclose(full, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert found.held == []
    assert FAMILIES[family].is_root_of(found.root, found.covariances)


@families
def test_no_optimiser_finds_a_higher_one(family):
    W, n = scatters(3, 2, seed=1)
    ours = parsimonious.objective(W, n, estimated(family, W, n)[1])
    theirs = parsimonious.best_of_optimiser(family, W, n, np.random.default_rng(0), starts=3)
    assert_allclose(ours, theirs, rtol=1e-9)


@families
def test_what_is_shared_is_shared(family):
    """Volumes, shapes and axes of (4, 3): equal where the letter says so, different where it does not."""
    _, full = estimated(family, *scatters(4, 3, seed=2))
    volumes = parsimonious.volume(full)
    shapes = np.linalg.eigvalsh(full) / volumes[:, None]
    if family[2] == "I":
        shapes = np.einsum("cjj->cj", full) / volumes[:, None]
        assert_allclose(full, parsimonious.diagonals(full), atol=0)
    commutators = full[0] @ full[1:] - full[1:] @ full[0]
    same = {
        0: np.ptp(volumes) < 1e-10 * volumes[0],
        1: np.ptp(shapes, axis=0).max() < 1e-10 if family[1] != "I" else np.ptp(shapes) > 1e-10,
        2: np.abs(commutators).max() < 1e-10 * np.abs(full).max() ** 2,
    }
    assert [same[0], same[1], same[2]] == [family[0] == "E", family[1] == "E", family[2] in "EI"]


@pytest.mark.parametrize("family", parsimonious.ITERATED)
def test_an_m_step_goes_on_from_the_one_before(family):
    """The maximum is found from wherever an iteration begins."""
    W, n = scatters(4, 3, seed=3)
    before, _ = estimated(family, *scatters(4, 3, seed=4))
    found, full = estimated(family, W, n, last=before)
    cold = estimated(family, W, n)[1]
    ours, theirs = (parsimonious.objective(W, n, covariances) for covariances in (full, cold))
    assert_allclose(ours, theirs, rtol=1e-12)
    again = estimated(family, W, n, last=found)[1]
    assert_allclose(again, full, rtol=0, atol=1e-6 * np.abs(full).max())


@families
def test_reg_covar_is_added_to_each_scatter(family):
    """So that what is shared stays so: docs/families.md."""
    W, n = scatters(3, 2, seed=5)
    more = W + n[:, None, None] * 0.3 * np.eye(2)
    assert_allclose(estimated(family, W, n, reg_covar=0.3)[1], estimated(family, more, n)[1], rtol=1e-6, atol=1e-9)


@families
def test_a_family_knows_its_own(family):
    """Its own covariances are as they are; others' are refused where components share something."""
    found, _ = estimated(family, *scatters(4, 3, seed=6))
    assert FAMILIES[family].agree(found.covariances)
    weights, means = np.full(4, 0.25), np.zeros((4, 3))
    GMM.from_parameters(weights, means, found.covariances, family)
    other = found.covariances * np.exp(np.random.default_rng(0).normal(size=found.covariances.shape[:1])).reshape(
        4, *[1] * (found.covariances.ndim - 1)
    )
    other = other[..., ::-1] if found.covariances.ndim == 2 else other
    if family[0] == "E":
        with pytest.raises(ValueError, match="the same for all components"):
            GMM.from_parameters(weights, means, other, family)
    else:
        GMM.from_parameters(weights, means, other, family)


# mclust


def rows(dataset):
    X = table(dataset)
    return X[:, None] if X.ndim == 1 else X


def partition(dataset, k):
    """mclust's start, as responsibilities (n, k)."""
    if k == 1:
        return np.ones((len(rows(dataset)), 1))
    return np.eye(k)[[int(label) for label in MCLUST["labels"][dataset][str(k)]]]


LABELLED = [key for key, fit in FITS.items() if "after_one_m_step" in fit]
# How far mclust's M-steps are from their maximum: those of the five whose M-step is iterated end early.
ENDS_EARLY = {"VEI": 1e-6, "VEV": 1e-6, "VEE": 1e-3, "EVE": 1e-3}


@pytest.mark.parametrize("dataset, family, k", [key for key in LABELLED if key[1] != "VVE"])
def test_one_m_step_of_mclusts_labels(dataset, family, k):
    X, fit = rows(dataset), FITS[dataset, family, k]
    model = GMM(k, covariance_type=family, responsibilities_init=partition(dataset, k), reg_covar=0, max_iter=0).fit(X)
    found = model.score(X) * len(X)
    assert_allclose(found, fit["after_one_m_step"], rtol=0, atol=ENDS_EARLY.get(family, 1e-8))


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
@pytest.mark.parametrize("dataset, family, k", [key for key in LABELLED if key[1] != "VVE"])
def test_a_fit_is_mclusts(dataset, family, k):
    """To 1e-5, for both stop at small changes; and the criteria are those of its log-likelihood."""
    X, fit = rows(dataset), FITS[dataset, family, k]
    start = {"responsibilities_init": partition(dataset, k), "reg_covar": 0, "tol": 1e-12, "max_iter": 1500}
    model = GMM(k, covariance_type=family, **start).fit(X)
    log_likelihood = model.score(X) * len(X)
    assert_allclose(log_likelihood, fit["log_likelihood"], rtol=0, atol=1e-5)
    gain = log_likelihood - fit["log_likelihood"]
    assert_allclose(-model.bic(X) - 2 * gain, fit["bic"], rtol=0, atol=1e-6)
    assert (np.diff(model.lower_bounds_) >= -1e-12).all()


@families
def test_criteria_of_mclusts_parameters(family):
    """Each has its own shape of covariances, of mclust's (k, d, d)."""
    X, fit = rows("faithful"), FITS["faithful", family, 2]
    covariances = np.array(fit["covariances"])
    if FAMILIES[family].moment != "full":
        covariances = np.einsum("cjj->cj", covariances)
    if FAMILIES[family].moment == "radial":
        covariances = covariances[:, 0]
    model = GMM.from_parameters(fit["weights"], fit["means"], covariances, family)
    assert model.covariances_.shape == FAMILIES[family].shape(2, 2)
    assert_allclose(model.score(X) * len(X), fit["log_likelihood"], rtol=0, atol=1e-8)
    assert_allclose([-model.bic(X), -model.icl(X)], [fit["bic"], fit["icl"]], rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
@pytest.mark.parametrize("dataset, family, k", [key for key in FITS if "em_from_here" in FITS[key]])
def test_from_mclusts_vve_the_likelihood_rises_to_an_optimum(dataset, family, k):
    """mclust's VVE is none: exact M-steps from there gain up to 24."""
    X, fit = rows(dataset), FITS[dataset, family, k]
    covariances = np.array(fit["covariances"])
    given = GMM.from_parameters(fit["weights"], fit["means"], covariances, "full")
    assert_allclose(given.score(X) * len(X), fit["log_likelihood"], rtol=1e-10)
    nearest = FAMILIES[family].hold(covariances, np.full(X.shape[1], LEAST), 0.0).covariances
    start = {"weights_init": fit["weights"], "means_init": fit["means"], "precisions_init": np.linalg.inv(nearest)}
    model = GMM(k, covariance_type=family, **start, reg_covar=0, tol=1e-12, max_iter=1500).fit(X)
    assert model.score(X) * len(X) > fit["em_from_here"] - 1e-4
    assert (np.diff(model.lower_bounds_) >= -1e-12).all()


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
@pytest.mark.parametrize("dataset, family, k", [key for key in FITS if key[1] in ("E", "V")])
def test_of_one_feature(dataset, family, k):
    """From mclust's parameters, at which it stopped."""
    X, fit = rows(dataset), FITS[dataset, family, k]
    precisions = 1 / np.array(fit["covariances"])[:, 0, 0]
    start = {"weights_init": fit["weights"], "means_init": fit["means"], "precisions_init": precisions}
    model = GMM(k, covariance_type=family, **start, reg_covar=0, tol=1e-12, max_iter=100).fit(X)
    assert_allclose(model.score(X) * len(X), fit["log_likelihood"], rtol=0, atol=1e-4)
    assert_allclose(-model.bic(X), fit["bic"], rtol=0, atol=2e-4)


def test_numbers_of_parameters():
    for name, d, k, whole, covariances in MCLUST["counts"]:
        if name in FAMILIES:
            assert FAMILIES[name].n_parameters(k, d) == covariances, (name, d, k)
            assert FAMILIES[name].n_parameters(k, d) + k * d + k - 1 == whole, (name, d, k)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("E", "V")])
@pytest.mark.parametrize("k", [1, 3])
def test_equal_covariances_are_of_every_family(family, k):
    """However much longer than wide they are: what they share is not measured to a millionth there."""
    own = FAMILIES[family].compact(np.diag([1e-15, 1e15]))
    given = np.broadcast_to(own, FAMILIES[family].shape(k, 2))
    model = GMM.from_parameters(np.full(k, 1 / k), np.zeros((k, 2)), given, family)
    assert_array_equal(model.covariances_, given)


@pytest.mark.parametrize("family", ["E", "V"])
def test_of_more_features_they_are_refused(family, tmp_path):
    X = rows("faithful")
    for refused in (
        lambda: GMM(2, covariance_type=family).fit(X),
        lambda: GMM(2, covariance_type=family).partial_fit(X),
        lambda: GMM.from_parameters([1.0], [[0.0, 0.0]], [1.0], family),
    ):
        with pytest.raises(ValueError, match=f"covariance_type='{family}' is for rows of one feature, not 2"):
            refused()


@pytest.mark.parametrize("name, same", [("VVV", "full"), ("VVI", "diag"), ("VII", "spherical")])
def test_four_have_two_names(name, same, tmp_path):
    """A model's argument stays as it is given, as scikit-learn's clone asks; a file has the first name."""
    X = rows("faithful")
    one, other = (GMM(2, covariance_type=which, random_state=0).fit(X) for which in (name, same))
    assert one.covariance_type == name
    np.testing.assert_array_equal(one.covariances_, other.covariances_)
    one.save(tmp_path / "model.npz")
    assert GMM.load(tmp_path / "model.npz").covariance_type == same
    GMM(2, covariance_type=same, warm_start=True, random_state=0).fit(X).set_params(covariance_type=name).fit(X)
