"""What the command line knows of the labels of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cgmm.errors import InvalidParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.classification import GMMClassifier


def label(text: str | None, labels: NDArray[Any]) -> str | float | None:
    """What the label of an unknown class is among labels that are texts or numbers."""
    if text is None or labels.dtype.kind in "US":
        return text
    try:
        return float(text)
    except ValueError:
        raise InvalidParameterError(f"the labels are numbers, and {text!r}, that of unknown classes, is none") from None


def names(model: GMMClassifier) -> list[str]:
    """What the classes are called."""
    return [str(name) for name in model.classes_.tolist()]
