"""Mixtures of scikit-learn's, and those for it: read by protocol, and made by its own class, which is imported then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.em.stage import Fit
from cgmm.errors import NotFittedError, kin
from cgmm.fit.state import State
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.parts import Parts
from cgmm.protocol import names_of_features
from cgmm.validation import check_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

# The covariance families of scikit-learn's GaussianMixture.
THEIRS = ("full", "tied", "diag", "spherical")
# Parts of a fitted mixture; covariances go first, and stay if precisions_cholesky_, which predict, belong to them.
READ = ("means", "weights", "covariances", "precisions_cholesky")


def state_of(model: Any) -> State:
    """The State of a mixture that scikit-learn has fitted, or that was made of its attributes.

    TypeError says that it is no GaussianMixture; NotFittedError, that it lacks an attribute.
    """
    if not hasattr(model, "covariance_type") or not hasattr(model, "get_params"):
        raise TypeError(f"model must be a GaussianMixture of scikit-learn, not {model!r}")
    if hasattr(model, "weight_concentration_prior"):
        raise TypeError(
            f"a {type(model).__name__} has posteriors where a GMM has parameters, and predicts by them. The mixture of "
            "what is expected is GMM.from_parameters(model.weights_, model.means_, model.covariances_, "
            "model.covariance_type)"
        )
    family = check_choice("covariance_type", model.covariance_type, FAMILIES)
    parts = Parts()
    for name in READ:
        value = getattr(model, f"{name}_", None)
        if value is None and name != "covariances":
            raise kin(NotFittedError)(f"This {type(model).__name__} instance is not fitted yet: it has no {name}_")
        parts = parts if value is None else parts.with_part(name, value, family)
    if parts.fault():
        raise ValueError(f"model is no mixture: {parts.fault()}")
    lower_bounds = np.array(getattr(model, "lower_bounds_", ()), dtype=np.float64)
    names = getattr(model, "feature_names_in_", None)
    fit = Fit(parts.parameters(), lower_bounds, bool(getattr(model, "converged_", True)))
    return State(fit, None if names is None else names_of_features(names))


def to_sklearn(state: State, settings: Mapping[str, Any]) -> Any:
    """A GaussianMixture of that state, with those of the settings that its class takes.

    A family that scikit-learn does not know becomes "full", or "diag" if its features are independent.
    """
    from sklearn.mixture import GaussianMixture

    parameters = _in_their_families(state.fit.parameters.normals)
    taken = {name: settings[name] for name in GaussianMixture().get_params() if _is_theirs(name, settings)}
    model = GaussianMixture(**taken)
    model.set_params(n_components=parameters.k, covariance_type=parameters.family.name)
    for name in ("weights", "means", "covariances", "precisions", "precisions_cholesky"):
        setattr(model, f"{name}_", np.array(getattr(parameters, name)))
    model.converged_, model.n_iter_, model.lower_bound_ = state.fit.converged, state.n_iter, float(state.lower_bound)
    model.lower_bounds_ = state.fit.lower_bounds.tolist()
    model.n_features_in_ = parameters.d
    if state.names is not None:
        model.feature_names_in_ = np.array(state.names)
    return model


def _is_theirs(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether an argument means in scikit-learn what it means here."""
    value = settings.get(name)
    if name in ("weights_init", "means_init", "precisions_init"):
        return value is not None and not np.isnan(np.asarray(value, dtype=np.float64)).any()
    if name in ("reg_covar", "n_init"):
        return not isinstance(value, str)
    if name == "max_iter":
        return bool(value)
    return not callable(value) and not isinstance(value, np.random.Generator)


def _in_their_families(parameters: Parameters) -> Parameters:
    family, k, d = parameters.family, parameters.k, parameters.d
    if family.name in THEIRS:
        return parameters
    if family.correlated:
        likeness = FAMILIES["full"], family.expand(parameters.covariances, k, d)
    else:
        likeness = FAMILIES["diag"], parameters.variances
    return Parameters.given(likeness[0], parameters.weights, parameters.means, np.array(likeness[1]))
