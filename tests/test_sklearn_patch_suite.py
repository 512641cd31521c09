"""scikit-learn's own tests of both mixtures, patched, but for those LEFT_OUT for a reason."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("sklearn.mixture.tests")

from cgmm.sklearn import patch_sklearn

pytestmark = [
    pytest.mark.full(
        "test_scikit_learn_suite.py, most of these tests with GMM itself; test_sklearn_patch.py, the patch"
    ),
    # These are errors in this project's tests.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestWarning"),
]

LEFT_OUT = {
    # It counts the calls of a function by which scikit-learn estimates parameters, and cgmm does not.
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters",
    # Rows on other devices, each with a fixture of scikit-learn's: patched or not, scikit-learn computes them.
    "test_gaussian_mixture_array_api_compliance",
    "test_gaussian_mixture_raises_where_array_api_not_implemented",
}


def own_tests(name):
    """The tests of a module of scikit-learn's, in a copy of it that no other test has changed."""
    spec = importlib.util.find_spec(f"sklearn.mixture.tests.{name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = {n: f for n, f in vars(module).items() if n.startswith("test_") and n not in LEFT_OUT}
    return {f"{own}_of_{name}": test for own, test in tests.items()}


for module in ("test_gaussian_mixture", "test_bayesian_mixture", "test_mixture"):
    globals().update(own_tests(module))


@pytest.fixture(autouse=True)
def patched():
    with patch_sklearn():
        yield


@pytest.fixture
def global_random_seed():
    return 0


@pytest.fixture(params=["float32", "float64"])
def global_dtype(request):
    return request.param


def test_what_is_left_out_is_told():
    """By docs/patching.md, with the reason."""
    told = (Path(__file__).parents[1] / "docs" / "patching.md").read_text()
    assert set(re.findall(r"`(test_\w+)`", told)) == LEFT_OUT
