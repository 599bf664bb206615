"""Examples on their way into a dataset."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, Union

import grpc
from graft.v1 import dataset_pb2, embedding_pb2

from .. import methods
from ..calls import Feed, Op, ask, each, exchange
from ..dataset import Example, Imported, Views, split_of
from ..errors import AlreadyExists, PreconditionFailed
from ..outbox import Outbox
from ..picture import Embedding, Input, embedding, id_of, image
from ..progress import Bar, Progress
from . import folder

Labels: TypeAlias = Union[str, Sequence[str], None]
Pair: TypeAlias = Union[Example, tuple[Input, Labels]]
Examples: TypeAlias = Union[Iterable[Pair], AsyncIterable[Pair]]
"""Examples, or pairs of a picture and its labels."""

def import_examples(
    dataset: str,
    examples: Examples,
    split: str = "",
    *,
    backbone: str = "",
    multi_label: bool | None = None,
    views: Views | None = None,
    progress: Progress = False,
) -> Op[Imported]:
    """Add pictures with their labels to a dataset, which is created if it is not there.

    An example is a pair (picture, label), or an `Example`. In a multi-label dataset each has a list of labels, which may be empty;
    whether a new dataset is one, `multi_label` says, or its first example. A label of None waits for one (`split="unlabelled"`).

    `split` is train, validation, test, unlabelled, or empty to have it chosen by content. A rejected example, or a file that cannot be
    read, ends nothing: the answer names it. Import again what was interrupted: what is stored is recognised and not embedded again.
    `views` are fixed once the dataset holds examples.
    """
    split_of(split)
    if isinstance(examples, Iterable):
        first, examples = _peeked(examples)
        multi_label = _is_multi(first) if multi_label is None and first is not None else multi_label
    yield from _ensure(dataset, backbone, multi_label)
    options = dataset_pb2.ImportOptions(dataset=dataset)
    if views is not None:
        options.augmentation.CopyFrom(views.message())
    imported = Imported()
    total = len(examples) if isinstance(examples, Sequence) else None
    with Bar(f"import {dataset}", total, "image", progress) as bar:

        def take(outcome: dataset_pb2.ExampleOutcome) -> None:
            imported.count(outcome)
            bar.add(1)

        yield from each(_outcomes(options, examples, split), take)
    return imported


def import_folder(
    path: str | os.PathLike[str],
    dataset: str = "",
    *,
    split: str = "",
    backbone: str = "",
    views: Views | None = None,
    progress: Progress = None,
) -> Op[Imported]:
    """Add a folder of pictures to a dataset, named like it unless told: a sub-folder a class.

    The folders train, val and test above the classes say what they are used for. With `split="unlabelled"` sub-folders say nothing.
    Files are read when they are sent. What was imported before is recognised and not embedded again.
    """
    root = Path(path)
    found = folder.examples(root, split == "unlabelled")
    name = dataset or folder.dataset_name(root)
    return (
        yield from import_examples(
            name, found, split, backbone=backbone, multi_label=False, views=views, progress=progress
        )
    )


def _outcomes(options: dataset_pb2.ImportOptions, examples: Any, split: str) -> Feed[dataset_pb2.ExampleOutcome]:
    def pack(index: int, given: Any) -> dataset_pb2.Example:
        return _message(index, _example(given), split)

    def wrap(items: list[Any]) -> dataset_pb2.ImportExamplesRequest:
        return dataset_pb2.ImportExamplesRequest(examples=dataset_pb2.Examples(examples=items))

    def take(answer: dataset_pb2.ImportExamplesResponse) -> Iterator[dataset_pb2.ExampleOutcome]:
        for outcome in answer.outcomes:
            if outbox.settle(outcome.id) is not None:
                yield outcome

    def fail(index: int, given: Any, error: Exception) -> Iterator[dataset_pb2.ExampleOutcome]:
        example = _example(given)
        reason = embedding_pb2.ItemError(field="image", message=str(error))
        id = example.id or id_of(example.picture, index)
        yield dataset_pb2.ExampleOutcome(id=id, outcome=dataset_pb2.OUTCOME_REJECTED, error=reason)

    outbox: Outbox[Any] = Outbox(dataset_pb2.ImportExamplesRequest(options=options), examples, pack, wrap)
    yield from exchange(methods.IMPORT_EXAMPLES, outbox, take, fail)


def _example(given: Any) -> Example:
    if isinstance(given, Example):
        return given
    picture, labels = given
    return Example(picture, labels if labels is None or isinstance(labels, str) else list(labels))


def _message(index: int, example: Example, split: str) -> dataset_pb2.Example:
    unlabelled = "unlabelled" if example.labels is None else ""
    made = dataset_pb2.Example(
        id=example.id or id_of(example.picture, index), split=split_of(example.split or split or unlabelled)
    )
    if isinstance(example.labels, str):
        made.label = example.labels
    elif example.labels is not None:
        made.labels.extend(example.labels)
    if isinstance(example.picture, Embedding):
        made.embedding.CopyFrom(embedding(example.picture))
    else:
        made.image.CopyFrom(image(example.picture))
    return made


def _peeked(examples: Iterable[Any]) -> tuple[Example | None, Iterable[Any]]:
    if isinstance(examples, Sequence):
        return (_example(examples[0]) if examples else None), examples
    left = iter(examples)
    for first in left:
        return _example(first), chain([first], left)
    return None, ()


def _is_multi(example: Example) -> bool:
    return example.labels is not None and not isinstance(example.labels, str)


def _ensure(name: str, backbone: str, multi_label: bool | None) -> Op[None]:
    wanted = dataset_pb2.CreateDatasetRequest(name=name, backbone=backbone, multi_label=bool(multi_label))
    try:
        yield from ask(methods.CREATE_DATASET, wanted)
        return
    except AlreadyExists as error:
        exists = error
    there = (yield from ask(methods.GET_DATASET, dataset_pb2.GetDatasetRequest(name=name))).dataset
    if backbone and backbone not in (there.backbone, there.space):
        message = f"dataset {name} holds embeddings of {there.backbone}, not of {backbone}"
        raise PreconditionFailed(message, grpc.StatusCode.FAILED_PRECONDITION, "backbone") from exists
    if multi_label and not there.multi_label:
        message = f"dataset {name} has one label a picture; lists of labels go into another"
        raise PreconditionFailed(message, grpc.StatusCode.FAILED_PRECONDITION, "multi_label") from exists
