"""Time one EM iteration of each library on each problem: verified equal first, then timed in turns.

Prints Markdown tables: the times, then cgmm's throughput beside what the machine's arithmetic and memory allow.
--json keeps every timing and the machine's facts.
"""

import statistics
import sys

import report
from cases import PROBLEMS
from cgmm.config import select_target
from libraries import LIBRARIES, clock, load, reference, verify
from machine import bandwidth, facts, peak

QUICK_SCALE = 0.02
MOST_ITERATIONS = 50  # of a timing
ROOFLINE = ("cgmm", "cgmm-dense")  # whose throughput is shown


def arguments(argv=None):
    found = report.parser(__doc__, list(PROBLEMS), "all")
    found.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), metavar="NAME",
                       help=f"of {', '.join(LIBRARIES)}; default: all")  # fmt: skip
    found.add_argument("--rounds", type=int, default=5, help="timings of each library; default 5")
    found.add_argument("--seconds", type=float, default=0.25, help="least time of a timing; default 0.25")
    found.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    found.add_argument("--after", type=int, default=3, metavar="ITERATIONS",
                       help="verify so far from the common start, and time from there; default 3")  # fmt: skip
    found.add_argument("--isa", help="instruction set of cgmm; default: the machine's best")
    options = report.parse(found, argv, rounds=1, after=1)
    if options.isa:
        try:
            select_target(options.isa)
        except ValueError as error:
            found.error(str(error))
    return options


def measure(problem, X, libraries, options):
    """One problem: for each library its timings or its fault, and the machine's limits measured between them."""
    start = problem.start(X)
    outcomes, runs, expected = {}, {}, None
    for name, library in libraries.items():
        if why := library.refuses(problem):
            outcomes[name] = {"refuses": why}
            continue
        try:
            expected = expected or reference(problem, X, start, options.after, options.threads)
            verify(library.em(problem, X, start, options.after, options.threads), expected, options.dtype)
            runs[name], iterations = warm(library, problem, X, expected, options)
            outcomes[name] = {"iterations": iterations, "seconds": []}
        except Exception as error:  # whatever a library throws is its result
            outcomes[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    peaks = []
    for names in report.alternating(runs, options.rounds):
        for name in names:
            outcomes[name]["seconds"].append(libraries[name].seconds(runs[name], outcomes[name]["iterations"]))
        peaks.append(peak(options.dtype, options.threads))
    return {
        **problem._asdict(),
        "n": len(X),
        "flops": problem.flops * len(X),
        "bytes": X.nbytes,
        "log_likelihood": expected and expected.log_likelihood,
        "libraries": outcomes,
        "peak": peaks,
        "bandwidth": bandwidth(options.threads),
    }


def warm(library, problem, X, start, options):
    """A prepared run that has been timed once, and how many iterations a timing is to take."""
    run = library.prepare(problem, X, start, options.threads)
    iterations = int(min(MOST_ITERATIONS, max(1, options.seconds / clock(run, 1)[0])))
    library.seconds(run, iterations)
    return run, iterations


def median(outcome):
    """Median seconds of an iteration, or None."""
    return statistics.median(outcome["seconds"]) if outcome.get("seconds") else None


def cells(measured, names):
    """The table's row of one problem; a library that comes first is what the others are compared with."""
    outcomes = measured["libraries"]
    found = report.times([outcomes[name].get("seconds") for name in names])
    faults = ["fails" if "error" in outcomes[name] else cell for name, cell in zip(names, found, strict=True)]
    return [measured["name"], report.shape(measured), *faults]


def roofline(measured, top, bytes_per_second):
    """What the machine allows one problem, and what was reached of it.

    An iteration must read X once and do its multiply-adds: it can do no more operations a second than the peak,
    nor than the operations of a byte times the bytes of a second (Williams, Waterman and Patterson 2009).
    """
    intensity = measured["flops"] / measured["bytes"]
    row = [measured["name"], report.three(intensity), report.three(min(top, intensity * bytes_per_second) / 1e9)]
    for name in ROOFLINE:
        seconds = median(measured["libraries"].get(name, {}))
        rate = measured["flops"] / seconds if seconds else None
        row += [report.three(rate / 1e9), f"{rate / top:.0%}"] if rate else ["–", "–"]
    return row


def print_roofline(results, top, bytes_per_second):
    report.print_title("Throughput, counting the arithmetic of a dense iteration")
    reached = [heading for name in ROOFLINE for heading in (f"{name} GFLOP/s", "of FMA peak")]
    report.print_headings("problem", "FLOP/byte", "attainable GFLOP/s", *reached, texts=1)
    for result in results:
        report.print_row(roofline(result, top, bytes_per_second))
    print(f"\nMeasured in this run, the highest before and between the timings: FMA peak {top / 1e9:.4g} GFLOP/s, "
          f"memory {bytes_per_second / 1e9:.3g} GB/s.")  # fmt: skip


def main(argv=None):
    options = arguments(argv)
    libraries, missing = load(dict.fromkeys(options.libraries))
    machine = facts()
    print(f"One EM iteration, median of {options.rounds} rounds (in brackets: times {next(iter(libraries))}'s); "
          f"{options.dtype}, {options.threads} threads, cgmm on {machine['target']}; "
          f"{machine['cpu']}.\n")  # fmt: skip
    headings = [f"{name} {library.version}" for name, library in libraries.items()]
    report.print_headings("problem", "n, d, k, family", *headings)
    top, speed = (
        max(peak(options.dtype, options.threads) for _ in range(options.rounds)),
        bandwidth(options.threads),
    )
    results = []
    for problem, X in report.problems(options, QUICK_SCALE, options.dtype):
        results.append(measure(problem, X, libraries, options))
        top, speed = max(top, *results[-1]["peak"]), max(speed, results[-1]["bandwidth"])
        report.print_row(cells(results[-1], libraries))
    print_roofline(results, top, speed)

    for name, why in missing.items():
        print(f"{name} cannot be imported: {why}")
    for result in results:
        for name, outcome in result["libraries"].items():
            if "error" in outcome:
                print(f"{result['name']}, {name}: {outcome['error']}")
    versions = {name: library.version for name, library in libraries.items()}
    report.write(options, machine, libraries=versions, missing=missing, peak=top, bandwidth=speed, results=results)
    return int(any("error" in r["libraries"].get("cgmm", {}) for r in results))


if __name__ == "__main__":
    sys.exit(main())
