"""The extractor, called by Triton's own client."""

import re
from queue import Queue

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from graft_client import Graft
from grpc_reflection.v1alpha import reflection_pb2
from test_services import IMAGENET, IMAGES, REFERENCE, ROOT, cosine, reference, rows
from tritonclient.grpc import (
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
    service_pb2,
    service_pb2_grpc,
)
from tritonclient.utils import InferenceServerException

DEFAULT = "efficientnet-lite0"


@pytest.fixture(scope="module")
def client(addresses):
    with InferenceServerClient(addresses[1]) as client:
        yield client


@pytest.fixture(scope="module")
def stub(addresses):
    with grpc.insecure_channel(addresses[1]) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def graft(addresses):
    with Graft(*addresses) as client:
        yield client


def tensor(array: np.ndarray, datatype: str, name: str = "image") -> InferInput:
    made = InferInput(name, list(array.shape), datatype)
    return made.set_data_from_numpy(array)


def files(*names: str) -> np.ndarray:
    return np.array([(IMAGES / name).read_bytes() for name in names], dtype=object)


def embed(client, made: InferInput, model: str = IMAGENET, **options) -> np.ndarray:
    return client.infer(model, [made], **options).as_numpy("embedding")


def fashion() -> np.ndarray:
    """Pictures [8, 28, 28, 1]."""
    return np.stack([picture for picture, _ in rows(REFERENCE / "fashion8.csv", 8)])[..., None]


def space(graft, name: str) -> str:
    return next(backbone.space for backbone in graft.backbones() if backbone.name == name)


def test_the_server_and_its_models_describe_themselves(client, graft):
    assert client.is_server_live() and client.is_server_ready()
    server = client.get_server_metadata()
    assert server.name == "graft-extractor" and re.fullmatch(r"\d+\.\d+\.\d+", server.version)
    version = space(graft, IMAGENET).split("@")[1]
    assert client.is_model_ready(IMAGENET) and client.is_model_ready(IMAGENET, version)
    assert not client.is_model_ready("resnet-9000") and not client.is_model_ready(IMAGENET, "7")
    model = client.get_model_metadata(IMAGENET, as_json=True)
    assert (model["name"], model["versions"], model["platform"]) == (IMAGENET, [version], "onnxruntime_onnx")
    assert model["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": ["-1"]}]
    assert model["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": ["-1", "1280"]}]


def test_encoded_images_give_the_embeddings_of_the_reference(client, graft):
    names = ("astronaut.png", "coffee.jpg", "chelsea.png")
    made = tensor(files(*names), "BYTES")
    version = space(graft, IMAGENET).split("@")[1]
    wanted = [InferRequestedOutput("embedding")]
    answer = client.infer(IMAGENET, [made], model_version=version, outputs=wanted, request_id="seven")
    response = answer.get_response()
    assert (response.model_name, response.model_version, response.id) == (IMAGENET, version, "seven")
    found = answer.as_numpy("embedding")
    assert found.shape == (3, 1280) and found.dtype == np.float32
    for row, name in zip(found, names, strict=True):
        least = 0.999 if name.endswith(".jpg") else 0.9999
        assert cosine(row, reference(f"{name.split('.')[0]}.embedding")) >= least
    extracted = graft.embed([IMAGES / name for name in names], backbone=IMAGENET)
    np.testing.assert_allclose(found, extracted, rtol=1e-3, atol=1e-4)
    column = tensor(files(*names)[:, None], "BYTES")
    np.testing.assert_allclose(embed(client, column), found, rtol=1e-3, atol=1e-4)


def test_pixels_give_the_embeddings_of_the_reference(client, graft):
    found = embed(client, tensor(fashion(), "UINT8"))
    assert found.shape == (8, 1280)
    for index in range(8):
        assert cosine(found[index], reference(f"fashion{index}.embedding")) >= 0.9999
    np.testing.assert_allclose(found, graft.embed(list(fashion()[..., 0]), backbone=IMAGENET), rtol=1e-3, atol=1e-4)
    colour = embed(client, tensor(np.repeat(fashion()[0], 3, axis=2), "UINT8"))
    assert colour.shape == (1, 1280)
    assert cosine(colour[0], found[0]) >= 0.999999


def test_preprocessed_tensors_give_the_embeddings_of_the_reference(client):
    names = ("astronaut", "chelsea", "coffee", "rocket", "fashion0", "fashion1")
    pixels = np.stack([reference(f"{name}.pixels").reshape(3, 224, 224) for name in names])
    for row, name in zip(embed(client, tensor(pixels, "FP32")), names, strict=True):
        assert cosine(row, reference(f"{name}.embedding")) >= 0.9999


def typed(datatype: str, shape: list[int], **contents) -> service_pb2.ModelInferRequest:
    made = service_pb2.ModelInferRequest.InferInputTensor(name="image", datatype=datatype, shape=shape)
    made.contents.CopyFrom(service_pb2.InferTensorContents(**contents))
    return service_pb2.ModelInferRequest(model_name=IMAGENET, id="typed", inputs=[made])


def test_typed_contents_are_as_good_as_raw_ones(client, stub):
    picture, photo = fashion()[0], (IMAGES / "astronaut.png").read_bytes()
    pixels = reference("astronaut.pixels")
    for request, raw in [
        (typed("BYTES", [1], bytes_contents=[photo]), tensor(files("astronaut.png"), "BYTES")),
        (typed("UINT8", [1, 28, 28, 1], uint_contents=picture.flatten().tolist()), tensor(picture, "UINT8")),
        (typed("FP32", [1, 3, 224, 224], fp32_contents=pixels), tensor(pixels.reshape(1, 3, 224, 224), "FP32")),
    ]:
        response = stub.ModelInfer(request)
        assert response.id == "typed" and list(response.outputs[0].shape) == [1, 1280]
        found = np.frombuffer(response.raw_output_contents[0], dtype="<f4")
        np.testing.assert_allclose(found, embed(client, raw)[0], rtol=1e-3, atol=1e-4)


def test_a_stream_answers_in_order_and_survives_a_bad_request(client):
    answers = Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    photo, bad = tensor(files("coffee.jpg"), "BYTES"), tensor(np.array([b"no picture"], dtype=object), "BYTES")
    for index, made in enumerate([photo, bad, tensor(fashion(), "UINT8")]):
        client.async_stream_infer(IMAGENET, [made], request_id=str(index))
    (first, _), (_, refused), (last, _) = [answers.get(timeout=60) for _ in range(3)]
    client.stop_stream()
    assert first.get_response().id == "0" and last.get_response().id == "2"
    assert last.as_numpy("embedding").shape == (8, 1280)
    assert "InvalidArgument: inputs.image[0]" in refused.message()
    assert cosine(first.as_numpy("embedding")[0], reference("coffee.embedding")) >= 0.999


def test_parameters_that_mean_nothing_here_are_ignored(client):
    found = embed(client, tensor(fashion(), "UINT8"), priority=3, timeout=9, sequence_id=5, parameters={"mine": True})
    assert found.shape == (8, 1280)


def refused(call, code: str, *words: str) -> None:
    with pytest.raises(InferenceServerException) as raised:
        call()
    assert raised.value.status() == f"StatusCode.{code}", raised.value
    for word in words:
        assert word in raised.value.message()


def test_the_extractor_says_what_was_wrong(client):
    photo = tensor(files("coffee.jpg"), "BYTES")
    for ask in (lambda: client.get_model_metadata("resnet-9000"), lambda: embed(client, photo, "resnet-9000")):
        refused(ask, "NOT_FOUND", "resnet-9000", IMAGENET)
    refused(lambda: embed(client, photo, model_version="7"), "NOT_FOUND", "7", IMAGENET)
    refused(lambda: embed(client, photo, "x" * 100_000), "NOT_FOUND", "xxx…", IMAGENET)
    one = (DEFAULT, "INVALID_ARGUMENT")
    for made, *words in [
        (tensor(files("coffee.jpg"), "BYTES", "pixels"), "inputs.name", "pixels", "image"),
        (tensor(np.zeros((1, 28, 28, 1), np.int64), "INT64"), "inputs.datatype", "INT64", "UINT8"),
        (tensor(np.zeros((1, 28, 28, 4), np.uint8), "UINT8"), "inputs.shape", "[1, 28, 28, 4]", "3 (RGB)"),
        (tensor(np.zeros((257, 1, 1, 1), np.uint8), "UINT8"), "inputs.shape", "257", "256"),
        (tensor(np.zeros((1, 1, 20_000, 1), np.uint8), "UINT8"), "inputs.image[0]", "20000", "16384"),
        (tensor(np.zeros((1, 3, 28, 28), np.float32), "FP32"), "inputs.shape", "[n, 3, 224, 224]"),
        (tensor(np.full((1, 3, 224, 224), np.nan, np.float32), "FP32"), "inputs.image[0]", "NaN", "finite"),
        (tensor(np.array([*files("coffee.jpg"), b"text"], dtype=object), "BYTES"), "inputs.image[1]", "JPEG"),
        (tensor(np.array([files("coffee.jpg")[0][:-900]], dtype=object), "BYTES"), "inputs.image[0]", "JPEG"),
    ]:
        refused(lambda made=made: embed(client, made, one[0]), one[1], *words)
    refused(lambda: client.infer(DEFAULT, [photo, photo]), "INVALID_ARGUMENT", "2 tensors")
    logits = [InferRequestedOutput("logits")]
    refused(lambda: client.infer(DEFAULT, [photo], outputs=logits), "INVALID_ARGUMENT", "logits", "embedding")
    shared = InferInput("image", [1], "BYTES").set_shared_memory("region", 9)
    refused(lambda: client.infer(DEFAULT, [shared]), "INVALID_ARGUMENT", "shared_memory_region")
    refused(lambda: embed(client, tensor(np.zeros((28, 3, 224, 224), np.float32), "FP32")), "OUT_OF_RANGE", "16")


def test_names_and_numbers_are_those_of_triton(addresses):
    """What reflection tells of the service, against the descriptors that Triton's client brings along."""
    with grpc.insecure_channel(addresses[1]) as channel:
        ask = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        wanted = reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService")
        (answer,) = ask(iter([wanted]))
    (encoded,) = answer.file_descriptor_response.file_descriptor_proto
    ours, theirs = descriptor_pb2.FileDescriptorProto.FromString(encoded), descriptor_pb2.FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(theirs)
    assert fields(ours).keys() - fields(theirs).keys() == {
        # KServe's, which Triton's client skips.
        "ModelMetadataResponse.properties",
        "ModelMetadataResponse.PropertiesEntry.key",
        "ModelMetadataResponse.PropertiesEntry.value",
    }
    for name in fields(ours).keys() & fields(theirs).keys():
        assert fields(ours)[name] == fields(theirs)[name], name
    methods = {method.name: method for method in theirs.service[0].method}
    for method in ours.service[0].method:
        same = methods[method.name]
        assert (method.input_type, method.output_type) == (same.input_type, same.output_type)
        assert (method.client_streaming, method.server_streaming) == (same.client_streaming, same.server_streaming)


def fields(file: descriptor_pb2.FileDescriptorProto) -> dict[str, tuple]:
    found = {}

    def walk(message, path):
        for field in message.field:
            found[f"{path}.{field.name}"] = (field.number, field.type, field.label, field.type_name)
        for nested in message.nested_type:
            walk(nested, f"{path}.{nested.name}")

    for message in file.message_type:
        walk(message, message.name)
    return found


def test_the_example_of_the_readme_runs(addresses):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (example,) = [block for block in blocks if "tritonclient" in block]
    assert "localhost:7401" in example and "shoe.jpg" in example
    example = example.replace("localhost:7401", addresses[1]).replace("shoe.jpg", str(IMAGES / "coffee.jpg"))
    scope = {}
    exec(example, scope)
    assert scope["embeddings"].shape == (1, 1280)
