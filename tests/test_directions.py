"""Directions in which components differ: mclust's MclustDR, the eigenproblem itself, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import reference
from cgmm import GMM, BayesianGMM, NotFittedError, directions, plot
from problems import mixture

# mclust 6.0.0, MclustDR of Mclust(iris[, 1:4], G, modelNames): eigenvalues and absolute basis by model and λ.
MIXTURES = {
    "VEV": (
        [0.33333333333333337, 0.3000196751783396, 0.36664699148832725],
        [
            [5.005999999999999, 3.428000000000001, 1.4620000000000002, 0.24599999999999989],
            [5.914512438459657, 2.777610279890109, 4.203201496302782, 1.2985580606008926],
            [6.546341908598931, 2.9492371622431404, 5.48108552828743, 1.9848529585297512],
        ],
        [
            [
                [0.13327342195454694, 0.10944281613618607, 0.01920435153661744, 0.011592651125093563],
                [0.10944281613618607, 0.1550309875716128, 0.012101909102023835, 0.010015254536591177],
                [0.01920435153661744, 0.012101909102023835, 0.02828064725471143, 0.005822012413063228],
                [0.011592651125093563, 0.010015254536591177, 0.005822012413063228, 0.010689346763312377],
            ],
            [
                [0.22539261316305242, 0.07613684005512825, 0.14655313907458137, 0.043224629148874774],
                [0.07613684005512825, 0.0801164955038125, 0.07365459496345124, 0.03433006496656427],
                [0.14655313907458137, 0.07365459496345124, 0.16572545534218072, 0.04933556166598593],
                [0.043224629148874774, 0.03433006496656427, 0.04933556166598593, 0.03328391553683874],
            ],
            [
                [0.42953614574928345, 0.10797140227061487, 0.33496871712295245, 0.06569384550470242],
                [0.10797140227061487, 0.11614971126992915, 0.08947698493151492, 0.06157210235675712],
                [0.33496871712295245, 0.08947698493151492, 0.3651874977732948, 0.08765523312766418],
                [0.06569384550470242, 0.06157210235675712, 0.08765523312766418, 0.0869041178994742],
            ],
        ],
    ),
    "VVV": (
        [0.3333291132949525, 0.6666708867050475],
        [
            [5.006006388023471, 3.428014200733411, 1.4620020292816789, 0.24599932413210215],
            [6.261988855546935, 2.871996419257863, 4.905977184798153, 1.6759912860025044],
        ],
        [
            [
                [0.12176230729615253, 0.0972260486271147, 0.016027170991859192, 0.010124468935339567],
                [0.0972260486271147, 0.14080178883356587, 0.01146184924522037, 0.009112878359881473],
                [0.016027170991859192, 0.01146184924522037, 0.029556039854718635, 0.005948184392093681],
                [0.010124468935339567, 0.009112878359881473, 0.005948184392093681, 0.010884099861919324],
            ],
            [
                [0.4349728727160139, 0.12094154707326236, 0.44886533046492394, 0.1655022941158907],
                [0.12094154707326236, 0.10961736420962909, 0.14138002091260207, 0.07923242531545396],
                [0.44886533046492394, 0.14138002091260207, 0.6748419652843508, 0.2858735977772233],
                [0.1655022941158907, 0.07923242531545396, 0.2858735977772233, 0.17863486597673994],
            ],
        ],
    ),
}
CASES = [
    (
        "VEV",
        1,
        [1.8783615319925875, 0.0720906872336261, 4.91071787590319e-15, 1.8554632034612595e-17],
        [
            [0.20311157275901884, 0.01531713367745737],
            [0.4365555147835835, 0.5550297586030898],
            [0.5581572598848473, 0.26559641636744297],
            [0.6757406638357921, 0.7881407844374472],
        ],
    ),
    (
        "VEV",
        0.5,
        [0.94855985652617, 0.6231507368314267, 0.0742484102782378, 0.03259152892391932],
        [
            [0.1443791283847306, 0.22064757142403588, 0.6520080353870277, 0.436543136992193],
            [0.5224281042465352, 0.0984120780759349, 0.25719254790047325, 0.5780758338446367],
            [0.6203218378278581, 0.2935790370508549, 0.4465425515248332, 0.4615554702484645],
            [0.5669429959829342, 0.9249005682330095, 0.5561809640511828, 0.5120790639672379],
        ],
    ),
    (
        "VVV",
        1,
        [1.6488853442819968, 1.0692596686147318e-14, 6.931044857083113e-16, 3.5840846479460544e-16],
        [[0.1928930761842493], [0.7097352439926425], [0.6563785731976559], [0.1680336669893604]],
    ),
    (
        "VVV",
        0.5,
        [0.8470258548257027, 0.3144069799052774, 0.054536305942320715, 0.020848023631114397],
        [
            [0.1529586412677122, 0.2521496626776219, 0.5940260296981151, 0.24389423527465123],
            [0.7133474507115314, 0.16745298073024004, 0.2154720548372414, 0.7373246620177675],
            [0.6341703992073544, 0.262397732859948, 0.4996835919456974, 0.40637938513648814],
            [0.2560604877642766, 0.9162573201050448, 0.5924704022696464, 0.48137692104656205],
        ],
    ),
]
SIGMA = [
    [0.6811222222222223, -0.04215111111111111, 1.26582, 0.5128288888888889],
    [-0.04215111111111111, 0.1887128888888889, -0.3274586666666666, -0.12082844444444445],
    [1.26582, -0.3274586666666666, 3.0955026666666665, 1.286972],
    [0.5128288888888889, -0.12082844444444445, 1.286972, 0.5771328888888888],
]  # of iris


@pytest.mark.parametrize("model, balance, eigenvalues, basis", CASES)
def test_mclust(model, balance, eigenvalues, basis):
    """mclust's zeros are rounding, and its other directions of them none: they are not in either basis."""
    found = directions(GMM.from_parameters(*MIXTURES[model], normalize=True), balance=balance, covariance=SIGMA)
    assert_allclose(found.eigenvalues, eigenvalues, rtol=1e-9, atol=1e-12)
    assert_allclose(np.abs(found.basis), np.array(basis)[:, : found.basis.shape[1]], rtol=1e-7)
    assert found.basis.shape == np.shape(basis)


def test_the_covariance_of_a_converged_fit_is_that_of_the_rows():
    """EM keeps the rows' mean and covariance, where each component has its own full matrix."""
    own, other = (
        directions(GMM.from_parameters(*MIXTURES["VVV"], normalize=True), covariance=S) for S in (None, SIGMA)
    )
    assert_allclose(own.eigenvalues, other.eigenvalues, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_generalised_eigenvectors(balance, family):
    from scipy.linalg import eigh

    parameters = mixture(family, 5, 3, np.random.default_rng(0))
    model = GMM.from_parameters(parameters.weights, parameters.means, parameters.covariances, family, normalize=True)
    p, means = model.weights_, model.means_
    covariances = parameters.family.expand(parameters.covariances, 3, 5)
    W = np.einsum("c,cij->ij", p, covariances)
    away = means - p @ means
    B = np.einsum("c,ci,cj->ij", p, away, away)
    inverse = np.linalg.inv(B + W)
    M = 2 * balance * B @ inverse @ B
    M += 2 * (1 - balance) * sum(w * (S - W) @ inverse @ (S - W) for w, S in zip(p, covariances, strict=True))
    values = eigh(M, B + W, eigvals_only=True)
    found = directions(model, balance=balance)
    m = found.basis.shape[1]
    assert m == (0 if (family, balance) == ("tied", 0.0) else min(5, 2) if balance == 1.0 or family == "tied" else m)
    assert_allclose(found.eigenvalues, values[::-1].clip(0), atol=1e-10)
    assert_allclose(found.mean, p @ means)
    assert_allclose(found.shares.sum(), 1.0 if m else 0.0)
    assert_allclose((found.basis**2).sum(axis=0), 1.0)
    assert_allclose(M @ found.basis, (B + W) @ found.basis * found.eigenvalues[:m], atol=1e-9)


def test_scaled_features_have_the_same_directions():
    parameters = mixture("full", 4, 3, np.random.default_rng(1))
    scale = np.array([1e-6, 1.0, 1e3, 1e9])
    covariances = parameters.covariances * scale * scale[:, None]
    own = GMM.from_parameters(parameters.weights, parameters.means, parameters.covariances, normalize=True)
    other = GMM.from_parameters(parameters.weights, parameters.means * scale, covariances, normalize=True)
    a, b = directions(own), directions(other)
    assert_allclose(b.eigenvalues, a.eigenvalues, rtol=1e-7, atol=1e-10)
    assert_allclose(b.standardized, a.standardized, rtol=1e-6, atol=1e-8)


def test_rows_along_them():
    model = GMM.from_parameters(*MIXTURES["VEV"], normalize=True)
    found = directions(model)
    X = model.sample(500, random_state=0)[0]
    along = found.transform(X)
    assert_allclose(along, (X - found.mean) @ found.basis)
    view = plot.plane(model, X, features=found.basis.T)
    assert view.rows is not None
    with pytest.raises(ValueError, match=r"X must be rows \(n, 4\), not of shape \(500, 3\)"):
        found.transform(X[:, :3])


def test_a_posterior_has_those_of_its_mixture():
    X = GMM.from_parameters(*MIXTURES["VEV"], normalize=True).sample(300, random_state=0)[0]
    model = BayesianGMM(3, random_state=0, max_iter=500).fit(X)
    like = GMM.from_parameters(model.weights_, model.means_, model.covariances_, normalize=True)
    assert_allclose(directions(model).eigenvalues, directions(like).eigenvalues, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"balance": 1.5}, "balance"),
        ({"covariance": np.eye(3)}, r"covariance must have shape \(4, 4\), not \(3, 3\)"),
        ({"covariance": np.diag([1, 1, 1, 0.0])}, "covariance must be symmetric and positive definite"),
        ({"covariance": np.full((4, 4), np.nan)}, "covariance"),
    ],
)
def test_what_cannot_be_used(arguments, text):
    with pytest.raises(ValueError, match=text):
        directions(GMM.from_parameters(*MIXTURES["VEV"], normalize=True), **arguments)


def test_what_is_no_fitted_mixture():
    with pytest.raises(NotFittedError):
        directions(GMM())
    with pytest.raises(TypeError, match="model must be a fitted mixture, not list"):
        directions([1])
