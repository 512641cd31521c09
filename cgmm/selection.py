"""Choosing a model: numbers of components and covariance families, compared by an information criterion."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cgmm.candidates import Candidate, Selection
from cgmm.em.abreast import Watch, answered, clocked, in_turn, together
from cgmm.errors import InvalidParameterError, SelectionWarning, counted, warn
from cgmm.fit import fitting, report
from cgmm.fit.neighbours import try_neighbours
from cgmm.fit.request import request_of
from cgmm.fit.state import State
from cgmm.gmm import GMM
from cgmm.mixture.criteria import CRITERIA
from cgmm.mixture.families import FAMILIES
from cgmm.rows.checks import check_enough_rows
from cgmm.rows.evaluation import criteria_of
from cgmm.rows.pruning import PRUNED_ROWS
from cgmm.suggestions import explained
from cgmm.validation import check_choice, check_counts, check_seed, check_verbose

if TYPE_CHECKING:
    from cgmm.em.abreast import Asking
    from cgmm.fit.request import Request
    from cgmm.fit.restarts import Search
    from cgmm.fit.starts import Method
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.prior import Prior
    from cgmm.rows.data import Data
    from cgmm.types import (
        Array,
        ArrayLike,
        CovarianceType,
        Init,
        Missing,
        NamedPrior,
        Names,
        NoiseComponent,
        Partition,
        Rows,
        Seed,
        Starts,
        Stop,
    )

LEANS = "Much of a component's variance is reg_covar: few rows belong to it, or they are nearly equal."
# What rounding to a step leaves of a value varies by its square over this: a component that varies less has its
# likelihood from rows that rounding has made equal.
ROUNDED = 12
SHARED_BYTES = 2**26  # Labels of starts that a selection remembers: the first ones, which most candidates make.
# The families that are compared by default, from the fewest parameters on: of two candidates with equal criteria, as
# those of one component are, the first wins.
COMPARED: tuple[CovarianceType, ...] = (
    "EII", "spherical", "EEI", "VEI", "EVI", "diag", "tied", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "full",
)  # fmt: skip
OF_ONE_FEATURE: tuple[CovarianceType, ...] = ("E", "V")
# By default a candidate is compared if X holds so many values for each of its parameters: where each component has a
# full covariance, d (d + 3) / 2 parameters, it then has d + 3 rows on average, and d + 1 are the fewest that leave it
# regular.
VALUES_A_PARAMETER = 2


class Plan(NamedTuple):
    """What is compared: the numbers of components of each family; and what is left out of what was asked, in words, and
    what is left out otherwise."""

    sizes: dict[CovarianceType, list[int]]
    refused: list[str]
    spared: list[str]


# Features with which fits are accelerated: 500 rows of 30 take half as long, of 60 a quarter longer.
MOST_JUMPING = 32
# Starts of candidates that have no neighbours, for components keep the numbers that labels give them: with one, half of
# 60 candidates ended lower than with two.
STARTS_ALONE = 2
# Arguments of GMM that `select` has otherwise, or finds out (None).
SETTINGS: dict[str, Any] = {"n_init": None, "accelerate": None, "tol": 1e-6, "max_iter": 1000, "reg_covar": "relative"}


@explained
def select(
    X: ArrayLike,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_types: CovarianceType | Collection[CovarianceType] | None = None,
    *,
    criterion: Literal["bic", "aic", "icl"] = "bic",
    n_init: Starts | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    error_covariances: ArrayLike | None = None,
    random_state: Seed = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    stop: Stop = "change",
    accelerate: bool | None = None,
    reg_covar: float | Literal["relative"] = "relative",
    init_params: Init = "kmeans",
    prior: Prior | NamedPrior | None = None,
    missing: Missing = "error",
    noise_component: NoiseComponent = None,
    n_threads: int | None = None,
    verbose: int = 0,
) -> Selection:
    """Fit mixtures of several sizes and covariance families, and choose one by an information criterion.

    Each candidate is ``GMM(k, covariance_type=…, n_init=…, random_state=…, accelerate=…).fit(X)``, or better: it starts
    also from the fit of k − 1 components with one split, and from that of k + 1 with two merged. What the fits would
    all do anew, such as checks and k-means, is done once.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components. Those larger than n are left out, with a warning.
    covariance_types : str or collection of str, optional
        Families, by any name that covariance_type takes. Default: all fourteen, and of one feature "E" and "V"; without
        the candidates that the rows cannot bear, which are those with more parameters than half as many as X has values
        (n d, rows of weight zero not counted). "EII", or "E", which has the fewest, is compared in any case, and so are
        families that are given here.
    criterion : {"bic", "aic", "icl"}, default="bic"
        Schwarz's (1978), Akaike's (1974), or the integrated completed likelihood (Biernacki, Celeux and Govaert 2000),
        which asks for components that are apart. The smallest wins.
    n_init : int or "auto", optional
        Starts of each candidate, beside those from its neighbours. With more, more candidates end in their best
        optimum, which takes several times as long. Default: one, or with labels two, for then there are no neighbours.
    sample_weight : array-like of shape (n,), optional
        Row weights, which count rows.
    labels : array-like of shape (n,), optional
        The component to which a row is known to belong, −1 where it is not known, as of ``GMM.fit``: numbers of
        components must be larger than each label. Criteria are then of what is known: a labelled row counts with
        log(π_c N(x | μ_c, Σ_c)) of its component.
    error_covariances : array-like, optional
        Of the errors with which rows were measured, as of ``GMM.fit``.
    random_state, tol, max_iter, stop, init_params, prior, missing, noise_component, n_threads
        As of GMM; the defaults of tol and max_iter are closer, for criteria of fits that have not converged cannot be
        compared.
    accelerate : bool, optional
        As of GMM. Default: up to 32 features, for with more of them a jump may take longer than what it saves.
    reg_covar : float or "relative", default="relative"
        As of GMM: by default 1e-6 times the smallest variance of a column, whatever the units of X.
    verbose : int, default=0
        1: a bar if tqdm is installed. 2 or more, or without it: a line for each candidate.

    Returns
    -------
    Selection

    Warns
    -----
    SelectionWarning
        The winner has the most components, or the fewest, that were tried, and others were: the best may lie beyond.
        Or numbers of components were left out, for there are more of them than rows. `Selection.notes` keeps these.

    Raises
    ------
    ValueError, TypeError
        X, sample_weight or an argument cannot be used; nothing was fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import select
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(5, 1, (100, 2))])
    >>> found = select(X, range(1, 5), random_state=0)
    >>> found.best.n_components, found.best.covariance_type
    (2, 'EII')
    """
    found, notes = selected(
        X,
        n_components,
        covariance_types,
        criterion=criterion,
        sample_weight=sample_weight,
        labels=labels,
        error_covariances=error_covariances,
        verbose=verbose,
        n_init=n_init,
        random_state=random_state,
        tol=tol,
        max_iter=max_iter,
        stop=stop,
        accelerate=accelerate,
        reg_covar=reg_covar,
        init_params=init_params,
        prior=prior,
        missing=missing,
        noise_component=noise_component,
        n_threads=n_threads,
    )
    for note in notes:
        warn(note, SelectionWarning)
    return found


def selected(
    X: ArrayLike,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_types: CovarianceType | Collection[CovarianceType] | None = None,
    *,
    criterion: Literal["bic", "aic", "icl"] = "bic",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    error_covariances: ArrayLike | None = None,
    verbose: int = 0,
    **settings: Any,
) -> tuple[Selection, list[str]]:
    """What `select` finds, and of what it warns, which is not said yet.

    settings : arguments of GMM; those that are not given are as `select` has them
    """
    check_choice("criterion", criterion, CRITERIA)
    sizes = check_counts("n_components", n_components)
    families = [] if covariance_types is None else check_families("covariance_types", covariance_types)
    arguments = SETTINGS | settings
    arguments["random_state"] = check_seed(arguments.get("random_state"))
    if arguments["n_init"] is None:
        arguments["n_init"] = 1 if labels is None else STARTS_ALONE
    jumps = arguments.pop("accelerate")
    asked = request_of(
        GMM(sizes[0], covariance_type=(families or COMPARED)[0], **arguments, accelerate=jumps is not None and jumps)
    )
    prepared = fitting.prepare(X, sample_weight, asked, sizes[-1], asked.generator(), labels, error_covariances)
    arguments["accelerate"] = prepared.data.d <= MOST_JUMPING if jumps is None else jumps
    report.warn_of_swamped(prepared.data, prepared.names, asked.on_degenerate)
    _check_labels(prepared.data, sizes)
    check_enough_rows(prepared.data.n, prepared.data.counted, sizes[0], "n_components", prepared.data.d)
    plan = _planned(sizes, families, prepared, asked.prior)
    # Each number of components asks for the same otherwise: of a family, what is asked for is checked once.
    requests = {
        family: request_of(GMM(own[0], covariance_type=family, **arguments)) for family, own in plan.sizes.items()
    }
    shared, table = _Shared(), []
    least, winner = (2, np.inf), -1
    steps: Array | None = None
    won: Search | None = None
    with report.Progress(check_verbose(verbose), sum(map(len, plan.sizes.values()))) as progress:
        paths = [
            _searches(family, [requests[family]._replace(k=k) for k in own], prepared, shared, progress)
            for family, own in plan.sizes.items()
        ]
        for some in [paths] if _are_small(prepared) else [[path] for path in paths]:
            for family, search, seconds in chain.from_iterable(answered(together(some))):
                steps = _steps(search) if steps is None else steps
                fit = search.best
                leans, rounded = not search.rank_of_best[1], _rounded(fit.parameters, steps, prepared.names)
                table.append(_candidate(family, search, seconds, prepared, leans, rounded))
                rank = bool(fit.degenerate) + (leans or bool(rounded)), getattr(table[-1], criterion)
                if won is None or rank < least:
                    least, winner, won = rank, len(table) - 1, search
    assert won is not None  # a plan has at least one candidate
    best = GMM(won.problem.k, covariance_type=table[winner].covariance_type, **arguments)
    best._with(State.of(won, prepared.names))
    report.warn(won.best, won.settings, prepared.names, on_degenerate="warn")
    notes = _set_aside(table, winner, criterion) or _at_the_edge(table, winner, prepared.data.counted)
    found = Selection(tuple(table), criterion, winner, best, tuple(notes + plan.refused + plan.spared))
    return found, plan.refused + notes


def _planned(sizes: list[int], families: list[CovarianceType], prepared: fitting.Prepared, prior: Prior | None) -> Plan:
    """What is compared of these sizes and families (none: all that the rows can bear, and for which there is such a
    prior)."""
    n, d = prepared.data.counted, prepared.data.d
    refused = []
    beyond = [k for k in sizes if k > n]
    if beyond:
        told = f"k = {beyond[0]} is" if len(beyond) == 1 else f"k = {report.listed(beyond)} are"
        weighty = " of positive weight" * (n != prepared.data.n)
        refused.append(f"{told} left out: X has only {counted(n, 'row')}{weighty}.")
    sizes = [k for k in sizes if k <= n]
    if families:
        return Plan(dict.fromkeys(_of_one_feature(families) if d == 1 else families, sizes), refused, [])
    first, *others = OF_ONE_FEATURE if d == 1 else COMPARED
    without = [family for family in others if prior is not None and not prior.suits(FAMILIES[family])]
    if without:
        refused.append(f"{report.listed(without)} are left out: mclust has no prior for them.")
    others = [family for family in others if family not in without]
    borne = {family: [k for k in sizes if _is_borne(family, k, n, d)] for family in others}
    spared = len(others) * len(sizes) - sum(map(len, borne.values()))
    notes = [
        f"{spared} candidates are left out, whose parameters are more than half as many as the values of X: name "
        "covariance_types to compare them."
    ]
    compared = {first: sizes} | {family: own for family, own in borne.items() if own}
    return Plan(compared, refused, notes if spared else [])


def _is_borne(family: CovarianceType, k: int, n: int, d: int) -> bool:
    """Whether n rows hold enough values for the parameters of a mixture: its means, weights and covariances."""
    parameters = k * d + k - 1 + FAMILIES[family].n_parameters(k, d)
    return VALUES_A_PARAMETER * parameters <= n * d


def _set_aside(table: list[Candidate], winner: int, criterion: str) -> list[str]:
    """That most candidates are doubtful, and why the best of them is, in a sentence, if it would have won otherwise:
    what is wrong with the rows decides, then, and not how many components they have."""
    doubtful = [row for row in table if row.warnings]
    best = min(doubtful, key=lambda row: getattr(row, criterion), default=table[winner])
    if 2 * len(doubtful) <= len(table) or getattr(best, criterion) >= getattr(table[winner], criterion):
        return []
    return [
        f"{len(doubtful)} of {len(table)} candidates are doubtful and stand last, among them that of the lowest "
        f"{criterion.upper()}, {best.covariance_type} with k = {best.n_components}: {best.warnings[0]}"
    ]


def _at_the_edge(table: list[Candidate], winner: int, n: int) -> list[str]:
    """Whether the winner has the most or the fewest components that were tried, in a sentence, if others were."""
    sizes, k = {row.n_components for row in table}, table[winner].n_components
    if len(sizes) == 1 or min(sizes) < k < max(sizes) or k in (1, n):
        return []
    side, beyond = ("largest", "more") if k == max(sizes) else ("smallest", "fewer")
    return [f"k = {k} is the {side} tried, and the best of them: {beyond} components may be better."]


def _of_one_feature(families: list[CovarianceType]) -> list[CovarianceType]:
    """The families that differ where rows have one feature: each component's variance is its own, or all share one."""
    by_variances = {FAMILIES[name].n_parameters(2, 1): name for name in reversed(families)}
    return [name for name in families if name in by_variances.values()]


def _searches(
    family: CovarianceType,
    requests: list[Request],
    prepared: fitting.Prepared,
    shared: _Shared,
    progress: report.Progress,
) -> Asking[list[tuple[CovarianceType, Search, float]]]:
    """The searches for what is asked for of a family, of ever more components, with the seconds of each."""
    watches = [Watch() for _ in requests]
    many = together if _are_small(prepared) else in_turn
    searches = yield from many(
        clocked(_search(family, asked, prepared, shared, progress, watch), watch)
        for asked, watch in zip(requests, watches, strict=True)
    )
    yield from try_neighbours(searches, watches)
    return [(family, search, watch.seconds) for search, watch in zip(searches, watches, strict=True)]


def _search(
    family: CovarianceType,
    asked: Request,
    prepared: fitting.Prepared,
    shared: _Shared,
    progress: report.Progress,
    watch: Watch,
) -> Asking[Search]:
    found = yield from fitting.search(asked, prepared, asked.generator(), share=shared, sound=True, watch=watch)
    progress.step(f"{family} {asked.k}")
    return found


def _check_labels(data: Data, sizes: list[int]) -> None:
    """That each number of components has all that are known; ValueError names the least that has."""
    largest = max(data.place.known(), default=-1)
    if largest >= sizes[0]:
        raise ValueError(f"labels name component {largest}: n_components must be from {largest + 1} on, not {sizes[0]}")


def _steps(search: Search) -> Array:
    """The smallest difference between two values of a feature (d,), among the rows that starts look at; 0 if all are
    equal."""
    columns = [np.unique(column[np.isfinite(column)]) for column in search.sample().part.rows.T]
    return np.array([np.diff(values).min() if len(values) > 1 else 0.0 for values in columns], dtype=np.float64)


def _rounded(parameters: Parameters, steps: Array, names: Names | None) -> str:
    """Whether a component varies less than values do that are rounded to these steps, in a sentence; else empty."""
    k, d = parameters.means.shape
    narrow = parameters.family.variances(parameters.covariances, k, d) < steps**2 / ROUNDED
    if narrow.any():  # few are
        narrow &= parameters.weights[:, np.newaxis] > 0
    if not narrow.any():
        return ""
    c, j = np.argwhere(narrow)[0].tolist()
    name = f"feature {j}" if names is None else f"feature {str(names[j])!r}"
    return (
        f"Component {c} is narrower in {name} than the step of its values, {steps[j]:.3g}: its likelihood is that of "
        "rows which are equal there, perhaps by rounding."
    )


def _are_small(prepared: fitting.Prepared) -> bool:
    """Whether searches are made at the same time: passes over the rows are so small that threads may take one each.
    Else nothing would be won, and the samples of all searches would be in memory at once."""
    return prepared.data.n < PRUNED_ROWS


def _candidate(
    family: CovarianceType, search: Search, seconds: float, prepared: fitting.Prepared, leans: bool, rounded: str
) -> Candidate:
    """leans, rounded : what is doubtful of the fit, see Search.leans and _rounded"""
    fit, settings = search.best, search.settings
    criteria = criteria_of(prepared.data, fit.parameters, settings.n_threads, certainty=True)
    told = tuple(text for text, _ in report.faults(fit, settings, prepared.names))
    told += (rounded,) * bool(rounded)
    return Candidate(
        n_components=search.problem.k,
        covariance_type=family,
        n_parameters=fit.parameters.n_parameters,
        **criteria._asdict(),
        seconds=seconds,
        converged=fit.converged,
        warnings=told + (LEANS,) * (leans and not told),
    )


class _Shared:
    """Makes of a start's method one that remembers what it found from each state of the generator.

    Searches for as many components begin from the same state and rows, whatever their family.
    """

    def __init__(self) -> None:
        self.found: dict[Any, Any] = {}
        self.bytes = 0

    def __call__(self, method: Method) -> Method:
        def remembered(
            X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None, n_threads: int
        ) -> Partition:
            key = method, k, str(rng.bit_generator.state)
            if key not in self.found:
                parts = method(X, k, rng, row_weights, n_threads)
                # Responsibilities are large, and quickly drawn anew.
                if parts.ndim > 1 or self.bytes + parts.nbytes > SHARED_BYTES:
                    return parts
                self.bytes += parts.nbytes
                self.found[key] = parts, rng.bit_generator.state
            parts, rng.bit_generator.state = self.found[key]
            return parts

        return remembered


def check_families(argument: str, given: Any) -> list[Any]:
    """Names of different families, of one or of several; ValueError names the argument that has none, or another."""
    distinct: dict[Family, Any] = {}  # VVV is full, say: the first name of each
    for name in [given] if isinstance(given, str) else given:
        distinct.setdefault(check_choice(argument, name, FAMILIES), name)
    if not distinct:
        raise InvalidParameterError(f"{argument} must name at least one of {list(FAMILIES)}")
    return list(distinct.values())
