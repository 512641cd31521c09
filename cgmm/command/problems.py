"""The fits of many problems as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cgmm.bayesian_fits import BayesianFits

if TYPE_CHECKING:
    from cgmm.fits import Fits

# What a row tells of its problem.
OF_MIXTURE = ("log_likelihood", "bic", "converged")
OF_POSTERIOR = ("lower_bound", "n_effective", "converged")


class Found(NamedTuple):
    """Fits, and the column that they are of, if they are of the groups of one."""

    fits: Fits | BayesianFits
    column: object = None

    @property
    def told(self) -> tuple[str, ...]:
        return OF_POSTERIOR if isinstance(self.fits, BayesianFits) else OF_MIXTURE


def table(
    found: Sequence[Found], by: str | None, each_column: bool, spelled: Callable[[str], str]
) -> tuple[list[str], Iterator[list[Any]]]:
    """Names, and a row for each component of each problem; for a problem without a fit, one that has its error.

    by : what groups are called, if problems are groups;  each_column : problems are columns
    spelled : an error in a user's words
    """
    names = [] if by is None else [by]
    names += ["column"] * each_column + ["component", *found[0].fits._components()[2], *found[0].told]
    names += ["error"] * any(one.fits.errors for one in found)
    both = by is not None and each_column
    return names, (row for one in found for row in _rows(one, len(names), both, spelled))


def _rows(one: Found, width: int, both: bool, spelled: Callable[[str], str]) -> Iterator[list[Any]]:
    fits, column = one
    problem, component, values = fits._components()
    lines = list(zip(problem.tolist(), component.tolist(), *(value.tolist() for value in values.values()), strict=True))
    at = 0
    for i, label in enumerate(fits.labels.tolist()):
        begun = [label, column] if both else [label]
        if i in fits.errors:
            yield [*begun, *[""] * (width - len(begun) - 1), spelled(fits.errors[i])]
        ended = [getattr(fits, name)[i].item() for name in one.told]
        for _, *numbers in lines[at : at + int(fits.n_components[i])]:
            yield [*begun, *numbers, *ended, *[""] * (width - len(begun) - len(numbers) - len(ended))]
        at += int(fits.n_components[i])
