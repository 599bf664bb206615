"""The client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import grpc
import numpy as np
from graft.v1 import (
    classifier_pb2,
    classifier_pb2_grpc,
    dataset_pb2,
    dataset_pb2_grpc,
    embedding_pb2,
    extractor_pb2,
    extractor_pb2_grpc,
    head_pb2,
    head_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)

from .exchange import Embeddings, collect, requests, safetensors
from .picture import Picture, Requests, image, messages

# The services write messages of up to 16 MiB and a little more; grpcio takes 4 MiB unless told.
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", 20 << 20)]

SPLITS = {
    "": dataset_pb2.SPLIT_UNSPECIFIED,
    "train": dataset_pb2.SPLIT_TRAIN,
    "validation": dataset_pb2.SPLIT_VALIDATION,
    "test": dataset_pb2.SPLIT_TEST,
    "unlabelled": dataset_pb2.SPLIT_UNLABELLED,
}

AUGMENTATION_KINDS = {
    "flip": embedding_pb2.AUGMENTATION_KIND_FLIP,
    "crop": embedding_pb2.AUGMENTATION_KIND_CROP,
    "colour": embedding_pb2.AUGMENTATION_KIND_COLOUR,
}


class BadPicture(ValueError):
    """A picture that the extractor could not embed."""

    def __init__(self, index: int, code: grpc.StatusCode, field: str, message: str):
        super().__init__(f"picture {index}: {message}")
        self.index, self.code, self.field = index, code, field


class TrainingFailed(RuntimeError):
    """A training run that ended without a head."""


@dataclass
class Imported:
    """What became of the examples of an import."""

    stored: int = 0
    already_known: int = 0
    rejected: dict[int, str] = field(default_factory=dict)
    """Why, by the position of the example."""

    def count(self, outcome: dataset_pb2.ExampleOutcome) -> None:
        """Take in the outcome of one example."""
        if outcome.outcome == dataset_pb2.OUTCOME_STORED:
            self.stored += 1
        elif outcome.outcome == dataset_pb2.OUTCOME_ALREADY_KNOWN:
            self.already_known += 1
        else:
            self.rejected[int(outcome.id)] = outcome.error.message


@dataclass
class HeadAnswer:
    """The answer of one of many heads."""

    head: str
    """NAME@VERSION; the head as it was asked for where it did not answer."""
    predictions: list[tuple[str, float]] = field(default_factory=list)
    """The most probable labels with their probabilities, the most probable first."""
    error: str = ""
    """Why it did not answer."""


class Graft:
    """The two services of Graft.

    A call that a service refuses raises `grpc.RpcError`, whose details say what was wrong and what is accepted.
    """

    def __init__(self, trainer: str = "localhost:7400", extractor: str = "localhost:7401"):
        self._channels = [grpc.insecure_channel(address, CHANNEL_OPTIONS) for address in (trainer, extractor)]
        to_trainer, to_extractor = self._channels
        self._extractor = extractor_pb2_grpc.ExtractorServiceStub(to_extractor)
        self._datasets = dataset_pb2_grpc.DatasetServiceStub(to_trainer)
        self._runs = training_pb2_grpc.TrainingServiceStub(to_trainer)
        self._heads = head_pb2_grpc.HeadServiceStub(to_trainer)
        self._classifier = classifier_pb2_grpc.ClassifierServiceStub(to_trainer)

    def __enter__(self) -> Graft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            channel.close()

    def backbones(self) -> list[extractor_pb2.Backbone]:
        """The backbones that the extractor serves, sorted by name."""
        return list(self._extractor.ListBackbones(extractor_pb2.ListBackbonesRequest()).backbones)

    def embed(self, pictures: Iterable[Picture], backbone: str = "") -> np.ndarray:
        """The embeddings of the pictures in their order, float32 [pictures, dimension]; a bad one raises `BadPicture`."""

        asked = 0

        def items():
            nonlocal asked
            for index, picture in enumerate(pictures):
                asked = index + 1
                yield extractor_pb2.ExtractItem(id=str(index), image=image(picture))

        def requests():
            yield extractor_pb2.ExtractRequest(options=extractor_pb2.ExtractOptions(backbone=backbone))
            for group in messages(items()):
                yield extractor_pb2.ExtractRequest(items=extractor_pb2.ExtractItems(items=group))

        found: dict[int, np.ndarray] = {}
        dimension = 0
        sent = Requests(requests())
        with sent.own_errors():
            call = self._extractor.Extract(sent)
            for answer in call:
                if answer.HasField("backbone"):
                    dimension = answer.backbone.dimension
                elif answer.HasField("failure"):
                    call.cancel()
                    raise _bad_picture(answer.failure)
                else:
                    rows = np.frombuffer(answer.embeddings.data, dtype="<f4").reshape(-1, dimension)
                    found.update((int(index), row) for index, row in zip(answer.embeddings.ids, rows, strict=True))
        if len(found) != asked:
            raise ConnectionError(f"the extractor answered {len(found)} of {asked} pictures")
        if not found:
            return np.empty((0, dimension), dtype=np.float32)
        return np.stack([found[index] for index in range(len(found))])

    def import_examples(
        self,
        dataset: str,
        examples: Iterable[tuple[Picture, str | Iterable[str]]],
        split: str = "",
        backbone: str = "",
        views: int = 0,
        augment: Sequence[str] = (),
        augment_seed: int = 0,
    ) -> Imported:
        """Add pictures with their labels to a dataset, which is created if it is not there.

        A picture has one label, or a list of any number of them, which may be empty; a dataset holds the one or the other. `split` is train, validation, test, or empty to have it chosen by content. A rejected example ends nothing: the
        answer names it. What was imported before is recognised and not embedded again.

        `views` further views of each picture, at most 16, are fitted on beside it, made as `augment` says (flip, crop,
        colour; flip and crop unless told). They are fixed once the dataset holds examples: another number is refused.
        """
        if split not in SPLITS:
            raise ValueError(f"split {split!r}: train, validation, test or empty are accepted")
        options = dataset_pb2.ImportOptions(dataset=dataset)
        if views:
            options.augmentation.CopyFrom(_augmentation(views, augment, augment_seed))
        examples = iter(examples)
        first = list(next(examples, None) or ())
        multi_label = len(first) == 2 and not isinstance(first[1], str)
        if first:
            examples = chain([tuple(first)], examples)
        self._ensure_dataset(dataset, backbone, multi_label)

        def requests():
            yield dataset_pb2.ImportExamplesRequest(options=options)
            items = (
                dataset_pb2.Example(id=str(index), split=SPLITS[split], image=image(picture), **_labels(labels))
                for index, (picture, labels) in enumerate(examples)
            )
            for group in messages(items):
                yield dataset_pb2.ImportExamplesRequest(examples=dataset_pb2.Examples(examples=group))

        imported = Imported()
        sent = Requests(requests())
        with sent.own_errors():
            for answer in self._datasets.ImportExamples(sent):
                for outcome in answer.outcomes:
                    imported.count(outcome)
        return imported

    def train(self, dataset: str, head: str = "", l2: Sequence[float] = (), max_iterations: int = 0) -> head_pb2.Head:
        """Fit a head on a dataset, wait until it is done and give it with its report; `TrainingFailed` if it fails."""
        options = training_pb2.TrainingOptions(l2=l2, max_iterations=max_iterations)
        request = training_pb2.CreateTrainingRunRequest(dataset=dataset, head=head, options=options)
        run = self._runs.CreateTrainingRun(request).training_run
        for answer in self._runs.WatchTrainingRun(training_pb2.WatchTrainingRunRequest(id=run.id)):
            run = answer.training_run
        if run.state != training_pb2.TRAINING_STATE_SUCCEEDED:
            raise TrainingFailed(f"run {run.id}: {run.error or training_pb2.TrainingState.Name(run.state)}")
        return self._heads.GetHead(head_pb2.GetHeadRequest(name=f"{run.head}@{run.head_version}")).head

    def classify(
        self, head: str, picture: Picture, top_k: int = 5, sticky_key: str = ""
    ) -> list[tuple[str, float]]:
        """The most probable labels of a picture with their probabilities, the most probable first.

        Requests for NAME@ALIAS with the same `sticky_key`, such as the id of a user, stay on one side of the alias's canary.
        """
        what = classifier_pb2.ClassifyInput(image=image(picture))
        request = classifier_pb2.ClassifyRequest(head=head, input=what, top_k=top_k, sticky_key=sticky_key)
        answer = self._classifier.Classify(request)
        return [(prediction.label, prediction.probability) for prediction in answer.predictions]

    def classify_many(
        self,
        picture: Picture,
        heads: Sequence[str] = (),
        every_head_of: str | None = None,
        alias: str = "",
        top_k: int = 1,
    ) -> list[HeadAnswer]:
        """The answers of many heads for one picture, which is embedded once.

        They are those named by `heads`, in this order, or all of a backbone or embedding space (NAME@HASH), sorted by name:
        the newest versions, or those that have `alias`. One that cannot answer says why; if none can, the call is refused.
        """
        every = None if every_head_of is None else classifier_pb2.EveryHead(space=every_head_of, alias=alias)
        what = classifier_pb2.ClassifyInput(image=image(picture))
        request = classifier_pb2.ClassifyRequest(heads=heads, every_head=every, input=what, top_k=top_k)
        return [_head_answer(one) for one in self._classifier.Classify(request).classifications]

    def labels(self, head: str, picture: Picture) -> list[tuple[str, float]]:
        """All labels that a head gives to a picture, with their probabilities, the most probable first.

        There may be none. A head that was fitted on one label a picture gives none but with the kind SIGMOID: its answer is the
        first of `classify`.
        """
        what = classifier_pb2.ClassifyInput(image=image(picture))
        answer = self._classifier.Classify(classifier_pb2.ClassifyRequest(head=head, input=what, top_k=1))
        return [(prediction.label, prediction.probability) for prediction in answer.predictions if prediction.applies]

    def embeddings(self, dataset: str, split: str = "", snapshot: str = "") -> Embeddings:
        """The embeddings of a dataset with their labels, of one split or all, as it is now or as a snapshot has it."""
        if split not in SPLITS:
            raise ValueError(f"split {split!r}: train, validation, test or empty are accepted")
        wanted = dataset_pb2.ExportEmbeddingsRequest(dataset=dataset, split=SPLITS[split], snapshot=snapshot)
        return collect(self._datasets.ExportEmbeddings(wanted))

    def export_head(self, head: str) -> bytes:
        """The safetensors file of a head, NAME for its newest version or NAME@VERSION; `import_head` takes it."""
        parts = self._heads.ExportHead(head_pb2.ExportHeadRequest(name=head))
        return b"".join(part.data for part in parts)

    def import_head(
        self,
        name: str,
        head: bytes | Mapping[str, np.ndarray],
        backbone: str = "",
        labels: Sequence[str] = (),
        sigmoid: bool = False,
        thresholds: Sequence[float] = (),
        note: str = "",
    ) -> head_pb2.Head:
        """Register a head that was fitted elsewhere as the next version of `name`.

        `head` is a safetensors file, or arrays: `weight` [labels, dimension] and, if there is one, `bias` [labels]. A file of
        `export_head` says backbone and labels itself; they may be left out.
        """
        options = head_pb2.ImportHeadOptions(
            name=name, backbone=backbone, labels=labels, thresholds=thresholds, note=note
        )
        if sigmoid:
            options.link = head_pb2.HEAD_LINK_SIGMOID
        if not isinstance(head, bytes):
            options.weight_order = head_pb2.WEIGHT_ORDER_LABELS_FIRST
            head = safetensors(head)
        return self._heads.ImportHead(requests(options, head)).head

    def _ensure_dataset(self, name: str, backbone: str, multi_label: bool) -> None:
        try:
            wanted = dataset_pb2.CreateDatasetRequest(name=name, backbone=backbone, multi_label=multi_label)
            self._datasets.CreateDataset(wanted)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise
            there = self._datasets.GetDataset(dataset_pb2.GetDatasetRequest(name=name)).dataset
            if backbone and there.backbone != backbone:
                raise ValueError(f"dataset {name} holds embeddings of {there.backbone}, not of {backbone}") from error
            if multi_label and not there.multi_label:
                raise ValueError(f"dataset {name} has one label a picture; lists of labels go into another") from error


def _head_answer(one: classifier_pb2.HeadClassification) -> HeadAnswer:
    predictions = [(prediction.label, prediction.probability) for prediction in one.predictions]
    return HeadAnswer(one.head, predictions, one.error.message)


def _labels(labels: str | Iterable[str]) -> dict[str, object]:
    return {"label": labels} if isinstance(labels, str) else {"labels": list(labels)}


def _augmentation(views: int, kinds: Sequence[str], seed: int) -> embedding_pb2.Augmentation:
    unknown = [kind for kind in kinds if kind not in AUGMENTATION_KINDS]
    if unknown:
        raise ValueError(f"augment {unknown[0]!r}: {', '.join(AUGMENTATION_KINDS)} are accepted")
    return embedding_pb2.Augmentation(views=views, kinds=[AUGMENTATION_KINDS[kind] for kind in kinds], seed=seed)


def _bad_picture(failure: extractor_pb2.ExtractFailure) -> BadPicture:
    codes = {code.value[0]: code for code in grpc.StatusCode}
    error = failure.error
    return BadPicture(int(failure.id), codes.get(error.code, grpc.StatusCode.UNKNOWN), error.field, error.message)
