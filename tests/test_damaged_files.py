"""A damaged, foreign or inconsistent file is a ValueError that names it and the fault: never another error, and
never another model."""

import io
import json
import pickle
import re
import zipfile

import numpy as np
import pytest

from cgmm import GMM

ARRAYS = ("weights", "means", "covariances", "precisions_cholesky", "lower_bounds")
FAMILIES = ("full", "tied", "diag", "spherical")
X = np.random.RandomState(0).randn(300, 3) * [1, 2, 5] + np.repeat([[0.0], [9.0], [30.0]], 100, axis=0)
MODELS = {family: GMM(3, covariance_type=family, random_state=0).fit(X) for family in FAMILIES}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.npz"
    MODELS["full"].save(path)
    return path


def assert_refused(path, fault):
    with pytest.raises(ValueError, match=fault) as caught:
        GMM.load(path)
    assert str(path) in str(caught.value)


def attempt(path, expected):
    """What becomes of loading a file that was `expected` once."""
    try:
        found = GMM.load(path)
    except ValueError as error:
        return "refused" if str(path) in str(error) else "an error that does not name the file"
    except Exception as error:
        return repr(error)
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_", "converged_")
    same = all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in names)
    return "the same" if same and found.get_params() == expected.get_params() else "another model"


# Bytes


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        GMM.load(tmp_path / "none.npz")
    with pytest.raises(OSError, match="directory"):
        GMM.load(tmp_path)


def test_truncated(path):
    whole = path.read_bytes()
    for size in {*range(0, len(whole), 13), *range(100), *range(len(whole) - 100, len(whole))}:
        path.write_bytes(whole[:size])
        assert_refused(path, "cannot be loaded as a cgmm model")


@pytest.mark.parametrize("k", [1, 1200])
def test_flipped_bytes(tmp_path, k):
    """A sample of all bytes; every byte of the archive's directory; every digit in an array's description."""
    model = GMM.from_parameters(np.full(k, 1 / k), np.arange(k)[:, np.newaxis], np.ones(k), "spherical")
    path = tmp_path / "model.npz"
    model.save(path)
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    flips = [(i, 1 << i % 8) for i in range(0, directory, max(17, directory // 500))]
    flips += [(i, mask) for i in range(directory, len(whole)) for mask in (1, 32, 255)]
    for found in re.finditer(rb"'descr'[^}]*\d[^}]*}", whole):
        digits = (i for i in range(*found.span()) if whole[i : i + 1].isdigit())
        flips += [(i, whole[i] ^ new) for i in digits for new in b"01248" if new != whole[i]]
    outcomes = {}
    for i, mask in flips:
        path.write_bytes(whole[:i] + bytes([whole[i] ^ mask]) + whole[i + 1 :])
        outcomes.setdefault(attempt(path, model), []).append((i, mask))
    assert outcomes.keys() == {"refused", "the same"}, {what: where[:3] for what, where in outcomes.items()}


def zipped(**members):
    """An archive of files that are not arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"", "not an npz file"),
        (b"P", "not an npz file"),
        (b"weights,means\n1,2\n", "not an npz file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not an npz file"),
        (pickle.dumps(MODELS["full"]), "not an npz file"),
        (b"PK\x03\x04" + bytes(100), "zip"),
        (zipped(), "no cgmm header"),
        (zipped(header="{}", weights="1"), "header"),
        (npz(), "no cgmm header"),
        (npz(weights=np.ones(1), means=np.ones((1, 1))), "no cgmm header"),
        (npz(header=np.ones(3)), "header"),
    ],
    ids=["empty", "byte", "text", "png", "pickle", "zip_start", "zip", "zip_of_text", "npz", "arrays", "numbers"],
)
def test_foreign_files(tmp_path, content, fault):
    (tmp_path / "foreign").write_bytes(content)
    assert_refused(tmp_path / "foreign", fault)


def test_members_that_are_not_arrays(path):
    with zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    members = {name if name == "means" else name + ".npy": content for name, content in members.items()}
    path.write_bytes(zipped(**members | {"means": b"1, 2, 3"}))
    assert_refused(path, "means")


# Contents


def rewrite(path, header=None, **arrays):
    """Save the file anew with other entries of its header, and other arrays (None: left out)."""
    with np.load(path) as archive:
        kept = dict(archive)
    changed = json.dumps(json.loads(str(kept["header"])) | header) if isinstance(header, dict) else header
    kept |= ({"header": changed} if header is not None else {}) | arrays
    path.write_bytes(npz(**{name: array for name, array in kept.items() if array is not None}))


def test_rewritten_unchanged_is_good(path):
    rewrite(path, header={}, weights=MODELS["full"].weights_.copy())
    assert attempt(path, MODELS["full"]) == "the same"


@pytest.mark.parametrize(
    "header, fault",
    [
        ({"version": 3}, "version is 3, newer than this cgmm's 2"),
        ({"version": 0}, "version is 0"),
        ({"version": "1"}, "version is '1'"),
        ({"version": 1.5}, "version is 1.5"),
        ({"version": None}, "version is None"),
        ({"format": "other"}, "header is not cgmm's"),
        ({"covariance_type": "round"}, "covariance_type must be one of .*'round'"),
        ({"covariance_type": "diag"}, r"'precisions_cholesky' should have the shape of \(3, 3\)"),
        ({"covariance_type": None}, "covariance_type"),
        ({"settings": None}, "header is damaged"),
        ({"settings": [["tol", 1]]}, "header is damaged"),
        ({"converged": "yes"}, "header is damaged"),
        ({"feature_names": ["a", "b"]}, "header is damaged"),
        ({"feature_names": ["a", "b", 3]}, "header is damaged"),
        ({"feature_names": "abc"}, "header is damaged"),
        ("[1, 2]", "header is not cgmm's"),
        ("{'format'", "Expecting"),
        ("[" * 100_000, "header"),
        (np.ones(2), "header"),
        (np.array(["{}"]), "header"),
    ],
)
def test_headers(path, header, fault):
    rewrite(path, header=header)
    assert_refused(path, fault)


@pytest.mark.parametrize("entry", ["version", "format", "covariance_type", "settings", "converged"])
def test_header_entries_left_out(path, entry):
    with np.load(path) as archive:
        header = json.loads(str(archive["header"]))
    del header[entry]
    rewrite(path, header=json.dumps(header))
    assert_refused(path, entry if entry != "format" else "header is not cgmm's")


def test_settings_of_a_newer_cgmm_are_passed_over(path):
    rewrite(path, header={"settings": {"tol": 0.5, "temperature": 1}})
    assert GMM.load(path).tol == 0.5


def put(at, value):
    """A function that gives an array with one value replaced."""

    def change(array):
        changed = np.array(array)
        changed[at] = value
        return changed

    return change


@pytest.mark.parametrize(
    "name, change, fault",
    [(name, lambda _: None, f"lacks {name}") for name in ARRAYS]
    + [(name, lambda array: array.astype(object), "Python objects, which are never unpickled") for name in ARRAYS]
    + [(name, lambda array: array.astype(str), name) for name in ARRAYS]
    + [(name, lambda array: array + 0j, name) for name in ARRAYS]
    + [(name, lambda array: array[:-1], name) for name in ARRAYS[:4]]
    + [(name, lambda array: array[..., np.newaxis], name) for name in ARRAYS]
    + [(name, put(-1, np.nan), f"{name}.*NaN|NaN.*{name}") for name in ARRAYS]
    + [(name, put(0, -np.inf), f"{name}.*infinity|infinity.*{name}") for name in ARRAYS]
    + [
        ("weights", lambda weights: weights * 1.01, "'weights' should be normalized"),
        ("weights", lambda weights: np.array([1.5, 0, -0.5]), r"'weights' must not be negative.*\[2\]"),
        ("weights", lambda weights: np.array(1.0), "'weights' should have the shape"),
        ("means", lambda means: means[:, :0], r"means has shape \(3, 0\)"),
        ("means", lambda means: means[0], r"means has shape \(3,\)"),
        ("covariances", put((2, 0, 0), -1.0), "'covariances' should be.*positive-definite.*component 2"),
        ("covariances", put((1, 0, 2), 0.1), "'covariances' should be.*not symmetric"),
        ("covariances", lambda covariances: 2 * covariances, "precisions_cholesky does not belong to covariances"),
        ("precisions_cholesky", lambda upper: upper.transpose(0, 2, 1), "does not belong"),
        ("precisions_cholesky", lambda upper: upper[..., ::-1], "triangular"),  # of the same precisions
        ("precisions_cholesky", lambda upper: -upper, "positive diagonal"),
        ("precisions_cholesky", lambda upper: upper[::-1], "does not belong"),
        ("precisions_cholesky", put((0, 1, 1), 0.0), "positive diagonal"),
        ("lower_bounds", lambda bounds: bounds.astype(np.float32), "lower_bounds"),
    ],
)
def test_arrays(path, name, change, fault):
    rewrite(path, **{name: change(getattr(MODELS["full"], name + "_"))})
    assert_refused(path, fault)


@pytest.mark.parametrize("family", FAMILIES)
def test_precisions_of_another_model(tmp_path, family):
    model = MODELS[family]
    model.save(tmp_path / "model.npz")
    for factor, fault in ((1 + 1e-6, "does not belong to covariances"), (-1.0, "must .*positive"), (0.0, "positive")):
        rewrite(tmp_path / "model.npz", precisions_cholesky=factor * model.precisions_cholesky_)
        assert_refused(tmp_path / "model.npz", f"precisions_cholesky {fault}" if factor > 1 else fault)


@pytest.mark.parametrize(
    "fault, changes",
    [
        ("stream_n_k", {"stream_n_k": -np.ones(3)}),
        ("stream_n_k", {"stream_n_k": np.zeros(3)}),
        ("stream_least", {"stream_least": np.zeros(3)}),
        ("stream_first", {"stream_first": np.ones((3, 2))}),
        ("stream_second", {"stream_second": np.full((3, 3, 3), np.nan)}),
        ("lacks stream_shift", {"stream_shift": None}),
        ("seen", {"header": {"stream": {"exponent": 0, "seen": "many", "iterations": 1, "batches": 1}}}),
        ("batches", {"header": {"stream": {"exponent": 0, "seen": 3.0, "iterations": 1, "batches": -1}}}),
        ("exponent", {"header": {"stream": {"seen": 3.0, "iterations": 1, "batches": 1}}}),
        ("cannot be loaded", {"header": {"stream": 3}}),
    ],
)
def test_what_is_remembered_of_rows(path, fault, changes):
    rewrite(path, **changes)
    assert_refused(path, fault)
