"""How accurate and how well calibrated predictive distributions are: mixture regression beside other regressors.

Three data sets of scikit-learn's that need no download: diabetes (442 rows, 10 features), linnerud (20 rows, 3
features; of its targets the waist) and Friedman's first problem (1000 rows, 10 features, of which 5 matter). Each is
cut into five folds. Told are, of rows that were left out and in units of the target's standard deviation: the root mean
square error of the mean, the mean pinball loss of the quantiles 0.05, 0.5 and 0.95 (half of what a forecaster of
quantiles pays: lower is better), the share of targets within the interval from 0.05 to 0.95, of which 0.9 is promised,
and the seconds of all folds. Libraries that are not installed are left out. Prints Markdown tables; --json keeps it
all.
"""

import argparse
import time
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cgmm import GMMRegressor
from machine import facts

LEVELS = np.array([0.05, 0.5, 0.95])
FOLDS = 5
MOST = 6  # components that cgmm tries


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    return report.parse(found, argv)


def problems():
    """Name → features and targets, all of mean zero and variance one."""
    from sklearn.datasets import load_diabetes, load_linnerud, make_friedman1

    waist = load_linnerud()
    found = {
        "diabetes": load_diabetes(return_X_y=True),
        "linnerud": (waist.data, waist.target[:, 1]),
        "friedman": make_friedman1(1000, noise=1.0, random_state=0),
    }
    return {name: tuple((part - part.mean(axis=0)) / part.std(axis=0) for part in pair) for name, pair in found.items()}


def ours(kind, **given):
    def predict(X, y, fresh):
        model = GMMRegressor(max_components=MOST, covariance_type=kind, random_state=0, **given).fit(X, y)
        return model.predict(fresh), model.predict_quantiles(fresh, LEVELS)

    return predict


def gmr(X, y, fresh):
    """gmr, which has no quantiles: those of draws of its conditional mixture. It has as many components as cgmm."""
    import gmr

    k = GMMRegressor(max_components=MOST, random_state=0).fit(X, y).n_components_
    model = gmr.GMM(k, random_state=np.random.RandomState(0)).from_samples(np.column_stack([X, y]), n_iter=200)
    columns = np.arange(X.shape[1])
    draws = np.array([model.condition(columns, row).sample(2000)[:, 0] for row in fresh])
    return model.predict(columns, fresh)[:, 0], np.quantile(draws, LEVELS, axis=1).T


def boosting(X, y, fresh):
    from sklearn.ensemble import HistGradientBoostingRegressor as Trees

    each = [Trees(loss="quantile", quantile=q, random_state=0).fit(X, y).predict(fresh) for q in LEVELS]
    return Trees(random_state=0).fit(X, y).predict(fresh), np.column_stack(each)


def gaussian_process(X, y, fresh):
    from scipy.special import ndtri
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel() * RBF(np.ones(X.shape[1]), (1e-2, 1e4)) + WhiteKernel()
    mean, std = GaussianProcessRegressor(kernel, random_state=0).fit(X, y).predict(fresh, return_std=True)
    return mean, mean[:, None] + std[:, None] * ndtri(LEVELS)


REGRESSORS = {
    "cgmm, k by BIC": ours("full"),
    "cgmm, k by cross-validation": ours("full", n_components="cv"),
    "gmr": gmr,
    "HistGradientBoosting": boosting,
    "GaussianProcess": gaussian_process,
}


def measured(predict, X, y):
    """Error, pinball loss, coverage and seconds over the folds."""
    fold_of = np.random.default_rng(0).permutation(len(X)) % FOLDS
    means, quantiles = np.empty(len(y)), np.empty((len(y), len(LEVELS)))
    begin = time.perf_counter()
    for fold in range(FOLDS):
        kept, out = fold_of != fold, fold_of == fold
        means[out], quantiles[out] = predict(X[kept], y[kept], X[out])
    seconds = time.perf_counter() - begin
    above = y[:, None] - quantiles
    pinball = np.maximum(LEVELS * above, (LEVELS - 1) * above).mean()
    within = ((quantiles[:, 0] <= y) & (y <= quantiles[:, -1])).mean()
    return {"rmse": np.sqrt(np.square(means - y).mean()), "pinball": pinball, "within": within, "seconds": seconds}


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    warnings.simplefilter("ignore")
    machine = facts()
    print(f"Five folds; {options.threads} threads; {machine['cpu']}.")
    results = {}
    for name, (X, y) in problems().items():
        if options.quick:
            X, y = X[:60], y[:60]
        print(f"\n{name}: {len(X):,} rows, {X.shape[1]} features.\n")
        report.print_headings("", "error of the mean", "pinball loss", "within 90 %", "seconds", texts=1)
        for who, predict in REGRESSORS.items():
            try:
                found = results[f"{name}, {who}"] = measured(predict, X, y)
            except ImportError:
                continue
            cells = [f"{found[what]:.3f}" for what in ("rmse", "pinball")]
            report.print_row([who, *cells, f"{found['within']:.0%}", f"{found['seconds']:.2f}"])
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
