"""The methods of scikit-learn's class that cgmm computes, and the class that has them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn import get_config, mixture
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from cgmm.sklearn.fits import BayesianFitting, Fitted, Fitting, Unlike, hook

if TYPE_CHECKING:
    from collections.abc import Mapping

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
BAYESIAN_HOOKS = (
    *HOOKS,
    "_check_means_parameters",
    "_check_precision_parameters",
    "_check_weights_parameters",
    "_checkcovariance_prior_parameter",
    "_estimate_means",
    "_estimate_precisions",
    "_estimate_weights",
    "_estimate_wishart_diag",
    "_estimate_wishart_full",
    "_estimate_wishart_spherical",
    "_estimate_wishart_tied",
)


class Loan(NamedTuple):
    """A class of scikit-learn's, its own methods, and those that take their place.

    hooks : the methods of which none may be overridden;  fitting : what fits a model
    inherited : the names of those that it has from another class
    """

    of: type
    hooks: tuple[str, ...]
    fitting: type[Fitting]
    own: Mapping[str, Callable[..., Any]]
    lent: Mapping[str, Callable[..., Any]]
    inherited: frozenset[str]

    @classmethod
    def to(cls, of: type, hooks: tuple[str, ...], fitting: type[Fitting]) -> Loan:
        own = {name: getattr(of, name) for name in METHODS}
        loan = cls(of, hooks, fitting, own, lent := {}, frozenset(METHODS) - frozenset(vars(of)))
        lent.update({name: wraps(own[name])(make(loan)) for name, make in METHODS.items()})
        return loan

    def plainly(self, name: str, *arguments: Any) -> Any:
        """What scikit-learn's own method gives."""
        return self.own[name](*arguments)

    def serves(self, model: Any) -> bool:
        """Whether all is as scikit-learn has it: no hook is overridden, and arrays are NumPy's."""
        kind, own = type(model), vars(model)
        if get_config()["array_api_dispatch"]:
            return False
        return all(name not in own and getattr(kind, name, None) is getattr(self.of, name, None) for name in self.hooks)


def _verb(name: str, what: Output) -> Callable[[Loan], Callable[..., Any]]:
    """A method that says something of each row."""

    def make(loan: Loan) -> Callable[..., Any]:
        def verb(self: Any, X: Any) -> Any:
            if not loan.serves(self):
                return loan.plainly(name, self, X)
            check_is_fitted(self)
            found = loan.fitting.reading.evaluated(self, validate_data(self, X, reset=False), what)
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
            fitting = loan.fitting(self, rows)
            found = fitting.best(rng)
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
        wide = fitting.reading.wide or rows.dtype == np.float64 or not _keeps_float32()
        _leave(self, fitting, found, np.dtype(np.float64) if wide else rows.dtype)
        labels = fitting.reading.evaluated(self, rows, "labels")
        return self._e_step(rows)[1].argmax(axis=1) if labels is None else labels

    return fit_predict


@cache
def _keeps_float32() -> bool:
    """Whether scikit-learn's fits of float32 rows leave float32 parameters: that depends on its version."""
    model = mixture.GaussianMixture()
    LOANS[0].plainly("fit_predict", model, np.array([[0.0], [1.0]], dtype=np.float32))
    return bool(model.means_.dtype == np.float32)


def _leave(model: Any, fitting: Fitting, found: Fitted, dtype: Any) -> None:
    """The attributes of a fit, as scikit-learn leaves them: plain arrays of that type."""
    hook(model._set_parameters, tuple(_plain(part, dtype) for part in fitting.attributes(found.parameters)))
    model.converged_ = found.converged
    model.n_iter_ = len(found.lower_bounds)
    bounds = list(map(dtype.type, found.lower_bounds))
    model.lower_bound_ = bounds[-1]
    if HAS_HISTORY:
        model.lower_bounds_ = bounds


def _plain(part: Any, dtype: Any) -> Any:
    """An array of one's own; a tuple of them; or a number."""
    if isinstance(part, tuple):
        return tuple(_plain(each, dtype) for each in part)
    return np.array(part, dtype=dtype)[()]


HAS_HISTORY = "lower_bounds_" in str(mixture.GaussianMixture.__doc__)  # Of each iteration: from scikit-learn 1.7 on.
METHODS: dict[str, Callable[[Loan], Callable[..., Any]]] = {
    "fit_predict": _fit_predict,
    "predict": _verb("predict", "labels"),
    "predict_proba": _verb("predict_proba", "responsibilities"),
    "score_samples": _verb("score_samples", "log_likelihood"),
}
LOANS = [
    Loan.to(mixture.GaussianMixture, HOOKS, Fitting),
    Loan.to(mixture.BayesianGaussianMixture, BAYESIAN_HOOKS, BayesianFitting),
]


def _by_name(loan: Loan) -> Any:
    """The class that has the methods of a loan, and is otherwise that of scikit-learn."""
    told = {"__doc__": loan.of.__doc__, "__module__": "cgmm.sklearn"}
    return type(loan.of)(loan.of.__name__, (loan.of,), {**loan.lent, **told})


GaussianMixture, BayesianGaussianMixture = map(_by_name, LOANS)
