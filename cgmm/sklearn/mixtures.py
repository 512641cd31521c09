"""What the attributes of a scikit-learn model are now, as a mixture of cgmm's; and what it says of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.rows.evaluation import Asked
from cgmm.rows.opened import AtHand

if TYPE_CHECKING:
    from cgmm.types import Array, Output, Rows

READ = ("weights_", "means_", "precisions_cholesky_")  # The attributes by which scikit-learn predicts.

# The mixture of each model that was asked lately, and the content of the attributes that it was made of.
_known: WeakKeyDictionary[Any, tuple[Any, Parameters]] = WeakKeyDictionary()


def mixture_of(model: Any) -> Parameters | None:
    """The mixture of a model's attributes; None if cgmm cannot compute with them as scikit-learn does."""
    parts = [vars(model).get(name) for name in READ]
    if not all(isinstance(part, np.ndarray) and part.dtype in (np.float32, np.float64) for part in parts):
        return None
    content = model.covariance_type, *((part.shape, part.dtype, part.tobytes()) for part in parts)
    known = _known.get(model)
    if known is not None and known[0] == content:
        return known[1]
    mixture = _made(model.covariance_type, *(np.array(part, dtype=np.float64, order="C") for part in parts))
    if mixture is not None:
        _known[model] = content, mixture
    return mixture


def _made(covariance_type: Any, weights: Array, means: Array, cholesky: Array) -> Parameters | None:
    """The mixture of these, if they are one: weights need not sum to one, and no covariance is asked for."""
    family = FAMILIES.get(covariance_type) if isinstance(covariance_type, str) else None
    if family is None or means.ndim != 2 or 0 in means.shape:
        return None
    fitting = weights.shape == means.shape[:1] and cholesky.shape == family.shape(*means.shape)
    if not fitting or not (weights >= 0).all() or not np.isfinite(means).all() or not np.isfinite(cholesky).all():
        return None
    try:
        root = family.root_from_precisions_cholesky(cholesky)
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            covariances = family.covariances_from_root(root)
    except ValueError:  # neither triangular nor positive, say
        return None
    held = np.isfinite(covariances).all() and (family.variances(covariances, *means.shape) > 0).all()
    return Parameters(family, weights, means, covariances, root) if held else None


def evaluated(model: Any, X: Any, what: Output) -> Any:
    """A value for each row of checked X, in scikit-learn's type; None if cgmm cannot compute it as it does."""
    mixture = mixture_of(model)
    if mixture is None or not isinstance(X, np.ndarray) or X.ndim != 2 or X.shape[1] != mixture.d:
        return None
    dtype = _type_of(model, X)
    if dtype not in (np.float32, np.float64):
        return None
    rows: Rows = X.astype(dtype, copy=False)
    try:
        found = AtHand(rows, None, False).evaluations(Asked(mixture)).evaluate(what)
    except ValueError:  # values so large that their squares overflow
        return None
    return found if what == "labels" else found.astype(dtype, copy=False)


def _type_of(model: Any, X: Any) -> Any:
    """Of what NumPy makes of rows and parameters: integers become float64."""
    return np.result_type(X.dtype, *(vars(model)[name].dtype for name in READ))
