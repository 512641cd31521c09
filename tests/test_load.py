"""Under load: what else runs in this process, or beside it, neither waits for a pass nor changes a bit of it."""

import functools
import json
import multiprocessing
import os
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from cgmm import _kernels
from cgmm.em.ordinary import Limits
from cgmm.em.problems import Solutions, Task
from cgmm.em.settings import Settings
from cgmm.mixture import matrices
from cgmm.mixture.density import distances_to
from cgmm.mixture.families import FAMILIES
from cgmm.rows.measured import density_of
from cgmm.rows.pruning import guide_of
from problems import CHUNK, clusters, mixture, patterns_of
from programs import output
from runs import walk_of

# The GIL. Arrays beside the rows are so small (500 elements) that NumPy does not release it on its own account.

D, K = 12, 2
ROWS = clusters(20 * CHUNK, D, K)
MIXTURE = mixture("full", D, K, np.random.default_rng(0))
GUIDE = guide_of(MIXTURE, ROWS.dtype)
MEASURED = density_of(MIXTURE, 3, gapped=False)
HOLES = np.where(np.arange(D) == 1, np.nan, ROWS)
LIMITS = Limits(np.full(D, 1e-300), 0.0, 0.0, 0.0, 0.0, 0.0, np.inf, np.inf, np.inf)
ITERATIONS = _kernels.Iterations(
    ROWS,
    K,
    "full",
    "full",
    None,
    LIMITS,
    matrices.lift,
    1,
)
PARAMETERS = MIXTURE.weights, MIXTURE.means, MIXTURE.covariances, MIXTURE.root
GROUPS = patterns_of(HOLES).by_pattern
LABELS = np.arange(len(ROWS)) % K
SHARES = np.ones((K, len(ROWS)))
DISTANCES = distances_to(ROWS[:K].copy())
MATRICES = np.repeat(np.eye(64)[np.newaxis], 64, axis=0)
UNIFORMS = np.full((1, _kernels.uniforms_of(K)), 0.5)
TASK = Task.of(Settings(max_iter=5), FAMILIES["full"], K, D)
SOLUTIONS = Solutions.empty(1, FAMILIES["full"], K, D)


def runs():
    """An iteration from two starts, and two more from the better."""
    starts = [np.repeat(array[np.newaxis], 2, axis=0) for array in PARAMETERS]
    return _kernels.Runs(
        ROWS, K, "full", "full", None, LIMITS, matrices.lift, None, starts, 0.0, 0.0, False, [(1, 2), (2, 1)]
    )


PASSES = {
    "populate": lambda: _kernels.populate(ROWS),
    "column_means": lambda: _kernels.column_means(ROWS),
    "all_within": lambda: _kernels.all_within(ROWS, 1e150),
    "expectation": lambda: _kernels.expectation(ROWS, MIXTURE.density, "full"),
    "evaluate": lambda: _kernels.evaluate(ROWS, MIXTURE.density, "labels"),
    "assign": lambda: _kernels.assign(ROWS, DISTANCES),
    "closer": lambda: _kernels.closer(ROWS, DISTANCES, np.empty(len(ROWS)), np.empty((K, len(ROWS)))),
    "plus_plus": lambda: _kernels.plus_plus(ROWS, K, np.full(_kernels.uniforms_of(K), 0.5)),
    "lloyd": lambda: _kernels.lloyd(ROWS, ROWS[:K].copy(), 5, 0.0),
    "fit_problems": lambda: _kernels.fit_problems([ROWS[:5000]], None, UNIFORMS, TASK, SOLUTIONS, matrices.lift),
    "order_of_rows": lambda: _kernels.order_of_rows(ROWS, np.ones(D)),
    "truth": lambda: _kernels.truth(ROWS, MEASURED, np.ones(ROWS.shape), False),
    "eigenvectors": lambda: _kernels.eigenvectors(MATRICES.copy()),
    "Runs": lambda: _kernels.advance_all([runs()]),
    "Walk": lambda: _kernels.advance_all([walk_of(n=5000)]),
    "sums_of_rows": lambda: _kernels.sums_of_rows(ROWS, MIXTURE.density),
    "order_in_space": lambda: _kernels.order_in_space(ROWS, 16),
    "share_of_work": lambda: _kernels.share_of_work(ROWS, MIXTURE.density, "full", GUIDE, len(ROWS)),
    "Iterations": lambda: ITERATIONS.advance(*PARAMETERS, -np.inf, np.inf, np.empty(0), 0.0, 0.0, False, 2),
    "moments_of_labels": lambda: _kernels.moments_of_labels(ROWS, LABELS, K, "full", 0.0),
    "moments_of_shares": lambda: _kernels.moments_of_shares(ROWS, SHARES, "full", 0.0, 2),
    "roots": lambda: _kernels.roots(MATRICES),
    "held_roots": lambda: _kernels.held_roots(MATRICES, np.ones((1, 64)), 0.0, 0.0),
    "expectation_of_groups": lambda: _kernels.expectation_of_groups(HOLES, MIXTURE.density, "full", GROUPS),
    "evaluate_groups": lambda: _kernels.evaluate_groups(HOLES, MIXTURE.density, "labels", GROUPS),
    "regress": lambda: _kernels.regress(ROWS, np.zeros((K, D)), np.zeros((K, D)), np.ones((K, D, D))),
    "predictions": lambda: _kernels.predictions(
        ROWS, MIXTURE.density, np.zeros((K, D)), np.zeros((K, 2)), np.ones((K, D, 2)), np.ones((K, 2, 2))
    ),
    "condition": lambda: _kernels.condition(MATRICES, np.arange(64), 32),
    "grams": lambda: _kernels.grams(MATRICES),
    "fma_rate": lambda: _kernels.fma_rate("f8", 1, 10**6),
}
OTHERS = {
    "Expectation",  # of which expectation is one part
    "advance_all",  # of Runs, or of Walks
    "total_of_logs",
    "column_sums",  # and deviations of these
    "condition_numbers",
    "closeness",
    "split_each",
    "merge_each",
    "each_leans",
    "least_left_each",
    "coordinates",  # of mixtures, and jumps from there
    "at_coordinates",
    "curved",
    "deviations",
    "direction",
    "remaining_of",
    "inner_product",
    "added_share",
    "joined",
    "sum_of_squares",
    "total",
    "total_of_rows",
    "uniforms_of",
    "weighted_median",
    "cholesky",
    "log_products",
    "log_norms",
    "central_moments",
    "reach",
    "available_targets",
    "target",
    "set_target",
    "openmp",
    "usable_threads",
    "least_share",
    "end_idle_threads",
    "has_waited",
}


def test_these_are_all_passes():
    public = {
        name
        for name, value in vars(_kernels).items()
        if not name.startswith("_") and callable(value) and value.__module__ == _kernels.__name__
    }
    assert public - OTHERS == PASSES.keys()


@pytest.fixture
def gil_is_not_asked_for():
    """A thread that waits for the GIL does not ask its holder for it within a test."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", PASSES)
def test_the_gil_is_released(name, gil_is_not_asked_for):
    """Another thread wakes up while passes run one after the other: it can only if one of them lets it."""
    PASSES[name]()  # what is imported and computed once is done
    gate, awake = threading.Lock(), threading.Event()
    gate.acquire()
    other = threading.Thread(target=lambda: (gate.acquire(), awake.set()))
    other.start()
    gate.release()
    end = time.monotonic() + 20
    while not awake.is_set() and time.monotonic() < end:
        PASSES[name]()
    beside = awake.is_set()
    other.join()
    assert beside


# Threads

PRELUDE = """
import hashlib, itertools, json, multiprocessing, os, pickle, sys, threading, time, warnings
from multiprocessing.pool import ThreadPool
import numpy as np
from cgmm import GMM, kmeans
from cgmm.mixture.families import FAMILIES
warnings.simplefilter("ignore")
FAMILY = ["full", "tied", "diag", "spherical"]
STARTS = ["kmeans", "k-means++", "random", "random_from_data"]
VERBS = ["predict", "predict_proba", "score_samples", "score", "bic", "aic", "icl", "sample"]
X = np.random.default_rng(0).normal(size=(20_000, 9))
X += 4 * (np.arange(20_000) % 5)[:, np.newaxis] * (np.arange(9) < 3)

def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()

def answer(model, verb, rows):
    if verb == "sample":
        return digest(*model.sample(100))
    return digest(getattr(model, verb)(rows))

def results(q):
    "Of a fit and all that follows from it; the type of rows, family, start, and number of components vary with q."
    rows = X.astype(["f8", "f4"][q % 2])
    model = GMM(4 + q % 2, covariance_type=FAMILY[q % 4], init_params=STARTS[q // 4], random_state=q, max_iter=4,
                tol=0, n_threads=2)
    model.fit(rows)
    return [digest(model.weights_, model.means_, model.covariances_, model.precisions_, model.lower_bounds_),
            digest(*kmeans(rows, 4, random_state=q, n_threads=2)[:2]),
            *(answer(model, verb, rows) for verb in VERBS)]
"""

SEPARATE = """
expected = [results(q) for q in range(8)]
begin = threading.Barrier(8)

def thread(q):
    begin.wait()
    return [results(q), results((q + 1) % 8)]

sys.setswitchinterval(1e-5)
found = ThreadPool(8).map(thread, range(8), chunksize=1)
assert found == [[expected[q], expected[(q + 1) % 8]] for q in range(8)]
"""

SHARED = """
begin = threading.Barrier(8)
sys.setswitchinterval(1e-5)
pool = ThreadPool(8)
for family in FAMILY:
    model = GMM(5, covariance_type=family, random_state=0, max_iter=4).fit(X)
    expected = [answer(model, verb, X) for verb in VERBS]

    def thread(q):
        begin.wait()
        return [answer(fresh, VERBS[(q + r) % 8], X) for r in range(8)]

    fresh = pickle.loads(pickle.dumps(model))  # all that it will know but its parameters is yet to be computed
    assert pool.map(thread, range(8), chunksize=1) == [expected[q:] + expected[:q] for q in range(8)]
"""


def test_eight_threads_fit_as_one():
    """Each its own models, all at once."""
    output(PRELUDE + SEPARATE)


def test_eight_threads_use_a_model_as_one():
    output(PRELUDE + SHARED)


REFIT = """
verbs = sys.argv[1:]
small, large = (GMM(k, random_state=0, max_iter=3).fit(X[:500]) for k in (2, 3))
model = pickle.loads(pickle.dumps(small))
expected = {verb: {answer(small, verb, X[:500]), answer(large, verb, X[:500])} for verb in verbs}
wrong = []

def read(verb):
    "Until the answer has changed often."
    last, changes = None, 0
    while changes < 10 and not wrong:
        try:
            now = answer(model, verb, X[:500])
        except Exception as error:
            now = repr(error)
        if now not in expected[verb]:
            wrong.append((verb, now))
        changes += now != last
        last = now

sys.setswitchinterval(1e-5)
reading = ThreadPool(8).map_async(read, list(itertools.islice(itertools.cycle(verbs), 8)), chunksize=1)
while not reading.ready():
    for k in (3, 2):
        model.set_params(n_components=k).fit(X[:500])
reading.get()
assert not wrong, wrong[0]
"""


@pytest.mark.parametrize(
    "verbs",
    [
        ["predict", "predict_proba", "score_samples", "score", "sample"],
        ["bic", "aic", "icl"],
    ],
    ids="-".join,
)
def test_a_model_is_used_while_it_is_fitted(verbs):
    """Eight threads ask a model that another thread fits with 2, 3, 2, 3 … components: each answer is of a fit."""
    output(PRELUDE + REFIT, *verbs)


# Other processes

PROCESSES = """
method = sys.argv[1]
model = GMM(5, random_state=0, max_iter=5, n_threads=2)
unfitted = pickle.loads(pickle.dumps(model))
expected = digest(model.fit(X).means_, model.predict_proba(X), kmeans(X, 5, random_state=0).centers)

def check(run):
    "run(function, *arguments) runs the function in another process."
    again, clusters = run(unfitted.fit, X), run(kmeans, X, 5, random_state=0)
    assert digest(again.means_, run(model.predict_proba, X), clusters.centers) == expected

if method == "loky":
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    with Parallel(n_jobs=2, backend="loky") as parallel:  # the rows, of more than 1 MB, as a read-only memory map
        check(lambda function, *arguments, **named: parallel([delayed(function)(*arguments, **named)])[0])
    get_reusable_executor().shutdown()
else:
    with multiprocessing.get_context(method).Pool(2) as pool:
        check(lambda function, *arguments, **named: pool.apply(function, arguments, named))
"""


@pytest.mark.parametrize("method", [*multiprocessing.get_all_start_methods(), "loky"])
def test_other_processes_find_the_same_bits(method):
    """After a fit in this process, which has left threads behind."""
    if method == "loky":
        pytest.importorskip("joblib")
    output(PRELUDE + PROCESSES, method)


FORK = """
def in_child(run):
    "Fork; in the child run() and end; the child's process id."
    child = os.fork()
    if child == 0:
        try:
            run()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child

def assert_ends_well(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def check():
    assert results(0) == expected

expected = results(0)
"""

FORKS = {
    "threads_in_the_child": """
        def threads():
            check()
            assert ThreadPool(4).map(results, [0] * 4, chunksize=1) == [expected] * 4
        assert_ends_well(in_child(threads))
    """,
    "fits_in_other_threads": """
        begin, end = threading.Barrier(3), threading.Event()
        def fit():
            check(), begin.wait()
            while not end.is_set():
                check()
        others = [threading.Thread(target=fit) for _ in range(2)]
        [other.start() for other in others]
        begin.wait()
        for _ in range(5):
            assert_ends_well(in_child(check))
        end.set()
        [other.join() for other in others]
    """,
    "another_thread_in_a_computed_property": """
        inside, leave = threading.Event(), threading.Event()
        family = type(FAMILIES["full"])
        real = family.whitening
        def whitening(*arguments):
            if threading.current_thread() is other:
                inside.set(), leave.wait()
            return real(*arguments)
        family.whitening = whitening
        other = threading.Thread(target=check)
        other.start(), inside.wait()
        child = in_child(check)
        assert_ends_well(child)
        leave.set(), other.join()
    """,
    "by_a_thread_that_ends_in_the_child": """
        children = []
        def fit_and_fork():
            check()
            children.append(os.fork())
            if results(0) != expected:
                os._exit(1)
        for _ in range(2):
            thread = threading.Thread(target=fit_and_fork)
            thread.start(), thread.join()
        [assert_ends_well(child) for child in children]
    """,
    "in_a_callback": """
        children = []
        def callback(state):
            if state.iteration == 3:
                children.append(os.fork())
        model = GMM(3, random_state=0, max_iter=6, tol=0, n_threads=2)
        expected = digest(model.fit(X).means_, model.lower_bounds_)
        model.set_params(callback=callback).fit(X)
        same = digest(model.means_, model.lower_bounds_) == expected
        if children == [0]:
            os._exit(0 if same else 1)
        assert same, assert_ends_well(children[0])
    """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("case", FORKS)
def test_a_fork_neither_hangs_nor_differs(case):
    output(PRELUDE + FORK + textwrap.dedent(FORKS[case]))


# The environment

ENVIRONMENT = """
def problems():
    "Name, model, rows: of overlapping components."
    for n, d, k in json.loads(sys.argv[1]):
        rng = np.random.default_rng(d)
        means = 2 * rng.standard_normal((k, d)) / np.sqrt(d)
        rows = means[rng.integers(k, size=n)] + rng.standard_normal((n, d))
        root = np.eye(d) + np.tril(rng.standard_normal((d, d)), -1) / (4 * np.sqrt(d))
        precision = np.einsum("ij,kj->ik", root, root)
        given = {"full": [precision] * k, "tied": precision, "diag": [np.ones(d)] * k, "spherical": np.ones(k)}
        for family in FAMILY:
            starts = [{"init_params": start} for start in STARTS[: 4 if n > 10_000 else 1]]
            for q, start in enumerate([*starts, {"means_init": means, "precisions_init": given[family]}]):
                settings = {"covariance_type": family, "random_state": 0, "tol": 0, "max_iter": 4}
                yield f"{n} {d} {k} {family} {q}", GMM(k, **settings, **start), rows

found = {}
for name, model, rows in problems():
    for dtype in ("f8", "f4"):
        model.fit(rows.astype(dtype))
        fitted = model.weights_, model.means_, model.covariances_, model.precisions_, model.lower_bounds_
        found[name + dtype] = digest(*fitted, model.sample(500)[0], model.predict_proba(rows))
print(json.dumps(found))
"""


GIVEN = """
(d,) = json.loads(sys.argv[1])
root = np.eye(d) + np.tril(np.random.default_rng(d).standard_normal((d, d))) / np.sqrt(d)
covariance = np.einsum("ij,kj->ik", root, root)
model = GMM.from_parameters([0.5, 0.5], np.zeros((2, d)), [covariance, 2 * covariance])
print(json.dumps({"given": digest(model.precisions_cholesky_, model.precisions_)}))
"""

ESTIMATED = ((20 * 1024 + 129, 5, 7), (9000, 33, 5), (1500, 130, 3), (1000, 301, 2))
HELD = ((40, 30, 2), (60, 64, 2))  # fewer rows of a component than features


@functools.cache
def found(program, shapes, blas, openmp):
    """The digest of each fit."""
    shapes = json.dumps(shapes)
    return json.loads(output(PRELUDE + program, shapes, OPENBLAS_NUM_THREADS=blas, OMP_NUM_THREADS=openmp))


def differences(program, shapes, *environment):
    """The fits that differ in an environment from those that are found without any threads."""
    alone, other = found(program, shapes, 1, 1), found(program, shapes, *environment)
    assert alone.keys() == other.keys()
    return [name for name in other if other[name] != alone[name]]


one_of_both = pytest.mark.full("the environment in which both have more threads than processors")


@pytest.mark.parametrize(
    "blas, openmp",
    [
        (4, 3),
        *(pytest.param(*other, marks=one_of_both) for other in ((2, 1), (1, 2), (None, None))),
    ],
)
def test_the_environment_changes_no_bit(blas, openmp):
    """Of fits of four families from five starts, in shapes for which a BLAS would use its threads."""
    assert len(found(ENVIRONMENT, ESTIMATED, blas, openmp)) == 88
    assert differences(ENVIRONMENT, ESTIMATED, blas, openmp) == []


def test_the_environment_changes_no_bit_of_held_covariances():
    """LAPACK finds the axes by which they are held: in few features, without its threads."""
    assert differences(ENVIRONMENT, HELD, 2, 1) == []


@pytest.mark.parametrize("d", [pytest.param(d, marks=pytest.mark.full("d = 513")) for d in (130, 301)] + [513])
def test_the_environment_changes_no_bit_of_given_covariances(d):
    assert differences(GIVEN, (d,), 2, 1) == []
