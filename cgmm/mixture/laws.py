"""What is believed of weights and of precisions: distributions that stay of their kind when rows are added.

Each is known by what an E-step needs of it, expected logarithms, and by the logarithm of its partition function, ln Z,
of which the evidence lower bound is made: Bishop (2006), section 10.2 and appendix B.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from cgmm.mixture.density import LOG_2PI

if TYPE_CHECKING:
    from cgmm.types import Array


# From this size of both arguments on, what Stirling's formula leaves out of ln B(a, b), 1 / 12a, is less than rounding.
STIRLING = 1e20

# Weights


class WeightLaw(Protocol):
    """What is believed of the weights of k components before any row, and with rows of masses (k,)."""

    @property
    def prior(self) -> float: ...

    @property
    def ordered(self) -> bool:
        """Whether what is believed depends on the order of the components."""
        ...

    def concentration(self, masses: Array) -> Array:
        """The parameters of the distribution: (k,) or (2,k)."""
        ...

    def means(self, concentration: Array) -> Array:
        """Expected weights (k,), which sum to one."""
        ...

    def expected_logs(self, concentration: Array) -> Array:
        """Expected logarithms (k,) of the weights."""
        ...

    def log_partition(self, concentration: Array) -> float:
        """ln Z."""
        ...


class Dirichlet(NamedTuple):
    """π ~ Dirichlet(α, …, α), and with rows Dirichlet(α + n_1, …): Bishop (2006), 10.39.

    prior : α
    """

    prior: float

    @property
    def ordered(self) -> bool:
        return False

    def concentration(self, masses: Array) -> Array:
        return self.prior + masses

    def means(self, concentration: Array) -> Array:
        weights: Array = concentration / concentration.sum()
        return weights

    def expected_logs(self, concentration: Array) -> Array:
        """ψ(α_c) − ψ(Σ α) (Bishop 2006, 10.66)."""
        return _digamma(concentration) - _digamma(concentration.sum())

    def log_partition(self, concentration: Array) -> float:
        """Σ ln Γ(α_c) − ln Γ(Σ α)."""
        return float(_log_gamma(concentration).sum() - _log_gamma(concentration.sum()))


class DirichletProcess(NamedTuple):
    """π_c = v_c Π_{l<c} (1 − v_l), v ~ Beta(1, γ), and with rows Beta(1 + n_c, γ + Σ_{l>c} n_l).

    Blei and Jordan (2006), "Variational inference for Dirichlet process mixtures".
    As in scikit-learn the last v is believed to be Beta distributed, too, so the weights do not quite sum to one:
    expected weights are divided by their sum.

    prior : γ
    """

    prior: float

    @property
    def ordered(self) -> bool:
        return True

    def concentration(self, masses: Array) -> Array:
        found = np.empty((2, len(masses)))
        found[0], found[1] = masses, 0.0
        found[1, :-1] = masses[:0:-1].cumsum()[::-1]
        found[0] += 1.0
        found[1] += self.prior
        return found

    def means(self, concentration: Array) -> Array:
        own, after = concentration / concentration.sum(axis=0)
        own[1:] *= after[:-1].cumprod()
        weights: Array = own / own.sum()
        return weights

    def expected_logs(self, concentration: Array) -> Array:
        own, after = _digamma(concentration) - _digamma(concentration.sum(axis=0))
        own[1:] += after[:-1].cumsum()
        logs: Array = own
        return logs

    def log_partition(self, concentration: Array) -> float:
        """Σ_c ln B(1 + n_c, γ + Σ_{l>c} n_l)."""
        return float(_log_beta(*concentration).sum())


WEIGHT_LAWS: dict[str, type[Dirichlet] | type[DirichletProcess]] = {
    "dirichlet_process": DirichletProcess,
    "dirichlet_distribution": Dirichlet,
}

# Precisions, by the families of covariances. With C = E[Λ]⁻¹ and what the family counts, ν (m,), all is said: a Wishart
# distribution of a matrix has ν degrees of freedom and the scale (ν C)⁻¹, a gamma distribution of a number the shape
# ν / 2 and the rate ν C / 2. log_root is that of a family: −½ ln |C| of each, or of each feature.


class PrecisionLaw(Protocol):
    """apart : whether the features of a row are independent of each other, whatever is believed of the precisions"""

    apart: bool

    def expected_log_det(self, counts: Array, d: int) -> Array:
        """E ln |Λ| + ln |C|, (m,): what an expected logarithm is less than the logarithm of what is expected."""
        ...

    def log_partition(self, counts: Array, log_root: Array, d: int) -> float:
        """Σ ln Z, but for a constant of d and m alone."""
        ...

    def student(self, counts: Array, d: int) -> Array:
        """The degrees of freedom (m,) of Student's t distribution of a row whose covariance is Λ⁻¹."""
        ...


class Wishart:
    """Λ ~ Wishart, a matrix for each component, or one for all."""

    apart = False

    def expected_log_det(self, counts: Array, d: int) -> Array:
        """Σ_{j<d} ψ((ν − j) / 2) − d ln(ν / 2) (Bishop 2006, B.81)."""
        return _digamma(_halves(counts, d)).sum(axis=1) - d * np.log(counts / 2)

    def log_partition(self, counts: Array, log_root: Array, d: int) -> float:
        """Σ_{j<d} ln Γ((ν − j) / 2) − ν/2 (ln |C| + d ln(ν / 2)) (Bishop 2006, B.79)."""
        logs = _log_gamma(_halves(counts, d)).sum(axis=1)
        return float((logs + counts * (log_root - 0.5 * d * np.log(counts / 2))).sum())

    def student(self, counts: Array, d: int) -> Array:
        """ν + 1 − d (Bishop 2006, 10.82)."""
        return counts + 1.0 - d


class Gammas:
    """Λ_jj ~ Gamma, a precision for each feature."""

    apart = True

    def expected_log_det(self, counts: Array, d: int) -> Array:
        """d (ψ(ν / 2) − ln(ν / 2)) (Bishop 2006, B.30)."""
        return d * (_digamma(counts / 2) - np.log(counts / 2))

    def log_partition(self, counts: Array, log_root: Array, d: int) -> float:
        """Σ_j ln Γ(ν / 2) − ν/2 ln(ν C_j / 2) (Bishop 2006, B.26)."""
        logs = d * (_log_gamma(counts / 2) - counts / 2 * np.log(counts / 2))
        return float((logs + counts * log_root.reshape(len(counts), -1).sum(axis=1)).sum())

    def student(self, counts: Array, d: int) -> Array:
        """ν: a gamma distribution of shape ν/2 and rate ν C / 2 makes a t distribution of the scale C."""
        return counts


class Gamma(Gammas):
    """Λ = λ I, λ ~ Gamma: one precision for all features."""

    apart = False

    def log_partition(self, counts: Array, log_root: Array, d: int) -> float:
        return super().log_partition(counts, log_root, 1)


PRECISION_LAWS: dict[str, PrecisionLaw] = {
    "full": Wishart(),
    "tied": Wishart(),
    "diag": Gammas(),
    "spherical": Gamma(),
}


def _halves(counts: Array, d: int) -> Array:
    """(ν − j) / 2, (m,d)."""
    return (counts[:, np.newaxis] - np.arange(d)) / 2


def _digamma(values: Array) -> Array:
    from scipy.special import digamma  # slow to import

    found: Array = digamma(values)
    return found


def _log_gamma(values: Array) -> Array:
    from scipy.special import gammaln  # slow to import

    found: Array = gammaln(values)
    return found


def _log_beta(a: Array, b: Array) -> Array:
    """ln B(a, b), of large arguments by Stirling's formula, where SciPy's is no number."""
    from scipy.special import betaln  # slow to import

    large = np.minimum(a, b) >= STIRLING
    if not large.any():
        of_all: Array = betaln(a, b)
        return of_all
    found: Array = betaln(np.where(large, 1.0, a), np.where(large, 1.0, b))
    a, b = a[large], b[large]
    found[large] = 0.5 * (LOG_2PI - np.log(a + b)) - (a - 0.5) * np.log1p(b / a) - (b - 0.5) * np.log1p(a / b)
    return found
