"""Results with a column for each component, class or feature, as data frames where a user asks for them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from cgmm.protocol import Estimator
from cgmm.validation import check_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cgmm.types import Rows

    Container = Literal["default", "pandas", "polars"]

CONTAINERS = {name: name for name in ("default", "pandas", "polars")}


class Framing(Estimator):
    """An estimator whose results may be data frames."""

    def set_output(self, *, transform: Container | None = None) -> Self:
        """Choose what results with a column for each component, class or feature are, from now on.

        These are ``predict_proba`` and its like, and ``impute``. The columns have the names of the components, classes
        or features; a pandas frame also has the index of X, if X is one. ``sklearn.base.clone`` keeps the choice.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, optional
            "default": NumPy arrays. None: no change. It is called so in scikit-learn.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            There is no such container.
        ImportError
            pandas or polars is not installed.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [9.0]], [1.0, 1.0], "spherical")
        >>> model.set_output(transform="pandas").predict_proba([[0.0]]).columns.tolist()
        ['component_0', 'component_1']
        """
        if transform is None:
            return self
        check_choice("transform", transform, CONTAINERS)
        if transform != "default" and find_spec(transform) is None:
            raise ImportError(f"transform={transform!r} needs {transform}: pip install {transform}")
        self._sklearn_output_config = {"transform": transform}  # where scikit-learn's clone looks for it
        return self

    def _in_frame(self, values: Any, X: Any, columns: Callable[[], Iterable[object]]) -> Any:
        """Values of the rows of X (n,m) in the container that was chosen; columns() : the names of the m."""
        container = vars(self).get("_sklearn_output_config", {}).get("transform", "default")
        if container == "default" or not isinstance(values, np.ndarray):
            return values
        return _frame(container, values, X, [str(name) for name in columns()])


def _frame(container: str, values: Rows, X: Any, columns: list[str]) -> Any:
    if container == "polars":
        import polars

        return polars.DataFrame(values, schema=columns)
    import pandas

    return pandas.DataFrame(values, columns=columns, index=X.index if isinstance(X, pandas.DataFrame) else None)
