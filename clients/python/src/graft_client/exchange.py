"""Heads and embeddings that come in and go out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from graft.v1 import dataset_pb2, head_pb2

# Bytes of one message.
PART = 4 << 20

SPLIT_NAMES = {
    dataset_pb2.SPLIT_TRAIN: "train",
    dataset_pb2.SPLIT_VALIDATION: "validation",
    dataset_pb2.SPLIT_TEST: "test",
}


@dataclass
class Embeddings:
    """The embeddings of a dataset, a row an example."""

    space: str
    """The embedding space, NAME@HASH."""
    embeddings: np.ndarray
    """float32 [rows, dimension]."""
    ids: list[str]
    """The ids that the examples were imported with."""
    hashes: list[str]
    """BLAKE3 of each image's content, in hexadecimal."""
    labels: list[str] | list[list[str]]
    """The label of each; of a multi-label dataset all labels of each."""
    splits: list[str]
    """train, validation or test."""


def collect(answers: Iterator[dataset_pb2.ExportEmbeddingsResponse]) -> Embeddings:
    """Gather a stream of rows."""
    about = next(answers).dataset
    found = np.empty((about.row_count, about.dimension), dtype=np.float32)
    examples: list[dataset_pb2.StoredExample] = []
    for answer in answers:
        rows = np.frombuffer(answer.rows.embeddings, dtype="<f4").reshape(-1, about.dimension)
        found[len(examples) : len(examples) + len(rows)] = rows
        examples.extend(answer.rows.examples)
    if len(examples) != about.row_count:
        raise ConnectionError(f"the trainer sent {len(examples)} of {about.row_count} rows")
    return Embeddings(
        space=about.space,
        embeddings=found,
        ids=[example.id for example in examples],
        hashes=[example.hash for example in examples],
        labels=[list(example.labels) if about.multi_label else example.labels[0] for example in examples],
        splits=[SPLIT_NAMES[example.split] for example in examples],
    )


def safetensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    """A safetensors file of float32 tensors."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        packed = np.ascontiguousarray(tensor, dtype="<f4").tobytes()
        offsets = [len(data), len(data) + len(packed)]
        header[name] = {"dtype": "F32", "shape": list(np.shape(tensor)), "data_offsets": offsets}
        data += packed
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded + data


def requests(options: head_pb2.ImportHeadOptions, file: bytes) -> Iterator[head_pb2.ImportHeadRequest]:
    """The messages that bring a head."""
    yield head_pb2.ImportHeadRequest(options=options, data=file[:PART])
    for start in range(PART, len(file), PART):
        yield head_pb2.ImportHeadRequest(data=file[start : start + PART])
