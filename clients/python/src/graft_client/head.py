"""A version of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeAlias, Union

from graft.v1 import compare_pb2, head_pb2

from .html import notes, table
from .optional import need
from .report import Report


@dataclass(frozen=True)
class Head:
    """A version of a head, with its report. Calls take it where they take a head's name."""

    proto: head_pb2.Head

    @property
    def name(self) -> str:
        """Its name."""
        return self.proto.name

    @property
    def version(self) -> int:
        """Its version, counted from 1."""
        return self.proto.version

    @property
    def id(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"

    @property
    def labels(self) -> list[str]:
        """Its classes, in the order of its logits."""
        return list(self.proto.labels)

    @property
    def space(self) -> str:
        """The embedding space that it classifies, NAME@HASH."""
        return self.proto.space

    @property
    def backbone(self) -> str:
        """The backbone whose embeddings it classifies."""
        return self.proto.backbone

    @property
    def dataset(self) -> str:
        """The dataset that it was fitted on; empty of one that was imported."""
        return self.proto.dataset

    @property
    def aliases(self) -> list[str]:
        """The aliases that were on it when it was asked for."""
        return list(self.proto.aliases)

    @property
    def create_time(self) -> datetime:
        """When it was written."""
        return self.proto.create_time.ToDatetime(tzinfo=timezone.utc)

    @property
    def origin(self) -> head_pb2.HeadOrigin | None:
        """Where it came from, if it was imported."""
        return self.proto.origin if self.proto.HasField("origin") else None

    @property
    def report(self) -> Report:
        """How it did on the examples held out for it. Lists of heads have its figures alone."""
        return Report(self.proto.report, tuple(self.proto.labels))

    def to_pandas(self) -> Any:
        """The report's classes as a `pandas.DataFrame`."""
        return self.report.to_pandas()

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<Head {self.id}: {len(self.proto.labels)} labels, {self.report}>"

    def _repr_html_(self) -> str:
        return f"{notes(f'Head {self.id}', [f'{len(self.labels)} labels on {self.space}'])}{self.report._repr_html_()}"


HeadName: TypeAlias = Union[str, Head]
"""NAME for the newest version, NAME@VERSION, NAME@ALIAS, or a `Head`."""


def name_of(head: HeadName) -> str:
    """What requests call a head."""
    return head.id if isinstance(head, Head) else head


@dataclass(frozen=True)
class Comparison:
    """Two versions beside each other on one test split. `proto` has all of it."""

    proto: compare_pb2.CompareHeadsResponse

    @property
    def p_value(self) -> float:
        """How likely chance alone makes the difference, were both as good."""
        return self.proto.p_value

    @property
    def accuracies(self) -> tuple[float, float]:
        """Of the first and of the second."""
        return self.proto.first.accuracy, self.proto.second.accuracy

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row a class: support, and the F1 of both; NaN where one does not know the class."""
        pandas = need("pandas", "to_pandas")
        return pandas.DataFrame(self._classes(), columns=["label", "support", "first_f1", "second_f1"]).set_index("label")

    def disagreements_to_pandas(self) -> Any:
        """Examples that the two answer differently, as a `pandas.DataFrame`."""
        pandas = need("pandas", "disagreements_to_pandas")
        rows = [
            [one.id, list(one.labels), [it.label for it in one.first.labels], [it.label for it in one.second.labels], one.hash]
            for one in self.proto.disagreements
        ]
        return pandas.DataFrame(rows, columns=["id", "labels", "first", "second", "hash"])

    def _classes(self) -> list[list[Any]]:
        nan = float("nan")
        return [
            [
                one.label,
                one.support,
                one.first_f1 if one.HasField("first_f1") else nan,
                one.second_f1 if one.HasField("second_f1") else nan,
            ]
            for one in self.proto.classes
        ]

    def __str__(self) -> str:
        first, second = self.proto.first, self.proto.second
        return f"{first.head} {first.accuracy:.4f}, {second.head} {second.accuracy:.4f}, p {self.p_value:.3g}"

    def _repr_html_(self) -> str:
        first, second = self.proto.first, self.proto.second
        figures = [(one.head, f"{one.accuracy:.4f}", f"{one.macro_f1:.4f}", f"{one.log_loss:.4f}") for one in (first, second)]
        title = f"{self.proto.test_count} test examples of {self.proto.dataset}; p = {self.p_value:.3g}"
        rows = [[label, support, f"{a:.3f}", f"{b:.3f}"] for label, support, a, b in self._classes()]
        classes = table("Classes", ["label", "support", first.head, second.head], rows)
        return table(title, ["head", "accuracy", "macro F1", "log loss"], figures) + classes
