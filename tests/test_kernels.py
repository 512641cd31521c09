"""The contract of the compiled passes: families × types × instruction sets × awkward sizes against reference.py.

How far a kernel may be from the reference follows from one count of roundings, for both types. Rows and means are
taken relative to a centre, so m_icj = |x_ij − centre_j| + |μ_cj − centre_j| bounds what is subtracted, and

    log-density:     δ_ic = eps · ((d + 4) Σ_a (Σ_j |P_caj| m_icj)² + |log_norm_c|): d terms in a product of P and
                     d in a squared norm, and the roundings of x, μ, their difference, P
    log-likelihood:  λ_i = Σ_c r_ic (e^δ_ic − 1) + eps · (k + 4 + |top_i| + |log p_i|): a sum of k, a logarithm
    responsibility:  ρ_ic = r_ic (e^(δ_ic + λ_i) − 1 + (SUM + k) · eps)
    moments:         Σ_i w_i ρ_ic times 1, m_icj or m_icj m_icl
    pooled:          6 Σ_i w_i (Σ_c ρ_ic) M_ij M_il with M = max_c m, from u uᵀ + Σ_c<b r_c r_b (μ_c−μ_b)(μ_c−μ_b)ᵀ
                     (kernels.h): |u| ≤ M, |μ_c−μ_b| ≤ 2 M, and each product errs twice

In float64, 1e-9 of the largest value is enforced as well: the promise of docs/architecture.md.
"""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import _kernels
from cgmm.mixture.density import distances_to
from problems import data_of, mixture, rows_of

N = (1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 127, 128, 129, 255, 257, 511, 513, 1024, 1025, 3000)
D = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100)
K = (1, 2, 3, 4, 5, 8, 9, 17, 31, 65, 130)
# Every n twice, once with row weights; every d and k, in pairs that do not repeat.
CASES = [(N[q % 20], D[3 * q % 16], K[9 * q % 11], (q + q // 20) % 2 == 1) for q in range(40)]
CASES += [(257, 33, 65, True), (513, 64, 17, False)]  # many features and components together
SUM = 150  # roundings of a moment: at most 512 rows of a block in 4 lanes, the fold of lanes, the products
UNDERFLOW = {np.float64: 1e-300, np.float32: 1e-30}  # the kernels' exp gives 0 below e^-700, e^-80

families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


def expected(case, family, dtype):
    """Rows, row weights and parameters of a case; the reference's values, each with its bound."""
    (n, d, k, weighted), eps = case, np.finfo(dtype).eps
    rng = np.random.default_rng([n, d, k])
    p = mixture(family, d, k, rng)
    X = rows_of(p, n, rng)
    w = rng.uniform(0, 2, size=n) * (rng.random(n) < 0.9) if weighted else np.ones(n)
    joint = reference.log_joint(X, p.weights, p.means, p.covariances, family)
    log_p = reference.log_sum_exp(joint)
    r = np.exp(joint - log_p[:, np.newaxis])
    totals = reference.statistics(X, w, r, p.means)

    centre, full = p.density.centre, reference.expand(p.covariances, family, k, d)
    m = [np.abs(X - centre) + np.abs(p.means[c] - centre) for c in range(k)]
    roots = [np.abs(np.linalg.inv(np.linalg.cholesky(full[c]))) for c in range(k)]
    norms = np.array([np.sum((m[c] @ roots[c].T) ** 2, axis=1) for c in range(k)]).T
    delta = eps * ((d + 4) * norms + np.abs(p.density.log_norm) + d * np.log(2 * np.pi))
    lam = np.sum(r * np.expm1(delta), axis=1)
    lam += eps * (k + 4 + np.abs(joint.max(axis=1)) + np.abs(log_p))
    rho = r * (np.expm1(delta + lam[:, np.newaxis]) + (SUM + k) * eps) + UNDERFLOW[dtype]
    w_rho = w[:, np.newaxis] * rho
    part, bound = SECOND[p.family.moment]
    return SimpleNamespace(
        X=X.astype(dtype),
        w=w if weighted else None,
        parameters=p,
        outputs={"log_densities": (joint, delta), "log_likelihood": (log_p, lam), "responsibilities": (r, rho)},
        statistics={
            "n_k": (totals["n_k"], w_rho.sum(axis=0)),
            "first": (totals["first"], np.array([w_rho[:, c] @ m[c] for c in range(k)])),
            "second": (part(totals["second"]), bound(w_rho, m) + from_densities(p, w[:, np.newaxis] * r, eps)),
            "log_likelihood": (w @ log_p, w @ lam),
            "total_weight": (w.sum(), 1e-13 * w.sum()),
        },
    )


def from_densities(p, w_r, eps):
    """Squared norms that are taken from log-densities carry the rounding of the normaliser."""
    if p.family.moment != "radial":
        return 0.0
    return 4 * eps * np.abs(p.density.log_norm) * p.covariances * w_r.sum(axis=0)


def full_bound(w_rho, m):
    return np.array([(w_rho[:, c, np.newaxis] * m[c]).T @ m[c] for c in range(len(m))])


def pooled_bound(w_rho, m):
    largest = np.max(m, axis=0)
    return 6 * (w_rho.sum(axis=1)[:, np.newaxis] * largest).T @ largest


def diagonals(S):
    return np.diagonal(S, axis1=1, axis2=2)


SECOND = {  # what a moment keeps of the reference's second moments (k, d, d), and its bound
    "full": (lambda S: S, full_bound),
    "diag": (diagonals, lambda w_rho, m: diagonals(full_bound(w_rho, m))),
    "radial": (lambda S: diagonals(S).sum(axis=1), lambda w_rho, m: diagonals(full_bound(w_rho, m)).sum(axis=1)),
    "pooled": (lambda S: S.sum(axis=0), pooled_bound),
}


@pytest.fixture(
    scope="module",
    params=product(CASES, reference.FAMILIES, [np.float64, np.float32]),
    ids=lambda p: "n{}-d{}-k{}{}-{}-{}".format(*p[0][:3], "-w" * p[0][3], p[1], p[2].__name__),
)
def known(request):
    """A case, once for all the tests and targets that need it."""
    return expected(*request.param)


def assert_within(actual, expected, dtype):
    value, bound = expected
    if dtype == np.float64:
        bound = np.minimum(bound, 1e-9 * np.abs(value).max())
    assert np.shape(actual) == np.shape(value)
    assert np.all(np.abs(actual - value) <= bound)


def test_expectation(known, target):
    p, dtype = known.parameters, known.X.dtype
    found = data_of(known.X, known.w).statistics(p)
    for name, expected in known.statistics.items():
        assert_within(getattr(found, name), expected, dtype)
    # the shift is the means as the kernel's type holds them, about the centre
    rounding = np.finfo(dtype).eps * np.abs(p.means - p.density.centre) + 1e-15 * np.abs(p.means)
    assert np.all(np.abs(found.shift - p.means) <= rounding)


def test_evaluate(known, target):
    density = known.parameters.density
    for output, expected in known.outputs.items():
        assert_within(_kernels.evaluate(known.X, density, output), expected, known.X.dtype)
    labels = _kernels.evaluate(known.X, density, "labels")
    assert labels.dtype == np.intp
    assert_array_equal(labels, _kernels.evaluate(known.X, density, "log_densities").argmax(axis=1))


def test_assign(known, target):
    """Labels, the weights and sums of the clusters, exact for the labels, and the inertia, to eps (d + 4) Σ m²."""
    X, k, dtype = known.X.astype(np.float64), known.parameters.k, known.X.dtype
    density = distances_to(known.parameters.means)
    labels = np.empty(len(X), dtype=np.intp)
    found = _kernels.assign(known.X, density, known.w, labels)
    for a, b in zip(found, _kernels.assign(known.X, density, known.w), strict=True):
        assert_array_equal(a, b)
    w = np.ones(len(X)) if known.w is None else known.w.astype(dtype).astype(np.float64)
    n_k, sums, inertia, _ = found
    belongs = w[:, np.newaxis] * (labels[:, np.newaxis] == np.arange(k))
    centred = X - density.centre
    assert_allclose(n_k, belongs.sum(axis=0), rtol=1e-13)
    assert np.all(np.abs(sums - belongs.T @ centred) <= 1e-13 * (belongs.T @ np.abs(centred)))

    distances = reference.squared_distances(X, density.means)
    m = [np.abs(centred) + np.abs(centre - density.centre) for centre in density.means]
    bound = np.finfo(dtype).eps * (X.shape[1] + 4) * np.array([np.sum(m_c**2, axis=1) for m_c in m]).T
    rows = np.arange(len(X))
    assert np.all(distances[rows, labels] - distances.min(axis=1) <= 2 * bound.max(axis=1))
    assert abs(inertia - w @ distances.min(axis=1)) <= w @ bound.max(axis=1)


LAYOUTS = {
    "fortran": np.asfortranarray,
    "sliced rows": lambda X: np.repeat(X, 3, axis=0)[1::3],
    "sliced columns": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "sliced transpose": lambda X: np.repeat(np.repeat(X.T, 2, axis=0), 3, axis=1)[1::2, 2::3].T,
    "reversed rows": lambda X: X[::-1].copy()[::-1],
    "reversed columns": lambda X: X[:, ::-1].copy()[:, ::-1],
    "reversed both": lambda X: np.asfortranarray(X[::-1, ::-1])[::-1, ::-1],
    "inside a larger one": lambda X: np.pad(X, 3)[3:-3, 3:-3],
    "one element off": lambda X: np.append(X.dtype.type(0), X)[1:].reshape(X.shape),
    "one row": lambda X: np.broadcast_to(X[0], X.shape),
    "read-only": lambda X: np.frombuffer(X.tobytes(), dtype=X.dtype).reshape(X.shape),
}


def passes(X, parameters, w):
    """Everything that the compiled passes give for these rows."""
    density = parameters.density
    yield from _kernels.expectation(X, density, parameters.family.moment, w)[0]
    for output in ("log_densities", "log_likelihood", "responsibilities", "labels"):
        yield _kernels.evaluate(X, density, output)
    yield from _kernels.assign(X, distances_to(parameters.means), w)
    yield _kernels.all_within(X, 1e150)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 9])  # rows of few features that lie side by side are packed otherwise
@families
@types
def test_strides_change_no_bit(layout, d, family, dtype, target):
    known = expected((257, d, 4, True), family, dtype)
    X = layout(known.X)
    ours, contiguous = passes(X, known.parameters, known.w), passes(X.copy(), known.parameters, known.w)
    for a, b in zip(ours, contiguous, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (33, 17), (1025, 2), (2049, 33)])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, LAYOUTS["fortran"], LAYOUTS["reversed both"]])
@types
def test_all_within_finds_each(shape, layout, dtype, target):
    """At the corners, in the middle, about the end of a chunk (1024 rows); the largest usable number is finite."""
    largest = min(float(np.finfo(dtype).max), 1e150)
    X = layout(np.full(shape, largest, dtype=dtype))
    assert _kernels.all_within(X, largest, 2)
    for i in {0, shape[0] // 2, min(1023, shape[0] - 1), shape[0] - 1}:
        for j in {0, shape[1] // 2, shape[1] - 1}:
            for bad in (np.nan, np.inf, -np.inf):
                X[i, j] = bad
                assert not _kernels.all_within(X, largest, 2)
            X[i, j] = -largest
    assert _kernels.all_within(X, largest)


def test_the_yardstick_counts_lanes(target):
    """As many rounds of float32 vectors are twice the operations; a dtype may be given by name."""
    assert _kernels.fma_rate("float32", 1, 100) == 2 * _kernels.fma_rate(np.float64, 1, 100) > 0


@types
@families
@pytest.mark.parametrize("case", [(1, 1, 1, False), (150, 3, 5, True), (513, 9, 17, False), (1030, 4, 3, True)])
def test_both_sums_are_those_of_the_values(case, family, dtype):
    (n, d, k, weighted) = case
    rng = np.random.default_rng(n)
    p = mixture(family, d, k, rng)
    X, w = rows_of(p, n, rng).astype(dtype), rng.integers(0, 3, size=n) * 0.5 if weighted else None
    for n_threads in (1, 3):
        log_likelihood, log_certainty = _kernels.sums_of_rows(X, p.density, w, n_threads)
        assert log_likelihood == _kernels.total_of_rows(_kernels.evaluate(X, p.density, "log_likelihood"), w)
        certainty = _kernels.evaluate(X, p.density, "responsibilities").max(axis=1)
        assert log_certainty == _kernels.total_of_logs(certainty, w)
        weights = np.ones(n) if w is None else w
        joint = reference.log_joint(X.astype(float), p.weights, p.means, p.covariances, family)
        log_p = reference.log_sum_exp(joint)
        rtol, atol = (1e-9, 1e-9) if dtype == np.float64 else (1e-3, 1e-2)
        assert_allclose(log_likelihood, weights @ log_p, rtol=rtol, atol=atol)
        assert_allclose(log_certainty, weights @ (joint.max(axis=1) - log_p), rtol=rtol, atol=atol)
