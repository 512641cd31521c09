"""scikit-learn's own tests of GaussianMixture, with GMM in its place, but for those LEFT_OUT for a reason."""

import re
from pathlib import Path

import pytest

from cgmm import GMM

suite = pytest.importorskip("sklearn.mixture.tests.test_gaussian_mixture")

pytestmark = [  # that are errors in this project's tests
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
]

PRIVATE = "it calls private functions of scikit-learn"
ARRAY_API = "rows on other devices than the processor's memory are not supported"
LEFT_OUT = {
    "test_gaussian_mixture_precisions_init": PRIVATE,  # GaussianMixture._initialize; test_gmm.py has its law
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": PRIVATE,  # it counts calls of one
    "test_suffstat_sk_full": PRIVATE,
    "test_suffstat_sk_tied": PRIVATE,
    "test_suffstat_sk_diag": PRIVATE,
    "test_gaussian_suffstat_sk_spherical": PRIVATE,
    "test_compute_log_det_cholesky": PRIVATE,
    "test_gaussian_mixture_log_probabilities": PRIVATE,
    "test_gaussian_mixture_array_api_compliance": ARRAY_API,
    "test_gaussian_mixture_raises_where_array_api_not_implemented": ARRAY_API,
    "test_check_weights": "it demands an error's words, in which the largest and the smallest value are exchanged",
    "test_regularisation": "it demands an error where a covariance is singular, which cgmm repairs",
}


def test_what_is_left_out_is_told():
    """By docs/from-scikit-learn.md, with the reason."""
    told = (Path(__file__).parents[1] / "docs" / "from-scikit-learn.md").read_text()
    assert set(re.findall(r"`(test_\w+)`", told)) == set(LEFT_OUT)


class GaussianMixture(GMM):
    """The tests find its name in messages."""


suite.GaussianMixture = GaussianMixture
globals().update({n: f for n, f in vars(suite).items() if n.startswith("test_") and n not in LEFT_OUT})


@pytest.fixture
def global_random_seed():
    return 0


@pytest.fixture
def global_dtype():
    """Parameters are float64 for any rows: the tests that ask for float32's of float32 rows are not run."""
    return "float64"
