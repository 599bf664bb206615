"""Training runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from graft.v1 import training_pb2

from .errors import TrainingFailed


@dataclass(frozen=True)
class Run:
    """A training run as it stood when it was asked for. Calls take it where they take a run's id."""

    proto: training_pb2.TrainingRun

    @property
    def id(self) -> str:
        """The id that the service gave it."""
        return self.proto.id

    @property
    def dataset(self) -> str:
        """The dataset that it fits on."""
        return self.proto.dataset

    @property
    def head(self) -> str:
        """NAME@VERSION that it wrote; the name alone until it has succeeded."""
        version = self.proto.head_version
        return f"{self.proto.head}@{version}" if version else self.proto.head

    @property
    def state(self) -> str:
        """queued, running, succeeded, failed or cancelled."""
        return training_pb2.TrainingState.Name(self.proto.state).removeprefix("TRAINING_STATE_").lower()

    @property
    def phase(self) -> str:
        """What it is doing: load, select, refit, evaluate and others."""
        phase = training_pb2.TrainingPhase.Name(self.proto.progress.phase).removeprefix("TRAINING_PHASE_").lower()
        return phase.replace("unspecified", "wait").replace("_", " ")

    @property
    def fraction(self) -> float:
        """The part of the whole that is done, 0 to 1."""
        return self.proto.progress.fraction

    @property
    def ended(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def error(self) -> str:
        """Why it failed; empty otherwise."""
        return self.proto.error

    @property
    def create_time(self) -> datetime:
        """When it was created."""
        return self.proto.create_time.ToDatetime(tzinfo=timezone.utc)

    def check(self) -> None:
        """Raise `TrainingFailed` unless it has succeeded."""
        if self.state != "succeeded":
            raise TrainingFailed(f"run {self.id} on {self.dataset}: {self.error or self.state}")

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.head}, {self.state}, {self.fraction:.0%}>"


def run_id(run: str | Run) -> str:
    """What requests call a run."""
    return run.id if isinstance(run, Run) else run
