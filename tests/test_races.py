"""Races of runs of EM: the same fit wins, to the bit, whether a compiled call or Python begins each round."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import degenerate
import reference
from cgmm import GMM, _kernels
from cgmm.em import abreast, ordinary
from cgmm.em.abreast import Race, Round, Wanted, run_all
from cgmm.em.stage import Stage
from cgmm.fit.leaning import leaning, leans
from cgmm.fit.restarts import SHORT, halving
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.rules import EMPTIED, Repair
from problems import clusters, data_of
from runs import assert_same_fits, settings_of, stages_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning", "ignore::cgmm.DegenerateWarning")
ALL = pytest.mark.parametrize("family", sorted(name for name, own in FAMILIES.items() if not own.one_feature))
ROUNDS = (Round(3, 4), Round(6, 2), Round(40, 1))


def ranked(fits, d, reg_covar):
    """The numbers of fits, from the best on."""
    ranks = [
        (
            not fit.degenerate,
            not leans(fit.parameters.family, fit.parameters.root, fit.masses, d, reg_covar),
            fit.lower_bound,
        )
        for fit in fits
    ]
    return sorted(range(len(ranks)), key=ranks.__getitem__, reverse=True)


def again(fit):
    repairs = [repair._replace(iteration=0) for repair in fit.repairs if repair.row is None]
    return Stage.first(fit.parameters, repairs)


def race(rounds=ROUNDS, d=3, reg_covar=1e-6):
    def best_first(fits):
        return ranked(fits, d, reg_covar)

    return Race(rounds, best_first, leaning(d), again)


def by_hand(data, stages, settings, rounds):
    """The number of the winner and its fit: each round by itself, as its definition says."""
    numbers, fits = list(range(len(stages))), None
    for iterations, left in rounds:
        short = settings._replace(max_iter=min(iterations, settings.max_iter))
        if fits is None:
            fits = [abreast.run(data, stage, short) for stage in stages]
        else:
            fits = [fit if fit.converged and len(fits) > 1 else abreast.run(data, again(fit), short) for fit in fits]
        order = ranked(fits, data.d, settings.rules.reg_covar)[:left]
        numbers, fits = [numbers[at] for at in order], [fits[at] for at in order]
    return numbers[0], fits[0]


def assert_as_by_hand(data, stages, settings, rounds=ROUNDS):
    """That the same start wins with the same fit; what it is."""
    d, reg_covar = data.d, settings.rules.reg_covar
    number, alone = by_hand(data, stages, settings, rounds)
    own = race(rounds, d, reg_covar)
    assert_same_fits(run_all([Wanted(data, stages, settings, race=own)])[0], [alone])
    assert own.winner == number
    return alone


@ALL
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("accelerate", [False, True])
def test_the_winner_is_that_of_rounds_one_by_one(accelerate, weighted, dtype, family):
    w = np.random.default_rng(0).integers(1, 4, size=200) * 0.5 if weighted else None
    data = data_of(clusters(200, 3, 5).astype(dtype), w)
    for n_threads in (1, 2, 5):
        settings = settings_of(data, n_threads, accelerate=accelerate, max_iter=200)
        assert_as_by_hand(data, stages_of(data, 4, family, settings, count=7), settings)


@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
@pytest.mark.parametrize("name", degenerate.names())
def test_so_it_is_of_degenerate_rows(name, reg_covar, family):
    """Covariances are held, components starve, likelihoods fall: Python goes on, or begins again."""
    case = degenerate.case(name)
    data = data_of(np.array(case.X, dtype=float))
    settings = settings_of(data, 2, reg_covar)
    assert_as_by_hand(data, stages_of(data, case.n_components, family, settings), settings)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("seed", range(40))
def test_of_equals_the_one_that_was_better_before_wins(seed, dtype):
    """Though no run is left behind after the first round."""
    data = data_of(clusters(100, 2, 2, seed).astype(dtype))
    settings = settings_of(data)
    assert_as_by_hand(data, stages_of(data, 2, "full", settings, count=3), settings, (Round(3, 3), Round(40, 1)))


def test_repairs_of_the_start_are_told():
    """Beside those of covariances that were held in some round."""
    data = data_of(flat_and_round())
    settings, told = settings_of(data, reg_covar=0.0), set()
    for count in (1, 4):
        for stage in stages_of(data, 5, "full", settings, count=6):
            start = stage._replace(repairs=(Repair(0, 2, EMPTIED),))
            told.add(len(assert_as_by_hand(data, [start] * count, settings).repairs))
    assert len(told) > 1 and min(told) == 1


def flat_and_round(n=60):
    """Rows of which ten are nearly equal: components there are held, or lean on reg_covar."""
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(size=(n, 2)), rng.normal(size=(10, 2)) * 1e-5 + 4.0])
    X[-5:, 0] = 4.0
    return X


@pytest.mark.parametrize("reg_covar", [0.0, 1e-9, 1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("family", ["full", "tied", "diag", "spherical", "EEI", "VEV", "VVE"])
def test_what_is_held_or_leans_stands_below(monkeypatch, family, reg_covar):
    """The compiled code ranks runs as Python does, whose ranks hardly ever count otherwise."""
    called = []

    def short(wanted, starts, at):
        called.append(at)
        return original(wanted, starts, at)

    original = abreast._short
    monkeypatch.setattr(abreast, "_short", short)
    data = data_of(flat_and_round())
    settings = settings_of(data, reg_covar=reg_covar)
    assert_as_by_hand(data, stages_of(data, 5, family, settings, count=9), settings)
    if family != "spherical":
        assert not called


def test_races_go_together_with_other_runs():
    data = data_of(clusters(300, 4, 3))
    settings = settings_of(data, 2)
    wanted, alone = [], []
    for family in reference.FAMILIES:
        stages = stages_of(data, 3, family, settings)
        wanted += [Wanted(data, stages, settings, race=race(d=data.d)), Wanted(data, stages, settings)]
        alone += [
            [by_hand(data, stages, settings, ROUNDS)[1]],
            [abreast.run(data, stage, settings) for stage in stages],
        ]
    for found, own in zip(run_all(wanted), alone, strict=True):
        assert_same_fits(found, own)


def test_passes_and_seconds_of_all_rounds_count():
    data = data_of(clusters(200, 3, 5))
    settings, watch = settings_of(data, tol=0.0), abreast.Watch()
    stages = stages_of(data, 4, "full", settings, count=7)
    before = data.place.passes.begun
    run_all([Wanted(data, stages, settings, watch, race())])
    assert data.place.passes.begun - before == 7 * 3 + 4 * 6 + 2 * 40
    assert watch.seconds > 0


def test_rounds_have_never_more_runs_than_before():
    data = data_of(clusters(50, 3, 2))
    settings = settings_of(data)
    part, values = data.at_hand(), stages_of(data, 2, "full", settings, 1)[0].parameters.values
    limits = ordinary.arguments_of(data, part, FAMILIES["full"], settings)["limits"]
    for rounds in ([(1, 2)], [(1, 0)], [(0, 1)], [(1, 1), (1, 2)]):
        with pytest.raises(ValueError, match="rounds must be pairs of iterations and of runs left"):
            _kernels.Runs(
                part.rows, 2, "full", "full", None, limits, None, None, [v[None] for v in values], 0, 0, False, rounds
            )


@pytest.mark.parametrize(
    "count, max_iter, rounds",
    [
        (16, 1000, [(10, 4), (20, 1)]),
        (64, 1000, [(10, 16), (20, 4), (40, 1)]),
        (3, 1000, [(10, 1)]),
        (64, 25, [(10, 16), (15, 1)]),
        (16, 7, [(7, 1)]),
        (16, 0, [(0, 1)]),
    ],
)
def test_halving_takes_twice_the_iterations_for_a_part_of_the_runs(count, max_iter, rounds):
    assert SHORT == 10
    assert halving(count, max_iter) == rounds


@pytest.mark.parametrize("family", ["full", "VVE", "tied", "diag"])
def test_a_fit_is_the_same_whoever_makes_its_rounds(monkeypatch, family):
    """Of several starts; where a callback looks on, Python makes each run to its end."""
    X = clusters(200, 2, 4)
    model = GMM(4, covariance_type=family, n_init=6, random_state=0, tol=1e-6, max_iter=300)
    found = model.fit(X)
    seen = GMM(
        4, covariance_type=family, n_init=6, random_state=0, tol=1e-6, max_iter=300, callback=lambda state: None
    ).fit(X)
    assert [one.kind for one in found.diagnostics_.restarts] == [one.kind for one in seen.diagnostics_.restarts]
    assert_array_equal(found.means_, seen.means_)


def test_a_weight_may_be_as_large_as_numbers_are():
    """Weights are then in units of 2^1024, which is no number."""
    X, weights = clusters(200, 2, 4), np.full(200, 1e290)
    weights[0] = 1.6e308
    model = GMM(4, n_init=5, random_state=0).fit(X, sample_weight=weights)
    assert np.isfinite(model.score(X)) and len(model.diagnostics_.restarts) == 5
