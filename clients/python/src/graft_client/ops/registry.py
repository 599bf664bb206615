"""Heads: listed, compared, deleted; in from elsewhere and out as files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from graft.v1 import compare_pb2, head_pb2, traffic_pb2

from .. import methods
from ..calls import GetSettings, Op, Upload, ask, download, gather, pages
from ..errors import Unavailable
from ..head import Comparison, Head, HeadName, name_of
from ..retry import Settings

# Bytes of one message.
PART = 4 << 20


def head(name: HeadName) -> Op[Head]:
    """One version of a head with its whole report: NAME for the newest, NAME@VERSION or NAME@ALIAS."""
    answer = yield from ask(methods.GET_HEAD, head_pb2.GetHeadRequest(name=name_of(name)))
    return Head(answer.head)


def heads() -> Op[list[Head]]:
    """The newest version of every head, sorted by name, with the figures of its report alone."""
    request = head_pb2.ListHeadsRequest(page_size=1000)
    return [Head(one) for one in (yield from gather(pages(methods.LIST_HEADS, request, "heads")))]


def delete_head(head: HeadName) -> Op[None]:
    """Delete a head with all its versions (NAME), or one version (NAME@VERSION, or a `Head`)."""
    yield from ask(methods.DELETE_HEAD, head_pb2.DeleteHeadRequest(name=name_of(head)))


def diff(first: HeadName, second: HeadName, *, snapshot: str = "", most_disagreements: int = 0) -> Op[Comparison]:
    """Measure two versions on the same test split, and name the examples that they answer differently."""
    request = compare_pb2.CompareHeadsRequest(
        first=name_of(first), second=name_of(second), snapshot=snapshot, most_disagreements=most_disagreements
    )
    return Comparison((yield from ask(methods.COMPARE_HEADS, request)))


def traffic(head: HeadName) -> Op[traffic_pb2.GetHeadTrafficResponse]:
    """What a head was asked of late, how far that is from what it was measured on, and how canaries and shadows do."""
    return (yield from ask(methods.GET_HEAD_TRAFFIC, traffic_pb2.GetHeadTrafficRequest(head=name_of(head))))


def export_head(head: HeadName, path: str | os.PathLike[str] | None = None) -> Op[bytes]:
    """The safetensors file of a head, which is also written to `path` if told. `import_head` takes it without further words."""
    parts = yield from download(methods.EXPORT_HEAD, head_pb2.ExportHeadRequest(name=name_of(head)))
    file = b"".join(part.data for part in parts)
    if not parts or len(file) != parts[0].size:
        raise Unavailable(f"the trainer sent {len(file)} bytes, which is not all of the head")
    if path is not None:
        Path(path).write_bytes(file)
    return file


def import_head(
    name: str,
    head: bytes | str | os.PathLike[str] | Mapping[str, npt.NDArray[Any]] | Any,
    *,
    backbone: str = "",
    space: str = "",
    labels: Sequence[str] = (),
    sigmoid: bool = False,
    thresholds: Sequence[float] = (),
    note: str = "",
) -> Op[Head]:
    """Register a head that was fitted elsewhere as the next version of `name`.

    `head` is a safetensors file (its path or bytes); arrays: `weight` [labels, dimension] and, if there is one, `bias` [labels]; or a
    linear classifier of scikit-learn that is fitted on embeddings, which says its labels itself. A file of `export_head` says
    backbone and labels itself.
    """
    if hasattr(head, "coef_"):
        head, found = _of_sklearn(head)
        labels = labels or found
    options = head_pb2.ImportHeadOptions(
        name=name, backbone=backbone, space=space, labels=labels, thresholds=thresholds, note=note
    )
    if sigmoid:
        options.link = head_pb2.HEAD_LINK_SIGMOID
    if isinstance(head, Mapping):
        options.weight_order = head_pb2.WEIGHT_ORDER_LABELS_FIRST
        head = safetensors(head)
    file = head if isinstance(head, bytes) else Path(head).read_bytes()
    settings: Settings = yield GetSettings()
    method = methods.IMPORT_HEAD
    answer = yield Upload(method, _messages(options, file), settings.timeout or method.seconds)
    return Head(answer.head)


def safetensors(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A safetensors file of float32 tensors."""
    header, parts, begin = {}, [], 0
    for name, tensor in tensors.items():
        packed = np.ascontiguousarray(tensor, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(np.shape(tensor)), "data_offsets": [begin, begin + len(packed)]}
        parts.append(packed)
        begin += len(packed)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return b"".join([len(encoded).to_bytes(8, "little"), encoded, *parts])


def _of_sklearn(model: Any) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Weights and labels of a linear classifier. One of two classes has one row, the logit of the second: the first one's is 0."""
    weight, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    labels = [str(label) for label in model.classes_]
    if len(labels) == 2 and len(weight) == 1:
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.concatenate([np.zeros(1), bias])
    return {"weight": weight, "bias": bias}, labels


def _messages(options: head_pb2.ImportHeadOptions, file: bytes) -> Iterator[head_pb2.ImportHeadRequest]:
    yield head_pb2.ImportHeadRequest(options=options, data=file[:PART])
    for start in range(PART, len(file), PART):
        yield head_pb2.ImportHeadRequest(data=file[start : start + PART])
