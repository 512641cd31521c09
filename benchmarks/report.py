"""What the scripts share: their options, timing in turns, tables and JSON."""

import argparse
import json
import statistics
import time
from typing import NamedTuple

import numpy as np

from cases import PROBLEMS
from cgmm.config import threads

QUICK = {"rounds": 1, "seeds": 2, "seconds": 0.005, "rows": 200_000}
MOST_REPEATS = 100_000
WARMING_ROWS = 2000
# Seconds before a timing beside other libraries: the threads of a BLAS spin for a while after its work.
REST = 0.5


class Fitter(NamedTuple):
    """How a library is timed from a seed: `fit` (rows, seed) → value; `result` (value, rows) → what to record."""

    fit: object
    result: object


def parser(doc, problems=None, default=None):
    """A parser with the options that all scripts have; `problems` are the default, or `default` says which."""
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--problems", nargs="+", choices=PROBLEMS, default=problems, metavar="NAME",
                       help=f"of {', '.join(PROBLEMS)}; default: {default or ' '.join(problems)}")  # fmt: skip
    return common(found)


def common(found):
    """The parser with those options that do not depend on problems."""
    found.add_argument("--threads", type=int, default=threads(), help="default: all that may be used")
    found.add_argument("--quick", action="store_true", help="few rows and rounds: to see that it runs")
    found.add_argument("--json", metavar="FILE", help="write every value and the machine's facts")
    return found


def parse(found, argv, **least):
    """The options, of which `least` gives the smallest values; --quick changes those of QUICK."""
    options = found.parse_args(argv)
    for name, smallest in {"threads": 1, **least}.items():
        if getattr(options, name) < smallest:
            found.error(f"--{name.replace('_', '-')} must be at least {smallest}")
    if options.quick:
        vars(options).update({name: value for name, value in QUICK.items() if hasattr(options, name)})
    return options


def problems(options, scale, dtype="float64"):
    """Each chosen problem, once, with its rows; that part of them if --quick."""
    for name in dict.fromkeys(options.problems):
        yield PROBLEMS[name], PROBLEMS[name].rows(scale if options.quick else 1.0, dtype)


def timed(function, *arguments):
    """What a function returns, and its seconds."""
    begin = time.perf_counter()
    value = function(*arguments)
    return value, time.perf_counter() - begin


def in_turns(functions, rounds, least_seconds, rest=0.0):
    """Seconds of a call, name → one of each round: a timing repeats the call for at least `least_seconds`.

    rest : seconds before each timing, for the threads of the library before it to end their waiting, in which they keep
        a processor busy, and for what noticed that to forget it
    """
    repeats = {}
    for name, function in functions.items():
        function()
        repeats[name] = int(min(MOST_REPEATS, max(1, least_seconds / timed(function)[1])))
    seconds = {name: [] for name in functions}
    for names in alternating(functions, rounds):
        for name in names:
            time.sleep(rest)
            seconds[name].append(timed(_repeat, functions[name], repeats[name])[1] / repeats[name])
    return seconds


def alternating(names, rounds):
    """The names in each round, there and back again: so no one always follows the same other."""
    for turn in range(rounds):
        yield list(names)[:: 1 if turn % 2 == 0 else -1]


def by_seed(X, fitters, seeds):
    """Name → a record of each seed's fit: its seconds and result. The fits of one seed follow each other."""
    for fitter in fitters.values():
        fitter.fit(X[:WARMING_ROWS], 0)
    records = {name: [] for name in fitters}
    for seed, names in enumerate(alternating(fitters, seeds)):
        for name in names:
            value, seconds = timed(fitters[name].fit, X, seed)
            records[name].append({"seed": seed, "seconds": seconds, **fitters[name].result(value, X)})
    return records


def values(records, what):
    """One entry of all records, as an array."""
    return np.array([record[what] for record in records])


def times_of(fits):
    """Cells of the times of some libraries' records."""
    return times([values(records, "seconds") for records in fits])


def means_of(fits, what):
    """Cells of the mean of one entry of some libraries' records."""
    return [f"{values(records, what).mean():.1f}" for records in fits]


def _repeat(function, times):
    for _ in range(times):
        function()


def times(seconds, unit=1e3, label="ms"):
    """Cells of a row: the median of each list of seconds, and in brackets how many times that of the first."""
    medians = [None if measured is None else statistics.median(measured) for measured in seconds]
    first = medians[0]
    cells = []
    for median in medians:
        if median is None:
            cells.append("–")
        elif median is first or first is None:
            cells.append(f"{three(unit * median)} {label}")
        else:
            cells.append(f"{three(unit * median)} {label} ({three(median / first)}×)")
    return cells


def spread(numbers):
    """Mean ± its standard error, for a cell."""
    error = statistics.stdev(numbers) / len(numbers) ** 0.5
    return f"{statistics.fmean(numbers):+.4f} ± {error:.4f}"


def shape(measured):
    """The cell that describes a problem."""
    return "{n:,}, {d}, {k}, {covariance_type}".format(**measured)


def three(value):
    """A positive number to three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def print_title(title):
    print(f"\n### {title}\n", flush=True)


def print_headings(*headings, texts=2):
    """The head of a table whose first columns are text, and the others numbers."""
    print_row(headings)
    print_row([*["---"] * texts, *["---:"] * (len(headings) - texts)])


def print_row(row):
    print("| " + " | ".join(row) + " |", flush=True)


def write(options, machine, **values):
    """The JSON, if asked for."""
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine, "options": vars(options), **values}, file, indent=1)
