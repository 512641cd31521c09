"""How well mixtures find their components among rows that belong to none: uniform noise, and a clump of outliers.

Four overlapping clusters of different shapes and sizes, in two and in eight features, and beside them a share of rows
that is noise: uniform in a box twice as wide as that of the clusters; or a single tight clump far away ("clump"). Fits
of four full components: cgmm with noise_component="uniform", from one start and from five; cgmm and scikit-learn
without, from five starts; scikit-learn with a fifth component; and scikit-learn on what is left when the least likely
rows are dropped again and again, as many as there are in truth ("trimmed": García-Escudero et al. 2008, without their
constraints). Where they are installed, also R's mclust with its noise component, which is told at the start which rows
are noise, for it has no start of its own for that ("mclust, told the noise"); and mixtures of t distributions, of
studenttmixture, from five starts ("t distributions"). Medians of some seeds: the adjusted Rand index of all rows, the
noise being a class of its own (for fits without it the rows that are trimmed; else no row is called noise); that of the
rows of the clusters alone; and the largest distance of a true mean from the fit's nearest, in standard deviations of
its cluster. Prints a Markdown table.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

import report
from cgmm import GMM
from machine import facts

try:
    from studenttmixture import EMStudentMixture
except ImportError:
    EMStudentMixture = None

COMPONENTS = 4
ROWS = 2000
FEATURES = (2, 8)
CASES = (("none", 0.0), *(("uniform", share) for share in (0.05, 0.1, 0.2, 0.4)), ("clump", 0.05), ("clump", 0.2))
TRIMS = 10
STARTS = 5
EM = {"tol": 1e-5, "max_iter": 300}
IN_R = """
paths <- commandArgs(trailingOnly = TRUE)
suppressMessages(library(mclust))
X <- as.matrix(read.csv(paths[1], header = FALSE))
noise <- scan(paths[2], quiet = TRUE) > 0
begun <- if (any(noise)) list(noise = noise) else NULL
fit <- Mclust(X, G = 4, modelNames = "VVV", initialization = begun, verbose = FALSE)
write(fit$classification, paths[3], ncolumns = 1)
write.table(t(fit$parameters$mean), paths[4], sep = ",", row.names = FALSE, col.names = FALSE)
"""


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--seeds", type=int, default=5, help="default 5")
    found.add_argument("--methods", nargs="+", choices=METHODS, help="default: all that are installed")
    return report.parse(found, argv, seeds=1)


def problem(d, kind, share, seed):
    """Rows (n, d), the cluster of each or −1, the means (k, d) and the standard deviations (k,) of the clusters."""
    rng = np.random.default_rng([seed, d])
    means = rng.normal(size=(COMPONENTS, d))
    means *= 6.0 / np.linalg.norm(means, axis=1, keepdims=True)
    means[0], means[1] = 0.0, 6.0 * np.eye(d)[0]
    mix = np.eye(d) + np.tril(rng.normal(size=(COMPONENTS, d, d)), -1) / np.sqrt(2 * d)
    mix *= rng.uniform(0.6, 1.2, size=(COMPONENTS, 1, 1))
    own = rng.choice(COMPONENTS, size=ROWS, p=[0.4, 0.3, 0.2, 0.1])
    X = means[own] + np.einsum("nij,nj->ni", mix[own], rng.normal(size=(ROWS, d)))
    low, high = X.min(axis=0), X.max(axis=0)
    noise = rng.random(ROWS) < share
    count = np.count_nonzero(noise)
    if kind == "uniform":
        X[noise] = rng.uniform(low - (high - low) / 2, high + (high - low) / 2, size=(count, d))
    else:
        X[noise] = high + 1.5 * (high - low) + 0.2 * rng.normal(size=(count, d))
    own[noise] = -1
    spread = np.sqrt(np.einsum("cij,cij->c", mix, mix) / d)
    return X, own, means, spread


def trimmed(X, share, seed, noise):
    """Labels, −1 for what is trimmed, and means, of a mixture fitted to the rows that it explains best."""
    kept, model = np.arange(len(X)), None
    for _ in range(TRIMS):
        last = {} if model is None else {"means_init": model.means_}
        model = GaussianMixture(COMPONENTS, n_init=1 if last else STARTS, random_state=seed, **last, **EM).fit(X[kept])
        order = np.argsort(-model.score_samples(X), kind="stable")
        kept = order[: len(X) - round(share * len(X))]
    labels = np.full(len(X), -1)
    labels[kept] = model.predict(X[kept])
    return labels, model.means_


def fitted(model, X):
    return model.fit(X).predict(X), model.means_


def with_mclust(X, share, seed, noise):
    """mclust's fit of full covariances, beside noise if there is any."""
    with tempfile.TemporaryDirectory() as folder:
        rows, told, labels, means = (Path(folder, f"{name}.csv") for name in ("rows", "noise", "labels", "means"))
        np.savetxt(rows, X, delimiter=",")
        np.savetxt(told, noise, fmt="%d")
        subprocess.run(["Rscript", "-e", IN_R, rows, told, labels, means], check=True, capture_output=True)
        return np.loadtxt(labels, dtype=int) - 1, np.loadtxt(means, delimiter=",")  # its label of noise is 0


def with_t_distributions(X, share, seed, noise):
    """Of four degrees of freedom; no row is called noise."""
    model = EMStudentMixture(COMPONENTS, n_init=STARTS, random_state=seed, **EM)
    model.fit(X)
    return model.predict(X), model.location


METHODS = {
    "cgmm, noise, 1 start": lambda X, share, seed, noise: fitted(
        GMM(COMPONENTS, noise_component="uniform", random_state=seed, **EM), X
    ),
    "cgmm, noise, 5 starts": lambda X, share, seed, noise: fitted(
        GMM(COMPONENTS, noise_component="uniform", n_init=STARTS, random_state=seed, **EM), X
    ),
    "cgmm, 5 starts": lambda X, share, seed, noise: fitted(GMM(COMPONENTS, n_init=STARTS, random_state=seed, **EM), X),
    "scikit-learn, 5 starts": lambda X, share, seed, noise: fitted(
        GaussianMixture(COMPONENTS, n_init=STARTS, random_state=seed, **EM), X
    ),
    "scikit-learn, one more component": lambda X, share, seed, noise: fitted(
        GaussianMixture(COMPONENTS + 1, n_init=STARTS, random_state=seed, **EM), X
    ),
    "scikit-learn, trimmed": trimmed,
    "mclust, told the noise": with_mclust,
    "t distributions": with_t_distributions,
}


def installed():
    """The methods that can be tried here."""
    lacking = set() if EMStudentMixture else {"t distributions"}
    found = shutil.which("Rscript") and subprocess.run(["Rscript", "-e", "library(mclust)"], capture_output=True)
    if not found or found.returncode:
        lacking.add("mclust, told the noise")
    return [name for name in METHODS if name not in lacking]


def measure(method, d, kind, share, seed):
    """The two Rand indices, and how far the means are."""
    X, own, means, spread = problem(d, kind, share, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels, found = METHODS[method](X, share, seed, own < 0)
    clean = own >= 0
    away = np.linalg.norm(found[np.newaxis] - means[:, np.newaxis], axis=2).min(axis=1) / spread
    return adjusted_rand_score(own, labels), adjusted_rand_score(own[clean], labels[clean]), float(away.max())


def main(argv=None):
    options = arguments(argv)
    machine = facts()
    print(f"{ROWS} rows, {COMPONENTS} clusters; medians of {options.seeds} seeds.")
    print("ARI of all rows / ARI of the clusters' rows / error of the means.\n")
    methods = options.methods or installed()
    report.print_headings("noise", *methods, texts=1)
    results = []
    for d in FEATURES:
        for kind, share in CASES:
            row = [f"{kind}, {share:.0%}, d = {d}"]
            for method in methods:
                found = [measure(method, d, kind, share, seed) for seed in range(options.seeds)]
                medians = [statistics.median(values) for values in zip(*found, strict=True)]
                results.append({"d": d, "kind": kind, "share": share, "method": method, "medians": medians})
                row.append("{:.2f} / {:.2f} / {:.2f}".format(*medians))
            report.print_row(row)
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
