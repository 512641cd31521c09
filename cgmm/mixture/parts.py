"""A mixture that a user puts together part by part: weights, means, and covariances in one of three forms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.mixture.checks import check_matrices, check_mixture_weights
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.statistics import frozen
from cgmm.validation import check_array, check_start_array, told_parameter

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.families import Family
    from cgmm.types import Array

# The forms in which covariances can be given.
FORMS = ("covariances", "precisions", "precisions_cholesky")


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of a mixture, an immutable value; those that are not known are None.

    weights : (k,);  means : (k,d);  covariances, precisions, precisions_cholesky : family.shape(k, d)
    family : of the covariances, in whatever form they are
    form : that in which they were given last; None if they are those of a mixture, which need no check
    """

    weights: Array | None = None
    means: Array | None = None
    covariances: Array | None = None
    precisions: Array | None = None
    precisions_cholesky: Array | None = None
    family: Family | None = None
    form: str | None = None

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """All parts of a mixture."""
        return cls(
            weights=parameters.weights,
            means=parameters.means,
            covariances=parameters.covariances,
            precisions_cholesky=parameters.precisions_cholesky,
            family=parameters.family,
        )

    def with_part(self, name: str, value: Any, family: Family) -> Self:
        """With one of them replaced, checked as far as it can be without the others.

        family : of the covariances, if it is these that are given
        """
        if name == "weights":
            return replace(self, weights=frozen(_weights(value, self.means)))
        if name == "means":
            return replace(self, means=frozen(_means(value)))
        array = frozen(np.array(check_array(name, value), dtype=np.float64))
        axes = len(family.shape(1, 1))
        if array.ndim != axes:
            told = f"an array of {axes} axes" if self.means is None else family.shape(*self.means.shape)
            raise ValueError(
                f"{told_parameter(name, family.name)} should have the shape of {told}, but got {array.shape}"
            )
        changed: dict[str, Any] = {name: array, "family": family, "form": name}
        return replace(self if family is self.family else self._without_forms(), **changed)

    def _without_forms(self) -> Self:
        return replace(self, covariances=None, precisions=None, precisions_cholesky=None)

    def fault(self) -> str:
        """Why these are no mixture yet, in words; "" if they are all there and of the same sizes."""
        matrices = self.covariances if self.form is None else getattr(self, self.form)
        if self.weights is None or self.means is None or matrices is None or self.family is None:
            known = {"weights_": self.weights, "means_": self.means, "covariances_": matrices}
            return f"{' and '.join(name for name, part in known.items() if part is None)} must be assigned, too"
        k, d = self.means.shape
        name, shape = f"{self.form or 'covariances'}_", self.family.shape(k, d)
        if self.weights.shape == (k,) and matrices.shape == shape:
            return ""
        return (
            f"weights_ {self.weights.shape}, means_ {self.means.shape} and {name} {matrices.shape} are not of the same "
            f"sizes; means_ of that shape need weights_ {(k,)} and {name} {shape}"
        )

    def parameters(self) -> Parameters:
        """The mixture that they make; ValueError or TypeError if they make none."""
        means, family = self.means, self.family
        assert means is not None and family is not None
        k, d = means.shape
        weights = check_mixture_weights("weights", self.weights, k)
        means = check_start_array("means", means, (k, d))
        return Parameters(family, weights, means, *self._roots(family, k, d))

    def _roots(self, family: Family, k: int, d: int) -> tuple[Array, Array]:
        """Covariances and P; covariances and precisions_cholesky that belong to each other are kept as they are."""
        if self.form == "precisions":
            precisions = check_matrices("precisions", self.precisions, family, k, d)
            covariances = family.covariances_from_precisions(precisions)
            return covariances, family.sharp_root(covariances)
        root = self._root(family, family.shape(k, d))
        if self.form is None:
            assert self.covariances is not None and root is not None
            return self.covariances.copy(), root
        if self.form == "covariances":
            covariances = check_matrices("covariances", self.covariances, family, k, d)
            belongs = root is not None and family.is_root_of(root, covariances)
            return covariances, root if root is not None and belongs else family.sharp_root(covariances)
        assert root is not None
        known = self.covariances
        if known is not None and known.shape == root.shape and family.is_root_of(root, known):
            return known.copy(), root
        return family.covariances_from_root(root), root

    def _root(self, family: Family, shape: tuple[int, ...]) -> Array | None:
        """P of precisions_cholesky, if it is known and of that shape."""
        cholesky = self.precisions_cholesky
        if self.form == "precisions_cholesky":
            cholesky = check_start_array("precisions_cholesky", cholesky, shape, kind=family.name)
        return None if cholesky is None or cholesky.shape != shape else family.root_from_precisions_cholesky(cholesky)


def _weights(value: Any, means: Array | None) -> Array:
    shape = check_array("weights", value).shape
    if len(shape) == 1 and shape != (0,):
        return check_mixture_weights("weights", value, *shape)
    told = "(components,)" if means is None else (len(means),)
    raise ValueError(f"{told_parameter('weights')} should have the shape of {told}, but got {shape}")


def _means(value: Any) -> Array:
    shape = check_array("means", value).shape
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"means must have shape (components, features), not {shape}")
    return check_start_array("means", value, shape)
