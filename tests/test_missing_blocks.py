"""Fits of rows with gaps that come in blocks, files, chunks: those of the rows in memory; what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import cgmm
import reference
from cgmm import GMM, Prior, select
from cgmm.rows import sampling, streams
from gaps import a_prior, counts, cut, gappy, marginal
from problems import FITTED, assert_same_bits, begin_at, clusters, start_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)


@families
@pytest.mark.parametrize("n, prior", [(16_000, None), (16_000, "given"), (4000, "default")])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_are_the_array_to_rounding(weighted, n, prior, family, monkeypatch):
    """Rows are ordered by what is missing within parts of them only; the start is the same, and so is the default prior
    of no more rows than are kept."""
    monkeypatch.setattr(streams, "PART_BYTES", 1)
    X, w = gappy(clusters(n, 4, 3)), counts(n) * np.linspace(1e-6, 1, n) if weighted else None
    if prior == "given":
        prior = Prior(*a_prior(family, 4))
    arguments = {"covariance_type": family, "prior": prior, "tol": 0, "max_iter": 15, "n_init": 2}
    whole = marginal(3, **arguments).fit(X, sample_weight=w)
    blocks = marginal(3, **arguments).fit(lambda: cut(X, 977, w))
    for name in FITTED:
        expected = getattr(whole, name)
        assert_allclose(getattr(blocks, name), expected, rtol=0, atol=1e-9 * np.abs(expected).max(), err_msg=name)
    assert blocks.diagnostics_.passes > 16


@families
def test_any_cut_into_blocks_gives_the_same_bits(family, monkeypatch):
    monkeypatch.setattr(streams, "PART_BYTES", 1)
    X = gappy(clusters(20_000, 4, 3))
    one, other = (marginal(3, covariance_type=family).fit(lambda n=n: cut(X, n)) for n in (500, 8193))
    assert_same_bits(one, other)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_files_streams_and_chunks(share, tmp_path):
    da = pytest.importorskip("dask.array")
    X = gappy(clusters(1500, 4, 3), share)
    whole = marginal(3, n_init=3).fit(X)
    np.save(tmp_path / "rows.npy", X)
    found = [marginal(3, n_init=3).fit(given) for given in (str(tmp_path / "rows.npy"), da.from_array(X, (700, 4)))]
    for model in found:
        assert_allclose(model.means_, whole.means_, rtol=1e-9, atol=1e-9)
        assert_allclose(model.score(X), whole.score(X), rtol=1e-12)
    selection = select(lambda: cut(X, 500), [1, 2, 3], ["full", "diag"], missing="marginal", n_init=2, random_state=0)
    in_memory = select(X, [1, 2, 3], ["full", "diag"], missing="marginal", n_init=2, random_state=0)
    assert_allclose([row.bic for row in selection.table], [row.bic for row in in_memory.table], rtol=1e-9)


def test_a_component_that_starves_begins_again_in_a_stream():
    X = gappy(clusters(3000, 3, 3), 0.2)
    start = start_of(clusters(3000, 3, 3), 3, "full")
    start[1][0] = 1e6
    with pytest.warns(cgmm.DegenerateWarning, match="began again at row"):
        blocks = begin_at(start, "full", missing="marginal").fit(lambda: cut(X, 700))
    with pytest.warns(cgmm.DegenerateWarning, match="began again at row"):
        whole = begin_at(start, "full", missing="marginal").fit(X)
    assert_allclose(blocks.means_, whole.means_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["blocks", "chunks"])
@pytest.mark.parametrize("family", ["full", "spherical"])
def test_rows_that_change_between_passes_are_told_of(family, kind):
    X, passes = gappy(clusters(4000, 3, 2)), []

    def part(number):
        rows = X[1000 * number : 1000 * (number + 1)].copy()
        passes.append(number)
        if number == 1 and passes.count(1) > 2:
            rows[5, 0] = np.inf
        return rows

    given = lambda: map(part, range(4))  # noqa: E731
    if kind == "chunks":
        da = pytest.importorskip("dask.array")
        dask = pytest.importorskip("dask")
        parts = [da.from_delayed(dask.delayed(part)(at), (1000, 3), float) for at in range(4)]
        given = da.concatenate(parts)
    with pytest.raises(ValueError, match=r"(block|chunk) 1.*infinity"):
        if kind == "chunks":
            with dask.config.set(scheduler="synchronous"):
                marginal(2, covariance_type=family, tol=0, max_iter=20).fit(given)
        else:
            marginal(2, covariance_type=family, tol=0, max_iter=20).fit(given)


@pytest.mark.filterwarnings("ignore:reg_covar=1e-06 is", "ignore:Components")
def test_a_feature_that_is_hardly_ever_observed():
    n = 50_000
    X = clusters(n, 3, 2)
    stride = sampling.stride_of(n)
    hidden = np.ones(n, dtype=bool)
    hidden[[5 * stride, 9 * stride]] = False
    X[hidden, 2] = np.nan
    for seed in range(4):
        assert np.isfinite(marginal(2, random_state=seed, max_iter=3).fit(lambda: cut(X, 9000)).means_).all()


def test_gaps_in_blocks_stay_an_error_where_nothing_is_said_of_them():
    X = gappy(clusters(300, 3, 2))
    with pytest.raises(ValueError, match=r"(?s)block 0.*NaN"):
        GMM(2).fit(lambda: cut(X, 100))
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"X\[:, 1\] is missing in every row: nothing"):
        marginal(2).fit(lambda: cut(X, 100))
    many = np.insert(np.tile(X, (20, 1)), 1, 0.0, axis=0)
    with pytest.raises(ValueError, match=r"X\[:, 1\] is missing in each of \d+ rows that are evenly spread"):
        marginal(2).fit(lambda: cut(many, 1000))
