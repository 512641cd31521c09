"""Gaussian mixture models by EM, at the speed that the machine allows."""

from cgmm.command import signals  # isort: skip  # before NumPy: Ctrl-C meanwhile ends the command line quietly
from cgmm import plot
from cgmm.config import show_config
from cgmm.gmm import GMM
from cgmm.kmeans import KMeansResult, kmeans
from cgmm.prior import Prior
from cgmm.selection import Selection, select
from cgmm.statistics import SufficientStatistics
from cgmm.steps import expectation, maximisation
from cgmm.tables import Table, table
from cgmm.validation import ConvergenceWarning, DegenerateError, DegenerateWarning, NotFittedError

del signals
__version__ = "0.1.0"
__all__ = [
    "GMM",
    "ConvergenceWarning",
    "DegenerateError",
    "DegenerateWarning",
    "KMeansResult",
    "NotFittedError",
    "Prior",
    "Selection",
    "SufficientStatistics",
    "Table",
    "expectation",
    "kmeans",
    "maximisation",
    "plot",
    "select",
    "show_config",
    "table",
]
