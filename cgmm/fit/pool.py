"""The good fits that a search has found, and whether it has looked enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cgmm.em.stage import Fit
    from cgmm.mixture.parameters import Parameters

# Two fits are of one optimum if their objectives differ by less (nats a row), or by less than tol, at which EM stops
# short of it.
SAME = 1e-5
# The best fits of different optima, of which starts are made.
MOST_FITS = 6
# A search has looked enough when it is to be expected that fewer than UNSEEN optima are left to be seen, and SETTLED
# starts in a row have found nothing better: starts made of good fits reach optima that independent ones hardly see;
UNSEEN = 0.5
SETTLED = 25
# or when PATIENCE starts in a row have found nothing better: by Laplace's rule of succession the next one does with
# probability 1 / (PATIENCE + 2);
PATIENCE = 60
# and after MOST starts whatever they found: the budget.
MOST = 300


class Pool:
    """The good fits of a search, and what tells whether a better one is to be expected.

    same : fits whose objectives differ by less are of one optimum
    fresh : starts that were independent of the fits before them;  idle : starts since the best was found
    """

    def __init__(self, same: float) -> None:
        self.same = same
        self.fresh, self.idle = 0, 0
        self.fits: list[Parameters] = []  # the most likely of those that are sound, one of each optimum, the best first
        self._good: list[tuple[float, Parameters]] = []
        self._optima: list[float] = []

    def take(self, fit: Fit, sound: bool, fresh: bool) -> None:
        """The fit of a start that was carried on.

        sound : its likelihood is a maximum of the rows' own;  fresh : its start is independent of the others
        """
        bound = fit.lower_bound
        self.idle += 1
        self.fresh += fresh
        if not any(abs(bound - other) < self.same for other in self._optima):
            self._optima.append(bound)
        if sound:
            self._keep(bound, fit.parameters)

    def missed(self) -> None:
        """A start that was given up."""
        self.idle += 1

    def _keep(self, bound: float, parameters: Parameters) -> None:
        if not self._good or bound > self._good[0][0] + self.same:
            self.idle = 0
        alike = [one for one in self._good if abs(one[0] - bound) < self.same]
        others = [one for one in self._good if abs(one[0] - bound) >= self.same]
        best = max([*alike, (bound, parameters)], key=lambda one: one[0])
        self._good = sorted([*others, best], key=lambda one: -one[0])[:MOST_FITS]
        fits = [parameters for _, parameters in self._good]
        if [*map(id, fits)] != [*map(id, self.fits)]:
            self.fits = fits

    def enough(self, starts: int) -> bool:
        """Whether no further start is worth its time, after so many."""
        settled = self.idle >= SETTLED and self.unseen < UNSEEN
        return starts >= MOST or self.idle >= PATIENCE or settled

    @property
    def unseen(self) -> float:
        """How many optima are still to be seen: where N independent starts have found w of them, the posterior
        expectation of their number is w (N − 1) / (N − w − 2) (Boender and Rinnooy Kan, Bayesian stopping rules for
        multistart global optimization methods, 1987).

        Those that other starts have found count among the w, which makes it no smaller.
        """
        N, w = self.fresh, len(self._optima)
        return w * (N - 1) / (N - w - 2) - w if w + 2 < N else float("inf")
