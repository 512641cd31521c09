"""Checkpoints of cgmm fit: a fit that goes on from one, and files that none may replace."""

import contextlib
import os

import pytest

from cgmm import GMM, BayesianGMM
from cgmm.command import verbs
from datasets import DATA
from problems import same_model

FAITHFUL = str(DATA / "faithful.csv")
NAMES = ["eruptions", "waiting"]


@pytest.mark.parametrize("kind", [GMM, BayesianGMM])
@pytest.mark.parametrize("verbose", [False, True])
def test_a_fit_goes_on_from_its_checkpoint(tmp_path, run, monkeypatch, kind, verbose):
    """To the same bits, and the model keeps no trace of it; that it goes on is said once."""

    def broken(state):
        if state.iteration == 25:
            raise KeyboardInterrupt

    options = ["fit", FAITHFUL, "-k", 4, "--tol", 0, "--max-iter", 40, *["--bayesian"] * (kind is BayesianGMM)]
    assert run(*options, "-o", tmp_path / "whole.npz")[0] == 0
    again = [*options, "--checkpoint", tmp_path / "fit.ckpt", "-o", tmp_path / "model.npz"]
    with monkeypatch.context() as patch:
        patch.setattr(verbs.progress, "iterations", lambda *_: contextlib.nullcontext(broken))
        assert run(*again) == (130, "", "")
    assert sorted(os.listdir(tmp_path)) == ["fit.ckpt", "whole.npz"]
    code, _, errors = run(*again, "--seed", 1)
    assert code == 2 and errors.startswith("cgmm: error: the checkpoint ") and "goes on" not in errors
    code, _, errors = run(*again, *["--verbose"] * verbose)
    said = "Continues from {} (finished starts: 0)\n" if verbose else "cgmm: the fit goes on from {}\n"
    assert code == 0 and errors.startswith(said.format(tmp_path / "fit.ckpt")) and errors.count("fit.ckpt") == 1
    found, whole = (kind.load(tmp_path / name) for name in ("model.npz", "whole.npz"))
    same_model(found, whole)
    assert found.get_params() == whole.get_params() and not (tmp_path / "fit.ckpt").exists()


def test_a_checkpoint_that_is_another_file(tmp_path, run, model):
    data = tmp_path / "x.csv"
    data.write_text(NAMES[0] + "\n1\n2\n")
    for checkpoint, told in (
        (data, "is the data that is read: write to another file"),
        (tmp_path / "out.npz", "cannot be the model and its checkpoint: name two files"),
    ):
        code, printed, errors = run("fit", data, "-k", 1, "--checkpoint", checkpoint, "-o", tmp_path / "out.npz")
        assert (code, printed) == (2, "") and told in errors
    code, _, errors = run("fit", data, "-k", 1, "--checkpoint", tmp_path / "model.npz")
    assert code == 2 and errors == (
        f"cgmm: error: {tmp_path / 'model.npz'} is no checkpoint that can be read (it holds something else): name "
        "another file for the checkpoint\n"
    )
    assert (tmp_path / "model.npz").exists()
