"""Runs operations on the caller's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import grpc

from . import calls
from .calls import Feed, Op
from .connection import Connection
from .errors import GraftError, error_of
from .methods import Method
from .outbox import Outbox
from .retry import Settings
from .signature import with_self

P = ParamSpec("P")
T = TypeVar("T")


class Driver:
    """Both services, asked by blocking calls. Threads may share it."""

    def __init__(self, connection: Connection, settings: Settings):
        self.connection, self.settings = connection, settings
        self._channels = {name: self._channel(name) for name in ("trainer", "extractor")}

    def _channel(self, name: str) -> grpc.Channel:
        endpoint = self.connection.endpoint(name)
        if endpoint.tls:
            return grpc.secure_channel(endpoint.target, self.connection.credentials(), self.connection.options())
        return grpc.insecure_channel(endpoint.target, self.connection.options())

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels.values():
            channel.close()

    def run(self, operation: Op[T]) -> T:
        """Run an operation to its end."""
        steps = self._steps(operation)
        try:
            while True:
                next(steps)
        except StopIteration as done:
            value: T = done.value
            return value

    def feed(self, operation: Feed[T]) -> Iterator[T]:
        """Run an operation as far as it is iterated over."""
        return self._steps(operation)

    def _steps(self, operation: Generator[Any, Any, Any]) -> Generator[Any, None, Any]:
        open_streams: list[Stream] = []
        reply: Any = None
        failure: BaseException | None = None
        try:
            while True:
                try:
                    effect = operation.send(reply) if failure is None else operation.throw(failure)
                except StopIteration as done:
                    return done.value
                reply, failure = None, None
                if isinstance(effect, calls.Emit):
                    yield effect.value
                    continue
                try:
                    reply = self._do(effect, open_streams)
                except Exception as error:
                    failure = error
        finally:
            operation.close()
            for stream in open_streams:
                stream.close()

    def _do(self, effect: Any, open_streams: list[Stream]) -> Any:
        match effect:
            case calls.Ask(method, request, seconds):
                return self._call(method, "unary_unary", request, seconds)
            case calls.Upload(method, requests, seconds):
                return self._call(method, "stream_unary", iter(requests), seconds)
            case calls.Open(method, request):
                opened = Stream(self, method, request)
                open_streams.append(opened)
                return opened
            case calls.Receive(opened):
                return opened.receive()
            case calls.Close(opened):
                open_streams.remove(opened)
                opened.close()
            case calls.Sleep(seconds):
                time.sleep(seconds)
            case calls.GetSettings():
                return self.settings
        return None

    def _call(self, method: Method[Any, Any], kind: str, request: Any, seconds: float) -> Any:
        try:
            return self.callable(method, kind)(request, timeout=seconds, metadata=self.connection.metadata())
        except grpc.RpcError as error:
            raise self.error(method, error) from None

    def callable(self, method: Method[Any, Any], kind: str) -> Any:
        """What makes a call of this kind."""
        channel = self._channels[method.service]
        make = getattr(channel, kind)
        return make(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    def error(self, method: Method[Any, Any], error: Any) -> GraftError:
        """The exception for what a call ended with."""
        address = self.connection.endpoint(method.service).url
        return error_of(error.code(), error.details() or "", error.trailing_metadata(), address)


class Stream:
    """A stream of answers that is open."""

    def __init__(self, driver: Driver, method: Method[Any, Any], request: Any):
        self._driver, self._method = driver, method
        self._outbox: Outbox[Any] | None = request if isinstance(request, Outbox) else None
        kind = "unary_stream" if self._outbox is None else "stream_stream"
        sent = request if self._outbox is None else _requests(self._outbox, self._outbox.begin())
        self._call = driver.callable(method, kind)(sent, metadata=driver.connection.metadata())

    def receive(self) -> Any:
        """The next answer, or `END`."""
        try:
            return next(self._call)
        except StopIteration:
            return calls.END
        except grpc.RpcError as error:
            raise self._driver.error(self._method, error) from None

    def close(self) -> None:
        """Give it up. An outbox that is open again by then goes on."""
        self._call.cancel()
        if self._outbox is not None:
            self._outbox.close()


def _requests(outbox: Outbox[Any], generation: int) -> Iterator[Any]:
    """The messages of a stream; grpcio takes them on a thread of its own."""
    yield outbox.first
    while outbox.wait(generation):
        group = outbox.take(generation)
        if group is None:
            return
        if group:
            yield outbox.wrap(group)


class Client(Protocol):
    """What has a driver."""

    @property
    def driver(self) -> Driver: ...


C = TypeVar("C", bound=Client)


def method(operation: Callable[P, Op[T]]) -> Callable[Concatenate[Any, P], T]:
    """The operation as a method that waits for its value."""

    @wraps(operation)
    def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.driver.run(operation(*args, **kwargs))

    return with_self(run, operation)


def feed(operation: Callable[P, Feed[T]]) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """The operation as a method that gives its values as they come."""

    @wraps(operation)
    def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.driver.feed(operation(*args, **kwargs))

    return with_self(run, operation)
