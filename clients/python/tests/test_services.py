"""Both services, really running, called by a plain gRPC client and by the wrapper."""

import json
import math
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from graft_client import Graft
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "tests/data/reference"
IMAGENET = "efficientnet-lite0-imagenet"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    trainer, extractor = (f"127.0.0.1:{free_port()}" for _ in range(2))
    data = tmp_path_factory.mktemp("data")
    command = [ROOT / "target/release/graft", "up", "--data-dir", data]
    command += ["--trainer-listen", trainer, "--extractor-listen", extractor]
    command += ["--trainer-metrics-listen", f"127.0.0.1:{free_port()}"]
    command += ["--extractor-metrics-listen", f"127.0.0.1:{free_port()}"]
    process = subprocess.Popen(command)
    try:
        for address in (trainer, extractor):
            wait_ready(process, address)
        yield trainer, extractor
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_ready(process, address):
    request = health_pb2.HealthCheckRequest()
    for _ in range(300):
        assert process.poll() is None, "graft up ended"
        try:
            with grpc.insecure_channel(address) as channel:
                if health_pb2_grpc.HealthStub(channel).Check(request).status == health_pb2.HealthCheckResponse.SERVING:
                    return
        except grpc.RpcError:
            time.sleep(0.1)
    raise AssertionError(f"{address} is not ready")


@pytest.fixture(scope="module")
def graft(addresses):
    return Graft(*addresses, proto=ROOT / "proto")


def reference(name: str) -> list[float]:
    data = (REFERENCE / "parity.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    start, end = json.loads(data[8 : 8 + length])[name]["data_offsets"]
    return list(struct.unpack(f"<{(end - start) // 4}f", data[8 + length + start : 8 + length + end]))


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_embeddings_are_those_of_the_reference(graft):
    assert graft.backbones() == ["efficientnet-lite0", IMAGENET]
    photos = [REFERENCE / "images" / name for name in ("astronaut.png", "coffee.jpg")]
    astronaut, coffee = graft.embed(photos, backbone=IMAGENET)
    assert cosine(astronaut, reference("astronaut.embedding")) >= 0.9999
    assert cosine(coffee, reference("coffee.embedding")) >= 0.999
    with pytest.raises(ValueError, match="neither JPEG nor PNG"):
        graft.embed([b"no picture"])


def test_a_classifier_from_rows_to_answers(graft, addresses):
    dataset, training = (graft._modules[name] for name in ("dataset", "training"))
    embedding = graft._modules["embedding"]
    channel = grpc.insecure_channel(addresses[0])
    datasets = graft._modules["dataset_grpc"].DatasetServiceStub(channel)
    datasets.CreateDataset(dataset.CreateDatasetRequest(name="shades"))

    def picture(shade, size):
        return embedding.Image(pixels=embedding.Pixels(height=size, width=size, channels=1, data=bytes([shade]) * size**2))

    def requests():
        yield dataset.ImportExamplesRequest(options=dataset.ImportOptions(dataset="shades"))
        for index in range(40):
            bright = index % 2
            image = picture(200 + index if bright else index, 8)
            example = dataset.Example(id=str(index), label="bright" if bright else "dark", image=image)
            yield dataset.ImportExamplesRequest(examples=dataset.Examples(examples=[example]))

    outcomes = [outcome for answer in datasets.ImportExamples(requests()) for outcome in answer.outcomes]
    assert len(outcomes) == 40 and all(outcome.outcome == dataset.OUTCOME_STORED for outcome in outcomes)

    runs = graft._modules["training_grpc"].TrainingServiceStub(channel)
    run = runs.CreateTrainingRun(training.CreateTrainingRunRequest(dataset="shades")).training_run
    *_, last = runs.WatchTrainingRun(training.WatchTrainingRunRequest(id=run.id))
    assert last.training_run.state == training.TRAINING_STATE_SUCCEEDED, last

    classifier = graft._modules["classifier"]
    request = classifier.ClassifyRequest(head="shades", input=classifier.ClassifyInput(image=picture(220, 9)), top_k=2)
    answer = graft._modules["classifier_grpc"].ClassifierServiceStub(channel).Classify(request)
    assert [prediction.label for prediction in answer.predictions] == ["bright", "dark"]
    assert graft.classify("shades", REFERENCE / "images/coffee.jpg")[0][0] in ("bright", "dark")


def test_a_refusal_says_what_was_wrong(graft):
    with pytest.raises(grpc.RpcError) as refused:
        graft.classify("nowhere", REFERENCE / "images/coffee.jpg")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    assert "nowhere" in refused.value.details()
