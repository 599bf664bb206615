"""Feedback: what was right where a head was wrong, and what to label next. And garbage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from graft.v1 import feedback_pb2, maintenance_pb2

from .. import methods
from ..answer import Answer, Prediction, predictions_of
from ..calls import Op, ask, gather, pages
from ..dataset import split_of
from ..head import HeadName, name_of
from ..html import table
from ..picture import Input, classify_input
from .training import Dataset


@dataclass(frozen=True)
class Suggestion:
    """An unlabelled example that is worth a label."""

    id: str
    """The id that it was imported under."""
    hash: str
    """BLAKE3 of its content, in hexadecimal."""
    predictions: list[Prediction]
    """What the head says of it."""
    margin: float
    """How sure the head is, 0 (not at all) to 1."""
    reason: str
    """Why it is suggested."""

    def _repr_html_(self) -> str:
        rows = [[one.label, f"{one.probability:.3f}"] for one in self.predictions]
        return table(f"{self.id}: {self.reason}", ["label", "probability"], rows)


def correct(
    head: HeadName | Answer,
    picture: Input,
    labels: str | Sequence[str],
    *,
    id: str = "",
    predicted: Sequence[str] = (),
    split: str = "",
) -> Op[feedback_pb2.CorrectResponse]:
    """Say what is right where a head was wrong; its next training learns it. The same correction twice is one.

    `head` is the head that answered, or its `Answer`, which says what it predicted. `id` is what the example is known by; the path of
    the picture, or a digest of it, unless told.
    """
    if isinstance(head, Answer):
        predicted = predicted or head.labels or ([head.label] if head.label else [])
        head = head.head
    given = classify_input(picture)
    path = os.fspath(picture) if isinstance(picture, str | os.PathLike) else ""
    request = feedback_pb2.CorrectRequest(
        head=name_of(head),
        id=id or path or f"correction-{sha256(given.SerializeToString(deterministic=True)).hexdigest()[:16]}",
        input=given,
        labels=[labels] if isinstance(labels, str) else list(labels),
        predicted=predicted,
        split=split_of(split),
    )
    return (yield from ask(methods.CORRECT, request))


def corrections(head: HeadName = "") -> Op[list[feedback_pb2.Correction]]:
    """The corrections of a head (NAME, or NAME@VERSION for one version), or of all, the newest first."""
    request = feedback_pb2.ListCorrectionsRequest(head=name_of(head), page_size=1000)
    return (yield from gather(pages(methods.LIST_CORRECTIONS, request, "corrections")))


def suggest(dataset: Dataset, head: HeadName = "", count: int = 20) -> Op[list[Suggestion]]:
    """Which unlabelled examples of a dataset to label first: those that a head is least sure of, no two nearly the same."""
    request = feedback_pb2.SuggestExamplesRequest(dataset=str(dataset), head=name_of(head), count=count)
    answer = yield from ask(methods.SUGGEST_EXAMPLES, request)
    return [
        Suggestion(one.id, one.hash, predictions_of(one.predictions), one.margin, one.reason) for one in answer.suggestions
    ]


def collect_garbage(*, dry_run: bool = False) -> Op[maintenance_pb2.CollectGarbageResponse]:
    """Remove what nothing refers to any more; with `dry_run` only tell what that is."""
    request = maintenance_pb2.CollectGarbageRequest(dry_run=dry_run)
    return (yield from ask(methods.COLLECT_GARBAGE, request))
