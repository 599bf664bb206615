"""Libraries that are used where they are installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

EXTRAS = {"pandas": "pandas", "pyarrow": "arrow", "sklearn": "sklearn", "PIL": "pillow", "tqdm": "progress"}


def need(module: str, what: str) -> Any:
    """The module; an error that says how to install it where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise ImportError(f"{what} needs {name}: pip install 'graft-client[{EXTRAS[name]}]'") from error
