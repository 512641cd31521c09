"""Ways to hand over the same rows, and rows on which rounding stays rounding, for laws over all of them."""

import itertools
import uuid
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import recipes
from cgmm import GMM, Prior
from cgmm.rows.part import Part
from datasets import invert
from problems import clusters, start_of


def cuts_of(n, rng):
    """Where n rows are cut into one to six blocks, some of them perhaps without rows."""
    return [0, *np.sort(rng.integers(0, n + 1, size=rng.integers(0, 6))).tolist(), n]


def part_of(X, sample_weight=None, labels=None, error_covariances=None):
    """Rows, and what `fit` is given beside them, of each row."""
    n, d = X.shape
    w, errors = sample_weight, error_covariances
    if w is not None:
        w = np.array(np.broadcast_to(np.asarray(w, float), n))
    if errors is not None:
        errors = np.asarray(errors)
        errors = np.array(np.broadcast_to(errors, (n, d) if errors.shape in ((d,), (n, d)) else (n, d, d)))
    return Part(X, w, labels, errors)


def companions_of(part):
    """What goes with rows, as `fit` is given it."""
    return {"sample_weight": part.weights, "labels": part.labels, "error_covariances": part.errors}


def parts_of(part, rng):
    """Its rows, cut anywhere."""
    return [part.taken(slice(*ends)) for ends in itertools.pairwise(cuts_of(len(part.rows), rng))]


def block_of(part):
    """Rows as a block: an array, or a tuple of an array and what belongs to its rows."""
    last = max(at for at, values in enumerate(part) if values is not None)
    return tuple(part[: last + 1]) if last else part.rows


def blocks_of(part, rng):
    return [block_of(one) for one in parts_of(part, rng)]


class Again:
    """Blocks, as often as they are asked for, by an object that is no sequence."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __iter__(self):
        return iter(self.blocks)


def refilled(part, rng):
    """A function of blocks that all lie in the same memory, as readers do that have one buffer."""
    parts = parts_of(part, rng)

    def read():
        buffer = part.copied()
        for one in parts:
            buffer.put(0, one)
            yield block_of(buffer.taken(slice(len(one.rows))))
        for values in buffer:
            if values is not None:
                values.fill(0)

    return read


def npy(X, companions, folder):
    path = folder / f"{uuid.uuid4()}.npy"
    kind = X.dtype if X.dtype in (np.float32, np.float64) else float  # of others, a file brings its weights itself
    np.save(path, np.ascontiguousarray(X, X.dtype.newbyteorder("=") if kind is not float else float))
    return path, companions


WAYS = {  # function (X, companions of fit, rng, folder) → X, companions
    "a list": lambda X, companions, rng, folder: (blocks_of(part_of(X, **companions), rng), {}),
    "a function": lambda X, companions, rng, folder: (Again(blocks_of(part_of(X, **companions), rng)).__iter__, {}),
    "an iterable": lambda X, companions, rng, folder: (Again(blocks_of(part_of(X, **companions), rng)), {}),
    "one buffer": lambda X, companions, rng, folder: (refilled(part_of(X, **companions), rng), {}),
    "npy": lambda X, companions, rng, folder: npy(X, companions, folder),
}


def as_array(X):
    """Rows as an array whose values NumPy's files and blocks can hold."""
    X = np.asarray(X)
    return X.astype(float) if X.dtype == object else X


# Rows on which rounding stays rounding

TAME_WEIGHTS = {
    "none": lambda rng, n: None,
    "ones": lambda rng, n: np.ones(n),
    "zeros among them": lambda rng, n: rng.uniform(0.5, 2.0, n) * (rng.random(n) < 0.8),
    "whole": lambda rng, n: rng.integers(1, 4, n).astype(float),
    "tiny": lambda rng, n: 1e-290 * rng.uniform(0.5, 2.0, n),
    "huge": lambda rng, n: 1e290 * rng.uniform(0.5, 2.0, n),
}
TAME_PRIORS = {
    "none": None,
    "default": "default",
    "weights": Prior(weight_concentration=3.0, mean_precision=0.0),
    "strong": Prior(weight_concentration=2.0, mean_precision=1.0, degrees_of_freedom=40.0),
}


TAME_ERRORS = ("none", "none", "none", "none", "variances", "of some", "one for all", "matrices", "a matrix for all")


class Tame(NamedTuple):
    """A short fit from given parameters, of clusters with many rows for each, with neither ties nor floors near.

    missing : share of the values that are not there;  fixed : names of what stays in all components
    errors : kind of the errors of measurement, whose variances are a tenth of a cluster's
    """

    n: int = 300
    d: int = 2
    k: int = 2
    family: str = "full"
    dtype: str = "float64"
    layout: str = "C"
    weights: str = "none"
    prior: str = "none"
    missing: float = 0.0
    fixed: tuple = ()
    distance: float = 4.0
    iterations: int = 3
    errors: str = "none"
    seed: int = 0

    @property
    def rng(self):
        return np.random.default_rng([self.seed, self.n, self.d, self.k])

    @property
    def rounding(self):
        """Of results, relative to the largest: eps times some hundred operations in a row, times condition numbers of
        1e4 at most; float32 keeps 24 bits of rows and densities."""
        return 1e-3 if self.dtype in ("float32", ">f4") else 1e-8

    def complete(self):
        """Rows (n,d) of float64, before any is missing."""
        return clusters(self.n, self.d, self.k, seed=self.seed, distance=self.distance)

    def build(self, of=None):
        """The rows (or others) with gaps, in the type and the layout of the recipe."""
        X = self.complete() if of is None else np.array(of, dtype=float)
        if self.missing:
            gaps = self.rng.random(X.shape) < self.missing
            gaps[: self.d + 1] = False
            X[gaps] = np.nan
        return recipes.arranged(X.astype(self.dtype), self.layout)

    def row_weights(self):
        return TAME_WEIGHTS[self.weights](self.rng, self.n)

    def error_covariances(self):
        return recipes.ERRORS[self.errors](self.rng, self.n, np.full(self.d, 0.1))

    def part(self):
        """The rows, and what belongs to each."""
        return part_of(np.asarray(self.build()), self.row_weights(), error_covariances=self.error_covariances())

    def start(self):
        """Weights, means and covariances to begin from."""
        return start_of(self.complete(), self.k, self.family)

    def model(self, start=None, **changes):
        """The GMM of this recipe, which begins at its start or at another."""
        weights, means, covariances = self.start() if start is None else start
        return GMM(
            **{
                "n_components": self.k,
                "covariance_type": self.family,
                "weights_init": weights,
                "means_init": means,
                "precisions_init": invert(covariances, self.family),
                "prior": TAME_PRIORS[self.prior],
                "missing": "marginal" if self.missing else "error",
                "fixed": self.fixed,
                "max_iter": self.iterations,
                "reg_covar": 1e-6,
                "tol": 0.0,
                "on_degenerate": "repair",
            }
            | changes
        )


@st.composite
def tame(
    draw, missing=(0.0, 0.0, 0.1), weights=tuple(TAME_WEIGHTS), priors=tuple(TAME_PRIORS), most=400, errors=TAME_ERRORS
):
    """Recipes of Tame."""
    d, k, prior = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.sampled_from(priors))
    if prior != "none":  # beside which weights are counts, and less than a row in all has no covariance
        weights = [kind for kind in weights if kind not in ("tiny", "huge")]
    return Tame(
        n=draw(st.integers(60 * k, max(most, 60 * k + 1))),
        d=d,
        k=k,
        family=draw(st.sampled_from(recipes.FAMILIES)),
        dtype=draw(st.sampled_from(["float64", "float64", "float32", ">f8", ">f4"])),
        layout=draw(st.sampled_from([layout for layout in recipes.LAYOUTS if layout != "list"])),
        weights=draw(st.sampled_from(weights)),
        prior=prior,
        missing=draw(st.sampled_from(missing)) if d > 1 else 0.0,
        fixed=tuple(draw(st.sampled_from([(), (), (), ("weights",), ("means",), ("covariances",)]))),
        distance=draw(st.floats(2, 8)),
        iterations=draw(st.integers(1, 5)),
        errors=draw(st.sampled_from(errors)),
        seed=draw(st.integers(0, 1000)),
    )


def assert_close(a, b, recipe, names=("weights_", "means_", "covariances_", "lower_bounds_")):
    """Equal to the recipe's rounding of the largest value, or of one where that is less."""
    for name in names:
        expected = getattr(b, name)
        bound = recipe.rounding * max(1.0, np.abs(expected).max())
        assert_allclose(getattr(a, name), expected, rtol=0, atol=bound, err_msg=name)
