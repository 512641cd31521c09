"""A posterior as a distribution: it is the mixture of its weights, means and covariances."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, BayesianGMM
from gaps import gappy
from problems import clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
X = clusters(300, 3, 3)

VALUES = {
    "mean": lambda model: model.mean(),
    "covariance": lambda model: model.covariance(),
    "marginal": lambda model: model.marginal([0, 2]).score_samples(X[:, [0, 2]]),
    "condition": lambda model: model.condition({1: 0.5}).score_samples(X[:, [0, 2]]),
    "conditional": lambda model: model.conditional(X[:, 1], [1]).mean(),
    "affine": lambda model: model.affine(np.eye(2, 3), 1.0).means_,
    "convolve": lambda model: model.convolve(2.0).score_samples(X),
    "simplify": lambda model: model.simplify(2).means_,
    "merge": lambda model: model.merge([0, 0, 1]).means_,
    "mix": lambda model: GMM.mix([model, model]).score_samples(X),
    "gradient": lambda model: model.gradient(X),
    "hessian": lambda model: model.hessian(X),
    "modes": lambda model: model.modes().points,
    "modal_labels": lambda model: model.modal_labels(X),
    "level": lambda model: model.level(0.9, n_samples=1000),
    "anomalies": lambda model: model.anomalies(X, 0.2, n_samples=1000),
    "cdf": lambda model: model.marginal([0]).cdf(X[:, 0]),
    "fisher_vector": lambda model: model.fisher_vector(X) if model.covariance_type == "diag" else 0.0,
    "entropy": lambda model: model.entropy(n_samples=1000).value,
}


@pytest.fixture(scope="module", params=reference.FAMILIES)
def model(request):
    return BayesianGMM(3, covariance_type=request.param, random_state=0).fit(X)


@pytest.mark.parametrize("verb", VALUES)
def test_a_verb_is_that_of_the_mixture(verb, model):
    mixture = GMM.from_parameters(model.weights_, model.means_, model.covariances_, model.covariance_type)
    close = 1e-8 if verb == "modes" else 1e-12  # climbs end at a peak to half of the digits that its density has
    assert_allclose(VALUES[verb](model), VALUES[verb](mixture), rtol=close, atol=close)


def test_what_lies_between_a_posterior_and_its_mixture_is_nothing(model):
    """Its expected log-densities, whose integrals are less than one, do not count there."""
    mixture = GMM.from_parameters(model.weights_, model.means_, model.covariances_, model.covariance_type)
    for one, other in ((model, mixture), (mixture, model), (model, model)):
        assert abs(one.kl_divergence(other, n_samples=1000).value) < 1e-12
        assert_allclose(one.overlap(other, n_samples=1000).value, 1.0, rtol=1e-12)
        assert abs(one.l2_distance(other)) < 1e-7  # a root of a difference of numbers of order one
        assert_allclose(one.product(other)[1], mixture.product(mixture)[1], rtol=1e-12)


def test_anomalies_among_rows_with_gaps_are_those_of_the_mixture():
    rows = gappy(X, 0.2)
    model = BayesianGMM(3, random_state=0, missing="marginal").fit(rows)
    assert_array_equal(
        model.anomalies(rows, 0.2, n_samples=1000), model.prune(0, point=True).anomalies(rows, 0.2, n_samples=1000)
    )
