"""Distances between mixtures, and entropies: against closed forms of one component, quadrature and bounds."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import sqrtm
from scipy.optimize import linprog

from cgmm import GMM
from mixtures import TYPES, log_density, made, matrices_of

ONE = [
    GMM.from_parameters([0.3, 0.7], [[0.0], [3.0]], [[[1.0]], [[0.5]]]),
    GMM.from_parameters([0.6, 0.4], [[1.0], [5.0]], [[[0.7]], [[2.0]]]),
]


def integral(value):
    """∫ of a function of both densities, by quadrature."""
    densities = [lambda x, m=m: np.exp(log_density(m, np.array([[x]])))[0] for m in ONE]
    return quad(lambda x: value(*(p(x) for p in densities)), -12, 18, limit=500, points=[0, 1, 3, 5])[0]


CASES = {
    "entropy": (lambda: ONE[0].entropy(), lambda p, q: -p * np.log(p)),
    "kl_divergence": (lambda: ONE[0].kl_divergence(ONE[1]), lambda p, q: p * np.log(p / q)),
    "overlap": (lambda: ONE[0].overlap(ONE[1]), np.minimum),
    "bhattacharyya": (lambda: ONE[0].bhattacharyya(ONE[1]), lambda p, q: np.sqrt(p * q)),
}


@pytest.mark.parametrize("name", CASES)
def test_estimates_are_within_their_errors_and_bounds(name):
    ask, value = CASES[name]
    exact = integral(value)
    if name == "bhattacharyya":
        exact = -np.log(exact)
    found = ask()
    assert abs(found.value - exact) < 4.5 * found.standard_error
    assert found.standard_error < 0.01
    assert found.lower - 1e-9 <= exact <= found.upper + 1e-9
    assert ask() == found  # the same seed, the same bits


@pytest.mark.parametrize("one", TYPES)
@pytest.mark.parametrize("other", TYPES)
def test_of_single_components_the_bounds_are_exact(one, other):
    p, q = made(one, k=1, seed=1), made(other, k=1, seed=2)
    S, T = matrices_of(p)[0], matrices_of(q)[0]
    m = (p.means_ - q.means_)[0]
    logdet = lambda A: np.linalg.slogdet(A)[1]  # noqa: E731
    kl = 0.5 * (np.trace(np.linalg.solve(T, S)) + m @ np.linalg.solve(T, m) - 4 + logdet(T) - logdet(S))
    middle = (S + T) / 2
    apart = m @ np.linalg.solve(middle, m) / 8 + 0.5 * (logdet(middle) - (logdet(S) + logdet(T)) / 2)
    assert p.kl_divergence(q).upper == pytest.approx(kl, rel=1e-10)
    found = p.bhattacharyya(q)
    assert found.lower == pytest.approx(apart, rel=1e-10) and found.upper == pytest.approx(apart, rel=1e-10)
    assert p.entropy().upper == pytest.approx(0.5 * logdet(2 * np.pi * np.e * S), rel=1e-10)
    root = np.real(sqrtm(S))
    cost = m @ m + np.trace(S + T - 2 * np.real(sqrtm(root @ T @ root)))
    assert p.wasserstein(q) == pytest.approx(np.sqrt(cost), rel=1e-7)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_bounds_hold_in_more_dimensions(covariance_type):
    p, q = made(covariance_type, seed=1), made("full", k=4, seed=2)
    for found in (p.kl_divergence(q), q.kl_divergence(p), p.entropy(), p.bhattacharyya(q), p.overlap(q)):
        assert found.lower - 4.5 * found.standard_error <= found.value <= found.upper + 4.5 * found.standard_error


def test_the_wasserstein_distance_is_the_best_transport_of_components():
    p, q = made("full", k=3, seed=1), made("tied", k=4, seed=2)
    costs = np.array(
        [
            [
                GMM.from_parameters([1.0], p.means_[[a]], matrices_of(p)[[a]]).wasserstein(
                    GMM.from_parameters([1.0], q.means_[[b]], matrices_of(q)[[b]])
                )
                ** 2
                for b in range(4)
            ]
            for a in range(3)
        ]
    )
    rows = np.kron(np.eye(3), np.ones(4))
    columns = np.kron(np.ones(3), np.eye(4))
    margins = np.concatenate([p.weights_, q.weights_])
    best = linprog(costs.ravel(), A_eq=np.vstack([rows, columns]), b_eq=margins).fun
    assert p.wasserstein(q) == pytest.approx(np.sqrt(best), rel=1e-9)
    assert q.wasserstein(p) == pytest.approx(p.wasserstein(q), rel=1e-9)
    assert p.wasserstein(p) == pytest.approx(0.0, abs=1e-6)  # the root of the rounding of squares


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_moved_mixture_is_as_far_as_it_was_moved(covariance_type):
    p, move = made(covariance_type), np.array([1.0, -2, 3, 0.5])
    assert p.wasserstein(p.affine(np.eye(4), move)) == pytest.approx(np.linalg.norm(move), rel=1e-7)


def test_l2_distance_is_the_integral():
    exact = np.sqrt(integral(lambda p, q: (p - q) ** 2))
    assert ONE[0].l2_distance(ONE[1]) == pytest.approx(exact, rel=1e-8)
    assert ONE[0].l2_distance(ONE[0]) == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_any_number_of_threads_gives_the_same_estimates(covariance_type):
    p, q = made(covariance_type, seed=1), made(covariance_type, seed=2)
    assert p.set_params(n_threads=1).kl_divergence(q) == p.set_params(n_threads=3).kl_divergence(q)


def test_a_component_of_no_weight_changes_nothing():
    p = GMM.from_parameters([0.3, 0.7, 0.0], [[0.0], [3.0], [50.0]], [[[1.0]], [[0.5]], [[1.0]]])
    for ask in ("kl_divergence", "bhattacharyya", "overlap"):
        found, plain = getattr(p, ask)(ONE[1]), getattr(ONE[0], ask)(ONE[1])
        np.testing.assert_allclose(found[2:], plain[2:], rtol=1e-10)
    assert p.wasserstein(ONE[0]) == pytest.approx(0.0, abs=1e-7)
    assert p.entropy().upper == pytest.approx(ONE[0].entropy().upper)
