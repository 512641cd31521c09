"""The methods of scikit-learn's class that cgmm computes, and the class that has them."""

from __future__ import annotations

import warnings
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn import get_config, mixture
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from cgmm.sklearn.fits import Fitted, Fitting, Unlike, hook
from cgmm.sklearn.mixtures import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cgmm.types import Output

# Methods of a mixture that scikit-learn calls from others: who overrides one wants it called.
HOOKS = (
    "_check_parameters",
    "_compute_lower_bound",
    "_e_step",
    "_estimate_log_prob",
    "_estimate_log_prob_resp",
    "_estimate_log_weights",
    "_estimate_weighted_log_prob",
    "_get_parameters",
    "_initialize",
    "_initialize_parameters",
    "_m_step",
    "_set_parameters",
)


class Loan(NamedTuple):
    """A class of scikit-learn's, its own methods, and those that take their place.

    inherited : the names of those that it has from another class
    """

    of: type
    own: Mapping[str, Callable[..., Any]]
    lent: Mapping[str, Callable[..., Any]]
    inherited: frozenset[str]

    @classmethod
    def to(cls, of: type, methods: Mapping[str, Callable[[Loan], Callable[..., Any]]]) -> Loan:
        """methods : makes the one that is lent, by name"""
        own = {name: getattr(of, name) for name in methods}
        loan = cls(of, own, lent := {}, frozenset(methods) - frozenset(vars(of)))
        lent.update({name: wraps(own[name])(make(loan)) for name, make in methods.items()})
        return loan

    def plainly(self, name: str, *arguments: Any) -> Any:
        """What scikit-learn's own method gives."""
        return self.own[name](*arguments)

    def serves(self, model: Any) -> bool:
        """Whether all is as scikit-learn has it: no hook is overridden, and arrays are NumPy's."""
        kind, own = type(model), vars(model)
        if get_config()["array_api_dispatch"]:
            return False
        return all(name not in own and getattr(kind, name, None) is getattr(self.of, name, None) for name in HOOKS)


def _verb(name: str, what: Output) -> Callable[[Loan], Callable[..., Any]]:
    """A method that says something of each row."""

    def make(loan: Loan) -> Callable[..., Any]:
        def verb(self: Any, X: Any) -> Any:
            if not loan.serves(self):
                return loan.plainly(name, self, X)
            check_is_fitted(self)
            found = evaluated(self, validate_data(self, X, reset=False), what)
            return loan.plainly(name, self, X) if found is None else found

        return verb

    return make


def _fit_predict(loan: Loan) -> Callable[..., Any]:
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit_predict(self: Any, X: Any, y: Any = None) -> Any:
        if not loan.serves(self) or self.max_iter == 0:
            return loan.plainly("fit_predict", self, X, y)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        if rows.shape[0] < self.n_components:
            return loan.plainly("fit_predict", self, X, y)  # which says so
        hook(self._check_parameters, rows)
        rng = check_random_state(self.random_state)
        drawn = rng.get_state()
        try:
            found = Fitting(self, rows).best(rng)
        except Unlike:
            rng.set_state(drawn)
            return loan.plainly("fit_predict", self, X, y)
        if not found.converged:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
                "tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=1,  # as there: at a line of the method's own
            )
        _leave(self, found, rows.dtype if rows.dtype == np.float64 or _keeps_float32() else np.dtype(np.float64))
        labels = evaluated(self, rows, "labels")
        return self._e_step(rows)[1].argmax(axis=1) if labels is None else labels

    return fit_predict


@cache
def _keeps_float32() -> bool:
    """Whether scikit-learn's fits of float32 rows leave float32 parameters: that depends on its version."""
    model = mixture.GaussianMixture()
    LOANS[0].plainly("fit_predict", model, np.array([[0.0], [1.0]], dtype=np.float32))
    return bool(model.means_.dtype == np.float32)


def _leave(model: Any, found: Fitted, dtype: Any) -> None:
    """The attributes of a fit, as scikit-learn leaves them: plain arrays of that type."""
    mixture = found.parameters
    parts = (mixture.weights, mixture.means, mixture.covariances, mixture.precisions_cholesky)
    hook(model._set_parameters, tuple(np.array(part, dtype=dtype) for part in parts))
    model.converged_ = found.converged
    model.n_iter_ = len(found.lower_bounds)
    bounds = list(map(dtype.type, found.lower_bounds))
    model.lower_bound_ = bounds[-1]
    if HAS_HISTORY:
        model.lower_bounds_ = bounds


HAS_HISTORY = "lower_bounds_" in str(mixture.GaussianMixture.__doc__)  # Of each iteration: from scikit-learn 1.7 on.
LOANS = [
    Loan.to(
        mixture.GaussianMixture,
        {
            "fit_predict": _fit_predict,
            "predict": _verb("predict", "labels"),
            "predict_proba": _verb("predict_proba", "responsibilities"),
            "score_samples": _verb("score_samples", "log_likelihood"),
        },
    ),
    # BayesianGaussianMixture's place: the same verbs, of a posterior.
]
GaussianMixture = type(mixture.GaussianMixture)(
    "GaussianMixture",
    (mixture.GaussianMixture,),
    {**LOANS[0].lent, "__doc__": mixture.GaussianMixture.__doc__, "__module__": "cgmm.sklearn"},
)
