"""Choosing a model: numbers of components and covariance families, compared by an information criterion."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cgmm.em.abreast import Watch, answered, clocked, in_turn, together
from cgmm.errors import InvalidParameterError
from cgmm.fit import fitting, report
from cgmm.fit.request import request_of
from cgmm.fit.state import State
from cgmm.gmm import GMM
from cgmm.mixture.criteria import CRITERIA
from cgmm.mixture.families import FAMILIES
from cgmm.rows.checks import check_enough_rows
from cgmm.rows.evaluation import criteria_of
from cgmm.rows.pruning import PRUNED_ROWS
from cgmm.validation import check_choice, check_counts, check_seed, check_verbose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cgmm.em.abreast import Asking
    from cgmm.fit.restarts import Search
    from cgmm.fit.starts import Method
    from cgmm.mixture.prior import Prior
    from cgmm.types import (
        Array,
        ArrayLike,
        CovarianceType,
        Init,
        Missing,
        NoiseComponent,
        Partition,
        Rows,
        Seed,
        Starts,
        Stop,
    )

LEANS = "Much of a component's variance is reg_covar: few rows belong to it, or they are nearly equal."
SHARED_BYTES = 2**26  # Labels of starts that a selection remembers: the first ones, which most candidates make.
COMPARED: tuple[CovarianceType, ...] = ("full", "tied", "diag", "spherical")  # Families, by default.


class Candidate(NamedTuple):
    """One fit of a selection.

    Attributes
    ----------
    n_components : int
    covariance_type : str
    n_parameters : int
    log_likelihood : float
        Of all rows (nats).
    aic, bic, icl : float
        Smaller is better.
    seconds : float
        Of the fit: of its runs, which threads may have made beside those of other candidates, and of what lies between
        them.
    converged : bool
    warnings : tuple of str
        What GMM.fit would have warned of.
    """

    n_components: int
    covariance_type: CovarianceType
    n_parameters: int
    log_likelihood: float
    aic: float
    bic: float
    icl: float
    seconds: float
    converged: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Selection:
    """What `select` found.

    Attributes
    ----------
    table : tuple of Candidate
        A row for each candidate, in the order of the arguments: first by covariance type, then by components.
    criterion : {"bic", "aic", "icl"}
    winner : int
        The row of the smallest criterion; among those without a component that is degenerate, or would be without
        reg_covar, if there are.
    best : GMM
        The winner's model, fitted.
    """

    table: tuple[Candidate, ...]
    criterion: str
    winner: int
    best: GMM

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.table, columns=Candidate._fields)

    def plot(
        self, ax: Axes | None = None, *, criterion: Literal["bic", "aic", "icl"] | None = None, **style: Any
    ) -> Any:
        """The criterion over the number of components, a line for each family: see cgmm.plot.selection."""
        from cgmm import plot

        return plot.selection(self, criterion=criterion, ax=ax, **style)

    def __repr__(self) -> str:
        lines = self._lines()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join(line.rstrip() for line in text)

    def _repr_html_(self) -> str:
        head, *lines = self._lines()
        tags = ["th" if at == self.winner else "td" for at in range(len(lines))]
        cells = ("".join(f"<{t}>{escape(cell)}</{t}>" for cell in line) for t, line in zip(tags, lines, strict=True))
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{body}</table>"

    def _lines(self) -> list[tuple[str, ...]]:
        """Cells of text; the last column marks the winner, and what was warned of."""
        lines: list[tuple[str, ...]] = [("family", "k", "parameters", "log L", "AIC", "BIC", "ICL", "seconds", "")]
        for at, row in enumerate(self.table):
            criteria = (f"{value:.2f}" for value in (row.aic, row.bic, row.icl))
            told = ["best"] * (at == self.winner) + ["warned"] * bool(row.warnings)
            lines.append(
                (
                    row.covariance_type,
                    str(row.n_components),
                    str(row.n_parameters),
                    f"{row.log_likelihood:.2f}",
                    *criteria,
                    f"{row.seconds:.3g}",
                    ", ".join(told),
                )
            )
        return lines


def select(
    X: ArrayLike,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_types: CovarianceType | Collection[CovarianceType] = COMPARED,
    *,
    criterion: Literal["bic", "aic", "icl"] = "bic",
    n_init: Starts = 2,
    sample_weight: ArrayLike | None = None,
    random_state: Seed = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    stop: Stop = "change",
    accelerate: bool = False,
    reg_covar: float | Literal["relative"] = "relative",
    init_params: Init = "kmeans",
    prior: Prior | Literal["default"] | None = None,
    missing: Missing = "error",
    noise_component: NoiseComponent = None,
    n_threads: int | None = None,
    verbose: int = 0,
) -> Selection:
    """Fit mixtures of several sizes and covariance families, and choose one by an information criterion.

    Each candidate is ``GMM(k, covariance_type=…, n_init=…, random_state=…).fit(X)``, or better: it starts also from the
    fit of k − 1 components with one split, and from that of k + 1 with two merged. What the fits would all do anew,
    such as checks and k-means, is done once.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components.
    covariance_types : str or collection of str, default: "full", "tied", "diag" and "spherical"
        Families, by any name that covariance_type takes.
    criterion : {"bic", "aic", "icl"}, default="bic"
        Schwarz's (1978), Akaike's (1974), or the integrated completed likelihood (Biernacki, Celeux and Govaert 2000),
        which asks for components that are apart. The smallest wins.
    n_init : int or "auto", default=2
        Starts of each candidate, beside those from its neighbours. With more, more candidates end in their best
        optimum, which takes several times as long.
    sample_weight : array-like of shape (n,), optional
        Row weights, which count rows.
    random_state, tol, max_iter, stop, accelerate, init_params, prior, missing, noise_component, n_threads
        As of GMM; the defaults of tol and max_iter are closer, for criteria of fits that have not converged cannot be
        compared.
    reg_covar : float or "relative", default="relative"
        As of GMM: by default 1e-6 times the smallest variance of a column, whatever the units of X.
    verbose : int, default=0
        1: a bar if tqdm is installed. 2 or more, or without it: a line for each candidate.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError, TypeError
        X, sample_weight or an argument cannot be used; nothing was fitted.
    """
    check_choice("criterion", criterion, CRITERIA)
    sizes, families = check_counts("n_components", n_components), _families(covariance_types)
    arguments: dict[str, Any] = {
        "n_init": n_init,
        "random_state": check_seed(random_state),
        "tol": tol,
        "max_iter": max_iter,
        "stop": stop,
        "accelerate": accelerate,
        "reg_covar": reg_covar,
        "init_params": init_params,
        "prior": prior,
        "missing": missing,
        "noise_component": noise_component,
        "n_threads": n_threads,
    }
    asked = request_of(GMM(sizes[0], covariance_type=families[0], **arguments))
    prepared = fitting.prepare(X, sample_weight, asked, sizes[-1], asked.generator())
    check_enough_rows(prepared.data.n, prepared.data.counted, sizes[-1], "n_components")
    if prepared.data.d == 1:
        families = _of_one_feature(families)
    models = {family: [GMM(k, covariance_type=family, **arguments) for k in sizes] for family in families}
    shared, table = _Shared(), []
    least, winner, best = (2, np.inf), -1, models[families[0]][0]
    won: Search | None = None
    with report.Progress(check_verbose(verbose), len(sizes) * len(families)) as progress:
        paths = [_searches(path, prepared, shared, progress) for path in models.values()]
        for some in [paths] if _are_small(prepared) else [[path] for path in paths]:
            for model, search, seconds in chain.from_iterable(answered(together(some))):
                table.append(_candidate(model, search, seconds, prepared))
                fit = search.best
                rank = bool(fit.degenerate) + search.leans(fit.parameters), getattr(table[-1], criterion)
                if rank < least:
                    least, winner, best, won = rank, len(table) - 1, model, search
                    best._with(State.of(search, prepared.names))
    if won is not None:
        report.warn(won.best, won.settings, prepared.names, on_degenerate="warn")
    return Selection(tuple(table), criterion, winner, best)


def _of_one_feature(families: list[Any]) -> list[Any]:
    """The families that differ where rows have one feature: each component's variance is its own, or all share one."""
    by_variances = {FAMILIES[name].n_parameters(2, 1): name for name in reversed(families)}
    return [name for name in families if name in by_variances.values()]


def _searches(
    models: list[GMM], prepared: fitting.Prepared, shared: _Shared, progress: report.Progress
) -> Asking[list[tuple[GMM, Search, float]]]:
    """The searches of one family's models, of ever more components, with the seconds of each."""
    watches = [Watch() for _ in models]
    many = together if _are_small(prepared) else in_turn
    searches = yield from many(
        clocked(_search(model, prepared, shared, progress, watch), watch)
        for model, watch in zip(models, watches, strict=True)
    )
    for fewer, (search, watch) in zip(searches, list(zip(searches, watches, strict=True))[1:], strict=False):
        if search.problem.k == fewer.problem.k + 1:
            yield from clocked(search.split_of(fewer.best.parameters), watch)
    more: Search | None = None
    for search, watch in zip(reversed(searches), reversed(watches), strict=True):
        if search.problem.k > 1:
            own = more is not None and more.problem.k == search.problem.k + 1
            yield from clocked(search.merger_of(more.best.parameters if more and own else None), watch)
        more = search
    return [(model, search, watch.seconds) for model, search, watch in zip(models, searches, watches, strict=True)]


def _search(
    model: GMM, prepared: fitting.Prepared, shared: _Shared, progress: report.Progress, watch: Watch
) -> Asking[Search]:
    asked = request_of(model)
    found = yield from fitting.search(asked, prepared, asked.generator(), share=shared, sound=True, watch=watch)
    progress.step(f"{model.covariance_type} {model.n_components}")
    return found


def _are_small(prepared: fitting.Prepared) -> bool:
    """Whether searches are made at the same time: passes over the rows are so small that threads may take one each.
    Else nothing would be won, and the samples of all searches would be in memory at once."""
    return prepared.data.n < PRUNED_ROWS


def _candidate(model: GMM, search: Search, seconds: float, prepared: fitting.Prepared) -> Candidate:
    fit, settings = search.best, search.settings
    criteria = criteria_of(prepared.data, fit.parameters, settings.n_threads, certainty=True)
    told = tuple(text for text, _ in report.faults(fit, settings, prepared.names))
    return Candidate(
        n_components=model.n_components,
        covariance_type=model.covariance_type,
        n_parameters=fit.parameters.n_parameters,
        **criteria._asdict(),
        seconds=seconds,
        converged=fit.converged,
        warnings=told + (LEANS,) * (search.leans(fit.parameters) and not told),
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


def _families(covariance_types: Any) -> list[Any]:
    given = [covariance_types] if isinstance(covariance_types, str) else list(covariance_types)
    for name in given:
        check_choice("covariance_types", name, FAMILIES)
    if not given:
        raise InvalidParameterError(f"covariance_types must name at least one of {list(FAMILIES)}")
    return list(dict.fromkeys(given))
