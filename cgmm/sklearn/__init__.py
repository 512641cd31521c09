"""scikit-learn's mixtures, by name and to the letter, computed by cgmm: see docs/patching.md.

``from cgmm.sklearn import GaussianMixture, BayesianGaussianMixture``: subclasses of scikit-learn's, which differ in
their speed alone.
``patch_sklearn()`` lends cgmm to scikit-learn's own classes, for programs that import them by themselves.
"""

from cgmm.sklearn.lending import BayesianGaussianMixture, GaussianMixture
from cgmm.sklearn.patching import Patch, patch_sklearn, unpatch_sklearn

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "Patch", "patch_sklearn", "unpatch_sklearn"]
