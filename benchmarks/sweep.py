"""How the time of an EM iteration depends on d, k, n, type and threads: cgmm alone, dense, full and diag.

Every point is an iteration of as many standard normal rows as last about --seconds; its value is the time of a
useful operation (`Problem.flops`) in units of the FMA peak of the same run, type and threads: 1 is the peak, and a
point high above its neighbours is a cliff. Prints Markdown tables; --json keeps every point, --plot draws them.
"""

import argparse
import statistics
from typing import NamedTuple

import numpy as np

import report
from cases import Problem, Start
from libraries import CgmmDense
from machine import facts, peak

D = (*range(1, 20), 21, 23, 24, 25, 28, 31, 32, 33, 36, 39, 40, 41, 47, 48, 49, 56, 57, 63, 64, 65, 72, 79, 80, 81,
     95, 96, 97, 112, 113, 127, 128, 129, 130, 192, 256, 384, 512, 768, 1024, 1536, 2048)  # fmt: skip
K = (*range(1, 14), 15, 16, 17, 19, 23, 24, 25, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 80, 95, 96, 97, 127, 128,
     129, 160, 191, 192, 193, 255, 256, 257, 299, 300, 512, 1000, 2000, 4000, 10_000)  # fmt: skip
N = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
FIXED = {"d": 8, "k": 16}  # what a sweep does not change
WIDE, FEW = 130, 2  # but of more features there are so few components: a row costs d² for each, and each needs rows
ROWS_A_FEATURE = 4  # at least, in each component: with fewer than one, covariances would be singular
FAMILIES = ("full", "diag")
DTYPES = ("float64", "float32")
COLOURS = {"float64": "#0072B2", "float32": "#D55E00"}  # told apart without red and green (Okabe and Ito 2008)
LEAST_ROWS, MOST_ELEMENTS = 2048, 1 << 25
PEAKS = 10  # measurements of the peak, of which the highest counts
EXPECTED_SHARE = 0.3  # of the peak, for the number of rows
CLIFF = 1.25  # times the time of the size before


class Curve(NamedTuple):
    """One line of the picture: what is swept, and what stays the same."""

    axis: str
    covariance_type: str
    dtype: str
    threads: int

    @property
    def label(self):
        return f"{self.dtype}, {threads_named(self.threads)}"


def threads_named(count):
    return f"{count} thread{'s' if count > 1 else ''}"


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rounds", type=int, default=3, help="timings of each point, the median counts; default 3")
    found.add_argument("--seconds", type=float, default=0.05, help="of a timing, about; default 0.05")
    found.add_argument("--plot", metavar="FILE.png", help="draw the curves (matplotlib)")
    return report.parse(found, argv, rounds=1)


def shapes(axis, covariance_type, top, options):
    """The problems of one curve, with as many rows as last `options.seconds` at the expected share of `top`."""
    if axis == "n":
        return [Problem("n", n, FIXED["d"], FIXED["k"], covariance_type) for n in (N[:3] if options.quick else N)]
    found = []
    for size in {"d": D, "k": K}[axis][:: 4 if options.quick else 1]:
        sizes = {**FIXED, axis: size} | ({"k": FEW} if axis == "d" and size > WIDE else {})
        problem = Problem(axis, 0, **sizes, covariance_type=covariance_type)
        n = int(options.seconds * EXPECTED_SHARE * top / problem.flops)
        least = max(LEAST_ROWS, ROWS_A_FEATURE * problem.k * problem.d)
        found.append(problem._replace(n=min(max(n, least), MOST_ELEMENTS // problem.d)))
    return found


def start(problem, rng):
    """Components about the origin with overlapping, correlated or unequal covariances: all rows concern all."""
    d, k = problem.d, problem.k
    diagonals = np.exp(rng.uniform(-0.5, 0.5, (k, d)))
    covariances = diagonals
    if problem.covariance_type == "full":
        covariances = np.full((k, d, d), 0.1) + diagonals[:, :, None] * np.eye(d)
    return Start(np.full(k, 1 / k), 0.5 * rng.standard_normal((k, d)), covariances)


def measure(curve, noise, top, options):
    """The points of one curve; `top` is the peak of its type and threads."""
    library, rng, points = CgmmDense(), np.random.default_rng(0), []
    for problem in shapes(curve.axis, curve.covariance_type, top, options):
        X = noise[: problem.n * problem.d].reshape(problem.n, problem.d)
        run = library.prepare(problem, X, start(problem, rng), curve.threads)
        seconds = report.in_turns({"cgmm": lambda run=run: run(1)}, options.rounds, options.seconds)
        points.append({**problem._asdict(), "flops": problem.flops, "seconds": seconds["cgmm"]})
    return {**curve._asdict(), "label": curve.label, "peak": top, "points": points}


def relative(curve):
    """Time of a useful operation at each point, in units of the peak's."""
    return np.array([statistics.median(p["seconds"]) / (p["flops"] * p["n"]) * curve["peak"] for p in curve["points"]])


def cliffs(curve):
    """Sizes at which a useful operation costs more than at the size before, and how many times more."""
    value, points = relative(curve), curve["points"]
    steps = zip(value[1:] / value[:-1], points[1:], strict=True)
    return [(step, point[curve["axis"]]) for step, point in steps if step > CLIFF]


def print_sweep(axis, curves):
    """How much of the peak each curve reaches, and where it has cliffs."""
    other = "d" if axis == "k" else "k"
    wide = f" ({FEW} above d = {WIDE})" if axis == "d" else ""
    report.print_title(f"Sweep of {axis}, with {other} = {FIXED[other]}{wide}: share of the FMA peak")
    report.print_headings("family", "type and threads", "median", "best", f"{axis} that costs more than the one before")
    for curve in curves:
        share = 1 / relative(curve)
        steps = ", ".join(f"{size} ({step:.2f}×)" for step, size in cliffs(curve)) or "none"
        median = f"{np.median(share):.0%}"
        report.print_row([curve["covariance_type"], curve["label"], median, f"{share.max():.0%}", steps])


def print_rows(curves):
    """Cost of a row for each n."""
    report.print_title(f"Time of a row, d = {FIXED['d']}, k = {FIXED['k']}")
    report.print_headings("family", "type and threads", *(f"n = {point['n']:,}" for point in curves[0]["points"]))
    for curve in curves:
        cost = [f"{report.three(1e9 * value)} ns" for value in seconds_of_row(curve)]
        report.print_row([curve["covariance_type"], curve["label"], *cost])


def seconds_of_row(curve):
    return np.array([statistics.median(point["seconds"]) / point["n"] for point in curve["points"]])


def print_gains(curves):
    """What float32 and more threads gain, over the points of each sweep."""
    report.print_title("Gains: median over the points of a sweep (least to most)")
    report.print_headings("sweep", "family", "gain of", "for", "times as fast", texts=4)
    cost = {tuple(curve[name] for name in Curve._fields): seconds_of_row(curve) for curve in curves}
    most = max(threads for *_, threads in cost)
    for axis, family, dtype, threads in cost:
        slow = cost[axis, family, dtype, threads]
        if dtype == "float64":
            print_gain(axis, family, "float32", threads_named(threads), slow / cost[axis, family, "float32", threads])
        if threads == 1 < most:
            print_gain(axis, family, threads_named(most), dtype, slow / cost[axis, family, dtype, most])


def print_gain(axis, family, what, where, gains):
    report.print_row([axis, family, what, where, f"{np.median(gains):.2f} ({gains.min():.2f} to {gains.max():.2f})"])


def plot(curves, path):
    """Time of a useful operation against d and k, and time of a row against n; a row of panels for each family."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullFormatter

    axes = list(dict.fromkeys(curve["axis"] for curve in curves))
    figure, panels = pyplot.subplots(len(FAMILIES), len(axes), figsize=(15, 8), squeeze=False, layout="constrained")
    for curve in curves:
        panel = panels[FAMILIES.index(curve["covariance_type"]), axes.index(curve["axis"])]
        sizes = [point[curve["axis"]] for point in curve["points"]]
        value = 1e9 * seconds_of_row(curve) if curve["axis"] == "n" else relative(curve)
        style = {"color": COLOURS[curve["dtype"]], "linestyle": "-" if curve["threads"] == 1 else "--"}
        panel.plot(sizes, value, marker=".", markersize=4, linewidth=1, label=curve["label"], **style)
    for family, row in zip(FAMILIES, panels, strict=True):
        for axis, panel in zip(axes, row, strict=True):
            fixed = ", ".join(f"{name} = {size}" for name, size in FIXED.items() if name != axis)
            fixed += f" ({FEW} above d = {WIDE})" if axis == "d" else ""
            panel.set(xscale="log", yscale="log", xlabel=axis, title=f"{family}, {fixed}")
            panel.set_ylabel("ns a row" if axis == "n" else "time of a useful operation; 1 = FMA peak")
            panel.grid(alpha=0.3, which="both")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_formatter(NullFormatter())
            if axis != "n":
                ticks = [4**power for power in range(7)]
                panel.set_xticks(ticks, map(str, ticks))
                panel.set_xticks([], minor=True)
                panel.axhline(1, color="black", linewidth=1)
    panels[0, 0].legend()
    figure.savefig(path, dpi=100)


def main(argv=None):
    options = arguments(argv)
    machine, curves = facts(), []
    noise = np.random.default_rng(0).standard_normal(max(N) * FIXED["d"] if not options.quick else MOST_ELEMENTS)
    typed = {dtype: noise.astype(dtype, copy=False) for dtype in DTYPES}
    print(f"One dense EM iteration of cgmm on {machine['target']}, median of {options.rounds}; {machine['cpu']}.")
    lines = [(dtype, threads) for dtype in DTYPES for threads in dict.fromkeys((1, options.threads))]
    tops = {line: max(peak(*line) for _ in range(PEAKS)) for line in lines}
    for axis in ("d", "k", "n"):
        swept = [
            measure(Curve(axis, family, *line), typed[line[0]], tops[line], options)
            for family in FAMILIES
            for line in lines
        ]
        print_rows(swept) if axis == "n" else print_sweep(axis, swept)
        curves += swept
    print_gains(curves)
    if options.plot:
        plot(curves, options.plot)
    report.write(options, machine, curves=curves)


if __name__ == "__main__":
    main()
