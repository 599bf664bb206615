"""Backbones, and embeddings of pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from graft.v1 import embedding_pb2, extractor_pb2

from .. import methods
from ..calls import Feed, Op, ask, each, exchange, stream
from ..embeddings import Embedded, rows
from ..errors import BadPicture, Unavailable, bad_picture, unreadable
from ..outbox import Outbox
from ..dataset import Views
from ..picture import Input, Many, id_of, image, listed

OnError = Literal["raise", "keep"]


def backbones() -> Op[list[extractor_pb2.Backbone]]:
    """The backbones that the extractor serves, sorted by name."""
    answer = yield from ask(methods.LIST_BACKBONES, extractor_pb2.ListBackbonesRequest())
    return list(answer.backbones)


def backbone(name: str = "") -> Op[extractor_pb2.Backbone]:
    """One backbone: NAME, NAME@HASH for that version alone, or the default one."""
    answer = yield from ask(methods.GET_BACKBONE, extractor_pb2.GetBackboneRequest(name=name))
    return answer.backbone


def export_backbone(path: str | os.PathLike[str], name: str = "") -> Op[extractor_pb2.BackboneModel]:
    """Write the network of a backbone to an ONNX file: from preprocessed images to embeddings."""
    about: list[extractor_pb2.BackboneModel] = []
    part = Path(f"{os.fspath(path)}.part")
    try:
        with part.open("wb") as file:

            def take(answer: extractor_pb2.ExportBackboneResponse) -> None:
                about.extend([answer.model] if answer.HasField("model") else [])
                file.write(answer.data)

            yield from each(stream(methods.EXPORT_BACKBONE, extractor_pb2.ExportBackboneRequest(name=name)), take)
        if not about or part.stat().st_size != about[0].size:
            raise Unavailable(f"the extractor sent {part.stat().st_size} bytes, which is not all of the file")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return about[0]


def embed_batches(
    pictures: Many | Input,
    backbone: str = "",
    *,
    space: str = "",
    half: bool = False,
    interactive: bool = False,
    views: Views | None = None,
    on_error: OnError = "raise",
) -> Feed[Embedded]:
    """Embed pictures and give batches as they come, in no order: `indices` and `ids` say which pictures they are of.

    Any number of pictures takes no more memory than some: they are read when there is room for them, and no faster than the batches
    are taken. A batch lies on the bytes of its message, without a copy. A lost stream is opened again for what it left unanswered.

    `space` (NAME@HASH) refuses another one; `half` asks for float16; `interactive` overtakes bulk work. With `views` each picture has
    further rows, and a batch says in its own `views` which is which. A picture that cannot be embedded raises `BadPicture`, or is among
    a batch's `failures` with `on_error="keep"`.
    """
    options = extractor_pb2.ExtractOptions(backbone=backbone, space=space)
    options.dtype = embedding_pb2.D_TYPE_F16 if half else embedding_pb2.D_TYPE_F32
    options.priority = extractor_pb2.PRIORITY_INTERACTIVE if interactive else extractor_pb2.PRIORITY_BULK
    if views is not None:
        options.augmentation.CopyFrom(views.message())
    answers = _Answers(extractor_pb2.ExtractRequest(options=options), pictures, on_error)
    yield from exchange(methods.EXTRACT, answers.outbox, answers.take, answers.unsent)


def embed(
    pictures: Many | Input,
    backbone: str = "",
    *,
    space: str = "",
    interactive: bool = False,
    on_error: OnError = "raise",
) -> Op[Embedded]:
    """The embeddings of pictures in their order, as one array float32 [pictures, dimension], with their ids.

    The options are those of `embed_batches`, which has views too. With `on_error="keep"` rows of pictures that cannot be embedded are
    left out.
    """
    whole = _Whole()
    batches = embed_batches(pictures, backbone, space=space, interactive=interactive, on_error=on_error)
    yield from each(batches, whole.take)
    if not whole.parts:
        about = yield from ask(methods.GET_BACKBONE, extractor_pb2.GetBackboneRequest(name=space or backbone))
        whole.dimension, whole.space = about.backbone.dimension, about.backbone.space
    return whole.joined()


class _Answers:
    """Makes batches of what an extractor answers."""

    def __init__(self, first: extractor_pb2.ExtractRequest, pictures: Many | Input, on_error: OnError):
        if on_error not in ("raise", "keep"):
            raise ValueError(f"on_error {on_error!r}: raise or keep are accepted")
        self._names: dict[int, str] = {}
        self._keep = on_error == "keep"
        self._space, self._dimension = "", 0
        self._views = first.options.augmentation.views
        self._seen: dict[str, set[int]] = {}
        self.outbox: Outbox[Any] = Outbox(first, listed(pictures), self._pack, _wrap)

    def _pack(self, index: int, picture: Any) -> extractor_pb2.ExtractItem:
        self._names[index] = id_of(picture, index)
        return extractor_pb2.ExtractItem(id=str(index), image=image(picture))

    def take(self, answer: extractor_pb2.ExtractResponse) -> Iterator[Embedded]:
        """The batches of an answer."""
        if answer.HasField("backbone"):
            # A stream that takes the place of this one must not mix spaces.
            self.outbox.first.options.space = answer.backbone.space
            self._space, self._dimension = answer.backbone.space, answer.backbone.dimension
        elif answer.HasField("failure"):
            yield self._failed(answer.failure)
        else:
            yield self._batch(answer.embeddings)

    def _failed(self, failure: extractor_pb2.ExtractFailure) -> Embedded:
        index, name = self._settled(failure.id)
        given = name if name != str(index) else ""
        error = bad_picture(given, index, failure.error.code, failure.error.field, failure.error.message)
        if not self._keep:
            raise error
        return self._nothing(error)

    def unsent(self, index: int, picture: Any, error: Exception) -> Iterator[Embedded]:
        """What becomes of a picture that could not be sent."""
        if not self._keep:
            raise error
        name = self._names.pop(index)
        yield self._nothing(unreadable(name if name != str(index) else "", index, error))

    def _nothing(self, error: BadPicture) -> Embedded:
        nothing = np.empty((0, self._dimension), dtype=np.float32)
        return Embedded(nothing, [], np.empty(0, dtype=np.int64), self._space, [error])

    def _batch(self, batch: embedding_pb2.EmbeddingBatch) -> Embedded:
        dtype = "<f2" if batch.dtype == embedding_pb2.D_TYPE_F16 else "<f4"
        found = rows(batch.data, batch.dimension, dtype)
        if self._views:
            return self._batch_of_views(batch, found)
        settled = [self._settled(id) for id in batch.ids]
        indices = np.array([index for index, _ in settled], dtype=np.int64)
        return Embedded(found, [name for _, name in settled], indices, batch.space)

    def _batch_of_views(self, batch: embedding_pb2.EmbeddingBatch, found: Any) -> Embedded:
        views = list(batch.views) or [0] * len(batch.ids)
        kept: list[tuple[int, int, str, int]] = []
        for row, (id, view) in enumerate(zip(batch.ids, views, strict=True)):
            seen = self._seen.setdefault(id, set())
            # A stream that took the place of a lost one brings all views again.
            if view not in seen:
                seen.add(view)
                kept.append((row, int(id), self._names[int(id)], view))
            if len(seen) == 1 + self._views:
                del self._seen[id]
                self._settled(id)
        at = [row for row, *_ in kept]
        indices = np.array([index for _, index, *_ in kept], dtype=np.int64)
        numbers = np.array([view for *_, view in kept], dtype=np.uint32)
        whole = found if len(at) == len(found) else found[at]
        return Embedded(whole, [name for _, _, name, _ in kept], indices, batch.space, views=numbers)

    def _settled(self, id: str) -> tuple[int, str]:
        index = self.outbox.settle(id)
        if index is None:
            raise ConnectionError(f"the extractor answered picture {id}, which waits for no answer")
        return index, self._names.pop(index)


def _wrap(items: list[Any]) -> extractor_pb2.ExtractRequest:
    return extractor_pb2.ExtractRequest(items=extractor_pb2.ExtractItems(items=items))


class _Whole:
    """Joins batches. Each is copied once, into its place."""

    def __init__(self) -> None:
        self.parts: list[Embedded] = []
        self.failures: list[BadPicture] = []
        self.dimension, self.space = 0, ""

    def take(self, batch: Embedded) -> None:
        self.dimension, self.space = batch.embeddings.shape[1], batch.space
        self.parts.append(batch)
        self.failures.extend(batch.failures)

    def joined(self) -> Embedded:
        kept = [part for part in self.parts if len(part)]
        given = np.concatenate([part.indices for part in kept]) if kept else np.empty(0, dtype=np.int64)
        # Where each row goes: its rank among the pictures that were embedded.
        order = np.argsort(given)
        place = np.empty(len(given), dtype=np.int64)
        place[order] = np.arange(len(given))
        found = np.empty((len(given), self.dimension), dtype=np.float32)
        names = [""] * len(given)
        begin = 0
        for part in kept:
            places = place[begin : begin + len(part)]
            found[places] = part.embeddings
            for at, name in zip(places, part.ids, strict=True):
                names[at] = name
            begin += len(part)
        failures = sorted(self.failures, key=lambda failure: failure.index)
        return Embedded(found, names, given[order], self.space, failures)
