"""The README's picture from compare.py's JSON: how many times as long as cgmm's each library's EM iteration takes.

python benchmarks/picture.py benchmarks/results/compare.json docs/benchmark.png
"""

import argparse
import json
import statistics

from cases import SYNTHETIC
from report import three

# Colours that the colour-blind tell apart (Okabe and Ito 2008)
PEERS = {
    "daal4py": ("oneDAL (daal4py)", "#0072B2"),
    "torch": ("PyTorch", "#CC79A7"),
    "scikit-learn": ("scikit-learn", "#E69F00"),
}
INK, GREY = "#222222", "#666666"
BAR = 0.26  # of the height of a case
INCHES, DPI = 8.0, 200  # 1600 pixels wide, to be shown at 800
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", help="what compare.py wrote")
    parser.add_argument("png", help="the picture to write")
    return parser.parse_args(argv)


def medians(result):
    """Library → median seconds of an iteration."""
    return {name: statistics.median(o["seconds"]) for name, o in result["libraries"].items() if o.get("seconds")}


def draw_case(panel, at, seconds):
    """The bars of one case, from cgmm's time to each peer's, those of absent peers left out."""
    present = [name for name in PEERS if name in seconds]
    for place, name in enumerate(present):
        y, ratio = at + (place - (len(present) - 1) / 2) * BAR, seconds[name] / seconds["cgmm"]
        panel.barh(y, ratio - 1, 0.92 * BAR, left=1, color=PEERS[name][1])
        panel.text(max(ratio, 1) * 1.04, y, f"{three(ratio)}×", va="center", fontsize=7.5, color=INK)


def label_case(panel, at, result, seconds):
    """What the case is, left of its bars."""
    place = {"transform": panel.get_yaxis_transform(), "ha": "right", "clip_on": False}
    panel.text(-0.02, at - 0.04, result["name"], va="bottom", weight="bold", color=INK, **place)
    shape = f"{result['n']:,} × {result['d']}, k = {result['k']}, {result['covariance_type']}"
    panel.text(-0.02, at + 0.04, shape, va="top", fontsize=7.5, color=GREY, **place)
    panel.text(1.02, at, f"{three(1e3 * seconds['cgmm'])} ms", **{**place, "ha": "left"}, va="center", color=INK)


def dress(figure, panel, report, used, cases):
    """Axis, legend, title, and the conditions of the measurement."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    panel.set_xscale("log")
    least, most = panel.dataLim.intervalx
    panel.set_xlim(1 if least >= 1 else least / 1.3, most * 1.5)
    ticks = [tick for tick in TICKS if panel.get_xlim()[0] <= tick <= panel.get_xlim()[1]]
    panel.set_xticks(ticks, [f"{tick}×" for tick in ticks])
    panel.set_xticks([], minor=True)
    panel.set_yticks([])
    panel.set_ylim(cases - 0.5, -0.5)
    panel.grid(axis="x", color="#dddddd", linewidth=0.8)
    panel.set_axisbelow(True)
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.axvline(1, color=INK, linewidth=4)
    panel.tick_params(axis="x", length=0, colors=GREY)
    panel.text(1.02, 1.012, "cgmm", transform=panel.transAxes, weight="bold", color=INK)
    panel.text(-0.02, 1.012, "rows × features, components", transform=panel.transAxes, ha="right",
               fontsize=7.5, color=GREY)  # fmt: skip
    handles = [Patch(color=colour, label=label) for name, (label, colour) in PEERS.items() if name in used]
    handles.insert(0, Line2D([], [], color=INK, linewidth=4, label="cgmm"))
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.0, 0.955), ncols=len(handles), frameon=False)
    figure.suptitle("Time of one EM iteration as a multiple of cgmm's: shorter is faster", x=0.012, ha="left",
                    weight="bold", fontsize=11.5, color=INK)  # fmt: skip
    machine, options = report["machine"], report["options"]
    note = f"{machine['cpu']}, {machine['target']}, {options['threads']} threads each, {options['dtype']}"
    panel.set_xlabel(f"logarithmic scale · {note} · same start, results verified equal", color=GREY, fontsize=7.5)


def draw(report, path):
    """Write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = [(result, medians(result)) for result in report["results"] if result["name"] in SYNTHETIC]
    found = [(result, seconds) for result, seconds in found if "cgmm" in seconds]
    pyplot.rcParams["font.size"] = 9
    figure, panel = pyplot.subplots(figsize=(INCHES, 1.3 + 0.46 * len(found)))
    figure.subplots_adjust(left=0.25, right=0.91, top=0.88, bottom=0.09)
    for at, (result, seconds) in enumerate(found):
        draw_case(panel, at, seconds)
        label_case(panel, at, result, seconds)
    dress(figure, panel, report, {name for _, seconds in found for name in seconds}, len(found))
    figure.savefig(path, dpi=DPI, facecolor="white")


def main(argv=None):
    options = arguments(argv)
    with open(options.json) as file:
        draw(json.load(file), options.png)


if __name__ == "__main__":
    main()
