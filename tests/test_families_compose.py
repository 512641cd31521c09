"""mclust's families with all that a fit may be combined with: the same formulas, the same promises."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import degenerate
import parsimonious
import reference
from cgmm import GMM, Prior, _kernels, expectation, maximisation, select
from cgmm.mixture.families import FAMILIES
from problems import assert_same_bits, assert_same_fit, begin_at, clusters, start_of
from survival import assert_survives, model_of, repaired

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", parsimonious.OWN)
K = 3
X = clusters(600, 3, K)
W = np.random.default_rng(0).integers(1, 3, size=len(X)).astype(float)


def fit(family, rows=X, w=None, k=K, **arguments):
    """From covariances of the family, so that an iteration knows those before it."""
    given = {"covariance_type": family, "random_state": 0, "tol": 0, "max_iter": 15, **arguments}
    return GMM(k, **given).fit(rows, sample_weight=w)


def one_step(family, statistics, reg_covar=0.0, prior=None):
    """Weights, means and covariances in the family's shape, of statistics about zero: the textbook's."""
    n_k, first, second = statistics["n_k"], statistics["first"], statistics["second"]
    alpha, kappa, m, nu, scale = prior or (1.0, 0.0, np.zeros(first.shape[1]), 0.0, 0.0)
    k, d = first.shape
    means = (first + kappa * m) / (n_k + kappa)[:, None]
    scatter = second - n_k[:, None, None] * means[:, :, None] * means[:, None, :]
    scatter += 0.0 * scale
    for c in range(k):
        cross = np.outer(first[c] - n_k[c] * means[c], means[c])
        scatter[c] -= cross + cross.T
        scatter[c] += kappa * np.outer(means[c] - m, means[c] - m) + scale
    counts = n_k + (nu + (d + 2 if family in parsimonious.MATRICES else 3) if prior else 0.0)
    scatter += counts[:, None, None] * reg_covar * np.eye(d)
    weights = n_k + alpha - 1
    return weights / weights.sum(), means, parsimonious.m_step(family, scatter, counts)


def responsibilities(model, rows):
    full = parsimonious.expand(model.covariance_type, model.covariances_, rows.shape[1])
    return reference.responsibilities(rows, model.weights_, model.means_, full, "full")


def assert_is_step(after, expected, tolerance=1e-6):
    """Covariances to the root of what an objective can tell: it is flat at its maximum."""
    assert_allclose(after.weights_, expected[0], rtol=1e-9)
    assert_allclose(after.means_, expected[1], rtol=1e-9, atol=1e-9)
    full = parsimonious.expand(after.covariance_type, after.covariances_, expected[1].shape[1])
    assert_allclose(full, expected[2], rtol=0, atol=tolerance * np.abs(expected[2]).max())


@families
@pytest.mark.parametrize("weighted", [False, True])
def test_an_iteration_is_the_textbooks(weighted, family):
    w = W if weighted else None
    before, after = (fit(family, w=w, max_iter=count, reg_covar=1e-3) for count in (4, 5))
    statistics = reference.statistics(X, w, responsibilities(before, X), np.zeros((K, 3)))
    assert_is_step(after, one_step(family, statistics, 1e-3))


@families
def test_rows_with_gaps(family):
    """The expected moments of the completed rows, and the same M-step."""
    rows = X[::4].copy()
    rows[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
    before, after = (fit(family, rows, missing="marginal", max_iter=count, reg_covar=1e-3) for count in (2, 3))
    full = parsimonious.expand(family, before.covariances_, 3)
    joint = reference.missing_log_joint(rows, before.weights_, before.means_, full, "full")
    resp = np.exp(joint - reference.log_sum_exp(joint)[:, None])
    about = reference.missing_statistics(rows, None, resp, before.means_, full, "full")
    n_k, shift = about["n_k"], before.means_
    first = about["first"] + n_k[:, None] * shift
    second = about["second"] + n_k[:, None, None] * shift[:, :, None] * shift[:, None, :]
    for c in range(K):
        second[c] += np.outer(about["first"][c], shift[c]) + np.outer(shift[c], about["first"][c])
    assert_is_step(after, one_step(family, {"n_k": n_k, "first": first, "second": second}, 1e-3))


@pytest.mark.parametrize("family", [name for name in parsimonious.OWN if not name.startswith(("EEE", "EEI", "EII"))])
def test_a_prior(family):
    """An inverse Wishart, or gamma, density of each component's covariance: it adds to each scatter and weight."""
    scale = np.diag([1.3, 0.7, 2.0])
    given = Prior(1.5, 0.5, np.zeros(3), 5.0, scale if family in parsimonious.MATRICES else scale.diagonal())
    before, after = (fit(family, prior=given, max_iter=count, reg_covar=0) for count in (4, 5))
    statistics = reference.statistics(X, None, responsibilities(before, X), np.zeros((K, 3)))
    assert_is_step(after, one_step(family, statistics, prior=(1.5, 0.5, np.zeros(3), 5.0, scale)))


@families
@pytest.mark.parametrize("accelerate", [False, True])
def test_the_objective_never_falls(accelerate, family):
    for seed, given in enumerate([{}, {"prior": "default"}, {"n_init": 4}]):
        rows = clusters(300, 4, 4, distance=2.0)
        model = fit(family, rows, k=4, reg_covar=0, accelerate=accelerate, max_iter=80, random_state=seed, **given)
        assert (np.diff(model.lower_bounds_) >= -1e-11 * np.abs(model.lower_bounds_[1:])).all()


@families
def test_an_accelerated_fit_ends_where_em_ends(family):
    start = {"k": K, "tol": 1e-11, "max_iter": 2000, "reg_covar": 0}
    slow, fast = (fit(family, accelerate=accelerate, **start) for accelerate in (False, True))
    assert_allclose(fast.score(X), slow.score(X), rtol=1e-8)


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_bits(dtype, family):
    """Watched or not, from blocks, for any number of threads, with weights of one."""
    rows = clusters(9000, 3, K).astype(dtype)
    whole = fit(family, rows, n_threads=1)
    for other in (
        fit(family, rows, n_threads=3),
        fit(family, rows, callback=lambda state: None),
        fit(family, lambda: (rows[at : at + 2048] for at in range(0, 9000, 2048))),
        fit(family, rows, np.ones(9000)),
        fit(family, rows, missing="marginal"),
    ):
        assert_same_bits(other, whole)


@pytest.mark.parametrize("family", parsimonious.MATRICES)
def test_the_same_bits_of_many_features(family):
    """More than 64, whose products are cut into blocks; and the likelihood rises."""
    rows = clusters(900, 70, 2)
    one, two = (fit(family, rows, k=2, n_threads=n, max_iter=2, reg_covar=0) for n in (1, 2))
    assert_same_bits(one, two)
    assert (np.diff(one.lower_bounds_) >= -1e-10 * np.abs(one.lower_bounds_[1:])).all()


@families
def test_a_weight_of_two_is_the_row_twice(family):
    start = start_of(X, K, family)
    weighted, repeated = (
        begin_at(start, family, max_iter=10).fit(rows, sample_weight=w)
        for rows, w in ((X, W), (np.repeat(X, W.astype(int), axis=0), None))
    )
    assert_same_fit(weighted, repeated, 1e-6)
    tiny = begin_at(start, family, max_iter=10).fit(X, sample_weight=W * 2.0**-900)
    assert_same_fit(tiny, weighted, 1e-9)


@families
def test_float32(family):
    assert_same_fit(fit(family, X.astype(np.float32), max_iter=5), fit(family, max_iter=5), 1e-3)


@families
def test_from_dask(family):
    da = pytest.importorskip("dask.array")
    rows = clusters(20_000, 3, K)
    start = start_of(rows, K, family)
    chunked = da.from_array(rows, chunks=(3000, 3))
    found, expected = (begin_at(start, family, max_iter=4).fit(given) for given in (chunked, rows))
    assert_same_fit(found, expected, 1e-7)


@families
def test_saved_copied_and_continued(family, tmp_path):
    model = fit(family)
    model.save(tmp_path / "model.npz")
    loaded = GMM.load(tmp_path / "model.npz")
    assert loaded.covariance_type == family
    assert_same_bits(loaded, model)
    assert_same_bits(GMM.from_parameters(model.weights_, model.means_, model.covariances_, family), model, ("means_",))
    longer = fit(family, max_iter=30)
    model.set_params(warm_start=True).fit(X)
    assert_same_fit(model, longer, 1e-6, ("weights_", "means_", "covariances_"))
    model.partial_fit(X[:200]).partial_fit(X[200:])
    assert np.isfinite(model.score(X)) and FAMILIES[family].agree(np.array(model.covariances_))


@families
def test_what_is_fixed_stays(family):
    start = start_of(X, K, family)
    for name in ("weights", "means", "covariances"):
        model = begin_at(start, family, max_iter=3, fixed=name, reg_covar=0).fit(X)
        before = dict(zip(("weights", "means", "covariances"), start, strict=True))[name]
        assert_allclose(getattr(model, f"{name}_"), before, rtol=1e-12)
    with pytest.raises(ValueError, match=f"all or nothing: {family} components share {FAMILIES[family].shared}"):
        begin_at(start, family, fixed={"covariances": [True, False, False]}).fit(X)


@families
def test_steps_by_hand(family):
    start = start_of(X, K, family)
    model = GMM.from_parameters(*start, family)
    for _ in range(5):
        model = maximisation(model, expectation(model, X[:200]) + expectation(model, X[200:]))
    assert_same_fit(model, begin_at(start, family, max_iter=5).fit(X), 1e-7, ("weights_", "means_", "covariances_"))


@families
def test_a_component_without_rows(family):
    """It keeps its mean, and a covariance of the family; the others are as if it were not there."""
    weights, means, covariances = start_of(X, K, family)
    means[2] += 1e6
    start = GMM.from_parameters(weights, means, covariances, family)
    model = maximisation(start, expectation(start, X))
    assert model.weights_[2] == 0
    np.testing.assert_array_equal(model.means_[2], means[2])
    assert np.isfinite(model.covariances_).all() and FAMILIES[family].agree(np.array(model.covariances_))
    two = GMM.from_parameters([0.5, 0.5], means[:2], covariances[:2], family)
    two = maximisation(two, expectation(two, X))
    full, others = (parsimonious.expand(family, m.covariances_, 3) for m in (model, two))
    assert_allclose(full[:2], others, rtol=0, atol=1e-6 * np.abs(others).max())


@families
def test_many_starts(family):
    """Split, merged, moved and crossed components are of the family again."""
    rows = clusters(300, 3, 4, distance=1.5)
    one, many = (fit(family, rows, k=4, n_init=n_init, tol=1e-5, max_iter=200) for n_init in (1, 12))
    assert many.score(rows) >= one.score(rows) - 1e-9
    assert FAMILIES[family].agree(np.array(many.covariances_))


def test_select():
    best = select(X, [2, 3], list(parsimonious.NAMES), n_init=1, random_state=0)
    assert {row.covariance_type for row in best.table} == set(parsimonious.NAMES)
    for row in best.table:
        covariances = row.n_parameters - (row.n_components * 4 - 1)
        assert covariances == FAMILIES[row.covariance_type].n_parameters(row.n_components, 3)
    assert best.best.n_components == K


def test_select_of_one_feature():
    """The fourteen are two there: the first of each kind is tried."""
    table = select(X[:, :1], [2], list(parsimonious.NAMES), n_init=1, random_state=0).table
    assert [row.covariance_type for row in table] == ["EII", "VII"]


@families
def test_what_a_mixture_tells(family):
    """Density, sample, diagnostics, and the covariances of the rows drawn."""
    model = fit(family, n_init=2)
    full = parsimonious.expand(family, model.covariances_, 3)
    expected = reference.log_likelihoods(X, model.weights_, model.means_, full, "full")
    assert_allclose(model.score_samples(X), expected, rtol=1e-9)
    assert_allclose(model.diagnostics_.condition_numbers, np.linalg.cond(full), rtol=1e-6)
    precisions = np.linalg.inv(full) if family in parsimonious.MATRICES else 1 / model.covariances_
    assert_allclose(model.precisions_, precisions, rtol=1e-6, atol=1e-9)
    drawn, labels = model.sample(60_000)
    for c in range(K):
        assert_allclose(np.cov(drawn[labels == c].T), full[c], atol=0.06 * np.abs(full[c]).max())


def test_the_compiled_iterations_know_no_more_than_before():
    assert {family.name for family in FAMILIES.values() if family.compiled} == set(_kernels.FAMILIES)


# Rows of which no mixture can be estimated


@families
@pytest.mark.parametrize("name", degenerate.names(np.float64))
@pytest.mark.parametrize("reg_covar", [1e-6, 0])
def test_fits_survive(reg_covar, name, family):
    """As the four families do. Where something had to be held, the likelihood is that of the held scatters."""
    case = degenerate.case(name)
    model, told = repaired(model_of(case, family, reg_covar=reg_covar), case.X)
    assert_survives(model, case.X, told, falls="singular" in told)


SINGULAR = {  # cases in which no component can be estimated, and the families that say so
    "constant column": set(parsimonious.OWN) - {"EII"},
    "n < d": set(parsimonious.MATRICES),
    "collinear columns": set(parsimonious.MATRICES),
    "one row": set(parsimonious.NAMES),
}


@families
@pytest.mark.parametrize("reg_covar", [1e-6, 0])
@pytest.mark.parametrize("name", SINGULAR)
def test_what_only_a_floor_holds_is_told(name, reg_covar, family):
    case = degenerate.case(name)
    _, told = repaired(model_of(case, family, reg_covar=reg_covar), case.X)
    assert ("singular" in told) == (family in SINGULAR[name])


@families
@pytest.mark.parametrize("name", ["each row twice", "integers", "one column", "offset 1e9, spread 1"])
def test_what_can_be_estimated_is_not_told(name, family):
    assert repaired(model_of(degenerate.case(name), family), degenerate.case(name).X)[1] == ""


def test_a_shared_shape_holds_a_component_of_few_rows():
    """Two rows in three features have no covariance of their own; with a shape that others share they have one."""
    rows = np.vstack([X, [[50.0, 50.0, 50.0], [51.0, 50.0, 50.5]]])
    parts = np.eye(2)[np.append(np.zeros(len(X), int), [1, 1])]
    for family, singular in (("VVV", True), ("EVV", True), ("VEV", False), ("VEE", False), ("EEV", False)):
        model = GMM(2, covariance_type=family, responsibilities_init=parts, reg_covar=0, max_iter=0)
        _, told = repaired(model, rows)
        assert ("singular" in told) == singular, family


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_float32_far_from_what_was_learnt(family):
    """Their squared distances are no float32, though the rows are: the sums are those of float64."""
    d = 1 if FAMILIES[family].one_feature else 2
    X = np.random.default_rng(0).normal(size=(60, d)).astype(np.float32)
    X[:40] *= np.float32(1e35)
    models = [GMM(1, covariance_type=family, learning_rows=1) for _ in range(2)]
    for part in np.split(X, 3):
        models[0].partial_fit(part)
        models[1].partial_fit(part.astype(float))
    assert_allclose(models[0].means_, models[1].means_, rtol=1e-5)
    assert_allclose(models[0].covariances_, models[1].covariances_, rtol=1e-5, atol=1e-5 * models[1].covariances_.max())
