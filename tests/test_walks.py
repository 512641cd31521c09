"""Splits and mergers along fits of ever more components: the same, to the bit, whether a compiled call makes the way or
Python each race."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import degenerate
from cgmm import _kernels, select
from cgmm.em.walk import Step, Walk
from cgmm.fit.neighbours import steps_of
from cgmm.fit.restarts import NEAR
from cgmm.mixture import matrices
from cgmm.mixture.families import FAMILIES
from problems import clusters
from runs import walk_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
ALL = pytest.mark.parametrize("family", sorted(name for name, own in FAMILIES.items() if not own.one_feature))


def test_steps_go_up_by_splits_and_down_by_mergers():
    up = [Step(0, False, 1), Step(1, False, 2)]
    assert steps_of([1, 2, 3]) == [*up, Step(2, False, -1), Step(-1, True, 2), Step(2, True, 1)]


def test_steps_leave_gaps_between_numbers_of_components():
    own = [Step(1, False, -1), Step(-1, True, 1)]
    assert steps_of([1, 3]) == own
    assert steps_of([3]) == [Step(0, False, -1), Step(-1, True, 0)]
    assert steps_of([1]) == [] == steps_of([])
    assert steps_of([1, 2])[-1] == Step(-1, True, 1)  # no merger to one component, of which all starts end alike


class Made:
    """Counts the steps that compiled calls make, and the calls that end before the last; or has them make none."""

    def __init__(self, monkeypatch, none=False):
        self.made = self.left = 0
        original = Walk.fits

        def fits(walk, path):
            found = original(walk, None if none else path)
            self.made, self.left = self.made + len(found), self.left + (len(found) < len(walk.steps))
            return found

        if none:
            monkeypatch.setattr(Walk, "compiled", lambda walk: None)
        monkeypatch.setattr(Walk, "fits", fits)


def both(X, *arguments, **more):
    """A selection on either way, and what Made counts of it."""
    with pytest.MonkeyPatch.context() as patch:
        counted = Made(patch)
        found = select(X, *arguments, random_state=0, **more)
    with pytest.MonkeyPatch.context() as patch:
        plain = Made(patch, none=True)
        other = select(X, *arguments, random_state=0, **more)
    assert not plain.made
    return found, other, counted.made, counted.left


def assert_same(found, other):
    for own, its in zip(found.table, other.table, strict=True):
        assert own._replace(seconds=0.0) == its._replace(seconds=0.0)
    ours, theirs = found.best, other.best
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert len(ours.diagnostics_.restarts) == len(theirs.diagnostics_.restarts)
    for one, its in zip(ours.diagnostics_.restarts, theirs.diagnostics_.restarts, strict=True):
        assert_array_equal(one.lower_bounds, its.lower_bounds)
        assert one._replace(lower_bounds=None) == its._replace(lower_bounds=None)


@ALL
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("accelerate", [False, True])
def test_a_walk_ends_where_its_races_do(accelerate, weighted, dtype, family):
    w = np.random.default_rng(0).integers(1, 4, size=150) * 0.5 if weighted else None
    X = clusters(150, 3, 5).astype(dtype)
    for n_threads, sizes in ((1, range(1, 7)), (3, [2, 3, 5])):
        found, other, made, left = both(
            X, sizes, family, sample_weight=w, accelerate=accelerate, n_threads=n_threads, max_iter=200
        )
        assert_same(found, other)
        assert made > 2 * left


def test_any_number_of_threads_makes_the_same_walk():
    X = clusters(300, 3, 5)
    alone = select(X, range(1, 6), random_state=0, n_threads=1)
    for n_threads in (2, 5):
        found, other, made, left = both(X, range(1, 6), n_threads=n_threads)
        assert_same(found, other)
        for one, its in zip(found.table, alone.table, strict=True):
            assert one._replace(seconds=0.0) == its._replace(seconds=0.0)
        assert made > 2 * left


@pytest.mark.parametrize("family", ["E", "V"])
def test_so_it_is_of_one_feature(family):
    found, other, made, _ = both(clusters(120, 1, 3), range(1, 6), family)
    assert_same(found, other)
    assert made


@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
@pytest.mark.parametrize("name", degenerate.names())
def test_so_it_is_of_degenerate_rows(name, reg_covar):
    """Covariances are held, components starve, likelihoods fall: Python makes that step, and compiled calls go on."""
    X = np.array(degenerate.case(name).X, dtype=float)
    sizes = range(1, min(5, len(X)) + 1)
    found, other, _, _ = both(X, sizes, reg_covar=reg_covar, max_iter=50)
    assert_same(found, other)


@pytest.mark.parametrize("name", ["EEV", "VVE", "full", "diag"])
def test_of_several_starts_and_of_more_components_than_are_tried(name):
    found, other, made, left = both(clusters(400, 2, 12), range(10, 14), name, n_init=3)
    assert_same(found, other)
    assert made + left == 8
    assert NEAR < 10


def test_some_steps_are_left_to_python_and_those_after_them_are_not():
    """Ten rows that are nearly equal: their component's covariance is held."""
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(10, 2)) * 1e-5 + 4.0])
    found, other, made, left = both(X, range(1, 8), reg_covar=0.0)
    assert_same(found, other)
    assert made and left


@pytest.mark.parametrize(
    "X, more",
    [
        (clusters(100, 30, 2), {}),  # eigenvectors of so many features are NumPy's
        (clusters(100, 2, 2), {"noise_component": "uniform"}),
        (clusters(100, 2, 2), {"prior": "mclust"}),
        (np.where(np.arange(200).reshape(100, 2) % 37 == 0, np.nan, clusters(100, 2, 2)), {"missing": "marginal"}),
        (clusters(100, 2, 2), {"sample_weight": np.arange(100) % 9}),  # starts look at a part of the rows
    ],
    ids=["features", "noise", "prior", "gaps", "weights of zero"],
)
def test_what_no_compiled_call_makes_is_made_by_python(X, more):
    found, other, made, _ = both(X, range(1, 4), ["full", "diag"], **more)
    assert_same(found, other)
    assert not made


def test_rounds_are_no_longer_than_runs():
    found, other, made, _ = both(clusters(100, 2, 2), range(1, 4), ["full", "diag"], max_iter=1)
    assert_same(found, other)
    assert made


def test_passes_and_seconds_are_counted():
    X = clusters(200, 3, 3)
    found, other, made, _ = both(X, range(1, 4), "full")
    assert made == 5
    assert found.best.diagnostics_.passes == other.best.diagnostics_.passes
    assert all(row.seconds > 0 for row in found.table)


def test_a_walk_that_leads_nowhere_is_refused():
    with pytest.raises(ValueError, match="least, low and high must be of 2 features"):
        walk_of(edges=3)
    for step in ((-1, False, 1), (2, False, 1), (0, False, 2)):
        with pytest.raises(ValueError, match="step 0 is of no fit, or for none"):
            walk_of(steps=[step])
    for steps, ks in (([(0, False, 1)], (1, 3)), ([(0, True, 1)], (1, 1))):
        with pytest.raises(ValueError, match="step 0 leads to"):
            _kernels.advance_all([walk_of(steps=steps, ks=ks)])
    for more in ({"near": 0}, {"rounds": [(1, 1)]}):
        with pytest.raises(ValueError, match="a walk is of Runs that are known"):
            walk_of(**more)
    with pytest.raises(ValueError, match="zip"):
        walk_of(ranks=[3])
    walk = walk_of(steps=[])
    _kernels.advance_all([walk])
    assert walk.done == []
    with pytest.raises(ValueError, match="each is made once"):
        _kernels.advance_all([walk, walk])


def test_a_walk_keeps_the_winner_of_each_step():
    walk = walk_of(steps=[(0, False, 1), (1, False, -1), (-1, True, 1)], ks=(2, 3))
    _kernels.advance_all([walk])
    assert [runs.alive.tolist() for runs in walk.done] == [[0]] * 3 and walk.left is None
    assert [len(runs.now(0)[0]) for runs in walk.done] == [3, 4, 3]
    for runs in walk.done:
        assert len(runs.ended) == 1 and runs.passes[0] > len(runs.bounds(0))
        with pytest.raises(IndexError):
            runs.now(1)


@pytest.mark.parametrize("families", ["full", None])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_exception_in_a_walk_is_raised(monkeypatch, n_threads, families):
    """A walk has begun, and then no matrix can be held."""
    compiled, lift, begun = Walk.compiled, matrices.lift, []

    def begin(walk):
        begun.append(walk)
        return compiled(walk)

    def fail(*arguments):
        if begun:
            raise MemoryError("no room")
        return lift(*arguments)

    monkeypatch.setattr(Walk, "compiled", begin)
    monkeypatch.setattr(matrices, "lift", fail)
    X = np.concatenate([clusters(60, 2, 2), np.zeros((20, 2)), np.ones((20, 2))])
    with pytest.raises(MemoryError, match="no room"):
        select(X, range(1, 6), families, reg_covar=0.0, random_state=0, n_threads=n_threads)
    assert begun
