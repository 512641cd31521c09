"""Fingerprints of what fits find, by which a refactoring shows that it changed no bit.

    python benchmarks/fingerprints.py > before.txt
    python benchmarks/fingerprints.py --against before.txt

Each line has the name of a fit and the first digits of the SHA-256 of its arrays. They are comparable on one machine
only: another instruction set, another version of NumPy or another compiler may round otherwise. Of cgmm only public
names are used, so modules may move.
"""

import argparse
import hashlib
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

import cgmm
from cgmm import GMM, Prior

FAMILIES = ("full", "tied", "diag", "spherical")
DTYPES = ("float32", "float64")
FITTED = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_", "n_iter_", "converged_")
CASES = {}  # name → function (n_threads) → arrays


def case(name):
    """Enters a function of n_threads into the table of cases."""

    def entered(function):
        assert name not in CASES, name
        CASES[name] = function
        return function

    return entered


def digest(arrays):
    """The first digits of the SHA-256 of arrays, of their types and of their shapes."""
    total = hashlib.sha256()
    for array in map(np.asarray, arrays):
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:20]


def fitted(model):
    """The arrays of a fitted model."""
    return [getattr(model, name) for name in FITTED]


def clusters(n=3000, d=3, k=4, dtype="float64", apart=4.0, seed=0):
    """Rows (n, d) of k clusters whose covariances are not those of the axes."""
    rng = np.random.default_rng([seed, n, d, k])
    centres = apart * rng.standard_normal((k, d))
    mixed = rng.standard_normal((k, d, d)) / np.sqrt(d)
    labels = rng.integers(0, k, size=n)
    return (centres[labels] + np.einsum("ijl,il->ij", mixed[labels], rng.standard_normal((n, d)))).astype(dtype)


def gaps(X, share=0.2):
    """The rows, with NaN in place of a share of their values."""
    return np.where(np.random.default_rng(1).random(X.shape) < share, np.nan, X).astype(X.dtype)


def spread_weights(n):
    """Row weights (n,) among which are very small and very large ones."""
    weights = np.random.default_rng(2).uniform(0.1, 3.0, size=n)
    weights[::7], weights[3::50], weights[5] = 0.0, 1e-200, 1e200
    return weights


def blocks_of(X, size=700, weights=None):
    """A function that returns an iterator of blocks."""

    def blocks():
        for start in range(0, len(X), size):
            part = slice(start, start + size)
            yield X[part] if weights is None else (X[part], weights[part])

    return blocks


def gmm(n_threads, k=3, **arguments):
    return GMM(k, **{"random_state": 0, "max_iter": 20, "n_threads": n_threads} | arguments)


# Families and types


def enter_plain(family, dtype, n):
    @case(f"plain/{family}/{dtype}/{n}")
    def plain(n_threads):
        X = clusters(n, dtype=dtype)
        model = gmm(n_threads, 4, covariance_type=family).fit(X)
        return [*fitted(model), model.score_samples(X), model.predict_proba(X), model.predict(X), model.bic(X)]


def enter_family(family, dtype):
    arguments = {"covariance_type": family}
    X = clusters(dtype=dtype)
    weights = np.random.default_rng(3).uniform(0.1, 3.0, size=len(X))

    @case(f"weighted/{family}/{dtype}")
    def weighted(n_threads):
        return fitted(gmm(n_threads, **arguments).fit(X, sample_weight=weights))

    @case(f"spread weights/{family}/{dtype}")
    def spread(n_threads):
        given = spread_weights(len(X))
        given[5] = 3.0
        model = gmm(n_threads, **arguments).fit(X, sample_weight=given)
        return [*fitted(model), model.score(X, sample_weight=given), model.icl(X, sample_weight=given)]

    @case(f"gaps/{family}/{dtype}")
    def with_gaps(n_threads):
        rows = gaps(X[:600])
        model = gmm(n_threads, missing="marginal", **arguments).fit(rows)
        drawn = model.impute(rows, draws=True, random_state=1)
        return [*fitted(model), model.impute(rows), drawn, model.predict_proba(rows), model.score_samples(rows)]

    @case(f"default prior/{family}/{dtype}")
    def default_prior(n_threads):
        return fitted(gmm(n_threads, prior="default", **arguments).fit(X[:500]))

    @case(f"blocks/{family}/{dtype}")
    def blocks(n_threads):
        model = gmm(n_threads, **arguments).fit(blocks_of(X, weights=weights))
        return [*fitted(model), model.score(blocks_of(X)), model.score_samples(blocks_of(X))]

    @case(f"partial_fit/{family}/{dtype}")
    def partial_fit(n_threads):
        model = gmm(n_threads, learning_rows=400, **arguments)
        for block in blocks_of(X, 190)():
            model.partial_fit(block)
        return [*fitted(model), *fitted(model.set_params(warm_start=True).fit(X))]

    @case(f"by hand/{family}/{dtype}")
    def by_hand(n_threads):
        model = gmm(n_threads, max_iter=3, tol=0.0, **arguments).fit(X)
        for _ in range(3):
            first, second = cgmm.expectation(model, X[:1100], weights[:1100]), cgmm.expectation(model, X[1100:])
            model = cgmm.maximisation(model, first + second)
        return fitted(model)

    @case(f"degenerate/{family}/{dtype}")
    def degenerate(n_threads):
        rows = np.concatenate([X[:60], np.repeat(X[:1], 90, axis=0), np.full((1, 3), 1e4)]).astype(dtype)
        rows[:, 2] = rows[:, 0]
        arrays = []
        for reg_covar in (0.0, 1e-6):
            model = gmm(n_threads, 7, n_init=2, reg_covar=reg_covar, max_iter=60, **arguments).fit(rows)
            arrays += [*fitted(model), model.diagnostics_.condition_numbers]
        return arrays


def enter_single(family):
    arguments = {"covariance_type": family}
    X = clusters()

    @case(f"restarts/{family}")
    def restarts(n_threads):
        return fitted(gmm(n_threads, 5, n_init=6, **arguments).fit(X))

    @case(f"given prior/{family}")
    def given_prior(n_threads):
        scale = 0.5 if family in ("diag", "spherical") else 0.5 * np.eye(3) + 0.1
        prior = Prior(weight_concentration=2.0, mean_precision=0.3, mean=np.ones(3), degrees_of_freedom=7.0)
        whole = Prior(**vars(prior) | {"covariance": scale})
        return [*fitted(gmm(n_threads, prior=whole, **arguments).fit(X[:500]))]

    @case(f"fixed/{family}")
    def fixed(n_threads):
        start = gmm(n_threads, max_iter=2, **arguments).fit(X)
        given = {"weights_init": start.weights_, "means_init": start.means_, "precisions_init": start.precisions_}
        mask = np.array([True, False, False])
        arrays = []
        for kept in (
            ("weights",),
            ("means",),
            ("covariances",),
            ("weights", "means"),
            {"means": mask, "weights": ~mask},
        ):
            arrays += fitted(gmm(n_threads, fixed=kept, **given | arguments).fit(X))
        return arrays

    @case(f"wide/{family}")
    def wide(n_threads):
        return fitted(gmm(n_threads, max_iter=5, **arguments).fit(clusters(1500, 70, 3)))

    @case(f"pruned/{family}")
    def pruned(n_threads):
        rows = clusters(24_000, 16, 12, apart=9.0)
        model = gmm(n_threads, 12, max_iter=8, tol=0.0, **arguments).fit(rows)
        return [*fitted(model), model.predict_proba(rows), model.score_samples(rows)]

    @case(f"sample/{family}")
    def sample(n_threads):
        return gmm(n_threads, **arguments).fit(X).sample(500)


# Starts


def own_labels(X, k, random_state):
    return random_state.randint(0, k, size=len(X))


def enter_start(name, init):
    @case(f"start/{name}")
    def start(n_threads):
        arrays = []
        for n in (500, 12_000):
            arrays += fitted(gmm(n_threads, n_init=2, init_params=init, max_iter=10).fit(clusters(n)))
        return arrays


@case("start/responsibilities_init")
def responsibilities_init(n_threads):
    X = clusters(700)
    shares = np.random.default_rng(4).dirichlet(np.ones(3), size=len(X))
    soft = gmm(n_threads, responsibilities_init=shares).fit(X)
    return [*fitted(soft), *fitted(gmm(n_threads, responsibilities_init=shares.argmax(axis=1)).fit(X))]


@case("start/partly given")
def partly_given(n_threads):
    means = np.full((3, 3), np.nan)
    means[1] = 2.0
    return fitted(gmm(n_threads, means_init=means).fit(clusters(700)))


# The rest of a fit


@case("one weight above all")
def one_weight_above_all(n_threads):
    X = clusters(600)
    return fitted(gmm(n_threads).fit(X, sample_weight=spread_weights(len(X))))


@case("warm start")
def warm_start(n_threads):
    model = gmm(n_threads, max_iter=3, warm_start=True).fit(clusters(3000))
    return [*fitted(model), *fitted(model.fit(clusters(3000, seed=1)))]


@case("checkpoint")
def checkpoint(n_threads):
    class Killed(Exception):
        pass

    def kill(state):
        if state.iteration == 9:
            raise Killed

    X = clusters(2000)
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"checkpoint": Path(folder) / "fit.npz", "checkpoint_interval": 4, "tol": 0.0, "n_init": 2}
        try:
            gmm(n_threads, callback=kill, **arguments).fit(X)
        except Killed:
            assert (Path(folder) / "fit.npz").exists()
        return fitted(gmm(n_threads, **arguments).fit(X))


@case("callback")
def callback(n_threads):
    seen = []

    def watch(state):
        seen.append((state.iteration, state.log_likelihood))
        return state.iteration == 12

    model = gmm(n_threads, callback=watch, tol=0.0, n_init=3).fit(clusters(2000))
    return [*fitted(model), seen]


@case("map")
def mapped(n_threads):
    with tempfile.TemporaryDirectory() as folder:
        arrays = []
        for dtype in DTYPES:
            path = Path(folder) / f"{dtype}.npy"
            np.save(path, clusters(20_000, dtype=dtype))
            model = gmm(n_threads).fit(path)
            arrays += [*fitted(model), model.score_samples(path)]
        return arrays


@case("to the optimum")
def to_the_optimum(n_threads):
    arrays = []
    for n, d, k in ((150, 4, 3), (150, 1, 1), (2000, 1, 5), (9000, 8, 6)):
        for family in FAMILIES:
            arrays += fitted(gmm(n_threads, k, covariance_type=family, tol=1e-9, max_iter=300).fit(clusters(n, d, k)))
    return arrays


@case("many rows")
def many_rows(n_threads):
    X = clusters(300_000, 5, dtype="float32")
    return [array for family in FAMILIES for array in fitted(gmm(n_threads, covariance_type=family, max_iter=5).fit(X))]


@case("prior, fixed, gaps, blocks")
def composed(n_threads):
    rows = gaps(clusters(2000))
    means = clusters(3)
    arguments = {
        "prior": "default",
        "fixed": {"means": [True, False, True]},
        "means_init": means,
        "missing": "marginal",
    }
    weights = np.random.default_rng(3).uniform(0.1, 3.0, size=len(rows))
    return fitted(gmm(n_threads, **arguments).fit(blocks_of(rows, weights=weights)))


@case("far and of other scales")
def far(n_threads):
    rows = clusters(2000) * [1e-8, 1.0, 1e12] + [1e3, 1e9, -1e15]
    arrays = fitted(gmm(n_threads, reg_covar=0.0).fit(rows))
    return arrays + fitted(gmm(n_threads, reg_covar=0.0).fit(rows.astype(np.float32)))


@case("wide with gaps")
def wide_with_gaps(n_threads):
    return fitted(gmm(n_threads, missing="marginal", max_iter=3).fit(gaps(clusters(500, 40, 3), 0.02)))


@case("select/blocks")
def select_blocks(n_threads):
    arguments = {"random_state": 0, "n_init": 2, "max_iter": 20}
    return table_of(cgmm.select(blocks_of(clusters(3000)), [2, 3], ["full", "tied"], n_threads=n_threads, **arguments))


@case("blocks with gaps")
def blocks_with_gaps(n_threads):
    return fitted(gmm(n_threads, missing="marginal").fit(blocks_of(gaps(clusters(2000)))))


@case("saved and loaded")
def saved(n_threads):
    X = clusters(500)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        gmm(n_threads).fit(X).save(path)
        model = GMM.load(path)
    return [*fitted(model), model.predict_proba(X)]


@case("from parameters")
def from_parameters(n_threads):
    X = clusters(500)
    model = GMM.from_parameters([0.3, 0.7], X[:2], np.stack([np.eye(3), np.eye(3) + 0.5]))
    model.random_state = 0
    return [model.precisions_cholesky_, model.score_samples(X), model.predict_proba(X), *model.sample(50)]


@case("k-means")
def k_means(n_threads):
    arrays = []
    for dtype in DTYPES:
        for init in ("k-means++", "random"):
            found = cgmm.kmeans(
                clusters(5000, dtype=dtype), 6, init=init, n_init=2, random_state=0, n_threads=n_threads
            )
            arrays += list(found)
    return arrays


def table_of(selection):
    """What a selection found, without times."""
    rows = [
        [row.n_parameters, row.log_likelihood, row.aic, row.bic, row.icl, row.converged, len(row.warnings)]
        for row in selection.table
    ]
    return [np.array(rows, dtype=float), selection.winner, *fitted(selection.best)]


@case("select")
def select(n_threads):
    return table_of(cgmm.select(clusters(300), range(1, 5), n_init=3, random_state=0, n_threads=n_threads))


@case("select/float32, icl, gaps")
def select_with_gaps(n_threads):
    X = gaps(clusters(200, dtype="float32"))
    arguments = {"criterion": "icl", "missing": "marginal", "random_state": 0, "n_init": 2, "max_iter": 40}
    return table_of(cgmm.select(X, [1, 2, 3], ["full", "diag"], n_threads=n_threads, **arguments))


def enter_dask():
    try:
        import dask
        import dask.array as da
    except ImportError:
        return

    @case("dask")
    def of_dask(n_threads):
        X = clusters(20_000)
        weights = np.random.default_rng(3).uniform(0.1, 3.0, size=len(X))
        with dask.config.set(scheduler="threads", num_workers=n_threads or 2):
            rows = da.from_array(X, chunks=(3_000, 3))
            model = gmm(None, n_init=2).fit(rows, sample_weight=da.from_array(weights, chunks=3_000))
            return [*fitted(model), model.score(rows), model.score_samples(X)]


def enter_all():
    for family in FAMILIES:
        for dtype in DTYPES:
            for n in (150, 3_000, 20_000):
                enter_plain(family, dtype, n)
            enter_family(family, dtype)
        enter_single(family)
    for name in ("kmeans", "k-means++", "random", "random_from_data"):
        enter_start(name, name)
    enter_start("function", own_labels)
    enter_dask()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", metavar="FILE", help="an earlier output; the names that differ are printed")
    parser.add_argument("--threads", type=int, metavar="N", help="n_threads of the fits; the lines do not depend on it")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with this in their name")
    asked = parser.parse_args(arguments)
    enter_all()
    names = [name for name in CASES if asked.only in name]
    if asked.against is None:
        for name in names:
            print(f"{name}  {found(name, asked.threads)}", flush=True)
        return 0
    before = dict(line.rsplit("  ", 1) for line in Path(asked.against).read_text().splitlines())
    others = [name for name in before if asked.only in name and name not in CASES]
    others += [name for name in names if before.get(name) != found(name, asked.threads)]
    for name in others:
        print(f"{name}  differs")
    print(f"{len(names)} fits, {len(others)} differ", file=sys.stderr)
    return 1 if others else 0


def found(name, n_threads):
    """The digest of a case; how the fits end is part of it, so warnings are not printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return digest(CASES[name](n_threads))


if __name__ == "__main__":
    sys.exit(main())
