"""Iterations of EM for rows with errors of measurement, beside other libraries, and beside the ordinary fit.

All begin at the same mixture and have the same rows. An iteration is the difference of two fits of different lengths
over the number of iterations between them, so that what a fit does once does not count. Before anything is timed, the
log-likelihoods after a few iterations agree to 1e-6 per row, but for pygmmis, which ends its iterations by rules of its
own. Libraries that are not installed are left out: astroML, pygmmis, and extreme_deconvolution, the C code of Bovy,
Hogg and Roweis with its wrapper. Prints Markdown tables; --json keeps it all.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cgmm import GMM
from machine import facts

N, D, K = 20_000, 5, 5
MANY, FEW_FEATURES, COMPONENTS = 1_000_000, 2, 20
AGREE = 1e-6
TINY = 1e-300  # extreme_deconvolution makes no iteration with a tolerance of zero.
QUICK_SCALE = 0.01


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rounds", type=int, default=3, help="default 3")
    return report.parse(found, argv, rounds=1)


def problem(n, d, k, full):
    """Rows with errors, their covariances or variances, and a start."""
    rng = np.random.default_rng(0)
    means = 4 * rng.normal(size=(k, d)) / np.sqrt(d)
    truth = means[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    if full:
        roots = rng.normal(size=(n, d, d)) / np.sqrt(2 * d)
        S, errors = roots @ roots.transpose(0, 2, 1), np.einsum("nij,nj->ni", roots, rng.normal(size=(n, d)))
    else:
        S = rng.gamma(1.0, 0.5, size=(n, d))
        errors = np.sqrt(S) * rng.normal(size=(n, d))
    start = np.full(k, 1 / k), means + 0.5 * rng.normal(size=(k, d)), np.tile(2.0 * np.eye(d), (k, 1, 1))
    return truth + errors, S, start


def ours(X, S, start, n_threads, covariance_type="full"):
    """iterations → the mean log-likelihood of the mixture before the last of them."""
    weights, means, covariances = start
    precisions = {"full": np.linalg.inv(covariances), "diag": 1 / covariances.diagonal(axis1=1, axis2=2)}

    def fit(iterations):
        model = GMM(
            len(weights),
            covariance_type=covariance_type,
            weights_init=weights,
            means_init=means,
            precisions_init=precisions[covariance_type],
            reg_covar=0,
            tol=0,
            max_iter=iterations,
            n_threads=n_threads,
        )
        return model.fit(X, error_covariances=S).lower_bound_

    return fit


def astroml(X, S, start):
    from astroML.density_estimation import XDGMM

    def fit(iterations):
        model = XDGMM(len(start[0]), max_iter=iterations, tol=-np.inf, random_state=0)
        model.alpha, model.mu, model.V = (np.array(part) for part in start)
        for _ in range(iterations):
            before = model.logL(X, S)
            model._EMstep(X, S)
        return before / len(X)

    return fit


def bovy(X, S, start):
    from extreme_deconvolution import extreme_deconvolution

    def fit(iterations):
        weights, means, covariances = (np.array(part) for part in start)
        # It returns the log-likelihood before the last iteration.
        return extreme_deconvolution(X, S, weights, means, covariances, maxiter=iterations, tol=TINY)

    return fit


def pygmmis(X, S, start):
    import pygmmis

    def fit(iterations):
        model = pygmmis.GMM(K=len(start[0]), D=X.shape[1])
        model.amp[:], model.mean[:], model.covar[:] = start
        found, _ = pygmmis.fit(
            model, X, covar=S, init_method="none", w=0.0, cutoff=None, tol=-np.inf, maxiter=iterations
        )
        return found / len(X)

    return fit


def seconds_of(fit, few, many, rounds):
    """Seconds of an iteration: medians of fits of two lengths, in turns."""
    found = {few: [], many: []}
    for _ in range(rounds):
        for iterations in found:
            begin = time.perf_counter()
            fit(iterations)
            found[iterations].append(time.perf_counter() - begin)
    return (statistics.median(found[many]) - statistics.median(found[few])) / (many - few)


def beside_others(options):
    X, S, start = problem(int(N * (QUICK_SCALE if options.quick else 1)), D, K, full=True)
    fits = {"cgmm": (ours(X, S, start, options.threads), 10, 110), "cgmm, one thread": (ours(X, S, start, 1), 10, 60)}
    for name, make, lengths in (
        ("extreme_deconvolution", bovy, (2, 6)),
        ("astroML", astroml, (2, 4)),
        ("pygmmis", pygmmis, (2, 4)),
    ):
        try:
            fits[name] = (make(X, S, start), *lengths)
            fits[name][0](1)
        except ImportError:
            fits.pop(name, None)
    reached = {name: fit(2) for name, (fit, _, _) in fits.items() if name != "pygmmis"}
    for name, value in reached.items():
        if not abs(value - reached["cgmm"]) < AGREE:
            raise SystemExit(f"{name} reaches {value}, and cgmm {reached['cgmm']}")
    return {name: seconds_of(fit, *lengths, options.rounds) for name, (fit, *lengths) in fits.items()}


def beside_none(options):
    """Iterations with and without errors of the same rows, by family and kind of errors."""
    found = {}
    n = int(MANY * (QUICK_SCALE if options.quick else 1))
    X, S, start = problem(n, FEW_FEATURES, COMPONENTS, full=False)
    for family in ("full", "diag"):
        found[family, "none"] = seconds_of(ours(X, None, start, options.threads, family), 5, 15, options.rounds)
        found[family, "variances"] = seconds_of(ours(X, S, start, options.threads, family), 5, 15, options.rounds)
    return found


def main(argv=None):
    options = arguments(argv)
    warnings.simplefilter("ignore")
    threadpool_limits(options.threads)
    machine = facts()
    print(f"float64, {options.threads} threads, cgmm on {machine['target']}; {machine['cpu']}.\n")
    print(f"An iteration of {N:,} rows, {D} features, {K} components, a covariance matrix for each row's errors:\n")
    others = beside_others(options)
    report.print_headings("library", "an iteration", "times cgmm's", texts=1)
    for name, seconds in others.items():
        report.print_row([name, f"{1e3 * seconds:.2f} ms", f"{seconds / others['cgmm']:.1f}"])
    print(f"\nAn iteration of {MANY:,} rows, {FEW_FEATURES} features, {COMPONENTS} components:\n")
    own = beside_none(options)
    report.print_headings("family", "no errors", "variances of errors", "times", texts=1)
    for family in ("full", "diag"):
        none, some = own[family, "none"], own[family, "variances"]
        report.print_row([family, f"{1e3 * none:.1f} ms", f"{1e3 * some:.1f} ms", f"{some / none:.2f}"])
    report.write(options, machine, others=others, own={" ".join(key): value for key, value in own.items()})


if __name__ == "__main__":
    main()
