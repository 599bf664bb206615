"""The file of named contexts, which the `graft` command and the Rust client read too.

It is `$GRAFT_CONFIG`, or `graft/config.toml` in `$XDG_CONFIG_HOME` (`~/.config` unless told):

    current-context = "local"

    [contexts.local]
    trainer = "http://127.0.0.1:7400"
    extractor = "http://127.0.0.1:7401"
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEYS = ("trainer", "extractor", "token", "token-file", "ca-file", "cert-file", "key-file", "server-name")
FILES = ("token-file", "ca-file", "cert-file", "key-file")
TOP = ("current-context", "contexts")


class ConfigError(ValueError):
    """The file of contexts, or what was said beside it, is wrong. The message names what, and what is accepted."""


@dataclass(frozen=True)
class Context:
    """Where the services are and how to speak to them; None where nothing is said."""

    trainer: str | None = None
    extractor: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the file is, whether it is there or not."""
    if named := environment.get("GRAFT_CONFIG"):
        return Path(named)
    # The XDG specification has relative paths ignored.
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".config") / "graft/config.toml"


def read_context(
    name: str | None = None,
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Context:
    """The context of this name, or the current one; an empty one where there is no file and none was named."""
    path = Path(file) if file is not None else config_path(environment)
    must = file is not None or bool(environment.get("GRAFT_CONFIG"))
    contexts, current = _read(path, must)
    wanted = name or environment.get("GRAFT_CONTEXT") or current
    if not wanted:
        return Context()
    if wanted not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise ConfigError(f"context {wanted!r} is not in {path}; there are: {known}")
    found = contexts[wanted]
    if any(one.token for one in contexts.values()):
        _warn_of_readers(path)
    if found.token_file:
        _warn_of_readers(found.token_file)
    return found


def _read(path: Path, must: bool) -> tuple[dict[str, Context], str]:
    if not must and not path.exists():
        return {}, ""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    _known(content, TOP, f"{path}")
    contexts, current = content.get("contexts", {}), content.get("current-context", "")
    if not isinstance(contexts, dict) or not all(isinstance(one, dict) for one in contexts.values()):
        raise ConfigError(f"{path}: contexts: tables [contexts.NAME] are expected")
    if not isinstance(current, str):
        raise ConfigError(f"{path}: current-context: a name is expected")
    return {name: _context(name, table, path) for name, table in contexts.items()}, current


def _context(name: str, table: dict[str, Any], path: Path) -> Context:
    _known(table, KEYS, f"{path}: contexts.{name}")
    wrong = [key for key, value in table.items() if not isinstance(value, str)]
    if wrong:
        # What it is instead may be a token.
        raise ConfigError(f"{path}: contexts.{name}.{wrong[0]}: text is expected")
    if "token" in table and "token-file" in table:
        raise ConfigError(f"{path}: contexts.{name}: token and token-file are both given; one is expected")
    if ("cert-file" in table) != ("key-file" in table):
        raise ConfigError(f"{path}: contexts.{name}: cert-file and key-file belong together; one of them is missing")
    # A path in the file is relative to the file, wherever the program runs.
    files = {key: str(path.parent / Path(table[key]).expanduser()) for key in FILES if key in table}
    return Context(**{key.replace("-", "_"): value for key, value in {**table, **files}.items()})


def _warn_of_readers(path: str | os.PathLike[str]) -> None:
    if os.name == "posix" and os.path.exists(path) and os.stat(path).st_mode & 0o044:
        warnings.warn(f"{path} holds a token and others may read it; chmod 600 it", stacklevel=2)


def _known(table: dict[str, Any], accepted: tuple[str, ...], where: str) -> None:
    unknown = [key for key in table if key not in accepted]
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; {', '.join(accepted)} are accepted")
