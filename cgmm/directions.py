"""The directions in which the components of a mixture differ: `cgmm.directions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.fitted import Fitted
from cgmm.mixture.separation import separation
from cgmm.validation import check_array, check_real

if TYPE_CHECKING:
    from cgmm.types import Array, ArrayLike

LEAST = float(np.finfo(np.float64).eps) ** 0.5  # An eigenvalue below this is rounding: components do not differ there.


class Directions(NamedTuple):
    """Where the components of a mixture differ, most first.

    Attributes
    ----------
    eigenvalues : ndarray (d,)
        By how much; those that are rounding are below 1e-8.
    basis : ndarray (d, m)
        Directions of unit length, of the m eigenvalues that are not rounding; the largest coefficient of each, for the
        standard deviations of the features, is positive.
    standardized : ndarray (d, m)
        The same for features of standard deviation 1: which features matter.
    mean : ndarray (d,)
        Of the mixture.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> found = cgmm.directions(model)
    >>> found.eigenvalues.round(2).tolist(), found.basis.round(2).tolist()
    ([1.28, 0.0], [[1.0], [0.0]])
    """

    eigenvalues: Array
    basis: Array
    standardized: Array
    mean: Array

    @property
    def shares(self) -> Array:
        """The share (m,) of each direction in the sum of the eigenvalues.

        Examples
        --------
        >>> import cgmm
        >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
        >>> found = cgmm.directions(model)
        >>> found.shares.tolist()
        [1.0]
        """
        kept = self.eigenvalues[: self.basis.shape[1]]
        return kept / kept.sum()

    def transform(self, X: ArrayLike) -> Array:
        """Rows (n, d) along the directions, (n, m): (x − mean) · basis.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows in memory.

        Examples
        --------
        >>> import cgmm
        >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
        >>> found = cgmm.directions(model)
        >>> found.transform([[0.0, 1.0], [4.0, 1.0]]).round(2).tolist()
        [[-2.0], [2.0]]
        """
        rows: Any = check_array("X", X)
        if rows.ndim != 2 or rows.shape[1] != len(self.basis):
            raise ValueError(f"X must be rows (n, {len(self.basis)}), not of shape {rows.shape}")
        return (rows - self.mean) @ self.basis


def directions(model: Fitted, *, balance: float = 1.0, covariance: ArrayLike | None = None) -> Directions:
    """The directions in which the components of a mixture differ most, for its spread (Scrucca 2010).

    They are the generalised eigenvectors of M with respect to the covariance Σ of the rows,

        M = 2 λ B Σ⁻¹ B + 2 (1 − λ) Σ_c π_c (Σ_c − W) Σ⁻¹ (Σ_c − W),

    with W = Σ_c π_c Σ_c and B = Σ_c π_c (μ_c − μ)(μ_c − μ)ᵀ.

    Parameters
    ----------
    model : GMM or BayesianGMM
        Fitted.
    balance : float in [0, 1], default=1.0
        λ. With 1 only means count: at most k − 1 directions. With 0.5 means and covariances count alike.
    covariance : array-like (d, d), optional
        Σ. Default: that of the mixture, W + B, which is that of the rows once EM of full covariances has converged.

    Returns
    -------
    Directions

    Raises
    ------
    NotFittedError
        The model is not fitted.
    TypeError, ValueError
        The model is no mixture, balance is not in [0, 1], or covariance is not symmetric and positive definite.

    See Also
    --------
    cgmm.plot.projection : Rows, ellipses and means in the plane of two such directions.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0, -3, 0], [0, 3, 0]], [1.0, 1.0], "spherical")
    >>> found = cgmm.directions(model)
    >>> found.basis.round(6).T.tolist(), found.eigenvalues.round(3).tolist()
    ([[0.0, 1.0, 0.0]], [1.62, 0.0, 0.0])
    """
    if not isinstance(model, Fitted):
        raise TypeError(f"model must be a fitted mixture, not {type(model).__name__}")
    share = check_real("balance", balance, most=1.0)
    parameters = model._parameters.point
    found = separation(parameters, None if covariance is None else _checked(covariance, parameters.d))
    kernel = 2 * share * found.between @ found.between + 2 * (1 - share) * found.spread
    values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    basis = found.whiten.T @ vectors[:, values > LEAST]
    basis = _unit(basis, found.unit)
    standardized = _unit(basis * found.unit[:, None], np.ones(len(basis)))
    return Directions(values, basis, standardized, parameters.unit_weights @ parameters.means)


def _unit(basis: Array, scales: Array) -> Array:
    """Of unit length, and of the sign in which the largest coefficient, for these scales, is positive."""
    basis = basis / np.sqrt((basis**2).sum(axis=0))
    largest = np.abs(basis * scales[:, None]).argmax(axis=0)
    return basis * np.sign(basis[largest, np.arange(basis.shape[1])])


def _checked(covariance: Any, d: int) -> Array:
    """A covariance that a user gives."""
    found = np.asarray(check_array("covariance", covariance), dtype=np.float64)
    if found.shape != (d, d):
        raise ValueError(f"covariance must have shape ({d}, {d}), not {found.shape}")
    if not (np.isfinite(found).all() and np.allclose(found, found.T) and np.linalg.eigvalsh(found)[0] > 0):
        raise ValueError("covariance must be symmetric and positive definite")
    return found
