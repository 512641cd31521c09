"""Bars on a terminal, if tqdm is installed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cgmm.em.stage import Callback, IterationState
    from cgmm.tables import Block


def possible() -> bool:
    """Whether somebody sees standard error, and there is tqdm to draw on it."""
    return sys.stderr.isatty() and find_spec("tqdm") is not None


def watched(blocks: Iterable[Block], visible: bool = True) -> Iterator[Block]:
    """The blocks, counted by a bar."""
    return (block for block, _ in watched_pieces(((block, []) for block in blocks), visible))


def watched_pieces(
    pieces: Iterable[tuple[Block, list[Any]]], visible: bool = True
) -> Iterator[tuple[Block, list[Any]]]:
    """Blocks with what is kept of them, counted by a bar."""
    with _bar(" rows", visible, unit_scale=True) as bar:
        for block, kept in pieces:
            yield block, kept
            if bar is not None:
                bar.update(len(block.rows))


@contextlib.contextmanager
def iterations(visible: bool = True, told: str = "") -> Iterator[Callback | None]:
    """A callback of GMM that shows a fit's iterations, or None; the first is after a line of standard error."""
    with _bar(" iterations", visible) as bar:

        def show(state: IterationState) -> None:
            nonlocal told
            if told:
                if bar is not None:
                    bar.clear()
                print(told, file=sys.stderr)
                told = ""
            if bar is not None:
                bar.set_postfix_str(f"start {state.restart}, log-likelihood {state.log_likelihood:.6g}", refresh=False)
                bar.update()

        yield None if bar is None and not told else show


@contextlib.contextmanager
def _bar(unit: str, visible: bool = True, unit_scale: bool = False) -> Iterator[Any]:
    if not (visible and possible()):
        yield None
        return
    from tqdm import tqdm

    with tqdm(unit=unit, unit_scale=unit_scale, leave=False) as bar:
        yield bar
