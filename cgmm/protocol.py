"""scikit-learn, and data frames, met by protocol: nothing here imports scikit-learn but what it calls itself.

An estimator of its world has get_params and set_params, tags, routed metadata, names of features, and raises its
classes of errors and warnings.
"""

from __future__ import annotations

import inspect
import sys
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from weakref import WeakKeyDictionary

import numpy as np

from cgmm.suggestions import ARGUMENTS, suggested

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cgmm.types import Names

# Methods to which meta-estimators may route what goes with rows, as far as they take it.
ROUTED = ("fit", "partial_fit", "score")
METADATA = ("sample_weight", "labels", "error_covariances")
MOST_NAMED = 3  # Arguments that an error lists.
UNCHANGED = "$UNCHANGED$"  # By this scikit-learn marks a request that stays as it is.


class _Arguments(NamedTuple):
    """Of a class's constructor, and their names."""

    parameters: tuple[inspect.Parameter, ...]
    names: frozenset[str]


_ARGUMENTS: WeakKeyDictionary[type[Any], _Arguments] = WeakKeyDictionary()


class Estimator:
    """What scikit-learn, and its users, expect of every estimator."""

    def __new__(cls, *given: Any, **arguments: Any) -> Self:
        """TypeError of an argument that does not exist, or has to be named, which says which is meant."""
        if len(given) > 1:
            _check_places(cls, len(given))
        known = _arguments(cls).names if arguments else frozenset()
        for name in arguments:
            if name not in known:
                hint = suggested(name, known, ARGUMENTS)
                raise TypeError(f"{cls.__name__}() got an unexpected keyword argument {name!r}{hint}")
        return super().__new__(cls)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name; if deep, as name__inner those of arguments that have their own.

        Parameters
        ----------
        deep : bool, default=True
            Whether arguments that are estimators tell theirs.

        Examples
        --------
        >>> from cgmm import GMM
        >>> GMM(3).get_params()["n_components"]
        3
        """
        found: dict[str, Any] = {}
        for name in self._defaults():
            found[name] = value = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                found |= {f"{name}__{inner}": own for inner, own in value.get_params().items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments, by name or name__inner; ValueError names one that does not exist.

        Parameters
        ----------
        **params
            New values by name.

        Returns
        -------
        self
            With none of its own changed if an argument does not exist.

        Examples
        --------
        >>> from cgmm import GMM
        >>> GMM(3).set_params(n_components=5).n_components
        5
        """
        known = self.get_params(deep=False)
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, _, inner = key.partition("__")
            if name not in known or (inner and not hasattr(params.get(name, known[name]), "set_params")):
                raise ValueError(
                    f"Invalid parameter {key!r} for estimator {self!r}. Valid parameters are: {list(known)}."
                )
            if inner:
                nested.setdefault(name, {})[inner] = value
        for name, inner in nested.items():
            params.get(name, known[name]).set_params(**inner)
        for name in params.keys() & known.keys():
            setattr(self, name, params[name])
        return self

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """The constructor's arguments and their defaults, but for **those that a subclass passes on."""
        return {own.name: own.default for own in _arguments(cls).parameters if own.kind != own.VAR_KEYWORD}

    def __repr__(self) -> str:
        defaults = self._defaults()
        told = {name: repr(getattr(self, name)) for name in defaults}
        changed = [f"{name}={text}" for name, text in told.items() if text != repr(defaults[name])]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: scikit-learn's diagram once it is there and shows its own so, or the text."""
        sklearn = sys.modules.get("sklearn")
        if sklearn is None or sklearn.get_config()["display"] != "diagram":
            return f"<pre>{escape(repr(self))}</pre>"
        from sklearn.utils import estimator_html_repr

        return estimator_html_repr(self)

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:  # which they are depends on scikit-learn's version
        """The table of arguments in scikit-learn's diagram, the changed ones first."""
        from sklearn.base import BaseEstimator

        return BaseEstimator._get_params_html(self, *args, **kwargs)

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, DensityMixin

        class Density(DensityMixin, BaseEstimator):
            pass

        return Density().__sklearn_tags__()

    def get_metadata_routing(self) -> Any:
        """scikit-learn's MetadataRequest: which methods ask a meta-estimator for sample_weight, labels or
        error_covariances, of those that they take.

        Examples
        --------
        >>> import sklearn
        >>> from cgmm import GMM
        >>> with sklearn.config_context(enable_metadata_routing=True):
        ...     GMM().set_fit_request(sample_weight=True).get_metadata_routing().fit.requests["sample_weight"]
        True
        """
        from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

        if "_metadata_request" in vars(self):  # where scikit-learn's clone and its scorers look for it
            return get_routing_for_object(self._metadata_request)
        request = MetadataRequest(owner=type(self).__name__)
        for method in ROUTED:
            for param in self._metadata_of(method):
                getattr(request, method).add_request(param=param, alias=None)
        return request

    def _metadata_of(self, method: str) -> list[str]:
        """What goes with rows that a method takes."""
        taken = inspect.signature(getattr(self, method)).parameters if hasattr(self, method) else {}
        return [name for name in METADATA if name in taken]

    def set_fit_request(
        self,
        *,
        sample_weight: bool | str | None = UNCHANGED,
        labels: bool | str | None = UNCHANGED,
        error_covariances: bool | str | None = UNCHANGED,
    ) -> Self:
        """Ask meta-estimators to route these arguments to ``fit``: True, False, None or another name for one.

        As in scikit-learn, with ``sklearn.set_config(enable_metadata_routing=True)``.

        Parameters
        ----------
        sample_weight : bool, str or None
            Whether to route it, or the name by which it is routed.
        labels : bool, str or None
            Whether to route it, or the name by which it is routed.
        error_covariances : bool, str or None
            Whether to route it, or the name by which it is routed.

        Examples
        --------
        >>> import sklearn
        >>> from cgmm import GMM
        >>> with sklearn.config_context(enable_metadata_routing=True):
        ...     model = GMM(2).set_fit_request(sample_weight=True)
        """
        return self._set_request("fit", sample_weight, labels=labels, error_covariances=error_covariances)

    def set_partial_fit_request(
        self,
        *,
        sample_weight: bool | str | None = UNCHANGED,
        labels: bool | str | None = UNCHANGED,
        error_covariances: bool | str | None = UNCHANGED,
    ) -> Self:
        """Ask meta-estimators to route these arguments to ``partial_fit``: see set_fit_request.

        Parameters
        ----------
        sample_weight : bool, str or None
            Whether to route it, or the name by which it is routed.
        labels : bool, str or None
            Whether to route it, or the name by which it is routed.
        error_covariances : bool, str or None
            Whether to route it, or the name by which it is routed.

        Examples
        --------
        >>> import sklearn
        >>> from cgmm import GMM
        >>> with sklearn.config_context(enable_metadata_routing=True):
        ...     model = GMM(2).set_partial_fit_request(sample_weight=True)
        """
        return self._set_request("partial_fit", sample_weight, labels=labels, error_covariances=error_covariances)

    def set_score_request(
        self, *, sample_weight: bool | str | None = UNCHANGED, error_covariances: bool | str | None = UNCHANGED
    ) -> Self:
        """Ask meta-estimators to route these arguments to ``score``: see set_fit_request.

        Parameters
        ----------
        sample_weight : bool, str or None
            Whether to route it, or the name by which it is routed.
        error_covariances : bool, str or None
            Whether to route it, or the name by which it is routed.

        Examples
        --------
        >>> import sklearn
        >>> from cgmm import GMM
        >>> with sklearn.config_context(enable_metadata_routing=True):
        ...     model = GMM(2).set_score_request(sample_weight=True)
        """
        return self._set_request("score", sample_weight, error_covariances=error_covariances)

    def _set_request(self, method: str, sample_weight: bool | str | None, **others: bool | str | None) -> Self:
        sklearn = sys.modules.get("sklearn")  # who has not imported it has not enabled it
        if sklearn is None or not sklearn.get_config().get("enable_metadata_routing", False):
            raise RuntimeError(
                "This method is only available when metadata routing is enabled: "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        asked, taken = self.get_metadata_routing(), self._metadata_of(method)
        told = {name: value for name, value in {"sample_weight": sample_weight, **others}.items() if value != UNCHANGED}
        if not told.keys() <= set(taken):
            raise TypeError(
                f"{type(self).__name__}.{method} takes {', '.join(taken) or 'none of these'}, and nothing else that "
                f"can be routed, not {', '.join(told.keys() - set(taken))}"
            )
        for name, value in told.items():
            getattr(asked, method).add_request(param=name, alias=value)
            self._metadata_request = asked
        return self


def _check_places(cls: type[Any], count: int) -> None:
    """TypeError if a constructor takes fewer arguments without their names."""
    taken = _arguments(cls).parameters
    placed = [own.name for own in taken if own.kind in (own.POSITIONAL_ONLY, own.POSITIONAL_OR_KEYWORD)]
    named = [f"{own.name}=" for own in taken if own.kind == own.KEYWORD_ONLY]
    if count > len(placed) and named and not any(own.kind == own.VAR_POSITIONAL for own in taken):
        raise TypeError(
            f"{cls.__name__}() takes {len(placed)} positional argument{'s' * (len(placed) > 1)} "
            f"({', '.join(placed)}) but {count} were given: write the names of the others, as in "
            f"{', '.join(named[:MOST_NAMED])}, …"
        )


class _Any(frozenset[str]):
    """The names of the arguments of a class that takes any."""

    def __contains__(self, name: object) -> bool:
        return True


def _arguments(cls: type[Any]) -> _Arguments:
    """Those of a class, which are looked up once: that takes half a millisecond."""
    if cls not in _ARGUMENTS:
        taken = tuple(inspect.signature(cls).parameters.values())
        names = frozenset(own.name for own in taken)
        any_name = any(own.kind == own.VAR_KEYWORD for own in taken)
        _ARGUMENTS[cls] = _Arguments(taken, _Any(names) if any_name else names)
    return _ARGUMENTS[cls]


def names_of_features(names: Iterable[object]) -> Names:
    """Names (d,) as an array that nobody changes."""
    found = np.array(list(names), dtype=object)
    found.flags.writeable = False
    return found


def feature_names(X: object) -> Names | None:
    """The names of a data frame's columns, (d,) of str objects; None if it is not a frame or they are not names."""
    X = without_index(X)
    columns = getattr(X, "column_names", getattr(X, "columns", None))  # Arrow's tables hold values in columns
    if columns is None or not hasattr(X, "shape"):
        return None
    names = names_of_features(columns)
    kinds = sorted({type(name).__qualname__ for name in names})
    if "str" not in kinds:
        return None
    if len(kinds) > 1:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{kinds} as feature name / column name types. If you want feature names to be stored and validated, "
            "you must convert them all to strings, by using X.columns = X.columns.astype(str) for example. Otherwise "
            "you can remove feature / column names from your input data, or convert them all to a non-string data type."
        )
    return names


def without_index(X: Any) -> Any:
    """A table of Arrow's without the columns that were a data frame's index, which names rows; others as they are."""
    if not hasattr(X, "column_names"):
        return X
    index = (getattr(getattr(X, "schema", None), "pandas_metadata", None) or {}).get("index_columns", [])
    names = [name for name in index if name in X.column_names]
    return X.drop_columns(names) if names else X


def seen_names(names: Names | None) -> Names:
    """The feature_names_in_ of a fitted estimator; AttributeError if its fit has seen none."""
    if names is None:
        raise AttributeError("feature_names_in_ is only there after a fit on a data frame with string names")
    return names


def check_feature_names(names: Names | None, fitted: Names | None, name: str = "GMM") -> str | None:
    """Compare the names of a frame's columns with those of the fit, either None, of an estimator of that class's name.

    Returns a warning to give, or None; ValueError says how they differ.
    """
    if names is None and fitted is None:
        return None
    if fitted is None:
        return f"X has feature names, but {name} was fitted without feature names"
    if names is None:
        return f"X does not have valid feature names, but {name} was fitted with feature names"
    if np.array_equal(names, fitted):
        return None
    lines = ["The feature names should match those that were passed during fit."]
    for told, listed in (
        ("Feature names unseen at fit time:", sorted(set(names) - set(fitted))),
        ("Feature names seen at fit time, yet now missing:", sorted(set(fitted) - set(names))),
    ):
        if listed:
            lines += [told, *(f"- {name}" for name in listed[:5]), *(["- ..."] if len(listed) > 5 else [])]
    if len(lines) == 1:
        lines.append("Feature names must be in the same order as they were in fit.")
    raise ValueError("\n".join(lines) + "\n")
