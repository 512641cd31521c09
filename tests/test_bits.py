"""What may not change a bit of the results: threads, how often it is run, whether it goes on or runs through."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cgmm
import reference
from cgmm import GMM
from problems import CHUNK, assert_same_bits, begin_at, clusters, start_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


@families
@types
@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit(n_threads, family, dtype):
    """More rows than a start samples (16384), and a last chunk that is not full."""
    X = clusters(20 * CHUNK + 129, 5, 7).astype(dtype)
    w = np.random.default_rng(0).uniform(0, 2, size=len(X))
    one, many = (
        GMM(7, covariance_type=family, tol=0, max_iter=10, random_state=3, n_threads=threads).fit(X, sample_weight=w)
        for threads in (1, n_threads)
    )
    assert_same_bits(one, many)
    for output in (GMM.predict, GMM.predict_proba, GMM.score_samples, GMM.score, GMM.icl):
        assert_array_equal(output(one, X), output(many, X))


def test_threads_change_no_bit_of_many_partial_sums():
    """70 chunks of 300 kB: more than are held at a time (16 MiB)."""
    X = clusters(70 * CHUNK + 1, 32, 64)
    model = GMM.from_parameters(*start_of(X, 64, "full"))
    one, *others = (cgmm.expectation(model.set_params(n_threads=threads), X) for threads in (1, 2, 3, 7))
    for found in others:
        assert_same_bits(found, one, names=("n_k", "first", "second", "log_likelihood", "total_weight", "shift"))


@types
@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit_of_kmeans(n_threads, init, dtype):
    X = clusters(20 * CHUNK + 129, 5, 7).astype(dtype)
    one, many = (cgmm.kmeans(X, 7, init=init, random_state=1, n_threads=threads) for threads in (1, n_threads))
    assert_same_bits(one, many, names=one._fields)


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("seed", [lambda: 7, lambda: np.random.default_rng(7), lambda: np.random.RandomState(7)])
def test_same_seed_same_bits(seed, init):
    X = clusters(20_000, 3, 4)
    a, b = (GMM(4, init_params=init, n_init=2, tol=0, max_iter=5, random_state=seed()).fit(X) for _ in range(2))
    assert_same_bits(a, b)
    assert_array_equal(a.set_params(random_state=seed()).sample(50)[0], b.set_params(random_state=seed()).sample(50)[0])
    other = GMM(4, init_params=init, tol=0, max_iter=5, random_state=8).fit(X)
    assert not np.array_equal(other.means_, a.means_)


@families
def test_warm_start_goes_on(family):
    X = clusters(3000, 3, 4)
    start = start_of(X, 4, family)
    whole = begin_at(start, family, max_iter=20).fit(X)
    halves = begin_at(start, family, max_iter=10, warm_start=True).fit(X)
    first = halves.lower_bounds_
    halves.fit(X)
    assert_same_bits(halves, whole, names=("weights_", "means_", "covariances_", "lower_bound_"))
    assert_array_equal(np.append(first, halves.lower_bounds_), whole.lower_bounds_)


def test_warm_start_knows_that_it_has_converged():
    """The change is counted from the last iteration of the fit before."""
    X = clusters(3000, 3, 4)
    model = GMM(4, warm_start=True, tol=1e-3, random_state=0).fit(X)
    assert model.converged_ and model.n_iter_ > 1
    assert model.fit(X).converged_ and model.n_iter_ == 1
