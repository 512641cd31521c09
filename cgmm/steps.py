"""EM by hand, for rows that are anywhere: an E-step of a block of them, and an M-step of what all have left."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cgmm.em.stage import Fit
from cgmm.fit.request import settings_of
from cgmm.fit.state import State
from cgmm.fitted import check_mixture
from cgmm.gmm import GMM
from cgmm.mixture.rules import SINGULAR
from cgmm.mixture.statistics import SufficientStatistics
from cgmm.rows.evaluation import Evaluation

if TYPE_CHECKING:
    from cgmm.types import ArrayLike


def expectation(
    model: GMM, X: ArrayLike, sample_weight: ArrayLike | None = None, error_covariances: ArrayLike | None = None
) -> SufficientStatistics:
    """The sufficient statistics of a block of rows under a fitted mixture: one E-step.

    Parameters
    ----------
    model : GMM
        Fitted, or made by ``GMM.from_parameters``.
    X : array-like of shape (n, d)
        Rows; float32 and float64 arrays are not copied, but float32 with ``missing="marginal"``: statistics of rows
        with and without gaps then add up.
    sample_weight : array-like of shape (n,), optional
        Non-negative row weights; all may be zero.
    error_covariances : array-like, optional
        Of the errors of the rows, as of ``GMM.fit``: the statistics are then those of the true values.

    Returns
    -------
    SufficientStatistics

    Raises
    ------
    ValueError, TypeError
        X or sample_weight cannot be used, or X has other features than the model.

    Examples
    --------
    >>> import cgmm
    >>> from cgmm import GMM
    >>> X = [[0.0], [1.0], [9.0], [10.0]]
    >>> model = GMM(2, random_state=0).fit(X)
    >>> statistics = cgmm.expectation(model, X)
    >>> statistics.n_k.round(3).tolist(), statistics.total_weight
    ([2.0, 2.0], 4.0)
    """
    check_mixture("model", model)
    statistics = partial(Evaluation.statistics, double=model.missing == "marginal")
    return model._evaluations(X, sample_weight, some=False, errors=error_covariances).total(statistics)


def maximisation(model: GMM, statistics: SufficientStatistics) -> GMM:
    """The mixture that sufficient statistics make of another: one M-step.

    Together with ``expectation`` it is EM for rows that are anywhere: send the model to them, add up the statistics
    of their blocks, make the next model of the sum. Repeated until ``statistics.lower_bound`` settles, that is
    ``fit``, but for what needs the rows: a component that loses its own does not begin again elsewhere.

    Parameters
    ----------
    model : GMM
        Fitted, or made by ``GMM.from_parameters``; its reg_covar and fixed are respected.
    statistics : SufficientStatistics
        Under the parameters of the model: ``expectation(model, X)``, or a sum of such.

    Returns
    -------
    GMM
        A new one of the same arguments; its ``lower_bounds_`` are those of the model and that of the statistics.

    Raises
    ------
    ValueError
        The statistics are of another model or of no rows, or the model has a prior, which needs the rows' own scale.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> from cgmm import GMM
    >>> X = [[0.0], [1.0], [9.0], [10.0]]
    >>> model = GMM(2, random_state=0).fit(X)
    >>> halves = cgmm.expectation(model, X[:2]) + cgmm.expectation(model, X[2:])
    >>> bool(np.allclose(cgmm.maximisation(model, halves).means_, model.means_, atol=1e-3))
    True
    """
    state = check_mixture("model", model)._fitted()
    if not isinstance(model, GMM):
        raise TypeError(f"model must be a GMM, not {type(model).__name__}, whose M-step needs the rows' own scale")
    if not isinstance(statistics, SufficientStatistics):
        raise TypeError(f"statistics must be those of `expectation`, or a sum of such, not {type(statistics).__name__}")
    fit, last = state.fit, state.fit.parameters
    if statistics.shift.shape != last.means.shape or statistics.moment != last.family.moment:
        raise ValueError("these statistics are of a model with other components, features or covariances")
    if not statistics.n_k.sum() > 0:
        raise ValueError("these statistics are of no rows of positive weight")
    statistics = replace(statistics, n_k=np.ascontiguousarray(statistics.n_k, dtype=np.float64)).normalised()
    if model.prior is not None:
        raise ValueError("prior must be None: one M-step knows nothing of the rows from which a prior takes its scale")
    variances = statistics.moments(last.family)[2].diagonal()
    settings = settings_of(model, last.family, last.k).with_rules(least=last.least, variances=variances)
    history = np.append(fit.lower_bounds, statistics.lower_bound)
    parameters, repairs = last.maximise(statistics, settings.rules, iteration=len(history))
    found = Fit(
        parameters=parameters,
        lower_bounds=history,
        converged=False,
        n_k=statistics.n_k,
        exponent=statistics.exponent,
        repairs=tuple(repairs),
        singular=tuple(repair.component for repair in repairs if repair.cause == SINGULAR),
    )
    return type(model)(**model.get_params(deep=False))._with(State(found, state.names))
