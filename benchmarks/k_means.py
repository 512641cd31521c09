"""k-means: cgmm's against scikit-learn's and, where it is installed, faiss's.

From the same centers: all make the moves that scikit-learn makes until nothing changes, ten at most, are
verified to reach the same inertia, and are then timed in turns. End to end: each from its own k-means++ seeds to
its own end, with the same tol and one start. Prints Markdown tables; --json keeps every timing.
"""

import warnings

from threadpoolctl import threadpool_limits

import report
from cases import SYNTHETIC
from cgmm import kmeans
from machine import facts

QUICK_SCALE = 0.02
MOVES = 10  # of the centers from the same start, at most
SEED_ROWS = 20_000  # that they are drawn from, about
END_HEADINGS = (
    "problem",
    "n, d, k, family",
    "cgmm",
    "scikit-learn",
    "inertia over scikit-learn's − 1, ± its standard error",
    "moves, cgmm",
    "scikit-learn",
)
SAME_INERTIA = 1e-4  # relative: some compute in float32


def arguments(argv=None):
    found = report.parser(__doc__, SYNTHETIC)
    found.add_argument("--rounds", type=int, default=5, help="timings from the same centers; default 5")
    found.add_argument("--seeds", type=int, default=10, help="starts end to end; default 10")
    found.add_argument("--seconds", type=float, default=0.1, help="least time of a timing; default 0.1")
    return report.parse(found, argv, rounds=1, seeds=2)


def lloyd_cgmm(X, centers, moves, n_threads):
    return kmeans(X, len(centers), init=centers, max_iter=moves, tol=0.0, n_threads=n_threads).centers


def lloyd_scikit_learn(X, centers, moves, n_threads):
    from sklearn.cluster import KMeans

    return KMeans(len(centers), init=centers, n_init=1, max_iter=moves, tol=0.0).fit(X).cluster_centers_


def lloyd_faiss(X, centers, moves, n_threads):
    import faiss

    faiss.omp_set_num_threads(n_threads)
    k, d = centers.shape
    model = faiss.Kmeans(d, k, niter=moves, max_points_per_centroid=len(X), min_points_per_centroid=1)
    model.train(X, init_centroids=centers)
    return model.centroids


# faiss has no other type than float32
LLOYD = {
    "cgmm": (lloyd_cgmm, "float64"),
    "scikit-learn": (lloyd_scikit_learn, "float64"),
    "cgmm float32": (lloyd_cgmm, "float32"),
    "scikit-learn float32": (lloyd_scikit_learn, "float32"),
    "faiss float32": (lloyd_faiss, "float32"),
}


def same_centers(problem, X, options):
    """Each library's outcome, inertia and seconds or a fault, of the same moves from the same centers.

    These are k-means++ seeds, so that no cluster becomes empty: then each library does as it likes.
    """
    from sklearn.cluster import KMeans, kmeans_plusplus

    start, _ = kmeans_plusplus(X[:: max(1, len(X) // SEED_ROWS)], problem.k, random_state=0)
    moves = KMeans(problem.k, init=start, n_init=1, max_iter=MOVES, tol=0.0).fit(X).n_iter_
    typed = {dtype: (X.astype(dtype, copy=False), start.astype(dtype)) for dtype in ("float64", "float32")}
    outcomes, runs, right = {}, {}, None
    for name, (lloyd, dtype) in LLOYD.items():

        def run(lloyd=lloyd, data=typed[dtype]):
            return lloyd(*data, moves, options.threads)

        try:
            reached = inertia(X, run())
            right = right or reached
            if not abs(reached - right) <= SAME_INERTIA * right:
                raise ValueError(f"inertia {reached:.10g}, not {right:.10g}")
            runs[name], outcomes[name] = run, {"inertia": reached}
        except Exception as error:  # whatever a library throws is its result
            outcomes[name] = {"error": f"{type(error).__name__}: {error}"}
    for name, seconds in report.in_turns(runs, options.rounds, options.seconds).items():
        outcomes[name]["seconds"] = seconds
    return {"moves": moves, "libraries": outcomes}


def inertia(X, centers):
    """Σ |x − nearest center|², by scikit-learn, in float64."""
    from sklearn.metrics import pairwise_distances_argmin_min

    return float(pairwise_distances_argmin_min(X, centers.astype(X.dtype), metric="sqeuclidean")[1].sum())


def end_to_end(problem, X, options):
    """Each library's partitions from each seed."""
    from sklearn.cluster import KMeans

    fitters = {
        "cgmm": report.Fitter(
            lambda rows, seed: kmeans(rows, problem.k, random_state=seed, n_threads=options.threads),
            lambda found, rows: {"inertia": found.inertia, "moves": found.n_iter},
        ),
        "scikit-learn": report.Fitter(
            lambda rows, seed: KMeans(problem.k, n_init=1, random_state=seed).fit(rows),
            lambda model, rows: {"inertia": float(model.inertia_), "moves": int(model.n_iter_)},
        ),
    }
    return report.by_seed(X, fitters, options.seeds)


def same_cells(measured):
    outcomes = measured["same_centers"]["libraries"].values()
    found = report.times([outcome.get("seconds") for outcome in outcomes])
    return [measured["name"], report.shape(measured), str(measured["same_centers"]["moves"]), *found]


def end_cells(measured):
    fits = measured["end_to_end"].values()
    ours, theirs = (report.values(records, "inertia") for records in fits)
    row = [measured["name"], report.shape(measured), *report.times_of(fits)]
    return [*row, report.spread(ours / theirs - 1), *report.means_of(fits, "moves")]


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    warnings.simplefilter("ignore")  # of runs that do not converge
    machine, results = facts(), []
    print(f"k-means (in brackets: times cgmm's in float64); {options.threads} threads, cgmm on "
          f"{machine['target']}; {machine['cpu']}.")  # fmt: skip
    report.print_title(f"From the same centers to the same inertia, median of {options.rounds} rounds")
    report.print_headings("problem", "n, d, k, family", "moves", *LLOYD)
    for problem, X in report.problems(options, QUICK_SCALE):
        results.append({**problem._asdict(), "n": len(X), "same_centers": same_centers(problem, X, options)})
        report.print_row(same_cells(results[-1]))
    for result in results:
        for name, outcome in result["same_centers"]["libraries"].items():
            if "error" in outcome:
                print(f"{result['name']}, {name}: {outcome['error']}")
    report.print_title(f"End to end, float64, median of {options.seeds} seeds")
    report.print_headings(*END_HEADINGS)
    for result, (problem, X) in zip(results, report.problems(options, QUICK_SCALE), strict=True):
        result["end_to_end"] = end_to_end(problem, X, options)
        report.print_row(end_cells(result))
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
