"""scikit-learn's mixtures, by name and to the letter, computed by cgmm: see docs/patching.md.

``from cgmm.sklearn import GaussianMixture`` is a subclass of scikit-learn's class, and differs in its speed alone.
``patch_sklearn()`` lends cgmm to scikit-learn's own classes, for programs that import them by themselves.

BayesianGaussianMixture is scikit-learn's own for now, and is computed by scikit-learn.
"""

from sklearn.mixture import BayesianGaussianMixture

from cgmm.sklearn.lending import GaussianMixture
from cgmm.sklearn.patching import Patch, patch_sklearn, unpatch_sklearn

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "Patch", "patch_sklearn", "unpatch_sklearn"]
