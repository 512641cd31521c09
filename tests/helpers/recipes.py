"""Recipes of fits for the fuzzer: what to build, as small values that Hypothesis draws, shrinks and prints.

Arrays come from kinds of columns and a seed rather than element by element: large ones cost no more to draw.
"""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cgmm import Prior

FAMILIES = ("full", "tied", "diag", "spherical")
OTHERS = ("EII", "EEI", "VEI", "EVI", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV")  # of two features or more
RADIAL = ("spherical", "EII", "E", "V")
DIAGONAL = ("diag", "EEI", "VEI", "EVI", *RADIAL)
SHARED = ("tied", "E", *OTHERS)  # those whose components have something in common
NAMES = ("weights", "means", "covariances")
NASTY = np.array(
    [0.0, -0.0, 1.0, -1.0, 1 / 3, 1 + 2.0**-52, 1e16, 5e-324, -1e-310, 2.3e-308, 1e-150, 1e150, -1e150, 1e-30, 1e30]
)
COLUMNS = {  # function (rng, n) → (n,)
    "normal": lambda rng, n: rng.standard_normal(n),
    "far": lambda rng, n: 1e9 + rng.standard_normal(n),
    "few": lambda rng, n: rng.integers(0, 3, size=n) * 1.7,
    "zeros": lambda rng, n: np.zeros(n),
    "constant": lambda rng, n: np.full(n, 7.1),
    "huge": lambda rng, n: 1e150 * rng.uniform(-1, 1, size=n),
    "tiny": lambda rng, n: 1e-150 * rng.standard_normal(n),
    "denormal": lambda rng, n: 1e-310 * rng.standard_normal(n),
    "scales": lambda rng, n: 10.0 ** rng.uniform(-100, 100, size=n),
    "counts": lambda rng, n: np.arange(n, dtype=float),
    "outlier": lambda rng, n: np.where(np.arange(n) == n - 1, 1e12, rng.standard_normal(n)),
    "one is other": lambda rng, n: np.where(np.arange(n) == n // 2, 1.0 + 2.0**-40, 1.0),
    "nasty": lambda rng, n: rng.choice(NASTY, size=n),
}
DTYPES = ("float64", "float32", "float16", "int64", "int8", "uint16", "bool", "object", ">f8", ">f4")
LARGEST = {"float32": 1e37, ">f4": 1e37, "float16": 6e4, "int64": 9e18, "int8": 127, "uint16": 65535}
LAYOUTS = ("C", "F", "strided", "reversed", "read-only", "list")


class Rows(NamedTuple):
    """Rows (n, d): columns of these kinds in turn, each exact multiples of the first from `independent` on, and the
    rows the first `distinct` over and over."""

    n: int = 30
    d: int = 2
    columns: tuple = ("normal",)
    distinct: int = 100
    independent: int = 100
    dtype: str = "float64"
    layout: str = "C"
    seed: int = 0

    def build(self):
        n, d = self.n, self.d
        rng = np.random.default_rng([self.seed, n, d])
        X = np.empty((n, d))
        for j in range(d):
            column = COLUMNS[self.columns[j % len(self.columns)]](rng, n)
            X[:, j] = column if j < self.independent else X[:, 0] * 2.0 ** (j % 5 - 2)
        X = X[np.arange(n) % self.distinct]
        most = LARGEST.get(self.dtype, 1e150)
        least = 0 if self.dtype == "uint16" else -most
        X = X > 0 if self.dtype == "bool" else np.clip(X, least, most).astype(self.dtype)
        return arranged(X, self.layout)


def arranged(X, layout):
    """The same rows, lying otherwise in memory."""
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "strided":
        wide = np.zeros((2 * X.shape[0], *X.shape[1:-1], X.shape[-1] + 1), dtype=X.dtype)
        wide[::2, ..., 1:] = X
        return wide[::2, ..., 1:]
    if layout == "reversed":
        return np.ascontiguousarray(X[::-1])[::-1]
    if layout == "read-only":
        X.flags.writeable = False
    return X.tolist() if layout == "list" else X


class StopAt:
    """A callback that ends each start's run at an iteration, and keeps what it saw."""

    def __init__(self, iteration):
        self.iteration, self.seen = iteration, []

    def __call__(self, state):
        self.seen.append((state.log_likelihood, state.change))
        return state.iteration >= self.iteration

    def __repr__(self):
        return f"StopAt({self.iteration})"


def own_means(X, k, random_state):
    return np.asarray(X, dtype=float)[random_state.choice(len(X), k)]


def own_labels(X, k, random_state):
    return random_state.randint(0, k, size=len(X))


def own_responsibilities(X, k, random_state):
    """Of a component or two for each row."""
    return (np.eye(k)[np.arange(len(X)) % k] + np.eye(k)[random_state.randint(0, k, size=len(X))]) / 2


STARTS = {
    "kmeans": "kmeans",
    "k-means++": "k-means++",
    "random": "random",
    "random_from_data": "random_from_data",
    "means": own_means,
    "labels": own_labels,
    "responsibilities": own_responsibilities,
}
WEIGHTS = {  # function (rng, n) → sample_weight
    "none": lambda rng, n: None,
    "ones": lambda rng, n: np.ones(n),
    "counts": lambda rng, n: np.arange(n) % 3 + (n < 3),
    "many zeros": lambda rng, n: (np.arange(n) % 4 == 0).astype(float),
    "wide": lambda rng, n: 10.0 ** rng.uniform(-12, 12, size=n),
    "huge ratios": lambda rng, n: 10.0 ** rng.uniform(-290, 290, size=n),
    "denormal": lambda rng, n: np.full(n, 5e-324),
    "one row": lambda rng, n: np.where(np.arange(n) == 0, 1e300, 1e-300),
    "integers": lambda rng, n: rng.integers(1, 5, size=n).tolist(),
    "a number": lambda rng, n: 2.5,
}
ERRORS = {  # function (rng, n, variances (d,)) → error_covariances, those of all rows or of each
    "none": lambda rng, n, variances: None,
    "zeros": lambda rng, n, variances: np.zeros((n, len(variances))),
    "variances": lambda rng, n, variances: variances * rng.gamma(1.0, 1.0, (n, len(variances))),
    "of some": lambda rng, n, variances: variances * rng.choice([0.0, 1.0, 2.0], (n, 1)),
    "large": lambda rng, n, variances: 1e6 * variances * rng.uniform(1.0, 2.0, (n, len(variances))),
    "wide": lambda rng, n, variances: 10.0 ** rng.uniform(-100, 100, (n, len(variances))),
    "one for all": lambda rng, n, variances: variances,
    "matrices": lambda rng, n, variances: _products(rng, n, variances, len(variances)),
    "singular": lambda rng, n, variances: _products(rng, n, variances, 1),
    "zero matrices": lambda rng, n, variances: np.zeros((n, len(variances), len(variances))),
    "a matrix for all": lambda rng, n, variances: _of_all(n, _products(rng, 1, variances, 1)[0] + np.diag(variances)),
}


def _products(rng, n, variances, rank):
    """Covariances (n,d,d) of this rank, or less."""
    roots = np.sqrt(variances)[:, np.newaxis] * rng.standard_normal((n, len(variances), rank))
    return roots @ roots.transpose(0, 2, 1)


def _of_all(n, S):
    """As of all rows; beside d rows, where it may as well be variances of each, for each."""
    return np.repeat(S[np.newaxis], n, axis=0) if n == len(S) else S


PRIORS = {  # function (d, family) → prior
    "mclust": lambda d, family: "default" if family in ("VEE", "EVE", "VVE", "EVV") else "mclust",
    "none": lambda d, family: None,
    "default": lambda d, family: "default",
    "weights": lambda d, family: Prior(weight_concentration=3.0),
    "no means": lambda d, family: Prior(mean_precision=0),
    "means": lambda d, family: Prior(mean_precision=1e6, mean=np.ones(d)),
    "small": lambda d, family: Prior(degrees_of_freedom=1e-3, covariance=_scale(d, family, 1e-9)),
    "strong": lambda d, family: Prior(degrees_of_freedom=1e6, covariance=_scale(d, family, 1e6), mean=np.zeros(d)),
}


def _scale(d, family, size):
    return size if family in DIAGONAL else size * np.eye(d)


class Fit(NamedTuple):
    """A fit: rows, row weights, and constructor arguments, those of starts as names of what to build.

    weights, means, precisions : kinds of start, or None;  unknown : every so many-th of them is left NaN, 0: none
    fixed : names, kept in all components (fixed_every 1) or by masks in every so many-th
    labels : kind of responsibilities_init, or None;  stop : iteration at which a callback ends it, or None
    missing : share of the values that are not there, none of them in the first row
    known : share of the rows whose component is told to `fit`;  noise : whether there is a noise component
    errors : kind of the errors of measurement;  errors_dtype : their type
    """

    rows: Rows = Rows()
    k: int = 2
    family: str = "full"
    arguments: tuple = ()  # of names and values, such as are handed on
    start: str = "kmeans"
    sample_weight: str = "none"
    weights: str | None = None
    means: str | None = None
    precisions: str | None = None
    unknown: int = 0
    fixed: tuple = ()
    fixed_every: int = 1
    labels: str | None = None
    prior: str = "none"
    missing: float = 0.0
    stop: int | None = None
    warm: bool = False
    known: float = 0.0
    noise: bool = False
    errors: str = "none"
    errors_dtype: str = "float64"

    def rng(self):
        return np.random.default_rng([self.rows.seed, self.k])

    def build(self):
        """The rows, with gaps."""
        if not self.missing:
            return self.rows.build()
        X = np.array(self.rows.build())
        gaps = self.rng().random(X.shape) < self.missing
        gaps[0] = False
        return arranged(np.where(gaps, np.nan, X), self.rows.layout)

    def row_weights(self):
        return WEIGHTS[self.sample_weight](self.rng(), self.rows.n)

    def component_labels(self):
        """The components of the rows that are told, −1 of the others; None where none is told."""
        if not self.known:
            return None
        rng = self.rng()
        return np.where(rng.random(self.rows.n) < self.known, rng.integers(0, self.k, self.rows.n), -1)

    def error_covariances(self):
        """Errors about as large as the rows vary, NaN where a value is missing; None of exact rows."""
        X, rng = np.array(self.build(), dtype=float), np.random.default_rng([self.rows.seed, self.k, 1])
        most = min(1e299, LARGEST.get(self.errors_dtype, np.inf))  # 1e300 is the most that an error may be
        found = ERRORS[self.errors](rng, self.rows.n, np.minimum(variances_of(np.nan_to_num(X)), 1e-8 * most))
        if found is None:
            return None
        found = np.minimum(found, most).astype(self.errors_dtype)
        if self.missing and len(found) == len(X) and found.ndim > 1:
            found[np.isnan(X)] = np.nan
            found.swapaxes(1, -1)[np.isnan(X)] = np.nan
        return arranged(found, self.rows.layout) if found.ndim > 1 else found

    def sound(self):
        """The same with some errors in double. In float32 singular matrices are rounded to some that are indefinite,
        beside which a covariance of less than this rounding has no density; and variances of all sizes to equal ones,
        of which d rows may be a covariance matrix, too, and are refused."""
        return self._replace(errors_dtype="float64") if self.errors in ("singular", "matrices", "wide") else self

    def companions(self):
        """What `fit` is given beside rows."""
        return {
            "sample_weight": self.row_weights(),
            "labels": self.component_labels(),
            "error_covariances": self.error_covariances(),
        }

    def masks(self):
        """Which components of each name are fixed, (k,) of bool."""
        mask = np.arange(self.k) % self.fixed_every == 0
        if self.family in SHARED:
            return {name: np.ones(self.k, bool) if name == "covariances" else mask for name in self.fixed}
        return dict.fromkeys(self.fixed, mask)

    def constructor(self, X):
        """GMM's arguments, for rows X as they are handed over."""
        X = np.nan_to_num(np.asarray(X).astype(float))
        d, k, rng = X.shape[1], self.k, self.rng()
        found = {
            "n_components": k,
            "covariance_type": self.family,
            "init_params": STARTS[self.start],
            "fixed": self.fixed if self.fixed_every == 1 else self.masks(),
            "prior": PRIORS[self.prior](d, self.family),
            "missing": "marginal" if self.missing else "error",
            "callback": None if self.stop is None else StopAt(self.stop),
            "warm_start": self.warm,
            "random_state": self.rows.seed,
            **dict(self.arguments),
        }
        if self.family in ("EVE", "VVE") and d > 16:  # an M-step takes half a second if components have fewer rows
            found |= {"max_iter": min(10, found.get("max_iter", 10)), "n_init": 1}
        if self.noise:
            found["noise_component"] = "uniform"
        if self.weights is not None:
            found["weights_init"] = self._some("weights", start_weights(self.weights, k, rng))
        if self.means is not None:
            found["means_init"] = self._some("means", start_means(self.means, X, k, rng))
        if self.precisions is not None:
            precisions = start_precisions(self.precisions, X, k, self.family, rng)
            shared = self.family in SHARED
            found["precisions_init"] = precisions if shared else self._some("covariances", precisions)
        if self.labels is not None:
            function = STARTS[self.labels]
            found["responsibilities_init"] = function(X, k, np.random.RandomState(self.rows.seed))
        return found

    def _some(self, name, values):
        """With NaN in the components that are left to the start; weights leave something for those."""
        if self.unknown:
            kept = self.masks().get(name, np.zeros(self.k, bool))
            unknown = (np.arange(self.k) % self.unknown == 0) & ~kept
            if name == "weights" and unknown.any():
                values *= 0.9
            values[unknown] = np.nan
        return values


def start_weights(kind, k, rng):
    """Weights (k,): equal, one nearly all, or with zeros."""
    if kind == "equal":
        return np.full(k, 1 / k)
    weights = 10.0 ** -np.arange(0, 40 * k, 40) if kind == "steep" else (np.arange(k) % 2 == 0).astype(float)
    return weights / weights.sum()


def start_means(kind, X, k, rng):
    """Means (k,d): rows, all the same, or far from every row."""
    rows = X[rng.choice(len(X), k)]
    if kind == "same":
        return np.repeat(rows[:1], k, axis=0)
    return rows if kind == "rows" else rows + 1e6 * (1 + np.abs(rows)) * np.arange(k)[:, np.newaxis]


def variances_of(X):
    """Of the columns (d,), or 1 where that is hardly a number."""
    with np.errstate(all="ignore"):
        variances = X.std(axis=0) ** 2
    return np.where((variances > 1e-290) & (variances < 1e290), variances, 1.0)


def start_precisions(kind, X, k, family, rng):
    """Precisions of a family: of the data's variances, of all sizes, correlated."""
    d = X.shape[1]
    if kind == "data":
        diagonal = np.tile(1 / variances_of(X), (k, 1))
    else:
        sizes = {"unit": 1.0, "large": 1e12, "small": 1e-12, "huge": 1e200, "tiny": 1e-200, "correlated": 1.0}
        diagonal = np.full((k, d), sizes[kind])
    if family in RADIAL:
        return diagonal[:, 0].copy()
    if family in DIAGONAL:
        return diagonal
    correlation = np.full((d, d), 0.99) + 0.01 * np.eye(d) if kind == "correlated" else np.eye(d)
    root = np.sqrt(diagonal)
    full = root[:, :, np.newaxis] * correlation * root[:, np.newaxis, :]
    return full[0] if family == "tied" else full


@st.composite
def rows(draw, least=1):
    n = draw(st.integers(least, 60))
    d = draw(st.one_of(st.integers(1, 6), st.integers(20, 40) if draw(st.integers(0, 7)) == 7 else st.integers(1, 3)))
    return Rows(
        n,
        d,
        columns=tuple(draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))),
        distinct=draw(st.sampled_from([100, 100, 1, 2, 3, 7])),
        independent=draw(st.sampled_from([100, 100, 1, 2])),
        dtype=draw(st.sampled_from(("float64", "float64", "float32", "float32", *DTYPES))),
        layout=draw(st.sampled_from(LAYOUTS)),
        seed=draw(st.integers(0, 1000)),
    )


SETTINGS = {
    "tol": st.sampled_from([1e-3, 0.0, 1e-10, 0, 1.0, 1e300, np.float32(1e-4)]),
    "reg_covar": st.sampled_from([0.0, 1e-6, 0, 1e-12, 1.0, 1e6, 5e-324, 1e-300, 1e300]),
    "max_iter": st.integers(0, 30),
    "n_init": st.integers(1, 6),
    "on_degenerate": st.sampled_from(["warn", "repair", "raise"]),
    "n_threads": st.sampled_from([None, 1, 2, 3]),
    "verbose": st.sampled_from([0, 2]),
    "learning_decay": st.sampled_from([0.5, 0.6, 1.0, 1]),
    "learning_rows": st.sampled_from([1, 5, 20.5, 1e300]),
    "forget": st.sampled_from([None, 1, 7.5, 1e300]),
    "stop": st.sampled_from(["change", "distance"]),
    "accelerate": st.booleans(),
}


def maybe(strategy, of=4):
    """None, or once in `of` times something."""
    return st.integers(1, of).flatmap(lambda drawn: strategy if drawn == of else st.none())


@st.composite
def fits(draw, labels=True, noise=True):
    """Any fit; without known components, or without noise, where a verb knows none."""
    data = draw(rows())
    k = draw(st.integers(1, min(8, data.n)))
    fixed = draw(maybe(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)))
    fixed = tuple(fixed or ())
    needed = {name: 1 if name in fixed else 4 for name in NAMES}
    arguments = draw(st.fixed_dictionaries({}, optional=SETTINGS))
    return Fit(
        data,
        k,
        family=draw(st.sampled_from((*FAMILIES, *FAMILIES, *(OTHERS if data.d > 1 else ("E", "V"))))),
        arguments=tuple(arguments.items()),
        start=draw(st.sampled_from(tuple(STARTS))),
        sample_weight=draw(st.sampled_from(("none", "none", *WEIGHTS))),
        weights=draw(maybe(st.sampled_from(["equal", "steep", "zeros"]), needed["weights"])),
        means=draw(maybe(st.sampled_from(["rows", "same", "far"]), needed["means"])),
        precisions=draw(
            maybe(
                st.sampled_from(["data", "unit", "large", "small", "huge", "tiny", "correlated"]), needed["covariances"]
            )
        ),
        unknown=draw(st.sampled_from([0, 0, 1, 2, 3])),
        fixed=fixed,
        fixed_every=draw(st.sampled_from([1, 2, 3])),
        labels=draw(maybe(st.sampled_from(["labels", "responsibilities"]), 6)),
        prior=draw(st.sampled_from(("none", "none", "none", *PRIORS))),
        missing=draw(st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.5, 0.95])),
        stop=draw(maybe(st.integers(1, 10))),
        warm=draw(st.booleans()),
        known=draw(st.sampled_from([0.0, 0.0, 0.0, 0.2, 1.0])) if labels else 0.0,
        noise=draw(st.sampled_from([False, False, False, True])) if noise else False,
        errors=draw(st.sampled_from((*["none"] * 20, *ERRORS))),
        errors_dtype=draw(st.sampled_from(("float64", "float64", "float32", ">f8"))),
    ).sound()


SHARED_ARGUMENTS = ("tol", "reg_covar", "max_iter", "n_init", "on_degenerate", "n_threads", "verbose")
BELIEFS = {  # of arguments: what each may be, beside what it is by default
    "weight_concentration_prior": st.sampled_from([1e-9, 0.1, 1.0, 1e6]),
    "weight_concentration_prior_type": st.sampled_from(["dirichlet_process", "dirichlet_distribution"]),
    "mean_precision_prior": st.sampled_from([1e-6, 0.5, 1e6]),
    "more_degrees_of_freedom": st.sampled_from([1e-3, 1.0, 1e6]),  # than the least
}


@st.composite
def posteriors(draw, gaps=True):
    """A recipe of rows and companions, and BayesianGMM's own arguments."""
    recipe = draw(fits(noise=False))
    recipe = recipe._replace(
        family=draw(st.sampled_from(FAMILIES)),
        missing=recipe.missing if gaps else 0.0,
        arguments=tuple((name, value) for name, value in recipe.arguments if name in SHARED_ARGUMENTS),
        start="kmeans" if recipe.start in ("means", "labels", "responsibilities") else recipe.start,
        **dict.fromkeys(("weights", "means", "precisions", "labels", "stop")),
        fixed=(),
        prior="none",
    )
    return recipe, draw(st.fixed_dictionaries({}, optional=BELIEFS))


def posterior_arguments(recipe, priors):
    """BayesianGMM's."""
    own = dict(priors)
    more = own.pop("more_degrees_of_freedom", None)
    if more is not None:
        own["degrees_of_freedom_prior"] = recipe.rows.d - 1 + more
    given = recipe.constructor(recipe.build())
    for name in ("fixed", "prior", "warm_start", "callback"):
        del given[name]
    return given | own


def junk():
    """Things that are nearly always wrong where an argument is expected."""
    numbers = st.sampled_from([0, 1, 3, -1, 2**70, -(2**70), 0.5, 2.0, -1e-9, 1e300, float("nan"), float("inf"), 1j])
    kinds = st.sampled_from([np.float64("nan"), np.int8(-3), Fraction(1, 3), Decimal(2), np.datetime64("2020-01-01")])
    values = st.one_of(st.none(), st.booleans(), numbers, kinds, st.text("a1 ", max_size=3), st.binary(max_size=3))
    nested = st.one_of(st.lists(values, max_size=3), st.dictionaries(st.sampled_from(NAMES), values, max_size=2))
    others = st.sampled_from([object(), int, len, np.ma.masked, slice(3), range(2), [[1, 2], [3]], {"means"}])
    return st.one_of(values, nested, others, arrays())


def arrays(shapes=None):
    """Arrays of any type and shape, or of one of these shapes, with numbers from NASTY, NaN and infinities."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4) if shapes is None else shapes
    numbers = st.sampled_from([*NASTY.tolist(), 0.5, 2.0, float("nan"), float("inf")])
    small = st.integers(-2, 3)
    return st.one_of(
        hnp.arrays("f8", shapes, elements=numbers),
        hnp.arrays("f8", shapes, elements=st.sampled_from([0.0, 0.5, 1.0])),
        hnp.arrays("i4", shapes, elements=small),
        hnp.arrays("?", shapes),
        hnp.arrays("c16", shapes, elements=small),
        hnp.arrays("U2", shapes, elements=st.text("a1", max_size=2)),
        hnp.arrays("O", shapes, elements=st.one_of(numbers, st.none(), st.text("a1", max_size=2))),
        hnp.arrays("M8[s]", shapes, elements=small.map(lambda i: np.datetime64(i, "s"))),
    )
