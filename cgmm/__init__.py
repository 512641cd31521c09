"""Gaussian mixture models by EM, at the speed that the machine allows."""

from cgmm.command import signals  # isort: skip  # before NumPy: Ctrl-C meanwhile ends the command line quietly
from cgmm import beside  # isort: skip  # before what needs the compiled core: it says where that is missing
from cgmm import waiting  # isort: skip  # before any other loads the kernels, and OpenMP with them
from cgmm import plot
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


def __dir__() -> list[str]:
    """What is public: the rooms behind it may change."""
    return sorted([*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__"])
