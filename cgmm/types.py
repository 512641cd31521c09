"""The types that annotations share. Only type checkers import it: it costs nothing at run time."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cgmm.em import IterationState
from cgmm.parameters import Parameters

__all__ = ["ArrayLike"]

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
Labels: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Names: TypeAlias = NDArray[np.object_]  # of features

# Arguments of GMM
CovarianceType: TypeAlias = Literal["full", "tied", "diag", "spherical"]
Init: TypeAlias = (
    Literal["kmeans", "k-means++", "random", "random_from_data"]
    | Callable[[NDArray[Any], int, np.random.RandomState], ArrayLike]
)
Parameter: TypeAlias = Literal["weights", "means", "covariances"]
FixedParameters: TypeAlias = Collection[Parameter] | Mapping[Parameter, ArrayLike]
OnDegenerate: TypeAlias = Literal["warn", "repair", "raise"]
Missing: TypeAlias = Literal["error", "marginal"]
Seed: TypeAlias = int | np.random.RandomState | np.random.Generator | None
Callback: TypeAlias = Callable[[IterationState], bool | None]  # True: stop

# Behind it
Moment: TypeAlias = Literal["full", "diag", "radial", "pooled"]  # what the kernels accumulate
Form: TypeAlias = Literal["triangular", "diagonal", "isotropic", "masked"]  # of a whitening factor
Components: TypeAlias = Labels | list[int]
Part: TypeAlias = tuple[Rows, Array | None]  # rows and their weights
Parts: TypeAlias = Labels | Array  # labels (n,) or responsibilities (n,k)
Method: TypeAlias = Callable[[Rows, int, np.random.Generator, Array | None, int], Parts]  # of a start
Observer: TypeAlias = Callable[[int, float, float, Parameters], bool]
