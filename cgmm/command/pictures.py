"""What a picture shows of a model and its rows, and what it leaves out, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cgmm.command.output import ending_of
from cgmm.errors import InvalidParameterError, counted
from cgmm.mixture.features import told_features
from cgmm.tables.readers import listed

if TYPE_CHECKING:
    from cgmm.fitted import Fitted


def kind_of(path: str) -> str:
    """The format that the ending of a picture's name tells; InvalidParameterError if it is none of matplotlib's."""
    from matplotlib.backend_bases import FigureCanvasBase

    kind, known = ending_of(path)[1:] or "png", FigureCanvasBase.get_supported_filetypes()
    if kind not in known:
        raise InvalidParameterError(
            f"{path!r} ends in .{kind}, and pictures are written as {', '.join(f'.{name}' for name in known)}"
        )
    return kind


def told(model: Fitted, artists: Any, drawn: int, n: int, gaps: int) -> str:
    """In a sentence, of a picture's artists; drawn : of n rows;  gaps : how many of them had missing values."""
    d, names = model.n_features_in_, told_features(model._fitted().names, model.n_features_in_)
    rows = counted(n, "row") if drawn == n else f"{drawn} of {n} rows, drawn at random,"
    what = f"{rows} and {counted(model._parameters.k, 'component')}"
    chosen = getattr(artists, "features", None)
    if chosen is not None:
        shown = f"pairs of {listed([names[j] for j in chosen])}"
        left = [names[j] for j in range(d) if j not in chosen]
        shown += f"; left out: {listed(left)}" if left else ""
    elif d > 2:
        shown = f"the plane in which the components differ most, of {d} features"
    else:
        shown = " and ".join(names)
    missing = f"; missing values of {counted(gaps, 'row')} were filled by what is expected of them" if gaps else ""
    return f"{what}, in {shown}{missing}"
