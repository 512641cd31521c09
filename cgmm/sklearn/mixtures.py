"""What the attributes of a scikit-learn model are now, as a mixture of cgmm's; and what it says of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from cgmm.mixture.families import FAMILIES
from cgmm.mixture.laws import WEIGHT_LAWS
from cgmm.mixture.parameters import Parameters
from cgmm.rows.evaluation import Asked
from cgmm.rows.opened import AtHand
from cgmm.sklearn.believed import Believed

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgmm.mixture.families import Family
    from cgmm.types import Array, Output, Rows

# The mixture of each model that was asked lately, and the content of the attributes that it was made of.
_known: WeakKeyDictionary[Any, tuple[Any, Parameters]] = WeakKeyDictionary()


class Reading(NamedTuple):
    """How a model of a class is read.

    names : of the attributes by which scikit-learn predicts;  made : a mixture of these, in one list, if they are one
    wide : whether answers are float64, whatever the types of rows and attributes
    """

    names: tuple[str, ...]
    made: Callable[[Any, list[Array]], Parameters | None]
    wide: bool = False

    def parts(self, model: Any) -> list[Any]:
        """The attributes, a tuple as its parts; None for one that is not there."""
        found = [vars(model).get(name) for name in self.names]
        parts = [part for value in found for part in (value if isinstance(value, tuple) else (value,))]
        return [np.asarray(part) if isinstance(part, float | np.floating) else part for part in parts]

    def mixture(self, model: Any) -> Parameters | None:
        """The mixture of a model's attributes; None if cgmm cannot compute with them as scikit-learn does."""
        parts = self.parts(model)
        if not all(isinstance(part, np.ndarray) and part.dtype in (np.float32, np.float64) for part in parts):
            return None
        kind = model.covariance_type, getattr(model, "weight_concentration_prior_type", None)
        content = *kind, *((part.shape, part.dtype, part.tobytes()) for part in parts)
        known = _known.get(model)
        if known is not None and known[0] == content:
            return known[1]
        mixture = self.made(model, [np.array(part, dtype=np.float64, order="C") for part in parts])
        if mixture is not None:
            _known[model] = content, mixture
        return mixture

    def evaluated(self, model: Any, X: Any, what: Output) -> Any:
        """A value for each row of checked X, in scikit-learn's type; None if cgmm cannot compute it as it does."""
        mixture = self.mixture(model)
        if mixture is None or not isinstance(X, np.ndarray) or X.ndim != 2 or X.shape[1] != mixture.d:
            return None
        dtype = self._type_of(model, X)
        if dtype not in (np.float32, np.float64):
            return None
        rows: Rows = X.astype(dtype, copy=False)
        try:
            found = AtHand(rows, None, False).evaluations(Asked(mixture)).evaluate(what)
        except ValueError:  # values so large that their squares overflow
            return None
        return found if what == "labels" else found.astype(dtype, copy=False)

    def _type_of(self, model: Any, X: Any) -> Any:
        """Of what NumPy makes of rows and parameters: integers become float64."""
        wide = [np.float64] if self.wide else []
        return np.result_type(X.dtype, *(part.dtype for part in self.parts(model)), *wide)


def _point(model: Any, parts: list[Array]) -> Parameters | None:
    """Of weights, which need not sum to one, means and Cholesky factors of precisions."""
    weights, means, cholesky = parts
    family = _family_of(model)
    if family is None or weights.shape != means.shape[:1] or not (weights >= 0).all():
        return None
    gaussians = _gaussians(family, means, cholesky)
    return None if gaussians is None else Parameters(family, weights, *gaussians)


def _believed(model: Any, parts: list[Array]) -> Believed | None:
    """Of the posterior of weights, in two parts if they are sticks; of means and of precisions."""
    *concentration, mean_precision, degrees, means, cholesky = parts
    family, law = _family_of(model), WEIGHT_LAWS.get(model.weight_concentration_prior_type)
    if family is None or law is None or means.ndim != 2:
        return None
    k, d = means.shape
    sticks = 2 if model.weight_concentration_prior_type == "dirichlet_process" else 1
    fitting = len(concentration) == sticks and all(part.shape == (k,) for part in (*concentration, mean_precision))
    if not fitting or degrees.shape != ((k,) if family.per_component else ()):
        return None
    if not all((part > 0).all() for part in (*concentration, mean_precision)) or not (degrees > d - 1).all():
        return None
    gaussians = _gaussians(family, means, cholesky)
    if gaussians is None:
        return None
    weights, both = law(1.0), np.array(concentration) if sticks == 2 else concentration[0]
    return Believed(family, weights.means(both), *gaussians, weights, both, mean_precision, degrees)


def _family_of(model: Any) -> Family | None:
    """Of scikit-learn's covariance type, if it is a name at all."""
    name = model.covariance_type
    return FAMILIES.get(name) if isinstance(name, str) else None


def _gaussians(family: Family, means: Array, cholesky: Array) -> tuple[Array, Array, Array] | None:
    """Means, covariances and roots, if they are those of normal distributions."""
    if means.ndim != 2 or 0 in means.shape or cholesky.shape != family.shape(*means.shape):
        return None
    if not np.isfinite(means).all() or not np.isfinite(cholesky).all():
        return None
    try:
        root = family.root_from_precisions_cholesky(cholesky)
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            covariances = family.covariances_from_root(root)
    except ValueError:  # neither triangular nor positive, say
        return None
    held = np.isfinite(covariances).all() and (family.variances(covariances, *means.shape) > 0).all()
    return (means, covariances, root) if held else None


POINT = Reading(("weights_", "means_", "precisions_cholesky_"), _point)
# Of the attributes that predict, scikit-learn takes integers from the degrees of freedom, which makes them float64.
BELIEVED = Reading(
    ("weight_concentration_", "mean_precision_", "degrees_of_freedom_", "means_", "precisions_cholesky_"),
    _believed,
    wide=True,
)
