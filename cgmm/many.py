"""Thousands of fits in one call: `cgmm.fit_many`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from cgmm.bayesian import BayesianGMM
from cgmm.bayesian_fits import BayesianFits
from cgmm.errors import InvalidParameterError
from cgmm.fit import many, report
from cgmm.fit.many import Task
from cgmm.fit.posteriors import Posteriors
from cgmm.fits import Fits
from cgmm.gmm import GMM
from cgmm.mixture.criteria import CRITERIA
from cgmm.rows.problems import problems_of
from cgmm.suggestions import explained
from cgmm.validation import check_choice, check_counts, check_seed, check_verbose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cgmm.mixture.prior import Prior
    from cgmm.types import (
        ArrayLike,
        CovarianceType,
        FixedParameters,
        Init,
        Missing,
        NamedPrior,
        OnDegenerate,
        Seed,
        Starts,
        Stop,
    )

ON_ERROR = {name: name for name in ("raise", "skip")}
# Arguments of a model that belong to one fit: what watches or keeps it, goes on from it, or is of its rows.
OF_ONE_FIT = ("warm_start", "responsibilities_init", "callback", "checkpoint")
LOWER_BOUND = "lower_bound"  # By which a posterior's number of components is chosen.


@overload
def fit_many(
    X: ArrayLike | Sequence[ArrayLike],
    n_components: int | Iterable[int] | None = None,
    *,
    model: None = None,
    groups: ArrayLike | None = None,
    columns: bool = False,
    sample_weight: ArrayLike | Sequence[ArrayLike | None] | None = None,
    labels: ArrayLike | Sequence[ArrayLike | None] | None = None,
    error_covariances: ArrayLike | Sequence[ArrayLike | None] | None = None,
    criterion: Literal["bic", "aic", "icl"] = "bic",
    on_error: Literal["raise", "skip"] = "raise",
    covariance_type: CovarianceType = "full",
    tol: float = 1e-3,
    reg_covar: float | Literal["relative"] = "relative",
    max_iter: int = 100,
    n_init: Starts = 1,
    init_params: Init = "kmeans",
    weights_init: ArrayLike | None = None,
    means_init: ArrayLike | None = None,
    precisions_init: ArrayLike | None = None,
    random_state: Seed | Sequence[int] = None,
    fixed: FixedParameters = (),
    prior: Prior | NamedPrior | None = None,
    on_degenerate: OnDegenerate = "warn",
    missing: Missing = "error",
    n_threads: int | None = None,
    stop: Stop = "change",
    accelerate: bool = False,
    verbose: int = 0,
) -> Fits: ...


@overload
def fit_many(
    X: ArrayLike | Sequence[ArrayLike],
    n_components: int | Iterable[int] | None = None,
    *,
    model: BayesianGMM,
    groups: ArrayLike | None = None,
    columns: bool = False,
    sample_weight: ArrayLike | Sequence[ArrayLike | None] | None = None,
    labels: ArrayLike | Sequence[ArrayLike | None] | None = None,
    error_covariances: ArrayLike | Sequence[ArrayLike | None] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    random_state: Seed | Sequence[int] = None,
    verbose: int = 0,
) -> BayesianFits: ...


@explained
def fit_many(
    X: ArrayLike | Sequence[ArrayLike],
    n_components: int | Iterable[int] | None = None,
    *,
    model: BayesianGMM | None = None,
    groups: ArrayLike | None = None,
    columns: bool = False,
    sample_weight: ArrayLike | Sequence[ArrayLike | None] | None = None,
    labels: ArrayLike | Sequence[ArrayLike | None] | None = None,
    error_covariances: ArrayLike | Sequence[ArrayLike | None] | None = None,
    criterion: Literal["bic", "aic", "icl"] = "bic",
    on_error: Literal["raise", "skip"] = "raise",
    covariance_type: CovarianceType = "full",
    tol: float = 1e-3,
    reg_covar: float | Literal["relative"] = "relative",
    max_iter: int = 100,
    n_init: Starts = 1,
    init_params: Init = "kmeans",
    weights_init: ArrayLike | None = None,
    means_init: ArrayLike | None = None,
    precisions_init: ArrayLike | None = None,
    random_state: Seed | Sequence[int] = None,
    fixed: FixedParameters = (),
    prior: Prior | NamedPrior | None = None,
    on_degenerate: OnDegenerate = "warn",
    missing: Missing = "error",
    n_threads: int | None = None,
    stop: Stop = "change",
    accelerate: bool = False,
    verbose: int = 0,
) -> Fits | BayesianFits:
    """Fit a mixture to each of many sets of rows: per gene, per pixel, per customer, per column of a table.

    Each problem is fitted by itself, and the fit is that of ``GMM(…, random_state=seed).fit(X_i)`` with the same
    arguments, bit for bit, for any number of threads. With ``model=BayesianGMM(…)`` it is a posterior, that of this
    model fitted to X_i.

    Parameters
    ----------
    X : list of m array-likes (n_i, d), array-like (m, n, d), or array-like (n, d)
        The rows of each problem, which all have the same features. Rows (n, d) come with `groups` or `columns`. A list
        may hold whatever ``GMM.fit`` takes.
    n_components : int or iterable of int, optional
        Components of each mixture; by default 1, or the model's. Of several numbers, that of the smallest criterion is
        chosen for each problem by itself; numbers for which it cannot be fitted, as with too few rows, are left out.
    model : BayesianGMM, optional
        Variational Bayes with the arguments of this estimator, which is not changed. The arguments of GMM are not for
        it, and a number of components is then chosen by the largest lower bound.
    groups : array-like (n,), optional
        The group of each row of X; a problem is a group. Labels of any type that can be sorted.
    columns : bool, default=False
        Each column of X (n, m) is a problem of one feature.
    sample_weight : array-like or list, optional
        Row weights: a list of (n_i,), or None, for each problem of a list; (m, n), or (n,) for all, of an array
        (m, n, d); (n,) of rows with groups; (n,) for all problems, or (n, m), of columns.
    labels : array-like or list, optional
        The component to which a row of a problem is known to belong, −1 where it is not known, as of ``GMM.fit``; of
        the same shapes as sample_weight. Such problems are fitted one by one, not in batches.
    error_covariances : array-like or list, optional
        Of the errors with which the rows of a problem were measured, as of ``GMM.fit``: a list of these, or None, for
        each problem of a list; of an array (m, n, d) those of every problem, or (m, n, d) or (m, n, d, d); of rows with
        groups as of ``GMM.fit``; of columns variances, (n,) for all or (n, m). Such problems are fitted one by one.
        What may be variances or covariance matrices, since problems have d rows, is an error.
    criterion : {"bic", "aic", "icl"}, default="bic"
        By which a number of components is chosen; among those without a component that is degenerate, or would be
        without reg_covar, if there are, as in ``cgmm.select``.
    on_error : {"raise", "skip"}, default="raise"
        What happens where a problem cannot be fitted (too few rows, infinite values, NaN unless it is a missing value):
        an error that names it; or its results are NaN, ``Fits.errors`` has the reason, and the others are fitted.
    random_state : int, sequence of m ints, RandomState, Generator or None
        The seed of each problem. One int is the seed of every problem: each starts as its own ``GMM`` with that seed
        would. From a RandomState or a Generator, or with None from NumPy's global state, one such int is drawn. With a
        model, None stands for the model's random_state.
    reg_covar : float or "relative", default="relative"
        As of GMM: by default 1e-6 times the smallest variance of a feature of the problem, whatever its units.
    covariance_type, tol, max_iter, n_init, init_params, weights_init, means_init, precisions_init, fixed, prior, \
on_degenerate, missing, n_threads, stop, accelerate
        As of GMM, the same for all problems.
    verbose : int, default=0
        1: a bar if tqdm is installed. 2 or more, or without it: lines, for each problem or batch of small problems.

    Returns
    -------
    Fits or BayesianFits
        Arrays of all parameters, criteria and convergence; ``fits[i]`` is a fitted GMM, or BayesianGMM.

    Raises
    ------
    ValueError, TypeError
        X or an argument cannot be used, or is not for the model; or, with ``on_error="raise"``, a problem cannot be
        fitted: the message names the first, and says why.
    DegenerateError
        A component of a problem cannot be estimated, and on_degenerate and on_error are "raise".

    Warns
    -----
    ConvergenceWarning, DegenerateWarning, UserWarning
        That max_iter ended fits; that components were repaired or are doubtful; that problems were skipped, or several
        of these: one warning for all problems, at the end, with their indices. ``Fits.warnings`` and ``Fits.errors``
        have the details.

    Examples
    --------
    Two groups of three and four rows, a mixture of one component each:

    >>> import numpy as np
    >>> from cgmm import fit_many
    >>> X = np.array([[1.0], [2], [3], [10], [11], [12], [13]])
    >>> fits = fit_many(X, groups=["a", "a", "a", "b", "b", "b", "b"])
    >>> fits.means[:, 0, 0].round(6).tolist()
    [2.0, 11.5]
    >>> fits.of("b").score_samples([[11.5]]).round(3).tolist()
    [-1.031]

    What is believed of each column of a table, of which up to four components were believed possible:

    >>> from cgmm import BayesianGMM
    >>> rng = np.random.default_rng(0)
    >>> table = rng.normal(size=(300, 2)) + rng.choice([-5, 5], size=(300, 2))
    >>> believed = BayesianGMM(4, weight_concentration_prior=1e-3, max_iter=300, random_state=0)
    >>> fit_many(table, columns=True, model=believed).n_effective.tolist()
    [2, 2]
    """
    arguments: dict[str, Any] = {
        "covariance_type": covariance_type,
        "tol": tol,
        "reg_covar": reg_covar,
        "max_iter": max_iter,
        "n_init": n_init,
        "init_params": init_params,
        "weights_init": weights_init,
        "means_init": means_init,
        "precisions_init": precisions_init,
        "fixed": fixed,
        "prior": prior,
        "on_degenerate": on_degenerate,
        "missing": missing,
        "n_threads": n_threads,
        "stop": stop,
        "accelerate": accelerate,
    }
    check_choice("criterion", criterion, CRITERIA)
    check_choice("on_error", on_error, ON_ERROR)
    if model is None:
        sizes = check_counts("n_components", 1 if n_components is None else n_components)
        asks: GMM | BayesianGMM = _mixture(arguments, sizes)
    else:
        asks = _posterior(model, arguments | {"criterion": criterion})
        sizes = check_counts("n_components", asks.n_components if n_components is None else n_components)
        criterion, random_state = LOWER_BOUND, model.random_state if random_state is None else random_state
    problems = problems_of(X, groups, columns, sample_weight, labels, error_covariances)
    seeds, settings = _seeds(random_state, len(problems)), asks.get_params(deep=False)
    requests = [type(asks)(**settings | {"n_components": k, "random_state": None})._asks() for k in sizes]
    run = many.Run(problems, Task(requests, criterion, seeds), skip=on_error == "skip")
    with report.Progress(check_verbose(verbose), len(problems)) as progress:
        for last, count in run.steps():
            progress.step(problems.titles.told(last), count)
    run.ledger.close()
    run.notes.warn()
    asks.set_params(n_components=sizes[-1])
    if isinstance(run.ledger, Posteriors):
        assert isinstance(asks, BayesianGMM)
        return BayesianFits(run.ledger, problems.titles, asks, seeds)
    assert isinstance(asks, GMM)
    return Fits(run.ledger, problems.titles, asks, seeds)


def _mixture(arguments: Mapping[str, Any], sizes: Sequence[int]) -> GMM:
    """The GMM of which each fit is one."""
    given = [name for name in ("weights_init", "means_init", "precisions_init") if arguments[name] is not None]
    if given and len(sizes) > 1:
        raise InvalidParameterError(f"{given[0]} is of one number of components, and n_components names {len(sizes)}")
    return GMM(**arguments)


def _posterior(model: Any, arguments: Mapping[str, Any]) -> BayesianGMM:
    """A copy of the user's model; the arguments of mixtures must be as they are by default."""
    if not isinstance(model, BayesianGMM):
        raise InvalidParameterError(
            f"model must be a BayesianGMM, not {model!r}: the arguments of GMM are those of fit_many itself"
        )
    defaults = inspect.signature(fit_many).parameters
    changed = [name for name, value in arguments.items() if not _is(value, defaults[name].default)]
    if changed:
        own = changed[0] in model.get_params(deep=False)
        remedy = f"give it to the model: BayesianGMM(…, {changed[0]}=…)" if own else "a BayesianGMM has nothing like it"
        raise InvalidParameterError(f"{changed[0]} is not for a model: {remedy}")
    defaults = inspect.signature(BayesianGMM).parameters
    for name in OF_ONE_FIT:
        if not _is(getattr(model, name), defaults[name].default):
            raise InvalidParameterError(f"the model's {name} belongs to one fit, and there are many: leave it out")
    return type(model)(**model.get_params(deep=False) | {"verbose": 0})


def _is(value: Any, default: Any) -> bool:
    """Whether an argument is as it is by default."""
    return value is default or (type(value) is type(default) and bool(value == default))


def _seeds(random_state: Any, m: int) -> Sequence[int]:
    """The seed of each problem."""
    if not isinstance(random_state, list | tuple | range | np.ndarray):
        return [check_seed(random_state)] * m
    if len(random_state) != m:
        raise InvalidParameterError(f"random_state has {len(random_state)} seeds for {m} problems")
    return [check_seed(seed) for seed in random_state]
