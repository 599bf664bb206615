"""Datasets, as the trainer describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from graft.v1 import dataset_pb2, embedding_pb2

from .html import table
from .optional import need
from .picture import Input

SPLITS = {
    "": dataset_pb2.SPLIT_UNSPECIFIED,
    "train": dataset_pb2.SPLIT_TRAIN,
    "validation": dataset_pb2.SPLIT_VALIDATION,
    "test": dataset_pb2.SPLIT_TEST,
    "unlabelled": dataset_pb2.SPLIT_UNLABELLED,
}
SPLIT_NAMES = {number: name for name, number in SPLITS.items()}


def split_of(name: str) -> dataset_pb2.Split:
    """The split of this name."""
    if name not in SPLITS:
        raise ValueError(f"split {name!r}: train, validation, test, unlabelled or empty are accepted")
    return SPLITS[name]


AUGMENTATION_KINDS = {
    "flip": embedding_pb2.AUGMENTATION_KIND_FLIP,
    "crop": embedding_pb2.AUGMENTATION_KIND_CROP,
    "colour": embedding_pb2.AUGMENTATION_KIND_COLOUR,
}


@dataclass(frozen=True)
class Views:
    """Further views of each picture, which are fitted on beside it."""

    count: int
    """How many, at most 16. Each takes as long as another picture."""
    kinds: Sequence[str] = ()
    """What may be done: flip, crop, colour; flip and crop unless told."""
    seed: int = 0
    """Where chance begins."""

    def message(self) -> embedding_pb2.Augmentation:
        """The same in the contract."""
        unknown = [kind for kind in self.kinds if kind not in AUGMENTATION_KINDS]
        if unknown:
            raise ValueError(f"kinds {unknown[0]!r}: {', '.join(AUGMENTATION_KINDS)} are accepted")
        kinds = [AUGMENTATION_KINDS[kind] for kind in self.kinds]
        return embedding_pb2.Augmentation(views=self.count, kinds=kinds, seed=self.seed)


@dataclass(frozen=True)
class Example:
    """A picture to import, with its labels."""

    picture: Input
    labels: str | list[str] | None = None
    """Its label; a list of any number of them in a multi-label dataset; None for one that has none yet."""
    id: str = ""
    """What it is known by; its path, or its position, unless told."""
    split: str = ""
    """train, validation or test; that of the import, or chosen by content, unless told."""


@dataclass
class Imported:
    """What became of the examples of an import."""

    stored: int = 0
    already_known: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    """Why, by id."""

    def count(self, outcome: dataset_pb2.ExampleOutcome) -> None:
        """Take in the outcome of one example."""
        if outcome.outcome == dataset_pb2.OUTCOME_STORED:
            self.stored += 1
        elif outcome.outcome == dataset_pb2.OUTCOME_ALREADY_KNOWN:
            self.already_known += 1
        else:
            self.rejected[outcome.id] = outcome.error.message


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset as the trainer describes it."""

    proto: dataset_pb2.Dataset

    @property
    def name(self) -> str:
        """Its name."""
        return self.proto.name

    @property
    def backbone(self) -> str:
        """The backbone whose embeddings it holds."""
        return self.proto.backbone

    @property
    def space(self) -> str:
        """The embedding space of every example in it, NAME@HASH."""
        return self.proto.space

    @property
    def dimension(self) -> int:
        """Numbers in one embedding."""
        return self.proto.dimension

    @property
    def multi_label(self) -> bool:
        """Whether an example may have several labels, or none."""
        return self.proto.multi_label

    @property
    def example_count(self) -> int:
        """Examples in all, those that wait for a label left out."""
        return self.proto.example_count

    @property
    def unlabelled_count(self) -> int:
        """Examples that wait for a label."""
        return self.proto.unlabelled_count

    @property
    def classes(self) -> list[str]:
        """Its classes, sorted."""
        return [one.label for one in self.proto.classes]

    @property
    def create_time(self) -> datetime:
        """When it was created."""
        return self.proto.create_time.ToDatetime(tzinfo=timezone.utc)

    def counts_to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row a class: train, validation, test."""
        pandas = need("pandas", "counts_to_pandas")
        return pandas.DataFrame(self._counts(), columns=["label", "train", "validation", "test"]).set_index("label")

    def _counts(self) -> list[list[Any]]:
        return [[one.label, one.train, one.validation, one.test] for one in self.proto.classes]

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {self.example_count} examples of {len(self.proto.classes)} classes, {self.space}>"

    def _repr_html_(self) -> str:
        title = f"Dataset {self.name}: {self.example_count} examples on {self.space}"
        return table(title, ["label", "train", "validation", "test"], self._counts())
