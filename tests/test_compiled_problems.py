"""Many problems in one compiled call: the bits of GMM one by one in Python, for any threads; and what is left to it."""

import signal
import threading
import warnings
from _thread import interrupt_main

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import parsimonious
import reference
from cgmm import GMM, _kernels
from cgmm.em import problems
from cgmm.em.ordinary import held_at_the_end, with_held
from cgmm.em.problems import Solutions, Task
from cgmm.fit.request import request_of
from cgmm.mixture.families import FAMILIES
from problems import CHUNK, clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning", "ignore::cgmm.DegenerateWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
shared = pytest.mark.parametrize("family", parsimonious.OWN)  # families whose components share something
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
SHAPES = [(1, 1, 1), (3, 1, 1), (7, 2, 1), (33, 3, 2), (150, 4, 3), (CHUNK + 1, 5, 7), (3 * CHUNK, 17, 9), (300, 64, 3)]
SHAPES += [(8191, 1, 31), (5000, 2, 4)]
NAMES = {value: name for name, value in _kernels.STATUSES.items()}


def solved(model, rows, weights=None, n_threads=1, seeds=None):
    """The Solutions of problems (a list of arrays) that a model asks for, and the Task."""
    asked, d = request_of(model), rows[0].shape[1]
    task = Task.of(asked.settings, asked.family, asked.k, d, criteria=True)
    out = Solutions.empty(len(rows), asked.family, asked.k, d)
    draws = _kernels.uniforms_of(asked.k)
    generators = [asked.generator()] if seeds is None else [np.random.default_rng(seed) for seed in seeds]
    uniforms = np.array([generator.random(draws) for generator in generators])
    problems.solve(task, rows, weights, uniforms, out, n_threads)
    return out


def in_python(model, X, w=None):
    """The same model fitted iteration by iteration, for somebody looks on."""
    return GMM(**{**model.get_params(), "callback": lambda state: None}).fit(X, sample_weight=w)


def assert_solution(out, i, model, X, w=None):
    """That a problem's results are a fitted model's, to the bit."""
    state = model._state
    fit, rules = state.fit, state.settings.rules
    sums = model._evaluations(X, w).sums()
    expected = {
        "weights": fit.parameters.weights,
        "means": fit.parameters.means,
        "covariances": fit.parameters.covariances,
        "roots": fit.parameters.root,
        "n_k": fit.n_k,
        "exponent": fit.exponent,
        "lower_bound": fit.lower_bound,
        "n_iter": len(fit.lower_bounds),
        "converged": fit.converged,
        "log_likelihood": sums.log_likelihood,
        "total_weight": sums.number,
        "least": rules.least,
        "reg_covar": rules.reg_covar,
    }
    assert NAMES[out.status[i]] == "fitted"
    for name, value in expected.items():
        assert_array_equal(getattr(out, name)[i], value, err_msg=name)


@families
@types
@pytest.mark.parametrize("n, d, k", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_problem_has_the_bits_of_a_fit(weighted, n, d, k, dtype, family, target):
    X = clusters(n, d, k).astype(dtype)
    w = 1e200 * np.random.default_rng(n).uniform(0.5, 3, n) if weighted else None
    for tol, reg_covar, stop in (1e-3, 1e-6, "change"), (1e-7, "relative", "distance"):
        model = GMM(k, covariance_type=family, tol=tol, reg_covar=reg_covar, stop=stop, max_iter=40, random_state=3)
        assert_solution(solved(model, [X], [w]), 0, in_python(model, X, w), X, w)


@shared
@types
@pytest.mark.parametrize("n, d, k", [(7, 2, 1), (60, 1, 2), (150, 4, 3), (CHUNK + 1, 5, 7), (500, 20, 9)])
def test_nor_does_what_components_share(n, d, k, dtype, family):
    X, w = clusters(n, d, k).astype(dtype), np.random.default_rng(n).uniform(0.5, 3, n)
    model = GMM(k, covariance_type=family, tol=1e-7, reg_covar="relative", max_iter=30, random_state=3)
    assert_solution(solved(model, [X], [w]), 0, in_python(model, X, w), X, w)


@pytest.mark.parametrize("family", [*reference.FAMILIES, "EEI", "VEE", "EVE", "VEV"])
def test_any_number_of_threads_has_the_bits_of_one(family):
    """Problems of all sizes and both types beside each other, of which some are left to Python, each with its seed."""
    rng = np.random.default_rng(0)
    rows = [clusters(int(n), 3, 2).astype(rng.choice(["f4", "f8"])) for n in rng.integers(2, 3000, size=80)]
    rows[7], rows[60] = rows[7] * np.nan, np.zeros((50, 3))
    weights = [rng.uniform(1, 2, len(X)) if i % 3 else None for i, X in enumerate(rows)]
    model = GMM(2, covariance_type=family, random_state=0, tol=1e-6)
    one = solved(model, rows, weights, 1, range(80))
    assert [NAMES[status] for status in one.status[[7, 60]]] == ["rows", "flat"] and (one.status == 0).sum() > 60
    for n_threads in 2, 3, 200:
        for a, b in zip(one, solved(model, rows, weights, n_threads, range(80)), strict=True):
            assert_array_equal(a, b)
    for i in np.flatnonzero(one.status == 0)[::9]:
        assert_solution(
            one, i, in_python(model.set_params(random_state=int(i)), rows[i], weights[i]), rows[i], weights[i]
        )


def test_one_problem_has_the_bits_of_many_threads_within_it():
    X = clusters(8000, 20, 12)
    model = GMM(12, random_state=1)
    for a, b in zip(solved(model, [X]), solved(model, [X], n_threads=3), strict=True):
        assert_array_equal(a, b)


@types
@pytest.mark.parametrize("layout", ["columns", "stack", "reversed", "fortran"])
def test_rows_may_lie_in_memory_as_they_like(layout, dtype):
    X = clusters(400, 6, 2).astype(dtype)
    rows = {
        "columns": list(X.T[:, :, np.newaxis]),
        "stack": list(np.broadcast_to(X, (2, *X.shape))),
        "reversed": [X[::-2, ::-1]],
        "fortran": [np.asfortranarray(X)],
    }[layout]
    model = GMM(2, random_state=0)
    found, packed = solved(model, rows), solved(model, [np.array(each, order="C") for each in rows])
    assert not found.status.any()
    for a, b in zip(found, packed, strict=True):
        assert_array_equal(a, b)


GOOD = clusters(60, 2, 2)
LEFT = {
    "rows": [
        GOOD.astype(int),
        GOOD[:, 0],
        GOOD[:, :1],
        GOOD[:0],
        GOOD.tolist(),
        GOOD * np.nan,
        np.where(GOOD[3, 1] == GOOD, np.inf, GOOD),
        GOOD * 1e141,
        (GOOD * 1e16).astype(np.float32),
        (GOOD * [1, 1e-17]).astype(np.float32),
    ],
    "size": [GOOD[:1], np.repeat(GOOD, 200, axis=0)],
    "flat": [GOOD * [1, 0], GOOD * 1e-170],
    "start": [GOOD + 1e20, np.full((60, 2), 3.0)],
}


@pytest.mark.parametrize("name, at", [(name, at) for name, rows in LEFT.items() for at in range(len(rows))])
def test_what_is_left_to_python(name, at):
    """And the problems beside it are fitted."""
    model = GMM(2, reg_covar=0.0, random_state=0)
    out = solved(model, [GOOD, LEFT[name][at], GOOD])
    assert [NAMES[status] for status in out.status] == ["fitted", name, "fitted"]
    for array in out[1:]:
        assert_array_equal(array[0], array[2])
    assert np.isnan(out.weights[1]).all() and np.isnan(out.least[1]).all() and not out.n_iter[1]


def columns_of_tables(n, d, rng):
    """Rows as tables have them, by name: many zeros, counts, few values, some equal rows, features that are equal."""
    equal = rng.normal(size=(n, d))
    equal[n // 3 :] = 5.0
    zeros = rng.lognormal(size=(n, d)) * (rng.random((n, d)) > 0.6)
    return {
        "zeros": zeros,
        "more zeros": zeros * (rng.random((n, d)) > 0.7),
        "counts": rng.poisson(3, size=(n, d)).astype(float),
        "few values": rng.integers(1, 5, size=(n, d)) - 0.01,
        "equal rows": equal,
        "collinear": rng.normal(size=(n, 1)) * np.arange(1.0, d + 1),
    }


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.compiled])
@types
@pytest.mark.parametrize("d", [1, 3])
def test_covariances_that_are_held_have_the_bits_of_a_fit(d, dtype, family):
    """Of rows with few different values, of which most fits were left to Python: ten to forty times as slow."""
    if FAMILIES[family].one_feature and d > 1:
        pytest.skip("of rows of a single feature only")
    rng = np.random.default_rng(d)
    fitted, held = 0, 0
    for k, reg_covar in (2, "relative"), (4, 1e-6), (4, 0.0):
        for X in columns_of_tables(300, d, rng).values():
            X = X.astype(dtype)
            w = rng.uniform(0.5, 2, size=len(X)) if k == 4 else None
            model = GMM(k, covariance_type=family, reg_covar=reg_covar, random_state=0, on_degenerate="repair")
            out = solved(model, [X], [w])
            if not out.status[0]:
                alone = in_python(model, X, w)
                assert_solution(out, 0, alone, X, w)
                assert with_held((), out.held[0] or (), 0) == alone._state.fit.repairs
                assert held_at_the_end(out.held[0] or (), out.n_iter[0]) == alone._state.fit.singular
                assert len(out.held[0] or ()) <= 2 * k  # not one for each iteration
                held += bool(out.held[0])
            fitted += not out.status[0]
    # float32 rows of components that shrink go on in float64: how many do, rounding says.
    assert fitted >= 3 and (held >= 2 or FAMILIES[family].shared or dtype == np.float32)


@pytest.mark.parametrize(
    "weights",
    [
        np.r_[0.0, np.ones(59)],
        np.r_[-1.0, np.ones(59)],
        np.r_[np.nan, np.ones(59)],
        np.r_[np.inf, np.ones(59)],
        np.full(60, 1e308),
        np.r_[1e-300, np.full(59, 1e30)],
    ],
    ids=["zero", "negative", "nan", "inf", "no sum", "vanishing"],
)
def test_weights_that_are_left_to_python(weights):
    out = solved(GMM(2, random_state=0), [GOOD, GOOD], [weights, None])
    assert [NAMES[status] for status in out.status] == ["weights", "fitted"]


@pytest.mark.parametrize("weights", [np.ones(59), np.ones(60, dtype=np.float32), np.ones(120)[::2], [1.0] * 60])
def test_weights_that_are_no_array_for_a_pass_are_left_to_python(weights):
    assert NAMES[solved(GMM(2, random_state=0), [GOOD], [weights]).status[0]] == "rows"


@families
def test_an_iteration_in_which_something_is_decided_is_left_to_python(family):
    """A float32 component that shrinks until the pass turns to float64; one that collapses onto equal rows."""
    rng = np.random.default_rng(0)
    narrow = np.repeat([[0.0, 0.0], [1.0, 3.0], [4.0, -1.0]], 200, axis=0)
    narrow = (narrow + 1e-4 * rng.standard_normal(narrow.shape)).astype(np.float32)
    out = solved(GMM(3, covariance_type=family, reg_covar=0.0, random_state=0), [narrow])
    assert NAMES[out.status[0]] == "unusual"


def test_what_a_task_is_not_for():
    """A prior, fixed parts, no iteration; or problems that are each large enough for one call."""

    def task(k=3, d=2, **arguments):
        asked = request_of(GMM(k, **arguments))
        return Task.of(asked.settings, asked.family, k, d)

    assert task() is not None
    assert task(fixed="means", means_init=np.zeros((3, 2))) is None
    assert task(max_iter=0) is None
    assert task(k=32) is None and task(d=65) is None


def test_arrays_that_do_not_fit():
    asked = request_of(GMM(2))
    task, u = Task.of(asked.settings, asked.family, 2, 2), np.zeros(_kernels.uniforms_of(2))
    out = Solutions.empty(1, asked.family, 2, 2)
    with pytest.raises(ValueError, match=r"uniforms must be \(1 or 1, 3\)"):
        problems.solve(task, [GOOD], None, u[:2], out)
    with pytest.raises(ValueError, match="status must be a writeable array of 2 × 1 numbers of type uint8"):
        problems.solve(task, [GOOD, GOOD], None, u, out)
    with pytest.raises(ValueError, match="means must be a writeable array"):
        problems.solve(task, [GOOD], None, u, out._replace(means=np.empty((1, 2, 2), dtype=np.float32)))
    with pytest.raises(ValueError, match="fewer than 32 components"):
        u = np.zeros(_kernels.uniforms_of(32))
        problems.solve(task._replace(k=32), [GOOD], None, u, Solutions.empty(1, asked.family, 32, 2))
    problems.solve(task, [], None, u[:3], out.part(slice(0, 0)))


@pytest.fixture
def ctrl_c():
    """Python's answer to it, for a parent may have had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_it(ctrl_c):
    asked = request_of(GMM(2, tol=0.0, max_iter=10_000_000, random_state=0))
    task = Task.of(asked.settings, asked.family, 2, 2)
    out = Solutions.empty(50, asked.family, 2, 2)
    timer = threading.Timer(0.05, interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt), warnings.catch_warnings():
        problems.solve(task, [GOOD] * 50, None, asked.generator().random(3), out, 2)
    timer.join()
    assert_array_equal(out.status[25:], 0)
    assert np.isnan(out.weights[-1]).all()


@pytest.mark.parametrize("n", [1, CHUNK, 3 * CHUNK + 5])
def test_the_sum_over_rows(n):
    """Σ_i w_i v_i; a row of weight zero may have no finite value."""
    rng = np.random.default_rng(n)
    v, w = rng.normal(size=n), rng.uniform(size=n)
    tolerance = {"rtol": 0, "atol": n * np.finfo(float).eps * 10}
    np.testing.assert_allclose(_kernels.total_of_rows(v), v.sum(), **tolerance)
    np.testing.assert_allclose(_kernels.total_of_rows(v, w), (v * w).sum(), **tolerance)
    v[0], w[0] = np.nan, 0.0
    assert np.isfinite(_kernels.total_of_rows(v, w))
    assert _kernels.total_of_rows(np.empty(0)) == 0.0
    with pytest.raises(ValueError, match="row weights"):
        _kernels.total_of_rows(v, np.ones(n + 1))


@families
@types
@pytest.mark.parametrize("n, d, k", [(3, 1, 1), (150, 4, 3), (CHUNK + 1, 5, 7)])
def test_a_plain_fit_is_one_call(n, d, k, dtype, family, monkeypatch):
    """And tells what one tells that is made in Python."""
    X = clusters(n, d, k).astype(dtype)
    model = GMM(k, covariance_type=family, random_state=2)
    slow = in_python(model, X)
    monkeypatch.setattr("cgmm.fit.starts.start", None)  # not asked for
    fast = model.fit(X)
    assert_array_equal(fast._state.fit.lower_bounds, slow._state.fit.lower_bounds)
    assert_array_equal(fast.covariances_, slow.covariances_)
    assert fast.diagnostics_.passes == slow.diagnostics_.passes
    assert [restart.kind for restart in fast.diagnostics_.restarts] == ["kmeans"]


@pytest.mark.parametrize("name", ["size", "start"])
def test_a_generator_is_as_a_fit_in_python_leaves_it(name):
    """Whether the call has drawn from it in vain or not."""
    for X in (GOOD, LEFT[name][1]):
        one, two = np.random.default_rng(5), np.random.default_rng(5)
        model = GMM(2, reg_covar=0.0, random_state=one).fit(X)
        other = in_python(GMM(2, reg_covar=0.0, random_state=two), X)
        assert one.random() == two.random()
        assert_array_equal(model.covariances_, other.covariances_)
