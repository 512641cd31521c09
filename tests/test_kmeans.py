"""k-means, public: seeds, Lloyd's iterations, and what they leave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import KMeansResult, _kernels, kmeans
from cgmm.mixture.density import distances_to
from problems import clusters, mixture

X = np.random.RandomState(0).randn(500, 3) * [1, 2, 5]
SEEDS = ("k-means++", "random")
problems = given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 5), st.data())


def problem(seed, n, d, data):
    """Rows with many ties and duplicates, a number of clusters, and integer row weights."""
    random = np.random.default_rng(seed)
    rows = random.integers(-3, 4, size=(n, d)).astype(float)
    weights = random.integers(0, 4, size=n)
    weights[random.integers(n)] = 1
    return rows, data.draw(st.integers(1, np.count_nonzero(weights))), weights


def squared(rows, centers):
    return reference.squared_distances(rows, centers)


def assert_consistent(result, rows, weights):
    """The laws of every result: labels and inertia are those of its centers, and no step made it worse."""
    distances = squared(rows, result.centers)
    chosen = distances[np.arange(len(rows)), result.labels]
    assert_allclose(chosen, distances.min(axis=1), rtol=1e-12, atol=1e-12)
    assert_allclose(result.inertia, weights @ chosen, rtol=1e-10, atol=1e-10)
    assert result.inertia == result.inertia_history[-1]
    assert (np.diff(result.inertia_history) <= 1e-10 * (1 + result.inertia_history[0])).all()
    assert len(result.inertia_history) == result.n_iter + 1


@settings(deadline=None, max_examples=60)
@problems
def test_laws(seed, n, d, data):
    rows, k, weights = problem(seed, n, d, data)
    for init in SEEDS:
        result = kmeans(rows, k, init=init, tol=0, sample_weight=weights, random_state=seed)
        assert result.centers.shape == (k, d)
        assert_consistent(result, rows, weights)
        for c in range(k):
            of_c = weights * (result.labels == c)
            if of_c.any():
                assert_allclose(result.centers[c], of_c @ rows / of_c.sum(), rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=60)
@problems
def test_weights_are_repeated_rows(seed, n, d, data):
    _, k, weights = problem(seed, n, d, data)
    rows, centers = (np.random.default_rng(seed).normal(size=(m, d)) for m in (n, k))  # no ties for rounding to break
    weighted = kmeans(rows, k, init=centers, sample_weight=weights)
    repeated = kmeans(np.repeat(rows, weights, axis=0), k, init=centers)
    assert_allclose(weighted.centers, repeated.centers, rtol=1e-10, atol=1e-12)
    assert_allclose(weighted.inertia, repeated.inertia, rtol=1e-10, atol=1e-10)
    assert_array_equal(np.repeat(weighted.labels, weights), repeated.labels)


@pytest.mark.parametrize("k", [1, 2, 7, 33])
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-11), (np.float32, 1e-4)])
def test_given_centers_follow_the_reference(k, dtype, rtol):
    centers = X[:k] + 0.1
    result = kmeans(X.astype(dtype), k, init=centers, max_iter=5, tol=0, n_init=3)
    expected, labels, history = reference.kmeans(X, centers, 5)
    assert isinstance(result, KMeansResult)
    assert_allclose(result.centers, expected, rtol=rtol, atol=rtol)
    assert (result.labels == labels).mean() >= (1 if dtype == np.float64 else 0.99)
    assert_allclose(result.inertia_history[: len(history)], history[: result.n_iter + 1], rtol=rtol)
    assert_array_equal(centers, X[:k] + 0.1)


def test_tolerance_is_relative_to_the_variance():
    """It stops after the first move shorter than the tolerance; scaled rows take as many moves."""
    tol = 0.03
    long = kmeans(X, 8, init=X[:8], tol=0)
    short = kmeans(X, 8, init=X[:8], tol=tol)
    assert short.n_iter < long.n_iter
    steps = [kmeans(X, 8, init=X[:8], tol=0, max_iter=moves).centers for moves in range(short.n_iter + 1)]
    moved = np.sum(np.diff(steps, axis=0) ** 2, axis=(1, 2))
    assert (moved <= tol * X.var(axis=0).mean()).tolist() == [False] * (short.n_iter - 1) + [True]
    assert kmeans(1e5 * X, 8, init=1e5 * X[:8], tol=tol).n_iter == short.n_iter


@pytest.mark.parametrize("init", SEEDS)
def test_n_init_keeps_the_least_inertia(init):
    results = [kmeans(X, 12, init=init, n_init=n_init, random_state=0).inertia for n_init in (1, 2, 4, 8, 16)]
    assert results == sorted(results, reverse=True) and results[-1] < results[0]


@pytest.mark.parametrize("init", SEEDS)
def test_seeds_are_distinct_rows_of_positive_weight(init):
    weights = np.arange(500) % 2
    result = kmeans(X, 40, init=init, max_iter=0, sample_weight=weights, random_state=0)
    at = squared(X, result.centers).argmin(axis=0)
    assert_array_equal(result.centers, X[at])
    assert len(set(at)) == 40 and (weights[at] == 1).all()
    assert result.n_iter == 0 and result.inertia_history.shape == (1,)
    assert_consistent(result, X, weights)


def test_plus_plus_seeds_are_better_than_random_ones():
    far = np.repeat(np.eye(10) * 1000, 20, axis=0) + np.random.RandomState(0).randn(200, 10)
    spread, random = (kmeans(far, 10, init=init, max_iter=0, random_state=0).inertia for init in SEEDS)
    assert spread < 1e-2 * random


@pytest.mark.parametrize("init", SEEDS)
def test_as_many_clusters_as_rows(init):
    result = kmeans(X[:50], 50, init=init, random_state=0)
    assert_allclose(result.inertia, 0, atol=1e-25)
    assert sorted(result.labels) == list(range(50))


@pytest.mark.parametrize("init", SEEDS)
def test_rows_that_are_all_alike(init):
    result = kmeans(np.full((20, 2), 0.1), 3, init=init, random_state=0)
    assert_allclose(result.centers, np.full((3, 2), 0.1), rtol=1e-15)
    assert_allclose(result.inertia, 0, atol=1e-30)


def test_an_empty_cluster_keeps_its_center():
    far = [1e6, -1e6, 0]
    result = kmeans(X, 3, init=[X[0], far, X[1]])
    assert_array_equal(result.centers[1], far)
    assert set(result.labels) == {0, 2}
    weightless = kmeans([[0.0], [1], [9]], 2, init=[[0], [9]], sample_weight=[1, 1, 0])
    assert_array_equal(weightless.centers, [[0.5], [9]])
    assert_array_equal(weightless.labels, [0, 0, 1])


@pytest.mark.parametrize("dtype, far", [(np.float64, 1e20), (np.float32, 1e10)])
def test_a_far_row_leaves_the_others_their_digits(dtype, far):
    rows = X.astype(dtype)
    alone = kmeans(rows, 2, init=X[:2], tol=0)
    beside = kmeans(np.append(rows, [[dtype(far)] * 3], axis=0), 3, init=[*X[:2], [far] * 3], tol=0)
    assert_allclose(beside.centers[:2], alone.centers, atol=1e-3)
    assert_array_equal(beside.labels, [*alone.labels, 2])


def test_a_tie_goes_to_the_first_center():
    assert_array_equal(kmeans([[0.0], [-1], [1]], 2, init=[[1], [-1]], max_iter=0).labels, [0, 1, 0])


def test_the_same_seed_gives_the_same_bits_on_any_threads():
    rows = np.tile(X, (30, 1)) + np.random.RandomState(1).randn(15000, 3)
    first, *others = (kmeans(rows, 9, random_state=4, max_iter=9, n_threads=m) for m in (1, 2, 7, None))
    for other in others:
        for ours, theirs in zip(first, other, strict=True):
            assert_array_equal(ours, theirs)
    assert not np.array_equal(kmeans(rows, 9, random_state=5, max_iter=0).centers, first.centers)


def test_one_round_of_seeding(target):
    """Distances to the closest of what is known and each candidate, and their weighted sums over chunks."""
    rng = np.random.default_rng(0)
    for n, d, dtype in (1, 1, np.float64), (5, 3, np.float32), (1024, 9, np.float64), (2500, 2, np.float32):
        X, closest, w = rng.normal(size=(n, d)).astype(dtype), rng.uniform(0, 2, n), rng.uniform(0, 3, n)
        candidates = rng.normal(size=(4, d))
        for weights in (None, w):
            found = np.empty((4, n))
            sums = _kernels.closer(X, distances_to(candidates), closest, found, weights, 2)
            expected = np.minimum(reference.squared_distances(X, candidates).T, closest)
            assert_allclose(
                found, expected, rtol=1e-12 if dtype == np.float64 else 1e-5, atol=1e-6 * (dtype == np.float32)
            )
            weighted = found if weights is None else found * w
            assert_array_equal(_kernels.closer(X, distances_to(candidates), closest, None, weights), sums)
            assert_allclose(sums, np.add.reduceat(weighted, np.arange(0, n, _kernels.CHUNK), axis=1).T, rtol=1e-12)


@pytest.mark.parametrize("family", ["full", "tied", "diag"])
def test_densities_that_are_no_distances_are_refused(family):
    density = mixture(family, 3, 2, np.random.default_rng(0)).density
    with pytest.raises(ValueError, match="k-means takes isotropic densities"):
        _kernels.assign(X, density)
    with pytest.raises(ValueError, match="k-means takes isotropic densities"):
        _kernels.closer(X, density, np.ones(len(X)), np.empty((2, len(X))))


def test_it_ends_when_no_label_changes():
    """With tol=0: the same labels give the same centers, to the bit."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(5000, 32)) + 5 * rng.normal(size=(8, 32))[rng.integers(8, size=5000)] + 1e3
    result = kmeans(X, 8, tol=0.0, random_state=0)
    assert result.n_iter < 100
    assert_array_equal(result.labels, np.argmin(reference.squared_distances(X, result.centers), axis=1))


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_far_beyond_what_kernels_square(init):
    """Powers of two change no bit but the exponents', up to the largest values that are accepted."""
    X = clusters(300, 5, 4)
    near, far = (kmeans(rows, 4, init=init, random_state=0) for rows in (X, np.ldexp(X, 497)))
    assert_array_equal(far.labels, near.labels)
    assert_array_equal(far.centers, np.ldexp(near.centers, 497))
    assert_array_equal(far.inertia_history, np.ldexp(near.inertia_history, 994))


@settings(deadline=None, max_examples=80)
@given(
    n=st.integers(1, 2500),
    d=st.integers(1, 20),
    k=st.integers(1, 400),
    spread=st.sampled_from([0.0, 1.0, 10.0, 1e4]),
    kind=st.sampled_from(["normal", "integers", "offset", "heavy_tailed"]),
    dtype=st.sampled_from([np.float64, np.float32]),
    weighted=st.booleans(),
    good=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_leaving_far_centers_out_changes_no_bit(n, d, k, spread, kind, dtype, weighted, good, seed):
    """Whatever the guesses are, and with ties: labels, sums and inertia of the dense pass, for any threads."""
    rng = np.random.default_rng(seed)
    centers = spread * rng.normal(size=(k, d))
    noise = rng.standard_t(1, size=(n, d)) if kind == "heavy_tailed" else rng.normal(size=(n, d))
    rows = centers[rng.integers(k, size=n)] + noise + (1e6 if kind == "offset" else 0)
    centers = centers + (1e6 if kind == "offset" else 0)
    if kind == "integers":
        rows, centers = rows.round(), centers.round()
    rows, density = rows.astype(dtype), distances_to(centers)
    weights = rng.uniform(0, 2, n) if weighted else None
    expected, labels = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    *dense, _ = _kernels.assign(rows, density, weights, expected)
    for n_threads in 1, 3:
        labels[:] = np.where(rng.random(n) < 0.8, expected, 0) if good else rng.integers(k, size=n)
        *found, share = _kernels.assign(rows, density, weights, labels, n_threads, np.inf)
        assert_array_equal(labels, expected)
        assert share > 0
        for a, b in zip(found, dense, strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [600, 900])
def test_far_centers_are_left_out(k, dtype):
    """Where they are many, nearly all are, of more in the first pass, too; the labels are those of all distances."""
    rng = np.random.default_rng(3)
    centers = 10 * rng.normal(size=(k, 3))
    rows = (centers[rng.integers(k, size=20000)] + rng.normal(size=(20000, 3))).astype(dtype)[::-1]
    found, labels, inertia, shares = _kernels.lloyd(rows, rows[:k].astype(float), 300, 1e-4, None, 2)
    assert len(shares) == len(inertia) > 4 and max(shares[1:]) < 0.3
    assert shares[0] < 0.3 if k == 900 else shares[0] == 1
    dense = np.empty(len(rows), dtype=np.intp)
    _, _, last, share = _kernels.assign(rows, distances_to(found), None, dense)
    assert_array_equal(labels, dense)
    assert_allclose(last, inertia[-1], rtol=1e-12 if dtype is np.float64 else 1e-6)
    assert share == 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "pays"), [(800, False), (5000, True), (5001, True)])
def test_the_first_labels_are_those_of_all_distances(rows, pays, dtype, weighted):
    """To the bit, with no move, of rows of which many are equal, so that leaves are empty, and in Fortran order."""
    rng = np.random.default_rng(5)
    X = np.asfortranarray(np.round(rng.normal(size=(rows, 2)), 1).astype(dtype))
    centers = X[rng.choice(rows, 800, replace=False)].astype(float)
    w = rng.integers(0, 3, rows).astype(float) if weighted else None
    dense = np.empty(rows, dtype=np.intp)
    _, _, inertia, _ = _kernels.assign(X, distances_to(centers), w, dense)
    for n_threads in (1, 2):
        _, labels, history, shares = _kernels.lloyd(X, centers, 0, 0.0, w, n_threads)
        assert (shares[0] < 0.5) == pays
        assert_array_equal(labels, dense)
        assert history.tolist() == [inertia]


def test_a_pass_over_all_centers_where_none_can_be_left_out():
    """Guesses are tried at ever longer intervals, and on few rows."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(4000, 30))
    *_, shares = _kernels.lloyd(rows, rows[:60].copy(), 16, 0.0)
    tried = (shares != 1).tolist()
    assert tried[:10] == [False, True, False, True, False, False, True, False, False, False]


@pytest.mark.parametrize("name", ["n_clusters", "n_init", "max_iter"])
def test_a_number_that_no_counter_holds_is_an_error(name):
    with pytest.raises(ValueError, match=f"{name} must be at most"):
        kmeans(**{"X": np.zeros((3, 1)), "n_clusters": 1, name: 2**70})
