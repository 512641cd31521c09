"""The public face as a type checker sees it: .ci/run checks this file with mypy, and pytest runs it."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, assert_type

import numpy as np
from numpy.typing import NDArray

import cgmm
from cgmm import GMM, KMeansResult, Prior, SufficientStatistics
from cgmm.diagnostics import Diagnostics
from cgmm.em import IterationState

Array = NDArray[np.float64]
Labels = NDArray[np.intp]
X = np.random.default_rng(0).normal(size=(60, 2))


def first_rows(X: NDArray[Any], n_components: int, random_state: np.random.RandomState) -> Array:
    return X[:n_components]


def stop_at_three(state: IterationState) -> bool:
    return state.iteration == 3


class Mixture(GMM):
    pass


def test_a_fit() -> None:
    model = GMM(2, covariance_type="diag", random_state=0).fit(X)
    assert_type(model, GMM)
    assert_type(Mixture(random_state=0).fit(X.tolist()), Mixture)
    assert_type(model.means_, Array)
    assert_type(model.covariances_, Array)
    assert_type(model.converged_, bool)
    assert_type(model.n_iter_, int)
    assert_type(model.lower_bound_, float)
    assert_type(model.diagnostics_, Diagnostics)
    assert_type(model.diagnostics_.condition_numbers, Array)
    assert_type(model.predict(X), Labels)
    assert_type(model.predict_proba(X), Array)
    assert_type(model.score_samples(X), Array)
    assert_type(model.score(X), float)
    assert_type(model.bic(X), float)
    assert_type(model.sample(3), tuple[Array, Labels])
    assert isinstance(model.converged_, bool) and isinstance(model.lower_bound_, float)
    assert isinstance(model.score(X), float) and isinstance(model.n_iter_, int)


def test_arguments() -> None:
    GMM(2, init_params=first_rows, callback=stop_at_three, random_state=np.random.default_rng(0)).fit(X)
    GMM(2, means_init=[[0, 0], [1, 1]], fixed={"means": [True, False]}, prior="default", callback=print)
    GMM(2, weights_init=[0.5, 0.5], fixed=["weights"], prior=Prior(mean=[0.0, 0.0]), n_threads=None)
    kinds: list[Literal["full", "tied", "diag", "spherical"]] = ["full", "tied", "diag", "spherical"]
    assert [GMM(covariance_type=kind).covariance_type for kind in kinds] == kinds


def test_mistakes_are_told() -> None:
    # mypy's warn_unused_ignores makes an error of each that it would let pass
    GMM(covariance_type="round")  # type: ignore[arg-type]
    GMM(init_params=len)  # type: ignore[arg-type]
    GMM(fixed=["covariance"])  # type: ignore[list-item]
    GMM(random_state="0")  # type: ignore[arg-type]


def test_functions(tmp_path: Path) -> None:
    model = GMM.from_parameters([1.0], [[0.0, 0.0]], np.eye(2)[None])
    assert_type(model, GMM)
    assert_type(cgmm.expectation(model, X) + cgmm.expectation(model, X), SufficientStatistics)
    assert_type(sum([cgmm.expectation(model, X)]), SufficientStatistics | Literal[0])
    assert_type(cgmm.maximisation(model, cgmm.expectation(model, X)), GMM)
    assert_type(cgmm.kmeans(X, 2, init="random"), KMeansResult)
    assert_type(cgmm.kmeans(X, 2, init=X[:2]).labels, Labels)
    model.save(tmp_path / "model.npz")
    assert_type(Mixture.load(str(tmp_path / "model.npz")), Mixture)


def test_types_are_shipped() -> None:
    assert all(files(cgmm).joinpath(name).is_file() for name in ("py.typed", "types.py", "_kernels.pyi"))
