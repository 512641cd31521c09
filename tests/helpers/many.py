"""Many problems, and how the fits of many are compared with fits one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMM
from problems import FITTED, assert_same_bits, clusters

UNWARNED = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
    pytest.mark.filterwarnings(r"ignore:\d+ of \d+ problems .* did not converge"),  # and some are degenerate
]


def problems_like(n, d, k, m=5, dtype=np.float64):
    """A list of m sets of rows, of n rows and fewer."""
    return [clusters(n - i if n > 10 * m else n, d, k, seed=i).astype(dtype) for i in range(m)]


def weights_like(problems, kind):
    rng = np.random.default_rng(1)
    if kind == "none":
        return None
    draw = {"counts": lambda n: rng.integers(0, 3, n), "reals": lambda n: rng.uniform(0, 3e-5, n)}[kind]
    weights = [draw(len(X)).astype(float) for X in problems]
    for w in weights:
        w[: min(len(w), 8)] = w.max() + 1e-6  # there are enough rows of positive weight
    return weights


def alone_as(n_components=1, **arguments):
    """The GMM of one problem, with the defaults of fit_many."""
    return GMM(n_components, **{"reg_covar": "relative", **arguments})


def assert_same_fit(found, alone):
    assert_same_bits(found, alone, names=(*FITTED, "n_iter_", "converged_", "precisions_cholesky_"))
    assert str(found.diagnostics_) == str(alone.diagnostics_)
    assert found.diagnostics_.repairs == alone.diagnostics_.repairs
    assert found.diagnostics_.passes == alone.diagnostics_.passes
    for one, other in zip(found.diagnostics_.restarts, alone.diagnostics_.restarts, strict=True):
        assert one[:5] == other[:5]
        assert_array_equal(one.lower_bounds, other.lower_bounds)
    assert repr(found) == repr(alone)


def assert_as_alone(fits, problems, weights=None, seeds=None, **arguments):
    """Every fit is that of GMM by itself, and the arrays are those of the fits."""
    assert len(fits) == len(problems)
    for i, X in enumerate(problems):
        w = None if weights is None else weights[i]
        seed = arguments.get("random_state") if seeds is None else seeds[i]
        alone = alone_as(**{**arguments, "random_state": seed}).fit(X, sample_weight=w)
        assert_same_fit(fits[i], alone)
        for name in ("weights", "means", "covariances", "converged", "n_iter"):
            assert_array_equal(getattr(fits, name)[i], getattr(alone, f"{name}_"))
        total = len(X) if w is None else np.sum(w)
        assert_allclose(fits.log_likelihood[i], alone.score(X, sample_weight=w) * total, rtol=1e-13)
        assert_allclose(fits.bic[i], alone.bic(X, sample_weight=w), rtol=1e-13)
        if w is None:
            assert_allclose(fits.aic[i], alone.aic(X), rtol=1e-13)
