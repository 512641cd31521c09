"""Pictures of one and two features: each is drawn, and its artists hold what they should."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import trapezoid

import reference
from cgmm import GMM, plot
from cgmm.plot.style import MOST_POINTS, OKABE_ITO, palette
from pictures import drawn, full, mixture, normal_density, polygons, rows, squared_distances

families = pytest.mark.parametrize("family", reference.FAMILIES)
RANDOM = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def clean():
    yield
    plt.close("all")


# One feature


@families
def test_density_curves(family):
    model = mixture(1, family)
    X = rows(model)
    artists = plot.density(model, X, responsibilities=True)
    drawn()
    x, total = artists.mixture.get_data()
    each = np.array([line.get_ydata() for line in artists.components])
    assert_allclose(each.sum(axis=0), total, rtol=1e-12)
    assert_allclose(np.log(total), model.score_samples(x[:, None]), rtol=1e-9)
    shares = np.array([line.get_ydata() for line in artists.responsibilities])
    assert_allclose(shares, model.predict_proba(x[:, None]).T, atol=1e-9)
    whole = plot.density(model, ax=plt.figure().gca())
    assert_allclose(  # but for the tails: 3.3 standard deviations are drawn
        [trapezoid(line.get_ydata(), line.get_xdata()) for line in whole.components], model.weights_, rtol=5e-3
    )


@pytest.mark.parametrize("weights", [None, np.arange(300) % 3], ids=["unweighted", "weighted"])
def test_histogram(weights):
    model = mixture(1)
    X = rows(model)
    values, edges, _ = plot.density(model, X, bins=20, sample_weight=weights).histogram.get_data()
    counted = slice(None) if weights is None else weights > 0
    assert edges[0] == X[counted].min() and edges[-1] == X[counted].max()
    assert_allclose(values, np.histogram(X[:, 0], edges, weights=weights, density=True)[0], rtol=1e-12)


def test_density_of_a_feature_is_the_marginal():
    model = mixture(3)
    artists = plot.density(model, rows(model), feature=1)
    x, y = artists.components[2].get_data()
    expected = normal_density(x, model.means_[2, 1], model.covariances_[2, 1, 1])
    assert_allclose(y, model.weights_[2] * expected, rtol=1e-9, atol=1e-300)


def test_a_narrow_component_is_drawn_to_its_top_and_does_not_flatten_the_histogram():
    model = GMM.from_parameters([0.99, 0.01], [[0.0], [0.123]], [[[1.0]], [[1e-10]]])
    X = np.random.RandomState(0).randn(1000, 1)
    artists = plot.density(model, X)
    assert artists.mixture.get_ydata().max() > 390
    bars = artists.histogram.get_data().values
    assert plt.gca().get_ylim()[1] < 3 * bars.max()


def test_an_outlier_does_not_set_the_limits_but_counts():
    X = np.concatenate([np.random.RandomState(0).randn(99, 1), [[1e6]]])
    model = GMM.from_parameters([1.0], [[0.0]], [[[1.0]]])
    values, edges, _ = plot.density(model, X).histogram.get_data()
    assert edges[-1] < 5 and plt.gca().get_xlim()[1] < 5
    assert_allclose((values * np.diff(edges)).sum(), 0.99)
    assert "1 row outside" in [text.get_text() for text in plt.gca().texts]


def test_one_value_only():
    model = GMM.from_parameters([1.0], [[3.0]], [[[1e-6]]])
    artists = plot.density(model, np.full((50, 1), 3.0))
    drawn()
    low, high = plt.gca().get_xlim()
    assert 3 - 0.01 < low < 3 < high < 3.01
    assert_allclose(artists.mixture.get_ydata().max(), 1e3 / np.sqrt(2 * np.pi))


# Two features


@families
def test_ellipses_hold_their_probability(family):
    model = mixture(2, family)
    artists = plot.ellipses(model, (0.5, 0.9, 0.99))
    drawn()
    assert len(artists) == 3
    for c, artist in enumerate(artists):
        for outline, share in zip(polygons(artist), (0.5, 0.9, 0.99), strict=True):
            squared = squared_distances(outline, model.means_[c], full(model)[c])
            assert_allclose(1 - np.exp(-squared / 2), share, rtol=1e-9)
        assert to_rgb(artist.get_edgecolor()[0]) == to_rgb(OKABE_ITO[c])


@families
def test_ellipses_of_chosen_features_are_marginal(family):
    model = mixture(4, family)
    for c, artist in enumerate(plot.ellipses(model, (0.9,), features=(3, 1))):
        covariance = full(model)[c][np.ix_([3, 1], [3, 1])]
        squared = squared_distances(polygons(artist)[0], model.means_[c, [3, 1]], covariance)
        assert_allclose(squared, -2 * np.log(0.1), rtol=1e-9)


def test_a_flat_component_is_a_line():
    u = np.array([1.0, 2.0])
    model = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.outer(u, u) + 1e-12 * np.eye(2)])
    (artist,) = plot.ellipses(model)
    assert np.abs(polygons(artist)[1] @ [2.0, -1.0]).max() < 1e-5
    assert_allclose(np.abs(polygons(artist)[1] @ u).max(), 5 * np.sqrt(-2 * np.log(0.1)), rtol=1e-3)


@families
def test_scatter_by_label(family):
    model = mixture(2, family)
    X = rows(model)
    artists = plot.scatter(model, X)
    drawn()
    labels = model.predict(X)
    for c, artist in enumerate(artists):
        assert_array_equal(artist.get_offsets(), X[labels == c])
        assert_allclose(to_rgb(artist.get_facecolor()[0]), to_rgb(OKABE_ITO[c]))
        assert f"{model.weights_[c]:.0%}" in artist.get_label()
    assert len({artist.get_paths()[0].vertices.tobytes() for artist in artists}) == 3


def test_scatter_by_responsibility_blends():
    model = mixture(2, distance=1.0)
    X = rows(model)
    (artist,) = plot.scatter(model, X, by="responsibility")
    drawn()
    responsibilities = model.predict_proba(X)
    assert responsibilities.max(axis=1).min() < 0.6
    colours = np.array([to_rgb(colour) for colour in OKABE_ITO[:3]])
    assert_allclose(artist.get_facecolor()[:, :3], responsibilities @ colours, atol=1e-12)


def test_weights_are_areas_and_rows_without_are_not_drawn():
    model = mixture(2)
    X, weights = rows(model), np.arange(300) % 3
    (artist,) = plot.scatter(model, X, by="responsibility", sample_weight=weights)
    assert_array_equal(artist.get_offsets(), X[weights > 0])
    sizes = artist.get_sizes()
    assert_allclose(sizes / sizes.min(), weights[weights > 0])


@pytest.mark.parametrize("by", ["label", "responsibility"])
def test_many_rows_are_an_image(by):
    model = mixture(2, distance=2.0)
    X = rows(model, MOST_POINTS + 1)
    (image,) = plot.scatter(model, X, by=by)
    drawn()
    assert isinstance(image, AxesImage)
    pixels = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    side = len(pixels)
    assert pixels.shape == (side, side, 4) and side <= 300
    shade = palette(3)[model.predict(X)] if by == "label" else model.predict_proba(X) @ palette(3)
    columns = np.minimum((X[:, 0] - left) / (right - left) * side, side - 1).astype(int)
    lines = np.minimum((X[:, 1] - bottom) / (top - bottom) * side, side - 1).astype(int)
    counts = np.zeros((side, side))
    np.add.at(counts, (lines, columns), 1)
    at = np.unravel_index(counts.argmax(), counts.shape)
    inside = (lines == at[0]) & (columns == at[1])
    assert_allclose(pixels[at][:3], shade[inside].mean(axis=0), rtol=1e-9)
    assert_array_equal(pixels[..., 3] > 0, counts > 0)
    assert pixels[..., 3].max() == 1.0
    assert len(plot.scatter(model, X[:MOST_POINTS], ax=plt.figure().gca())) == 3


def test_far_rows_and_huge_covariances_do_not_set_the_limits():
    X = np.concatenate([np.random.RandomState(0).randn(200, 2), [[1e5, 0]]])
    model = GMM.from_parameters(
        [0.9, 0.095, 0.005], [[0, 0], [0, 0], [1e5, 0]], [np.eye(2), 1e8 * np.eye(2), np.eye(2)]
    )
    model.plot(X)
    drawn()
    (left, right), (bottom, top) = plt.gca().get_xlim(), plt.gca().get_ylim()
    assert -12 < left < -2 and 2 < right < 12 and -12 < bottom < -2 and 2 < top < 12


def test_ellipses_beyond_the_rows_are_in_the_picture():
    X = np.random.RandomState(0).randn(4, 2)
    artists = plot.plane(GMM(1).fit(X), X, probabilities=(0.5, 0.95))
    drawn()
    (left, right), (bottom, top) = plt.gca().get_xlim(), plt.gca().get_ylim()
    points = np.concatenate([outline for artist in artists.ellipses for outline in polygons(artist)])
    assert (points > [left, bottom]).all() and (points < [right, top]).all()


@families
def test_contours_of_components_are_where_their_density_is_the_level(family):
    model = mixture(2, family)
    artists = plot.contours(model, "components", levels=[1e-4, 1e-3])
    drawn()
    for c, artist in enumerate(artists):
        one = GMM.from_parameters([1.0], model.means_[[c]], full(model)[[c]])
        for outline, level in zip(polygons(artist), (1e-4, 1e-3), strict=True):
            assert_allclose(model.weights_[c] * np.exp(one.score_samples(outline)), level, rtol=1e-9)


def test_contours_of_the_mixture_hold_their_probability():
    model = mixture(2, distance=2.0)
    X = rows(model, 20_000)
    (artist,) = plot.contours(model, probabilities=(0.2, 0.5, 0.9))
    drawn()
    densities = np.exp(model.score_samples(X))
    held = [(densities > level).mean() for level in artist.levels]
    assert_allclose(held, [0.9, 0.5, 0.2], atol=0.015)  # four standard errors of a share of 20 000
    for level, path in zip(artist.levels, artist.get_paths(), strict=True):
        assert_allclose(np.exp(model.score_samples(path.vertices)), level, rtol=0.05)  # linear between points


def test_means_and_legend():
    model = mixture(2)
    assert_array_equal(plot.means(model).get_offsets(), model.means_)
    legend = plot.legend(model)
    drawn()
    assert [text.get_text() for text in legend.get_texts()] == ["0: 50%", "1: 30%", "2: 20%"]
    for picture, told in ((plot.plane, "50%, 90%"), (lambda of: plot.plane(of, probabilities=[0.25]), "25%")):
        title = picture(model).legend.get_title().get_text()
        assert title == f"component: weight\n(ellipses hold {told})"
    model.component_names_ = ["a", "_b", "c"]
    assert [text.get_text() for text in plot.legend(model).get_texts()] == ["a: 50%", "_b: 30%", "c: 20%"]


def test_a_component_without_weight_is_drawn():
    model = GMM.from_parameters([0.0, 1.0], [[9.0, 9.0], [0.0, 0.0]], [np.eye(2)] * 2)
    X = RANDOM.randn(50, 2)
    assert len(model.plot(X).ellipses) == 2
    assert [len(polygons(artist)) for artist in plot.contours(model, "components")] == [0, 5]
    plot.contours(model)
    plot.uncertainty(model, X)
    drawn()


# Uncertainty


def test_uncertainty_in_the_plane():
    model = mixture(2, distance=1.0)
    X = rows(model)
    (artist,) = plot.uncertainty(model, X)
    drawn()
    doubt = 1 - model.predict_proba(X).max(axis=1)
    order = np.argsort(doubt, kind="stable")
    assert_array_equal(artist.get_offsets(), X[order])
    assert_allclose(artist.get_array(), doubt[order], atol=1e-14)
    assert (np.diff(artist.get_sizes()) >= 0).all()


def test_uncertainty_of_many_rows_is_their_mean():
    model = mixture(2, distance=1.0)
    X = rows(model, MOST_POINTS + 1)
    (image,) = plot.uncertainty(model, X)
    drawn()
    pixels = np.ma.filled(image.get_array(), np.nan)
    doubt = 1 - model.predict_proba(X).max(axis=1)
    assert np.nanmin(pixels) >= 0 and np.nanmax(pixels) <= doubt.max() + 1e-12


def test_uncertainty_curves():
    model = mixture(3, distance=1.0)
    X = rows(model)
    lines = plot.uncertainty(model, X)
    drawn()
    labels, doubt = model.predict(X), 1 - model.predict_proba(X).max(axis=1)
    for c, line in zip(np.unique(labels), lines, strict=True):
        own = np.sort(doubt[labels == c])
        assert_allclose(line.get_ydata(), own, atol=1e-14)
        assert_allclose(line.get_xdata(), np.arange(1, len(own) + 1) / len(own))
