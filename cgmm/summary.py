"""What was learnt, for people: lines that are read, a table of components, and the same as values for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from cgmm.errors import counted
from cgmm.fit import report
from cgmm.mixture.criteria import information
from cgmm.mixture.features import told_features

if TYPE_CHECKING:
    from cgmm.fit.state import State
    from cgmm.mixture.criteria import Sums
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Names

MOST_FEATURES, MOST_COMPONENTS = 8, 30  # That a table of components shows: more would not fit a terminal.
# How what may be shown is spelled where only ASCII can be.
SPELLED = {"±": "+-", "…": "...", "−": "-", "–": "-", "—": "-", "Δ": "d", "×": "x", "’": "'"}


class Grid(NamedTuple):
    """A table of texts: its head, its lines, and what of it is left out, in words."""

    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    more: str = ""

    def spelled(self) -> Grid:
        return Grid(
            list(map(spelled, self.head)), [list(map(spelled, line)) for line in self.lines], spelled(self.more)
        )

    def text(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.head, *self.lines, strict=True)]
        told = "\n".join("  ".join(map(str.rjust, line, widths)) for line in (self.head, *self.lines))
        return f"{told}\n{self.more}" if self.more else told

    def html(self) -> str:
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in self.lines)
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.head)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" + (
            f"<p>{escape(self.more)}</p>" if self.more else ""
        )


@dataclass(frozen=True, repr=False)
class Summary:
    """What a model has learnt, to be printed, shown in a notebook, or read by a program.

    Attributes
    ----------
    title : str
        What the model is.
    facts : mapping of str to str
        A line for each fact, by its name.
    grid : Grid
        A table of texts: a line for each component, or class.
    notes : tuple of str
        Sentences about what was repaired, or is doubtful.
    values : mapping of str
        The same as numbers, with all their digits, and all parameters: see ``to_dict``.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import GMM
    >>> X = np.array([[1.0, 2], [2, 4], [3, 0], [10, 2], [11, 4], [12, 0]])
    >>> summary = GMM(n_components=2, random_state=0).fit(X).summary(X)
    >>> summary.facts["fit"]
    'converged in 2 iterations'
    >>> summary.to_dict()["n_parameters"]
    11
    """

    title: str
    facts: Mapping[str, str]
    grid: Grid
    notes: tuple[str, ...]
    values: Mapping[str, Any]

    def with_facts(
        self, first: Mapping[str, str], last: Mapping[str, str] | None = None, values: Mapping[str, Any] | None = None
    ) -> Self:
        """The same with facts before and after its own, and more values.

        Parameters
        ----------
        first, last : mapping of str to str
            Facts by their names.
        values : mapping, optional
            What ``to_dict`` has besides.

        Examples
        --------
        >>> from cgmm import GMM
        >>> summary = GMM(2, random_state=0).fit([[0.0], [1.0], [9.0], [10.0]]).summary()
        >>> summary.with_facts({"source": "a sensor"}).facts["source"]
        'a sensor'
        """
        return replace(self, facts={**first, **self.facts, **(last or {})}, values={**self.values, **(values or {})})

    def to_text(self, *, ascii: bool = False) -> str:
        """The summary as lines: the title, the facts, the table and the notes.

        Parameters
        ----------
        ascii : bool, default=False
            Spell signs such as ± as +-, for a terminal that cannot show them. Names stay as they are.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> print(model.summary().to_text(ascii=True).splitlines()[0])
        GMM of 2 components in 1 feature
        """
        told = self._spelled() if ascii else self
        return "\n\n".join([told.title, lines_of(told.facts), told.grid.text(), *told.notes])

    def _spelled(self) -> Self:
        facts = {spelled(name): spelled(value) for name, value in self.facts.items()}
        return replace(self, facts=facts, grid=self.grid.spelled(), notes=tuple(map(spelled, self.notes)))

    def to_dict(self) -> dict[str, Any]:
        """The summary as values that JSON can hold: texts, numbers, lists and None, under stable names.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> model.summary(X).to_dict()["n_parameters"]
        5
        """
        return dict(self.values)

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        left = 'style="text-align: left"'
        facts = "".join(
            f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(value)}</td></tr>"
            for name, value in self.facts.items()
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<p><b>{escape(self.title)}</b></p><table>{facts}</table>{self.grid.html()}{notes}"


def of_mixture(
    kind: str,
    state: State,
    sums: Sums | None = None,
    more: Mapping[str, Any] | None = None,
    always: Sequence[int] = (),
) -> Summary:
    """That of a mixture, and how well it explains the rows of which these are the sums, if they are given.

    kind : the name of the estimator's class;  more : values that it has besides;  always : features that are shown,
    however many there are
    """
    parameters, fit = state.fit.parameters, state.fit
    more, goodness, masses = more or {}, _goodness(state, sums), _masses(state)
    notes = _notes(state)
    living = more.get("n_effective")
    alive = "" if living is None else f"; {living} live"
    facts = {
        "components": f"{parameters.k}, {parameters.family.name}{alive}",
        "features": counted_features(parameters.d, state.names, always),
        "parameters": f"{parameters.n_parameters}",
        "fit": _ended(state),
        **({} if parameters.noise is None else {"noise": f"a share of {parameters.noise.weight:.4f} of the rows"}),
        **goodness.facts,
        **({} if state.settings is None else {"repaired": "see below" if notes else "nothing"}),
    }
    values = {
        "model": kind,
        "n_components": parameters.k,
        "component_names": None if state.component_names is None else list(state.component_names),
        "covariance_type": parameters.family.name,
        "n_features": parameters.d,
        "feature_names": None if state.names is None else list(state.names),
        "n_parameters": parameters.n_parameters,
        "converged": fit.converged,
        "n_iter": state.n_iter,
        "lower_bound": float(fit.lower_bound) if state.n_iter else None,
        **goodness.values,
        "effective_counts": None if masses is None else masses.tolist(),
        "repairs": [repair._asdict() for repair in fit.repairs],
        "noise_weight": 0.0 if parameters.noise is None else parameters.noise.weight,
        "weights": parameters.shares.tolist(),
        "means": parameters.means.tolist(),
        "covariances": parameters.covariances.tolist(),
        **more,
    }
    title = f"{kind} of {counted(parameters.k, 'component')} in {counted(parameters.d, 'feature')}"
    return Summary(title, facts, _components(state, masses, always), notes, values)


class Goodness(NamedTuple):
    """How well a model explains rows, in words and in numbers."""

    facts: dict[str, str]
    values: dict[str, Any]


def _goodness(state: State, sums: Sums | None) -> Goodness:
    """How well a mixture explains rows: those of the sums, or those of its last E-step, as far as that is known."""
    parameters, fit = state.fit.parameters, state.fit
    nothing = {"log_likelihood": None, "bic": None}
    if not parameters.needs_rows:  # a posterior
        return Goodness({"lower bound": f"{fit.lower_bound:.8g}"} if state.n_iter else {}, {})
    if sums is not None:
        found = sums.criteria()
        return _told_goodness(found.log_likelihood, found.bic, sums.total_weight)
    settings, masses = state.settings, fit.masses
    if not state.n_iter or _streamed(state):
        return Goodness({}, nothing)
    if settings is None or masses is None or settings.prior is not None:
        with_prior = ", with the prior's log-density" * (settings is not None and settings.prior is not None)
        return Goodness({"log-likelihood": f"{fit.lower_bound:.6g} per row{with_prior}"}, nothing)
    total, share = float(masses.sum()), 1.0 if parameters.noise is None else 1.0 - parameters.noise.weight
    with np.errstate(over="ignore"):
        log_likelihood = fit.lower_bound * np.float64(total) / share if share > 0 < total else np.nan
    if not np.isfinite(log_likelihood):  # all rows are noise, or the number is too large
        return Goodness({"log-likelihood": f"{fit.lower_bound:.6g} per row"}, nothing)
    _, bic = information(log_likelihood, total / share, parameters.n_parameters)
    return _told_goodness(float(log_likelihood), float(bic), total / share)


def _told_goodness(log_likelihood: float, bic: float, total: float) -> Goodness:
    facts = {
        "log-likelihood": f"{log_likelihood:.8g} ({log_likelihood / total:.6g} per row)",
        "BIC": f"{bic:.8g} (smaller is better, for the same rows)",
    }
    return Goodness(facts, {"log_likelihood": log_likelihood, "bic": bic})


def _ended(state: State) -> str:
    """How the fit ended, and what to do if it was too early."""
    n_iter, fit = state.n_iter, state.fit
    if not n_iter:
        return "none: the parameters were given"
    if _streamed(state):
        return f"learns from a stream, in {counted(n_iter, 'step')} so far"
    if fit.converged:
        return f"converged in {counted(n_iter, 'iteration')}"
    cut = state.settings is not None and n_iter >= state.settings.max_iter
    return f"did not converge in {counted(n_iter, 'iteration')}{': a larger max_iter lets it go on' * cut}"


def _notes(state: State) -> tuple[str, ...]:
    """What was repaired, or is doubtful, in sentences."""
    fit, settings = state.fit, state.settings
    if settings is None:
        return ()
    text = report.doubtful(fit, settings, state.names, fit.degenerate, "It was repaired, and the fit went on.")
    starts = text if text.startswith("reg_covar") else f"{text[:1].upper()}{text[1:]}"  # an argument keeps its name
    return (starts,) if text else ()


def _streamed(state: State) -> bool:
    """Whether the mixture was learnt from a stream, whose rows nobody has together."""
    return state.memory is not None and state.memory.batches > 0


def _masses(state: State) -> Array | None:
    """Σ_i w_i r_ic (k,) of the rows that the fit was learnt from, or remembers; None if nothing is known of them."""
    if state.memory is None:
        return state.fit.masses
    sums = state.memory.statistics
    return np.ldexp(sums.n_k, sums.exponent)


def _shown(d: int, always: Sequence[int]) -> list[int]:
    """Which of d features a table shows: those, and as many of the first others as there is room for."""
    others = [j for j in range(d) if j not in always]
    return sorted([*always, *others[: max(MOST_FEATURES - len(always), 0)]])


def _components(state: State, masses: Array | None, always: Sequence[int]) -> Grid:
    """The weight of each component, its size in rows, and mean ± standard deviation of each feature that is shown."""
    parameters, names = state.fit.parameters, state.names
    k, d = parameters.k, parameters.d
    deviations = np.sqrt(parameters.variances)
    sizes = [] if masses is None else ["size"]
    shown, titles = _shown(d, always), told_features(names, d)
    head = ["component", "weight", *sizes, *(on_a_line(titles[j]) for j in shown)]
    lines = []
    for c in range(min(k, MOST_COMPONENTS)):
        size = [] if masses is None else [f"{masses[c]:.1f}"]
        told = (f"{parameters.means[c, j]:.5g} ± {deviations[c, j]:.3g}" for j in shown)
        title = f"{c}" if state.component_names is None else on_a_line(state.component_names[c])
        lines.append([title, f"{parameters.shares[c]:.4f}", *size, *told])
    hidden = [(d - len(shown), "feature"), (k - MOST_COMPONENTS, "component")]
    more = [counted(count, what) for count, what in hidden if count > 0]
    return Grid(head, lines, f"and {' and '.join(more)} more" if more else "")


def columns_of(parameters: Parameters, names: Names | None) -> dict[str, Array]:
    """The parameters of all components, (k,) each, by names such as "mean[waiting]"."""
    k, d, family = parameters.k, parameters.d, parameters.family
    told = [str(name) for name in (range(d) if names is None else names)]
    deviations = np.sqrt(parameters.variances)
    columns = {"weight": parameters.shares}
    columns |= {f"mean[{told[j]}]": parameters.means[:, j] for j in range(d)}
    columns |= {f"sd[{told[j]}]": deviations[:, j] for j in range(d)}
    if family.correlated:
        matrices = family.expand(parameters.covariances, k, d)
        columns |= {f"covariance[{told[i]}, {told[j]}]": matrices[:, i, j] for i in range(d) for j in range(i + 1, d)}
    return columns


def frame_of(parameters: Parameters, names: Names | None, components: Sequence[str] | None = None) -> Any:
    """The same as a pandas.DataFrame; components : their names, or None."""
    import pandas as pd

    index = pd.RangeIndex(parameters.k, name="component")
    if components is not None:
        index = pd.Index(components, name="component")
    return pd.DataFrame(columns_of(parameters, names), index=index)


def counted_features(d: int, names: Names | None, always: Sequence[int] = ()) -> str:
    """How many features there are, and the names of those that are shown, with … where others are left out."""
    if names is None:
        return f"{d}"
    shown = _shown(d, always)
    told = [(["…"] if j > before + 1 else []) + [on_a_line(names[j])] for before, j in pairwise((-1, *shown))]
    more = ["…"] * (shown[-1] < d - 1)
    return f"{d} ({', '.join([*chain.from_iterable(told), *more])})"


def on_a_line(name: object) -> str:
    return " ".join(str(name).split())


def lines_of(facts: Mapping[str, str]) -> str:
    width = max(map(len, facts)) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in facts.items())


def spelled(text: str) -> str:
    """A text whose signs that ASCII lacks are spelled with those that it has, as far as they are known here."""
    for sign, spelling in SPELLED.items():
        text = text.replace(sign, spelling)
    return text
