"""Time one EM iteration of each library on each problem: verified equal first, then timed in turns.

Prints a Markdown table; --json keeps every timing and the machine's facts.
"""

import argparse
import json
import statistics
import sys

from cases import PROBLEMS
from cgmm.config import select_target, threads
from libraries import LIBRARIES, clock, load, reference, verify
from machine import facts, peak

QUICK_SCALE = 0.02
LEAST_SECONDS = 0.25  # a timing does as many iterations as last so long,
MOST_ITERATIONS = 50  # but no more than these


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), metavar="NAME",
                        help=f"of {', '.join(PROBLEMS)}; default: all")  # fmt: skip
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), metavar="NAME",
                        help=f"of {', '.join(LIBRARIES)}; default: all")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=7, help="timings of each library; default 7")
    parser.add_argument("--threads", type=int, default=threads(), help="default: all that may be used")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--after", type=int, default=3, metavar="ITERATIONS",
                        help="verify so far from the common start, and time from there; default 3")  # fmt: skip
    parser.add_argument("--isa", help="instruction set of cgmm; default: the machine's best")
    parser.add_argument("--quick", action="store_true", help="few rows and rounds: to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write every timing and the machine's facts")
    options = parser.parse_args(argv)
    if min(options.rounds, options.threads, options.after) < 1:
        parser.error("--rounds, --threads and --after must be at least 1")
    if options.isa:
        try:
            select_target(options.isa)
        except ValueError as error:
            parser.error(str(error))
    if options.quick:
        options.rounds = min(options.rounds, 3)
    return options


def measure(problem, libraries, options):
    """One problem: for each library its timings or its fault, and the peaks measured between them."""
    X = problem.rows(QUICK_SCALE if options.quick else 1.0, options.dtype)
    start = problem.start(X)
    outcomes, runs, expected = {}, {}, None
    for name, library in libraries.items():
        if why := library.refuses(problem):
            outcomes[name] = {"refuses": why}
            continue
        try:
            expected = expected or reference(problem, X, start, options.after, options.threads)
            verify(library.em(problem, X, start, options.after, options.threads), expected, options.dtype)
            runs[name], iterations = warm(library, problem, X, expected, options.threads)
            outcomes[name] = {"iterations": iterations, "seconds": []}
        except Exception as error:  # whatever a library throws is its result
            outcomes[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    peaks = []
    for _ in range(options.rounds):
        for name, run in runs.items():
            outcomes[name]["seconds"].append(libraries[name].seconds(run, outcomes[name]["iterations"]))
        peaks.append(peak(options.dtype, options.threads))
    return {
        **problem._asdict(),
        "n": len(X),
        "flops": problem.flops * len(X),
        "log_likelihood": expected and expected.log_likelihood,
        "libraries": outcomes,
        "peak": peaks,
    }


def warm(library, problem, X, start, n_threads):
    """A prepared run that has been timed once, and how many iterations a timing is to take."""
    run = library.prepare(problem, X, start, n_threads)
    iterations = int(min(MOST_ITERATIONS, max(1, LEAST_SECONDS / clock(run, 1)[0])))
    library.seconds(run, iterations)
    return run, iterations


def median(outcome):
    """Median seconds of an iteration, or None."""
    return statistics.median(outcome["seconds"]) if outcome.get("seconds") else None


def cells(measured, names, top):
    """The table's row of one problem; `top` is the highest peak seen in the run."""
    outcomes = measured["libraries"]
    ours = median(outcomes["cgmm"]) if "cgmm" in outcomes else None
    row = [measured["name"], "{n:,}, {d}, {k}, {covariance_type}".format(**measured)]
    for name in names:
        theirs = median(outcomes[name])
        if theirs is None:
            row.append("–" if "refuses" in outcomes[name] else "fails")
        elif name == "cgmm" or ours is None:
            row.append(f"{three(1e3 * theirs)} ms")
        else:
            row.append(f"{three(1e3 * theirs)} ms ({three(theirs / ours)}×)")
    if ours is None:
        return [*row, "–", "–"]
    rate = measured["flops"] / ours
    return [*row, three(rate / 1e9), f"{rate / top:.0%}"]


def three(value):
    """A positive number to three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def print_row(row):
    print("| " + " | ".join(row) + " |", flush=True)


def main(argv=None):
    options = arguments(argv)
    libraries, missing = load(dict.fromkeys(options.libraries))
    machine = facts()
    print(f"One EM iteration, median of {options.rounds} rounds (in brackets: times cgmm's); {options.dtype}, "
          f"{options.threads} threads, cgmm on {machine['target']}; {machine['cpu']}.\n")  # fmt: skip
    headings = [f"{name} {library.version}" for name, library in libraries.items()]
    print_row(["problem", "n, d, k, family", *headings, "cgmm GFLOP/s", "of FMA peak"])
    print_row(["---", "---", *["---:"] * (len(libraries) + 2)])
    results, top = [], max(peak(options.dtype, options.threads) for _ in range(options.rounds))
    for name in dict.fromkeys(options.problems):
        results.append(measure(PROBLEMS[name], libraries, options))
        top = max(top, *results[-1]["peak"])
        print_row(cells(results[-1], libraries, top))

    print(f"\nFMA peak: {top / 1e9:.4g} GFLOP/s, the highest of those measured before and between the timings.")
    for name, why in missing.items():
        print(f"{name} cannot be imported: {why}")
    for result in results:
        for name, outcome in result["libraries"].items():
            if "error" in outcome:
                print(f"{result['name']}, {name}: {outcome['error']}")
    if options.json:
        report = {
            "machine": machine,
            "options": vars(options),
            "missing": missing,
            "peak": top,
            "results": results,
        }
        with open(options.json, "w") as file:
            json.dump(report, file, indent=1)
    return int(any("error" in r["libraries"].get("cgmm", {}) for r in results))


if __name__ == "__main__":
    sys.exit(main())
