"""What an operation asks of the client that runs it.

An operation is a generator: it yields effects and is sent what came of them, so that the same operation runs on threads (`Graft`)
and in an event loop (`AsyncGraft`). Nothing here waits or speaks to anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from .errors import GraftError
from .methods import Method, Request, Response
from .outbox import Outbox
from .retry import Settings

T = TypeVar("T")


class _End:
    """See `END`."""


END = _End()
"""A stream has ended."""


@dataclass(frozen=True)
class Ask:
    """Make a call with one request and one answer."""

    method: Method[Any, Any]
    request: Any
    seconds: float


@dataclass(frozen=True)
class Upload:
    """Make a call with many requests and one answer."""

    method: Method[Any, Any]
    requests: Iterable[Any]
    seconds: float


@dataclass(frozen=True)
class Open:
    """Open a stream of answers to one request, or to those of an outbox."""

    method: Method[Any, Any]
    request: Any


@dataclass(frozen=True)
class Receive:
    """Wait for the next answer of a stream that was opened; `END` after the last."""

    stream: Any


@dataclass(frozen=True)
class Close:
    """Give up a stream. Those that are open at the end of an operation are given up too."""

    stream: Any


@dataclass(frozen=True)
class Sleep:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class GetSettings:
    """Tell the settings of the client."""


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Give a value to whoever iterates."""

    value: T


Op: TypeAlias = "Generator[Any, Any, T]"
"""An operation that gives one value."""

Feed: TypeAlias = "Generator[Emit[T] | Sleep | Open | Receive | Close | GetSettings | Ask, Any, None]"
"""An operation that gives values one after the other."""


def ask(method: Method[Request, Response], request: Request) -> Op[Response]:
    """Make a call, and make it again where that is safe and may help."""
    settings: Settings = yield GetSettings()
    end = time.monotonic() + (settings.timeout or method.seconds)
    attempt = 1
    while True:
        try:
            answer: Response = yield Ask(method, request, max(end - time.monotonic(), 0.001))
            return answer
        except GraftError as error:
            pause = settings.retry.pause(error, attempt) if method.safe else None
            if pause is None or time.monotonic() + pause >= end:
                raise
        yield Sleep(pause)
        attempt += 1


def download(method: Method[Request, Response], request: Request) -> Op[list[Response]]:
    """All answers of a stream; from the beginning again if it is lost."""
    settings: Settings = yield GetSettings()
    attempt = 1
    while True:
        answers: list[Response] = []
        stream = yield Open(method, request)
        try:
            while (answer := (yield Receive(stream))) is not END:
                answers.append(answer)
            return answers
        except GraftError as error:
            pause = settings.retry.pause(error, attempt)
            if pause is None:
                raise
        yield Close(stream)
        yield Sleep(pause)
        attempt += 1


def stream(method: Method[Any, Response], request: Any) -> Feed[Response]:
    """The answers of a stream, as they come. It is opened again only where it is lost before the first one."""
    settings: Settings = yield GetSettings()
    attempt, begun = 1, False
    while True:
        opened = yield Open(method, request)
        try:
            while (answer := (yield Receive(opened))) is not END:
                begun = True
                yield Emit(answer)
            return
        except GraftError as error:
            pause = None if begun else settings.retry.pause(error, attempt)
            if pause is None:
                raise
        yield Close(opened)
        yield Sleep(pause)
        attempt += 1


def exchange(
    method: Method[Any, Any],
    outbox: Outbox[Any],
    take: Callable[[Any], Iterable[T]],
    fail: Callable[[int, Any, Exception], Iterable[T]],
) -> Feed[T]:
    """Send what an outbox has; give what `take` makes of each answer, and `fail` of what could not be sent.

    A lost stream is opened again for what it left unanswered.
    """
    settings: Settings = yield GetSettings()
    attempt = 0
    while True:
        answered = outbox.answered
        stream = yield Open(method, outbox)
        try:
            while (answer := (yield Receive(stream))) is not END:
                for value in take(answer):
                    yield Emit(value)
                while outbox.failed:
                    for value in fail(*outbox.failed.popleft()):
                        yield Emit(value)
            outbox.check()
            while outbox.failed:
                for value in fail(*outbox.failed.popleft()):
                    yield Emit(value)
            return
        except GraftError as error:
            outbox.check_source()
            attempt = attempt + 1 if outbox.answered == answered else 1
            policy = settings.resume if outbox.answered else settings.retry
            pause = policy.pause(error, attempt)
            if pause is None:
                raise
        yield Close(stream)
        yield Sleep(pause)


def translated(feed: Feed[Any], translate: Callable[[Any], Iterable[T]]) -> Feed[T]:
    """What `translate` makes of each value of a feed."""
    reply: Any = None
    failure: Exception | None = None
    while True:
        try:
            effect = feed.send(reply) if failure is None else feed.throw(failure)
        except StopIteration:
            return
        reply, failure = None, None
        if isinstance(effect, Emit):
            for value in translate(effect.value):
                yield Emit(value)
            continue
        try:
            reply = yield effect
        except Exception as error:
            failure = error


def each(feed: Feed[T], take: Callable[[T], object]) -> Op[None]:
    """Run a feed to its end within an operation; `take` is called with each value."""

    def taken(value: T) -> Iterable[Any]:
        take(value)
        return ()

    yield from translated(feed, taken)


def pages(method: Method[Any, Any], request: Any, name: str) -> Feed[Any]:
    """What a list holds under this name, on all its pages."""
    while True:
        answer = yield from ask(method, request)
        for found in getattr(answer, name):
            yield Emit(found)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def gather(feed: Feed[T]) -> Op[list[T]]:
    """All values of a feed."""
    found: list[T] = []
    yield from each(feed, found.append)
    return found
