"""What each library does on degenerate rows: fit, predict and sample, in another process, and judge the result.

The cases are those of tests/helpers/degenerate.py. R's mclust and Armadillo take part when Rscript and g++ find them.
Prints Markdown tables; --json keeps every outcome, its warnings and iterations.
"""

import argparse
import contextlib
import importlib
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np

import report

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "helpers"))  # before this folder: `degenerate` is the one there
degenerate, datasets, reference = map(importlib.import_module, ("degenerate", "datasets", "reference"))

FAMILIES = reference.FAMILIES
FALL = {"float64": 1e-10, "float32": 1e-6}  # of a mean log-likelihood, relative: rounding
EMPTY = 1e-8  # rows that a component has at least, unless it is empty
POOR, RIDGE = 1.0, 0.01  # see `poor`
QUICK_CASES = ("constant column", "one row")
ORDER = ("ok", "empty component", "poor", "likelihood falls", "variance ≤ 0", "NaN", "raises", "hangs", "crashes")


class Found(NamedTuple):
    """A fitted mixture; `values` are whatever else the library computed from it; `bounds` its history."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    values: tuple = ()
    bounds: tuple = ()


class Unfitted(Exception):
    """What a library in another process said in the place of a result."""


def estimator(module, name, **settings):
    """A scikit-learn-like class: (case, family, dtype, seed) → Found."""

    def fit(case, family, dtype, seed):
        k, d = case.n_components, case.X.shape[1]
        start = {}
        if case.start:
            weights, means, covariances = case.start
            precisions = datasets.invert(datasets.compact(covariances, family), family)
            start = {"weights_init": weights, "means_init": means, "precisions_init": precisions}
        model = getattr(importlib.import_module(module), name)(
            k, covariance_type=family, random_state=seed, **settings, **start
        )
        model.fit(case.X)
        values = model.score_samples(case.X), model.predict_proba(case.X), model.sample(50)[0]
        covariances = reference.expand(model.covariances_, family, k, d)
        return Found(model.weights_, model.means_, covariances, values, model.lower_bounds_)

    return fit


def onedal(case, family, dtype, seed):
    """oneDAL by daal4py, from its own start."""
    import daal4py

    storage = {
        "covarianceStorage": "diagonal" if family == "diag" else "full",
        "fptype": "float" if dtype == "float32" else "double",
    }
    k, d = case.n_components, case.X.shape[1]
    X = np.ascontiguousarray(case.X, dtype=dtype)
    if case.start:
        weights, means, covariances = (array.astype(dtype) for array in case.start)
        covariances = [S[np.newaxis] if family == "diag" else S for S in datasets.compact(covariances, family)]
        start = np.atleast_2d(weights), means, covariances
    else:
        found = daal4py.em_gmm_init(k, engine=daal4py.engines_mt19937(seed=seed), **storage).compute(X)
        start = found.weights, found.means, found.covariances
    found = daal4py.em_gmm(k, **storage).compute(X, *start)
    shape = (k, d) if family == "diag" else (k, d, d)
    covariances = reference.expand(np.array(found.covariances).reshape(shape), family, k, d)
    return Found(found.weights[0], found.means, covariances, (found.goalFunction,))


def mclust(prior):
    """R's Mclust, or its `me` from a given start."""
    models = {family: model for model, family in datasets.FAMILY_OF_MODEL.items()}

    def fit(case, family, dtype, seed):
        responsibilities = ()
        if case.start:
            weights, means, covariances = case.start
            start = weights, means, datasets.compact(covariances, family)
            responsibilities = reference.responsibilities(case.X, *start, family)
        program = ["Rscript", str(HERE / "degenerate.R")]
        return outside(program, case, (models[family], int(bool(case.start)), int(prior), seed), responsibilities)

    return fit


def armadillo(case, family, dtype, seed):
    """Armadillo's gmm_full or gmm_diag, by a program that `compiled` made."""
    return outside([os.environ["CGMM_ARMADILLO"]], case, (family, int(bool(case.start)), seed), *(case.start or ()))


def outside(program, case, arguments, *start):
    """Run a program on rows, and on start arrays, in a file of doubles; its output as Found."""
    (n, d), k = case.X.shape, case.n_components
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        for array in (case.X, *start):
            file.write(np.ascontiguousarray(array, dtype=np.float64).tobytes())
        file.flush()
        command = [*program, file.name, *map(str, (n, d, k, *arguments))]
        limit = float(os.environ["CGMM_LIMIT"])
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise ChildProcessError(f"ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    lines = dict(line.partition(" ")[::2] for line in done.stdout.splitlines() if line)
    if "warning" in lines:
        warnings.warn(lines["warning"], stacklevel=2)
    if "error" in lines:
        raise Unfitted(lines["error"])
    numbers = {}
    for name in lines.keys() - {"warning"}:
        numbers[name] = np.array([float("nan" if value == "NA" else value) for value in lines[name].split()])
    means = numbers.pop("means").reshape(k, d)
    if "variances" in numbers:
        covariances = numbers.pop("variances").reshape(k, d)[:, :, np.newaxis] * np.eye(d)
    else:
        covariances = numbers.pop("covariances").reshape(k, d, d)
    return Found(numbers.pop("weights"), means, covariances, tuple(numbers.values()))


class Library(NamedTuple):
    """A column: how it fits, and in which families."""

    fit: object
    families: tuple = FAMILIES


TWO = ("full", "diag")
TABLES = {
    "Default settings": {
        "cgmm": Library(estimator("cgmm", "GMM")),
        "scikit-learn": Library(estimator("sklearn.mixture", "GaussianMixture")),
        "oneDAL": Library(onedal, TWO),
        "mclust": Library(mclust(prior=False)),
        "mclust, prior": Library(mclust(prior=True)),
        "Armadillo": Library(armadillo, TWO),
    },
    "Without regularisation: `reg_covar=0`": {
        "cgmm": Library(estimator("cgmm", "GMM", reg_covar=0.0)),
        "scikit-learn": Library(estimator("sklearn.mixture", "GaussianMixture", reg_covar=0.0)),
    },
}


# Judging


def judge(table, library, name, family, dtype, seed):
    """One fit: its outcome, what was said, and its iterations; in the worker."""
    case = degenerate.case(name, dtype)
    said = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = TABLES[table][library].fit(case, family, dtype, seed)
            outcome = verdict(found, case, family, dtype)
        except subprocess.TimeoutExpired:
            outcome = "hangs"
        except ChildProcessError as error:
            outcome, said = "crashes", str(error)
        except Exception as error:
            name = "" if isinstance(error, Unfitted) else f"{type(error).__name__}: "
            outcome, said = "raises", f"{name}{error}"
    told = sorted({str(w.message) for w in caught if "did not converge" not in str(w.message)})
    iterations = len(found.bounds) if outcome in ORDER[:6] else None
    return {"outcome": outcome, "said": said, "warnings": told, "iterations": iterations}


def verdict(found, case, family, dtype):
    """The first of the faults of a fit, the gravest first, or "ok"."""
    if not all(np.isfinite(np.asarray(array)).all() for array in (*found[:3], *found.values, found.bounds)):
        return "NaN"
    if (np.diagonal(found.covariances, axis1=1, axis2=2) <= 0).any():
        return "variance ≤ 0"
    bounds = np.asarray(found.bounds)
    if (np.diff(bounds) < -FALL[dtype] * np.maximum(1, np.abs(bounds[1:]))).any():
        return "likelihood falls"
    if poor(found, case, family):
        return "poor"
    return "empty component" if found.weights.min() * len(case.X) < EMPTY else "ok"


def poor(found, case, family):
    """Whether the mean log-likelihood is `POOR` nats a feature below that of the clusters, taken as uncorrelated.

    `RIDGE` is added to all variances before, where those of a cluster are about 1: how small a library makes one
    that should be zero hardly counts.
    """
    X, d = case.X.astype(np.float64), case.X.shape[1]
    parts = [X[case.labels == c] for c in np.unique(case.labels)]
    weights = np.array([len(rows) for rows in parts]) / len(X)
    variances = np.array([rows.var(axis=0) for rows in parts])
    if family == "tied":
        variances = np.tile(weights @ variances, (len(parts), 1))
    elif family == "spherical":
        variances = np.tile(variances.mean(axis=1, keepdims=True), d)
    clusters = weights, np.array([rows.mean(axis=0) for rows in parts]), variances[:, :, np.newaxis] * np.eye(d)
    try:
        ours, theirs = (
            reference.log_likelihoods(X, w, m, S + RIDGE * np.eye(d), "full").mean()
            for w, m, S in (found[:3], clusters)
        )
    except np.linalg.LinAlgError:
        return True
    return not ours >= theirs - POOR * d


# Processes


class Worker:
    """A process that judges fits one after the other, and is replaced when one hangs or kills it."""

    def __init__(self, limit):
        self.limit, self.context = limit, multiprocessing.get_context("spawn")
        self.process = None

    def ask(self, *job):
        """What `judge` says of a fit."""
        if self.process is None:
            self.pipe, end = self.context.Pipe()
            self.process = self.context.Process(target=serve, args=(end,), daemon=True)
            self.process.start()
            end.close()
        self.pipe.send(job)
        try:
            if self.pipe.poll(self.limit):
                return self.pipe.recv()
            outcome = "hangs"
        except (EOFError, OSError):
            outcome = "crashes"
        self.end()
        return {"outcome": outcome, "said": "", "warnings": [], "iterations": None}

    def end(self):
        if self.process:
            self.process.kill()
            self.process.join()
            self.process = None


def serve(pipe):
    while True:
        pipe.send(judge(*pipe.recv()))


def compiled(folder):
    """Path of the Armadillo program, or None where it cannot be built."""
    path = Path(folder) / "degenerate"
    command = ["g++", "-O2", "-std=c++17", HERE / "degenerate.cpp", "-larmadillo", "-o", path]
    if shutil.which("g++") and not subprocess.run(command, capture_output=True, check=False).returncode:
        return str(path)
    return None


def versions(program):
    """Library → version of those that are there."""
    import cgmm

    found = {"cgmm": cgmm.__version__}
    for name, package in {"scikit-learn": "scikit-learn", "oneDAL": "daal"}.items():
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(package)
    mclust_version = ["Rscript", "-e", "cat(as.character(packageVersion('mclust')))"]
    for name, command in {"mclust": mclust_version, "Armadillo": [program]}.items():
        if command[0] and shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if not done.returncode:
                found[name] = done.stdout.partition(" (")[0].strip()
    return found


# The tables


class Notes:
    """What libraries said, each text once, by a letter."""

    def __init__(self):
        self.texts = []

    def letter(self, text):
        text = re.split(r"\. |\.$| Details:", " ".join(text.split()))[0].replace("|", "/")
        if text not in self.texts:
            self.texts.append(text)
        return chr(ord("a") + self.texts.index(text))


def cell(judged, notes):
    """Outcomes by family, in few words: families are named where they differ."""
    groups = {}
    for family, found in judged.items():
        outcome = found["outcome"] + (f" ({notes.letter(found['said'])})" if found["said"] else "")
        groups.setdefault(outcome, []).append(family)
    parts = []
    for outcome in sorted(groups, key=lambda outcome: (ORDER.index(outcome.partition(" (")[0]), outcome)):
        warned = [family for family in groups[outcome] if judged[family]["warnings"] and not judged[family]["said"]]
        text = outcome if len(groups) == 1 else f"{', '.join(groups[outcome])}: {outcome}"
        if warned:
            text += ", warned" if warned == groups[outcome] else f" (warned: {', '.join(warned)})"
        parts.append(text)
    return "; ".join(parts)


def worst(judged):
    """Of a fit's repetitions the one that ended worst, with the warnings of all."""
    found = max(judged, key=lambda found: ORDER.index(found["outcome"]))
    return {**found, "warnings": sorted({text for other in judged for text in other["warnings"]})}


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(degenerate.CASES)
    found.add_argument("--cases", nargs="+", choices=names, default=names, metavar="NAME")
    found.add_argument("--libraries", nargs="+", choices=TABLES["Default settings"], metavar="NAME")
    found.add_argument("--dtype", choices=FALL, default="float64", help="of the rows; mclust, Armadillo: double")
    found.add_argument("--seeds", type=int, default=3, help="fits of each, of which the worst counts; default 3")
    found.add_argument("--limit", type=float, default=60.0, help="seconds after which a fit hangs; default 60")
    options = report.parse(report.common(found), argv, seeds=1, limit=1)
    if options.quick:
        options.cases = list(QUICK_CASES)
    return options


def table(title, there, options, worker, notes):
    """Print one table; a record of each cell."""
    asked = options.libraries or TABLES[title]
    columns = [name for name in TABLES[title] if name.partition(",")[0] in there and name in asked]
    report.print_title(title)
    report.print_headings("case", *columns, texts=1 + len(columns))
    records = []
    for case in options.cases:
        if degenerate.case(case, options.dtype) is None:
            continue
        row = []
        for name in columns:
            fits = {
                family: [worker.ask(title, name, case, family, options.dtype, seed) for seed in range(options.seeds)]
                for family in TABLES[title][name].families
            }
            records.append({"table": title, "case": case, "library": name, "fits": fits})
            row.append(cell({family: worst(judged) for family, judged in fits.items()}, notes))
        report.print_row([case, *row])
    return records


def main(argv=None):
    from machine import facts

    options, notes = arguments(argv), Notes()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), CGMM_LIMIT=str(options.limit))
    worker = Worker(options.limit + 30)  # another process of the worker's hangs earlier
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(folder)
        os.environ["CGMM_ARMADILLO"] = program or ""
        there = versions(program)
        told = ", ".join(f"{name} {number}" for name, number in there.items())
        print(f"{told}; {options.dtype}, the worst of {options.seeds} seeds.")
        results = [record for title in TABLES for record in table(title, there, options, worker, notes)]
        worker.end()
    print()
    for text in notes.texts:
        print(f"- ({notes.letter(text)}) {text}")
    report.write(options, facts(), versions=there, results=results)


if __name__ == "__main__":
    main()
