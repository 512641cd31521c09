"""Whatever outlives a call owns its memory: the caller's arrays stay the caller's, who may change them at any time."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cgmm
import reference
from cgmm import GMM, Prior, SufficientStatistics, expectation
from datasets import invert
from problems import assert_same_bits, clusters, start_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
]
families = pytest.mark.parametrize("family", reference.FAMILIES)
X = clusters(300, 2, 3)
PARAMETERS = ("weights_", "means_", "covariances_")


# Streams


def spoil(*arrays):
    for array in arrays:
        array[...] = np.nan


@pytest.mark.parametrize("value", [np.nan, -1.0, 1000.0, 0.0])
@pytest.mark.parametrize("learning_rows", [None, 120, 1])
@families
def test_partial_fit_keeps_no_weights(family, learning_rows, value):
    """Those of the first batch, whatever becomes of them afterwards."""
    arguments = {"covariance_type": family, "random_state": 0, "learning_rows": learning_rows}
    own, twin = GMM(2, **arguments), GMM(2, **arguments)
    for start in range(0, 300, 50):
        w = 1.0 + np.arange(50) % 3
        own.partial_fit(X[start : start + 50], sample_weight=w)
        twin.partial_fit(X[start : start + 50], sample_weight=w.copy())
        w[:] = value
        assert_same_bits(own, twin)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, list])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("missing", ["error", "marginal"])
def test_partial_fit_keeps_no_rows(kind, dtype, missing):
    """Rows, with gaps and without, and weights, of any type and layout."""
    own, twin = (GMM(2, random_state=0, missing=missing) for _ in range(2))
    for start in range(0, 300, 30):
        rows = np.asfortranarray(X[start : start + 30].astype(dtype))
        if missing == "marginal":
            rows[::7, 0] = np.nan
        w = np.ones(30, float if kind is list else kind)
        own.partial_fit(rows, sample_weight=w.tolist() if kind is list else w)
        twin.partial_fit(rows.copy(), sample_weight=w.copy())
        rows[...], w[...] = 1e6, 77
        assert_same_bits(own, twin)


@pytest.mark.parametrize("weighted", [False, True])
def test_partial_fit_of_blocks_in_one_buffer(weighted):
    """An iterator may refill what it has given."""

    def blocks():
        rows, weights = np.empty((20, 2)), np.empty(20)
        for start in range(0, 300, 20):
            rows[:], weights[:] = X[start : start + 20], 1 + (start // 20) % 3
            yield (rows, weights) if weighted else rows
        spoil(rows, weights)

    given = [X[start : start + 20] for start in range(0, 300, 20)]
    given = [(rows, np.full(20, 1.0 + at % 3)) for at, rows in enumerate(given)] if weighted else given
    assert_same_bits(GMM(2, random_state=0).partial_fit(blocks()), GMM(2, random_state=0).partial_fit(given))


def test_weights_of_a_stream_survive_a_copy():
    """A model that is pickled while it gathers has the weights of its rows."""
    w = 1.0 + np.arange(50) % 3
    own = GMM(2, random_state=0).partial_fit(X[:50], sample_weight=w)
    sent = pickle.loads(pickle.dumps(own))
    w[:] = 1e6
    for model in (own, sent):
        model.partial_fit(X[50:100], sample_weight=np.ones(50))
    assert_same_bits(own, sent)


# Starts, priors, masks, statistics, names


def start_arrays(family):
    weights, means, covariances = (np.array(array) for array in start_of(X, 3, family))
    return {"weights_init": weights, "means_init": means, "precisions_init": np.array(invert(covariances, family))}


@families
@pytest.mark.parametrize("max_iter", [0, 3])
@pytest.mark.parametrize("fixed", [(), ("means",), ("weights", "means", "covariances")])
def test_a_fit_keeps_no_start(family, max_iter, fixed):
    """Nor the masks of what is fixed; a stream goes on from what they were."""
    fits = []
    for spoilt in (True, False):
        given, masks = start_arrays(family), {name: np.array([True, False, True]) for name in fixed}
        if family == "tied" and "covariances" in masks:
            masks["covariances"][:] = True
        model = GMM(3, covariance_type=family, max_iter=max_iter, fixed=masks, **given).fit(X)
        known = [getattr(model, name).copy() for name in PARAMETERS]
        if spoilt:
            model.set_params(**{name: array.copy() for name, array in given.items()})
            model.set_params(fixed={name: mask.copy() for name, mask in masks.items()})
            spoil(*given.values())
            for mask in masks.values():
                mask[:] = ~mask
        for name, value in zip(PARAMETERS, known, strict=True):
            assert_array_equal(getattr(model, name), value)
        fits.append(model.partial_fit(X[:40]))
    assert_same_bits(*fits, names=PARAMETERS)


@families
def test_a_fit_keeps_no_prior(family):
    """A stream goes on from the prior of its fit."""
    fits = []
    for spoilt in (True, False):
        mean, scale = np.ones(2), np.array(2.0) if family in ("diag", "spherical") else 2.0 * np.eye(2)
        belief = {"mean_precision": 1.0, "degrees_of_freedom": 6.0}
        model = GMM(2, covariance_type=family, random_state=0, prior=Prior(mean=mean, covariance=scale, **belief)).fit(
            X
        )
        if spoilt:
            model.set_params(prior=Prior(mean=mean.copy(), covariance=scale.copy(), **belief))
            spoil(mean, scale)
        fits.append(model.partial_fit(X[:40]))
    assert_same_bits(*fits)


@families
def test_given_parameters_are_copied(family):
    given = [np.array(array) for array in start_of(X, 3, family)]
    model = GMM.from_parameters(*given, family)
    known, score = [getattr(model, name).copy() for name in PARAMETERS], model.score(X)
    assert all(array.flags.writeable for array in given)
    spoil(*given)
    for name, value in zip(PARAMETERS, known, strict=True):
        assert_array_equal(getattr(model, name), value)
    assert model.score(X) == score


@pytest.mark.parametrize("kind", ["means", "labels", "responsibilities"])
@pytest.mark.parametrize("max_iter", [0, 3])
def test_what_a_start_returns_is_copied(kind, max_iter):
    labels = np.arange(300) % 3
    held = {"means": X[:3].copy(), "labels": labels, "responsibilities": np.eye(3)[labels]}[kind]
    model = GMM(3, init_params=lambda X, k, random_state: held, max_iter=max_iter, random_state=0).fit(X)
    known = model.means_.copy()
    assert held.flags.writeable
    held[...] = 0
    assert_array_equal(model.means_, known)


def test_a_callback_may_keep_what_it_saw():
    """Nothing of it is changed by later iterations, and nothing of the fit by it."""
    seen = []

    def keep(state):
        arrays = [getattr(state.parameters, name) for name in ("weights", "means", "covariances")]
        seen.append((arrays, [array.copy() for array in arrays]))
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0

    GMM(3, random_state=0, max_iter=10, tol=0.0, n_init=2, callback=keep).fit(X)
    assert len(seen) > 10
    for arrays, copies in seen:
        for array, copied in zip(arrays, copies, strict=True):
            assert_array_equal(array, copied)


def test_statistics_own_their_arrays():
    """Those that a user makes are not his arrays, which stay as they were: writeable, and free to change."""
    found = expectation(GMM(2, random_state=0).fit(X), X)
    given = [np.array(getattr(found, name)) for name in ("n_k", "first", "second", "shift")]
    made = SufficientStatistics(*given[:3], found.log_likelihood, found.total_weight, given[3], found.moment)
    assert all(array.flags.writeable for array in given)
    spoil(*given)
    for name in ("n_k", "first", "second", "shift"):
        assert_array_equal(getattr(made, name), getattr(found, name))


def test_names_of_features_cannot_be_changed():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = GMM(2, random_state=0).fit(frame)
    try:
        model.feature_names_in_[0] = "z"
    except ValueError:
        assert not model.feature_names_in_.flags.writeable
    assert model.feature_names_in_.tolist() == frame.columns.tolist() == ["a", "b"]
    model.predict(frame)


def test_centres_of_kmeans_are_not_the_callers():
    centres = X[:3].copy()
    found = cgmm.kmeans(X, 3, init=centres, max_iter=0)
    known = found.centers.copy()
    spoil(centres)
    assert_array_equal(found.centers, known)
