"""What a head says of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graft.v1 import classifier_pb2

from .errors import BadPicture
from .html import table


class Prediction(NamedTuple):
    """A label and its probability."""

    label: str
    probability: float
    applies: bool = False
    """Whether a SIGMOID head gives the label to the picture; always false of other heads, whose answer is the first prediction."""
    threshold: float | None = None
    """The probability from which on a SIGMOID head gives it."""


@dataclass(frozen=True)
class Answer:
    """The answer of a head. It is true if there is one."""

    head: str
    """NAME@VERSION that answered; the head as it was asked for where it did not."""
    predictions: list[Prediction] = field(default_factory=list)
    """The most probable labels, the most probable first."""
    unknown: bool = False
    """Whether the picture is unlike what the head knows, where `detect_unknown` asked."""
    error: BadPicture | None = None
    """Why there is no answer."""

    @property
    def label(self) -> str:
        """The most probable label; empty where there is no answer."""
        return self.predictions[0].label if self.predictions else ""

    @property
    def probability(self) -> float:
        """The probability of `label`."""
        return self.predictions[0].probability if self.predictions else 0.0

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each label that is named."""
        return {one.label: one.probability for one in self.predictions}

    @property
    def labels(self) -> list[str]:
        """All labels that a SIGMOID head gives to the picture, the most probable first; there may be none."""
        return [prediction.label for prediction in self.predictions if prediction.applies]

    def __bool__(self) -> bool:
        return self.error is None

    def _repr_html_(self) -> str:
        rows = [[one.label, f"{one.probability:.3f}", "yes" if one.applies else ""] for one in self.predictions]
        note = str(self.error) if self.error else "unknown" if self.unknown else ""
        return table(f"{self.head} {note}".strip(), ["label", "probability", "applies"], rows)


def predictions_of(found: Iterable[classifier_pb2.Prediction]) -> list[Prediction]:
    """Those of a message."""
    return [
        Prediction(one.label, one.probability, one.applies, one.threshold if one.HasField("threshold") else None)
        for one in found
    ]


def answer_of(found: Any, error: BadPicture | None = None) -> Answer:
    """The answer of a `ClassifyResponse` or a `HeadClassification`."""
    return Answer(found.head, predictions_of(found.predictions), found.unknown, error)
