"""Where the services are: what was said to the client, in the environment and in the file of contexts, in that order."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

from .config import ConfigError, Context, read_context

DEFAULTS = {"trainer": "http://127.0.0.1:7400", "extractor": "http://127.0.0.1:7401"}
# The environment, with the names that the `graft` command knows.
ENVIRONMENT = {"trainer": "GRAFT_TRAINER", "extractor": "GRAFT_EXTRACTOR", "token": "GRAFT_TOKEN"}
# The services write messages of up to 16 MiB and a little more; grpcio takes 4 MiB unless told.
LARGEST_MESSAGE = 20 << 20
# A silent service is asked this often whether it lives, and has as long to answer.
KEEPALIVE_MS = 20_000


@dataclass(frozen=True)
class Endpoint:
    """Where a service is."""

    url: str
    """As people write it."""
    target: str
    """HOST:PORT."""
    tls: bool
    loopback: bool


@dataclass(frozen=True)
class Connection:
    """Where both services are, and how to speak to them."""

    trainer: Endpoint
    extractor: Endpoint
    token: str = field(default="", repr=False)
    ca: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    server_name: str = ""

    def endpoint(self, name: str) -> Endpoint:
        """That of the trainer or the extractor."""
        return self.trainer if name == "trainer" else self.extractor

    def credentials(self) -> grpc.ChannelCredentials:
        """Those of TLS."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def options(self) -> list[tuple[str, Any]]:
        """Those of a channel. What was lost is connected to again soon."""
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
        ]
        if self.server_name:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        return options


def connect(
    given: Context,
    context: str | None = None,
    config: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Connection:
    """What `given` says; where it says nothing the environment, the context, or what is usual."""
    file = read_context(context, config, environment)
    said = Context(**{key: environment[name] for key, name in ENVIRONMENT.items() if environment.get(name)})
    whole = merged(given, said, file)
    tls = bool(whole.ca_file or whole.cert_file)
    if bool(whole.cert_file) != bool(whole.key_file):
        raise ConfigError("cert-file and key-file belong together; one of them is missing")
    connection = Connection(
        trainer=endpoint(whole.trainer or DEFAULTS["trainer"], tls),
        extractor=endpoint(whole.extractor or DEFAULTS["extractor"], tls),
        token=_token(whole),
        ca=_content("ca-file", whole.ca_file),
        certificate=_content("cert-file", whole.cert_file),
        key=_content("key-file", whole.key_file),
        server_name=whole.server_name or "",
    )
    for name in ("trainer", "extractor"):
        there = connection.endpoint(name)
        if connection.token and not there.tls and not there.loopback:
            raise ConfigError(f"the token is only sent over TLS: the {name} is {there.url}; https:// is expected")
    return connection


def merged(*contexts: Context) -> Context:
    """What the first of them says that says something. A token and the file of one take each other's place."""
    found = Context()
    for one in contexts:
        if found.token or found.token_file:
            one = replace(one, token=None, token_file=None)
        said = {key: value for key, value in vars(one).items() if value and not getattr(found, key)}
        found = replace(found, **said)
    return found


def endpoint(address: str, tls: bool = False) -> Endpoint:
    """The endpoint of an address: http://HOST:PORT, https://HOST[:PORT], or HOST:PORT, which is https if `tls`."""
    url = address if "://" in address else f"{'https' if tls else 'http'}://{address}"
    wrong = ConfigError(f"address {address!r}: http://HOST:PORT, https://HOST:PORT or HOST:PORT is expected")
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise wrong from None
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/") or parts.query or parts.username:
        raise wrong
    shown = f"[{host}]" if ":" in host else host
    return Endpoint(url, f"{shown}:{port}", parts.scheme == "https", _loopback(host))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _token(context: Context) -> str:
    if context.token:
        return context.token
    content = _content("token-file", context.token_file)
    return content.decode("utf-8", "replace").strip() if content else ""


def _content(key: str, path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"{key} {path}: {error.strerror or error}") from error
