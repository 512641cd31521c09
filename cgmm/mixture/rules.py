"""What an M-step obeys besides the statistics: what is fixed, a prior, and the floor under variances."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.mixture.floor import EPS, SMALLEST, exact_to

if TYPE_CHECKING:
    from cgmm.mixture.conjugate import Conjugate
    from cgmm.types import Array, Mask

EMPTIED = "no row belongs to it"
SINGULAR = "its covariance is singular"


class Fixed(NamedTuple):
    """Which components (k,) keep their weights, means and covariances: masks of bool, or None: none does."""

    weights: Mask | None = None
    means: Mask | None = None
    covariances: Mask | None = None


class Repair(NamedTuple):
    """A component that could not be estimated.

    Attributes
    ----------
    iteration : int
        0 is the start.
    component : int
    cause : str
    row : int or None
        The row that it was moved to.

    Examples
    --------
    >>> import warnings
    >>> from cgmm import GMM
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     model = GMM(1, reg_covar=0).fit([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> model.diagnostics_.repairs[0].component
    0
    """

    iteration: int
    component: int
    cause: str
    row: int | None = None


class Rules(NamedTuple):
    """What an M-step obeys, checked: see cgmm.GMM for reg_covar, fixed and prior.

    relative : reg_covar is a share of the rows' variances, which is not known before they are
    least : (d,) no variance falls below it, or None: below SMALLEST
    eps : the relative rounding of the moments
    n_threads : that take roots of covariances, or None: all that the process may use
    """

    reg_covar: float = 0.0
    fixed: Fixed = Fixed()
    prior: Conjugate | None = None
    least: Array | None = None
    eps: float = EPS
    n_threads: int | None = None
    relative: bool = False

    @property
    def free(self) -> bool:
        """Whether nothing but the rows says what components are."""
        return self.prior is None and all(mask is None for mask in self.fixed)

    def floor(self, d: int) -> Array:
        """The variances (d,) below which none falls, whatever rounding does."""
        return np.full(d, SMALLEST) if self.least is None else self.least

    def floor_of(self, offsets: Array, means: Array) -> Array:
        """The same (d,), or (k,d) where means (k,d) have moved so far by offsets (k,d) that rounding counts."""
        return exact_to(self.floor(means.shape[1]), offsets, means, self.eps)
