"""A property that is computed when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class once(Generic[T]):
    """A property that is computed when it is first asked for.

    functools.cached_property of Python 3.11 holds a lock meanwhile, one for all objects: a child that another thread
    forks at that moment would wait for it for ever.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute: Any = compute
        self.__doc__ = compute.__doc__

    def __get__(self, instance: object, owner: type | None = None) -> T:
        if instance is None:
            return self  # type: ignore[return-value]  # asked of the class
        return vars(instance).setdefault(self.compute.__name__, self.compute(instance))
