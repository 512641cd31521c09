"""The types of the compiled module; what it takes are values of the rooms above, known here by their fields."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, overload

from numpy.typing import DTypeLike

from cgmm.types import Array, CovarianceType, Form, Labels, Mask, Moment, Order, RowErrors, Rows

class _Density(Protocol):  # cgmm.mixture.density.Density
    @property
    def form(self) -> Form: ...
    @property
    def means(self) -> Array: ...
    @property
    def centre(self) -> Array: ...
    @property
    def factor(self) -> Array: ...
    @property
    def log_norm(self) -> Array: ...
    @property
    def whitener(self) -> Array | None: ...
    @property
    def noise(self) -> tuple[float, Array | None] | None: ...

class _Guide(Protocol):  # cgmm.rows.pruning.Guide
    @property
    def directions(self) -> Array: ...
    @property
    def roots(self) -> Array: ...

class _Boxes(Protocol):  # cgmm.rows.boxes.Boxes
    @property
    def order(self) -> Labels: ...
    @property
    def inner(self) -> Array: ...
    @property
    def outer(self) -> Array: ...
    @property
    def scale(self) -> Array: ...

class _Groups(Protocol):  # cgmm.rows.patterns.Groups
    @property
    def order(self) -> Labels: ...
    @property
    def columns(self) -> Labels: ...
    @property
    def observed(self) -> Labels: ...
    @property
    def pattern(self) -> Labels: ...
    @property
    def starts(self) -> Labels: ...
    @property
    def chunks(self) -> Labels: ...

_Limits: TypeAlias = tuple[Array, float, float, float, float, float, float, float, float]  # cgmm.em.ordinary.Limits
_Reals: TypeAlias = Literal["log_likelihood", "responsibilities", "log_densities"]

FORMS: dict[str, int]
MOMENTS: dict[str, int]
PRUNED: tuple[Moment | None, ...]
FAMILIES: dict[str, int]
SHARED: dict[str, int]
OUTPUTS: dict[str, int]
GUIDE_DIMENSIONS: int
BOXES: int
CHUNK: int
PART: int

def available_targets() -> list[str]: ...
def target() -> str: ...
def set_target(name: str) -> None: ...
def openmp() -> bool: ...
def usable_threads() -> int: ...
def end_idle_threads() -> None: ...
def has_waited(seconds: float) -> bool: ...
def populate(rows: Rows) -> None: ...
def column_means(X: Rows) -> Array: ...
def all_within(X: Rows, bound: float, n_threads: int = 1) -> bool: ...

class Expectation:
    def __init__(self, density: _Density, moment: Moment, guide: _Guide | _Boxes | None, n: int) -> None: ...
    def add(
        self,
        X: Rows,
        row_weights: Array | None = None,
        n_threads: int = 1,
        known: Labels | None = None,
        order: Order | None = None,
        errors: RowErrors | None = None,
    ) -> None: ...
    def result(self) -> tuple[tuple[Any, ...], float]: ...

def expectation(
    X: Rows,
    density: _Density,
    moment: Moment,
    row_weights: Array | None = None,
    n_threads: int = 1,
    guide: _Guide | _Boxes | None = None,
    known: Labels | None = None,
    order: Order | None = None,
    errors: RowErrors | None = None,
) -> tuple[tuple[Any, ...], float]: ...
def truth(
    X: Rows, density: _Density, errors: RowErrors, covariances: bool, n_threads: int = 1
) -> tuple[Array, Array | None]: ...
def expectation_of_groups(
    X: Rows,
    density: _Density,
    moment: Moment,
    groups: _Groups,
    row_weights: Array | None = None,
    n_threads: int = 1,
    known: Labels | None = None,
) -> tuple[Any, ...]: ...
@overload
def evaluate_groups(
    X: Rows, density: _Density, output: Literal["labels"], groups: _Groups, n_threads: int = 1
) -> Labels: ...
@overload
def evaluate_groups(X: Rows, density: _Density, output: _Reals, groups: _Groups, n_threads: int = 1) -> Array: ...
def joined(
    family: str,
    covariances: Array,
    root: Array,
    shares: Array,
    last: Array | None,
    last_root: Array | None,
    n_threads: int = 1,
) -> Array: ...
def condition_numbers(covariances: Array, roots: Array) -> Array: ...
def eigenvectors(matrices: Array) -> tuple[Array, Array]: ...
def condition(roots: Array, columns: Labels, observed: int) -> Array: ...
def regress(
    X: Array,
    centres: Array,
    means: Array,
    slopes: Array,
    responsibilities: Array | None = None,
    n_threads: int = 1,
) -> Array: ...
def predictions(
    X: Array,
    density: _Density,
    centres: Array,
    means: Array,
    slopes: Array,
    covariances: Array | None = None,
    diagonal: bool = False,
    n_threads: int = 1,
) -> tuple[Array, Array | None]: ...
def least_share(density: _Density, moment: Moment | None, boxed: bool = False) -> float: ...
def order_in_space(points: Array, size: int) -> Labels: ...
def order_of_rows(X: Rows, scale: Array, n_threads: int = 1) -> Order: ...
def share_of_work(
    X: Rows,
    density: _Density,
    moment: Moment | None,
    guide: _Guide | _Boxes,
    stands_for: int,
    order: Order | None = None,
) -> float: ...
@overload
def evaluate(
    X: Rows,
    density: _Density,
    output: Literal["labels"],
    n_threads: int = 1,
    guide: _Guide | _Boxes | None = None,
    order: Order | None = None,
    errors: RowErrors | None = None,
) -> Labels: ...
@overload
def evaluate(
    X: Rows,
    density: _Density,
    output: _Reals,
    n_threads: int = 1,
    guide: _Guide | _Boxes | None = None,
    order: Order | None = None,
    errors: RowErrors | None = None,
) -> Array: ...
def assign(
    X: Rows,
    density: _Density,
    row_weights: Array | None = None,
    labels: Labels | None = None,
    n_threads: int = 1,
    worth: float = 0.0,
) -> tuple[Array, Array, float, float]: ...
def closer(
    X: Rows,
    density: _Density,
    closest: Array,
    distances: Array,
    row_weights: Array | None = None,
    n_threads: int = 1,
) -> Array: ...
def uniforms_of(k: int) -> int: ...
def plus_plus(X: Rows, k: int, uniforms: Array, row_weights: Array | None = None, n_threads: int = 1) -> Array: ...
def lloyd(
    X: Rows, centres: Array, most: int, tol: float, row_weights: Array | None = None, n_threads: int = 1
) -> tuple[Array, Labels, Array, Array]: ...
def roots(covariances: Array, n_threads: int = 1) -> tuple[Array, Mask]: ...
def held_roots(
    covariances: Array, least: Array, relative: float, added: float, n_threads: int = 1
) -> tuple[Array, Mask, Mask]: ...
def cholesky(matrix: Array, n_threads: int = 1) -> Array | None: ...
def grams(roots: Array) -> Array: ...
def moments_of_labels(
    X: Rows,
    labels: Labels,
    k: int,
    moment: Moment,
    least: float,
    row_weights: Array | None = None,
    n_threads: int = 1,
) -> tuple[Array, Array, Array, Array]: ...
def moments_of_shares(
    X: Rows, shares: Array, moment: Moment, least: float, n_threads: int = 1
) -> tuple[Array, Array, Array, Array]: ...
def weighted_median(means: Array, weights: Array, order: Labels) -> Array: ...
def total(values: Array) -> float: ...
def coordinates(moment: Moment, about: _Mixture, values: _Mixture) -> Array: ...
def at_coordinates(moment: Moment, about: _Mixture, x: Array) -> tuple[Array, Array, Array] | None: ...
def curved(moves: Array, changes: Array) -> int: ...
def direction(step: Array, moves: Array, changes: Array) -> Array: ...
def remaining_of(step: Array, moves: Array, changes: Array) -> float: ...
def inner_product(a: Array, b: Array) -> float: ...
def added_share(counts: Array, root: Array, total: float, added: float) -> float: ...
def sum_of_squares(array: Array) -> float: ...
def log_products(values: Array) -> Array: ...
def log_norms(log_det: Array, weights: Array, d: int) -> Array: ...
def central_moments(
    moment: Moment, mass: Array, counts: Array, first: Array, second: Array, shift: Array
) -> tuple[Array, Array, Array]: ...
def reach(weights: Array, means: Array, variances: Array, roots: Array) -> float: ...

_Mixture: TypeAlias = tuple[Array, Array, Array, Array]  # weights, means, covariances, roots

class Iterations:
    def __init__(
        self,
        X: Rows,
        k: int,
        moment: Moment,
        family: CovarianceType,
        row_weights: Array | None,
        limits: _Limits,
        lifting: Callable[[Array, Array, float], tuple[Array, Array, bool]],
        n_threads: int,
        known: Labels | None = None,
        estimating: Callable[[Array, Array, Array, tuple[Array, ...]], _Estimate] | None = None,
        accelerated: bool = False,
    ) -> None: ...
    def advance(
        self,
        weights: Array,
        means: Array,
        covariances: Array,
        root: Array,
        lower_bound: float,
        change: float,
        earlier: Array,
        tol: float,
        noise: float,
        distance: bool,
        most: int,
        n_k: Array | None = None,
        trail: _Trail | None = None,
        singular: bool = True,
    ) -> tuple[
        Array,
        float,
        bool,
        bool,
        _Mixture,
        _Mixture,
        Array,
        list[tuple[int, int]],
        int,
        tuple[list[tuple[_Mixture, _Mixture]], float] | None,
    ]: ...

_Trail: TypeAlias = tuple[Any, float]  # cgmm.em.trail.Trail

class _Estimate(Protocol):  # cgmm.mixture.families.Estimate
    @property
    def covariances(self) -> Array: ...
    @property
    def root(self) -> Array: ...
    @property
    def held(self) -> list[int]: ...

class Runs:
    def now(self, run: int) -> _Mixture: ...
    def before(self, run: int) -> _Mixture: ...
    def masses(self, run: int) -> Array: ...
    @property
    def change(self) -> Array: ...
    @property
    def ended(self) -> Array: ...
    @property
    def passes(self) -> Labels: ...
    @property
    def seconds(self) -> Array: ...
    held: list[list[tuple[int, int]]]
    earlier: list[list[tuple[int, int]]]
    @property
    def over(self) -> bool: ...
    @property
    def round(self) -> int: ...
    @property
    def alive(self) -> Labels: ...
    def __init__(
        self,
        X: Rows,
        k: int,
        moment: Moment,
        family: CovarianceType,
        row_weights: Array | None,
        limits: _Limits,
        lifting: Callable[[Array, Array, float], tuple[Array, Array, bool]],
        known: Labels | None,
        starts: Sequence[Array] | Labels,
        tol: float,
        noise: float,
        distance: bool,
        rounds: Sequence[tuple[int, int]],
        leaning: tuple[float, float, float] = ...,
        moved: float = 0.0,
        empty: float = 0.0,
        estimating: Callable[[Array, Array, Array, tuple[Array, ...]], _Estimate] | None = None,
        accelerated: bool = False,
    ) -> None: ...
    def bounds(self, run: int) -> Array: ...

class Walk:
    done: list[Runs]
    left: Runs | None
    def __init__(
        self,
        rows: Runs,
        mixtures: Sequence[Sequence[Array]],
        ranks: Sequence[int],
        bounds: Sequence[float],
        steps: Sequence[tuple[int, bool, int]],
        near: int,
        least: Array,
        low: Array,
        high: Array,
        rounds: Sequence[tuple[int, int]],
    ) -> None: ...

def advance_all(groups: Sequence[Runs | Walk], n_threads: int = 1) -> None: ...
def least_left_each(roots: Array, matrices: bool) -> Array: ...
def each_leans(
    roots: Array,
    masses: Array | None,
    d: int,
    matrices: bool,
    own: bool,
    added: Array,
    leaning: tuple[float, float, float],
) -> Mask: ...
def split_each(
    family: CovarianceType,
    weights: Array,
    means: Array,
    covariances: Array,
    components: Labels,
    low: Array,
    high: Array,
    steps: Array | None = None,
) -> tuple[Array, Array, Array]: ...
def merge_each(
    family: CovarianceType, weights: Array, means: Array, covariances: Array, a: Labels, b: Labels
) -> tuple[Array, Array, Array]: ...
def closeness(family: CovarianceType, weights: Array, means: Array, covariances: Array, least: Array) -> Array: ...

class _Task(Protocol):  # cgmm.em.problems.Task
    @property
    def k(self) -> int: ...

class _Solutions(Protocol):  # cgmm.em.problems.Solutions
    @property
    def status(self) -> Array: ...

class _Start(Protocol):  # cgmm.em.problems.Start
    @property
    def least(self) -> Array: ...

STATUSES: dict[str, int]

def fit_problems(
    rows: Sequence[Rows],
    row_weights: Sequence[Array | None] | None,
    uniforms: Array,
    asked: _Task,
    out: _Solutions,
    lifting: Callable[..., Any],
    n_threads: int = 1,
    start: _Start | None = None,
) -> Array | None: ...
def column_sums(X: Rows, columns: Labels, about: Array, row_weights: Array | None = None) -> Array: ...
def deviations(sums: Array) -> Array: ...
def total_of_rows(values: Array, row_weights: Array | None = None) -> float: ...
def total_of_logs(values: Array, row_weights: Array | None = None) -> float: ...
def sums_of_rows(
    X: Rows, density: _Density, row_weights: Array | None = None, n_threads: int = 1
) -> tuple[float, float]: ...
def fma_rate(dtype: DTypeLike, n_threads: int = 1, repeats: int = 20_000_000) -> float: ...
