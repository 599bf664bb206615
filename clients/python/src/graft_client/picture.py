"""What may be given as a picture, and how it goes over the wire."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import numpy.typing as npt
from graft.v1 import classifier_pb2, embedding_pb2

from .errors import TooLarge

if TYPE_CHECKING:
    from PIL import Image as Pillow


# Bytes of a picture that the services take.
LARGEST = 16 << 20


class Uri(str):
    """Where an image file is, for the extractor to fetch: a URI that its operator allows (`--image-uri`)."""


@dataclass(frozen=True)
class Embedding:
    """An embedding that is there already, in place of a picture."""

    space: str
    """The embedding space, NAME@HASH."""
    values: npt.NDArray[Any]
    """Its numbers, [dimension]."""


Picture: TypeAlias = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, npt.NDArray[np.uint8], "Pillow.Image", Uri]
"""A path, the bytes of an image file (JPEG, PNG, WebP, GIF, BMP or TIFF), a `PIL.Image`, a `Uri`, or pixels: uint8,
[height, width] (grey) or [height, width, 1 or 3] (RGB)."""

Input: TypeAlias = Union[Picture, Embedding]
"""A picture, or an embedding of one."""

Many: TypeAlias = Union[Iterable[Input], AsyncIterable[Input], npt.NDArray[np.uint8]]
"""Pictures: anything that gives one after the other, or an array [pictures, height, width, channels]."""


def is_one(thing: Any) -> bool:
    """Whether this is one picture, and not many."""
    if isinstance(thing, np.ndarray):
        return thing.dtype != object and thing.ndim in (2, 3)
    return isinstance(thing, str | os.PathLike | bytes | bytearray | memoryview | Embedding) or _is_pillow(thing)


def listed(pictures: Any) -> Any:
    """Many pictures, also where it is one."""
    return [pictures] if is_one(pictures) else pictures


def id_of(thing: Any, index: int) -> str:
    """What a picture is known by: its path or URI, or else its position."""
    return os.fspath(thing) if isinstance(thing, str | os.PathLike) else str(index)


def image(picture: Any) -> embedding_pb2.Image:
    """The picture as a message of the contract. `ValueError` or `TypeError` for what is no picture."""
    if isinstance(picture, Uri):
        return embedding_pb2.Image(uri=picture)
    if isinstance(picture, str | os.PathLike):
        # Not read at all if it is too large.
        _fits(os.stat(picture).st_size)
        return embedding_pb2.Image(encoded=Path(picture).read_bytes())
    if isinstance(picture, bytes | bytearray | memoryview):
        _fits(len(picture))
        return embedding_pb2.Image(encoded=bytes(picture))
    if isinstance(picture, np.ndarray):
        return embedding_pb2.Image(pixels=_pixels(picture))
    if _is_pillow(picture):
        return embedding_pb2.Image(pixels=_pixels(_array(picture)))
    kinds = "a path, bytes, a numpy array, a PIL.Image or a Uri"
    raise TypeError(f"{type(picture).__name__} is no picture; {kinds} is accepted")


def embedding(vector: Embedding) -> embedding_pb2.Embedding:
    """The embedding as a message of the contract."""
    values = np.asarray(vector.values)
    if values.ndim != 1:
        raise ValueError(f"an embedding is [dimension]; this is {list(values.shape)}")
    if values.dtype == np.float16:
        packed, dtype = values.astype("<f2", copy=False), embedding_pb2.D_TYPE_F16
    else:
        packed, dtype = values.astype("<f4", copy=False), embedding_pb2.D_TYPE_F32
    return embedding_pb2.Embedding(space=vector.space, dtype=dtype, data=packed.tobytes())


def classify_input(thing: Any) -> classifier_pb2.ClassifyInput:
    """The picture or embedding as what is to be classified."""
    if isinstance(thing, Embedding):
        return classifier_pb2.ClassifyInput(embedding=embedding(thing))
    return classifier_pb2.ClassifyInput(image=image(thing))


def _fits(size: int) -> None:
    if size > LARGEST:
        raise TooLarge(f"{size} bytes; at most {LARGEST} are accepted")


def _is_pillow(thing: Any) -> bool:
    return type(thing).__module__.startswith("PIL.") or any(one.__module__ == "PIL.Image" for one in type(thing).__mro__)


def _array(picture: Any) -> npt.NDArray[np.uint8]:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16"):
        return (np.asarray(upright) >> 8).astype(np.uint8)
    return np.asarray(upright if upright.mode == "L" else upright.convert("RGB"))


def _pixels(array: npt.NDArray[Any]) -> embedding_pb2.Pixels:
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        shape = list(array.shape)
        raise ValueError(f"pixels are uint8, [height, width] or [height, width, channels]; this is {array.dtype}, {shape}")
    _fits(array.nbytes)
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    if channels not in (1, 3):
        many = "many pictures are [pictures, height, width, channels]"
        raise ValueError(f"pixels have 1 or 3 channels; this is {list(array.shape)} ({many})")
    return embedding_pb2.Pixels(height=height, width=width, channels=channels, data=array.tobytes())
