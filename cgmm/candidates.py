"""What a selection found: its candidates, in words, as a data frame, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from cgmm.gmm import GMM
    from cgmm.types import Array, CovarianceType

SHOWN = 3  # Candidates that are shown first, as mclust does.
ACROSS = 9  # Numbers of components side by side in a text: with their family they fit a line of a hundred characters.


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

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
    >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
    >>> found.table[1].n_components, found.table[1].n_parameters
    (2, 5)
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

    Printed, it shows the three best candidates and the criterion of all; in a notebook, all candidates unfold below.

    Attributes
    ----------
    table : tuple of Candidate
        A row for each candidate, in the order of the arguments: first by covariance type, then by components.
    criterion : {"bic", "aic", "icl"}
    winner : int
        The row of the smallest criterion; among those without a component that is degenerate, would be so without
        reg_covar, or is narrower than the step of a feature's values, if there are.
    best : GMM
        The winner's model, fitted.
    notes : tuple of str
        What was left out and why, and whether the winner is at the edge of what was tried.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
    >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
    >>> found.best.n_components, len(found.table)
    (2, 3)
    """

    table: tuple[Candidate, ...]
    criterion: str
    winner: int
    best: GMM
    notes: tuple[str, ...] = ()

    @property
    def differences(self) -> Array:
        """By how much each candidate's criterion is larger than the winner's, (m,).

        Negative for one that would have won, but has a component that is degenerate.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
        >>> (found.differences > 0).tolist()
        [True, False, True]
        """
        values = self._values()
        return values - values[self.winner]

    @property
    def ranking(self) -> tuple[int, ...]:
        """The rows of the table from the best on: the winner, the others by their criterion, those warned of last.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
        >>> found.table[found.ranking[0]].n_components
        2
        """
        values = self._values()
        warned = [bool(row.warnings) for row in self.table]
        return tuple(sorted(range(len(self.table)), key=lambda at: (at != self.winner, warned[at], values[at])))

    def to_text(self, *, sort: bool = False) -> str:
        """All candidates, a line for each.

        Parameters
        ----------
        sort : bool, default=False
            From the best on, see ``ranking``, not in the order of the table.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
        >>> len(found.to_text().splitlines()) > 3
        True
        """
        return _aligned(self._lines(self._order(sort)))

    def to_frame(self, *, sort: bool = False) -> Any:
        """All candidates as a pandas.DataFrame, a row for each; "difference" is that of ``differences``.

        Parameters
        ----------
        sort : bool, default=False
            From the best on, see ``ranking``, not in the order of the table, whose rows are the index.

        Returns
        -------
        pandas.DataFrame

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
        >>> found.to_frame()["n_components"].tolist()
        [1, 2, 3]
        """
        import pandas as pd

        frame = pd.DataFrame(self.table, columns=Candidate._fields)
        frame.insert(frame.columns.get_loc("icl") + 1, "difference", self.differences)
        return frame.iloc[self._order(sort)]

    def to_csv(self, *, sort: bool = False) -> str:
        """All candidates as text with commas, a line for each, under their names; numbers have all their digits.

        Parameters
        ----------
        sort : bool, default=False
            From the best on, see ``ranking``, not in the order of the table.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
        >>> found.to_csv().splitlines()[0].split(",")[:3]
        ['n_components', 'covariance_type', 'n_parameters']
        """
        text = io.StringIO()
        told = self._told(sort)
        writer = csv.DictWriter(text, told[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"warnings": " ".join(row["warnings"])} for row in told)
        return text.getvalue()

    def to_json(self, *, sort: bool = False) -> str:
        """The criterion, the candidates, the winner's row among these, and the notes, as JSON; what is no number: null.

        Parameters
        ----------
        sort : bool, default=False
            Candidates from the best on, see ``ranking``, not in the order of the table.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
        >>> import json
        >>> sorted(json.loads(found.to_json()))
        ['candidates', 'criterion', 'notes', 'winner']
        """
        told = [{name: _finite(value) for name, value in row.items()} for row in self._told(sort)]
        winner = self._order(sort).index(self.winner)
        whole = {"criterion": self.criterion, "winner": winner, "candidates": told, "notes": self.notes}
        return json.dumps(whole, indent=2, ensure_ascii=False)

    def plot(
        self, ax: Axes | None = None, *, criterion: Literal["bic", "aic", "icl"] | None = None, **style: Any
    ) -> Any:
        """The criterion over the number of components, a line for each family: see cgmm.plot.selection.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: the current axes.
        criterion : {"bic", "aic", "icl"}, optional
            Default: the one that chose.
        **style
            Options of matplotlib's artists.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
        >>> picture = found.plot()
        """
        from cgmm import plot

        return plot.selection(self, criterion=criterion, ax=ax, **style)

    def __repr__(self) -> str:
        head, name = self._head(), self.criterion.upper()
        parts = [f"{head}:\n{_aligned(self._lines(self.ranking[:SHOWN]))}"]
        if len(self.table) > SHOWN:
            parts.append(f"{name} of all; * was warned of:\n{self._grid()}")
        return "\n\n".join([*parts, *self.notes])

    def _repr_html_(self) -> str:
        ranking = self.ranking
        parts = [f"<p>{escape(self._head())}</p>{self._html(ranking[:SHOWN])}"]
        if len(ranking) > SHOWN:
            parts.append(f"<details><summary>All candidates</summary>{self._html(ranking)}</details>")
        return "".join([*parts, *(f"<p>{escape(note)}</p>" for note in self.notes)])

    def _html(self, order: Sequence[int]) -> str:
        head, *lines = self._lines(order)
        tags = ["th" if at == self.winner else "td" for at in order]
        cells = ("".join(f"<{t}>{escape(cell)}</{t}>" for cell in line) for t, line in zip(tags, lines, strict=True))
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{body}</table>"

    def _head(self) -> str:
        count, name = len(self.table), self.criterion.upper()
        if count == 1:
            return "The only candidate"
        return f"The best of {count} candidates by {name}, the smaller the better"

    def _values(self) -> Array:
        """The criterion of each candidate, (m,)."""
        return np.array([getattr(row, self.criterion) for row in self.table])

    def _order(self, sort: bool) -> list[int]:
        return list(self.ranking if sort else range(len(self.table)))

    def _told(self, sort: bool) -> list[dict[str, Any]]:
        """Each candidate by the names of its fields, with its difference to the winner."""
        differences = self.differences.tolist()
        return [_with_difference(self.table[at], differences[at]) for at in self._order(sort)]

    def _lines(self, order: Iterable[int]) -> list[tuple[str, ...]]:
        """Cells of text; the last column marks the winner, and what was warned of."""
        difference, differences = f"Δ{self.criterion.upper()}", self.differences
        lines: list[tuple[str, ...]] = [
            ("family", "k", "parameters", "log L", "AIC", "BIC", "ICL", difference, "seconds", "")
        ]
        for at in order:
            row = self.table[at]
            values = (f"{value:.2f}" for value in (row.aic, row.bic, row.icl, differences[at]))
            told = ["best"] * (at == self.winner) + ["warned"] * bool(row.warnings)
            lines.append(
                (
                    row.covariance_type,
                    str(row.n_components),
                    str(row.n_parameters),
                    f"{row.log_likelihood:.2f}",
                    *values,
                    f"{row.seconds:.3g}",
                    ", ".join(told),
                )
            )
        return lines

    def _grid(self) -> str:
        """The criterion of all candidates: a line for each family, a column for each number of components."""
        sizes = sorted({row.n_components for row in self.table})
        families = list(dict.fromkeys(row.covariance_type for row in self.table))
        cells = {
            (row.covariance_type, row.n_components): f"{value:.1f}{'*' if row.warnings else ' '}"
            for row, value in zip(self.table, self._values(), strict=True)
        }
        parts = []
        for start in range(0, len(sizes), ACROSS):
            some = sizes[start : start + ACROSS]
            lines = [("family", *(f"k = {k} " for k in some))]
            lines += [(family, *(cells.get((family, k), "- ") for k in some)) for family in families]
            parts.append(_aligned(lines))
        return "\n\n".join(parts)


def _with_difference(row: Candidate, difference: float) -> dict[str, Any]:
    told = row._asdict()
    after = {name: told.pop(name) for name in ("seconds", "converged", "warnings")}
    return told | {"difference": difference} | after


def _finite(value: Any) -> Any:
    """The value as JSON has it: NumPy's numbers as Python's, None for a number that is not finite."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in text)
