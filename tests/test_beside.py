"""Where the package cannot be what is imported, the first import says what happened, and what to do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cgmm
from cgmm import beside

PACKAGE = Path(cgmm.__file__).parent


@pytest.fixture
def clone(tmp_path):
    """A clone that is not compiled."""
    shutil.copytree(PACKAGE, tmp_path / "cgmm", ignore=shutil.ignore_patterns("_kernels*", "__pycache__"))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "_kernels.pyx").touch()
    return tmp_path


@pytest.mark.parametrize("arguments", [("-c", "import cgmm"), ("-m", "cgmm", "--version")], ids=["import", "command"])
def test_a_clone_that_is_not_compiled(clone, arguments):
    ended = subprocess.run([sys.executable, *arguments], cwd=clone, capture_output=True, text=True)
    assert ended.returncode == 1
    message = ended.stderr.splitlines()[-1]
    assert message.startswith(f"ImportError: cgmm was imported from its source tree, {clone}, which is not compiled")
    assert message.endswith("pip install -e .") and "circular" not in ended.stderr


def test_an_installation_without_its_core(tmp_path, monkeypatch):
    monkeypatch.setattr(beside, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"without its compiled core.*--force-reinstall compiled-gmm$"):
        beside.check(tmp_path / "cgmm")


def test_the_other_package_of_that_name(tmp_path):
    beside.check(tmp_path / "cgmm")
    (tmp_path / "cgmm-0.5.1.dist-info").mkdir()
    with pytest.raises(
        ImportError, match=r"another project's \(cgmm-0\.5\.1\.dist-info\).*uninstall cgmm compiled-gmm"
    ):
        beside.check(tmp_path / "cgmm")
