"""Components merged into clusters: mclust's merges and entropies, a reference, rows from anywhere, the pictures."""

import itertools

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM, BayesianGMM, NotFittedError, combine, plot, table
from cgmm.combined import elbow
from problems import clusters

FAITHFUL = np.loadtxt("examples/data/faithful.csv", delimiter=",", skiprows=1)
# mclust 6.0.0, Mclust(faithful, G = 5, modelNames = "VVV") and clustCombi of it.
FIVE = GMM.from_parameters(
    [0.43890434226329456, 0.04791134936099581, 0.05725912780022214, 0.2891405887416275, 0.16678459183385974],
    [[4.225782554604003, 81.34781263545884], [2.3386693623940946, 50.30089133616376],
     [3.3648832003551665, 67.29555490059239], [1.9600949509154804, 54.63080016012301],
     [4.566409145019299, 78.74768527267987]],
    [[[0.15625126872708744, 1.02680672307338], [1.02680672307338, 35.62717366621551]],
     [[0.08627418333869205, 0.8605221972197782], [0.8605221972197782, 12.526122560450244]],
     [[0.6315258064467305, 3.1258997804901436], [3.1258997804901436, 19.030076003491494]],
     [[0.03327769612908328, 0.3725864922143032], [0.3725864922143032, 31.74381174372947]],
     [[0.044482674038678574, 0.0360871483290758], [0.0360871483290758, 11.105034910906074]]],
    normalize=True,
)  # fmt: skip
ENTROPIES = [0, 7.509851636736011, 19.962078072934535, 36.419277865676904, 95.71827519806776]


@pytest.fixture(autouse=True)
def clean():
    yield
    plt.close("all")


def x_log_x(t):
    return np.where(t > 0, t * np.log(np.where(t > 0, t, 1.0)), 0.0)


def reference(r, w):
    """Each step by trying all pairs: the partitions and the entropies, from k clusters to one."""
    found = [[(c,) for c in range(r.shape[1])]]

    def entropy(partition):
        return -sum(w @ x_log_x(r[:, list(components)].sum(axis=1)) for components in partition)

    while len(found[-1]) > 1:
        last = found[-1]
        tried = [
            sorted([c for c in last if c not in (a, b)] + [tuple(sorted(a + b))])
            for a, b in itertools.combinations(last, 2)
        ]
        found.append(min(tried, key=entropy))
    return found, [entropy(partition) for partition in found]


def test_mclust_merges_and_entropies():
    found = combine(FIVE, FAITHFUL)
    assert_allclose(found.entropies, ENTROPIES, atol=1e-10)
    assert found.clusters(4) == ((0, 4), (1,), (2,), (3,))
    assert found.clusters(3) == ((0, 2, 4), (1,), (3,))
    assert found.clusters(2) == ((0, 2, 4), (1, 3))
    assert found.clusters(1) == ((0, 1, 2, 3, 4),)
    assert found.n_clusters == 4
    assert found.clusters() == found.clusters(4)
    assert np.bincount(found.predict(FAITHFUL)).tolist() == [170, 13, 8, 81]


@pytest.mark.parametrize("family", ["full", "tied", "diag", "spherical", "VEE"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_the_reference(k, weighted, family):
    X = clusters(400, 2, k)
    w = np.random.default_rng(0).integers(0, 4, 400).astype(float) if weighted else None
    model = GMM(k, covariance_type=family, random_state=0, max_iter=5, tol=0, on_degenerate="repair")
    model.fit(X)
    found = combine(model, X, sample_weight=w)
    partitions, entropies = reference(model.predict_proba(X), np.ones(400) if w is None else w)
    assert_allclose(found.entropies[::-1], entropies, rtol=1e-9, atol=1e-9)
    for left in range(1, k + 1):
        assert sorted(found.clusters(left)) == partitions[k - left]
    assert_allclose(found.predict_proba(X, 1), 1.0)


test_the_reference = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")(test_the_reference)


def test_labels_and_probabilities_are_those_of_the_components():
    found = combine(FIVE, FAITHFUL)
    r = FIVE.predict_proba(FAITHFUL)
    assert found.labels(2).tolist() == [0, 1, 0, 1, 0]
    expected = np.column_stack([r[:, [0, 2, 4]].sum(axis=1), r[:, [1, 3]].sum(axis=1)])
    assert_allclose(found.predict_proba(FAITHFUL, 2), expected, atol=1e-12)
    assert_array_equal(found.predict(FAITHFUL, 2), expected.argmax(axis=1))


def test_weight_two_is_the_row_twice():
    w = np.random.default_rng(0).integers(0, 3, len(FAITHFUL))
    own = combine(FIVE, FAITHFUL, sample_weight=w.astype(float))
    other = combine(FIVE, np.repeat(FAITHFUL, w, axis=0))
    assert_allclose(own.entropies, other.entropies, atol=1e-9)
    assert repr(own).split("\n")[1:3] == repr(other).split("\n")[1:3]


def test_rows_from_anywhere(tmp_path):
    path = tmp_path / "faithful.csv"
    np.savetxt(path, FAITHFUL, delimiter=",", header="a,b", comments="", fmt="%.17g")
    expected = combine(FIVE, FAITHFUL)
    blocks = [FAITHFUL[:100], FAITHFUL[100:101], FAITHFUL[101:]]
    found = [combine(FIVE, table(path)), combine(FIVE, lambda: iter(blocks))]
    da = pytest.importorskip("dask.array")
    found.append(combine(FIVE, da.from_array(FAITHFUL, chunks=(90, 2))))
    for one in found:
        assert_allclose(one.entropies, expected.entropies, atol=1e-9)
        assert one.clusters() == expected.clusters()


def test_with_gaps_and_with_noise():
    X = FAITHFUL.copy()
    X[::9, 0] = np.nan
    model = GMM(4, missing="marginal", random_state=0).fit(X)
    found = combine(model, X)
    partitions, _ = reference(model.predict_proba(X), np.ones(len(X)))
    assert sorted(found.clusters(2)) == partitions[2]
    noisy = GMM(4, noise_component="uniform", random_state=0, max_iter=500).fit(FAITHFUL)
    found = combine(noisy, FAITHFUL)
    partitions, entropies = reference(noisy.predict_proba(FAITHFUL), np.ones(len(FAITHFUL)))
    assert_allclose(found.entropies[::-1], entropies, rtol=1e-9)
    assert found.entropies[0] > 0  # the noise is no cluster
    labels = found.predict(FAITHFUL, 1)
    assert_array_equal(labels == -1, noisy.noise_probability(FAITHFUL) > found.predict_proba(FAITHFUL, 1)[:, 0])


def test_float32_rows():
    found = combine(FIVE, FAITHFUL.astype(np.float32))
    assert_allclose(found.entropies, ENTROPIES, rtol=1e-3, atol=1e-3)  # log-densities of float32 rows keep 4 digits
    assert found.clusters() == ((0, 4), (1,), (2,), (3,))


def test_what_is_held_does_not_grow_with_rows_and_pairs():
    import tracemalloc

    k, X = 40, clusters(30_000, 2, 40)
    model = GMM.from_parameters(np.full(k, 1 / k), X[:k], np.ones(k), "spherical")
    combine(model, X[:100])
    tracemalloc.start()
    combine(model, X)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * 8192 * k * 8  # a few arrays of a block's responsibilities


@pytest.mark.parametrize(
    "entropies, expected",
    [([0.0], 1), ([0, 3], 2), ([0, 1, 2, 9, 16], 3), ([0, 1, 20, 39, 58], 2), ([0, 1, 2, 3, 9], 4)],
)
def test_the_elbow_is_where_lines_meet(entropies, expected):
    assert elbow(np.array(entropies, dtype=float)) == expected


def test_the_text():
    assert repr(combine(FIVE, FAITHFUL)).split("\n")[:3] == [
        "clusters       entropy  components",
        "       5       95.7183  0 1 2 3 4",
        "       4       36.4193  0+4 1 2 3  <- elbow",
    ]


def test_the_tree_shows_what_is_merged():
    found = combine(FIVE, FAITHFUL)
    artists = found.plot()
    plt.gcf().canvas.draw()
    assert len(artists.links) == 4
    assert [leaf.get_text() for leaf in artists.leaves] == ["0", "4", "2", "1", "3"]
    tops = [line.get_ydata()[1] for line in artists.links]
    assert_allclose(tops, np.array(ENTROPIES)[4] - np.array(ENTROPIES)[3::-1], atol=1e-9)
    assert tops[0] < artists.cut.get_ydata()[0] < tops[1]
    steps = plot.tree(found, height="step", ax=plt.figure().gca())
    assert [line.get_ydata()[1] for line in steps.links] == [1, 2, 3, 4]


def test_the_entropies_are_drawn_with_their_elbow():
    found = combine(FIVE, FAITHFUL)
    artists = plot.entropies(found)
    assert_array_equal(artists.points.get_ydata(), found.entropies)
    assert [line.get_xdata().tolist() for line in artists.fits] == [[1, 2, 3, 4], [4, 5]]
    few = plot.entropies(combine(GMM(2, random_state=0).fit(FAITHFUL), FAITHFUL), ax=plt.figure().gca())
    assert few.fits == []


@pytest.mark.parametrize("k", [1, 2])
def test_few_components(k):
    found = combine(GMM(k, random_state=0).fit(FAITHFUL), FAITHFUL)
    assert (found.n_clusters, len(found.merges)) == (k, k - 1)
    assert len(found.plot().links) == k - 1


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: combine(GMM(2), FAITHFUL), NotFittedError, "not fitted"),
        (lambda: combine(BayesianGMM(2), FAITHFUL), TypeError, "must be a fitted GMM, not BayesianGMM"),
        (lambda: combine(FIVE, FAITHFUL[:, :1]), ValueError, "features"),
        (lambda: combine(FIVE, FAITHFUL, sample_weight=-np.ones(272)), ValueError, "sample_weight"),
        (lambda: combine(FIVE, FAITHFUL).labels(6), ValueError, "n_clusters is 6, and the mixture has 5 components"),
        (lambda: combine(FIVE, FAITHFUL).labels(0), ValueError, "n_clusters"),
        (lambda: plot.tree(combine(FIVE, FAITHFUL), height="depth"), ValueError, "height"),
    ],
)
def test_what_cannot_be_used(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_public():
    assert {"combine", "Combination"} <= set(dir(cgmm))
