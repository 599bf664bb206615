"""Runs operations in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import grpc
import grpc.aio

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

# What grpc.aio says where a message could not be written because the connection was lost.
LOST = "Internal error from Core"


class Driver:
    """Both services, asked from one event loop."""

    def __init__(self, connection: Connection, settings: Settings):
        self.connection, self.settings = connection, settings
        self._channels: dict[str, grpc.aio.Channel] = {}

    def _channel(self, name: str) -> grpc.aio.Channel:
        # A channel belongs to the loop that runs when it is made, which is that of the first call.
        if name not in self._channels:
            endpoint, options = self.connection.endpoint(name), self.connection.options()
            if endpoint.tls:
                made = grpc.aio.secure_channel(endpoint.target, self.connection.credentials(), options)
            else:
                made = grpc.aio.insecure_channel(endpoint.target, options)
            self._channels[name] = made
        return self._channels[name]

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels.values():
            await channel.close()

    async def run(self, operation: Op[T]) -> T:
        """Run an operation to its end."""
        result: list[T] = []
        async for _ in self._steps(operation, result):
            pass
        return result[0]

    def feed(self, operation: Feed[T]) -> AsyncIterator[T]:
        """Run an operation as far as it is iterated over."""
        return self._steps(operation, [])

    async def _steps(self, operation: Generator[Any, Any, Any], result: list[Any]) -> AsyncIterator[Any]:
        open_streams: list[Stream] = []
        reply: Any = None
        failure: BaseException | None = None
        try:
            while True:
                try:
                    effect = operation.send(reply) if failure is None else operation.throw(failure)
                except StopIteration as done:
                    result.append(done.value)
                    return
                reply, failure = None, None
                if isinstance(effect, calls.Emit):
                    yield effect.value
                    continue
                try:
                    reply = await self._do(effect, open_streams)
                except Exception as error:
                    failure = error
        finally:
            operation.close()
            for stream in open_streams:
                stream.close()

    async def _do(self, effect: Any, open_streams: list[Stream]) -> Any:
        match effect:
            case calls.Ask(method, request, seconds):
                return await self._call(method, "unary_unary", request, seconds)
            case calls.Upload(method, requests, seconds):
                return await self._call(method, "stream_unary", iter(requests), seconds)
            case calls.Open(method, request):
                opened = Stream(self, method, request)
                open_streams.append(opened)
                return opened
            case calls.Receive(opened):
                return await opened.receive()
            case calls.Close(opened):
                open_streams.remove(opened)
                opened.close()
            case calls.Sleep(seconds):
                await asyncio.sleep(seconds)
            case calls.GetSettings():
                return self.settings
        return None

    async def _call(self, method: Method[Any, Any], kind: str, request: Any, seconds: float) -> Any:
        try:
            return await self.callable(method, kind)(request, timeout=seconds, metadata=self.connection.metadata())
        except grpc.aio.AioRpcError as error:
            raise self.error(method, error) from None

    def callable(self, method: Method[Any, Any], kind: str) -> Any:
        """What makes a call of this kind."""
        make = getattr(self._channel(method.service), kind)
        return make(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    def error(self, method: Method[Any, Any], error: grpc.aio.AioRpcError) -> GraftError:
        """The exception for what a call ended with."""
        address = self.connection.endpoint(method.service).url
        code, message = error.code(), error.details() or ""
        if code is grpc.StatusCode.INTERNAL and message == LOST:
            code, message = grpc.StatusCode.UNAVAILABLE, "the connection was lost"
        return error_of(code, message, error.trailing_metadata(), address)


class Stream:
    """A stream of answers that is open."""

    def __init__(self, driver: Driver, method: Method[Any, Any], request: Any):
        self._driver, self._method = driver, method
        self._outbox: Outbox[Any] | None = request if isinstance(request, Outbox) else None
        kind = "unary_stream" if self._outbox is None else "stream_stream"
        sent = request if self._outbox is None else _requests(self._outbox, self._outbox.begin())
        self._call = driver.callable(method, kind)(sent, metadata=driver.connection.metadata())

    async def receive(self) -> Any:
        """The next answer, or `END`."""
        try:
            answer = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise self._driver.error(self._method, error) from None
        return calls.END if answer is grpc.aio.EOF else answer

    def close(self) -> None:
        """Give it up."""
        self._call.cancel()
        if self._outbox is not None:
            self._outbox.close()


async def _requests(outbox: Outbox[Any], generation: int) -> AsyncIterator[Any]:
    """The messages of a stream. A source that is not asynchronous reads files: it is read on a thread."""
    changed = asyncio.Event()
    outbox.listener = changed.set
    yield outbox.first
    while True:
        while outbox.current(generation) and not outbox.room():
            changed.clear()
            await changed.wait()
        if not outbox.current(generation):
            return
        if outbox.asynchronous:
            group = await outbox.take_async(generation)
        else:
            group = await asyncio.to_thread(outbox.take, generation)
        if group is None:
            return
        if group:
            yield outbox.wrap(group)


class Client(Protocol):
    """What has a driver."""

    @property
    def driver(self) -> Driver: ...


def method(operation: Callable[P, Op[T]]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The operation as a coroutine that gives its value."""

    @wraps(operation)
    async def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.driver.run(operation(*args, **kwargs))

    return with_self(run, operation)


def feed(operation: Callable[P, Feed[T]]) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """The operation as a method that gives its values as they come."""

    @wraps(operation)
    def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self.driver.feed(operation(*args, **kwargs))

    return with_self(run, operation)
