"""Accelerated EM: jumps along its steps, in coordinates that are always a mixture's; and when a run has converged."""

import itertools

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import degenerate
import parsimonious
import reference
from cgmm import GMM, Prior, fit_many, select
from cgmm.em import loop
from cgmm.em.ordinary import Leaps
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.em.trail import RADIUS, Steps, Trail
from cgmm.mixture.chart import Chart
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Fixed, Rules
from cgmm.rows.data import Complete
from cgmm.rows.floor import least_variances
from cgmm.rows.part import Part
from cgmm.rows.partition import of_partition
from cgmm.rows.place import InMemory
from gaps import cut, gappy
from problems import FITTED, assert_same_bits, clusters, mixture, start_of
from recipes import Rows
from survival import assert_survives, model_of, repaired

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning", "ignore::cgmm.DegenerateWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
OVERLAPPING = clusters(1500, 2, 3, distance=3.0)
COUNTS = np.random.default_rng(5).integers(1, 4, size=1500)


def accelerated(family, k=3, **arguments):
    arguments = {"tol": 1e-9, "max_iter": 2000, "reg_covar": 0, "random_state": 0} | arguments
    return GMM(k, covariance_type=family, accelerate=True, **arguments)


def near(family, rng, size):
    """A mixture, and one whose every parameter differs from it by about `size` of its own scale."""
    one = mixture(family, 3, 4, rng)
    weights = one.weights * np.exp(size * rng.standard_normal(4))
    means = one.means + size * rng.standard_normal((4, 3))
    stretch = np.eye(3) + size * np.tril(rng.standard_normal((3, 3)))
    covariances = one.covariances * (1 + size * rng.uniform(-1, 1, size=one.covariances.shape))
    if family in ("full", "tied"):
        covariances = stretch @ one.covariances @ stretch.T
    return one, Parameters.build(one.family, weights / weights.sum(), means, covariances)


# Coordinates


@families
def test_coordinates_are_those_of_the_mixture(family):
    one, other = near(family, np.random.default_rng(0), 0.5)
    chart = Chart(one)
    back = chart.mixture(chart.coordinates(other), Rules())
    for name in ("weights", "means", "covariances"):  # 1e-12: products of a few numbers of order one
        assert_allclose(getattr(back, name), getattr(other, name), rtol=1e-12, atol=1e-12, err_msg=name)


@families
def test_their_length_is_the_information_of_a_row(family):
    """Twice the divergence of rows and labels, Σ π_c (log π_c / π'_c + KL(N_c, N'_c)), to the first order in its size;
    a common factor of the weights is no difference."""
    size = 1e-4
    one, other = near(family, np.random.default_rng(1), size)
    chart, divergence = Chart(one), 0.0
    full, beside = (reference.expand(mix.covariances, family, 4, 3) for mix in (one, other))
    for c in range(4):
        inverse, away = np.linalg.inv(beside[c]), other.means[c] - one.means[c]
        ratio = inverse @ full[c]
        kl = 0.5 * (np.trace(ratio) - 3 - np.linalg.slogdet(ratio)[1] + away @ inverse @ away)
        divergence += one.weights[c] * (np.log(one.weights[c] / other.weights[c]) + kl)
    moved = chart.coordinates(other) - chart.middle
    moved[:4] -= np.sqrt(one.weights) * (np.sqrt(one.weights) @ moved[:4])
    assert_allclose(moved @ moved, 2 * divergence, rtol=20 * size)


@families
@pytest.mark.parametrize("length", [0.1, 3.0, 10.0])
def test_any_numbers_are_a_mixture(length, family):
    rng = np.random.default_rng(2)
    chart = Chart(mixture(family, 3, 4, rng))
    found = chart.mixture(chart.middle + length * rng.standard_normal(len(chart.middle)), Rules())
    assert_allclose(found.weights.sum(), 1, rtol=1e-14)
    assert np.isfinite(found.root).all() and np.all(found.family.root_diagonal(found.root, 4, 3) > 0)
    variances = np.linalg.eigvalsh(reference.expand(found.covariances, family, 4, 3))  # of which the least is rounding
    assert np.all(variances > -8 * np.finfo(float).eps * variances[:, -1:])


@families
def test_numbers_that_overflow_are_none(family):
    chart = Chart(mixture(family, 3, 4, np.random.default_rng(3)))
    assert chart.mixture(chart.middle + 1e6, Rules()) is None


@families
def test_what_is_fixed_keeps_its_bits(family):
    one, other = near(family, np.random.default_rng(4), 0.3)
    which = np.array([True, False, True, False])
    chart = Chart(one)
    covariances = np.ones(4, dtype=bool) if family == "tied" else which
    found = chart.mixture(chart.coordinates(other), Rules(fixed=Fixed(which, which, covariances)))
    assert_array_equal(found.weights[which], one.weights[which])
    assert_array_equal(found.means[which], one.means[which])
    assert_allclose(found.weights.sum(), 1, rtol=1e-14)
    kept = slice(None) if family == "tied" else which
    assert_array_equal(found.covariances[kept], one.covariances[kept])
    assert not np.array_equal(found.means, one.means)


# Directions


def test_the_direction_is_that_of_the_dense_matrix():
    """H⁺ = (I − s yᵀ / sᵀy) H (I − y sᵀ / sᵀy) + s sᵀ / sᵀy (Nocedal and Wright 2006, 6.17), written out."""
    rng = np.random.default_rng(0)
    curvature = np.diag(rng.uniform(0.1, 1, size=7))
    moves, step = rng.standard_normal((4, 7)), rng.standard_normal(7)
    changes = moves @ curvature
    H = np.sqrt(max(1.0, moves[-1] @ changes[-1] / (changes[-1] @ changes[-1]))) * np.eye(7)
    for s, y in zip(moves, changes, strict=True):
        left = np.eye(7) - np.outer(s, y) / (s @ y)
        H = left @ H @ left.T + np.outer(s, s) / (s @ y)
    steps = Steps(None, step, moves, changes)
    assert_allclose(steps.direction(), H @ step, rtol=1e-10)
    slowest = max((s @ s) / (s @ y) for s, y in zip(moves, changes, strict=True))
    assert_allclose(steps.remaining(), 0.5 * slowest * (step @ step), rtol=1e-12)


def test_a_trail_too_short_leads_nowhere():
    one, other = near("full", np.random.default_rng(0), 0.1)
    assert Trail().jump(Rules()) is None and Trail().remaining() == np.inf
    trail = Trail().and_then(one, other)
    assert trail.jump(Rules()) is None
    assert trail.and_then(one, other).jump(Rules()) is None  # no move
    for _ in range(20):
        trail = trail.and_then(one, other)
    assert len(trail.points) == 6 and trail.radius == RADIUS


# Fits


@families
@types
@pytest.mark.parametrize("with_prior", [False, True])
@pytest.mark.parametrize("rows", ["alike", "weighted", "gaps"])
def test_the_objective_never_falls(rows, with_prior, dtype, family):
    """float32 sums of a row are exact to its rounding, doubles to 1e-12."""
    X, w = OVERLAPPING.astype(dtype), COUNTS if rows == "weighted" else None
    prior, missing = "default" if with_prior else None, "marginal" if rows == "gaps" else "error"
    model = accelerated(family, prior=prior, missing=missing, max_iter=150)
    model.fit(gappy(X, 0.1) if rows == "gaps" else X, sample_weight=w)
    bounds = model.lower_bounds_
    rounding = 1e-12 if dtype == np.float64 or rows == "gaps" else 1e-7
    assert np.diff(bounds).min() >= -rounding * abs(bounds[-1])


@families
def test_reg_covar_takes_no_more_than_from_em(family):
    """What EM that adds ε to covariances raises is the likelihood less ½ ε Σ_c π_c tr Σ_c⁻¹: so do jumps."""
    seen = []
    arguments = {"reg_covar": 0.3, "callback": lambda state: seen.append(state.parameters), "tol": 1e-7}
    accelerated(family, **arguments).fit(OVERLAPPING)
    plain = accelerated(family, **arguments | {"tol": 1e-12, "callback": None}).set_params(accelerate=False)
    there = plain.fit(OVERLAPPING)
    assert_allclose(seen[-1].means, there.means_, atol=0.01)  # of deviations of one; they are flat at the optimum
    assert len(seen) < there.n_iter_


@families
@types
@pytest.mark.parametrize("rows", ["alike", "weighted", "gaps"])
def test_it_ends_where_em_does_after_fewer_passes(rows, dtype, family):
    X, w = OVERLAPPING.astype(dtype), COUNTS if rows == "weighted" else None
    missing = "marginal" if rows == "gaps" else "error"
    rounding = 1e-8 if dtype == np.float64 else 3e-6
    ours = accelerated(family, missing=missing, tol=rounding / 100)
    plain = accelerated(family, missing=missing, tol=rounding / 1000).set_params(accelerate=False)
    X = gappy(X, 0.1) if rows == "gaps" else X
    ours.fit(X, sample_weight=w)
    plain.fit(X, sample_weight=w)
    assert ours.converged_ and plain.converged_
    assert ours.lower_bound_ >= plain.lower_bound_ - rounding
    assert ours.diagnostics_.passes < 0.6 * plain.diagnostics_.passes


@families
@pytest.mark.parametrize("fixed", [("weights",), ("means",), {"means": np.array([True, False, False])}])
def test_what_is_fixed_stays(fixed, family):
    weights, means, _ = start_of(OVERLAPPING, 3, family)
    arguments = {"fixed": fixed, "weights_init": weights, "means_init": means, "tol": 1e-10}
    ours = accelerated(family, **arguments).fit(OVERLAPPING)
    plain = accelerated(family, **arguments).set_params(accelerate=False).fit(OVERLAPPING)
    if "weights" in fixed:
        assert_array_equal(ours.weights_, weights)
    else:
        kept = fixed["means"] if isinstance(fixed, dict) else slice(None)
        assert_array_equal(ours.means_[kept], means[kept])
    assert np.diff(ours.lower_bounds_).min() >= -1e-12
    assert ours.lower_bound_ >= plain.lower_bound_ - 1e-7


def test_fixed_covariances_have_no_share_of_reg_covar():
    """Which may be any number, and is not added to them."""
    X = 1e-6 * clusters(600, 2, 2, distance=1.5)
    precisions = np.tile(1e12 * np.eye(2), (2, 1, 1))
    begun = {"means_init": 1e-6 * np.array([[0.0, 0.0], [1.0, 1.0]]), "precisions_init": precisions}
    found = [accelerated("full", 2, fixed="covariances", **begun, reg_covar=each).fit(X) for each in (0.0, 1e300)]
    assert found[0].diagnostics_.passes == found[1].diagnostics_.passes
    assert_array_equal(found[0].means_, found[1].means_)


@families
@types
def test_threads_and_watchers_change_no_bit(dtype, family):
    X = clusters(9000, 3, 4, distance=1.5).astype(dtype)
    models = [accelerated(family, 4, max_iter=40, n_threads=n).fit(X) for n in (1, 2, 3)]
    models.append(accelerated(family, 4, max_iter=40, callback=lambda state: None).fit(X))
    for model in models[1:]:
        assert_same_bits(models[0], model, names=(*FITTED, "n_iter_", "converged_"))


@families
def test_weight_two_is_the_row_twice(family):
    """To what is left of the way to the optimum."""
    one = accelerated(family, tol=1e-12).fit(OVERLAPPING, sample_weight=COUNTS)
    other = accelerated(family, tol=1e-12).fit(np.repeat(OVERLAPPING, COUNTS, axis=0))
    assert_allclose(one.lower_bound_, other.lower_bound_, atol=1e-9)


@families
def test_blocks_and_chunks(family):
    """Sums of other blocks round otherwise: the same optimum, and the same bits for blocks of any size."""
    da = pytest.importorskip("dask.array")
    memory = accelerated(family).fit(OVERLAPPING)
    few, many = (accelerated(family).fit(lambda size=size: cut(OVERLAPPING, size)) for size in (1500, 100))
    assert_same_bits(few, many)
    chunks = accelerated(family).fit(da.from_array(OVERLAPPING, chunks=(500, 2)))
    for model in (few, chunks):
        assert_allclose(model.lower_bound_, memory.lower_bound_, atol=1e-8)


class Broken(Exception):
    pass


@families
@types
@pytest.mark.parametrize("stop", ["change", "distance"])
def test_a_checkpoint_goes_on_to_the_same_bits(stop, dtype, family, tmp_path):
    """Broken off at each of several iterations, among them some whose trail is long."""
    X, path = OVERLAPPING.astype(dtype), tmp_path / "fit"
    arguments = {"stop": stop, "checkpoint_interval": 3, "max_iter": 60}
    whole = accelerated(family, **arguments).fit(X)
    assert whole.n_iter_ > 8
    for at in (4, 8):

        def broken(state, at=at):
            if state.iteration == at:
                raise Broken

        with pytest.raises(Broken):
            accelerated(family, checkpoint=path, callback=broken, **arguments).fit(X)
        seen = []
        arguments_now = arguments | {"checkpoint": path, "callback": lambda state, to=seen: to.append(state.iteration)}
        model = accelerated(family, **arguments_now).fit(X)
        assert seen[0] in (at - at % 3 + 1, at) and not path.exists()
        assert_same_bits(model, whole, names=(*FITTED, "converged_"))
    with pytest.raises(Broken):
        accelerated(family, checkpoint=path, callback=broken, **arguments).fit(X)
    with pytest.raises(ValueError, match="accelerate was True, not False"):
        accelerated(family, checkpoint=path, **arguments).set_params(accelerate=False).fit(X)


@pytest.mark.parametrize("family", [*reference.FAMILIES, *parsimonious.OWN])
@types
@pytest.mark.parametrize("stop", ["change", "distance"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_compiled_iterations_are_pythons(weighted, stop, dtype, family):
    """Those that nobody watches are made in one compiled call: the same bits, passes, and words about them."""
    rng = np.random.default_rng(7)
    for seed, (d, k, reg_covar, tol) in enumerate([(2, 3, 1e-6, 1e-7), (4, 2, 0.5, 1e-9), (3, 4, 0.0, 0.0)]):
        X = clusters(400, d, k, seed=seed, distance=2.0).astype(dtype)
        w = rng.integers(0, 4, len(X)).astype(float) if weighted else None
        arguments = {"reg_covar": reg_covar, "tol": tol, "max_iter": 60, "stop": stop}
        one = accelerated(family, k, **arguments, callback=lambda state: None).fit(X, sample_weight=w)
        two = accelerated(family, k, **arguments).fit(X, sample_weight=w)
        assert_same_bits(two, one, names=(*FITTED, "n_iter_", "converged_", "lower_bounds_"))
        assert two.diagnostics_.passes == one.diagnostics_.passes
        assert str(two.diagnostics_) == str(one.diagnostics_)


@pytest.mark.parametrize("family", [*reference.FAMILIES, *parsimonious.OWN])
@pytest.mark.parametrize("reg_covar", [0.0, 0.1])
def test_compiled_iterations_go_on_from_any_stage(reg_covar, family):
    """As where Python has made one that was not ordinary: the next stage is Python's, with all that a jump asks."""
    data, stages = Complete(InMemory(Part(clusters(300, 2, 3, distance=2.0)))), []
    settings = Settings(Rules(reg_covar, least=least_variances(data)), max_iter=40, accelerate=True)
    start = np.arange(300) % 3
    first = Parameters.estimated(FAMILIES[family], of_partition(data.place, start, 3, FAMILIES[family]), settings.rules)
    loop.run(data, Stage.first(first[0]), settings, keep=stages.append)
    assert len(stages) > 30
    for stage, expected in itertools.pairwise(stages):
        found, ordinary = Leaps.of(data, stage.parameters, settings).advance(stage, 1)
        assert ordinary and found.lower_bounds.array().tolist() == expected.lower_bounds.array().tolist()
        assert found.trail.radius == expected.trail.radius and len(found.trail.points) == len(expected.trail.points)
        for ours, theirs in zip(found.parameters.values, expected.parameters.values, strict=True):
            assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(6))
def test_rows_that_float32_does_not_hold_are_widened_before_a_jump(seed):
    """A component that becomes narrow: from its reach on, sums are those of float64, compiled or not."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((174, 2)) * [1.0, 30.0]
    X[:58] = X[0] + 1e-3 * X[:58]
    arguments = {"tol": 0, "max_iter": 80, "init_params": "random_from_data", "random_state": seed}
    X = X.astype(np.float32)
    one = accelerated("full", 3, **arguments, callback=lambda state: None).fit(X)
    two = accelerated("full", 3, **arguments).fit(X)
    assert_same_bits(two, one, names=(*FITTED, "n_iter_", "lower_bounds_"))
    assert two.diagnostics_.passes == one.diagnostics_.passes


def test_compiled_iterations_jump(monkeypatch):
    """Of plain rows none is Python's."""
    monkeypatch.setattr(loop, "iterate", None)
    arguments = {"tol": 1e-9, "max_iter": 3000, "stop": "distance"}
    plain, model = (GMM(3, **arguments, random_state=0, accelerate=jumps).fit(OVERLAPPING) for jumps in (False, True))
    assert model.n_iter_ < plain.n_iter_ / 2 and model.converged_
    assert_allclose(model.lower_bound_, plain.lower_bound_, atol=1e-7)
    problems = [OVERLAPPING, OVERLAPPING[:200]]
    fits = fit_many(problems, 3, **arguments, accelerate=True, random_state=0)
    for one, X in zip(fits, problems, strict=True):
        alone = GMM(3, **arguments, accelerate=True, random_state=0, reg_covar="relative").fit(X)
        assert_same_bits(one, alone, names=("weights_", "means_", "covariances_", "n_iter_"))


@families
def test_restarts_selection_warm_start_and_files(family, tmp_path):
    many = accelerated(family, n_init=6).fit(OVERLAPPING)
    assert many.lower_bound_ >= accelerated(family).fit(OVERLAPPING).lower_bound_ - 1e-9
    model = accelerated(family, warm_start=True, max_iter=3).fit(OVERLAPPING)
    before = model.lower_bound_
    assert model.set_params(max_iter=500).fit(OVERLAPPING).lower_bound_ >= before
    model.save(tmp_path / "model")
    loaded = GMM.load(tmp_path / "model")
    assert loaded.accelerate and loaded.stop == "change"
    assert_array_equal(loaded.predict(OVERLAPPING), model.predict(OVERLAPPING))
    found = select(OVERLAPPING, [2, 3], family, n_init=2, random_state=0, accelerate=True)
    plain = select(OVERLAPPING, [2, 3], family, n_init=2, random_state=0, accelerate=False)
    for ours, theirs in zip(found.table, plain.table, strict=True):
        assert ours.log_likelihood >= theirs.log_likelihood - 1500 * 1e-5  # select's tol of 1e-6, EM's distance tenfold


@families
@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
@pytest.mark.parametrize("name", degenerate.names())
def test_degenerate_rows_are_survived(name, reg_covar, family):
    case = degenerate.case(name)
    model = model_of(case, family, reg_covar=reg_covar, accelerate=True, tol=1e-9)
    fitted, told = repaired(model, case.X)
    assert_survives(fitted, case.X, told, falls=reg_covar > 0)  # by what Σ_c tr Σ_c⁻¹ gains: docs/acceleration.md


def test_a_prior_of_ones_own():
    model = accelerated("full", prior=Prior(2.0, 0.5, degrees_of_freedom=6), reg_covar=0.1, tol=1e-10)
    plain = accelerated("full", prior=Prior(2.0, 0.5, degrees_of_freedom=6), reg_covar=0.1, tol=1e-12)
    plain.set_params(accelerate=False)
    assert_allclose(model.fit(OVERLAPPING).means_, plain.fit(OVERLAPPING).means_, atol=1e-3)
    assert model.n_iter_ < plain.n_iter_


# Convergence


def test_aitkens_distance():
    settings = Settings(tol=1e-3, stop="distance")
    assert not settings.settled(np.inf, 1e-5)  # one change tells nothing of the rate
    assert not settings.settled(1.0001e-5, 1e-5)  # 1e-10 / 1e-9 = 0.1 is left
    assert settings.settled(2e-5, 1e-5)  # 1e-5 is left
    assert settings.settled(np.float64(2e-5), np.float64(1e-5)) is True
    assert not settings.settled(5e-3, 2e-3)  # it still changes by more than tol
    assert not settings.settled(1e-5, 2e-5)  # it gathers speed
    assert settings.settled(1e-3, 0.0) and settings.settled(1e-3, -1e-16)  # rounding
    assert Settings(tol=1e-3).settled(1.0001e-5, 1e-5)


@families
@pytest.mark.parametrize("accelerate", [False, True])
def test_distance_is_what_is_left(accelerate, family):
    """Within three times tol; the change of EM, here, stops further from the end."""
    limit = accelerated(family, tol=1e-14, max_iter=10_000).set_params(accelerate=False).fit(OVERLAPPING).lower_bound_
    for tol in (1e-5, 1e-7):
        arguments = {"tol": tol, "accelerate": accelerate}
        model = accelerated(family).set_params(stop="distance", **arguments).fit(OVERLAPPING)
        other = accelerated(family).set_params(**arguments).fit(OVERLAPPING)
        assert model.converged_ and limit - model.lower_bound_ < 3 * tol
        assert model.n_iter_ >= other.n_iter_


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("callback", [None, lambda state: None], ids=["compiled", "one by one"])
@types
def test_a_tol_beyond_all_products_is_met_at_once(dtype, callback):
    """Two changes tell how far it is; of rows in chunks, too, whose sums are NumPy's, which warns of what is none."""
    X = clusters(120, 3, 3, distance=2.0).astype(dtype)
    model = GMM(3, stop="distance", tol=1e308, means_init=100 * np.eye(3), callback=callback)
    for rows in (X, [X[:50], X[50:]], da.from_array(X, chunks=(40, 3))):
        assert model.fit(rows).converged_ and model.n_iter_ <= 3


@families
@types
def test_compiled_iterations_stop_at_the_same_distance(dtype, family):
    X = clusters(500, 3, 3, distance=2.0).astype(dtype)
    model = GMM(3, covariance_type=family, stop="distance", tol=1e-6, max_iter=500, random_state=0)
    one = model.fit(X)
    other = GMM(**model.get_params() | {"callback": lambda state: None}).fit(X)
    assert_same_bits(one, other, names=(*FITTED, "n_iter_", "converged_"))


@pytest.mark.filterwarnings(
    "error::RuntimeWarning", "ignore::cgmm.DegenerateWarning", "ignore::cgmm.ConvergenceWarning"
)
def test_moves_beyond_all_numbers_are_not_followed():
    """Rows of every size: the products of moves are larger than doubles, and no jump is made of them."""
    X = Rows(17, 2, ("nasty",), 100, 100, "float64", "C", 6).build()
    model = GMM(5, init_params="random_from_data", accelerate=True, random_state=4, max_iter=200).fit(X)
    assert np.isfinite(model.lower_bounds_).all()


@pytest.mark.filterwarnings(
    "error::RuntimeWarning", "ignore::cgmm.DegenerateWarning", "ignore::cgmm.ConvergenceWarning"
)
def test_jumps_to_means_without_squares_are_refused_without_a_word():
    """The prior's moments about them are no numbers."""
    X = Rows(55, 3, ("nasty",), 100, 100, "float64", "C", 1).build()
    labels, ones = np.random.default_rng(5).integers(0, 8, 55), np.ones((8, 3))
    labels[:8] = np.arange(8)
    prior = Prior(1.0, 0.01, np.zeros(3), 1e6, 1e6, "density")
    fixed = {"covariances": np.arange(8) % 2 == 0}
    model = GMM(8, covariance_type="diag", precisions_init=ones, fixed=fixed, prior=prior, reg_covar=0.0, tol=1e-3,
                stop="distance", accelerate=True, random_state=0)  # fmt: skip
    assert np.isfinite(model.fit(X, labels=labels).lower_bounds_).all()


def test_steps_whose_squares_vanish_are_not_followed():
    """Beside a variance of 1e300 the rows' own moves are nothing: the square of their length is zero."""
    rows = np.full((6, 1), np.nan)
    rows[3] = 7.1
    settings = {"reg_covar": 1e300, "means_init": [[0.0], [7.1]], "missing": "marginal", "tol": 0.0, "accelerate": True}
    model = GMM(2, covariance_type="tied", random_state=1, learning_rows=1, **settings)
    for _ in range(2):  # the first batch is fitted, the second is learnt
        model.partial_fit(rows, labels=[-1, -1, -1, -1, 1, 0])
    assert np.isfinite(model.means_).all()
