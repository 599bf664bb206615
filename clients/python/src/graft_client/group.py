"""Items that travel in one message."""

from __future__ import annotations

from typing import NamedTuple, Protocol

# A message carries many small pictures, so that a row of 784 pixels does not cost a message of its own. Both bounds are far
# below the services' 16 MiB; a picture that is larger than this travels alone.
MESSAGE_BYTES = 1 << 20
MESSAGE_ITEMS = 64


class Item(Protocol):
    """A message with an id to know its answer by."""

    id: str

    def ByteSize(self) -> int: ...  # noqa: N802


class Placed(NamedTuple):
    """An item, with its position in the source and its bytes, which take a copy of it to count."""

    item: Item
    position: int
    size: int


class Group:
    """Items for one message, with their positions."""

    def __init__(self, most: int, held: Placed | None):
        """For `most` items (0 for what suits), of which one may be there already."""
        self.items: list[Placed] = []
        self.over: Placed | None = None
        """One that did not fit any more."""
        self._most, self._size = most or MESSAGE_ITEMS, 0
        if held is not None:
            self.add(held)

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return self.over is not None or len(self.items) >= self._most or self._size >= MESSAGE_BYTES

    def add(self, placed: Placed) -> None:
        """Take one more; it is `over` if the message would become too large."""
        if self.items and self._size + placed.size > MESSAGE_BYTES:
            self.over = placed
        else:
            self.items.append(placed)
            self._size += placed.size

    def messages(self) -> list[Item]:
        """The items."""
        return [placed.item for placed in self.items]
