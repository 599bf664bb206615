"""The client."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import grpc

from .stubs import generate

Picture = str | Path | bytes
"""A path, or the bytes of a JPEG or PNG file."""


class Graft:
    """The two services of Graft.

    Errors are `grpc.RpcError`s whose details say what was wrong and what is accepted.
    """

    def __init__(self, trainer: str = "localhost:7400", extractor: str = "localhost:7401", proto: str | Path = "proto"):
        self._modules = generate(proto)
        self._trainer = grpc.insecure_channel(trainer)
        self._extractor = grpc.insecure_channel(extractor)

    def backbones(self) -> list[str]:
        """The names of the backbones that the extractor serves."""
        messages, stubs = self._modules["extractor"], self._modules["extractor_grpc"]
        answer = stubs.ExtractorServiceStub(self._extractor).ListBackbones(messages.ListBackbonesRequest())
        return [backbone.name for backbone in answer.backbones]

    def embed(self, pictures: Iterable[Picture], backbone: str = "") -> list[list[float]]:
        """The embedding of each picture, in their order; a bad one raises `ValueError`."""
        messages, stubs = self._modules["extractor"], self._modules["extractor_grpc"]

        def requests():
            yield messages.ExtractRequest(options=messages.ExtractOptions(backbone=backbone))
            for index, picture in enumerate(pictures):
                item = messages.ExtractItem(id=str(index), image=self._image(picture))
                yield messages.ExtractRequest(items=messages.ExtractItems(items=[item]))

        found: dict[int, list[float]] = {}
        for answer in stubs.ExtractorServiceStub(self._extractor).Extract(requests()):
            if answer.HasField("failure"):
                raise ValueError(f"picture {answer.failure.id}: {answer.failure.error.message}")
            batch = answer.embeddings
            for row, index in enumerate(batch.ids):
                size = batch.dimension * 4
                numbers = struct.unpack(f"<{batch.dimension}f", batch.data[row * size : (row + 1) * size])
                found[int(index)] = list(numbers)
        return [found[index] for index in sorted(found)]

    def classify(self, head: str, picture: Picture, top_k: int = 5) -> list[tuple[str, float]]:
        """The most probable labels of a picture with their probabilities, the most probable first."""
        messages, stubs = self._modules["classifier"], self._modules["classifier_grpc"]
        request = messages.ClassifyRequest(
            head=head, input=messages.ClassifyInput(image=self._image(picture)), top_k=top_k
        )
        answer = stubs.ClassifierServiceStub(self._trainer).Classify(request)
        return [(prediction.label, prediction.probability) for prediction in answer.predictions]

    def _image(self, picture: Picture):
        data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
        return self._modules["embedding"].Image(encoded=data)
