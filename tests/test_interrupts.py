"""What may come between any two lines or in the middle of a pass: another thread's fit, a signal, a failure.

An answer is of one fit, and a fit that does not end well leaves the model as it was.
"""

import gc
import json
import os
import sys
import warnings

import numpy as np
import pytest

import cgmm
from cgmm import GMM
from problems import begin_at, clusters, start_of
from programs import output
from steps import at_each_line

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
]


def raise_(error):
    raise error


@pytest.fixture
def unsynced(monkeypatch):
    """A file need not reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture
def collected():
    """What is lost is collected before the test ends."""
    yield
    gc.collect()


def may_leave_files_open(test):
    """Between two lines of a with statement, no line is left to close them."""
    return pytest.mark.filterwarnings("ignore::ResourceWarning")(pytest.mark.usefixtures("collected")(test))


# Another thread's fit ends


def saved(model, X, path):
    model.save(path)
    return facts(GMM.load(path))


def facts(model):
    return model.weights_, model.means_, model.covariances_, model.lower_bounds_, model.converged_


VERBS = {
    "predict": lambda model, X, path: model.predict(X),
    "predict_proba": lambda model, X, path: model.predict_proba(X),
    "score_samples": lambda model, X, path: model.score_samples(X),
    "score": lambda model, X, path: model.score(X),
    "bic": lambda model, X, path: model.bic(X),
    "aic": lambda model, X, path: model.aic(X),
    "icl": lambda model, X, path: model.icl(X),
    "impute": lambda model, X, path: [model.impute(np.where(X > 0, X, np.nan))],
    "sample": lambda model, X, path: model.sample(20),
    "expectation": lambda model, X, path: vars(cgmm.expectation(model, X)).values(),
    "save": saved,
}


def told(value, error=None):
    """What a verb answers, comparable: bits, or an error."""
    if error is not None:
        return repr(error)
    parts = [value] if isinstance(value, np.ndarray | float) else list(value)
    return [(np.shape(part), np.asarray(part).tobytes()) for part in parts]


def answer_of(run):
    try:
        return told(run())
    except ValueError as error:
        return told(None, error)


def fit_of(model):
    """The attributes that are not constructor arguments."""
    arguments = model.get_params()
    return {name: value for name, value in vars(model).items() if name not in arguments}


CASES = [  # verb, rows (n,d), components
    *[(verb, 60, 2, 3) for verb in VERBS],
    *[(verb, 8192, 32, 8) for verb in ("predict_proba", "icl")],  # without what is negligible
]


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("verb, n, d, k", CASES)
def test_an_answer_is_of_one_fit(verb, n, d, k, more, tmp_path, unsynced):
    """Also if the other fit has other components and another number of features."""
    X = clusters(n, d, k, distance=20.0)
    one = fit_of(GMM(k, random_state=0, max_iter=2).fit(X))
    other = fit_of(GMM(k + 1, random_state=0, max_iter=2).fit(np.resize(X, (n, d + more))))
    model = GMM(random_state=0, n_threads=1)

    def ask(fit=one):
        vars(model).update(fit)
        return VERBS[verb](model, X, tmp_path / "model")

    possible = [answer_of(lambda: ask(one)), answer_of(lambda: ask(other))]
    assert possible[0] != possible[1]
    found = [told(*answer) for answer in at_each_line(lambda: vars(model).update(other), ask)]
    assert possible[0] in found and possible[1] in found
    assert all(answer in possible for answer in found)


def test_fit_predict_labels_by_its_own_fit():
    X = clusters(60, 2, 3)
    model, other = GMM(3, random_state=0, max_iter=2, n_threads=1), fit_of(GMM(2, random_state=0).fit(X))
    expected = model.fit_predict(X)
    found = at_each_line(lambda: vars(model).update(other), lambda: model.fit_predict(X))
    assert all(error is None and np.array_equal(labels, expected) for labels, error in found)


def test_a_fit_warns_of_itself():
    """Not of another that ends at the same time, which has converged."""
    X = clusters(60, 2, 3)
    model, other = GMM(3, random_state=0, max_iter=1, n_threads=1), fit_of(GMM(2, random_state=0).fit(X))

    def messages():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X)
        return [str(warning.message) for warning in caught]

    expected = messages()
    assert len(expected) == 1
    assert all(found == (expected, None) for found in at_each_line(lambda: vars(model).update(other), messages))


def test_a_warm_start_goes_on_from_one_fit():
    """The other fit is one iteration ahead: from its log-likelihood that of the next iteration does not change."""
    X = clusters(60, 2, 3)
    one, other = (GMM(3, random_state=0, max_iter=iterations, tol=0).fit(X) for iterations in (1, 2))
    model = GMM(3, warm_start=True, tol=1e-9, max_iter=2, n_threads=1)

    def go_on(fit):
        vars(model).update(fit)
        return vars(model.fit(X)).copy()

    def told_of(state):
        found = GMM()
        vars(found).update(state)
        return told(facts(found))

    before, after = fit_of(one), fit_of(other)
    possible = [told_of(go_on(before)), told_of(go_on(after)), told_of(after)]
    found = [told_of(state) for state, _ in at_each_line(lambda: vars(model).update(after), lambda: go_on(before))]
    assert possible[0] in found and possible[1] in found
    assert all(answer in possible for answer in found)


# An exception

ERRORS = [KeyboardInterrupt, MemoryError, SystemExit, StopIteration, RuntimeError]


@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize("restart, iteration", [(0, 1), (0, 3), (1, 2)])
@pytest.mark.parametrize("error", ERRORS)
def test_an_exception_in_a_callback_leaves_the_model(error, restart, iteration, fitted):
    X = clusters(300, 2, 3)
    model = GMM(3, random_state=0, n_init=3, tol=0, max_iter=4)
    expected = facts(model.fit(X)) if fitted else None
    reached = []

    def callback(state):
        if (state.restart, state.iteration) == (restart, iteration):
            reached.append(error("in the callback"))
            raise reached[0]

    model.set_params(callback=callback)
    before = vars(model).copy()
    with pytest.raises(error) as raised:
        model.fit(clusters(300, 3, 2))
    assert raised.value is reached[0]
    assert_as_before(model, before)
    if fitted:
        assert told(facts(model)) == told(expected)


def assert_as_before(model, before):
    """The same objects: fitted values are immutable."""
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


FITS = {
    "kmeans": lambda X: GMM(3),
    "restarts": lambda X: GMM(3, covariance_type="diag", init_params="random", n_init=2),
    "given": lambda X: begin_at(start_of(X, 3, "spherical"), "spherical"),
    "warm": lambda X: GMM(3, warm_start=True).fit(X),
    "repaired": lambda X: GMM(3, covariance_type="tied", init_params="random_from_data", reg_covar=0),
}


@pytest.mark.parametrize("fit, error", [*[(fit, KeyboardInterrupt) for fit in FITS], ("repaired", MemoryError)])
def test_a_fit_that_is_broken_off_leaves_the_model(fit, error):
    """Anywhere: what it knows is of the last fit or, at the very end, of this one. The next fit is sound."""
    X = clusters(60, 2, 3)
    if fit == "repaired":
        X[:, 1] = 0.0
    w = np.linspace(0, 1, 60)
    model = FITS[fit](X).set_params(max_iter=2, tol=0, random_state=0, n_threads=1)
    before, old = vars(model).copy(), fit_of(model)
    expected = told(facts(model.fit(X, sample_weight=w)))

    def run():
        vars(model).clear()
        vars(model).update(before)
        model.fit(X, sample_weight=w)

    lines = 0
    for _, raised in at_each_line(lambda: raise_(error), run):
        lines += 1
        assert isinstance(raised, error)
        now = fit_of(model)
        if any(now[name] is not old.get(name) for name in now):
            assert told(facts(model)) == expected
        else:
            assert now.keys() == old.keys()
    assert lines > 100
    run()
    assert told(facts(model)) == expected


@may_leave_files_open
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_save_that_is_broken_off_leaves_a_whole_file(error, old, tmp_path, unsynced):
    """The old file or the new; nothing else in its folder; the umask, which is the process's."""
    X, path, umask = clusters(60, 2, 3), tmp_path / "model", os.umask(0o027)
    first, second = (GMM(k, random_state=0, max_iter=1).fit(X) for k in (2, 3))
    possible = [told(facts(model)) for model in (first, second)]

    def run():
        begun.clear()
        path.unlink(missing_ok=True)
        if old:
            first.save(path)
        begun.append(path)
        second.save(path)

    begun = []
    try:
        for _, raised in at_each_line(lambda: raise_(error) if begun else None, run):
            assert isinstance(raised, error) or raised is None
            assert os.listdir(tmp_path) == [path.name] if old else os.listdir(tmp_path) in ([], [path.name])
            assert not path.exists() or told(facts(GMM.load(path))) in possible
            assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)


@may_leave_files_open
def test_a_load_without_memory_says_so(tmp_path):
    """A MemoryError, not that the file is damaged."""
    path = tmp_path / "model"
    GMM(2, random_state=0).fit(clusters(60, 2, 3)).save(path)
    raised = [error for _, error in at_each_line(lambda: raise_(MemoryError), lambda: GMM.load(path))]
    assert len(raised) > 100 and all(isinstance(error, MemoryError) for error in raised)


# Ctrl-C

INTERRUPT = """
import os, signal, sys, threading
import numpy as np
from cgmm import GMM, _kernels, kmeans

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have had it ignored
X = np.random.default_rng(0).uniform(size=(20_000, 8))
begun, sent = [], []
third = threading.Event()

def count(*_):
    "Called in each iteration."
    begun.append(1)
    if len(begun) == 3:
        third.set()

def counted(name):
    "Make the passes of that kernel the iterations that are counted."
    kernel = getattr(_kernels, name)
    setattr(_kernels, name, lambda *arguments: (count(), kernel(*arguments))[1])

def interrupt():
    third.wait()
    os.kill(os.getpid(), signal.SIGINT)
    sent.append(len(begun))

def iterations_after_the_signal(run):
    other = threading.Thread(target=interrupt)
    other.start()
    try:
        run()
    except KeyboardInterrupt:
        other.join()
        return len(begun) - sent[0]
    raise AssertionError("it ran to its end")
"""

INTERRUPTED_FIT = """
kernel, fitted = sys.argv[1], sys.argv[2] == "True"
model = GMM(500 if kernel == "plus_plus" else 20, max_iter=1, tol=1e9, random_state=0)
if fitted:
    expected = model.fit(X[:1000]).predict_proba(X)
if kernel == "EM":
    model.set_params(init_params="random_from_data", max_iter=10**6, tol=0, callback=count)
else:
    model.set_params(n_init=1000)
    counted(kernel)
before = vars(model).copy()
print(iterations_after_the_signal(lambda: model.fit(X)))
assert vars(model).keys() == before.keys() and all(vars(model)[name] is before[name] for name in before)
assert not fitted or np.array_equal(model.predict_proba(X), expected)
"""

INTERRUPTED_KMEANS = """
counted(sys.argv[1])
print(iterations_after_the_signal(lambda: kmeans(X, 300, n_init=1000, tol=0, random_state=0)))
"""


INTERRUPTED_WALK = """
from cgmm import select
from cgmm.em.walk import Walk

compiled, walks = Walk.compiled, []

def begin(walk):
    walks.append((len(walk.steps), compiled(walk)))
    third.set()
    return walks[-1][1]

Walk.compiled = begin
iterations_after_the_signal(lambda: select(X[:8000], range(1, 20), "full", random_state=0, n_threads=1))
((steps, walk),) = walks
print(steps - len(walk.done))
"""


def test_ctrl_c_stops_a_selection():
    """Between two rounds of its races: most of them are not made."""
    assert int(output(INTERRUPT + INTERRUPTED_WALK)) > 18


@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize("kernel", ["EM", "lloyd", "plus_plus"])
def test_ctrl_c_stops_a_fit(kernel, fitted):
    """In EM, in its start's k-means and in its seeding: at most one more begins."""
    assert int(output(INTERRUPT + INTERRUPTED_FIT, kernel, fitted)) <= 1


@pytest.mark.parametrize("kernel", ["lloyd", "plus_plus"])
def test_ctrl_c_stops_kmeans(kernel):
    assert int(output(INTERRUPT + INTERRUPTED_KMEANS, kernel)) <= 1


# No memory

SCARCE = """
import collections, json, re, resource, sys, warnings
import numpy as np
from cgmm import GMM
warnings.simplefilter("ignore")

n, d, k = 4096, 48, 256
X = np.random.default_rng(0).standard_normal((n, d))
given = {"means_init": X[:k], "precisions_init": np.array([np.eye(d)] * k), "weights_init": np.full(k, 1 / k)}
model = GMM(k, max_iter=1, random_state=0, n_threads=3, **given).fit(X)  # OpenMP has started its threads
expected = model.predict_proba(X), model.means_
before = vars(model).copy()
run, told = getattr(model, sys.argv[1]), collections.Counter()

def size():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))

def result_with(spare):
    "What run(X) returns, or None, if the process may grow by so many bytes."
    resource.setrlimit(resource.RLIMIT_AS, (size() + spare, resource.RLIM_INFINITY))
    try:
        return run(X)
    except MemoryError as error:
        failure = error.with_traceback(None)  # that keeps what the run has left
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    told[re.sub("[0-9].*", "", str(failure))] += 1

spare = 0
while (result := result_with(spare)) is None:
    assert vars(model).keys() == before.keys() and all(vars(model)[name] is before[name] for name in before)
    spare += int(sys.argv[2])
assert np.array_equal(model.predict_proba(X), expected[0]) and np.array_equal(model.means_, expected[1])
print(json.dumps(told))
"""

NO_PARAMETERS, NO_SCRATCH = (f"no memory for the {what} of a pass over the data" for what in ("parameters", "scratch"))


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is limited by Linux only")
@pytest.mark.parametrize(
    "verb, step, told", [("fit", 2**21, {NO_SCRATCH}), ("predict_proba", 2**18, {NO_PARAMETERS, NO_SCRATCH})]
)
def test_without_memory_nothing_happens(verb, step, told):
    """From none to enough, so many bytes at a time: NumPy's allocations fail, then the core's.

    Of one arena, because a thread that has allocated something leaves room for 64 MiB. Of three threads with stacks so
    large that the C library does not keep those of threads that ended: a fit that starts threads again for a pass ends
    the process.
    """
    limits = {"MALLOC_MMAP_THRESHOLD_": 65536, "MALLOC_ARENA_MAX": 1, "OMP_STACKSIZE": "64M"}
    found = output(SCARCE, verb, step, OPENBLAS_NUM_THREADS=1, **limits)
    assert told <= json.loads(found).keys()
