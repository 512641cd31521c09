"""The recipes of docs/architecture.md, followed to the letter: what a newcomer would write works."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cgmm import GMM
from cgmm.fit import starts
from cgmm.mixture.families import FAMILIES
from problems import assert_same_bits, clusters

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOT = Path(__file__).parents[1]


def recipe(title):
    """The code of the recipe for something."""
    after = PAGE.split(f"**{title}.**", 1)[1]
    return re.search(r"```python\n(.*?)```", after, re.S).group(1)


def followed(title, **names):
    """What the code of a recipe defines."""
    exec(compile(recipe(title), title, "exec"), names)
    return names


@pytest.fixture
def equal(monkeypatch):
    code = recipe("a covariance family")
    assert len(code.splitlines()) <= 40
    family = followed("a covariance family")["Equal"]()
    monkeypatch.setitem(FAMILIES, family.name, family)
    return family


def test_the_family_is_fitted_like_any_other(equal):
    """Its variance is the textbook's, whether the fit is watched, weighted, or of rows that may have gaps."""
    X = clusters(600, 3, 3)
    arguments = {"covariance_type": equal.name, "random_state": 0, "reg_covar": 0, "tol": 0, "max_iter": 20}
    with pytest.warns(UserWarning, match="did not converge"):
        model = GMM(3, **arguments).fit(X)
        for other in (
            GMM(3, **arguments, callback=lambda state: None).fit(X),
            GMM(3, **arguments, missing="marginal").fit(X),
            GMM(3, **arguments).fit(X, sample_weight=np.ones(600)),
        ):
            assert_same_bits(model, other)
    r = model.predict_proba(X)
    # One more M-step from a converged fit moves less than this.
    away = ((X[:, None] - model.means_) ** 2).sum(axis=2)
    assert_allclose(model.covariances_, np.full(3, (r * away).sum() / (3 * r.sum())), rtol=1e-3)
    assert model.bic(X) == pytest.approx(-2 * 600 * model.score(X) + (1 + 9 + 2) * np.log(600), rel=1e-12)


def test_the_kind_of_start_is_one_by_name(monkeypatch):
    monkeypatch.setattr(starts, "METHODS", dict(starts.METHODS))
    followed("a kind of start", np=np, METHODS=starts.METHODS)
    X = clusters(300, 2, 2)
    model = GMM(2, init_params="quantiles").fit(X)
    assert model.converged_ and np.isfinite(model.score(X))


def test_the_source_is_fitted_as_its_rows_in_memory():
    source = followed("a data source", np=np)["Ramp"]()
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
