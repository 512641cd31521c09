"""A fit that may be killed: what it has done is kept in a file, from which the same fit goes on to the same bits."""

from __future__ import annotations

import contextlib
import hashlib
import json
import numbers
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.em.stage import Fit, History, Stage, Starving
from cgmm.em.trail import Trail
from cgmm.errors import InvalidParameterError
from cgmm.files import check_writable, is_special, write_whole
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.noise import Box, Noise
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.posterior import Belief, Posterior
from cgmm.mixture.prior import Prior
from cgmm.mixture.rules import Repair
from cgmm.mixture.values import Values
from cgmm.rows.pruning import Pruning
from cgmm.tables.npy import Archive

if TYPE_CHECKING:
    from cgmm.rows.data import Data

FORMAT, VERSION = "cgmm checkpoint", 3
# Arguments that change no bit of a fit: a checkpoint may be continued with others.
NO_BIT = ("n_threads", "verbose", "verbose_interval", "callback", "checkpoint", "checkpoint_interval")


class Checkpoint:
    """The finished runs of EM of one fit, and how far the last has come; in the file at path, if it was killed before.

    InvalidParameterError says that the file is damaged or none, or which argument of another fit it is from.
    """

    def __init__(self, path: str | os.PathLike[str], interval: int, rng: np.random.Generator) -> None:
        self.path, self.interval = path, interval
        self.about: dict[str, Any] = {}
        self.fits: list[Fit] = []
        self.stage: Stage | None = None
        if is_special(path):
            raise InvalidParameterError(
                f"the checkpoint {os.fspath(path)} is a pipe or a device, and must be a regular file: name another"
            )
        check_writable(path)
        self.found = _read(path) if os.path.exists(path) else None
        if self.found is not None:
            rng.bit_generator.state = self._state(rng)
            self.fits = [_fit(*fit) for fit in self.found["fits"]]
            self.stage = None if self.found["stage"] is None else _stage(self.found["stage"])
        self.generator = rng.bit_generator.state

    def _state(self, rng: np.random.Generator) -> Any:
        """That of the generator when the fit began."""
        state, kind = (self.found or {})["generator"], rng.bit_generator.state["bit_generator"]
        if state["bit_generator"] != kind:
            raise InvalidParameterError(f"the checkpoint {os.fspath(self.path)} is of another generator than {kind}")
        return state

    def belongs_to(self, arguments: Mapping[str, Any], data: Data, last: Parameters | None) -> None:
        """Say what the fit is of, and from which parameters it goes on; InvalidParameterError if the file is of another
        one."""
        self.about = _about(arguments, data, last)
        if self.found is None:
            return
        found = self.found["about"]
        for name in [*self.about, *(found.keys() - self.about.keys())]:
            ours, theirs = (told.get(name, "absent") for told in (self.about, found))
            if theirs != ours:
                raise InvalidParameterError(
                    f"the checkpoint {os.fspath(self.path)} is of another fit, whose {name} was {theirs}, not {ours}: "
                    "name another file, or delete this one"
                )

    def finished(self, run: int) -> Fit | None:
        """The fit of a run of EM that was finished."""
        return self.fits[run] if run < len(self.fits) else None

    def keep(self, stage: Stage) -> None:
        """After an iteration: write to the file each so many."""
        if stage.iterations % self.interval == 0:
            self.stage = stage
            self._write()

    def finish(self, fit: Fit) -> None:
        """After a run."""
        self.fits.append(fit)
        self.stage = None
        self._write()

    def remove(self) -> None:
        """After the fit."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _write(self) -> None:
        arrays: list[Any] = []
        stage = None if self.stage is None else tuple(self.stage)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "about": self.about,
            "generator": _packed(self.generator, arrays),
            "fits": _packed([tuple(vars(fit).values()) for fit in self.fits], arrays),
            "stage": _packed(stage, arrays),
        }
        text = np.array(json.dumps(header))
        write_whole(self.path, lambda file: np.savez(file, text, *arrays))


def _about(arguments: Mapping[str, Any], data: Data, last: Parameters | None) -> dict[str, Any]:
    """What tells fits apart: arguments, as text; the rows and weights by their moments, and some rows."""
    told = {name: _told(value) for name, value in arguments.items() if name not in NO_BIT}
    if not isinstance(arguments["random_state"], numbers.Integral):
        del told["random_state"]  # the generator is kept
    if last is not None and arguments["warm_start"]:
        told["last fit"] = _digest(last.weights, last.means, last.covariances)
    weight, mean, covariance = data.moments()
    return {
        **told,
        "number of rows": data.n,
        "number of features": data.d,
        "type": str(data.dtype),
        **({"labels": _labels(data)} if data.labelled else {}),
        **({"errors": _errors(data)} if data.measured else {}),
        "rows and weights": _digest(np.array([weight, data.counted]), mean, covariance, data.spread(256)),
    }


def _labels(data: Data) -> str:
    """How many rows have each label, and which of some rows have it."""
    some = data.place.some(256).part.labels
    assert some is not None
    return f"{sorted(data.place.known().items())}, {_digest(some)[:8]}"


def _errors(data: Data) -> str:
    """What the errors of some rows are."""
    some = data.place.some(256).part.errors
    assert some is not None
    return _digest(np.ascontiguousarray(some))[:8]


def _digest(*arrays: Any) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return str({key: _told(value[key]) for key in sorted(value)})
    if isinstance(value, set | frozenset | list | tuple) and all(isinstance(item, str) for item in value):
        return str(sorted(value))
    if hasattr(value, "__array__") or isinstance(value, list | tuple):
        return _digest(np.asarray(value, dtype=np.float64))
    if isinstance(value, Prior):
        return _told(vars(value))
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__qualname__))
    return str(value.item() if isinstance(value, np.generic) else value)


def _packed(value: Any, arrays: list[Any]) -> Any:
    """A value as JSON has it, whose arrays are put aside."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays)}
    if isinstance(value, Parameters):
        parts = value.weights, value.means, value.covariances, value.root
        packed = {"family": value.family.name, "parts": _packed(parts, arrays)}
        if isinstance(value, Posterior):
            packed |= {"belief": _packed(value.belief.told(), arrays), "masses": _packed(value.masses, arrays)}
        if value.noise is not None:
            packed |= {"noise": _packed(tuple(vars(value.noise).values()), arrays)}
        return packed
    if isinstance(value, tuple | list | frozenset | History):
        return [_packed(item, arrays) for item in value]
    if isinstance(value, dict):
        return {"mapping": {name: _packed(item, arrays) for name, item in value.items()}}
    return value.item() if isinstance(value, np.generic) else value


def _unpacked(value: Any, archive: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unpacked(item, archive) for item in value)
    if isinstance(value, dict) and "mapping" in value:
        return {name: _unpacked(item, archive) for name, item in value["mapping"].items()}
    if isinstance(value, dict) and "array" in value:
        return archive[f"arr_{value['array']}"]
    if isinstance(value, dict):
        family, parts = FAMILIES[value["family"]], _unpacked(value["parts"], archive)
        if "belief" not in value:
            return Parameters(family, *parts, noise=_noise(_unpacked(value.get("noise"), archive)))
        belief = Belief.of_told(family, **_unpacked(value["belief"], archive))
        return belief.of(_unpacked(value["masses"], archive), Values(*parts))
    return value


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    with open(path, "rb") as file:
        try:
            with Archive(file) as archive:
                if "arr_0" not in archive:
                    raise ValueError("it holds something else")
                header = json.loads(archive["arr_0"].item())
                if (header["format"], header["version"]) != (FORMAT, VERSION):
                    raise ValueError(f"it is {header['format']!r} of version {header['version']}")
                for name in ("generator", "fits", "stage"):
                    header[name] = _unpacked(header[name], archive)
                return header
        except Exception as error:  # whatever zipfile, NumPy and json make of a damaged file
            raise InvalidParameterError(
                f"{os.fspath(path)} is no checkpoint that can be read ({error}): name another file for the checkpoint"
            ) from error


def _fit(parameters: Any, lower_bounds: Any, converged: bool, n_k: Any, repairs: Any, *rest: Any) -> Fit:
    return Fit(parameters, lower_bounds, converged, n_k, _repairs(repairs), *rest)


def _stage(values: tuple[Any, ...]) -> Stage:
    """From the fields of one, in which tuples have lost their types."""
    stage = Stage(*values)
    now, begun, due = stage.starving
    return stage._replace(
        lower_bounds=History(stage.lower_bounds),
        repairs=_repairs(stage.repairs),
        pruning=Pruning(*stage.pruning),
        starving=Starving(frozenset(now), frozenset(begun), due),
        trail=Trail(*stage.trail),
    )


def _noise(packed: Any) -> Noise | None:
    if packed is None:
        return None
    weight, log_density, box = packed
    return Noise(weight, log_density, None if box is None else Box(*box))


def _repairs(repairs: Any) -> tuple[Repair, ...]:
    return tuple(Repair(*repair) for repair in repairs)
