"""Runs of EM abreast: each is what it is by itself, to the bit, whoever else runs and with however many threads."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import degenerate
import reference
from cgmm import GMM, _kernels, select
from cgmm.em import abreast, loop, ordinary
from cgmm.em.abreast import Division, Outlines, Wanted, Watch, answered, clocked, in_turn, run_all, together
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.fit.split_merge import closeness, split_and_merge
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.sketches import Sketches
from cgmm.mixture.target import Point
from problems import assert_same_bits, clusters, data_of
from runs import assert_same_fits, settings_of, stages_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning", "ignore::cgmm.DegenerateWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
ONE = [(1, 1)]
SHAPES = [(3, 1, 1), (7, 2, 1), (33, 3, 2), (500, 5, 7), (300, 9, 40), (1025, 2, 3)]


@families
@types
@pytest.mark.parametrize("n, d, k", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_each_run_is_what_it_is_by_itself(weighted, n, d, k, dtype, family):
    w = np.random.default_rng(n).integers(1, 4, size=n) * 0.5 if weighted else None
    data = data_of(clusters(n, d, k).astype(dtype), w)
    settings = settings_of(data)
    stages = stages_of(data, k, family, settings)
    alone = [loop.run(data, stage, settings) for stage in stages]
    for n_threads in (1, 2, 5):
        assert_same_fits(run_all([Wanted(data, stages, settings_of(data, n_threads))])[0], alone)


def divisions_of(data, k, family, settings):
    """Starts by labels, some of them with empty components."""
    X, rng, target = data.at_hand().rows, np.random.default_rng(0), Point(FAMILIES[family])
    methods = [
        starts.METHODS["random_from_data"],
        starts.METHODS["kmeans"],
        starts.of_parts(rng.integers(k, size=len(X))),
    ]
    for at in range(5):
        parts = np.asarray(methods[at % 3](X, k, rng, data.at_hand().weights, 1), dtype=np.intp)
        method = starts.of_parts(parts)
        yield Division(
            parts,
            FAMILIES[family],
            k,
            lambda method=method: Stage.first(*starts.start(data, k, target, method, rng, settings.rules)),
        )


@families
@types
@pytest.mark.parametrize("n, d, k", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_so_is_each_run_from_a_division(weighted, n, d, k, dtype, family):
    """The M-step of labels is made in the compiled call; where that is not ordinary, in Python."""
    w = np.random.default_rng(n).integers(1, 4, size=n) * 0.5 if weighted else None
    data = data_of(clusters(n, d, k).astype(dtype), w)
    settings = settings_of(data)
    divisions = list(divisions_of(data, k, family, settings))
    alone = [loop.run(data, division.stage(), settings) for division in divisions]
    for n_threads in (1, 2):
        assert_same_fits(run_all([Wanted(data, divisions, settings_of(data, n_threads))])[0], alone)


@pytest.mark.parametrize("family", sorted(name for name, own in FAMILIES.items() if not own.one_feature))
@pytest.mark.parametrize("reg_covar, widened", [(1e-6, 1.0), (0.0, 1e-30)])
def test_so_is_each_run_from_an_outline(reg_covar, widened, family):
    """Covariances are held, and share what they are to, in the compiled call; where one has no root, in Python."""
    data = data_of(clusters(200, 3, 4))
    settings = settings_of(data, reg_covar=reg_covar)
    least = settings.rules.floor(3)
    fits = [stage.parameters for stage in stages_of(data, 4, family, settings)]
    sums = np.cumsum([closeness(fit, least) for fit in fits], axis=1)
    bounds = np.full(3, -9.0), np.full(3, 9.0)
    sketches = split_and_merge(Sketches.of(fits), sums, bounds, np.random.default_rng(0))
    sketches = sketches._replace(covariances=sketches.covariances * widened)
    outlines = Outlines(sketches, lambda at: Stage.first(sketches.held(at, least)))
    found = run_all([Wanted(data, outlines, settings)])[0]
    assert_same_fits(run_all([Wanted(data, outlines, settings_of(data, 2, reg_covar))])[0], found)
    for at, fit in enumerate(found):
        alone = loop.run(data, outlines[at], settings)
        assert_allclose(fit.lower_bounds, alone.lower_bounds, rtol=1e-9)


def test_a_division_of_other_rows_is_a_start_as_well():
    data, sample = data_of(clusters(200, 3, 2)), data_of(clusters(200, 3, 2)[::2].copy())
    settings = settings_of(data)
    divisions = list(divisions_of(sample, 2, "full", settings))
    alone = [loop.run(data, division.stage(), settings) for division in divisions]
    assert_same_fits(run_all([Wanted(data, divisions, settings)])[0], alone)


@families
@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
@pytest.mark.parametrize("name", degenerate.names())
def test_nor_do_degenerate_rows_change_that(name, reg_covar, family):
    """Covariances are held, components starve, likelihoods fall: Python goes on from where that happened."""
    case = degenerate.case(name)
    data = data_of(np.array(case.X, dtype=float))
    settings = settings_of(data, reg_covar=reg_covar)
    stages = stages_of(data, case.n_components, family, settings)
    alone = [loop.run(data, stage, settings) for stage in stages]
    assert_same_fits(run_all([Wanted(data, stages, settings_of(data, 2, reg_covar))])[0], alone)


def test_runs_of_several_sizes_rows_and_families_go_together():
    wanted, alone = [], []
    for n, d, k in SHAPES:
        for family in (*reference.FAMILIES, "VVE"):
            data = data_of(clusters(n, d, k))
            settings = settings_of(data, 2)
            stages = stages_of(data, k, family, settings, count=2)
            wanted.append(Wanted(data, stages, settings))
            alone.append([loop.run(data, stage, settings_of(data)) for stage in stages])
    for found, own in zip(run_all(wanted), alone, strict=True):
        assert_same_fits(found, own)


def test_ordinary_runs_are_not_left_to_python(monkeypatch):
    def run(*_):
        raise AssertionError("a run in Python")

    monkeypatch.setattr(abreast, "run", run)
    data = data_of(clusters(500, 4, 3))
    settings = settings_of(data)
    for family in reference.FAMILIES:
        fits = run_all([Wanted(data, stages_of(data, 3, family, settings), settings)])[0]
        assert all(len(fit.lower_bounds) > 1 for fit in fits)


@pytest.mark.parametrize(
    "case",
    [
        {"accelerate": True},
        {"tol": 0.0, "max_iter": 7},
        {"max_iter": 0},
        {"stop": "distance"},
    ],
    ids=str,
)
def test_whatever_steers_them(case):
    data = data_of(clusters(200, 3, 4))
    settings = settings_of(data, 2, **case)
    stages = stages_of(data, 4, "full", settings)
    assert_same_fits(
        run_all([Wanted(data, stages, settings)])[0],
        [loop.run(data, stage, settings_of(data, **case)) for stage in stages],
    )


def test_a_run_that_goes_on_from_another_is_that_run():
    """Its likelihood before the first iteration is known, and may fall."""
    data = data_of(clusters(200, 3, 4))
    settings = settings_of(data)
    first = loop.run(data, stages_of(data, 4, "full", settings, 1)[0], settings._replace(max_iter=5))
    stage = Stage.first(first.parameters, (), first.lower_bound)
    assert_same_fits(run_all([Wanted(data, [stage], settings)])[0], [loop.run(data, stage, settings)])


def test_what_fails_in_a_thread_is_raised(monkeypatch):
    def lift(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(ordinary.matrices, "lift", lift)
    X = clusters(50, 3, 2)
    X[:, 1] = 7.0
    data = data_of(X)
    settings = settings_of(data, 2, reg_covar=0.0)
    parameters = Parameters.build(FAMILIES["full"], np.full(2, 0.5), X[:2].copy(), np.stack([np.eye(3)] * 2))
    with pytest.raises(MemoryError, match="no room"):
        run_all([Wanted(data, [Stage.first(parameters)] * 6, settings)])


def test_starts_that_do_not_fit_are_refused():
    data = data_of(clusters(50, 3, 2))
    settings = settings_of(data)
    part = data.at_hand()
    limits = ordinary.arguments_of(data, part, FAMILIES["full"], settings)["limits"]
    values = stages_of(data, 2, "full", settings, 1)[0].parameters.values
    with pytest.raises(ValueError, match="starts of shape"):
        _kernels.Runs(
            part.rows, 2, "full", "full", None, limits, None, None, [v[None, :1] for v in values], 0, 0, False, ONE
        )
    labels = np.zeros((2, 50), dtype=np.intp)
    for bad in (labels[:, :49].copy(), labels - 1, labels + 2):
        with pytest.raises(ValueError, match=r"labels must be \(2, 50\), all of 0 … 1"):
            _kernels.Runs(part.rows, 2, "full", "full", None, limits, None, None, bad, 0, 0, False, [(1, 2)])
    with pytest.raises(ValueError, match="M-step of full covariances does not take diag moments"):
        _kernels.Runs(
            part.rows, 2, "diag", "full", None, limits, None, None, [v[None] for v in values], 0, 0, False, ONE
        )


def test_askings_go_together_or_in_turn():
    """Each is sent its own fits, however long the others go on."""
    data = data_of(clusters(100, 2, 2))
    settings = settings_of(data)
    stages = stages_of(data, 2, "full", settings, 3)
    alone = [loop.run(data, stage, settings) for stage in stages]
    rounds = []

    def asking(which, times):
        found = []
        for _ in range(times):
            rounds.append(which)
            fits = yield [Wanted(data, [stages[which]], settings), Wanted(data, [], settings)]
            assert fits[1] == []
            found += fits[0]
        return found

    for way, order in ((together, [0, 1, 2, 0, 2, 2]), (in_turn, [0, 0, 1, 2, 2, 2])):
        rounds.clear()
        found = answered(way(asking(which, times) for which, times in ((0, 2), (1, 1), (2, 3))))
        assert rounds == order
        for which, fits in enumerate(found):
            assert_same_fits(fits, [alone[which]] * len(fits))
    assert answered(together([])) == []


def test_a_watch_counts_the_seconds_of_runs_and_of_what_is_between():
    data = data_of(clusters(500, 4, 3))
    settings = settings_of(data, tol=0.0, max_iter=50)
    watch = Watch()

    def asking():
        yield [Wanted(data, stages_of(data, 3, "full", settings), settings, watch)]
        return watch.seconds

    assert answered(clocked(asking(), watch)) > 0
    assert watch.seconds > 0


@pytest.mark.parametrize("n_init", [2, 6, "auto"])
def test_a_search_is_the_same_for_any_number_of_threads(n_init):
    X = clusters(120, 3, 4)
    one, two, five = (
        GMM(4, n_init=n_init, random_state=0, tol=1e-5, n_threads=n_threads).fit(X) for n_threads in (1, 2, 5)
    )
    assert_same_bits(one, two)
    assert_same_bits(one, five)


def test_so_is_a_selection():
    X = clusters(120, 3, 4)
    tables = [
        [row._replace(seconds=0.0) for row in select(X, range(1, 5), n_init=4, random_state=0, n_threads=n).table]
        for n in (1, 3)
    ]
    assert tables[0] == tables[1]


IN_A_CYCLE = """
import gc
import numpy as np
from cgmm import GMM
from cgmm.em.abreast import Ends

plain = Ends.__init__

def in_a_cycle(self, *given):
    plain(self, *given)
    self.itself = self

Ends.__init__ = in_a_cycle
X = np.random.default_rng(0).normal(size=(300, 2))
for seed in range(10):
    GMM(5, n_init=8, random_state=seed).fit(X)
    gc.collect()
"""


def test_runs_that_the_garbage_collector_ends():
    """As those are that an exception's traceback keeps: what they hold may be gone before they are."""
    assert subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", IN_A_CYCLE], check=False).returncode == 0
