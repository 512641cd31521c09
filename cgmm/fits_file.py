"""Save and load many fits: one npz file, as of one model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.fit.ledger import Ledger
from cgmm.fit.posteriors import Posteriors
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.laws import PRECISION_LAWS, WEIGHT_LAWS
from cgmm.persistence import (
    FITS,
    check_believed,
    checked_parameters,
    names_of,
    naming_damage,
    plain,
    read,
    settings_of,
    write,
)
from cgmm.rows.problems import KINDS, Titles
from cgmm.validation import check_choice, check_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.types import Array, Names

VERSION, OF_POINTS = 2, 1  # who does not know of posteriors is to refuse them
BESIDE = ("history", "labels")  # Arrays that are none of a ledger's.


class Saved(NamedTuple):
    """What a file holds: the fits, what their problems are called, the seed of each, and the arguments of all."""

    ledger: Ledger
    titles: Titles
    seeds: Sequence[int]
    settings: dict[str, Any]


def save(path: str | os.PathLike[str], saved: Saved) -> None:
    """Write fits to path, atomically; ValueError if the labels of their problems are Python objects but no texts."""
    ledger, (kind, labels, names) = saved.ledger, saved.titles
    arrays: dict[str, Any] = {name: getattr(ledger, name) for name in ledger.arrays}
    arrays["n_k"] = np.where([[ledger.remembers(i)] for i in range(len(labels))], ledger.n_k, np.nan)
    arrays["history"] = np.concatenate(ledger.history)
    arrays["labels"] = _plain_labels(labels)
    header = {
        "format": FITS,
        "version": VERSION if isinstance(ledger, Posteriors) else OF_POINTS,
        "covariance_type": ledger.family.name,
        "kind": kind,
        "objects": labels.dtype.hasobject,
        "feature_names": _listed(names) if ledger.d else None,
        "names": [_listed(own) for own in ledger.names],
        "seeds": list(saved.seeds),
        "settings": plain(saved.settings),
        "errors": list(ledger.errors.items()),
        "warnings": list(ledger.told.items()),
    }
    if isinstance(ledger, Posteriors):
        header["belief"] = ledger.kind
    write(path, header, arrays)


def load(path: str | os.PathLike[str], believed: bool) -> Saved:
    """What `save` wrote of posteriors, or of mixtures; ValueError names the file and what is wrong with it."""
    with naming_damage(path, "the fits of many problems") as file:
        header, arrays = read(file, FITS, VERSION, _needed)
        if ("belief" in header) != believed:
            raise ValueError(
                "it holds mixtures, not posteriors: use Fits.load"
                if believed
                else "it holds posteriors: use BayesianFits.load"
            )
        settings = settings_of(header)
        ledger = _ledger(header, arrays)
        titles = _titles(header, arrays["labels"], ledger)
        seeds = [check_seed(seed) for seed in header["seeds"]]
        if len(seeds) != len(ledger.weights):
            raise ValueError(f"it has {len(seeds)} seeds for {len(ledger.weights)} problems")
        return Saved(ledger, titles, seeds, settings)


def _needed(header: Mapping[str, Any]) -> tuple[str, ...]:
    """The arrays that a file with this header has."""
    return (*(Posteriors if "belief" in header else Ledger).arrays, *BESIDE)


def _empty(header: Mapping[str, Any], m: int, k: int) -> Ledger:
    """A ledger for what a file with this header holds."""
    family = check_choice("covariance_type", header.get("covariance_type"), FAMILIES)
    if "belief" not in header:
        return Ledger(m, k, family)
    check_choice("covariance_type", family.name, PRECISION_LAWS)
    check_choice("belief", header["belief"], WEIGHT_LAWS)
    return Posteriors(m, k, family, header["belief"])


def _ledger(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Ledger:
    means = arrays["means"]
    if means.ndim != 3 or not means.shape[0] or not means.shape[1]:
        raise ValueError(f"means has shape {means.shape}")
    m, k, d = means.shape
    ledger = _empty(header, m, k)
    ledger.make_room(d)
    for name in ledger.arrays:
        own, found = getattr(ledger, name), arrays[name]
        if found.shape != own.shape or not np.can_cast(found.dtype, own.dtype, "same_kind"):
            raise ValueError(f"{name} has shape {found.shape} and type {found.dtype}, not {own.shape}, {own.dtype}")
        own[...] = found
    _check_counts(ledger, arrays["history"])
    ledger.history = np.split(arrays["history"], np.cumsum(ledger.n_iter)[:-1])
    ledger.names = [names_of(names, d) for names in _of_each(header["names"], m, "names")]
    ledger.errors = {_index(i, m): str(text) for i, text in header["errors"]}
    ledger.told = {_index(i, m): tuple(map(str, texts)) for i, texts in header["warnings"]}
    for i in np.flatnonzero(ledger.n_components).tolist():
        _check_fit(ledger, i)
    ledger.close()
    return ledger


def _check_counts(ledger: Ledger, history: Array) -> None:
    fitted = ledger.n_components > 0
    if (ledger.n_components < 0).any() or (ledger.n_components > ledger.k).any():
        raise ValueError(f"n_components must be from 0 to {ledger.k}")
    if (ledger.n_iter < 0).any() or history.shape != (ledger.n_iter.sum(),) or history.dtype != np.float64:
        raise ValueError("history must be one float64 an iteration")
    if not ledger.d and fitted.any():
        raise ValueError("means has no features")


def _check_fit(ledger: Ledger, i: int) -> None:
    """That the i-th problem has the parameters of a mixture, and what a stream goes on from."""
    weights, n_k, *others = ledger.of(i, int(ledger.n_components[i]))
    try:
        checked_parameters(ledger.family, weights, *others)
        if isinstance(ledger, Posteriors):
            check_believed(ledger.belief(i), ledger.masses[i, : len(weights)], ledger.d)
    except ValueError as error:
        raise ValueError(f"problem {i}: {error}") from None
    if not (np.isnan(n_k).all() or ((n_k >= 0).all() and n_k.any() and (ledger.least[i] > 0).all())):
        raise ValueError(f"problem {i}: n_k and least must be positive")


def _titles(header: Mapping[str, Any], labels: Any, ledger: Ledger) -> Titles:
    kind = check_choice("kind", header.get("kind"), {kind: kind for kind in KINDS})
    if labels.shape != ledger.log_likelihood.shape:
        raise ValueError(f"labels has shape {labels.shape}")
    labels = labels.astype(object) if header["objects"] else labels
    return Titles(kind, labels, names_of(header["feature_names"], ledger.d))


def _plain_labels(labels: Any) -> Any:
    """Labels in a type that a file can hold without pickle."""
    if labels.dtype.hasobject and not all(isinstance(label, str) for label in labels):
        raise ValueError("the groups' labels are Python objects that are no texts, which a file cannot hold")
    return labels.astype(str) if labels.dtype.hasobject else labels


def _listed(names: Names | None) -> list[str] | None:
    return None if names is None else list(names)


def _of_each(values: Any, m: int, name: str) -> list[Any]:
    if not isinstance(values, list) or len(values) != m:
        raise ValueError(f"its header is damaged: {name}")
    return values


def _index(i: Any, m: int) -> int:
    if not isinstance(i, int) or not 0 <= i < m:
        raise ValueError(f"its header is damaged: there is no problem {i!r}")
    return i
