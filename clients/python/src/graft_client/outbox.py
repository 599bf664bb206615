"""What goes out on a stream: items that are grouped into messages, bounded in number and bytes, and kept until they are answered."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import grpc

from .errors import TooLarge, Unavailable
from .group import Group, Item, Placed

In = TypeVar("In")

# What may be on its way. It covers what the services work on at once, and bounds the memory that a stream takes.
WINDOW_BYTES = 64 << 20
WINDOW_ITEMS = 1024


class Outbox(Generic[In]):
    """The requests of one stream, and of those that take its place when it is lost.

    A thread or a task of the transport takes messages; whoever reads the answers settles items. An item is in the window from when it
    is read from the source until it is released.
    """

    def __init__(
        self,
        first: Any,
        source: Iterable[In] | AsyncIterable[In],
        pack: Callable[[int, In], Item],
        wrap: Callable[[list[Any]], Any],
        group: int = 0,
        ordered: bool = False,
    ):
        self.first = first
        """The message that opens a stream."""
        self.answered = 0
        """Items that were settled."""
        self.listener: Callable[[], None] | None = None
        """Called when the window or the stream changes, for those who do not wait on threads."""
        self.failed: deque[tuple[int, In, Exception]] = deque()
        """Things that could not be read or are too large to be sent, with their positions. They are not in the window."""
        self._source: Iterator[In] | None = None if isinstance(source, AsyncIterable) else iter(source)
        self._async_source: AsyncIterator[In] | None = aiter(source) if isinstance(source, AsyncIterable) else None
        self._pack, self.wrap, self._group, self._ordered = pack, wrap, group, ordered
        self._reading = threading.Lock()
        self._changed = threading.Condition()
        self._pending: dict[str, deque[Placed]] = {}
        self._unsent: deque[Placed] = deque()
        self._held: Placed | None = None
        self._taken = self._window = self._bytes = self._generation = 0
        self._error: Exception | None = None
        self._reader: asyncio.Future[Group] | None = None
        self._closed = self._ended = False

    # For the transport.

    def begin(self) -> int:
        """Begin a stream; what earlier ones left unanswered is sent again. The number is asked for by the calls below."""
        with self._changed:
            self._generation += 1
            self._closed = False
            self._unsent = deque(placed for items in self._pending.values() for placed in items)
            self._notify()
            return self._generation

    def current(self, generation: int) -> bool:
        """Whether messages are wanted on the stream of this number."""
        return not self._closed and generation == self._generation

    def room(self) -> bool:
        """Whether the next message may be taken now."""
        return bool(self._unsent) or self._ended or (self._window < WINDOW_ITEMS and self._bytes < WINDOW_BYTES)

    def wait(self, generation: int) -> bool:
        """Wait for room; false once no more messages are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self.room() or not self.current(generation))
            return self.current(generation)

    def take(self, generation: int) -> list[Item] | None:
        """The next items to send, read from the source; None at its end."""
        with self._reading:
            if not self._reads(generation):
                return self._resend(generation)
            group = Group(self._group, self._held)
            self._held = None
            assert self._source is not None
            try:
                while not group.full:
                    self._add(group, next(self._source))
            except StopIteration:
                self._ended = True
            except Exception as error:
                self._error, self._ended = error, True
            return self._register(generation, group)

    async def take_async(self, generation: int) -> list[Item] | None:
        """The same from a source that is asynchronous. A stream that is lost while the source is read does not stop the reading."""
        if not self._reads(generation):
            return self._resend(generation)
        if self._reader is None:
            self._reader = asyncio.ensure_future(self._read_async())
        group = await asyncio.shield(self._reader)
        self._reader = None
        return self._register(generation, group)

    async def _read_async(self) -> Group:
        group = Group(self._group, self._held)
        self._held = None
        assert self._async_source is not None
        try:
            while not group.full:
                self._add(group, await anext(self._async_source))
        except StopAsyncIteration:
            self._ended = True
        except Exception as error:
            self._error, self._ended = error, True
        return group

    @property
    def asynchronous(self) -> bool:
        """Whether the source is."""
        return self._async_source is not None

    def close(self) -> None:
        """Want no more messages."""
        with self._changed:
            self._closed = True
            self._notify()

    # For whoever reads the answers.

    def settle(self, id: str) -> int | None:
        """An item of this id was answered: its position, or None if none waits for an answer."""
        with self._changed:
            waiting = self._pending.get(id)
            if not waiting:
                return None
            placed = waiting.popleft()
            if not waiting:
                del self._pending[id]
            self._bytes -= placed.size
            self.answered += 1
            if not self._ordered:
                self._window -= 1
            self._notify()
            return placed.position

    def release(self) -> None:
        """The answer of an item was given on, in an outbox whose answers are put into order."""
        with self._changed:
            self._window -= 1
            self._notify()

    def check_source(self) -> None:
        """Raise what the source raised."""
        if self._error is not None:
            raise self._error

    def check(self) -> None:
        """Raise what the source raised, or that a stream has ended before all was answered."""
        self.check_source()
        if self._pending or not self._ended:
            left = sum(map(len, self._pending.values()))
            raise Unavailable(f"the stream ended with {left} items unanswered", grpc.StatusCode.UNAVAILABLE)

    def _add(self, group: Group, thing: In) -> None:
        index = self._taken
        self._taken += 1
        try:
            item = self._pack(index, thing)
        except (OSError, TooLarge) as error:
            self.failed.append((index, thing, error))
        else:
            group.add(Placed(item, index, item.ByteSize()))

    def _reads(self, generation: int) -> bool:
        """Whether the next message is read from the source."""
        return self.current(generation) and not self._unsent and not (self._ended and self._held is None)

    def _resend(self, generation: int) -> list[Item] | None:
        with self._changed:
            if not self.current(generation) or not self._unsent:
                return None
            group = Group(self._group, None)
            while self._unsent and not group.full:
                group.add(self._unsent.popleft())
            if group.over is not None:
                self._unsent.appendleft(group.over)
            return group.messages()

    def _register(self, generation: int, group: Group) -> list[Item] | None:
        self._held = group.over
        with self._changed:
            for placed in group.items:
                self._pending.setdefault(placed.item.id, deque()).append(placed)
                self._bytes += placed.size
            self._window += len(group.items)
            if self.current(generation):
                return group.messages()
            # The stream was lost meanwhile: the next one sends them.
            self._unsent.extend(group.items)
            self._notify()
            return None

    def _notify(self) -> None:
        self._changed.notify_all()
        if self.listener is not None:
            self.listener()
