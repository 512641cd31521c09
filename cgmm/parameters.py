"""The parameters of a mixture as one immutable value, and the form in which the kernels take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from cgmm.covariance import AnyFamily
    from cgmm.types import Array, Form, Mask

T = TypeVar("T")

MOST_FLOAT32 = 1e6  # of Parameters.reach


class Density(NamedTuple):
    """A mixture's density for the kernels: log π_c N(x|μ_c, Σ_c) = log_norm_c − ½ |P_c (x−μ_c)|².

    form, factor, whitener : as cgmm.covariance.Whitening
    means : (k,d)
    centre : (d,), subtracted from rows and means alike, so that float32 keeps its digits far from the origin
    log_norm : (k,)
    """

    form: Form
    means: Array
    centre: Array
    factor: Array
    log_norm: Array
    whitener: Array | None = None


class Fixed(NamedTuple):
    """Which components (k,) keep their weights, means and covariances: masks of bool, or None: none does."""

    weights: Mask | None = None
    means: Mask | None = None
    covariances: Mask | None = None


def distances_to(centres: Array, middle: Array | None = None) -> Density:
    """The Density whose log-densities are −½ |x − centre_c|², about the median of the centres, or `middle`."""
    k = len(centres)
    if middle is None:
        middle = np.sort(centres, axis=0)[(k - 1) // 2]
    return Density("isotropic", centres, middle, np.ones(k), np.zeros(k))


class once(Generic[T]):
    """A property that is computed when it is first asked for.

    functools.cached_property of Python 3.11 holds a lock meanwhile, one for all mixtures: a child that another
    thread forks at that moment would wait for it for ever.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute: Any = compute
        self.__doc__ = compute.__doc__

    def __get__(self, instance: object, owner: type | None = None) -> T:
        if instance is None:
            return self  # type: ignore[return-value]  # asked of the class
        return vars(instance).setdefault(self.compute.__name__, self.compute(instance))


@dataclass(frozen=True, eq=False)
class Parameters:
    """A Gaussian mixture.

    family : of cgmm.covariance.FAMILIES
    weights : (k,);  means : (k,d);  covariances : family.shape(k, d);  root : P, the same shape
    """

    family: AnyFamily
    weights: Array
    means: Array
    covariances: Array
    root: Array

    def __post_init__(self) -> None:
        for array in (self.weights, self.means, self.covariances, self.root):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, (self.family, self.weights, self.means, self.covariances, self.root)

    @classmethod
    def build(cls, family: AnyFamily, weights: Array, means: Array, covariances: Array, n_threads: int = 1) -> Self:
        """From covariances; NotPositiveDefinite names the components that have no Cholesky factor."""
        return cls(family, weights, means, covariances, family.root(covariances, n_threads))

    @classmethod
    def given(cls, family: AnyFamily, weights: Array, means: Array, covariances: Array) -> Self:
        """From covariances that are known, not estimated: as `build`, with a root that is exact to rounding."""
        return cls(family, weights, means, covariances, family.sharp_root(covariances))

    @classmethod
    def held(
        cls, family: AnyFamily, weights: Array, means: Array, covariances: Array, least: Array, n_threads: int = 1
    ) -> Self:
        """As `build`, but held: no variance is below least (d,)."""
        covariances, root, _ = family.hold(covariances, least, 0.0, n_threads)
        return cls(family, weights, means, covariances, root)

    @property
    def k(self) -> int:
        return self.means.shape[0]

    @property
    def d(self) -> int:
        return self.means.shape[1]

    @property
    def n_parameters(self) -> int:
        """Free parameters: covariances, means, and weights that sum to one."""
        return self.family.n_parameters(self.k, self.d) + self.k * self.d + self.k - 1

    @once
    def precisions(self) -> Array:
        return _read_only(self.family.precisions(self.root))

    @once
    def precisions_cholesky(self) -> Array:
        return _read_only(self.family.precisions_cholesky(self.root))

    @once
    def reach(self) -> float:
        """The largest variance of a feature in the mixture over that left of it in a component, given others.

        Its root times the rounding of a number is what may be lost of a whitened row.
        """
        family, (k, d) = self.family, self.means.shape
        variances, roots = family.variances(self.covariances, k, d), family.root_diagonal(self.root, k, d)
        return _kernels.reach(self.weights, self.means, variances, roots)

    @property
    def needs_double(self) -> bool:
        """Whether float32 would lose log-densities."""
        return self.reach > MOST_FLOAT32

    @once
    def density(self) -> Density:
        whitening = self.family.whitening(self.root, self.k, self.d)
        return Density(
            whitening.form,
            self.means,
            _middle(self.means, self.weights),
            whitening.factor,
            _kernels.log_norms(whitening.log_det, self.weights, self.d),
            whitening.whitener,
        )


def _middle(means: Array, weights: Array) -> Array:
    """The weighted median of the means in each feature, (d,): unlike a mean, a far component leaves it alone."""
    order = means.argsort(axis=0, kind="stable")
    reach = weights[order].cumsum(axis=0)
    at = (reach >= 0.5).argmax(axis=0)
    features = np.arange(len(at))
    return means[order[at, features], features]


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array
