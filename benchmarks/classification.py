"""Discriminant analysis by mixtures beside scikit-learn's QDA and LDA, and beside scikit-lego's GMMClassifier.

Rows of classes whose densities are known, half of them to learn from. All see the same, in turns; the share of right
predictions is told beside the times. scikit-lego is left out where it is not installed. Prints Markdown tables; --json
keeps it all.
"""

import argparse
import statistics
import warnings

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.metrics import accuracy_score
from threadpoolctl import threadpool_limits

import report
from cgmm import GMM, GMMClassifier
from machine import facts

N, D, CLASSES = 500_000, 16, 5
LEARNT, SEVERAL = 50_000, 3  # Rows and components of a class where each has a mixture of its own.
QUICK_SCALE = 0.01


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rounds", type=int, default=5, help="default 5")
    found.add_argument("--seconds", type=float, default=0.2, help="of a timing, at least; default 0.2")
    found.add_argument("--part", choices=("one", "several"), nargs="+", default=["one", "several"],
                       help="components of a class; default: both")  # fmt: skip
    return report.parse(found, argv, rounds=1)


def rows_of_classes(n, components, seed=0):
    """Rows and labels of classes, each a mixture of so many components; twice n, half of them to learn from."""
    rng = np.random.default_rng(seed)
    k = CLASSES * components
    roots = rng.normal(size=(k, D, D)) / np.sqrt(D)
    covariances = roots @ np.swapaxes(roots, 1, 2) + 0.3 * np.eye(D)
    model = GMM.from_parameters(np.full(k, 1 / k), rng.normal(size=(k, D)), covariances)
    X, labels = model.sample(2 * n, random_state=1)
    order = rng.permutation(2 * n)
    return X[order], labels[order] % CLASSES


def seconds_of(models, rows, options):
    """Of each model the seconds of fits and of predictions, and the share of predictions that are right."""
    (X, y), (fresh, truth) = rows
    fits = report.in_turns({name: fitting(model, X, y) for name, model in models.items()}, options.rounds, 0.0)
    predictions = {name: (lambda model=model: model.predict(fresh)) for name, model in models.items()}
    times = report.in_turns(predictions, options.rounds, options.seconds)
    right = {name: accuracy_score(truth, model.predict(fresh)) for name, model in models.items()}
    return {"fit": fits, "predict": times, "right": right}


def fitting(model, X, y):
    return lambda: model.fit(X, y)


def halves(X, y, learnt):
    """So many rows to learn from, and as many others as there are in the second half."""
    half = len(X) // 2
    return (X[:learnt], y[:learnt]), (X[half:], y[half:])


def one(options):
    """Classes of one component."""
    n = int(N * (QUICK_SCALE if options.quick else 1))
    models = {
        "cgmm, full": GMMClassifier(n_threads=options.threads),
        "QDA": QuadraticDiscriminantAnalysis(),
        "cgmm, EEE": GMMClassifier(covariance_type="EEE", n_threads=options.threads),
        "LDA": LinearDiscriminantAnalysis(),
    }
    return seconds_of(models, halves(*rows_of_classes(n, 1), n), options)


def several(options):
    """Classes of several components, learnt from a part of the rows."""
    scale = QUICK_SCALE if options.quick else 1
    models = {"cgmm": GMMClassifier(SEVERAL, n_init=1, tol=1e-3, random_state=0, n_threads=options.threads)}
    try:
        from sklego.mixture import GMMClassifier as Lego
    except ImportError:
        pass
    else:
        models["scikit-lego"] = Lego(n_components=SEVERAL, random_state=0)
    return seconds_of(models, halves(*rows_of_classes(int(N * scale), SEVERAL), int(LEARNT * scale)), options)


def print_rows(found):
    """A row for each model: its times, how many times those of cgmm's before it, and what is right."""
    report.print_headings("model", "fit", "predict", "right", texts=1)
    first = {}
    for name in found["right"]:
        cells = [name]
        for verb in ("fit", "predict"):
            time = statistics.median(found[verb][name])
            first[verb] = time if name.startswith("cgmm") else first[verb]
            cells.append(f"{1e3 * time:.1f} ms ({time / first[verb]:.1f})")
        report.print_row([*cells, f"{100 * found['right'][name]:.2f} %"])


def main(argv=None):
    options = arguments(argv)
    warnings.simplefilter("ignore")  # of collinear variables
    threadpool_limits(options.threads)
    machine = facts()
    print(f"float64, {options.threads} threads, cgmm on {machine['target']}; {machine['cpu']}.")
    results = {}
    for part, told in (
        ("one", f"{CLASSES} classes of one component; {N:,} rows, {D} features to learn from, and as many to predict"),
        ("several", f"{CLASSES} classes of {SEVERAL} components; {LEARNT:,} rows to learn from, {N:,} to predict"),
    ):
        if part in options.part:
            print(f"\n{told}:\n")
            results[part] = {"one": one, "several": several}[part](options)
            print_rows(results[part])
    print("\nTimes are medians. In brackets: how many times that of cgmm's model above it.")
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
