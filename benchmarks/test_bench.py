"""One EM iteration of each library on each problem, by pytest-benchmark:

    pytest benchmarks --benchmark-only

CGMM_BENCH_SCALE=0.02 in the environment takes that part of the rows. All threads that cgmm may use, float64.
"""

import functools
import os

import pytest

from cases import PROBLEMS
from cgmm.config import threads
from libraries import LIBRARIES, load, reference, verify

SCALE = float(os.environ.get("CGMM_BENCH_SCALE", "1"))
ITERATIONS = 3  # verified after these from the common start; timed from there


@functools.lru_cache(maxsize=1)
def prepared(name):
    """Rows, start and the reference's result of one problem."""
    X = PROBLEMS[name].rows(SCALE)
    start = PROBLEMS[name].start(X)
    return X, start, reference(PROBLEMS[name], X, start, ITERATIONS, threads())


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_em_iteration(benchmark, problem, library):
    found, missing = load([library])
    if missing:
        pytest.skip(f"{library}: {missing[library]}")
    library, case = found[library], PROBLEMS[problem]
    if why := library.refuses(case):
        pytest.skip(why)
    X, start, expected = prepared(problem)
    verify(library.em(case, X, start, ITERATIONS, threads()), expected, "float64")
    benchmark.group = problem
    benchmark.extra_info.update(n=len(X), d=case.d, k=case.k, family=case.covariance_type, threads=threads())
    run = library.prepare(case, X, expected, threads())
    benchmark.pedantic(run, args=(1,), rounds=5, warmup_rounds=1)
