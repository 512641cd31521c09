"""How well mixtures find their components among rows that belong to none: uniform noise, and a clump of outliers.

Four overlapping clusters of different shapes and sizes, in two and in eight features, and beside them a share of rows
that is noise: uniform in a box twice as wide as that of the clusters; or a single tight clump far away ("clump"). Fits
of four full components: cgmm with noise_component="uniform", from one start and from five; cgmm and scikit-learn
without, from five starts; scikit-learn with a fifth component; and scikit-learn on what is left when the least likely
rows are dropped again and again, as many as there are in truth ("trimmed": García-Escudero et al. 2008, without their
constraints). Medians of some seeds: the adjusted Rand index of all rows, the noise being a class of its own (for fits
without it the rows that are trimmed; else no row is called noise); that of the rows of the clusters alone; and the
largest distance of a true mean from the fit's nearest, in standard deviations of its cluster. Prints a Markdown table.
"""

import argparse
import statistics
import warnings

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

import report
from cgmm import GMM
from machine import facts

COMPONENTS = 4
ROWS = 2000
FEATURES = (2, 8)
CASES = (("none", 0.0), *(("uniform", share) for share in (0.05, 0.1, 0.2, 0.4)), ("clump", 0.05), ("clump", 0.2))
TRIMS = 10
STARTS = 5
EM = {"tol": 1e-5, "max_iter": 300}


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--seeds", type=int, default=5, help="default 5")
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


def trimmed(X, share, seed):
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


METHODS = {
    "cgmm, noise, 1 start": lambda X, share, seed: fitted(
        GMM(COMPONENTS, noise_component="uniform", random_state=seed, **EM), X
    ),
    "cgmm, noise, 5 starts": lambda X, share, seed: fitted(
        GMM(COMPONENTS, noise_component="uniform", n_init=STARTS, random_state=seed, **EM), X
    ),
    "cgmm, 5 starts": lambda X, share, seed: fitted(GMM(COMPONENTS, n_init=STARTS, random_state=seed, **EM), X),
    "scikit-learn, 5 starts": lambda X, share, seed: fitted(
        GaussianMixture(COMPONENTS, n_init=STARTS, random_state=seed, **EM), X
    ),
    "scikit-learn, one more component": lambda X, share, seed: fitted(
        GaussianMixture(COMPONENTS + 1, n_init=STARTS, random_state=seed, **EM), X
    ),
    "scikit-learn, trimmed": trimmed,
}


def measure(method, d, kind, share, seed):
    """The two Rand indices, and how far the means are."""
    X, own, means, spread = problem(d, kind, share, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels, found = METHODS[method](X, share, seed)
    clean = own >= 0
    away = np.linalg.norm(found[np.newaxis] - means[:, np.newaxis], axis=2).min(axis=1) / spread
    return adjusted_rand_score(own, labels), adjusted_rand_score(own[clean], labels[clean]), float(away.max())


def main(argv=None):
    options = arguments(argv)
    machine = facts()
    print(f"{ROWS} rows, {COMPONENTS} clusters; medians of {options.seeds} seeds.")
    print("ARI of all rows / ARI of the clusters' rows / error of the means.\n")
    report.print_headings("noise", *METHODS, texts=1)
    results = []
    for d in FEATURES:
        for kind, share in CASES:
            row = [f"{kind}, {share:.0%}, d = {d}"]
            for method in METHODS:
                found = [measure(method, d, kind, share, seed) for seed in range(options.seeds)]
                medians = [statistics.median(values) for values in zip(*found, strict=True)]
                results.append({"d": d, "kind": kind, "share": share, "method": method, "medians": medians})
                row.append("{:.2f} / {:.2f} / {:.2f}".format(*medians))
            report.print_row(row)
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
