"""Mixtures with a component split, or two merged: the compiled code beside the definitions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgmm import _kernels
from cgmm.fit.split_merge import closeness, merge, mergers, split, splits
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.families.correlated import Full
from cgmm.mixture.families.independent import Diag, Spherical
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.sketches import Sketches

M, K = 6, 4
ALL = pytest.mark.parametrize("family", sorted(name for name, own in FAMILIES.items() if not own.one_feature))


def sketches_of(family, d, m=M, k=K):
    rng, own = np.random.default_rng(d), FAMILIES[family]
    made = []
    for _ in range(m):
        A = rng.normal(size=(k, d, 2 * d))
        matrices = np.einsum("kij,klj->kil", A, A) / d
        compact = own.compact(matrices if own.per_component or own.name == "tied" else matrices[:1].repeat(k, axis=0))
        covariances = matrices[0] if own.name == "tied" else compact
        weights = rng.dirichlet(np.ones(k))
        made.append(Parameters(own, weights, rng.normal(size=(k, d)), covariances, covariances))
    return Sketches.of(made)


def matrices_of(sketches, i):
    """The covariances of the i-th mixture, (k,d,d)."""
    k, d = sketches.means.shape[1:]
    return sketches.family.expand(sketches.covariances[i], k, d)


def expected(sketches, i, removed, weights, means, matrix):
    """The i-th mixture without some components, and with others, the last, of one matrix."""
    family, stay = sketches.family, np.setdiff1d(np.arange(sketches.k), removed)
    k = len(stay) + len(weights)
    own = matrices_of(sketches, i)
    if family.per_component:
        more = family.compact(np.repeat(matrix[np.newaxis], len(weights), axis=0))
        covariances = np.concatenate([sketches.covariances[i][stay], more])
    elif family.name == "tied":
        covariances = sketches.covariances[i]
    else:
        covariances = family.compact(own[:1].repeat(k, axis=0))
    return (
        np.concatenate([sketches.weights[i][stay], weights]),
        np.concatenate([sketches.means[i][stay], means]),
        covariances,
    )


@ALL
@pytest.mark.parametrize("d", [1, 2, 3, 7, 30])
def test_a_split_is_along_the_longest_axis(d, family):
    sketches, rng = sketches_of(family, d), np.random.default_rng(0)
    components = rng.integers(K, size=M)
    low, high = np.full(d, -1.5), np.full(d, 1.0)
    found = split(sketches, components, (low, high))
    for i, c in enumerate(components.tolist()):
        matrix = matrices_of(sketches, i)[c]
        values, axes = np.linalg.eigh(matrix)
        step = np.sqrt(values[-1] / 2) * axes[:, -1]
        mean, weight = sketches.means[i, c], sketches.weights[i, c] / 2
        if (found.means[i, -1] - found.means[i, -2]) @ step < 0:  # the sign of an axis is free
            step = -step
        halves = np.clip([mean - step, mean + step], low, high)
        of = expected(sketches, i, [c], [weight, weight], halves, matrix - np.outer(step, step))
        for own, value in zip(found[1:], of, strict=True):
            assert_allclose(own[i], value, rtol=1e-12, atol=1e-12)


@ALL
@pytest.mark.parametrize("d", [1, 2, 3, 7])
def test_a_merger_has_the_moments_of_both(d, family):
    sketches = sketches_of(family, d)
    a, b = np.array([0, 1, 2, 3, 0, 1]), np.array([1, 0, 3, 0, 3, 2])
    found = merge(sketches, a, b)
    for i in range(M):
        own = matrices_of(sketches, i)
        weights, means = sketches.weights[i][[a[i], b[i]]], sketches.means[i][[a[i], b[i]]]
        mean = weights @ means / weights.sum()
        second = sum(
            w * (own[c] + np.outer(mu - mean, mu - mean)) for w, mu, c in zip(weights, means, (a[i], b[i]), strict=True)
        )
        of = expected(sketches, i, [a[i], b[i]], [weights.sum()], mean[np.newaxis], second / weights.sum())
        for value, exact in zip(found[1:], of, strict=True):
            assert_allclose(value[i], exact, rtol=1e-12, atol=1e-12)


def test_components_without_weight_merge():
    sketches = sketches_of("full", 2, 1, 3)
    sketches.weights[0, :2] = 0.0
    found = merge(sketches, np.array([0]), np.array([1]))
    assert found.weights[0, -1] == 0.0 and np.isfinite(found.covariances).all() and np.isfinite(found.means).all()


def test_closeness_is_of_each_pair_once():
    sketches = sketches_of("full", 3, 1)
    parameters = Parameters(FAMILIES["full"], *(array[0] for array in sketches[1:]), sketches.covariances[0])
    least = np.array([1e-3, 1e9, 1e-3])
    found = closeness(parameters, least).reshape(K, K)
    variances = np.maximum(parameters.weights @ parameters.variances, least)
    for a in range(K):
        for b in range(K):
            away = ((parameters.means[a] - parameters.means[b]) ** 2 / variances).sum()
            assert_allclose(found[a, b], 1 / (1e-3 + away) if a < b else 0.0, rtol=1e-13)


class Shared(Spherical):
    """A family that kernels do not know: one variance for all."""

    name, per_component = "shared", False

    def shape(self, k, d):
        return (1,)

    def expand(self, covariances, k, d):
        return super().expand(np.repeat(covariances, k), k, d)


@pytest.mark.parametrize("family", [type("Own", (Full,), {"name": "own"})(), type("Own", (Diag,), {"name": "own"})()])
def test_a_family_of_a_users_own_is_as_the_one_it_is_made_of(family):
    known = sketches_of("full" if family.correlated else "diag", 3)
    own, bounds = known._replace(family=family), (np.full(3, -9.0), np.full(3, 9.0))
    assert not family.compiled
    a, b = np.array([0, 1, 2, 3, 0, 1]), np.array([1, 0, 3, 0, 3, 2])
    for found, like in ((split(own, a, bounds), split(known, a, bounds)), (merge(own, a, b), merge(known, a, b))):
        assert found.family is family
        for some, others in zip(found[1:], like[1:], strict=True):
            assert_allclose(some, others, rtol=1e-12)


def test_a_covariance_that_all_share_stays():
    rng = np.random.default_rng(0)
    of = Sketches(Shared(), rng.dirichlet(np.ones(K), size=M), rng.normal(size=(M, K, 2)), rng.uniform(1, 2, (M, 1)))
    zeros, edge = np.zeros(M, dtype=np.intp), np.full(2, 9.0)
    for found, k in ((split(of, zeros, (-edge, edge)), K + 1), (merge(of, zeros, zeros + 1), K - 1)):
        assert found.means.shape == (M, k, 2) and (found.covariances == of.covariances).all()
    one = Sketches(Shared(), of.weights[:1], of.means[:1], of.covariances[:1])
    assert (split(one, np.arange(K), (-edge, edge)).covariances == of.covariances[0]).all()


def test_splits_and_mergers_are_of_one_mixture():
    sketches = sketches_of("VVE", 3, 1)
    parameters = Parameters(FAMILIES["VVE"], *(array[0] for array in sketches[1:]), sketches.covariances[0])
    some = splits(parameters, np.array([2, 0]), (np.full(3, -9.0), np.full(3, 9.0)))
    assert some.means.shape == (2, K + 1, 3) and some.covariances.shape == (2, K + 1, 3, 3)
    pairs = np.array([0 * K + 1, 2 * K + 3, 1 * K + 3])
    merged = mergers(parameters, pairs)
    assert merged.means.shape == (3, K - 1, 3)
    each = merge(sketches.taken(np.zeros(3, dtype=np.intp)), *np.divmod(pairs, K))
    for one, other in zip(merged[1:], each[1:], strict=True):
        assert (one == other).all()


def test_what_does_not_fit_is_refused():
    weights, means, covariances = sketches_of("full", 2)[1:]
    zeros, edge = np.zeros(M, dtype=np.intp), np.zeros(2)
    with pytest.raises(ValueError, match="do not fit"):
        _kernels.split_each("diag", weights, means, covariances, zeros, edge, edge)
    with pytest.raises(ValueError, match=r"of 0 … 3, is needed for each of 6 mixtures"):
        _kernels.split_each("full", weights, means, covariances, zeros + K, edge, edge)
    with pytest.raises(ValueError, match="needed for each"):
        _kernels.merge_each("full", weights, means, covariances, zeros, zeros[1:] + 1)
    with pytest.raises(ValueError, match="two components of each mixture"):
        _kernels.merge_each("full", weights, means, covariances, zeros, zeros)
    with pytest.raises(ValueError, match="of 2 features"):
        _kernels.split_each("full", weights, means, covariances, zeros, edge, edge[:1])
    with pytest.raises(ValueError, match="of 2 features"):
        _kernels.closeness("full", weights[:1], means[:1], covariances[:1], np.ones(3))
    with pytest.raises(ValueError, match="one mixture"):
        _kernels.closeness("full", weights, means, covariances, np.ones(2))
