"""Save and load: one npz file, versioned, without pickle, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cgmm.em.stepwise import FLOAT32, Memory
from cgmm.files import write_whole
from cgmm.mixture.checks import check_matrices, check_mixture_weights
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.noise import MOST, Box, Noise
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.second import SECOND_MOMENTS
from cgmm.mixture.statistics import SufficientStatistics
from cgmm.protocol import names_of_features
from cgmm.tables.npy import Archive
from cgmm.validation import check_choice, check_count, check_real, check_start_array

if TYPE_CHECKING:
    from cgmm.types import Array, Names

FORMAT = "cgmm"
VERSION, WITHOUT_NOISE = 2, 1
ARRAYS = ("weights", "means", "covariances", "precisions_cholesky", "lower_bounds")
BOX = tuple(f"noise_{name}" for name in Box._fields)
ORTHONORMAL = 1e-6  # Inner products of a box's axes are those of unit vectors to this: rounding leaves far less.
TOLD = ("seen", "iterations", "batches")
LARGEST_EXPONENT = 1200  # Of a stream's sums of weights: no double's is as far from zero.
STREAM = tuple(f"stream_{name}" for name in ("n_k", "first", "second", "shift", "least"))


def save(
    path: str | os.PathLike[str],
    parameters: Parameters,
    lower_bounds: Array,
    converged: bool,
    names: Names | None,
    memory: Memory | None,
    settings: Mapping[str, object],
) -> None:
    """Write parameters, history (iterations,), names, what is remembered of the rows, and the settings that JSON can
    hold to path, atomically."""
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": WITHOUT_NOISE,
        "covariance_type": parameters.family.name,
        "converged": converged,
        "feature_names": None if names is None else list(names),
        "settings": _plain(settings),
    }
    arrays: dict[str, Any] = {
        "weights": parameters.weights,
        "means": parameters.means,
        "covariances": parameters.covariances,
        "precisions_cholesky": parameters.precisions_cholesky,
        "lower_bounds": lower_bounds,
    }
    if memory is not None:
        sums = memory.statistics
        header["stream"] = {"exponent": sums.exponent, "eps": memory.eps} | {
            name: getattr(memory, name) for name in TOLD
        }
        arrays |= dict(zip(STREAM, (sums.n_k, sums.first, sums.second, sums.shift, memory.least), strict=True))
    noise = parameters.noise
    if noise is not None:  # a version that does not know of noise is to refuse the file
        header |= {"version": VERSION, "noise": {"weight": noise.weight, "log_density": noise.log_density}}
        arrays |= {} if noise.box is None else dict(zip(BOX, noise.box, strict=True))
    write_whole(path, lambda file: np.savez(file, header=np.array(json.dumps(header)), **arrays))


def load(
    path: str | os.PathLike[str],
) -> tuple[Parameters, Array, bool, Names | None, Memory | None, dict[str, Any]]:
    """Parameters, history, converged, feature names, what is remembered of the rows and settings of a file.

    ValueError names the file and what is wrong with it.
    """
    with open(path, "rb") as file:
        try:
            header, arrays = _read(file)
            parameters = _parameters(header, arrays)
            settings = _settings(header)
            names = _names(header, parameters.d)
            memory = _memory(header, arrays, parameters)
            return parameters, arrays["lower_bounds"], header["converged"], names, memory, settings
        except MemoryError:
            raise
        except Exception as error:  # whatever zipfile, NumPy and json make of a damaged file
            raise ValueError(f"{os.fspath(path)} cannot be loaded as a cgmm model: {error}") from error


def _plain(settings: Mapping[str, object]) -> dict[str, Any]:
    """Those of the settings that JSON can hold."""
    plain: dict[str, Any] = {}
    for name, value in settings.items():
        value = value.item() if isinstance(value, np.generic) else value
        value = list(value) if isinstance(value, tuple | set | frozenset) else value
        is_names = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if is_names or isinstance(value, bool | int | float | str | None):
            plain[name] = value
    return plain


def _settings(header: Mapping[str, Any]) -> dict[str, Any]:
    settings = header.get("settings")
    if not isinstance(settings, dict):
        raise ValueError("its header is damaged: settings")
    if not isinstance(header.get("converged"), bool):
        raise ValueError("its header is damaged: converged")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _names(header: Mapping[str, Any], d: int) -> Names | None:
    """Those of the features (d,), which files of older versions lack."""
    names = header.get("feature_names")
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != d or not all(isinstance(name, str) for name in names):
        raise ValueError("its header is damaged: feature_names")
    return names_of_features(names)


def _read(file: BinaryIO) -> tuple[dict[str, Any], dict[str, Array]]:
    if file.read(2) != b"PK":
        raise ValueError("it is not an npz file")
    file.seek(0)
    with Archive(file) as archive:
        damaged = archive.zip.testzip()  # NumPy may stop before the end of a part, where its checksum is compared
        if damaged is not None:
            raise ValueError(f"its part {damaged} is damaged")
        if "header" not in archive:
            raise ValueError("it has no cgmm header")
        header = archive["header"]
        if header.dtype.kind != "U" or header.shape != ():
            raise ValueError("its header is not cgmm's")
        header = json.loads(header.item())
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError("its header is not cgmm's")
        version = header.get("version")
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"its format version is {version!r}")
        if version > VERSION:
            raise ValueError(f"its format version is {version}, newer than this cgmm's {VERSION}; use a newer cgmm")
        names = ARRAYS + STREAM if "stream" in header else ARRAYS
        names += BOX if BOX[0] in archive else ()
        missing = [name for name in names if name not in archive]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return header, {name: archive[name] for name in names}


def _parameters(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Parameters:
    """The saved precisions_cholesky is what predicts, to the bit; it must belong to the covariances."""
    family = check_choice("covariance_type", header.get("covariance_type"), FAMILIES)
    if arrays["means"].ndim != 2 or 0 in arrays["means"].shape:
        raise ValueError(f"means has shape {arrays['means'].shape}")
    k, d = arrays["means"].shape
    weights = check_mixture_weights("weights", arrays["weights"], k)
    means = check_start_array("means", arrays["means"], (k, d))
    covariances = check_matrices("covariances", arrays["covariances"], family, k, d)
    cholesky = check_start_array("precisions_cholesky", arrays["precisions_cholesky"], family.shape(k, d))
    lower_bounds = arrays["lower_bounds"]
    if lower_bounds.ndim != 1 or lower_bounds.dtype != np.float64:
        raise ValueError("lower_bounds must be one float64 an iteration")
    check_start_array("lower_bounds", lower_bounds, lower_bounds.shape)
    root = family.root_from_precisions_cholesky(cholesky)
    if not family.is_root_of(root, covariances):
        raise ValueError("precisions_cholesky does not belong to covariances")
    return Parameters(family, weights, means, covariances, root, _noise(header, arrays, d))


def _noise(header: Mapping[str, Any], arrays: Mapping[str, Array], d: int) -> Noise | None:
    """The noise component, which files of older versions lack."""
    if "noise" not in header:
        return None
    weight = check_real("the weight of its noise", header["noise"]["weight"], most=MOST)
    log_density = float(check_start_array("the density of its noise", header["noise"]["log_density"], ()))
    if BOX[0] not in arrays:
        return Noise(weight, log_density)
    shapes = ((d,), (d, d), (d,), (d,))
    box = Box(*(check_start_array(name, arrays[name], shape) for name, shape in zip(BOX, shapes, strict=True)))
    if not (box.low < box.high).all() or not np.allclose(box.axes @ box.axes.T, np.eye(d), atol=ORTHONORMAL):
        raise ValueError("the box of its noise is none")
    return Noise(weight, log_density, box)


def _memory(header: Mapping[str, Any], arrays: Mapping[str, Array], parameters: Parameters) -> Memory | None:
    """What is remembered of the rows, which files of older versions and those of given parameters lack."""
    if "stream" not in header:
        return None
    family, k, d = parameters.family, parameters.k, parameters.d
    shapes = ((k,), (k, d), SECOND_MOMENTS[family.moment].shape(k, d), (k, d), (d,))
    found = {name: check_start_array(name, arrays[name], shape) for name, shape in zip(STREAM, shapes, strict=True)}
    n_k, first, second, shift, least = found.values()
    if (n_k < 0).any() or not n_k.any() or (least <= 0).any():
        raise ValueError("stream_n_k and stream_least must be positive")
    told = {name: header["stream"][name] for name in TOLD}
    told["seen"] = check_real("its header's seen", told["seen"])
    for name in ("iterations", "batches"):
        check_count(f"its header's {name}", told[name], 0)
    exponent = check_count("its header's exponent", header["stream"]["exponent"], -LARGEST_EXPONENT, LARGEST_EXPONENT)
    statistics = SufficientStatistics(
        n_k=n_k,
        first=first,
        second=second,
        log_likelihood=np.nan,
        total_weight=float(n_k.sum()),
        shift=shift,
        moment=family.moment,
        exponent=exponent,
    )
    eps = check_real("its header's eps", header["stream"].get("eps", FLOAT32))
    return Memory(statistics, least=least, eps=eps, **told)
