"""Laws over random files, maps, chunks in other processes, and selections.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import csv
import gzip
import io
import uuid
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import recipes
import reference
from cgmm import GMM
from cgmm.rows import sources
from fuzzing import assert_same, attempt, end_alike, fuzzed
from ways import tame

SEEDS = st.integers(0, 2**31)


# Tables


def as_text(path, values, names, delimiter, packed):
    """Text, quoted where that is necessary; NaN is an empty cell."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, delimiter=delimiter)
    writer.writerow(names)
    writer.writerows([["" if cell != cell else repr(cell) for cell in row] for row in values.tolist()])
    content = lines.getvalue().encode()
    path.write_bytes(gzip.compress(content) if packed else content)


def as_parquet(path, values, names):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = [pa.array(column, mask=np.isnan(column)) for column in values.T]
    pq.write_table(pa.table(columns, names=names), path, row_group_size=7)


FORMATS = {  # function (path, values, names)
    "csv": lambda path, values, names: as_text(path, values, names, ",", False),
    "tsv": lambda path, values, names: as_text(path, values, names, "\t", False),
    "csv.gz": lambda path, values, names: as_text(path, values, names, ",", True),
    "npz": lambda path, values, names: np.savez(path, rows=values),
    "npy": lambda path, values, names: np.save(path, values),
    "parquet": as_parquet,
}
LETTERS = st.text(st.characters(codec="utf-8", categories=("L",)), min_size=1, max_size=4)


@fuzzed(
    40,
    kind=st.sampled_from(sorted(FORMATS)),
    data=recipes.rows(),
    letters=st.lists(LETTERS, min_size=8, max_size=8, unique=True),
    weighted=st.booleans(),
    measured=st.booleans(),
    missing=st.sampled_from([0.0, 0.0, 0.2]),
    by_number=st.booleans(),
    seed=SEEDS,
)
def test_tables(tmp_path_factory, kind, data, letters, weighted, measured, missing, by_number, seed):
    """The columns that are chosen, in their order, of any format, are the array: its bits, names, gaps and errors."""
    rng, d = np.random.default_rng(seed), min(data.d, 6)
    values = np.asarray(data._replace(dtype="float64", d=d, layout="C").build()).astype(float)
    deviations = np.sqrt(recipes.variances_of(values)) * rng.gamma(1.0, 1.0, values.shape)
    values[rng.random(values.shape) < missing] = np.nan
    values = np.column_stack([values, recipes.WEIGHTS["counts"](rng, len(values)), deviations])
    names = [f"{letter}{at}" for at, letter in enumerate([*letters[: d + 1], *["±"] * d])]
    path = tmp_path_factory.getbasetemp() / f"{uuid.uuid4()}.{kind}"
    FORMATS[kind](path, values, names)
    chosen = rng.permutation(d)[: rng.integers(1, d + 1)]
    if kind in ("npy", "npz") or by_number:
        columns, weight, errors = ",".join(map(str, chosen)), str(d), ",".join(map(str, chosen + d + 1))
    else:
        columns, weight, errors = [names[j] for j in chosen], names[d], [names[j] for j in chosen + d + 1]
    allowed = "marginal" if missing else "error"
    given = {"error_columns": errors} if measured else {}
    found = cgmm.table(path, columns, weight if weighted else None, missing=allowed, **given)
    rows, w = np.ascontiguousarray(values[:, chosen]), values[:, d] if weighted else None
    variances = np.ascontiguousarray(values[:, chosen + d + 1]) ** 2 if measured else None
    blocks = list(found.blocks())
    assert_array_equal(np.concatenate([np.asarray(block[0], float) for block in blocks]), rows)
    if weighted:
        assert_array_equal(np.concatenate([block[1] for block in blocks]), w)
    model, twin = (GMM(1, random_state=0, max_iter=5, missing=allowed) for _ in range(2))
    a = attempt(lambda: model.fit(found))
    b = attempt(lambda: twin.fit(rows, sample_weight=w, error_covariances=variances))
    if missing:  # blocks with gaps are the array to rounding, and nasty columns have none: that they end alike
        end_alike(a, b)
    else:
        assert_same(a, b)
    if a is model and kind not in ("npy", "npz"):
        assert model.feature_names_in_.tolist() == [names[j] for j in chosen]
        assert_array_equal(model.predict(found), twin.predict(rows, error_covariances=variances))
    path.unlink()


# Maps of 64 MiB and more, of which a pass leaves nothing in memory


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """Files of 8 MiB, of float32 and of float64, of which any number of columns may be read, and by parts of 1 MiB."""
    folder = tmp_path_factory.mktemp("maps")
    paths = {}
    for dtype in ("float32", "float64"):
        paths[dtype] = folder / dtype
        rng = np.random.default_rng(0)
        with open(paths[dtype], "wb") as file:
            for at in range(8 // np.dtype(dtype).itemsize):
                file.write((rng.standard_normal(2**20) + 3 * (at % 3)).astype(dtype).tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "MAPPED_BYTES", 2**20)
        patch.setattr(sources, "LEAST_MAPPED", 2**22)
        yield paths


@fuzzed(
    2,
    dtype=st.sampled_from(["float32", "float64"]),
    d=st.sampled_from([2, 5, 16]),
    first=st.integers(0, 3000),
    mode=st.sampled_from(["r", "c", "r+"]),
    weighted=st.booleans(),
    family=st.sampled_from(recipes.FAMILIES),
    cast=st.sampled_from(["none", "none", "none", "int32"]),
)
def test_maps(values, dtype, d, first, mode, weighted, family, cast):
    """From any byte of a file on, of any type and number of columns: the bits of the array; and of verbs."""
    kind = np.dtype(dtype if cast == "none" else cast)
    size = values[dtype].stat().st_size // kind.itemsize - first
    mapped = np.memmap(values[dtype], kind, mode, offset=first * kind.itemsize, shape=(size // d, d))
    assert mapped.nbytes >= 2**22
    X = np.array(mapped)
    w = np.random.default_rng(first).uniform(size=len(X)) * (np.arange(len(X)) % 3 > 0) if weighted else None
    arguments = {"covariance_type": family, "max_iter": 2, "tol": 0.0, "random_state": 0, "init_params": "k-means++"}
    fits = [attempt(lambda rows=rows: GMM(2, **arguments).fit(rows, sample_weight=w)) for rows in (mapped, X)]
    assert_same(*fits)
    assert_array_equal(fits[0].predict(mapped), fits[0].predict(X))
    assert_allclose(fits[0].score(mapped), fits[0].score(X), rtol=1e-12)


# Chunks in other processes


@fuzzed(2, recipe=tame(missing=(0.0,)), seed=SEEDS)
def test_processes(pool, recipe, seed):
    """The bits of the caller's own thread, of fits and of verbs."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    X, w = np.asarray(recipe.build()), recipe.row_weights()
    sizes = np.diff([0, *sorted({*np.random.default_rng(seed).integers(0, len(X), 3).tolist()} - {0}), len(X)]).tolist()
    rows = da.from_array(X, chunks=(tuple(sizes), recipe.d))
    weights = None if w is None else da.from_array(w, chunks=(tuple(sizes),))
    fits, shares = [], []
    for config in ({"scheduler": "synchronous"}, {"scheduler": "processes", "pool": pool}):
        with dask.config.set(config):
            fits.append(attempt(lambda: recipe.model().fit(rows, sample_weight=weights)))
            shares.append(fits[-1].predict_proba(rows).compute())
    assert_same(*fits)
    assert_array_equal(*shares)


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


# Selections


@fuzzed(
    15,
    recipe=tame(weights=("none", "ones", "whole", "zeros among them"), missing=(0.0, 0.0, 0.1), most=150),
    criterion=st.sampled_from(["bic", "aic", "icl"]),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    families=st.lists(st.sampled_from(recipes.FAMILIES), min_size=1, max_size=3),
)
def test_the_winner_is_that_of_its_table(recipe, criterion, sizes, families):
    """A row for each candidate; criteria by their formulas; the smallest wins among the sound; the best is its fit."""
    X, w = np.asarray(recipe.build()), recipe.row_weights()
    prior, missing = recipe.model().prior, "marginal" if recipe.missing else "error"
    arguments = {"n_init": 2, "random_state": recipe.seed, "max_iter": 30, "prior": prior, "missing": missing}
    found = attempt(lambda: cgmm.select(X, sizes, families, criterion=criterion, sample_weight=w, **arguments))
    assert isinstance(found, cgmm.Selection), found
    named = list(dict.fromkeys(families))
    if recipe.d == 1:  # all but tied are one model
        own = [family for family in named if family != "tied"]
        named = [family for family in named if family not in own[1:]]
    expected = [(family, k) for family in named for k in sorted(set(sizes))]
    assert [(row.covariance_type, row.n_components) for row in found.table] == expected
    n = len(X) if w is None else w.sum()
    for row in found.table:
        assert row.n_parameters == reference.n_parameters(row.n_components, recipe.d, row.covariance_type)
        assert_allclose(row.aic, 2 * row.n_parameters - 2 * row.log_likelihood, rtol=1e-12)
        assert_allclose(row.bic, row.n_parameters * np.log(n) - 2 * row.log_likelihood, rtol=1e-12)
        assert row.icl >= row.bic - 1e-9 * abs(row.bic)
    values, winner, best = [getattr(row, criterion) for row in found.table], found.table[found.winner], found.best
    assert not any(
        value < getattr(winner, criterion) for value, row in zip(values, found.table, strict=True) if not row.warnings
    )
    assert (best.covariance_type, best.n_components) == (winner.covariance_type, winner.n_components)
    assert best.converged_ == winner.converged
    for name in ("aic", "bic", "icl"):
        assert_allclose(getattr(best, name)(X, sample_weight=w), getattr(winner, name), rtol=1e-9)
