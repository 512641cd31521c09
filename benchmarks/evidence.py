"""Run every benchmark, one after the other, and keep what they print and measure.

Writes to benchmarks/results, for each run: NAME.md, what it prints; NAME.json, every timing and the machine's
facts; and sweep.png. The README's picture is drawn from compare.json.
"""

import argparse
import itertools
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "benchmark.png"
OWN = ("cgmm", "cgmm-dense")
PRUNED = ("compare.py", "--libraries", *OWN, "--problems", "mid32", "wide128", "manyk", "diag64")
RUNS = {
    "compare": ("compare.py",),
    "compare-start": (*PRUNED, "--after", "1"),
    "compare-converged": (*PRUNED, "--after", "30"),
    "compare-float32": ("compare.py", "--libraries", *OWN, "scikit-learn", "--dtype", "float32", "--rounds", "3"),
    "compare-avx2": ("compare.py", "--libraries", *OWN, "--isa", "avx2", "--rounds", "3"),
    "fits": ("fits.py",),
    "starts": ("starts.py",),
    "k-means": ("k_means.py",),
    "calls": ("calls.py",),
    "restarts": ("restarts.py",),
    "optima": ("optima.py", "--threads", "1"),
    "selection": ("selection.py",),
    "sources": ("sources.py",),
    "sources-more-work": ("sources.py", "--rows", "1000000", "--features", "32", "--components", "32"),
    "sources-cold": ("sources.py", "--cold"),
    "cluster": ("cluster.py",),
    "missing": ("missing.py",),
    "regression": ("regression.py",),
    "partial-fit": ("partial_fit.py",),
    "degenerate": ("degenerate.py",),
    "sweep": ("sweep.py", "--plot", "sweep.png"),
}


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME",
                        help=f"of {', '.join(RUNS)}; default: all")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="to see that all run; numbers mean nothing")
    parser.add_argument("--to", type=Path, default=HERE / "results", metavar="FOLDER",
                        help="default: benchmarks/results")  # fmt: skip
    return parser.parse_args(argv)


def run(name, options):
    """Show and keep what a script prints; whether it ended well."""
    script, *more = RUNS[name]
    command = [sys.executable, HERE / script, *more, "--json", f"{name}.json", *["--quick"] * options.quick]
    heading = f"## {name}\n\n`python benchmarks/{' '.join(RUNS[name])}`\n\n"
    with (
        open(options.to / f"{name}.md", "w") as file,
        subprocess.Popen(command, cwd=options.to, stdout=subprocess.PIPE, text=True) as process,
    ):
        for line in itertools.chain([heading], process.stdout):
            print(line, end="", flush=True)
            file.write(line)
    return process.returncode == 0


def main(argv=None):
    options = arguments(argv)
    options.to = options.to.resolve()
    options.to.mkdir(parents=True, exist_ok=True)
    well = {name: run(name, options) for name in dict.fromkeys(options.only)}
    failed = [name for name in well if not well[name]]
    if well.get("compare"):
        png = options.to / "benchmark.png" if options.quick else PICTURE
        subprocess.run([sys.executable, HERE / "picture.py", options.to / "compare.json", png], check=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
