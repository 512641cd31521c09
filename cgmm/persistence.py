"""Save and load: one npz file, versioned, without pickle, written whole or not at all; or the same as a dictionary."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from cgmm.em.stepwise import FLOAT32, Memory
from cgmm.errors import InvalidParameterError
from cgmm.files import is_special, write_whole
from cgmm.mixture.checks import check_matrices, check_mixture_weights, check_scale
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.laws import PRECISION_LAWS
from cgmm.mixture.noise import MOST, Box, Noise
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.posterior import Belief, Posterior
from cgmm.mixture.second import SECOND_MOMENTS
from cgmm.mixture.statistics import SufficientStatistics
from cgmm.protocol import names_of_features
from cgmm.tables.npy import Archive
from cgmm.validation import (
    check_choice,
    check_component_names,
    check_count,
    check_flag,
    check_positive,
    check_real,
    check_start_array,
)

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.types import Array, Labels, Names

MODEL, FITS, CLASSES = "cgmm", "cgmm fits", "cgmm classes"  # Formats: of one model, of many fits, of a classifier.
VERSION, WITHOUT_NOISE = 2, 1
ARRAYS = ("weights", "means", "covariances", "precisions_cholesky", "lower_bounds")
BOX = tuple(f"noise_{name}" for name in Box._fields)
ORTHONORMAL = 1e-6  # Inner products of a box's axes are those of unit vectors to this: rounding leaves far less.
TOLD = ("seen", "iterations", "batches")
LARGEST_EXPONENT = 2200  # Of a stream's sums, of weights times responsibilities: none of either is below 2^−1074.
BAYESIAN = "BayesianGMM"  # The kind of model that may have a posterior.
REGRESSOR = "GMMRegressor"  # That which has a mixture of features and targets.
BELIEF = ("mean", "covariance")
STREAM = tuple(f"stream_{name}" for name in ("n_k", "first", "second", "shift", "least"))


class Packed(NamedTuple):
    """A model as a header that JSON can hold, and arrays by their names, none of which is a name in the header."""

    header: dict[str, Any]
    arrays: dict[str, Any]

    def write(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """As an npz file, atomically, or to a file that is open for writing bytes."""
        write(path, self.header, self.arrays)

    def told(self) -> dict[str, Any]:
        """As one dictionary that JSON can hold, arrays as lists."""
        return self.header | {name: np.asarray(array).tolist() for name, array in self.arrays.items()}

    @classmethod
    def of_told(cls, told: Any, format: str, newest: int, needed: Callable[[dict[str, Any]], Sequence[str]]) -> Packed:
        """What `told` has made; ValueError says what is wrong with it. Arguments as of `read`."""
        check_header(told, format, newest)
        names = needed(told)
        missing = [name for name in names if name not in told]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        arrays = {name: np.array(told[name]) for name in names}
        return cls({name: value for name, value in told.items() if name not in arrays}, arrays)


def packed(
    kind: str,
    parameters: Parameters,
    lower_bounds: Array,
    converged: bool,
    names: Names | None,
    memory: Memory | None,
    settings: Mapping[str, object],
    component_names: Sequence[str] | None = None,
) -> Packed:
    """The kind of model, parameters, history (iterations,), names, what is remembered of the rows, the settings that
    JSON can hold, and the names of components that a user has given."""
    header: dict[str, Any] = {
        "format": MODEL,
        "version": WITHOUT_NOISE if parameters.noise is None else VERSION,  # who does not know of noise is to refuse it
        "model": kind,
        "covariance_type": parameters.family.name,
        "converged": converged,
        "feature_names": None if names is None else list(names),
        "settings": plain(settings),
    }
    arrays: dict[str, Any] = {
        "weights": parameters.weights,
        "means": parameters.means,
        "covariances": parameters.covariances,
        "precisions_cholesky": parameters.precisions_cholesky,
        "lower_bounds": lower_bounds,
    }
    if component_names is not None:
        header["component_names"] = list(component_names)
    if kind == BAYESIAN:
        header["belief"] = None  # of parts that were assigned nothing is believed
    if isinstance(parameters, Posterior):
        told = parameters.belief.told()
        header["belief"] = {name: value for name, value in told.items() if not isinstance(value, np.ndarray)}
        arrays |= {f"belief_{name}": told[name] for name in BELIEF} | {"masses": parameters.masses}
    if memory is not None:
        sums = memory.statistics
        header["stream"] = {"exponent": sums.exponent, "eps": memory.eps} | {
            name: getattr(memory, name) for name in TOLD
        }
        header["stream"] |= {"noise": sums.noise} if sums.noise else {}
        arrays |= dict(zip(STREAM, (sums.n_k, sums.first, sums.second, sums.shift, memory.least), strict=True))
    noise = parameters.noise
    if noise is not None:
        header["noise"] = {"weight": noise.weight, "log_density": noise.log_density, "box": noise.box is not None}
        arrays |= {} if noise.box is None else dict(zip(BOX, noise.box, strict=True))
    return Packed(header, arrays)


class Regression(NamedTuple):
    """What a regressor has beside its mixture.

    features, targets : the columns of the mixture's rows that are features (p,) and targets (t,)
    names : of the features, or None;  flat : whether there is one target, and predictions have one dimension
    settings : its arguments, of which a file keeps those that JSON can hold
    """

    features: Labels
    targets: Labels
    names: Names | None
    flat: bool
    settings: Mapping[str, Any]

    def beside(self, mixture: Packed) -> Packed:
        """The regressor, of what a file has of its mixture."""
        told = {
            "features": self.features.tolist(),
            "targets": self.targets.tolist(),
            "feature_names": None if self.names is None else list(self.names),
            "flat": self.flat,
            "settings": plain(self.settings),
        }
        return mixture._replace(header=mixture.header | {"model": REGRESSOR, "regression": told})


class Loaded(NamedTuple):
    """What a file holds: the kind of model, its parameters, history, feature names, what is remembered of the rows, the
    arguments that it was made with, the names of components that were given, and what a regressor has beside these."""

    kind: str
    parameters: Parameters
    lower_bounds: Array
    converged: bool
    names: Names | None
    memory: Memory | None
    settings: dict[str, Any]
    component_names: tuple[str, ...] | None
    regression: Regression | None


def load(path: str | os.PathLike[str] | BinaryIO, *kinds: str) -> Loaded:
    """What a file holds.

    ValueError names the file and what is wrong with it, also if it is of none of the kinds of model that are asked for.
    """
    with naming_damage(path, "a cgmm model") as file:
        return unpacked(read(file, MODEL, VERSION, _needed), "load", *kinds)


def told(values: Any, *kinds: str) -> Loaded:
    """What a dictionary holds that `Packed.told` has made; ValueError or TypeError says what is wrong with it."""
    with naming_fault(values, "a cgmm model"):
        return unpacked(Packed.of_told(values, MODEL, VERSION, _needed), "from_dict", *kinds)


def unpacked(found: Packed, verb: str, *kinds: str) -> Loaded:
    """What was packed; verb : by which a class makes a model of it."""
    header, arrays = found
    kind = header.get("model", "GMM")  # files of older versions lack it
    if kind not in kinds:
        raise ValueError(f"it holds a {kind}, not a {' or '.join(kinds)}: load it with {kind}.{verb}")
    parameters = _parameters(header, arrays)
    if _is_believed(header):
        parameters = _believed(header, arrays, parameters)
    converged = _converged(header)
    settings = settings_of(header)
    names = names_of(header.get("feature_names"), parameters.d)
    memory = _memory(header, arrays, parameters)
    components = check_component_names(header.get("component_names"), parameters.k)
    regression = _regression(header["regression"], parameters.d) if kind == REGRESSOR else None
    return Loaded(kind, parameters, arrays["lower_bounds"], converged, names, memory, settings, components, regression)


def _needed(header: Mapping[str, Any]) -> tuple[str, ...]:
    """The arrays that a file with this header has."""
    names = ARRAYS + (STREAM if "stream" in header else ()) + (BOX if header.get("noise", {}).get("box") else ())
    return names + (("masses", *(f"belief_{name}" for name in BELIEF)) if _is_believed(header) else ())


def _is_believed(header: Mapping[str, Any]) -> bool:
    """Whether a file with this header holds a posterior."""
    return header.get("model") == BAYESIAN and header["belief"] is not None


def write(path: str | os.PathLike[str] | BinaryIO, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """A header that JSON can hold, and arrays, as an npz file, atomically, or to a file that is open for writing."""

    def fill(file: BinaryIO) -> None:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)

    if isinstance(path, str | os.PathLike):
        write_whole(path, fill)
        return
    if not hasattr(path, "write"):
        raise InvalidParameterError(f"path must be a path or a file that is open for writing, not {path!r}")
    _check_bytes(path, "wb")
    whole = io.BytesIO()  # a zip's writer goes back in what it writes, which a socket or a pipe cannot
    fill(whole)
    path.write(whole.getvalue())


@contextlib.contextmanager
def naming_damage(path: str | os.PathLike[str] | BinaryIO, kind: str) -> Iterator[BinaryIO]:
    """The open file; whatever is wrong with what it holds is a ValueError that names it."""
    with _opened(path) as file, _naming(_name_of(path), kind):
        yield file


@contextlib.contextmanager
def naming_fault(values: object, kind: str) -> Iterator[None]:
    """Whatever is wrong with a dictionary of which a model is made is a ValueError; TypeError if it is none."""
    if not isinstance(values, dict):
        raise TypeError(f"a model is made of a dictionary, not of {type(values).__name__}")
    with _naming("the dictionary", kind):
        yield


@contextlib.contextmanager
def _naming(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # whatever zipfile, NumPy and json make of a damaged file
        raise ValueError(f"{name} cannot be loaded as {kind}: {error}") from error


def _opened(path: str | os.PathLike[str] | BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    """The file at path; or what is left of an open one, which stays open."""
    if isinstance(path, str | os.PathLike):
        if is_special(os.fspath(path)):
            raise ValueError(
                f"{os.fspath(path)} is a pipe or a device, and a model must be in a regular file: write it to one first"
            )
        return open(path, "rb")
    if not hasattr(path, "read"):
        raise InvalidParameterError(f"path must be a path or a file that is open for reading, not {path!r}")
    _check_bytes(path, "rb")
    return contextlib.nullcontext(io.BytesIO(path.read()))


def _check_bytes(file: object, mode: str) -> None:
    if isinstance(file, io.TextIOBase):
        raise InvalidParameterError(f"path must be open for bytes, as by mode {mode!r}, not for text: {file!r}")


def _name_of(path: str | os.PathLike[str] | BinaryIO) -> str:
    return os.fspath(path) if isinstance(path, str | os.PathLike) else "the file"


def plain(settings: Mapping[str, object]) -> dict[str, Any]:
    """Those of the settings that JSON can hold."""
    plain: dict[str, Any] = {}
    for name, value in settings.items():
        value = value.item() if isinstance(value, np.generic) else value
        value = list(value) if isinstance(value, tuple | set | frozenset) else value
        is_names = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if is_names or isinstance(value, bool | int | float | str | None):
            plain[name] = value
    return plain


def settings_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that `plain` has left."""
    settings = header.get("settings")
    if not isinstance(settings, dict):
        raise ValueError("its header is damaged: settings")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _converged(header: Mapping[str, Any]) -> bool:
    converged = header.get("converged")
    if not isinstance(converged, bool):
        raise ValueError("its header is damaged: converged")
    return converged


def names_of(names: Any, d: int) -> Names | None:
    """Those of the features (d,), which files of older versions lack."""
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != d or not all(isinstance(name, str) for name in names):
        raise ValueError("its header is damaged: feature_names")
    return names_of_features(names)


def read(file: BinaryIO, format: str, newest: int, needed: Callable[[dict[str, Any]], Sequence[str]]) -> Packed:
    """The header and the arrays of a file of that format, of no newer version.

    needed(header) : the names of the arrays that belong to it
    """
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
        check_header(header, format, newest)
        names = needed(header)
        missing = [name for name in names if name not in archive]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return Packed(header, {name: archive[name] for name in names})


def check_header(header: Any, format: str, newest: int) -> None:
    """That a header is of that format, and of no newer version."""
    if not isinstance(header, dict) or header.get("format") != format:
        raise ValueError(_other_format(header))
    version = header.get("version")
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"its format version is {version!r}")
    if version > newest:
        raise ValueError(f"its format version is {version}, newer than this cgmm's {newest}; use a newer cgmm")


def format_of(path: str | os.PathLike[str]) -> str | None:
    """The format that a file says it is of; None if nothing of cgmm's can be read there, which loading it tells."""
    try:
        with _opened(path) as file, Archive(file) as archive:
            header = json.loads(archive["header"].item())
            return str(header["format"])
    except MemoryError:
        raise
    except Exception:  # whatever zipfile, NumPy and json make of a file that is no such archive, or is damaged
        return None


def _other_format(header: object) -> str:
    """What is wrong with a header that is not of the format that is looked for."""
    told = header if isinstance(header, dict) else {}
    fits = "BayesianFits" if "belief" in told else "Fits"
    others = {
        MODEL: f"it holds one model: use {told.get('model', 'GMM')}.load",
        FITS: f"it holds the fits of many problems: use {fits}.load",
        CLASSES: "it holds a classifier: use GMMClassifier.load",
    }
    return others.get(str(told.get("format")), "its header is not cgmm's")


def _parameters(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Parameters:
    """The saved precisions_cholesky is what predicts, to the bit."""
    family = check_choice("covariance_type", header.get("covariance_type"), FAMILIES)
    if arrays["means"].ndim != 2 or 0 in arrays["means"].shape:
        raise ValueError(f"means has shape {arrays['means'].shape}")
    shape = family.shape(*arrays["means"].shape)
    cholesky = check_start_array("precisions_cholesky", arrays["precisions_cholesky"], shape)
    lower_bounds = arrays["lower_bounds"]
    if lower_bounds.ndim != 1 or lower_bounds.dtype != np.float64:
        raise ValueError("lower_bounds must be one float64 an iteration")
    check_start_array("lower_bounds", lower_bounds, lower_bounds.shape)
    root = family.root_from_precisions_cholesky(cholesky)
    found = checked_parameters(family, arrays["weights"], arrays["means"], arrays["covariances"], root)
    return found.beside(_noise(header, arrays, found.d))


def checked_parameters(family: Family, weights: Any, means: Any, covariances: Any, root: Array) -> Parameters:
    """Parameters of a file; the root, which predicts, must belong to the covariances."""
    k, d = means.shape
    weights = check_mixture_weights("weights", weights, k)
    means = check_start_array("means", means, (k, d))
    covariances = check_matrices("covariances", covariances, family, k, d, shared=False)
    if not family.is_root_of(root, covariances):
        raise ValueError("precisions_cholesky does not belong to covariances")
    return Parameters(family, weights, means, covariances, root)


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


def _believed(header: Mapping[str, Any], arrays: Mapping[str, Array], parameters: Parameters) -> Parameters:
    """The posterior that the parameters are of."""
    told = header["belief"]
    check_choice("covariance_type", parameters.family.name, PRECISION_LAWS)
    mean, covariance, masses = (
        check_start_array(name, arrays[name], arrays[name].shape)
        for name in ("belief_mean", "belief_covariance", "masses")
    )
    belief = Belief.of_told(
        parameters.family,
        k=parameters.k,
        mean=mean,
        covariance=covariance,
        **{name: told[name] for name in ("kind", "concentration", "mean_precision", "degrees", "rows")},
    )
    check_believed(belief, masses, parameters.d)
    return belief.of(masses, parameters.values)


def check_believed(belief: Belief, masses: Array, d: int) -> None:
    """ValueError or TypeError if a file's belief of d features, and the masses (k,) of its posterior's components, can
    be none."""
    told = belief.told()
    for name in ("concentration", "mean_precision", "degrees"):
        check_positive(f"{name} of its prior", told[name])
    check_real("rows of its prior", belief.rows)
    check_start_array("belief_mean", belief.mean, (d,))
    check_scale("belief_covariance", belief.covariance, belief.family, d)
    if not belief.degrees > d - 1:
        raise ValueError(f"degrees of its prior are {belief.degrees}, of {d} features")
    if (check_start_array("masses", masses, (belief.k,)) < 0).any():
        raise ValueError("masses must not be negative")


def _regression(told: Mapping[str, Any], d: int) -> Regression:
    """What a regressor has beside its mixture of d features and targets."""
    features, targets = (
        np.array([check_count(f"its header's {name}", j, 0, d - 1) for j in told[name]], dtype=np.intp)
        for name in ("features", "targets")
    )
    flat = check_flag("its header's flat", told["flat"])
    whole = np.array_equal(np.sort([*features, *targets]), np.arange(d))
    if not whole or not len(features) or not len(targets) or (flat and len(targets) > 1):
        raise ValueError(f"its features and targets are not the {d} of its mixture")
    return Regression(features, targets, names_of(told["feature_names"], len(features)), flat, settings_of(told))


def _memory(header: Mapping[str, Any], arrays: Mapping[str, Array], parameters: Parameters) -> Memory | None:
    """What is remembered of the rows, which files of older versions and those of given parameters lack."""
    if "stream" not in header:
        return None
    family, k, d = parameters.family, parameters.k, parameters.d
    shapes = ((k,), (k, d), SECOND_MOMENTS[family.moment].shape(k, d), (k, d), (d,))
    found = {name: check_start_array(name, arrays[name], shape) for name, shape in zip(STREAM, shapes, strict=True)}
    n_k, first, second, shift, least = found.values()
    if (n_k < 0).any() or not (n_k.any() or parameters.noise) or (least <= 0).any():  # all rows may be noise
        raise ValueError("stream_n_k and stream_least must be positive")
    told = {name: header["stream"][name] for name in TOLD}
    told["seen"] = check_real("its header's seen", told["seen"])
    for name in ("iterations", "batches"):
        check_count(f"its header's {name}", told[name], 0)
    noise = check_real("its header's noise", header["stream"].get("noise", 0.0))
    exponent = check_count("its header's exponent", header["stream"]["exponent"], -LARGEST_EXPONENT, LARGEST_EXPONENT)
    statistics = SufficientStatistics(
        n_k=n_k,
        first=first,
        second=second,
        log_likelihood=np.nan,
        total_weight=float(n_k.sum()) + noise,
        shift=shift,
        moment=family.moment,
        exponent=exponent,
        noise=noise,
    )
    eps = check_real("its header's eps", header["stream"].get("eps", FLOAT32))
    return Memory(statistics, least=least, eps=eps, **told)
