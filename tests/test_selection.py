"""select: each candidate is a lone fit or better, the table is what the models say, the winner is the least."""

import csv
import io
import json
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM, ConvergenceWarning, DegenerateWarning, SelectionWarning, select
from cgmm.selection import COMPARED
from datasets import DATA, FAMILY_OF_MODEL, MCLUST, table
from problems import clusters
from reference import FAMILIES

X = clusters(400, 3, 3)
FOURTEEN = json.loads((DATA / "mclust_families.json").read_text())["fits"]


@pytest.fixture(scope="module")
def selection():
    return select(X, range(1, 5), FAMILIES, n_init=3, random_state=0)


def test_the_table_has_a_row_for_each_candidate(selection):
    found = [(row.covariance_type, row.n_components) for row in selection.table]
    assert found == [(family, k) for family in FAMILIES for k in range(1, 5)]


@pytest.mark.parametrize(
    "more, told", [(np.ones(150), "Feature 4 is constant"), ("sum", "Features 0, 1, 2, 3, 4 determine one another")]
)
def test_why_most_candidates_stand_last_is_told(more, told):
    """A constant column left spherical mixtures alone, of which more and more components were advised."""
    iris = table("iris")
    rows = np.column_stack([iris, iris.sum(axis=1) if isinstance(more, str) else more])
    with pytest.warns(
        SelectionWarning, match=rf"of 18 candidates are doubtful and stand last, .* BIC, .* {told}"
    ) as all_of:
        found = select(rows, range(1, 4), ["EII", "full", "VEE", "tied", "diag", "VVE"], random_state=0)
    assert "largest tried" not in "".join(str(one.message) for one in all_of)
    assert told in repr(found)


def test_two_names_of_a_family_are_one():
    found = select(X, 2, ["VVV", "tied", "full", "VVI", "diag"], n_init=1, random_state=0)
    assert [row.covariance_type for row in found.table] == ["VVV", "tied", "VVI"]


def test_criteria_are_those_of_the_model(selection):
    row, best = selection.table[selection.winner], selection.best
    assert (best.n_components, best.covariance_type) == (row.n_components, row.covariance_type)
    assert_allclose([row.aic, row.bic, row.icl], [best.aic(X), best.bic(X), best.icl(X)], rtol=1e-14)
    assert_allclose(row.log_likelihood, best.score(X) * len(X), rtol=1e-14)
    assert row.n_parameters == best._n_parameters()


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_the_least_wins(criterion):
    selection = select(X, [1, 2, 3, 4], FAMILIES, criterion=criterion, n_init=2, random_state=0)
    values = [getattr(row, criterion) for row in selection.table]
    assert selection.winner == np.argmin(values)
    assert selection.criterion == criterion


def test_it_finds_the_number_of_clusters(selection):
    assert selection.best.n_components == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_no_candidate_is_worse_than_a_lone_fit(selection, family):
    for row in selection.table:
        if row.covariance_type == family:
            alone = GMM(
                row.n_components, covariance_type=family, n_init=3, tol=1e-6, max_iter=1000, random_state=0
            ).fit(X)
            # what ends nearest to the optimum is chosen by its last bound, an M-step earlier
            assert row.log_likelihood >= alone.score(X) * len(X) - 1e-6 * len(X)


def test_what_is_shared_changes_nothing():
    """One family beside others is the same, bit for bit, as on its own."""
    both = select(X, [2, 3], ["diag", "full"], n_init=6, random_state=3)
    alone = select(X, [2, 3], "full", n_init=6, random_state=3)
    for ours, theirs in zip(both.table[2:], alone.table, strict=True):
        assert ours._replace(seconds=0) == theirs._replace(seconds=0)


@pytest.mark.parametrize("threads", [2, 3])
def test_bits_do_not_depend_on_threads(selection, threads):
    again = select(X, range(1, 5), FAMILIES, n_init=3, random_state=0, n_threads=threads)
    assert [row._replace(seconds=0) for row in again.table] == [row._replace(seconds=0) for row in selection.table]


@pytest.mark.parametrize("name", ["faithful", "iris", "diabetes"])
def test_mclust_is_equalled_or_bettered(name):
    """The log-likelihood, hence BIC, of every model and size; to 1e-6 relative, to which the fits converge."""
    rows = table(name)
    found = select(rows, range(1, 5), FAMILIES, random_state=0, reg_covar=0.0, tol=1e-8, max_iter=5000).table
    ours = {(row.covariance_type, row.n_components): row for row in found}
    theirs = [fit for fit in MCLUST if fit["dataset"] == name]
    assert len(theirs) == 12
    for fit in theirs:
        row = ours[FAMILY_OF_MODEL[fit["model"]], fit["k"]]
        assert row.n_parameters == fit["df"]
        assert row.bic <= -fit["bic"] + 2e-6 * abs(fit["loglik"]), (name, fit["model"], fit["k"])


@pytest.mark.parametrize("seed", range(3))
def test_no_sliver_wins(seed):
    """mclust's choice for the geyser is three components of one covariance. With five eruptions on a line the BIC is
    smaller, thanks to reg_covar."""
    rows = table("faithful")
    selection = select(rows, range(2, 6), ["full", "tied"], random_state=seed)
    assert (selection.best.covariance_type, selection.best.n_components) == ("tied", 3)


def test_no_sliver_of_a_shared_shape_wins():
    """Where volumes vary, five eruptions of 73 minutes each are an ellipse of any shape, as thin as it is long: its
    waiting times vary by less than the minute to which they are rounded."""
    found = select(table("faithful"), range(1, 7), ["VEV", "tied"], n_init=10, random_state=1)
    assert (found.best.covariance_type, found.best.n_components) == ("tied", 3)
    slivers = [
        row for row in found.table if row.covariance_type == "VEV" and row.bic < found.best.bic(table("faithful"))
    ]
    assert slivers and all(
        "narrower in feature 1 than the step of its values, 1:" in row.warnings[0] for row in slivers
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_values_that_differ_have_no_step(scale, dtype):
    """Two values that are near each other by chance are no step: two rows vary by more."""
    rows = (scale * X[:60]).astype(dtype)
    found = select(rows, [1, 2, 3, 4, 8], ["spherical", "diag"], n_init=2, random_state=0)
    assert not any("narrower" in text for row in found.table for text in row.warnings)


def test_what_leans_on_reg_covar_is_marked():
    rows = np.concatenate([X + 100, np.zeros((40, 3))])
    first, second = select(rows, [1, 2], "full", n_init=5, random_state=0).table
    assert first.warnings == () and "reg_covar" in " ".join(second.warnings)


def test_a_narrow_component_of_many_rows_is_no_needle():
    """Across its features it varies less than reg_covar, as its rows say: other fits are 1.7 nats a row less likely."""
    rng = np.random.default_rng(0)
    narrow = rng.normal(size=(400, 1)) + 1e-3 * rng.normal(size=(400, 3))
    rows = np.concatenate([narrow, 6 + rng.normal(size=(400, 3))])
    with pytest.warns(DegenerateWarning, match="Features 0, 1, 2 nearly determine one another in component [01]"):
        found = select(rows, [1, 2, 3], "full", random_state=0, reg_covar=1e-5)
    assert found.best.n_components == 2
    assert abs(found.best.weights_[0] - 0.5) < 0.01 and found.best.score(rows) > -0.5


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_nor_is_one_of_rows_that_weigh(weight):
    """A row of weight one is a row: the component has 40 rows, ten for each feature and one more."""
    rng = np.random.default_rng(0)
    narrow = rng.normal(size=(40, 1)) + 1e-3 * rng.normal(size=(40, 3))
    rows = np.concatenate([narrow, 6 + rng.normal(size=(40, 3))])
    with pytest.warns(DegenerateWarning, match="Features 0, 1, 2 nearly determine one another in component [01]"):
        found = select(rows, [1, 2], "full", sample_weight=np.full(80, weight), random_state=0, reg_covar=1e-5)
    assert found.best.n_components == 2


def test_weights_count_rows():
    weights = np.arange(len(X)) % 3
    weighted = select(X, 2, "full", sample_weight=weights, random_state=0)
    repeated = select(np.repeat(X, weights, axis=0), 2, "full", random_state=0)
    assert_allclose(weighted.table[0].bic, repeated.table[0].bic, rtol=1e-6)


def test_a_degenerate_candidate_does_not_win_and_is_marked():
    rows = np.concatenate([X + 100, np.zeros((40, 3))])  # a component of equal rows has a likelihood without bound
    selection = select(rows, [1, 2], "full", n_init=5, random_state=0, reg_covar=0.0)
    first, second = selection.table
    assert second.warnings and second.bic < first.bic
    assert selection.winner == 0
    assert "warned" in repr(selection)


def test_a_fit_that_is_cut_short_is_marked():
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        selection = select(X, [2], "full", n_init=1, max_iter=2, random_state=0)
    (row,) = selection.table
    assert not row.converged
    assert "max_iter=2" in row.warnings[0]


def test_text(selection):
    lines = selection.to_text().splitlines()
    assert len(lines) == 1 + len(selection.table)
    assert "BIC" in lines[0] and "ΔBIC" in lines[0]
    assert [line.endswith("best") for line in lines[1:]].index(True) == selection.winner
    assert f"{selection.table[selection.winner].bic:.2f}" in lines[1 + selection.winner]


def test_html(selection):
    first, unfolded = selection._repr_html_().split("<details>")
    assert first.count("<tr>") == 1 + 3
    assert unfolded.count("<tr>") == 1 + len(selection.table)
    for rows in first.split("<tr>")[2:], unfolded.split("<tr>")[2:]:
        assert "<td>" not in rows[0] and f"<th>{selection.table[selection.winner].bic:.2f}</th>" in rows[0]
        assert all("<td>" in row for row in rows[1:])


def test_what_is_printed_is_three_candidates_and_the_criterion_of_all(selection):
    head, *parts = repr(selection).split("\n\n")
    lines = head.splitlines()
    assert lines[0] == "The best of 16 candidates by BIC, the smaller the better:"
    assert len(lines) == 1 + 1 + 3 and lines[2].endswith("best")
    for line, at in zip(lines[2:], selection.ranking, strict=False):
        row = selection.table[at]
        assert f" {row.bic:.2f} " in line and f" {row.bic - selection.best.bic(X):.2f} " in line
    (grid,) = parts
    _, names, *families = grid.splitlines()
    assert names.split() == ["family", *(part for k in range(1, 5) for part in ("k", "=", str(k)))]
    assert [line.split()[0] for line in families] == list(FAMILIES)
    values = [float(cell.rstrip("*")) for line in families for cell in line.split()[1:]]
    assert_allclose(values, [row.bic for row in selection.table], atol=0.05 + 1e-9)


def test_many_sizes_go_on_below():
    found = select(X, range(1, 13), "spherical", n_init=1, random_state=0)
    text = repr(found)
    assert text.count("family") == 3 and "k = 9" in text and "k = 10" in text
    assert max(map(len, text.splitlines())) < 110


def test_differences_and_ranking(selection):
    assert_allclose(selection.differences, [row.bic - selection.best.bic(X) for row in selection.table], atol=1e-9)
    assert selection.ranking[0] == selection.winner
    assert sorted(selection.ranking) == list(range(len(selection.table)))
    rest = [(bool(selection.table[at].warnings), selection.table[at].bic) for at in selection.ranking[1:]]
    assert rest == sorted(rest)


def test_sorted_on_request(selection):
    order = list(selection.ranking)
    plain, ranked = selection.to_text().splitlines(), selection.to_text(sort=True).splitlines()
    assert ranked == [plain[0], *(plain[1 + at] for at in order)]
    assert selection.to_frame(sort=True).index.tolist() == order
    bics = [row["bic"] for row in json.loads(selection.to_json(sort=True))["candidates"]]
    assert bics == [selection.table[at].bic for at in order]
    assert [float(row["bic"]) for row in csv.DictReader(io.StringIO(selection.to_csv(sort=True)))] == bics


def test_frame(selection):
    frame = selection.to_frame()
    fields = list(cgmm.candidates.Candidate._fields)
    assert sorted(frame.columns) == sorted([*fields, "difference"])
    for name in fields:
        assert frame[name].tolist() == [getattr(row, name) for row in selection.table]
    assert_array_equal(frame["difference"], selection.differences)


def test_json_and_csv_hold_all_digits(selection):
    told = json.loads(selection.to_json())
    rows = list(csv.DictReader(io.StringIO(selection.to_csv())))
    assert told["criterion"] == "bic" and told["winner"] == selection.winner and told["notes"] == []
    assert len(rows) == len(told["candidates"]) == len(selection.table)
    for row, text, value in zip(selection.table, rows, told["candidates"], strict=True):
        assert list(text) == list(value)
        assert value["covariance_type"] == text["covariance_type"] == row.covariance_type
        assert value["bic"] == float(text["bic"]) == row.bic
        assert value["converged"] is row.converged and text["converged"] == str(row.converged)


def test_json_has_no_number_that_is_none():
    found = select(X, [2], "full", n_init=1, random_state=0)
    odd = cgmm.Selection((found.table[0]._replace(icl=np.inf),), "bic", 0, found.best)
    assert json.loads(odd.to_json())["candidates"][0]["icl"] is None


@pytest.mark.parametrize("name", ["faithful", "iris", "diabetes"])
def test_all_of_mclusts_families_are_equalled_or_bettered(name):
    """The BIC of each of mclust's candidates, to 1e-6 relative of the log-likelihood, to which the fits converge."""
    found = select(table(name), range(1, 6), n_init=5, random_state=0, reg_covar=0.0, tol=1e-8, max_iter=5000)
    names = {family: model for model, family in FAMILY_OF_MODEL.items()}
    ours = {(names.get(row.covariance_type, row.covariance_type), row.n_components): row for row in found.table}
    theirs = {(fit["model"], fit["k"]): fit for fit in FOURTEEN if fit["dataset"] == name and fit["k"] <= 5}
    assert len(theirs) >= 60 and set(theirs) <= set(ours)
    for candidate, fit in theirs.items():
        row = ours[candidate]
        assert row.n_parameters == fit["df"], candidate
        assert row.bic <= -fit["bic"] + 2e-6 * abs(fit["log_likelihood"]), candidate


def test_all_families_are_the_default():
    found = select(X[:100], [1, 2, 3, 4], n_init=1, random_state=0)
    assert [row.covariance_type for row in found.table] == [family for family in COMPARED for _ in range(4)]
    assert found.notes == () and len(COMPARED) == 14


@pytest.mark.parametrize("n", [4, 10, 25, 60])
def test_what_rows_cannot_bear_is_left_out(n):
    """Two values for each parameter: but the family of fewest parameters is there in any case."""
    rows = X[:n]
    found = quiet(rows, [1, 2, 3])
    kept = {(row.covariance_type, row.n_components) for row in found.table}
    assert {("EII", k) for k in (1, 2, 3)} <= kept
    for row in found.table:
        assert row.covariance_type == "EII" or 2 * row.n_parameters <= 3 * n
    left = 14 * 3 - len(kept)
    told = [note for note in found.notes if "left out" in note]
    assert [note.split()[0] for note in told] == [str(left)] * bool(left)
    named = quiet(rows, [3], ["full"])
    assert [row.covariance_type for row in named.table] == ["full"]


def quiet(*arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return select(*arguments, n_init=1, random_state=0)


@pytest.mark.parametrize(("given", "compared"), [(None, ["E", "V"]), (["full", "tied", "diag"], ["full", "tied"])])
def test_of_one_feature_there_are_two(given, compared):
    found = select(X[:, :1], [1, 2, 3, 4], given, n_init=1, random_state=0)
    assert list(dict.fromkeys(row.covariance_type for row in found.table)) == compared


@pytest.mark.parametrize(("sizes", "k", "side"), [((1, 2), 2, "largest"), ((4, 5, 6), 4, "smallest")])
def test_a_winner_at_the_edge_is_warned_of(sizes, k, side):
    with pytest.warns(SelectionWarning, match=f"k = {k} is the {side} tried"):
        found = select(X, sizes, "spherical", n_init=2, random_state=0)
    assert found.notes and f"k = {k} is the {side} tried" in repr(found) and found.notes[0] in found._repr_html_()


@pytest.mark.parametrize("sizes", [[2], [1, 3, 4]])
def test_a_winner_alone_or_between_is_not(sizes):
    assert select(X, sizes, "spherical", n_init=2, random_state=0).notes == ()


def test_more_components_than_rows_are_skipped_with_a_word():
    rows = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.warns(SelectionWarning, match="k = 6, 7 are left out: X has only 5 rows"):
        found = select(rows, [1, 2, 6, 7], "spherical", n_init=1, random_state=0)
    assert [row.n_components for row in found.table] == [1, 2]
    weights = [1, 1, 1, 0, 0]
    with pytest.warns(SelectionWarning, match="k = 5 is left out: X has only 3 rows of positive weight"):
        select(rows, [1, 5], "spherical", sample_weight=weights, n_init=1, random_state=0)


def test_verbose_says_a_line_for_each_candidate(capsys):
    select(X, [1, 2], "full", n_init=1, random_state=0, verbose=2)
    assert capsys.readouterr().out.splitlines() == ["1 of 2: full 1", "2 of 2: full 2"]


@pytest.mark.parametrize("sizes", [(k for k in (2, 1)), {1, 2}, {1: 0, 2: 0}.keys(), np.array([1, 2])])
def test_any_iterable_of_sizes(sizes):
    assert [row.n_components for row in select(X, sizes, "diag", n_init=1, random_state=0).table] == [1, 2]


def test_a_generator_seeds_all_candidates():
    first, second = (select(X, [2], "full", n_init=2, random_state=np.random.default_rng(5)) for _ in range(2))
    assert first.table[0].bic == second.table[0].bic


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": []}, "at least one"),
        ({"n_components": [0]}, "n_components"),
        ({"n_components": [450, 500]}, "450"),
        ({"covariance_types": []}, "at least one"),
        ({"covariance_types": "round"}, "covariance_types"),
        ({"criterion": "mdl"}, "criterion"),
        ({"random_state": -1}, "random_state"),
        ({"tol": -1.0}, "tol"),
        ({"n_init": 0}, "n_init"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        select(X, **{"n_components": [1], **arguments})


def test_bad_rows():
    with pytest.raises(ValueError, match="NaN"):
        select(np.full((5, 2), np.nan), [1])


def test_where_labels_forbid_neighbours_there_are_two_starts():
    X, labels = clusters(200, 2, 3), np.full(200, -1)
    labels[:4] = 0
    found = select(X, [2, 4], "full", labels=labels, random_state=0)
    two = select(X, [2, 4], "full", labels=labels, n_init=2, random_state=0)
    one = select(X, [2, 4], "full", labels=labels, n_init=1, random_state=0)
    assert [row.bic for row in found.table] == [row.bic for row in two.table]
    assert len(found.best.diagnostics_.restarts) == 2 and len(one.best.diagnostics_.restarts) == 1
