"""The recipes of docs/architecture.md, followed to the letter: what a newcomer would write works."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgmm import GMM, Prior, select
from cgmm.em.loop import run
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.mixture.families import FAMILIES
from problems import assert_same_bits, clusters, data_of

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOT = Path(__file__).parents[1]


def recipes(title):
    """The pieces of code of the recipe for something."""
    after = PAGE.split(f"**{title}.**", 1)[1].split("\n**", 1)[0]
    return re.findall(r"```python\n(.*?)```", after, re.S)


def followed(code, **names):
    """What the code of a recipe defines."""
    exec(compile(code, "a recipe", "exec"), names)
    return names


@pytest.fixture(params=["EII", "Halved"])
def family(request, monkeypatch):
    (code,) = (code for code in recipes("a covariance family") if f"class {request.param}(" in code)
    assert len(code.splitlines()) <= 40
    made = followed(code)[request.param]()
    monkeypatch.setitem(FAMILIES, made.name, made)
    return made


X = clusters(600, 3, 3)
MEANS = np.quantile(X, [0.1, 0.5, 0.9], axis=0)
M, KAPPA, ALPHA, NU = np.zeros(3), 0.5, 1.5, 5.0


def m_step(name, r, w, prior):
    """Weights, means and covariances: the textbook's, of responsibilities, row weights and whether there is a prior."""
    r = r * w[:, None]
    n_k, kappa = r.sum(axis=0), KAPPA if prior else 0.0
    weights = n_k + (ALPHA - 1 if prior else 0)
    means = (r.T @ X + kappa * M) / (n_k + kappa)[:, None]
    away = X[:, None] - means
    W = np.einsum("ic,icj,icl->cjl", r, away, away)
    W += kappa * (means - M)[:, :, None] * (means - M)[:, None, :]
    if name == "EII":
        scale, counts = (1.3, NU + 2 + 3 * 3) if prior else (0.0, 0.0)
        return weights / weights.sum(), means, np.full(3, (np.einsum("cjj->", W) + scale) / (3 * n_k.sum() + counts))
    scale, counts = (np.diag([1.3, 0.7, 2.0]), NU + 3 + 1 + 1) if prior else (0.0, 0.0)
    return weights / weights.sum(), means, (W + scale) / (2 * n_k + counts)[:, None, None]


def prior_of(name):
    return Prior(ALPHA, KAPPA, M, NU, 1.3 if name == "EII" else np.diag([1.3, 0.7, 2.0]))


def one_step(name, **arguments):
    return GMM(3, covariance_type=name, random_state=0, reg_covar=0, max_iter=1, means_init=MEANS, **arguments)


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("prior", [False, True])
def test_an_m_step_is_the_textbooks(prior, weighted, family):
    w = 1.0 + np.arange(600) % 3 if weighted else np.ones(600)
    arguments = {"prior": prior_of(family.name)} if prior else {}
    start = one_step(family.name, **arguments).set_params(max_iter=0).fit(X, sample_weight=w)
    model = one_step(family.name, **arguments).fit(X, sample_weight=w)
    expected = m_step(family.name, start.predict_proba(X), w, prior)
    for found, value in zip((model.weights_, model.means_, model.covariances_), expected, strict=True):
        assert_allclose(found, value, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
def test_the_family_is_fitted_like_any_other(family, tmp_path):
    """Watched or not, weighted, from blocks, of rows that may have gaps: the same bits. Saved, in batches, selected."""
    arguments = {"covariance_type": family.name, "random_state": 0, "reg_covar": 0, "tol": 0, "max_iter": 20}
    model = GMM(3, **arguments).fit(X)
    for other in (
        GMM(3, **arguments, callback=lambda state: None).fit(X),
        GMM(3, **arguments, missing="marginal").fit(X),
        GMM(3, **arguments).fit(X, sample_weight=np.ones(600)),
        GMM(3, **arguments).fit(lambda: iter([X[:100], X[100:]])),
    ):
        assert_same_bits(model, other)
    model.save(tmp_path / "model.npz")
    assert_same_bits(model, GMM.load(tmp_path / "model.npz"), names=("weights_", "means_", "covariances_"))
    model.partial_fit(X)
    assert np.isfinite(model.score(X))
    for k in (2, 3):
        assert np.isfinite(GMM(k, **arguments, n_init=10).fit(X).score(X))
    GMM(3, **arguments, fixed=["means"], means_init=MEANS).fit(X)
    best = select(X, [2, 3], [family.name, "diag"], n_init=3, random_state=0)
    assert {row.covariance_type for row in best.table} == {family.name, "diag"}


def test_what_components_share_is_the_same_for_all(monkeypatch):
    """Also where means have moved so far that rounding holds variances from below; and where a user gives it."""
    (code,) = (code for code in recipes("a covariance family") if "class EII(" in code)
    monkeypatch.setitem(FAMILIES, "EII", followed(code)["EII"]())
    rows = np.column_stack([X[:, 0], np.full(600, 3.0)])
    start = np.array([[0.0, 0.0], [1e3, 0.0], [0.0, 1e3]])
    with pytest.warns(UserWarning):
        model = GMM(3, covariance_type="EII", reg_covar=0, max_iter=1, means_init=start, random_state=0).fit(rows)
    assert np.ptp(model.covariances_) == 0
    with pytest.raises(ValueError, match="same for all components"):
        GMM.from_parameters([0.5, 0.5], np.zeros((2, 2)), [1.0, 2.0], "EII")


class Veiled:
    """A model that is no Parameters: it has what cgmm.mixture.model.Model names, and no more."""

    NAMES = ("density", "moment", "weights", "k", "d", "compiled", "reach", "needs_double", "needs_rows", "objective")

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        if name not in self.NAMES:
            raise AttributeError(name)
        return False if name == "compiled" else getattr(self._inner, name)

    def maximise(self, statistics, rules, iteration=0):
        found, repairs = self._inner.maximise(statistics, rules, iteration)
        return Veiled(found), repairs


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_loop_asks_a_model_no_more_than_the_protocol_names(dtype):
    """Rows so few that no pass is pruned, and that no component loses."""
    rows = X.astype(dtype)
    start = GMM(3, random_state=0, max_iter=0).fit(rows)._parameters
    settings = Settings(tol=1e-6, max_iter=50)
    found = run(data_of(rows), Stage.first(Veiled(start)), settings)
    expected = run(data_of(rows), Stage.first(start), settings)
    assert found.converged and found.lower_bounds.tolist() == expected.lower_bounds.tolist()


def test_the_kind_of_start_is_one_by_name(monkeypatch):
    monkeypatch.setattr(starts, "METHODS", dict(starts.METHODS))
    followed(*recipes("a kind of start"), np=np, METHODS=starts.METHODS)
    model = GMM(2, init_params="quantiles").fit(X)
    assert model.converged_ and np.isfinite(model.score(X))


def test_the_source_is_fitted_as_its_rows_in_memory():
    source = followed(*recipes("a data source"), np=np)["Ramp"]()
    rows = np.concatenate([block for block, _ in source.blocks()])
    model = GMM(2, random_state=0).fit(source)
    assert model.feature_names_in_.tolist() == ["position", "square"]
    assert_same_bits(model, GMM(2, random_state=0).fit(rows))


def test_files_that_the_page_names_exist():
    named = re.findall(r"`((?:src|cgmm|tests|examples|docs)/[\w./]+)`", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
    rooms = re.findall(r"^\| `(\w+)/`.*$", PAGE, re.M)
    for room in rooms:
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{room}/`"))
        for name in re.findall(r"`(\w+(?:\.py|/))`", line)[1:]:
            assert any((folder / name).exists() for folder in (ROOT / "cgmm" / room, ROOT / "cgmm")), f"{room}/{name}"
