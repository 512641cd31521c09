"""The edge of cgmm.plot: names are drawn as they are, where pictures can be drawn, and what is refused before anything
is drawn."""

import inspect
import re
from html import unescape
from io import BytesIO
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from cgmm import GMM, GMMRegressor, plot
from cgmm.plot.protocols import Subject
from cgmm.plot.wholes import Options
from pictures import drawn, mixture, rows

pytestmark = pytest.mark.filterwarnings("error")

ODD = (
    "$",
    "$a",
    "price ($) and cost ($)",
    r"$\frac{$",
    r"a\$b",
    "_hidden",
    "a_b^c",
    "100 % {of} #1 & ~",
    r"\alpha\n",
    "",
    " ",
)
PICTURES = {
    "scatter": lambda model, X, **where: plot.scatter(model, X, features=(0, 1), **where),
    "by responsibility": lambda model, X, **where: plot.scatter(
        model, X, by="responsibility", features=(0, 1), **where
    ),
    "ellipses": lambda model, X, **where: plot.ellipses(model, features=(0, 1), **where),
    "contours": lambda model, X, **where: plot.contours(model, features=(0, 1), **where),
    "of components": lambda model, X, **where: plot.contours(model, "components", features=(0, 1), **where),
    "means": lambda model, X, **where: plot.means(model, features=(0, 1), **where),
    "plane": lambda model, X, **where: plot.plane(model, X, features=(0, 1), **where),
    "uncertainty": lambda model, X, **where: plot.uncertainty(model, X, features=(0, 1), **where),
    "density": lambda model, X, **where: plot.density(model, X, feature=0, **where),
    "model": lambda model, X, **where: plot.model(model, X, features=(0, 1), **where),
}
OTHERS = {
    "projection": lambda model, X, **where: plot.projection(model, X, **where),
    "legend": lambda model, X, **where: plot.legend(model, **where),
    "history": lambda model, X, **where: plot.history(model, **where),
    "doubts": lambda model, X, **where: plot.uncertainty(model, X, **where),
    "selection": lambda model, X, **where: plot.selection(chosen("full", "diag"), **where),
}
each_picture = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
ANY = PICTURES | OTHERS
any_picture = pytest.mark.parametrize("draw", ANY.values(), ids=ANY)


@pytest.fixture(autouse=True)
def clean():
    yield
    plt.close("all")


def chosen(*families):
    """A selection of one component and two of each family, of which the first is best."""
    table = [
        SimpleNamespace(n_components=k, covariance_type=family, bic=100 * at + 10 * k, warnings=())
        for at, family in enumerate(families)
        for k in (1, 2)
    ]
    return SimpleNamespace(table=table, criterion="bic", winner=0)


@pytest.fixture(scope="module")
def fitted():
    """A model of three features that has a history, and its rows."""
    X = rows(mixture(3), 60)
    return GMM(2, n_init=2, random_state=0).fit(X), X


def named(*names, d=3):
    """A model whose features have those names, and rows."""
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows(mixture(d), 60), columns=[*names, *map(str, range(d - len(names)))])
    return GMM(2, random_state=0).fit(X), X


def written():
    """The texts of the current figure as a file of vectors has them, in which they are letters."""
    out = BytesIO()
    with plt.rc_context({"svg.fonttype": "none"}):
        plt.gcf().savefig(out, format="svg")
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", out.getvalue().decode())]


# Names


@pytest.mark.parametrize("name", ODD)
def test_names_are_drawn_as_they_are(name):
    plot.plane(*named(name, name + "!"), features=(0, 1))
    assert (plt.gca().get_xlabel(), plt.gca().get_ylabel()) == (name, name + "!")
    assert {text for text in (name, name + "!") if text.strip()} <= set(written())


@each_picture
def test_every_picture_draws_names_as_they_are(draw):
    names = ("price ($) and cost ($)", r"$\frac{$")
    draw(*named(*names))
    drawn()
    shown = [label for label in (plt.gca().get_xlabel(), plt.gca().get_ylabel()) if label != "density"]
    assert tuple(shown) == names[: len(shown)]
    assert set(shown) <= set(written())


def test_names_in_a_grid_of_pairs():
    names = ("cost ($)", "$x$_", "_y")
    axes = plot.pairs(*named(*names)).axes
    drawn()
    assert [axes[2, j].get_xlabel() for j in range(3)] == list(names)
    assert [axes[j, 0].get_ylabel() for j in range(3)] == list(names)
    assert sorted(text for text in written() if text in names) == sorted(2 * names)


@pytest.mark.parametrize(("name", "told"), [("a\nb", r"a\nb"), ("a\r\tb\0", r"a\r\tb\x00"), ("a\u2028b", r"a\u2028b")])
def test_line_breaks_in_names_are_written_as_in_python(name, told):
    plot.means(*named(name, "b")[:1], features=(0, 1))
    drawn()
    assert plt.gca().get_xlabel() == told and told in written()


@pytest.mark.parametrize("size", [(3, 2), (6.4, 4.8), (12, 9)])
def test_a_name_longer_than_its_axis_keeps_both_ends(size):
    ax = plt.figure(figsize=size).gca()
    plot.plane(*named("Begin, " + 40 * "and on, " + "end", "Short", d=2), ax=ax)
    plot.plane(*named("Short", "Begin, " + 40 * "and on, " + "end", d=2), ax=(other := plt.figure(figsize=size).gca()))
    for shown, name, length in (
        (ax.xaxis, ax.get_xlabel(), ax.bbox.width),
        (other.yaxis, other.get_ylabel(), other.bbox.height),
    ):
        drawn()
        box = shown.label.get_window_extent()
        assert re.fullmatch("Begin,.*….*end", name)
        assert 0.5 * length < max(box.width, box.height) < 1.1 * length  # the mean width of letters is a guess
    assert ax.get_ylabel() == other.get_xlabel() == "Short"


def test_mathematics_may_take_the_place_of_an_ordinary_name():
    plot.means(*named("a_b", "c")[:1], features=(0, 1))
    plt.gca().set_xlabel("$x$")
    assert plt.gca().xaxis.label.get_parse_math()


def test_names_are_not_given_to_tex():
    with plt.rc_context({"text.usetex": True}):
        plot.means(*named("a_b", "c")[:1], features=(0, 1))
        assert not plt.gca().xaxis.label.get_usetex() and plt.gca().yaxis.label.get_usetex()
        assert not any(text.get_usetex() for text in plot.legend(mixture(2)).get_texts())  # a % begins a comment there


def test_families_in_a_selection_are_drawn_as_they_are():
    names = ["_mine", "$a$ or $b", "full"]
    artists = plot.selection(chosen(*names))
    drawn()
    assert [text.get_text() for text in plt.gca().get_legend().get_texts()] == names
    assert artists.label.get_text() == "_mine, k = 1: 10.0"
    assert set(names) <= set(written())
    plot.selection(chosen("$"), ax=plt.figure().gca())
    assert "$, k = 1: 10.0" in written()


def test_labels_that_the_caller_gives_may_be_mathematics(fitted):
    for line in (plot.history(fitted[0], label=r"$\log L$").kept, *plot.uncertainty(*fitted, label="$u$")):
        assert line.get_label().startswith("$")
    legend = plot.legend(fitted[0], labels=["$a$", "_b"])
    assert legend.get_texts()[0].get_text() == "$a$" and legend.get_texts()[0].get_parse_math()


def test_names_on_the_command_line(tmp_path, done):
    head = "cost ($),$x_1$,_y\n"
    lines = [",".join(map(str, row)) for row in rows(mixture(3), 40)]
    (tmp_path / "rows.csv").write_text(head + "\n".join(lines) + "\n")
    done("fit", tmp_path / "rows.csv", "-k", 2, "-o", tmp_path / "model.npz")
    with plt.rc_context({"svg.fonttype": "none"}):
        done("plot", tmp_path / "model.npz", tmp_path / "rows.csv", "-o", tmp_path / "picture.svg")
    picture = (tmp_path / "picture.svg").read_text()
    for name in ("cost ($)", "$x_1$", "_y"):
        assert picture.count(f">{name}</text>") == 2


# Where a picture is drawn


def removed():
    ax = plt.figure().gca()
    ax.remove()
    return ax


WRONG = {
    "3-D": (lambda: plt.figure().add_subplot(projection="3d"), "two straight axes, not the projection '3d': give"),
    "polar": (lambda: plt.figure().add_subplot(projection="polar"), "two straight axes, not the projection 'polar'"),
    "map": (lambda: plt.figure().add_subplot(projection="mollweide"), "two straight axes, not the projection 'mollw"),
    "row": (lambda: plt.subplots(1, 2)[1], r"an array of shape \(2,\): give one of them, such as axes\[0\]"),
    "grid": (lambda: plt.subplots(2, 3)[1], r"an array of shape \(2, 3\): give one of them, such as axes\[0, 0\]"),
    "one": (lambda: plt.subplots(squeeze=False)[1], r"shape \(1, 1\): give one of them, such as axes\[0, 0\]"),
    "list": (lambda: list(plt.subplots(1, 2)[1]), r"shape \(2,\): give one of them"),
    "mosaic": (lambda: plt.subplot_mosaic("ab")[1], "not a dict of them: give one of 'a', 'b'"),
    "axis": (lambda: plt.gca().xaxis, "must be a matplotlib Axes, not XAxis: give"),
    "figure": (plt.figure, "must be a matplotlib Axes, not Figure: give"),
    "pyplot": (lambda: plt, "must be a matplotlib Axes, not module: give"),
    "removed": (removed, "removed from its figure: give"),
}


def contents():
    """Everything in all figures, and the limits of axes."""
    figures = [plt.figure(number) for number in plt.get_fignums()]
    artists = [artist for figure in figures for artist in figure.findobj()]
    limits = [(*ax.get_xlim(), *ax.get_ylim()) for figure in figures for ax in figure.axes]
    return len(figures), len(artists), [len(figure.axes) for figure in figures], limits


@pytest.mark.parametrize(
    ("draw", "wrong"),
    [
        *(pytest.param(draw, wrong, id=f"{name}, {wrong}") for name, draw in ANY.items() for wrong in ("3-D", "grid")),
        *(
            pytest.param(PICTURES["means"], wrong, id=f"means, {wrong}")
            for wrong in WRONG
            if wrong not in ("3-D", "grid")
        ),
    ],
)
def test_where_nothing_can_be_drawn_nothing_is(fitted, draw, wrong):
    make, message = WRONG[wrong]
    ax = make()
    before = contents()
    with pytest.raises(ValueError, match=message):
        draw(*fitted, ax=ax)
    assert contents() == before


@any_picture
def test_current_axes_of_another_kind(fitted, draw):
    if draw is PICTURES["model"]:
        draw = PICTURES["plane"]  # with two features it is
    ax = plt.figure().add_subplot(projection="3d")
    with pytest.raises(ValueError, match="the current axes, which are taken where ax is not given, must have two stra"):
        draw(*fitted)
    assert not ax.has_data()


@any_picture
def test_axes_of_another_figure_than_the_current(fitted, draw):
    ax = plt.figure().gca()
    current = plt.figure()
    draw(*fitted, ax=ax)
    assert plt.gcf() is current and not current.axes
    ax.figure.canvas.draw()
    assert ax.has_data() or ax.get_legend()
    outside = Figure()  # which pyplot does not know
    draw(*fitted, ax=outside.subplots())
    outside.canvas.draw()
    part = plt.figure().subfigures(1, 2)[1].subplots()
    draw(*fitted, ax=part)
    drawn()
    assert part.has_data() or part.get_legend()


def test_figures_for_pairs(fitted):
    left, right = plt.figure().subfigures(1, 2)
    assert plot.pairs(*fitted, figure=right).figure is right and not left.axes
    drawn()
    with pytest.raises(ValueError, match=r"figure must be .*, not Axes: give its figure, ax.figure"):
        plot.pairs(*fitted, figure=plt.figure().gca())
    with pytest.raises(ValueError, match=r"figure must be .*, not int: give pyplot.figure\(\)"):
        plot.pairs(*fitted, figure=1)


# What is refused


def gappy(model, X):
    """The same mixture, which allows for gaps, and rows of which one has a gap."""
    X = X.copy()
    X[3, 1] = np.nan
    return model.set_params(missing="marginal"), X


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda model, X: plot.plane(model, X, features=(0, 1), by="colour"), "by must be one of"),
        (lambda model, X: plot.plane(model, X, features=(0, 1), probabilities=[2]), "between 0 and 1"),
        (lambda model, X: plot.plane(model, X, features=(0, 1), colors=["red"]), "1 colour for 2 components"),
        (lambda model, X: plot.projection(model, X, probabilities=()), "between 0 and 1"),
        (lambda model, X: plot.pairs(model, X, by="colour"), "by must be one of"),
        (lambda model, X: plot.pairs(model, X, probabilities=[-1]), "between 0 and 1"),
        (lambda model, X: plot.pairs(model, X, features=[0, 5]), "no feature 5"),
        (lambda model, X: plot.pairs(model, X, features="ab"), "a sequence of indices or names"),
        (lambda model, X: plot.pairs(model, X[:, :2]), "X has 2 features"),
        (lambda model, X: plot.density(model, X, feature=0, bins="best"), "not a valid estimator"),
        (lambda model, X: plot.density(model, X, feature=0, colors=["red"]), "1 colour for 2 components"),
        (lambda model, X: plot.contours(model, features=(0, 1), levels=[1e9]), "no level is reached"),
        (lambda model, X: plot.uncertainty(model, X, colors=["red"]), "1 colour for 2 components"),
        (lambda model, X: plot.model(model, X, bins=5), "cgmm.plot.pairs, .* has no option bins"),
        (lambda model, X: plot.model(model, X, features=(0, 1), responsibilities=True), "plane, .* no option respons"),
        (lambda model, X: plot.model(model, X, feature=0, by="label", figure=1), "density, .* no option by, figure"),
        (lambda model, X: plot.model(model, X, ax=plt.gca(), figure=1), "projection, .* has no option figure"),
        (lambda model, X: plot.scatter(*gappy(model, X), features=(0, 1)), r"without gaps: draw those that model.impu"),
        (lambda model, X: plot.plane(*gappy(model, X), features=(0, 2)), "without gaps"),
        (lambda model, X: plot.uncertainty(*gappy(model, X)), "without gaps"),
        (lambda model, X: plot.density(*gappy(model, X), feature=0), "without gaps"),
        (lambda model, X: plot.pairs(*gappy(model, X)), "without gaps"),
    ],
)  # fmt: skip
def test_nothing_is_drawn_half(draw, message):
    X = rows(mixture(3), 60)
    model = GMM(2, random_state=0).fit(X)
    plt.gca().plot([0, 1], [0, 1])
    before = contents()
    with pytest.raises(ValueError, match=message):
        draw(model, X)
    assert contents() == before


# Responsibilities, and colours


def test_responsibilities_have_an_axis_of_their_own():
    model = mixture(1)
    ax = plt.figure().gca()
    artists = plot.density(model, rows(model), responsibilities=True)
    drawn()
    own = artists.responsibilities[0].axes
    assert own is not ax and {line.axes for line in artists.responsibilities} == {own}
    assert artists.mixture.axes is plt.gca() is ax
    assert own.get_ylabel() == "responsibility" and own.yaxis.get_label_position() == "right"
    assert own.get_ylim()[0] == 0 and 1 < own.get_ylim()[1] < 1.1
    assert_array_equal(own.get_xlim(), ax.get_xlim())
    assert [text.get_text() for text in ax.get_legend().get_texts()][-2:] == ["mixture", "responsibilities"]
    assert ax.get_zorder() > own.get_zorder() and own.patch.get_visible() and not ax.patch.get_visible()


def test_a_component_has_one_colour_in_all_cells(fitted):
    cells = plot.pairs(*fitted).cells
    for c in range(2):
        shades = {to_rgb(cells[j, j].components[c].get_color()) for j in range(3)}
        for cell in (cells[1, 0], cells[2, 0], cells[2, 1]):
            shades |= {to_rgb(cell.rows[c].get_facecolor()[0]), to_rgb(cell.ellipses[c].get_edgecolor()[0])}
        assert len(shades) == 1


# What is public


@pytest.mark.parametrize("name", plot.__all__)
def test_signatures_tell_their_options(name):
    """Nothing is hidden: what is passed on are matplotlib's own properties, as `style`."""
    for parameter in inspect.signature(getattr(plot, name)).parameters.values():
        assert parameter.kind is not parameter.VAR_KEYWORD or parameter.name == "style"


def test_options_of_model_are_told_twice_alike():
    parameters = inspect.signature(plot.model).parameters
    assert {name: parameters[name].annotation for name in list(parameters)[3:]} == {
        name: annotation.__forward_arg__ for name, annotation in Options.__annotations__.items()
    }


def test_any_fitted_mixture_can_be_drawn():
    model = mixture(2)

    class Toy:
        def _subject(self, X, sample_weight):
            return Subject(model._parameters, None, None)

    assert_array_equal(plot.model(Toy()).means.get_offsets(), model.means_)


def test_a_large_map_is_drawn_as_the_array_that_it_is(tmp_path, monkeypatch):
    """A fit reads it block by block; a picture takes what it shows."""
    from cgmm.rows import sources

    monkeypatch.setattr(sources, "LEAST_MAPPED", 1)
    rows = np.random.default_rng(0).normal(size=(300, 2))
    np.save(tmp_path / "rows.npy", rows)
    model = GMM(2, random_state=0).fit(rows)
    assert model.plot(np.load(tmp_path / "rows.npy", mmap_mode="r")) is not None
    with pytest.raises(TypeError, match="rows in memory"):
        model.plot(lambda: iter([rows]))


OF_MIXTURES = [name for name in plot.__all__ if name.islower() and name not in ("selection", "tree", "entropies")]


@pytest.mark.parametrize("name", OF_MIXTURES)
def test_what_is_no_mixture_is_told_so(name):
    """Other estimators have no picture of their own: a regressor's is that of its mixture."""
    X = np.random.default_rng(0).normal(size=(40, 2))
    regressor = GMMRegressor(2, random_state=0).fit(X[:, :1], X[:, 1])
    draw, rows = getattr(plot, name), [X, np.ones(2)][: 2 if name == "denoised" else name in ("scatter", "uncertainty")]
    with pytest.raises(TypeError, match=r"a fitted GMM or BayesianGMM, .* 'GMMRegressor' object: give its mixture_"):
        draw(regressor, *rows)
    with pytest.raises(TypeError, match=r"is a 'int' object$"):
        draw(3, *rows)


@pytest.mark.parametrize("name", ["selection", "tree", "entropies"])
def test_what_is_no_result_is_told_so(name):
    with pytest.raises(TypeError, match=r"what cgmm.(select|combine) returns, .* 'GMM' object$"):
        getattr(plot, name)(GMM(2))
