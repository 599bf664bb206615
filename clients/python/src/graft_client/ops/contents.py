"""Datasets: described, edited, kept as snapshots, and their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from graft.v1 import dataset_pb2

from .. import methods
from ..calls import Feed, Op, ask, download, gather, pages, stream, translated
from ..dataset import SPLIT_NAMES, DatasetInfo, Views, split_of
from ..embeddings import Embeddings, rows
from ..errors import Unavailable
from .training import Dataset

# The most that one call edits.
EDITS = 1000


def create_dataset(
    name: str, *, backbone: str = "", multi_label: bool = False, views: Views | None = None
) -> Op[DatasetInfo]:
    """Create an empty dataset, bound to one backbone."""
    request = dataset_pb2.CreateDatasetRequest(name=name, backbone=backbone, multi_label=multi_label)
    if views is not None:
        request.augmentation.CopyFrom(views.message())
    return DatasetInfo((yield from ask(methods.CREATE_DATASET, request)).dataset)


def dataset(name: Dataset) -> Op[DatasetInfo]:
    """Describe one dataset."""
    return DatasetInfo((yield from ask(methods.GET_DATASET, dataset_pb2.GetDatasetRequest(name=str(name)))).dataset)


def datasets() -> Op[list[DatasetInfo]]:
    """The datasets, sorted by name."""
    request = dataset_pb2.ListDatasetsRequest(page_size=1000)
    return [DatasetInfo(one) for one in (yield from gather(pages(methods.LIST_DATASETS, request, "datasets")))]


def delete_dataset(name: Dataset) -> Op[None]:
    """Delete a dataset with its examples. Heads fitted on it stay."""
    yield from ask(methods.DELETE_DATASET, dataset_pb2.DeleteDatasetRequest(name=str(name)))


def dataset_stats(name: Dataset) -> Op[dataset_pb2.GetDatasetStatsResponse]:
    """What a dataset holds and what is odd about it: classes, duplicates, conflicts."""
    return (yield from ask(methods.GET_DATASET_STATS, dataset_pb2.GetDatasetStatsRequest(name=str(name))))


def examples(
    dataset: Dataset, *, label: str = "", split: str = "", duplicates: bool = False, conflicts: bool = False
) -> Feed[dataset_pb2.StoredExample]:
    """The examples of a dataset, a page at a time: all, or those of a label or split, with duplicates or with conflicts."""
    request = dataset_pb2.ListExamplesRequest(
        dataset=str(dataset),
        label=label,
        split=split_of(split),
        duplicates=duplicates,
        conflicts=conflicts,
        page_size=1000,
    )
    yield from pages(methods.LIST_EXAMPLES, request, "examples")


def relabel(dataset: Dataset, labels: Mapping[str, str | Sequence[str]]) -> Op[dict[str, str]]:
    """Give examples other labels, by the id or the content hash of each. Nothing is embedded again.

    The answer says of each that was not done why.
    """
    edits = [
        dataset_pb2.Relabelling(example=_key(key), labels=[given] if isinstance(given, str) else list(given))
        for key, given in labels.items()
    ]
    failed: dict[str, str] = {}
    for begin in range(0, len(edits), EDITS):
        some = edits[begin : begin + EDITS]
        request = dataset_pb2.RelabelExamplesRequest(dataset=str(dataset), relabellings=some)
        answer = yield from ask(methods.RELABEL_EXAMPLES, request)
        failed.update(_failed([edit.example for edit in some], answer.outcomes))
    return failed


def remove_examples(dataset: Dataset, examples: Iterable[str]) -> Op[dict[str, str]]:
    """Take examples out of a dataset, by the id or the content hash of each. The answer says of each that was not done why."""
    keys = [_key(key) for key in examples]
    failed: dict[str, str] = {}
    for begin in range(0, len(keys), EDITS):
        some = keys[begin : begin + EDITS]
        request = dataset_pb2.RemoveExamplesRequest(dataset=str(dataset), examples=some)
        answer = yield from ask(methods.REMOVE_EXAMPLES, request)
        failed.update(_failed(some, answer.outcomes))
    return failed


def create_snapshot(dataset: Dataset) -> Op[dataset_pb2.Snapshot]:
    """Keep a dataset as it is now. The same content gives the same snapshot."""
    request = dataset_pb2.CreateSnapshotRequest(dataset=str(dataset))
    return (yield from ask(methods.CREATE_SNAPSHOT, request)).snapshot


def snapshot(dataset: Dataset, id: str) -> Op[dataset_pb2.Snapshot]:
    """Describe one snapshot."""
    request = dataset_pb2.GetSnapshotRequest(dataset=str(dataset), id=id)
    return (yield from ask(methods.GET_SNAPSHOT, request)).snapshot


def snapshots(dataset: Dataset) -> Op[list[dataset_pb2.Snapshot]]:
    """The snapshots of a dataset, sorted by id."""
    request = dataset_pb2.ListSnapshotsRequest(dataset=str(dataset), page_size=1000)
    return (yield from gather(pages(methods.LIST_SNAPSHOTS, request, "snapshots")))


def embeddings(dataset: Dataset, split: str = "", snapshot: str = "") -> Op[Embeddings]:
    """The embeddings of a dataset with their labels, of one split or all, as it is now or as a snapshot has it."""
    request = _export(dataset, split, snapshot)
    answers = yield from download(methods.EXPORT_EMBEDDINGS, request)
    about, parts = answers[0].dataset, [answer.rows for answer in answers[1:]]
    found = np.empty((about.row_count, about.dimension), dtype=np.float32)
    stored: list[dataset_pb2.StoredExample] = []
    for part in parts:
        found[len(stored) : len(stored) + len(part.examples)] = rows(part.embeddings, about.dimension)
        stored.extend(part.examples)
    if len(stored) != about.row_count:
        raise Unavailable(f"the trainer sent {len(stored)} of {about.row_count} rows")
    return _embeddings(about, stored, found)


def embedding_batches(dataset: Dataset, split: str = "", snapshot: str = "") -> Feed[Embeddings]:
    """The same a batch of at most 512 rows at a time, each on the bytes of its message, without a copy."""
    about: list[dataset_pb2.ExportedDataset] = []

    def take(answer: dataset_pb2.ExportEmbeddingsResponse) -> Iterator[Embeddings]:
        if answer.HasField("dataset"):
            about.append(answer.dataset)
        else:
            found = rows(answer.rows.embeddings, about[0].dimension)
            yield _embeddings(about[0], list(answer.rows.examples), found)

    yield from translated(stream(methods.EXPORT_EMBEDDINGS, _export(dataset, split, snapshot)), take)


def _export(dataset: Dataset, split: str, snapshot: str) -> dataset_pb2.ExportEmbeddingsRequest:
    return dataset_pb2.ExportEmbeddingsRequest(dataset=str(dataset), split=split_of(split), snapshot=snapshot)


def _embeddings(about: dataset_pb2.ExportedDataset, stored: list[dataset_pb2.StoredExample], found: Any) -> Embeddings:
    labels: Any
    if about.multi_label:
        labels = [list(example.labels) for example in stored]
    else:
        labels = [example.labels[0] if example.labels else "" for example in stored]
    return Embeddings(
        space=about.space,
        embeddings=found,
        ids=[example.id for example in stored],
        hashes=[example.hash for example in stored],
        labels=labels,
        splits=[SPLIT_NAMES[example.split] for example in stored],
        multi_label=about.multi_label,
    )


def _key(key: str) -> dataset_pb2.ExampleKey:
    is_hash = len(key) == 64 and all(digit in "0123456789abcdef" for digit in key)
    return dataset_pb2.ExampleKey(hash=key) if is_hash else dataset_pb2.ExampleKey(id=key)


def _failed(keys: list[dataset_pb2.ExampleKey], outcomes: Iterable[dataset_pb2.EditOutcome]) -> dict[str, str]:
    pairs = zip(keys, outcomes, strict=True)
    return {key.id or key.hash: outcome.error.message for key, outcome in pairs if outcome.HasField("error")}
