"""Fits that are to survive rows that a mixture cannot be estimated from: made, run, and looked at."""

import warnings

import numpy as np
from numpy.testing import assert_allclose

import cgmm
from cgmm import GMM, DegenerateWarning
from cgmm.fit.report import MOST_CAUSES, MOST_CHARACTERS, listed
from cgmm.mixture.rules import SINGULAR
from datasets import compact, invert

FALL = {np.float64: 1e-10, np.float32: 1e-5}  # relative: rounding of a mean log-likelihood; of float32's at 1 to 1000


def model_of(case, family, **arguments):
    if case.start is not None:
        weights, means, covariances = case.start
        precisions = invert(compact(covariances, family), family)
        arguments |= {"weights_init": weights, "means_init": means, "precisions_init": precisions}
    return GMM(case.n_components, covariance_type=family, **{"random_state": 0} | arguments)


def repaired(model, X, **arguments):
    """The model fitted, and the text of its one DegenerateWarning, or none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, **arguments)
    told = [w for w in caught if not issubclass(w.category, cgmm.ConvergenceWarning)]
    assert all(w.category is DegenerateWarning for w in told) and len(told) <= 1
    return model, "".join(str(w.message) for w in told)


def assert_survives(model, X, told, falls=False):
    """Finite, a mixture, a likelihood that does not fall, unless it may, and each repaired component told of, once."""
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_"):
        assert np.isfinite(getattr(model, name)).all(), name
    assert_allclose(model.weights_.sum(), 1, rtol=1e-12)
    assert model.weights_.min() >= 0
    history = [*model.lower_bounds_, model.score(X)]
    fall = FALL[X.dtype.type if X.dtype.type in FALL else np.float64]
    assert falls or np.all(np.diff(history) >= -fall * np.maximum(1, np.abs(history[1:])))
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.predict(X).max() < model.n_components
    assert np.isfinite(model.sample(20)[0]).all()
    assert_told(told, model.diagnostics_.degenerate)


def assert_told(told, repairs):
    """Each cause is told of once, with its components; those of features that are constant or determine one
    another are told of by these."""
    assert len(told) <= MOST_CHARACTERS and (told or not repairs)
    causes = {}
    for repair in sorted(repairs, key=lambda repair: (repair.component, repair.iteration)):
        if not (repair.cause == SINGULAR and ", and covariances singular" in told):
            causes.setdefault(repair.cause, {})[repair.component] = None
    for cause, components in list(causes.items())[:MOST_CAUSES]:
        named = (
            f"components {listed(list(components))} " if len(components) > 1 else f"component {next(iter(components))} "
        )
        assert named in told and told.count(cause) == 1
    assert ("more (see diagnostics_)" in told) == (len(causes) > MOST_CAUSES)


def text_of(action):
    """What an action returns, and its DegenerateWarnings as one text; there is no more than one."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = action()
    texts = [str(warning.message) for warning in told if warning.category is DegenerateWarning]
    assert len(texts) <= 1 and all(len(text) <= 300 for text in texts)
    return found, "".join(texts)
