"""Gaussian mixture models by EM, at the speed that the machine allows."""

from cgmm.command import signals  # isort: skip  # before NumPy: Ctrl-C meanwhile ends the command line quietly
from cgmm import beside  # isort: skip  # before what needs the compiled core: it says where that is missing
from cgmm import waiting  # isort: skip  # before any other loads the kernels, and OpenMP with them
from typing import TYPE_CHECKING, Any

from cgmm import plot, suggestions
from cgmm.bayesian import BayesianGMM
from cgmm.bayesian_fits import BayesianFits
from cgmm.bootstrapped import Bootstrap, bootstrap
from cgmm.candidates import Selection
from cgmm.classification import GMMClassifier
from cgmm.combined import Combination, combine
from cgmm.config import VERSION as __version__
from cgmm.config import show_config
from cgmm.directions import Directions, directions
from cgmm.errors import ConvergenceWarning, DegenerateError, DegenerateWarning, NotFittedError, SelectionWarning
from cgmm.fits import Fits
from cgmm.gmm import GMM
from cgmm.kmeans import KMeansResult, kmeans
from cgmm.likelihood_ratio import LikelihoodRatioTest, likelihood_ratio_test
from cgmm.many import fit_many
from cgmm.mixture.prior import Prior
from cgmm.mixture.statistics import SufficientStatistics
from cgmm.regression import GMMRegressor
from cgmm.selection import select
from cgmm.steps import expectation, maximisation
from cgmm.tables import Table, table

del beside, signals, waiting
__all__ = [
    "GMM",
    "BayesianFits",
    "BayesianGMM",
    "Bootstrap",
    "Combination",
    "ConvergenceWarning",
    "DegenerateError",
    "DegenerateWarning",
    "Directions",
    "Fits",
    "GMMClassifier",
    "GMMRegressor",
    "KMeansResult",
    "LikelihoodRatioTest",
    "NotFittedError",
    "Prior",
    "Selection",
    "SelectionWarning",
    "SufficientStatistics",
    "Table",
    "__version__",
    "bootstrap",
    "combine",
    "directions",
    "expectation",
    "fit_many",
    "kmeans",
    "likelihood_ratio_test",
    "maximisation",
    "plot",
    "select",
    "show_config",
    "table",
]


if not TYPE_CHECKING:  # a type checker is to find what there is not

    def __getattr__(name: str) -> Any:
        """AttributeError, which says what is meant."""
        hint = suggestions.suggested(name, [*__all__, "GMM.load"], suggestions.PUBLIC)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    """What is public: the rooms behind it may change."""
    return sorted([*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__"])
