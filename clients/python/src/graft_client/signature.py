"""The signature of a method that was made of an operation, for `help`, notebooks and editors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def with_self(method: F, operation: Callable[..., Any]) -> F:
    """The method, which says that it takes `self` and then what the operation takes."""
    found = inspect.signature(operation)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = found.replace(parameters=[itself, *found.parameters.values()])  # type: ignore[attr-defined]
    return method
