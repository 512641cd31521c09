"""Arguments out of range or of the wrong type are refused before any work, by name."""

from fractions import Fraction

import numpy as np
import pytest

from cgmm import GMM, kmeans

INF, NAN = float("inf"), float("nan")
X = np.random.RandomState(0).randn(60, 3) + np.repeat([[0.0], [20.0]], 30, axis=0)


def put(array, at, value):
    """A copy of the array with one value replaced."""
    changed = np.array(array)
    changed[at] = value
    return changed


# Constructor parameters

NOT_COUNTS = [(value, TypeError, "must be an integer") for value in (True, np.True_, 1.5, 2.0, "2", None)]
NOT_ROWS = [(value, TypeError, "must be a number") for value in (True, "1", 1j)]
NOT_REALS = [*NOT_ROWS, (None, TypeError, "must be a number")]
NOT_NUMBERS = NOT_REALS + [
    (value, ValueError, "must be finite and at least 0") for value in (-1e-9, NAN, INF, Fraction(10**400))
]
NOT_FLAGS = [(value, TypeError, "must be True or False") for value in (0, 1, "yes", None)]
NOT_CHOICES = [(value, ValueError, "must be one of") for value in ("Full", "", None, 3, ["full"])]
BAD_SETTINGS = {
    "n_components": [*NOT_COUNTS, (0, ValueError, "at least 1"), (61, ValueError, "n_samples=60 should be >=")],
    "covariance_type": NOT_CHOICES,
    "tol": NOT_NUMBERS,
    "stop": NOT_CHOICES,
    "accelerate": NOT_FLAGS,
    "noise_component": [
        (value, (ValueError, TypeError), "must be") for value in ("box", True, 0.0, -1, np.nan, np.inf, [1])
    ],
    "learning_decay": [*NOT_REALS, (0.49, ValueError, "at least 0.5"), (1.01, ValueError, "at most 1.0")],
    "learning_rows": [*NOT_ROWS, (0.5, ValueError, "at least 1.0")],
    "forget": [*NOT_ROWS, (0, ValueError, "at least 1.0")],
    "reg_covar": NOT_NUMBERS,
    "max_iter": [*NOT_COUNTS, (-1, ValueError, "at least 0")],
    "n_init": [*NOT_COUNTS, (0, ValueError, "at least 1")],
    "init_params": NOT_CHOICES,
    "random_state": [(value, TypeError, "must be None, an int") for value in (True, 1.5, "0", [1])]
    + [(-1, ValueError, "must not be negative")],
    "warm_start": NOT_FLAGS,
    "verbose": [(-1, ValueError, "at least 0"), (0.5, TypeError, "an integer"), ("yes", TypeError, "an integer")],
    "verbose_interval": [*NOT_COUNTS, (0, ValueError, "at least 1")],
    "fixed": [
        ("mean", ValueError, "'weights', 'means', 'covariances', not 'mean'"),
        (["means", 1], ValueError, "not 1"),
        ([["means"]], TypeError, "collection of names"),
        ({"means": [True]}, ValueError, "mask of 2 bools"),
        ({"means": [1, 0]}, ValueError, "mask of 2 bools"),
        ({"means": [False, True]}, ValueError, "needs means_init"),
        (3, TypeError, "collection of names"),
        (None, TypeError, "collection of names"),
    ],
    "prior": [(value, ValueError, "None, 'default', 'mclust' or a cgmm.Prior") for value in ("R", 1, {})],
    "on_degenerate": NOT_CHOICES,
    "missing": NOT_CHOICES,
    "responsibilities_init": [
        (np.zeros(59), ValueError, r"labels \(60,\) or responsibilities \(60, 2\)"),
        (np.full(60, 2), ValueError, "labels from 0 to 1"),
        (np.full(60, 0.5), ValueError, "labels from 0 to 1"),
        (np.full((60, 2), 0.6), ValueError, "sum to one"),
        (np.full((60, 2), [1.5, -0.5]), ValueError, "non-negative"),
    ],
    "n_threads": [
        *(bad for bad in NOT_COUNTS if bad[0] is not None),
        (0, ValueError, "at least 1"),
        (2**31, ValueError, "at most"),
    ],
    "checkpoint": [(value, TypeError, "a path or None") for value in (1, True, ["file"])],
    "checkpoint_interval": [*NOT_COUNTS, (0, ValueError, "at least 1")],
    "callback": [(value, TypeError, "must be callable") for value in ("print", 1, True)],
}


@pytest.mark.parametrize(
    "name, bad, error, fragment", [(name, *case) for name, cases in BAD_SETTINGS.items() for case in cases]
)
def test_settings_are_refused(name, bad, error, fragment):
    with pytest.raises(error, match=f"{name}.*{fragment}|{fragment}.*{name}"):
        GMM(**{"n_components": 2, name: bad}).fit(X)


def test_every_setting_is_in_the_table():
    starts = {"weights_init", "means_init", "precisions_init"}
    assert set(GMM().get_params()) == set(BAD_SETTINGS) | starts


@pytest.mark.parametrize("bad, error, fragment", BAD_SETTINGS["n_threads"])
@pytest.mark.parametrize("use", [GMM.predict, GMM.score, GMM.icl])
def test_threads_are_checked_in_use(use, bad, error, fragment):
    model = GMM.from_parameters([1], [[0]], [[[1]]]).set_params(n_threads=bad)
    with pytest.raises(error, match=f"n_threads.*{fragment}"):
        use(model, [[0]])


@pytest.mark.parametrize("bad, error, fragment", [*NOT_COUNTS, (0, ValueError, "at least 1")])
def test_sample_size_is_checked(bad, error, fragment):
    with pytest.raises(error, match=f"n_samples.*{fragment}"):
        GMM.from_parameters([1], [[0]], [[[1]]]).sample(bad)


# Parameters to start from, or of a mixture (from_parameters), or centers of k-means

MEANS = np.array([[0.0, 0, 0], [20, 20, 20]])
MATRIX = np.diag([1.0, 2, 3])
GOOD = {
    "full": np.stack([MATRIX, MATRIX]),
    "tied": MATRIX,
    "diag": np.array([[1.0, 2, 3], [4, 5, 6]]),
    "spherical": np.array([1.0, 2]),
}
BAD_WEIGHTS = [
    ([1.0], ValueError, r"shape of \(2,\), but got \(1,\)"),
    ([[0.5, 0.5]], ValueError, r"shape of \(2,\), but got \(1, 2\)"),
    ([0.5, 0.6], ValueError, r"normalized.*1\.1"),
    ([1.5, -0.5], ValueError, r"must not be negative, but \w+\[1\] is -0\.5"),
    ([NAN, 1], ValueError, r"leaves nothing for the unknown|NaN.*\[0\]"),
    (["a", "b"], TypeError, "must be numeric"),
    ([1j, 1], ValueError, "Complex"),
    ([[1], [1, 2]], ValueError, "not a rectangular array"),
]
BAD_MEANS = [
    (MEANS[:1], ValueError, r"shape of \(2, 3\), but got \(1, 3\)"),
    (MEANS.T, ValueError, r"shape of \(2, 3\), but got \(3, 2\)"),
    (put(MEANS, (1, 2), INF), ValueError, r"infinity.*\[1, 2\]"),
    (MEANS.astype(str), TypeError, "must be numeric"),
    ([[0, 0, 0], [1, 1]], ValueError, "not a rectangular array"),
]


def bad_matrices():
    """family, bad covariances or precisions, fragment of the message"""
    for family, good in GOOD.items():
        last = tuple(size - 1 for size in good.shape)
        yield family, good[:1], "should have the shape of"
        yield family, good[np.newaxis], "should have the shape of"
        if family != "spherical":  # there it says that a component is unknown
            yield family, put(good, last, NAN), rf"NaN.*\[{', '.join(map(str, last))}\]"
        yield family, put(good, last, -1.0), "should be.*positive" + ("" if family == "tied" else ".*component 1")
        yield family, put(good, last, 0.0), "should be.*positive"
    for family in ("full", "tied"):
        yield family, put(GOOD[family], (..., 0, 1), 0.5), "is not symmetric"


@pytest.mark.parametrize(
    "name, bad, error, fragment",
    [("weights_init", *case) for case in BAD_WEIGHTS] + [("means_init", *case) for case in BAD_MEANS],
)
def test_starts_are_refused(name, bad, error, fragment):
    with pytest.raises(error, match=f"(?s){name}.*{fragment}|{fragment}.*{name}"):
        GMM(2, **{name: bad}).fit(X)


@pytest.mark.parametrize("family, bad, fragment", list(bad_matrices()))
def test_matrices_are_refused(family, bad, fragment):
    with pytest.raises(ValueError, match=f"precisions_init.*{fragment}"):
        GMM(2, covariance_type=family, precisions_init=bad).fit(X)
    with pytest.raises(ValueError, match=f"covariances.*{fragment}"):
        GMM.from_parameters([0.5, 0.5], MEANS, bad, family)


@pytest.mark.parametrize("family", GOOD)
def test_precisions_without_an_inverse_are_refused(family):
    with pytest.raises(ValueError, match="precisions_init"):
        GMM(2, covariance_type=family, precisions_init=1e-320 * GOOD[family]).fit(X)


@pytest.mark.parametrize("bad, error, fragment", BAD_WEIGHTS)
def test_mixture_weights_are_refused(bad, error, fragment):
    with pytest.raises(error, match=f"(?s)weights.*{fragment}|{fragment}.*weights"):
        GMM.from_parameters(bad, MEANS, GOOD["full"])


@pytest.mark.parametrize(
    "bad, error, fragment",
    [
        ([0.0, 20.0], ValueError, r"means must have shape \(components, features\), not \(2,\)"),
        (np.empty((0, 3)), ValueError, r"means must have shape \(components, features\), not \(0, 3\)"),
        (put(MEANS, (0, 1), NAN), ValueError, r"NaN.*means\[0, 1\]"),
        (MEANS.astype(str), TypeError, "means must be numeric"),
        ([[0, 0, 0], [1, 1]], ValueError, "means is not a rectangular array"),
    ],
)
def test_mixture_means_are_refused(bad, error, fragment):
    with pytest.raises(error, match=f"(?s){fragment}"):
        GMM.from_parameters([0.5, 0.5], bad, GOOD["full"])


@pytest.mark.parametrize("bad, error, fragment", NOT_CHOICES)
def test_mixture_family_is_refused(bad, error, fragment):
    with pytest.raises(error, match=f"covariance_type.*{fragment}"):
        GMM.from_parameters([0.5, 0.5], MEANS, GOOD["full"], bad)


@pytest.mark.parametrize("name", ["weights", "means", "covariances"])
def test_fixed_needs_its_start(name):
    start = {"weights": "weights_init", "means": "means_init", "covariances": "precisions_init"}[name]
    for fixed in (name, (name,), {name}, iter([name])):
        with pytest.raises(ValueError, match=f"fixed='{name}' needs {start}"):
            GMM(2, fixed=fixed, warm_start=True).fit(X)


BAD_KMEANS = {
    "n_clusters": BAD_SETTINGS["n_components"],
    "max_iter": BAD_SETTINGS["max_iter"],
    "n_init": BAD_SETTINGS["n_init"],
    "tol": NOT_NUMBERS,
    "random_state": BAD_SETTINGS["random_state"],
    "n_threads": BAD_SETTINGS["n_threads"],
    "init": [("kmeans", ValueError, "must be one of 'k-means\\+\\+', 'random'"), *BAD_MEANS],
}


@pytest.mark.parametrize(
    "name, bad, error, fragment", [(name, *case) for name, cases in BAD_KMEANS.items() for case in cases]
)
def test_kmeans_arguments_are_refused(name, bad, error, fragment):
    with pytest.raises(error, match=f"(?s){name}.*{fragment}|{fragment}.*{name}"):
        kmeans(X, **{"n_clusters": 2, name: bad})
