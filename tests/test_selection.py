"""select: each candidate is a lone fit or better, the table is what the models say, the winner is the least."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM, ConvergenceWarning, select
from datasets import FAMILY_OF_MODEL, MCLUST, table
from problems import clusters
from reference import FAMILIES

X = clusters(400, 3, 3)


@pytest.fixture(scope="module")
def selection():
    return select(X, range(1, 5), n_init=3, random_state=0)


def test_the_table_has_a_row_for_each_candidate(selection):
    found = [(row.covariance_type, row.n_components) for row in selection.table]
    assert found == [(family, k) for family in FAMILIES for k in range(1, 5)]


def test_criteria_are_those_of_the_model(selection):
    row, best = selection.table[selection.winner], selection.best
    assert (best.n_components, best.covariance_type) == (row.n_components, row.covariance_type)
    assert_allclose([row.aic, row.bic, row.icl], [best.aic(X), best.bic(X), best.icl(X)], rtol=1e-14)
    assert_allclose(row.log_likelihood, best.score(X) * len(X), rtol=1e-14)
    assert row.n_parameters == best._n_parameters()


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_the_least_wins(criterion):
    selection = select(X, [1, 2, 3], criterion=criterion, n_init=2, random_state=0)
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
    again = select(X, range(1, 5), n_init=3, random_state=0, n_threads=threads)
    assert [row._replace(seconds=0) for row in again.table] == [row._replace(seconds=0) for row in selection.table]


@pytest.mark.parametrize("name", ["faithful", "iris", "diabetes"])
def test_mclust_is_equalled_or_bettered(name):
    """The log-likelihood, hence BIC, of every model and size; to 1e-6 relative, to which the fits converge."""
    rows = table(name)
    found = select(rows, range(2, 5), random_state=0, reg_covar=0.0, tol=1e-8, max_iter=5000).table
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


def test_what_leans_on_reg_covar_is_marked():
    rows = np.concatenate([X + 100, np.zeros((40, 3))])
    first, second = select(rows, [1, 2], "full", n_init=5, random_state=0).table
    assert first.warnings == () and "reg_covar" in " ".join(second.warnings)


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
    lines = repr(selection).splitlines()
    assert len(lines) == 1 + len(selection.table)
    assert "BIC" in lines[0]
    assert [line.endswith("best") for line in lines[1:]].index(True) == selection.winner
    assert f"{selection.table[selection.winner].bic:.2f}" in lines[1 + selection.winner]


def test_html(selection):
    html = selection._repr_html_()
    assert html.count("<tr>") == 1 + len(selection.table)
    best = html.split("<tr>")[2 + selection.winner]
    assert "<td>" not in best and f"<th>{selection.table[selection.winner].bic:.2f}</th>" in best


def test_pandas(selection):
    frame = selection.to_pandas()
    assert list(frame.columns) == list(cgmm.selection.Candidate._fields)
    assert_array_equal(frame["bic"], [row.bic for row in selection.table])


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
        ({"n_components": [2, 500]}, "500"),
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
