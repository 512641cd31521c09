"""What a user may have meant: near names, and the words of other programs."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

P = ParamSpec("P")
T = TypeVar("T")

# Arguments as scikit-learn's other estimators, mclust, SciPy and R's kmeans call them.
ARGUMENTS = {
    "k": "n_components",
    "g": "n_components",
    "n_clusters": "n_components",
    "n_mixtures": "n_components",
    "n_classes": "n_components",
    "clusters": "n_components",
    "components": "n_components",
    "seed": "random_state",
    "random_seed": "random_state",
    "rng": "random_state",
    "cov_type": "covariance_type",
    "covariance": "covariance_type",
    "covariances": "covariance_type",
    "modelnames": "covariance_type",
    "family": "covariance_type",
    "n_jobs": "n_threads",
    "threads": "n_threads",
    "max_iters": "max_iter",
    "n_iter": "max_iter",
    "iterations": "max_iter",
    "init": "init_params",
    "n_starts": "n_init",
    "nstart": "n_init",
    "regularization": "reg_covar",
    "eps": "tol",
    "weights": "sample_weight",
}
# Arguments of some functions that others do not have, though a name of theirs looks like it.
ELSEWHERE = {"noise_component": ": GMM and select take it, and this does not"}
# What other programs have in a module.
PUBLIC = {
    "load": "GMM.load",
    "gaussianmixture": "GMM",
    "bayesiangaussianmixture": "BayesianGMM",
    "mclust": "select",
}
# Values as other programs call them; they are looked for among those that an argument has.
VALUES = {
    "diagonal": "diag",
    "isotropic": "spherical",
    "round": "spherical",
    "common": "tied",
    "pooled": "tied",
    "shared": "tied",
    "ellipsoidal": "full",
    "unconstrained": "full",
    "unrestricted": "full",
    "k-means": "kmeans",
    "kmeans++": "k-means++",
    "ignore": "marginal",
    "omit": "marginal",
    "drop": "marginal",
    "dirichlet": "dirichlet_distribution",
}
ALIKE = 0.6  # A name is near another from this on, as difflib measures it: of three letters two may be swapped.


def meant(name: str, known: Iterable[str], words: Mapping[str, str]) -> str | None:
    """Which of the known names is meant by another; None if none is near. words : those of other programs."""
    names = list(known)
    word = words.get(name.lower())
    if word in names:
        return word
    near = get_close_matches(name.lower(), [other.lower() for other in names], 1, ALIKE)
    return next((other for other in names if other.lower() in near), None)


def suggested(name: object, known: Iterable[str], words: Mapping[str, str] = VALUES) -> str:
    """A question that an error ends with; empty if nothing is near."""
    found = meant(name, known, words) if isinstance(name, str) else None
    return "" if found is None else f": did you mean {found!r}?"


def explained(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, or method; where it does not take the arguments of a call, the TypeError says which argument
    was meant, and names the class of the object, not that in which the method stands."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # it was raised in the function
                raise
            known = inspect.signature(function).parameters
            others = [name for name in kwargs if name not in known]
            hints = [ELSEWHERE.get(name) or suggested(name, known, ARGUMENTS) for name in others]
            owner = f"{type(args[0]).__name__}." if "self" in known and args else ""
            told = str(error).replace(function.__qualname__, f"{owner}{function.__name__}", 1)
        raise TypeError(f"{told}{hints[0] if hints else ''}")

    return called
