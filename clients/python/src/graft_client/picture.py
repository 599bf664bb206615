"""What may be given as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import grpc
import numpy as np
from graft.v1 import embedding_pb2

Picture: TypeAlias = "str | Path | bytes | np.ndarray"
"""A path, the bytes of an image file (JPEG, PNG, WebP, GIF, BMP or TIFF), or pixels: uint8, [height, width] (grey) or
[height, width, 1 or 3]."""

# A message carries many small pictures, so that a row of 784 pixels does not cost a message of its own. Both bounds are far
# below the services' 16 MiB; a picture that is larger than this travels alone.
MESSAGE_BYTES = 1 << 20
MESSAGE_PICTURES = 64

Item = TypeVar("Item")


def image(picture: Picture) -> embedding_pb2.Image:
    """The picture as a message of the contract; `ValueError` for an array that is no picture."""
    if isinstance(picture, np.ndarray):
        return embedding_pb2.Image(pixels=_pixels(picture))
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return embedding_pb2.Image(encoded=data)


def _pixels(array: np.ndarray) -> embedding_pb2.Pixels:
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise ValueError(f"pixels are uint8, [height, width] or [height, width, channels]; this is {array.dtype}, {list(array.shape)}")
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    return embedding_pb2.Pixels(height=height, width=width, channels=channels, data=array.tobytes())


def messages(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Group items (protobuf messages) so that each group makes a message of a good size."""
    group: list[Item] = []
    size = 0
    for item in items:
        length = item.ByteSize()  # type: ignore[attr-defined]
        if group and (size + length > MESSAGE_BYTES or len(group) == MESSAGE_PICTURES):
            yield group
            group, size = [], 0
        group.append(item)
        size += length
    if group:
        yield group


class Requests(Generic[Item]):
    """The requests of a stream. grpcio reads them on a thread of its own and would hide an error of theirs."""

    def __init__(self, items: Iterable[Item]):
        self._items = iter(items)
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        try:
            return next(self._items)
        except StopIteration:
            raise
        except Exception as error:
            self._error = error
            raise

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """Within it, a call that ended because of an error of these requests raises that error."""
        try:
            yield
        except grpc.RpcError:
            if self._error is not None:
                raise self._error from None
            raise
