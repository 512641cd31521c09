"""Pictures of more features, of fits and selections, and the edge of cgmm.plot: artists hold what they should."""

import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb, to_rgba
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, NotFittedError, Selection, plot, select
from cgmm.selection import Candidate
from pictures import WEIGHTS, drawn, full, mixture, normal_density, polygons, rows, squared_distances

families = pytest.mark.parametrize("family", reference.FAMILIES)
RANDOM = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def clean():
    yield
    plt.close("all")


# More features


@families
def test_pairs(family):
    model = mixture(3, family)
    X = rows(model)
    figure, axes, features, cells = plot.pairs(model, X)
    drawn()
    assert features == (0, 1, 2) and axes.shape == (3, 3) and figure is plt.gcf()
    assert [axes[at] is None for at in ((0, 1), (0, 2), (1, 2))] == [True] * 3
    for j in range(3):
        x, y = cells[j, j].components[0].get_data()
        variance = full(model)[0, j, j]
        assert_allclose(y, 0.5 * normal_density(x, model.means_[0, j], variance), rtol=1e-9, atol=1e-300)
    labels = model.predict(X)
    assert_array_equal(cells[2, 1].rows[0].get_offsets(), X[labels == 0][:, [1, 2]])
    assert_allclose(axes[2, 0].get_xlim(), axes[0, 0].get_xlim())
    assert_allclose(axes[2, 1].get_ylim(), axes[2, 2].get_xlim())
    assert axes[2, 1].get_xlabel() == "feature 1" and axes[2, 0].get_ylabel() == "feature 2"


def test_pairs_of_many_features_are_those_in_which_the_components_differ():
    means = np.zeros((2, 9))
    means[1, [0, 2, 3, 5, 7, 8]] = 4
    model = GMM.from_parameters([0.5, 0.5], means, [np.eye(9)] * 2)
    assert plot.pairs(model, rows(model, 50)).features == (0, 2, 3, 5, 7, 8)
    assert plot.pairs(model, features=(4, 1)).features == (4, 1)


def separated(d=10):
    """Three components that differ in a plane (2,d) of d features only, and vary much more elsewhere."""
    random = np.random.RandomState(3)
    axes = np.linalg.qr(random.randn(d, d))[0].T
    corners = np.array([[0.0, 0], [6, 0], [0, 6]])
    spread = axes.T * np.r_[1.0, 1.0, np.full(d - 2, 100.0)] @ axes
    return GMM.from_parameters(WEIGHTS, corners @ axes[:2], spread, "tied"), axes[:2]


def test_projection_finds_the_plane_that_separates():
    model, plane = separated()
    directions = plot.directions(model)
    unit = np.linalg.qr(directions.T)[0].T
    assert_allclose(np.linalg.svd(unit @ plane.T)[1], 1.0, rtol=1e-6)  # cosines of the angles between the planes


@families
def test_projection_is_at_least_as_good_as_others(family):
    """Fisher's criterion of the first direction is no less than that of any other, tried at random."""
    model = mixture(5, family, k=4)
    weights, means = model.weights_, model.means_
    within = np.einsum("c,cij->ij", weights, full(model))
    between = np.cov(means.T, aweights=weights, bias=True)

    def criterion(a):
        return np.einsum("...i,ij,...j", a, between, a) / np.einsum("...i,ij,...j", a, within, a)

    directions = plot.directions(model)
    others = np.random.RandomState(0).randn(10_000, 5)
    first = criterion(directions[0])
    near = directions[0] + 0.01 * np.abs(directions[0]).max() * others
    assert criterion(others).max() < first
    assert criterion(near).max() < first * (1 + 1e-4)  # the tie-break's share
    assert_allclose(directions @ (within + between) @ directions.T, np.eye(2), atol=1e-9)


def test_directions_where_means_do_not_differ():
    shapes = [np.diag([1.0, 9, 1, 4]), np.diag([1.0, 1, 1, 2])]
    directions = plot.directions(GMM.from_parameters([0.5, 0.5], np.zeros((2, 4)), shapes))
    assert_allclose(np.abs(directions / np.linalg.norm(directions, axis=1)[:, None])[:, [1, 3]], np.eye(2), atol=1e-4)
    correlated = np.array([[1, 0.9, 0, 0], [0.9, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0.5, 1]])
    directions = plot.directions(GMM.from_parameters([1.0], np.zeros((1, 4)), [correlated]))
    unit = directions / np.linalg.norm(directions, axis=1)[:, None]
    assert_allclose(unit, np.array([[1, 1, 0, 0], [0, 0, 1, 1]]) / np.sqrt(2), atol=1e-6)


@families
def test_ellipses_of_a_projection_are_exact(family):
    model = mixture(6, family)
    X = rows(model)
    directions = plot.directions(model)
    artists = plot.projection(model, X)
    drawn()
    labels = model.predict(X)
    for c in range(3):
        covariance = directions @ full(model)[c] @ directions.T
        for outline, share in zip(polygons(artists.ellipses[c]), (0.5, 0.9), strict=True):
            squared = squared_distances(outline, directions @ model.means_[c], covariance)
            assert_allclose(squared, -2 * np.log1p(-share), rtol=1e-9)
        shown = np.asarray(artists.rows[c].get_offsets())
        assert len(shown) and set(map(tuple, shown.round(9))) <= set(
            map(tuple, (X[labels == c] @ directions.T).round(9))
        )


@pytest.mark.parametrize(("d", "kind"), [(1, "Density"), (2, "Plane"), (3, "Pairs"), (6, "Pairs"), (7, "Plane")])
def test_model_chooses_by_the_number_of_features(d, kind):
    model = mixture(d)
    assert type(model.plot(rows(model, 60))).__name__ == f"{kind}Artists"
    drawn()


def test_model_draws_into_the_axes_that_it_is_given():
    model = mixture(4)
    _, (left, right) = plt.subplots(1, 2)
    artists = model.plot(rows(model, 60), ax=left)
    assert artists.means.axes is left and not right.has_data() and len(plt.get_fignums()) == 1
    assert model.plot(rows(model, 60), ax=right, features=(2, 0)).means.get_offsets().shape == (3, 2)
    assert right.get_xlabel() == "feature 2"


def test_model_draws_the_features_that_are_chosen():
    model = mixture(8)
    X = rows(model, 60)
    assert model.plot(X, feature=3).mixture.axes.get_xlabel() == "feature 3"
    assert type(model.plot(X, features=np.array([0, 3]))).__name__ == "PlaneArtists"
    assert model.plot(X, features=(0, 3, 7)).features == (0, 3, 7)
    with pytest.raises(ValueError, match="2 different ones"):
        model.plot(X, features=(0, 3, 7), ax=plt.gca())


@pytest.mark.parametrize("k", [1, 9, 20])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_any_number_of_components_and_few_rows(d, k):
    model = mixture(d, k=k)
    for n in (1, 2, 10):
        model.plot(rows(model, n))
        drawn()
        plt.close("all")


# History and selection


def test_history_is_that_of_the_fit():
    X = np.random.RandomState(0).standard_t(4, size=(20_000, 2))  # of which starts see a sample
    model = GMM(4, n_init=12, random_state=0, tol=1e-4, max_iter=500).fit(X)
    artists = plot.history(model)
    drawn()
    assert_array_equal(artists.kept.get_ydata(), model.lower_bounds_)
    assert_array_equal(artists.kept.get_xdata(), np.arange(1, model.n_iter_ + 1))
    diagnostics = model.diagnostics_
    others = [start for i, start in enumerate(diagnostics.restarts) if i != diagnostics.winner]
    carried = [start.lower_bounds for start in others if start.carried]
    assert len(carried) > 1
    for line, bounds in zip(artists.others, carried, strict=True):
        assert_array_equal(line.get_ydata(), bounds)
    given_up = [start.log_likelihood for start in others if not start.carried]
    assert_array_equal(np.asarray(artists.short.get_offsets())[:, 1], given_up)
    alone = plot.history(model, restarts=False)
    assert alone.others == [] and alone.short is None


def test_history_of_what_was_not_fitted():
    with pytest.raises(ValueError, match="no history"):
        plot.history(mixture(2))


def candidates(values, winner, warned=()):
    """A selection of (family, k, value of BIC)."""
    table = [
        Candidate(k, family, 0, 0.0, -value, value, value, 0.0, True, ("a fault",) if at in warned else ())
        for at, (family, k, value) in enumerate(values)
    ]
    return Selection(tuple(table), "bic", winner, GMM())


def test_selection_shows_the_table():
    values = [("full", 1, 30.0), ("full", 2, 10.0), ("full", 3, 14.0), ("diag", 1, 40.0), ("diag", 2, 12.0)]
    artists = plot.selection(candidates(values, 1))
    drawn()
    assert set(artists.lines) == {"full", "diag"} and artists.warned is None
    assert_array_equal(artists.lines["full"].get_xydata(), [[1, 30], [2, 10], [3, 14]])
    assert_array_equal(artists.lines["diag"].get_xydata(), [[1, 40], [2, 12]])
    assert_array_equal(artists.best.get_xydata(), [[2, 10]])
    assert artists.label.get_text() == "full, k = 2: 10.0"
    other = plot.selection(candidates(values, 1), criterion="aic", ax=plt.figure().gca())
    assert_array_equal(other.best.get_xydata(), [[1, -40]])


def test_selection_marks_the_winner_that_was_not_warned_of():
    values = [("full", 1, 30.0), ("full", 2, 10.0), ("full", 3, -1e5), ("full", 4, -2e5)]
    for criterion in ("bic", "icl"):
        artists = plot.selection(candidates(values, 1, warned=[2, 3]), criterion=criterion, ax=plt.figure().gca())
        drawn()
        assert_array_equal(artists.best.get_xydata(), [[2, 10]])
        assert_array_equal(artists.warned.get_xydata(), [[3, -1e5], [4, -2e5]])
        bottom, top = plt.gca().get_ylim()
        assert 0 < bottom < 10 and 30 < top < 40


def test_selection_tells_the_good_apart_beside_the_hopeless():
    values = [("full", k, value) for k, value in enumerate([1e6, 20.0, 10.0, 12.0, 15.0], start=1)]
    plot.selection(candidates(values, 2))
    bottom, top = plt.gca().get_ylim()
    assert bottom < 10 and 20 < top < 40
    assert "1 of 5 models outside" in [text.get_text() for text in plt.gca().texts]


def test_a_selection_that_was_made():
    X = rows(mixture(2), 200)
    chosen = select(X, range(1, 4), ("full", "diag"), n_init=2, random_state=0)
    artists = chosen.plot(ax=plt.gca())
    drawn()
    winner = chosen.table[chosen.winner]
    assert_array_equal(artists.best.get_xydata(), [[winner.n_components, winner.bic]])
    assert_array_equal(artists.lines["full"].get_ydata(), [row.bic for row in chosen.table[:3]])


# The edge


def test_names_of_features_are_labels():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows(mixture(3)), columns=["length", "width", "height"])
    model = GMM(2, random_state=0).fit(X)
    plot.scatter(model, X, features=("height", "width"))
    assert (plt.gca().get_xlabel(), plt.gca().get_ylabel()) == ("height", "width")
    with pytest.raises(ValueError, match="no feature 'depth', only length, width, height"):
        plot.means(model, features=("depth", "width"))


def test_labels_that_are_there_stay():
    model = mixture(2)
    plt.gca().set_xlabel("mine")
    plot.means(model)
    assert (plt.gca().get_xlabel(), plt.gca().get_ylabel()) == ("mine", "feature 1")


def test_styles_and_colours_are_the_callers():
    model = mixture(2)
    X = rows(model)
    artists = plot.ellipses(model, colors=["red", "green", "blue", "black"], linewidth=5)
    assert [to_rgb(artist.get_edgecolor()[0]) for artist in artists] == [to_rgb(c) for c in ("red", "green", "blue")]
    assert artists[0].get_linewidth()[0] == 5
    assert plot.scatter(model, X, s=7, color="grey")[1].get_sizes()[0] == 7
    assert to_rgba(plot.means(model, color="red").get_facecolor()[0]) == to_rgba("red")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.means(mixture(3)), "has 3: choose two with features=.0, 1., or call cgmm.plot.pairs"),
        (lambda: plot.ellipses(mixture(1)), "call cgmm.plot.density"),
        (lambda: plot.projection(mixture(1)), "call cgmm.plot.density"),
        (lambda: plot.density(mixture(2)), "has 2: choose one with feature="),
        (lambda: plot.means(mixture(3), features=(0, 3)), "no feature 3: the model has 3"),
        (lambda: plot.means(mixture(3), features=(0, -3)), "2 different ones"),
        (lambda: plot.means(mixture(3), features=(0, 1, 2)), "2 different ones"),
        (lambda: plot.means(mixture(3), features=(0, 1.5)), "index or name"),
        (lambda: plot.means(mixture(3), features=np.ones((2, 3))), "full rank"),
        (lambda: plot.scatter(mixture(2), np.zeros((5, 2)), by="colour"), "by must be one of 'label'"),
        (lambda: plot.contours(mixture(2), "everything"), "of must be one of"),
        (lambda: plot.contours(mixture(2), levels=[1e9]), "no level is reached"),
        (lambda: plot.ellipses(mixture(2), (50,)), "between 0 and 1"),
        (lambda: plot.ellipses(mixture(2), colors=["red"]), "1 colour for 3 components"),
        (lambda: plot.scatter(mixture(2), np.zeros((5, 3))), "X has 3 features"),
        (lambda: plot.selection(candidates([("full", 1, 1.0)], 0), criterion="mdl"), "criterion must be one of"),
    ],
)  # fmt: skip
def test_unusable_input_is_told(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_a_model_that_is_not_fitted():
    X = np.zeros((5, 2))
    for draw in (
        lambda model: model.plot(X),
        lambda model: plot.scatter(model, X),
        lambda model: plot.density(model),
        plot.pairs,
        plot.projection,
        plot.means,
        plot.legend,
        plot.history,
    ):
        with pytest.raises(NotFittedError):
            draw(GMM(2))


def run(code):
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)


def test_matplotlib_is_imported_when_a_picture_is_drawn():
    found = run("import sys, cgmm; cgmm.plot.scatter; print('matplotlib' in sys.modules)")
    assert found.stdout.strip() == "False", found.stderr


def test_without_matplotlib_the_extra_is_named():
    code = "import sys; sys.modules['matplotlib'] = None; import cgmm; "
    draw = "cgmm.GMM.from_parameters([1.0], [[0.0]], [[[1.0]]]).plot([[0.0], [1.0]])"
    found = run(code + draw)
    assert found.stderr.strip().endswith("ImportError: pictures need matplotlib: pip install 'compiled-gmm[plot]'")
