"""M-steps of mclust's fourteen families, the slow and obvious way, and by a general optimiser; no import of cgmm.

A covariance is Sigma_c = lambda_c D_c A_c D_c^T, |A_c| = 1: volume, shape and axes (Celeux and Govaert, "Gaussian
parsimonious clustering models", 1995). W_c is the scatter (d, d) of component c about its mean, n_c its weight.
"""

import numpy as np
from scipy.linalg import expm
from scipy.optimize import minimize, minimize_scalar

NAMES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
MATRICES = ("EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")  # whose covariances are (k, d, d)
OWN = ("EII", "EEI", "VEI", "EVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV")  # that the four are not
ITERATED = ("VEI", "VEE", "EVE", "VVE", "VEV")  # whose M-step is itself iterated
TURNS = 2000  # alternations at most; they end when nothing moves


def n_parameters(name, k, d):
    """Free parameters: k - 1 weights, k d means, and those of volumes, shapes and axes."""
    volumes = {"E": 1, "V": k}[name[0]]
    shapes = {"I": 0, "E": d - 1, "V": k * (d - 1)}[name[1]]
    axes = {"I": 0, "E": d * (d - 1) // 2, "V": k * d * (d - 1) // 2}[name[2]]
    return k - 1 + k * d + volumes + shapes + axes


def compact(name, covariances):
    """Covariances of the family, (k, d, d), in the shape that it has: (k,) of spheres, (k, d) of diagonal ones."""
    if name in MATRICES:
        return covariances
    variances = np.einsum("cjj->cj", covariances)
    return variances[:, 0] if name[1] == "I" else variances


def expand(name, covariances, d):
    """The other way round."""
    if name in MATRICES:
        return np.asarray(covariances)
    variances = np.asarray(covariances)
    return (variances[:, None, None] if name[1] == "I" else variances[:, :, None]) * np.eye(d)


def objective(W, n, covariances):
    """sum_c -1/2 (n_c log |Sigma_c| + tr W_c Sigma_c^-1): the expected log-likelihood but for a constant."""
    log_dets = np.linalg.slogdet(covariances)[1]
    traces = np.trace(np.linalg.solve(covariances, W), axis1=1, axis2=2)
    return -0.5 * np.sum(n * log_dets + traces)


def volume(S):
    """|S|^(1/d) of matrices."""
    return np.exp(np.linalg.slogdet(S)[1] / S.shape[-1])


def diagonals(S):
    """The matrices without what is off the diagonal."""
    return S * np.eye(S.shape[-1])


def m_step(name, W, n):
    """The covariances (k, d, d) of highest expected log-likelihood."""
    d = W.shape[-1]
    if name == "EII":
        return np.repeat(np.trace(W.sum(axis=0))[None, None, None] / (n.sum() * d) * np.eye(d), len(n), axis=0)
    if name == "VII":
        return np.array([np.trace(W_c) / (n_c * d) * np.eye(d) for W_c, n_c in zip(W, n, strict=True)])
    if name.endswith("I"):
        return of_matrices(name[:2], diagonals(W), n)
    if name in ("EEE", "VEE", "EVV", "VVV"):
        return of_matrices(name[:2], W, n)
    if name.endswith("V"):
        values, axes = np.linalg.eigh(W)
        turned = of_matrices(name[:2], values[:, :, None] * np.eye(d), n)
        return axes @ turned @ axes.transpose(0, 2, 1)
    return common_axes(name, W, n)


def of_matrices(letters, W, n):
    """Volume and shape, equal or varying, where the scatters are diagonal, or the axes are as the shape."""
    S = W / n[:, None, None]
    if letters == "VV":
        return S
    if letters == "EE":
        return np.repeat(W.sum(axis=0)[None] / n.sum(), len(n), axis=0)
    if letters == "EV":
        volumes = volume(S)
        return S / volumes[:, None, None] * np.sum(n * volumes) / n.sum()
    volumes = volume(S) if (volume(S) > 0).all() else np.trace(S, axis1=1, axis2=2)
    for _ in range(TURNS):
        C = np.sum(W / volumes[:, None, None], axis=0)
        C /= volume(C)
        before, volumes = volumes, np.trace(np.linalg.solve(C, S), axis1=1, axis2=2) / S.shape[-1]
        if np.array_equal(before, volumes):
            break
    return volumes[:, None, None] * C


def common_axes(name, W, n):
    """EVE and VVE: rotations in one plane after another, each by the best angle, until none moves (Flury 1984)."""
    d = W.shape[-1]
    D = np.linalg.eigh(W.sum(axis=0))[1]

    def covariances(D):
        return D @ of_matrices(name[:2], diagonals(D.T @ W @ D), n) @ D.T

    def turned(D, i, j, angle):
        R = np.eye(d)
        R[[i, j], [i, j]], R[i, j], R[j, i] = np.cos(angle), -np.sin(angle), np.sin(angle)
        return D @ R

    for _ in range(TURNS):
        before = objective(W, n, covariances(D))
        for i in range(d):
            for j in range(i):
                lost = lambda angle, i=i, j=j, D=D: -objective(W, n, covariances(turned(D, i, j, angle)))  # noqa: E731
                grid = np.linspace(-np.pi / 4, np.pi / 4, 9)
                near = grid[np.argmin([lost(angle) for angle in grid])]
                found = minimize_scalar(
                    lost, bounds=(near - 0.3, near + 0.3), method="bounded", options={"xatol": 1e-9}
                )
                if -found.fun > objective(W, n, covariances(D)):
                    D = turned(D, i, j, found.x)
        if objective(W, n, covariances(D)) - before < 1e-11 * abs(before):
            break
    return covariances(D)


def of_numbers(name, numbers, k, d):
    """Covariances (k, d, d) of a family from any numbers: logarithms of volumes and shapes, angles of rotations."""
    numbers = iter(numbers)

    def some(letter, count):
        one = [[next(numbers) for _ in range(count)] for _ in range({"I": 0, "E": 1, "V": k}[letter])]
        return np.array(one * k if letter == "E" else one or [[0.0] * count] * k)

    volumes, shapes = some(name[0], 1), some(name[1], d - 1)
    angles = some(name[2], d * (d - 1) // 2)
    logs = volumes + np.column_stack([shapes, -shapes.sum(axis=1)])
    skew = np.zeros((k, d, d))
    upper = np.triu_indices(d, 1)
    skew[:, upper[0], upper[1]] = angles
    D = expm(skew - skew.transpose(0, 2, 1))
    return D * np.exp(logs)[:, None, :] @ D.transpose(0, 2, 1)


def best_of_optimiser(name, W, n, rng, starts=8):
    """The highest expected log-likelihood that BFGS finds among covariances of a family, from several starts."""
    (k, d), count = W.shape[:2], n_parameters(name, *W.shape[:2]) - (W.shape[0] - 1 + W.shape[0] * W.shape[1])
    scale = np.log(np.trace(W.sum(axis=0)) / n.sum() / d)

    def lost(numbers):
        return -objective(W / n.sum(), n / n.sum(), of_numbers(name, numbers, k, d))

    volumes = k if name[0] == "V" else 1
    found = []
    for _ in range(starts):
        start = rng.normal(scale=0.7, size=count)
        start[:volumes] += scale
        found.append(minimize(lost, start, method="BFGS", options={"gtol": 1e-9}).fun)
    return -min(found) * n.sum()
