"""Pictures of conditional densities, of modes and their basins, and of true values behind measured ones."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, GMMRegressor, plot
from pictures import drawn, mixture, rows

families = pytest.mark.parametrize("family", reference.FAMILIES)


@pytest.fixture(autouse=True)
def clean():
    yield
    plt.close("all")


@families
def test_bands_and_slices_are_those_of_the_conditional(family):
    model = mixture(3, family, distance=3.0)
    artists = plot.predictive(model, rows(model), features=[2, 0], at=[0.5, 1.0], probabilities=[0.5, 0.9])
    drawn()
    x, mean = artists.mean.get_data()
    given = model.marginal([2, 0]).conditional(x, [0])
    assert_allclose(mean, given.mean()[:, 0], rtol=1e-8, atol=1e-8)
    for band, share in zip(artists.bands, (0.9, 0.5), strict=True):
        ends = given.quantile([0.5 - share / 2, 0.5 + share / 2])
        corners = band.get_paths()[0].vertices
        assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [ends.min(), ends.max()], rtol=1e-8)
    (one, y), two = artists.slices[0].get_data(), artists.slices[1].get_xdata() - 1.0
    densities = [np.exp(model.condition({2: at}).marginal([0]).score_samples(y[:, None])) for at in (0.5, 1.0)]
    assert_allclose((one - 0.5) / two.max(), densities[0] / densities[1].max(), rtol=1e-6, atol=1e-9)
    assert artists.image is None and len(artists.rows) == 1


def test_the_image_is_the_conditional_density():
    x = np.random.default_rng(0).uniform(size=(500, 1))
    y = np.random.default_rng(1).choice([-1, 1], 500) * x[:, 0] + 0.1 * np.random.default_rng(2).normal(size=500)
    model = GMMRegressor(4, random_state=0).fit(x, y).mixture_
    artists = plot.predictive(model, show="density", ax=plt.figure().gca())
    assert artists.bands == [] and artists.rows == [] and artists.slices == []
    heights = np.ma.filled(artists.image.get_array()).reshape(240, 240)
    (left, *_, right), (low, *_, high) = (
        artists.image.get_coordinates()[0, :, 0],
        artists.image.get_coordinates()[:, 0, 1],
    )
    step, rise = (right - left) / 240, (high - low) / 240
    at, value = left + 100.5 * step, low + 40.5 * rise
    expected = np.exp(model.conditional([[at]], [0]).score_samples([[value]]))
    assert_allclose(heights[40, 100], expected[0], rtol=1e-6)
    for bad, told in (({"show": "all"}, "show must be"), ({"probabilities": [1.5]}, "between 0 and 1")):
        with pytest.raises(ValueError, match=told):
            plot.predictive(model, **bad)


@families
def test_basins_are_those_of_the_modes(family):
    model = mixture(2, family)
    artists = plot.basins(model, rows(model))
    drawn()
    assert_allclose(artists.modes.get_offsets(), model.modes().points, rtol=1e-6, atol=1e-6)
    labels = np.ma.filled(artists.image.get_array(), -1).reshape(100, 100)
    corners = artists.image.get_coordinates()
    middles = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    assert_array_equal(labels[::9, ::9].ravel(), model.modal_labels(middles[::9, ::9].reshape(-1, 2)))
    with pytest.raises(ValueError, match="a plane has two features"):
        plot.basins(mixture(3))


def test_denoised_rows_are_beside_the_measured():
    truth = mixture(3)
    X, S = rows(truth), np.random.default_rng(0).gamma(1.0, size=(300, 3))
    model = GMM(3, random_state=0).fit(X, error_covariances=S)
    artists = plot.denoised(model, X, S, features=[0, 2])
    drawn()
    assert_array_equal(artists.measured.get_offsets(), X[:, [0, 2]])
    assert_allclose(artists.denoised.get_offsets(), model.denoise(X, S)[:, [0, 2]])
    assert len(artists.moves.get_segments()) == 300 and len(artists.ellipses) == 3
    assert len(plot.denoised(model, np.tile(X, (70, 1)), np.ones(3), features=[0, 1]).moves.get_segments()) == 10500
