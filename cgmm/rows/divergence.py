"""How far mixtures are from each other, and how spread out one is: where no closed form exists, by draws and bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture import products, transform
from cgmm.mixture.density import LOG_2PI

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array

BOUND_STEPS = 200  # Of the upper bound of a divergence, which falls with each and is a bound after any number.


class Estimate(NamedTuple):
    """What draws say of a value, and what is certain of it.

    value : the estimate;  standard_error : of the draws;  lower, upper : the exact value lies between them

    Examples
    --------
    >>> from cgmm import GMM
    >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
    >>> found = model.kl_divergence(model.affine([[1.0]], [1.0]))
    >>> round(found.lower, 3), round(found.upper, 3)  # The divergence of N(0, 1) from N(1, 1) is 1/2
    (0.097, 0.5)
    """

    value: float
    standard_error: float
    lower: float
    upper: float


class Draws(NamedTuple):
    """How an estimate is made: so many rows, of this generator, in so many threads."""

    n: int
    rng: np.random.Generator
    n_threads: int | None = None

    def log_densities(self, of: Parameters, *at: Parameters) -> list[Array]:
        """The log-densities of mixtures at draws from one, (n,) each."""
        X, _ = of.sample(self.n, self.rng)
        return [_kernels.evaluate(X, each.density, "log_likelihood", threads(self.n_threads)) for each in at]


def entropy(f: Parameters, draws: Draws) -> Estimate:
    """−∫ f log f dx, in nats.

    Between −Σ_a π_a log ∫ f_a f dx, by Jensen's inequality, or Σ_a π_a H(f_a); and Σ_a π_a (H(f_a) − log Σ_b π_b
    e^{−D(f_a‖f_b)}) (Hershey and Olsen 2007), or the normal distribution's of the same covariance.
    """
    (logs,) = draws.log_densities(f, f)
    own, weights = products.entropies(f), f.unit_weights
    whole = np.linalg.slogdet(transform.covariance(f))[1]
    lower = max(-_log_products(f, f), float(weights @ own))
    upper = min(-_log_variational(f, f), 0.5 * (f.d * (1 + LOG_2PI) + whole))
    return Estimate(-float(logs.mean()), _error(logs), float(lower), float(upper))


def kl_divergence(f: Parameters, g: Parameters, draws: Draws) -> Estimate:
    """D(f‖g) = ∫ f log(f / g) dx, in nats.

    Bounds from those of ∫ f log f dx and ∫ f log g dx (Durrieu, Thiran and Kelly 2012), and Hershey and Olsen's
    variational upper bound (2007, section 8).
    """
    of_f, of_g = draws.log_densities(f, f, g)
    ratio = of_f - of_g
    lower = max(_log_variational(f, f) - _log_products(f, g), 0.0)
    upper = min(_log_products(f, f) - _log_variational(f, g), _kl_upper(f, g))
    return Estimate(float(ratio.mean()), _error(ratio), float(lower), float(upper))


def bhattacharyya(f: Parameters, g: Parameters, draws: Draws) -> Estimate:
    """−log ∫ (f g)^½ dx."""
    value, error = _mean_of_both(f, g, draws, lambda gap: 1 / np.cosh(gap / 2))
    low, high = _affinity_bounds(f, g)
    with np.errstate(divide="ignore"):
        lower, upper = -np.log([high, low]) + 0.0
        relative = error / value if value else np.inf
        return Estimate(-float(np.log(value)), relative, float(lower), float(upper))


def overlap(f: Parameters, g: Parameters, draws: Draws) -> Estimate:
    """∫ min(f, g) dx, between 1 − (1 − A²)^½ and A, A = ∫ (f g)^½ dx (Kailath 1967)."""
    value, error = _mean_of_both(f, g, draws, lambda gap: 2 / (1 + np.exp(np.abs(gap))))
    low, high = _affinity_bounds(f, g)
    return Estimate(value, error, float(low**2 / (1 + np.sqrt(max(1 - low**2, 0.0)))), float(high))


def _affinity_bounds(f: Parameters, g: Parameters) -> tuple[float, float]:
    """Σ π_a ω_b A_ab ≤ ∫ (f g)^½ dx ≤ Σ (π_a ω_b)^½ A_ab: the root is concave, and subadditive."""
    each = products.bhattacharyya_components(f, g)
    joint = products.log_weights(f)[:, None] + products.log_weights(g)
    return float(np.exp(each + joint).sum()), min(float(np.exp(each + 0.5 * joint).sum()), 1.0)


def _mean_of_both(f: Parameters, g: Parameters, draws: Draws, value: Callable[[Array], Array]) -> tuple[float, float]:
    """The mean of value(log f − log g) over draws from (f + g) / 2, half from each, and its standard error."""
    half = draws._replace(n=max(draws.n // 2, 2))
    means, errors = np.empty(2), np.empty(2)
    for at, of in enumerate((f, g)):
        of_f, of_g = half.log_densities(of, f, g)
        with np.errstate(over="ignore"):
            values = value(of_f - of_g)
        means[at], errors[at] = values.mean(), _error(values)
    return float(means.mean()), float(0.5 * np.hypot(*errors))


def _error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _log_products(f: Parameters, g: Parameters) -> float:
    """Σ_a π_a log ∫ f_a g dx ≥ ∫ f log g dx."""
    inner = np.logaddexp.reduce(products.log_overlaps(f, g) + products.log_weights(g), axis=1)
    return _mean(f, inner)


def _log_variational(f: Parameters, g: Parameters) -> float:
    """Σ_a π_a (log Σ_b ω_b e^{−D(f_a‖g_b)} − H(f_a)) ≤ ∫ f log g dx."""
    inner = np.logaddexp.reduce(products.log_weights(g) - products.kl_components(f, g), axis=1)
    return _mean(f, inner - products.entropies(f))


def _mean(f: Parameters, values: Array) -> float:
    counted = f.weights > 0
    return float(f.weights[counted] @ values[counted] / f.weights[counted].sum())


def _kl_upper(f: Parameters, g: Parameters) -> float:
    """The least of D(φ‖ψ) + Σ_ab φ_ab D(f_a‖g_b), where φ has the weights of f and ψ those of g as its sums."""
    gaps, own, theirs = products.kl_components(f, g), products.log_weights(f), products.log_weights(g)
    some = np.ix_(np.isfinite(own), np.isfinite(theirs))
    gaps, own, theirs = gaps[some], own[np.isfinite(own)][:, None], theirs[np.isfinite(theirs)]
    phi = own + theirs
    bound = np.inf
    for _ in range(BOUND_STEPS):
        psi = theirs + phi - np.logaddexp.reduce(phi, axis=0)
        phi = own + psi - gaps - np.logaddexp.reduce(psi - gaps, axis=1)[:, None]
        with np.errstate(invalid="ignore"):
            terms = np.where(np.isfinite(phi), np.exp(phi) * (phi - psi + gaps), 0.0)
        last, bound = bound, float(terms.sum())
        if last - bound <= 1e-12 * abs(bound):
            break
    return max(bound, 0.0)
