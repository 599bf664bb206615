"""Training runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, Union, cast

from graft.v1 import head_pb2, training_pb2

from .. import methods
from ..calls import END, Close, Emit, Feed, GetSettings, Op, Open, Receive, Sleep, ask, each, gather, pages
from ..dataset import DatasetInfo, Views
from ..errors import GraftError, TrainingFailed
from ..head import Head
from ..progress import Bar, Progress
from ..retry import Settings
from ..run import Run, run_id
from .folder import dataset_name
from .importing import import_folder

Kind: TypeAlias = Literal["", "auto", "softmax", "sigmoid", "ridge", "lda", "prototype", "knn", "mlp"]
Dataset: TypeAlias = Union[str, DatasetInfo]


def start_training(
    dataset: Dataset,
    head: str = "",
    *,
    kind: Kind = "",
    l2: Sequence[float] = (),
    max_iterations: int = 0,
    balance_classes: bool = False,
    class_weights: Mapping[str, float] | None = None,
    label_smoothing: float = 0,
    seed: int = 0,
    label_errors: bool | None = None,
    learning_curve: bool | None = None,
    snapshot: str = "",
) -> Op[Run]:
    """Queue a training run and give it at once. The options are those of `train`."""
    options = training_pb2.TrainingOptions(
        l2=l2,
        max_iterations=max_iterations,
        head_kind=_kind(kind),
        balance_classes=balance_classes,
        class_weights=class_weights or {},
        label_smoothing=label_smoothing,
        seed=seed,
        evidence=training_pb2.EvidenceOptions(
            label_errors=_gather(label_errors), learning_curve=_gather(learning_curve)
        ),
    )
    request = training_pb2.CreateTrainingRunRequest(dataset=str(dataset), head=head, options=options, snapshot=snapshot)
    answer = yield from ask(methods.CREATE_TRAINING_RUN, request)
    return Run(answer.training_run)


def train(
    source: Dataset | os.PathLike[str],
    head: str = "",
    *,
    dataset: str = "",
    backbone: str = "",
    views: Views | None = None,
    kind: Kind = "",
    l2: Sequence[float] = (),
    max_iterations: int = 0,
    balance_classes: bool = False,
    class_weights: Mapping[str, float] | None = None,
    label_smoothing: float = 0,
    seed: int = 0,
    label_errors: bool | None = None,
    learning_curve: bool | None = None,
    snapshot: str = "",
    progress: Progress = None,
) -> Op[Head]:
    """Fit a head on a dataset or a folder, wait until it is done and give it with its report.

    `source` is the name of a dataset; or a folder, if it is a `Path` or has a `/` in it (`"photos/"`), which is first imported into a
    dataset that is named like it, unless `dataset` tells another name. Do it again after an interruption: what was imported is not
    embedded again.

    `head` is the dataset's name unless told. `kind` is softmax, sigmoid, ridge, lda, prototype, knn, mlp, or auto for the best of them
    by cross-validation. `l2` are the penalties to choose among; `class_weights` how much a label's examples count; `snapshot` an
    earlier state of the dataset. `label_errors` and `learning_curve` are looked for if they do not take long, unless told.
    `TrainingFailed` tells why there is no head. `progress=False` shows nothing.
    """
    _kind(kind)
    if isinstance(source, os.PathLike) or (isinstance(source, str) and ("/" in source or os.sep in source)):
        name = dataset or dataset_name(Path(source))
        imported = yield from import_folder(source, name, backbone=backbone, views=views, progress=progress)
        if not imported.stored + imported.already_known:
            id, reason = next(iter(imported.rejected.items()))
            raise TrainingFailed(f"none of the pictures in {source} could be imported; {id}: {reason}")
        source = name
    run = yield from start_training(
        source,
        head,
        kind=kind,
        l2=l2,
        max_iterations=max_iterations,
        balance_classes=balance_classes,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        seed=seed,
        label_errors=label_errors,
        learning_curve=learning_curve,
        snapshot=snapshot,
    )
    run = yield from wait(run, progress=progress)
    answer = yield from ask(methods.GET_HEAD, head_pb2.GetHeadRequest(name=run.head))
    return Head(answer.head)


def wait(run: str | Run, *, progress: Progress = None) -> Op[Run]:
    """Wait until a run has succeeded; `TrainingFailed` if it ends otherwise."""
    last: list[Run] = []
    with Bar(f"train {run.dataset if isinstance(run, Run) else run}", 1.0, "", progress) as bar:

        def take(now: Run) -> None:
            last[:] = [now]
            bar.reach(1.0 if now.ended else now.fraction, now.state if now.ended else now.phase)

        yield from each(watch(run), take)
    last[0].check()
    return last[0]


def watch(run: str | Run) -> Feed[Run]:
    """Follow a run: how it stands now, then each change, until it has ended. A lost stream is opened again."""
    settings: Settings = yield GetSettings()
    request = training_pb2.WatchTrainingRunRequest(id=run_id(run))
    attempt, policy, ended = 1, settings.retry, False
    while True:
        stream = yield Open(methods.WATCH_TRAINING_RUN, request)
        try:
            while (answer := (yield Receive(stream))) is not END:
                now = Run(answer.training_run)
                attempt, policy, ended = 1, settings.resume, now.ended
                yield Emit(now)
            if ended:
                return
            pause: float | None = policy.first_pause
        except GraftError as error:
            pause = policy.pause(error, attempt)
            if pause is None:
                raise
        attempt += 1
        yield Close(stream)
        yield Sleep(pause or 0)


def run(id: str) -> Op[Run]:
    """One training run."""
    answer = yield from ask(methods.GET_TRAINING_RUN, training_pb2.GetTrainingRunRequest(id=id))
    return Run(answer.training_run)


def runs(dataset: str = "") -> Op[list[Run]]:
    """The training runs, newest first: all of them, or those on one dataset."""
    request = training_pb2.ListTrainingRunsRequest(dataset=dataset, page_size=1000)
    found = yield from gather(pages(methods.LIST_TRAINING_RUNS, request, "training_runs"))
    return [Run(one) for one in found]


def cancel(run: str | Run) -> Op[Run]:
    """Stop a run that is queued or running. One that has ended stays as it is."""
    answer = yield from ask(methods.CANCEL_TRAINING_RUN, training_pb2.CancelTrainingRunRequest(id=run_id(run)))
    return Run(answer.training_run)


def _gather(wanted: bool | None) -> training_pb2.Gather:
    if wanted is None:
        return training_pb2.GATHER_UNSPECIFIED
    return training_pb2.GATHER_ALWAYS if wanted else training_pb2.GATHER_NEVER


def _kind(kind: str) -> training_pb2.HeadKind:
    names = {name.removeprefix("HEAD_KIND_").lower(): number for name, number in training_pb2.HeadKind.items()}
    names[""] = names.pop("unspecified")
    if kind not in names:
        raise ValueError(f"kind {kind!r}: {', '.join(filter(None, names))} are accepted")
    number: Any = names[kind]
    return cast(training_pb2.HeadKind, number)
