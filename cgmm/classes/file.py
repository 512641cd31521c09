"""Save and load a classifier: one npz file, with the mixture whose components are the classes, or that of each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from cgmm.classes.choosing import Candidate
from cgmm.classes.classified import Classified
from cgmm.classes.fitting import Found
from cgmm.fit.state import State
from cgmm.gmm import GMM
from cgmm.mixture.families import FAMILIES
from cgmm.persistence import (
    CLASSES,
    Packed,
    checked_parameters,
    names_of,
    naming_damage,
    naming_fault,
    plain,
    read,
    settings_of,
)
from cgmm.validation import check_choice, check_count, check_counts, check_flag, check_real, check_start_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Missing, Names, Seed

VERSION = 1
ARRAYS = ("weights", "means", "covariances", "precisions_cholesky")
CLASSES_TYPE = "classes_type"  # Of the labels' array, which a list of JSON does not tell.
KINDS = "biufSU"  # Of labels that a file holds without pickle: numbers and texts.


class Saved(NamedTuple):
    """What a file holds: classes, how many components each has, the mixtures, one of all or one of each, what else is
    known of the fit, and the constructor's arguments."""

    classes: NDArray[Any]
    shared: bool
    counts: list[int]
    mixtures: list[Parameters]
    priors: Array
    names: Names | None
    candidates: tuple[Candidate, ...]
    n_iter: int
    converged: bool
    settings: dict[str, Any]

    def found(self, missing: Missing, n_threads: int | None, random_state: Seed) -> Found:
        """What was learnt, whose mixtures read rows by these arguments."""
        models = [
            GMM(
                one.k,
                covariance_type=one.family.name,
                random_state=random_state,
                missing=missing,
                n_threads=n_threads,
            )._with(State.given(one, self.names))
            for one in self.mixtures
        ]
        if self.shared:
            owners = np.repeat(np.arange(len(self.counts)), self.counts)
            classified = Classified.of_components(self.classes, models[0], owners=owners)
        else:
            classified = Classified.of_mixtures(self.classes, models, self.priors)
        return Found(classified, self.candidates, self.n_iter, self.converged)


def packed(kind: str, found: Found, settings: Mapping[str, Any]) -> Packed:
    """What was learnt, as a header and arrays."""
    classified = found.classified
    models = [classified.mixture] if classified.shared else list(classified.each)
    parameters = [model._mixture for model in models]
    labels, objects = _plain_labels(classified.classes)
    index = {label: g for g, label in enumerate(classified.classes.tolist())}
    header = {
        "format": CLASSES,
        "version": VERSION,
        "model": kind,
        "shared": classified.shared,
        "components": [int(count) for count in np.bincount(classified.owners)],
        "objects": objects,
        "covariance_types": [one.family.name for one in parameters],
        "feature_names": None if classified.names is None else list(classified.names),
        "candidates": [[index.get(label), *others] for label, *others in found.candidates],
        "n_iter": found.n_iter,
        "converged": found.converged,
        "n_components": check_counts("n_components", settings["n_components"]),
        "settings": plain(settings),
    }
    arrays: dict[str, Any] = {"classes": labels, "priors": classified.priors}
    for at, one in enumerate(parameters):
        arrays |= {f"{name}_{at}": getattr(one, name) for name in ARRAYS}
    return Packed(header, arrays)


def told(kind: str, found: Found, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was learnt, as a dictionary that JSON can hold."""
    classes = found.classified.classes
    if classes.dtype.kind == "S":
        raise ValueError("the labels of the classes are bytes, which JSON cannot hold: make texts of them")
    return packed(kind, found, settings).told() | {CLASSES_TYPE: _plain_labels(classes)[0].dtype.str}


def of_told(values: Any, kind: str) -> Saved:
    """What `told` has made; ValueError or TypeError says what is wrong with it."""
    with naming_fault(values, "a classifier"):
        found = Packed.of_told(values, CLASSES, VERSION, _needed)
        found.arrays["classes"] = found.arrays["classes"].astype(str(found.header[CLASSES_TYPE]))
        return _unpacked(found, kind)


def load(path: str | os.PathLike[str] | BinaryIO, kind: str) -> Saved:
    """What was packed and written there; ValueError names the file and what is wrong with it."""
    with naming_damage(path, "a classifier") as file:
        return _unpacked(read(file, CLASSES, VERSION, _needed), kind)


def _unpacked(found: Packed, kind: str) -> Saved:
    header, arrays = found
    if header.get("model") != kind:
        raise ValueError(f"it holds a {header.get('model')}, not a {kind}")
    classes = _labels(arrays["classes"], header["objects"])
    mixtures = [_parameters(header, arrays, at) for at in range(len(header["covariance_types"]))]
    shared = check_flag("its header's shared", header["shared"])
    counts = header.get("components", [1] * mixtures[0].k if shared else [one.k for one in mixtures])
    counts = [check_count("its header's components", count) for count in counts]
    if not shared and counts != [one.k for one in mixtures]:
        raise ValueError(f"it says that classes have {counts} components, and their mixtures have others")
    number = len(counts) if shared and sum(counts) == mixtures[0].k else len(mixtures) * (not shared)
    if len(classes) != number or len({one.d for one in mixtures}) != 1:
        raise ValueError(f"it has {len(classes)} classes, and mixtures of others")
    priors = check_start_array("priors", arrays["priors"], (number,))
    if (priors < 0).any() or not np.isclose(priors.sum(), 1.0):
        raise ValueError("priors must be non-negative and sum to one")
    names = names_of(header["feature_names"], mixtures[0].d)
    candidates = tuple(_candidate(told, classes) for told in header["candidates"])
    n_iter = check_count("its header's n_iter", header["n_iter"], 0)
    settings = settings_of(header)
    sizes = check_counts("its header's n_components", header["n_components"])
    settings["n_components"] = sizes[0] if len(sizes) == 1 else sizes
    converged = check_flag("its header's converged", header["converged"])
    return Saved(classes, shared, counts, mixtures, priors, names, candidates, n_iter, converged, settings)


def _needed(header: Mapping[str, Any]) -> tuple[str, ...]:
    """The arrays that a file with this header has."""
    count = len(header["covariance_types"])
    if not count:
        raise ValueError("it has no mixture")
    return ("classes", "priors", *(f"{name}_{at}" for at in range(count) for name in ARRAYS))


def _parameters(header: Mapping[str, Any], arrays: Mapping[str, Array], at: int) -> Parameters:
    """Those of a mixture; the saved precisions_cholesky is what predicts, to the bit."""
    family = check_choice("covariance_type", header["covariance_types"][at], FAMILIES)
    weights, means, covariances, cholesky = (arrays[f"{name}_{at}"] for name in ARRAYS)
    if means.ndim != 2 or 0 in means.shape:
        raise ValueError(f"means_{at} has shape {means.shape}")
    cholesky = check_start_array(f"precisions_cholesky_{at}", cholesky, family.shape(*means.shape))
    return checked_parameters(family, weights, means, covariances, family.root_from_precisions_cholesky(cholesky))


def _plain_labels(labels: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Labels in a type that a file can hold without pickle, and whether they were Python objects."""
    if not labels.dtype.hasobject:
        return labels, False
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("the labels of the classes are Python objects that are no texts, which a file cannot hold")
    return labels.astype(str), True


def _labels(labels: NDArray[Any], objects: object) -> NDArray[Any]:
    """The labels of a file: numbers or texts, ascending."""
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in KINDS:
        raise ValueError(f"classes has shape {labels.shape} and type {labels.dtype}")
    if len(np.unique(labels)) != len(labels) or (np.unique(labels) != labels).any():
        raise ValueError("classes must ascend")
    return labels.astype(object) if check_flag("its header's objects", objects) else labels


def _candidate(told: Any, classes: NDArray[Any]) -> Candidate:
    at, family, k, value = told
    check_choice("covariance_type", family, FAMILIES)
    label = None if at is None else classes.tolist()[check_count("a candidate's class", at, 0, len(classes) - 1)]
    value = value if value == np.inf else check_real("a candidate's value", value, least=-np.inf)
    return Candidate(label, family, check_count("a candidate's n_components", k), value)
