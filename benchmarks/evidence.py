"""Run every benchmark, one after the other, and keep what they print and measure.

Writes to benchmarks/results: TABLES.md, all that is printed; NAME.json, every timing of a script with the
machine's facts; sweep.png. The README's picture is drawn from compare.json.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "benchmark.png"
RUNS = {
    "compare": ("compare.py",),
    "compare-float32": ("compare.py", "--dtype", "float32", "--rounds", "3"),
    "compare-one-thread": ("compare.py", "--threads", "1", "--rounds", "3"),
    "fits": ("fits.py",),
    "starts": ("starts.py",),
    "k-means": ("k_means.py",),
    "calls": ("calls.py",),
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
    """What a script prints, shown as it comes; and whether it ended well."""
    script, *more = RUNS[name]
    command = [sys.executable, HERE / script, *more, "--json", f"{name}.json", *["--quick"] * options.quick]
    lines = [f"## {name}\n\n`python benchmarks/{' '.join(RUNS[name])}`\n\n"]
    with subprocess.Popen(command, cwd=options.to, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return "".join(lines), process.returncode == 0


def main(argv=None):
    options = arguments(argv)
    options.to = options.to.resolve()
    options.to.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in dict.fromkeys(options.only):
        print(f"\n## {name}\n", flush=True)
        found[name] = run(name, options)
    (options.to / "TABLES.md").write_text("# Results\n\n" + "\n".join(text for text, _ in found.values()))
    failed = [name for name, (_, well) in found.items() if not well]
    if "compare" in found and "compare" not in failed:
        png = options.to / "benchmark.png" if options.quick else PICTURE
        subprocess.run([sys.executable, HERE / "picture.py", options.to / "compare.json", png], check=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
