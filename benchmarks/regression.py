"""Predictions of Gaussian mixture regression beside gmr's, and Fisher vectors beside scikit-image's.

All predict the same rows from the same mixture, and agree to 1e-9 before they are timed, in turns. Libraries that are
not installed are left out; ConditionalGMMRegressor, of a package that is called cgmm, too, needs an interpreter of its
own: --other PYTHON. Prints Markdown tables; --json keeps it all.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cgmm import GMM, GMMRegressor
from machine import facts

SIZES = ((100_000, 3, 1, 5), (100_000, 6, 2, 10), (100_000, 10, 1, 20))
OTHER_ROWS = 200  # It predicts row by row: so few are timed, and told as many times longer as there are rows.
IMAGES, DESCRIPTORS, FEATURES, WORDS = 100, 1000, 64, 16
AGREE = 1e-9
QUICK_SCALE = 0.02
OTHER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from cgmm import ConditionalGMMRegressor
given = np.load(sys.argv[1])
X, Y = given["X"], given["Y"]
model = ConditionalGMMRegressor(n_components=len(given["weights"]), random_state=0, max_iter=2).fit(X, Y)
seconds = []
for _ in range(2):
    start = time.perf_counter()
    model.predict(X)
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rounds", type=int, default=5, help="default 5")
    found.add_argument("--seconds", type=float, default=0.2, help="of a timing, at least; default 0.2")
    found.add_argument("--other", metavar="PYTHON", help="an interpreter whose cgmm has ConditionalGMMRegressor")
    return report.parse(found, argv, rounds=1)


def mixture(d, k, covariance_type="full", seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(k, d, d))
    covariances = roots @ np.swapaxes(roots, 1, 2) / d + 0.1 * np.eye(d)
    if covariance_type == "diag":
        covariances = covariances.diagonal(axis1=1, axis2=2)
    return GMM.from_parameters(rng.dirichlet(np.ones(k)), 2 * rng.normal(size=(k, d)), covariances, covariance_type)


def gmr_of(model, p):
    """gmr's predict of the same mixture, or None."""
    try:
        import gmr
    except ImportError:
        return None
    theirs = gmr.GMM(len(model.weights_), model.weights_, model.means_, model.covariances_)
    return lambda X: theirs.predict(np.arange(p), X)


def other(python, model, rows, p):
    """Seconds of the other package's predictions of some rows, as many times as all are."""
    with tempfile.TemporaryDirectory() as folder:
        few = rows[:OTHER_ROWS]
        path = Path(folder, "rows.npz")
        np.savez(path, X=few[:, :p], Y=few[:, p:], weights=model.weights_)
        command = [python, "-I", "-c", OTHER, path]  # -I: by no PYTHONPATH may it find this cgmm
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return [len(rows) / len(few) * value for value in json.loads(done.stdout)]


def agreeing(runs):
    """The runs, whose results agree with that of the first."""
    first, *others = (run() for run in runs.values())
    for name, values in zip(list(runs)[1:], others, strict=True):
        error = np.abs(np.reshape(values, first.shape) - first).max() / np.abs(first).max()
        if not error < AGREE:
            raise SystemExit(f"{name} differs by {error:g}")
    return runs


def predictions(n, p, t, k, options):
    """Seconds of each library."""
    model = mixture(p + t, k).set_params(random_state=0, n_threads=options.threads)
    rows = np.random.default_rng(1).permutation(model.sample(n)[0])
    X = np.ascontiguousarray(rows[:, :p])
    ours = GMMRegressor.from_mixture(model, list(range(p, p + t)))
    runs, theirs = {"cgmm": lambda: ours.predict(X)}, gmr_of(model, p)
    if theirs is not None:
        runs["gmr"] = lambda: theirs(X)
    seconds = report.in_turns(agreeing(runs), options.rounds, options.seconds, report.REST)
    if options.other and (n, p) == SIZES[0][:2]:  # of the others it would take hours
        seconds["other"] = other(options.other, model, rows, p)
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    gapped = GMMRegressor.from_mixture(model.set_params(missing="marginal"), list(range(p, p + t)))
    more = {"with gaps": lambda: gapped.predict(holes), "deviations": lambda: ours.predict(X, return_std=True)}
    if t == 1:
        more["median"] = lambda: ours.predict_quantiles(X, 0.5)
    return seconds | report.in_turns(more, options.rounds, options.seconds, report.REST)


def fisher_vectors(options):
    """Seconds for the descriptors of all images."""
    model = mixture(FEATURES, WORDS, "diag").set_params(random_state=0, n_threads=options.threads)
    count = max(int(DESCRIPTORS * (QUICK_SCALE if options.quick else 1)), 2)
    rows = np.random.default_rng(1).permutation(model.sample(IMAGES * count)[0])
    images = np.split(rows, IMAGES)
    runs = {"cgmm": lambda: model.fisher_vector(images, improved=True)}
    try:
        from skimage.feature import fisher_vector
        from sklearn.mixture import GaussianMixture
    except ImportError:
        return report.in_turns(runs, options.rounds, options.seconds, report.REST)
    theirs = GaussianMixture(WORDS, covariance_type="diag")
    theirs.weights_, theirs.means_, theirs.covariances_ = model.weights_, model.means_, model.covariances_
    theirs.precisions_cholesky_ = model.precisions_cholesky_
    runs["scikit-image"] = lambda: np.array([fisher_vector(image, theirs, improved=True) for image in images])
    return report.in_turns(agreeing(runs), options.rounds, options.seconds, report.REST)


def cells(seconds, names):
    """Milliseconds of each, and how many times those of the first."""
    first = statistics.median(seconds[names[0]])
    times = [statistics.median(seconds[name]) if name in seconds else None for name in names]
    return [f"{1e3 * time:.1f} ms ({time / first:.1f})" if time is not None else "–" for time in times]


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    machine = facts()
    print(f"float64, {options.threads} threads, cgmm on {machine['target']}; {machine['cpu']}.\n")
    names = ("cgmm", "gmr", "other", "deviations", "median", "with gaps")
    told = ("cgmm", "gmr", "ConditionalGMMRegressor", "and deviations", "medians", "a tenth missing")
    report.print_headings("rows, features, targets, components", *told, texts=1)
    results = []
    for n, p, t, k in SIZES:
        n = int(n * (QUICK_SCALE if options.quick else 1))
        results.append({"n": n, "p": p, "t": t, "k": k, "seconds": predictions(n, p, t, k, options)})
        report.print_row([f"{n:,}, {p}, {t}, {k}", *cells(results[-1]["seconds"], names)])
    print(f"\nFisher vectors of {IMAGES} images of {DESCRIPTORS} descriptors of {FEATURES} features, {WORDS} words:\n")
    seconds = fisher_vectors(options)
    report.print_headings("cgmm", "scikit-image")
    report.print_row(cells(seconds, ("cgmm", "scikit-image")))
    print("\nTimes are medians. In brackets: how many times that of cgmm's predictions, or Fisher vectors.")
    report.write(options, machine, results=results, fisher_vectors=seconds)


if __name__ == "__main__":
    main()
