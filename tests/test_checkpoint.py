"""A fit that is broken off goes on from its checkpoint, and ends as if it had not been: to the bit."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import parsimonious
from cgmm import GMM
from problems import clusters

X = clusters(2000, 3, 4) + np.random.default_rng(3).normal(0, 1, (2000, 3))  # it overlaps: many iterations
ARGUMENTS = {"n_components": 4, "tol": 1e-6, "max_iter": 3000, "random_state": 0}


class Broken(Exception):
    pass


def break_at(iteration, restart=0):
    def callback(state):
        if (state.iteration, state.restart) == (iteration, restart):
            raise Broken

    return callback


def broken_off(rows, path, iteration, restart=0, **arguments):
    model = GMM(**ARGUMENTS, checkpoint=path, checkpoint_interval=3, callback=break_at(iteration, restart), **arguments)
    with pytest.raises(Broken):
        model.fit(rows)
    assert path.exists()


def resumed(rows, path, **arguments):
    """The fit again, and the iterations that it made."""
    seen = []
    model = GMM(**ARGUMENTS, checkpoint=path, checkpoint_interval=3, **arguments)
    model.set_params(callback=lambda state: seen.append((state.restart, state.iteration))).fit(rows)
    assert not path.exists()
    return model, seen


def assert_same(ours, theirs):
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert ours.converged_ == theirs.converged_
    assert ours.diagnostics_.repairs == theirs.diagnostics_.repairs
    told = [[(start.kind, start.log_likelihood) for start in model.diagnostics_.restarts] for model in (ours, theirs)]
    assert told[0] == told[1]


@pytest.mark.parametrize("family", ("tied", *parsimonious.NAMES))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_ends_with_the_same_bits(family, dtype, tmp_path):
    rows, path = X.astype(dtype), tmp_path / "fit"
    whole = GMM(**ARGUMENTS, covariance_type=family).fit(rows)
    assert whole.n_iter_ > 8
    broken_off(rows, path, 8, covariance_type=family)
    model, seen = resumed(rows, path, covariance_type=family)
    assert seen[0] == (0, 7)  # it was kept after the sixth
    assert_same(model, whole)


@pytest.mark.parametrize("restart", [0, 1, 10])
def test_other_starts_are_gone_through_again(restart, tmp_path):
    """Those that were finished are not run again."""
    whole = GMM(**ARGUMENTS, n_init=12).fit(X)
    broken_off(X, tmp_path / "fit", 1 if restart else 5, restart, n_init=12)  # further starts have run short already
    model, seen = resumed(X, tmp_path / "fit", n_init=12)
    assert min(seen)[0] == restart
    assert_same(model, whole)


def test_rows_in_blocks(tmp_path):
    def blocks():
        return np.array_split(X, 7)

    whole = GMM(**ARGUMENTS).fit(X)
    broken_off(blocks, tmp_path / "fit", 10)
    assert_same(resumed(blocks, tmp_path / "fit")[0], whole)


def test_a_pruned_fit(tmp_path):
    rng = np.random.default_rng(2)
    rows = rng.normal(0, 20, (32, 16))[rng.integers(32, size=20000)] + rng.normal(size=(20000, 16))
    start = {"means_init": rows[:32], "n_components": 32, "max_iter": 30, "tol": 1e-3}
    arguments = {**ARGUMENTS, **start}
    whole = GMM(**arguments).fit(rows)
    assert whole.n_iter_ > 5
    with pytest.raises(Broken):
        GMM(**arguments, checkpoint=tmp_path / "fit", checkpoint_interval=2, callback=break_at(5)).fit(rows)
    assert_same(GMM(**arguments, checkpoint=tmp_path / "fit").fit(rows), whole)


def test_a_generator_goes_on_where_it_was(tmp_path):
    """No seed: the state is in the file."""
    arguments = {**ARGUMENTS, "random_state": np.random.default_rng(7), "n_init": 3}
    with pytest.raises(Broken):
        GMM(**arguments, checkpoint=tmp_path / "fit", checkpoint_interval=3, callback=break_at(7)).fit(X)
    other = {**arguments, "random_state": None}
    whole = GMM(**{**arguments, "random_state": np.random.default_rng(7)}).fit(X)
    assert_same(GMM(**other, checkpoint=tmp_path / "fit").fit(X), whole)


KILLED = """
import os, signal, sys
import numpy as np
from cgmm import GMM
def kill(state):
    if state.iteration == 10:
        os.kill(os.getpid(), signal.SIGKILL)
GMM(**{arguments}, checkpoint=sys.argv[2], checkpoint_interval=2, callback=kill).fit(np.load(sys.argv[1]))
"""


def test_a_process_that_is_killed(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    program = KILLED.format(arguments=ARGUMENTS)
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program, tmp_path / "rows.npy", tmp_path / "fit"], env=os.environ
    )
    assert ended.returncode == -signal.SIGKILL
    model = GMM(**ARGUMENTS, checkpoint=tmp_path / "fit").fit(X)
    assert_same(model, GMM(**ARGUMENTS).fit(X))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"n_components": 5}, "n_components"), ({"random_state": 1}, "random_state"), ({"tol": 1e-5}, "tol"),
     ({"means_init": X[:4]}, "means_init"), ({"init_params": "random"}, "init_params")],
)  # fmt: skip
def test_a_checkpoint_of_another_fit_is_refused(change, named, tmp_path):
    broken_off(X, tmp_path / "fit", 5)
    with pytest.raises(ValueError, match=f"of another fit, whose {named} was"):
        GMM(**{**ARGUMENTS, **change}, checkpoint=tmp_path / "fit").fit(X)
    assert (tmp_path / "fit").exists()


@pytest.mark.parametrize("rows", [X[:-1], X + 1.0, X.astype(np.float32)])
def test_a_checkpoint_of_other_rows_is_refused(rows, tmp_path):
    broken_off(X, tmp_path / "fit", 5)
    with pytest.raises(ValueError, match=r"of another fit, whose (number of rows|rows and weights|type) was"):
        GMM(**ARGUMENTS, checkpoint=tmp_path / "fit").fit(rows)


def test_a_checkpoint_of_other_weights_or_a_few_other_rows_is_refused(tmp_path):
    w = np.linspace(0.1, 0.9, len(X))
    arguments = {**ARGUMENTS, "checkpoint": tmp_path / "fit", "checkpoint_interval": 3}
    with pytest.raises(Broken):
        GMM(**arguments, callback=break_at(5)).fit(X, sample_weight=w)
    other = X.copy()
    other[1001] += 3
    for rows, weights in ((X, 1 - w), (X, None), (other, w)):
        with pytest.raises(ValueError, match="rows and weights was"):
            GMM(**arguments).fit(rows, sample_weight=weights)
    whole = GMM(**ARGUMENTS).fit(X, sample_weight=w)
    assert_same(GMM(**arguments).fit(X, sample_weight=w), whole)


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox])
def test_any_bit_generator_is_kept(kind, tmp_path):
    def arguments():
        return {**ARGUMENTS, "random_state": np.random.Generator(kind(3)), "n_init": 3}

    with pytest.raises(Broken):
        GMM(**arguments(), checkpoint=tmp_path / "fit", checkpoint_interval=3, callback=break_at(5)).fit(X)
    with pytest.raises(ValueError, match="another generator"):
        GMM(**{**arguments(), "random_state": 0}, checkpoint=tmp_path / "fit").fit(X)
    assert_same(GMM(**arguments(), checkpoint=tmp_path / "fit").fit(X), GMM(**arguments()).fit(X))


def test_names_of_what_is_fixed_have_no_order(tmp_path):
    given = {"means_init": X[:4], "weights_init": np.full(4, 0.25)}
    broken_off(X, tmp_path / "fit", 5, fixed=["weights", "means"], **given)
    resumed(X, tmp_path / "fit", fixed={"means", "weights"}, **given)


def test_a_damaged_file_is_named(tmp_path):
    broken_off(X, tmp_path / "fit", 5)
    whole = (tmp_path / "fit").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "fit").write_bytes(content)
        with pytest.raises(ValueError, match="fit is no checkpoint that can be read"):
            GMM(**ARGUMENTS, checkpoint=tmp_path / "fit").fit(X)


def test_a_folder_that_is_not_there_is_named_before_the_work(tmp_path):
    with pytest.raises(OSError, match="none"):
        GMM(**ARGUMENTS, checkpoint=tmp_path / "none" / "fit", callback=break_at(1)).fit(X)


def test_a_fit_that_is_not_broken_off_leaves_no_file(tmp_path):
    assert_same(GMM(**ARGUMENTS, checkpoint=tmp_path / "fit").fit(X), GMM(**ARGUMENTS).fit(X))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "told"), [("", "is an empty path"), ("a\0b", "has a null character")])
def test_what_is_no_path_is_no_checkpoint(path, told):
    with pytest.raises(ValueError, match=f"checkpoint .*{told}"):
        GMM(2, checkpoint=path).fit(np.eye(5))


def test_a_device_is_no_checkpoint():
    """Some can be read without end."""
    with pytest.raises(ValueError, match=f"the checkpoint {os.devnull} is a pipe or a device"):
        GMM(2, checkpoint=os.devnull).fit(np.eye(5))


def test_it_says_once_that_it_goes_on(tmp_path, capsys):
    path = tmp_path / "fit"
    broken_off(X, path, 4, restart=1, n_init=3)
    resumed(X, path, n_init=3, verbose=2)
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"Continues from {path} (finished starts: 1)" and others[0] == "Start 0"
    assert not any("Continues" in line for line in others)
    resumed(X, path, n_init=3, verbose=2)
    assert "Continues" not in capsys.readouterr().out
