"""The types that annotations share. Only type checkers import it: it costs nothing at run time."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ArrayLike"]

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
RowType: TypeAlias = np.dtype[np.floating[Any]]  # one of these two
Labels: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Names: TypeAlias = NDArray[np.object_]  # of features

# Arguments of GMM
CovarianceType: TypeAlias = Literal[
    "full", "tied", "diag", "spherical",
    "EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV", "E", "V",
]  # fmt: skip
Init: TypeAlias = (
    Literal["kmeans", "k-means++", "random", "random_from_data"]
    | Callable[[NDArray[Any], int, np.random.RandomState], ArrayLike]
)
Parameter: TypeAlias = Literal["weights", "means", "covariances"]
FixedParameters: TypeAlias = Collection[Parameter] | Mapping[Parameter, ArrayLike]
OnDegenerate: TypeAlias = Literal["warn", "repair", "raise"]
Concentration: TypeAlias = Literal["dirichlet_process", "dirichlet_distribution"]  # of weights
NamedPrior: TypeAlias = Literal["default", "mclust"]
Missing: TypeAlias = Literal["error", "marginal"]
Stop: TypeAlias = Literal["change", "distance"]
NoiseComponent: TypeAlias = Literal["uniform"] | float | None
Starts: TypeAlias = int | Literal["auto"]  # how many
Seed: TypeAlias = int | np.random.RandomState | np.random.Generator | None

# Behind it
Moment: TypeAlias = Literal["full", "diag", "radial", "pooled", "deblurred"]  # what the kernels accumulate
# Of a whitening factor, or of what stands in its place beside errors of measurement.
Form: TypeAlias = Literal["triangular", "diagonal", "isotropic", "masked", "covariances", "variances"]
RowErrors: TypeAlias = Rows  # variances (n,d) or covariances (n,d,d) of the errors of rows, of any strides
# What a pass that evaluates leaves; "log_densities" are log π_c N(x | μ_c, Σ_c).
Output: TypeAlias = Literal["log_likelihood", "responsibilities", "log_densities", "labels"]
Answer: TypeAlias = Output | Literal["noise"]  # what a mixture says of each row
Order: TypeAlias = NDArray[np.int32]
Components: TypeAlias = Labels | list[int]
Partition: TypeAlias = Labels | Array  # labels (n,) or responsibilities (n,k)
