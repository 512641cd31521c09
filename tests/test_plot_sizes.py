"""Pictures in a notebook, in a column of a journal and across its page: texts are whole and apart, and hide nothing."""

import itertools
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection
from matplotlib.legend import Legend
from matplotlib.text import Text
from numpy.testing import assert_array_equal

from cgmm import GMM, combine, plot
from cgmm.selection import Candidate
from pictures import drawn, mixture, rows

SIZES = {"notebook": (6.4, 4.8), "column": (3.4, 2.6), "page": (7.0, 4.0)}
LONG = "length of the eruption as it was observed from the rim", "waiting time until the next one"
NAMES = "the short ones of the morning", "all that are in between", "the long ones"
FAMILIES = ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]


@pytest.fixture(autouse=True)
def clean():
    yield
    plt.close("all")


def close(d, k):
    """A mixture whose components are all over its picture, and rows."""
    model = mixture(d, k=k, distance=4.0)
    return model, rows(model, 400)


def named():
    """A model with long names of features and of components, and rows."""
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows(mixture(2, distance=3.0)), columns=LONG)
    model = GMM(3, random_state=0).fit(X)
    model.component_names_ = NAMES
    return model, X


def fitted(k=3, **arguments):
    X = rows(mixture(4, distance=2.0))
    return GMM(k, random_state=0, **arguments).fit(X)


def combined(k):
    model, X = close(2, k)
    return combine(model, X)


def chosen(sizes, families):
    """A selection in which every fit but the first is worse, and some were warned of."""
    table = [
        Candidate(k, family, 0, 0.0, 0.0, 2300.0 + 10 * at + 5 * k, 0.0, 0.0, True, ("a fault",) if k % 2 else ())
        for at, family in enumerate(families)
        for k in sizes
    ]
    return SimpleNamespace(table=table, criterion="bic", winner=0)


def noisy():
    X = np.vstack([rows(mixture(2), 200), np.random.default_rng(0).uniform(-20, 20, (100, 2))])
    return GMM(2, noise_component="uniform", random_state=0).fit(X), X


PICTURES = {
    "density": lambda ax: plot.density(*close(1, 3), ax=ax),
    "density of eight": lambda ax: plot.density(*close(1, 8), ax=ax),
    "density of twenty": lambda ax: plot.density(*close(1, 20), ax=ax),
    "density with names": lambda ax: plot.density(*named(), feature=0, ax=ax),
    "responsibilities": lambda ax: plot.density(*close(1, 3), responsibilities=True, ax=ax),
    "plane": lambda ax: plot.plane(*close(2, 3), ax=ax),
    "plane of eight": lambda ax: plot.plane(*close(2, 8), ax=ax),
    "plane of twenty": lambda ax: plot.plane(*close(2, 20), ax=ax),
    "plane with names": lambda ax: plot.plane(*named(), ax=ax),
    "plane with noise": lambda ax: plot.plane(*noisy(), ax=ax),
    "projection": lambda ax: plot.projection(*close(6, 3), ax=ax),
    "contours": lambda ax: plot.contours(close(2, 3)[0], ax=ax),
    "uncertainty": lambda ax: plot.uncertainty(*close(2, 3), ax=ax),
    "curves of uncertainty": lambda ax: plot.uncertainty(*close(6, 8), ax=ax),
    "history": lambda ax: plot.history(fitted(n_init=6), ax=ax),
    "selection": lambda ax: plot.selection(chosen(range(1, 7), FAMILIES[:4]), ax=ax),
    "selection of all": lambda ax: plot.selection(chosen(range(1, 7), FAMILIES), ax=ax),
    "selection to thirty": lambda ax: plot.selection(chosen(range(1, 31), FAMILIES[:4]), ax=ax),
    "tree": lambda ax: plot.tree(combined(5), ax=ax),
    "tree of steps": lambda ax: plot.tree(combined(5), height="step", ax=ax),
    "tree of twenty": lambda ax: plot.tree(combined(20), ax=ax),
    "entropies": lambda ax: plot.entropies(combined(20), ax=ax),
    "predictive": lambda ax: plot.predictive(*close(2, 3), at=[0.0, 2.0], ax=ax),
    "predictive with names": lambda ax: plot.predictive(*named(), ax=ax),
    "basins": lambda ax: plot.basins(*close(2, 3), ax=ax),
    "denoised": lambda ax: plot.denoised(*errors(), ax=ax),
}
each = pytest.mark.parametrize("picture", PICTURES)
sizes = pytest.mark.parametrize("size", SIZES)


def errors():
    X = rows(mixture(2, distance=3.0))
    return GMM(2, random_state=0).fit(X, error_covariances=np.ones(2)), X, np.ones(2)


@pytest.fixture
def texts(monkeypatch):
    """A function that draws a figure and returns what can be read in it, and where."""
    found, draw = {}, Text.draw

    def note(text, renderer, *arguments, **options):
        draw(text, renderer, *arguments, **options)
        if text.get_visible() and text.get_text().strip():
            found[text] = text.get_window_extent()

    def of(figure):
        drawn()
        found.clear()
        drawn()  # now the layout has come to rest
        return found

    monkeypatch.setattr(Text, "draw", note)
    return of


def check_texts(figure, places):
    """All are within the figure, and none is on another."""
    # A label's extent ends a rounded pixel beyond its letters, at most.
    for text, box in places.items():
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{text.get_text()!r} is cut"
    for (one, first), (other, second) in itertools.combinations(places.items(), 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide <= 1 or high <= 1, f"{one.get_text()!r} is on {other.get_text()!r}"


@sizes
@each
def test_texts_are_whole_and_apart(picture, size, texts):
    figure, ax = plt.subplots(figsize=SIZES[size], layout="constrained")
    PICTURES[picture](ax)
    check_texts(figure, texts(figure))


@pytest.mark.parametrize("k", [3, 8])
@pytest.mark.parametrize("d", [2, 3, 4, 6])
@sizes
def test_texts_of_a_grid_are_whole_and_apart(d, k, size, texts):
    figure = plt.figure(figsize=2 * SIZES[size][:1], layout="constrained")
    model, X = close(d, k)
    artists = plot.pairs(model, X, figure=figure)
    places = texts(figure)
    check_texts(figure, places)
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert not box.count_overlaps([ax.bbox for ax in artists.axes.flat if ax is not None])
    assert all(text.get_fontsize() >= 4 for text in places)  # points


@sizes
def test_large_numbers_and_long_names_in_a_grid(size, texts):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(1e6 * rows(mixture(4)), columns=[f"a long name of feature {j}" for j in range(4)])
    figure = plt.figure(figsize=2 * SIZES[size][:1], layout="constrained")
    plot.pairs(GMM(2, random_state=0).fit(X), X, figure=figure)
    check_texts(figure, texts(figure))


@sizes
@pytest.mark.parametrize("picture", [name for name in PICTURES if "plane" in name or name == "projection"])
def test_legends_hide_few_rows(picture, size):
    figure, ax = plt.subplots(figsize=SIZES[size], layout="constrained")
    PICTURES[picture](ax)
    drawn()
    legends = figure.findobj(Legend)
    for legend, rows_of_one in itertools.product(legends, ax.findobj(PathCollection)):
        box, places = legend.get_window_extent(), ax.transData.transform(rows_of_one.get_offsets())
        hidden = [box.contains(*place) for place in places]
        assert np.mean(hidden or [0]) <= 0.2  # of a component; it is 0.15 at most before the layout moves the axes


def test_a_legend_stays_where_the_caller_or_no_layout_wants_it():
    model, X = close(2, 8)
    for layout, style in ((None, {}), ("constrained", {"loc": "center"})):
        _, ax = plt.subplots(figsize=SIZES["column"], layout=layout)
        plot.scatter(model, X, ax=ax)
        legend = plot.legend(model, ax=ax, **style)
        drawn()
        box = legend.get_window_extent()
        assert ax.bbox.x0 < box.x0 < ax.bbox.x1


def test_lines_and_markers_are_smaller_in_small_axes():
    model, X = close(2, 3)
    widths, areas = [], []
    for size in SIZES.values():
        artists = plot.plane(model, X, ax=plt.figure(figsize=size).gca())
        widths.append(artists.ellipses[0].get_linewidth()[0])
        areas.append(artists.rows[0].get_sizes()[0])
    assert widths[0] == widths[2] > 1.1 * widths[1]
    assert_array_equal(np.argsort(areas, stable=True)[0], 1)
    thick = plot.ellipses(model, ax=plt.figure(figsize=SIZES["column"]).gca(), linewidth=5)
    assert thick[0].get_linewidth()[0] == 5  # the caller's own


def test_noise_is_in_the_legend():
    model, X = noisy()
    labels = [text.get_text() for text in plot.plane(model, X).legend.get_texts()]
    assert labels[-1] == f"noise: {model.noise_weight_:.0%}" and len(labels) == 3


def test_markers_of_a_legend_are_those_of_the_rows():
    model, X = close(2, 3)
    shapes = {
        by: {handle.get_marker() for handle in plot.plane(model, X, by=by).legend.legend_handles}
        for by in ("label", "responsibility")
    }
    assert len(shapes["label"]) == 3 and shapes["responsibility"] == {"o"}


def test_bands_are_told_apart_in_the_legend():
    artists = plot.predictive(*close(2, 3))
    first, second = (handle.get_alpha() for handle in plt.gca().get_legend().legend_handles[1:])
    assert artists.bands[0].get_alpha() == pytest.approx(first) and first < second


def test_families_are_told_apart():
    lines = plot.selection(chosen(range(1, 4), FAMILIES)).lines.values()
    assert len({(line.get_color(), line.get_linestyle()) for line in map(told, lines)}) == len(FAMILIES)


def told(line):
    return SimpleNamespace(get_color=lambda: tuple(line.get_color()), get_linestyle=line.get_linestyle)
