"""How far a mixture is from another, and how spread out it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgmm.distribution.algebra import Algebra, M
from cgmm.fitted import Fitted
from cgmm.mixture import products
from cgmm.rows import divergence
from cgmm.rows.divergence import Draws, Estimate
from cgmm.validation import check_count, check_random_state, check_threads

if TYPE_CHECKING:
    from cgmm.types import Seed


class Between(Algebra[M]):
    """Distances from other mixtures of the same features, and the entropy."""

    def entropy(self, *, n_samples: int = 100_000, random_state: Seed = 0) -> Estimate:
        """The differential entropy −∫ p log p dx, in nats.

        Parameters
        ----------
        n_samples : int, default=100_000
            Draws from which it is estimated.
        random_state : None, int, RandomState or Generator, default=0

        Returns
        -------
        Estimate
            A tuple of value, standard_error, and the bounds lower and upper, which are exact.

        Examples
        --------
        >>> from cgmm import GMM
        >>> found = GMM.from_parameters([1.0], [[0.0]], [[[1.0]]]).entropy()
        >>> bool(found.lower <= 1.4189 + 1e-4), round(found.upper, 4)
        (True, 1.4189)
        """
        return divergence.entropy(self._mixture, self._draws(n_samples, random_state))

    def kl_divergence(self, other: Fitted, *, n_samples: int = 100_000, random_state: Seed = 0) -> Estimate:
        """The Kullback–Leibler divergence ∫ p log(p / q) dx from another mixture q, in nats.

        Parameters
        ----------
        other : GMM
            q, of the same features.
        n_samples : int, default=100_000
            Draws from this mixture.
        random_state : None, int, RandomState or Generator, default=0

        Returns
        -------
        Estimate
            A tuple of value, standard_error, lower and upper: the bounds of Hershey and Olsen (2007) and of Durrieu,
            Thiran and Kelly (2012).

        Examples
        --------
        >>> from cgmm import GMM
        >>> p, q = (GMM.from_parameters([1.0], [[mean]], [[[1.0]]]) for mean in (0.0, 1.0))
        >>> round(p.kl_divergence(q).upper, 4)
        0.5
        """
        draws = self._draws(n_samples, random_state)
        return divergence.kl_divergence(self._mixture, self._other(other), draws)

    def bhattacharyya(self, other: Fitted, *, n_samples: int = 100_000, random_state: Seed = 0) -> Estimate:
        """The Bhattacharyya distance −log ∫ (p q)^½ dx, from draws of both mixtures; arguments and result as those of
        ``kl_divergence``.

        Parameters
        ----------
        other : GMM or BayesianGMM
            The mixture to compare with, of the same features.
        n_samples : int, default=100_000
            The number of draws.
        random_state : None, int, RandomState or Generator, default=0
            Seed or source of the draws.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> there = model.affine([[1.0]], [1.0])
        >>> found = model.bhattacharyya(there)
        >>> bool(abs(found.value - 1 / 8) < 5 * found.standard_error)  # Of N(0, 1) and N(1, 1): 1/8
        True
        """
        draws = self._draws(n_samples, random_state)
        return divergence.bhattacharyya(self._mixture, self._other(other), draws)

    def overlap(self, other: Fitted, *, n_samples: int = 100_000, random_state: Seed = 0) -> Estimate:
        """The mass ∫ min(p, q) dx that both mixtures have in common, in [0,1], from draws of both; arguments and result
        as those of ``kl_divergence``.

        Parameters
        ----------
        other : GMM or BayesianGMM
            The mixture to compare with, of the same features.
        n_samples : int, default=100_000
            The number of draws.
        random_state : None, int, RandomState or Generator, default=0
            Seed or source of the draws.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
        >>> there = model.affine([[1.0]], [2.0])  # Of N(0, 1) and N(2, 1): 2 Φ(−1) = 0.317
        >>> found = model.overlap(there)
        >>> bool(abs(found.value - 0.317) < 5 * found.standard_error)
        True
        """
        draws = self._draws(n_samples, random_state)
        return divergence.overlap(self._mixture, self._other(other), draws)

    def wasserstein(self, other: Fitted) -> float:
        """The distance MW₂ in the units of X: the root of the least mean squared distance by which mass is moved to
        another mixture, if each component goes to components (Delon and Desolneux 2020).

        It is exact, no less than the 2-Wasserstein distance of the mixtures, and equal to it for one component each.

        Parameters
        ----------
        other : GMM or BayesianGMM
            The mixture to compare with, of the same features.

        Examples
        --------
        >>> from cgmm import GMM
        >>> p, q = (GMM.from_parameters([1.0], [[mean]], [[[1.0]]]) for mean in (0.0, 3.0))
        >>> p.wasserstein(q)
        3.0
        """
        return products.wasserstein(self._mixture, self._other(other))

    def l2_distance(self, other: Fitted) -> float:
        """(∫ (p − q)² dx)^½, exact.

        Parameters
        ----------
        other : GMM or BayesianGMM
            The mixture to compare with, of the same features.

        Examples
        --------
        >>> from cgmm import GMM
        >>> p, q = (GMM.from_parameters([1.0], [[mean]], [[[1.0]]]) for mean in (0.0, 3.0))
        >>> round(p.l2_distance(q), 4)
        0.7104
        """
        return products.l2_distance(self._mixture, self._other(other))

    def _draws(self, n_samples: int, random_state: Seed) -> Draws:
        n = check_count("n_samples", n_samples, least=2)
        return Draws(n, check_random_state(random_state), check_threads(self.n_threads))
