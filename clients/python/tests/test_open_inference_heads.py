"""The trainer's heads, called by Triton's own client."""

import json
import re
from queue import Queue

import grpc
import numpy as np
import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from graft_client import Graft
from test_open_inference import files, refused, tensor
from test_services import IMAGES, ROOT, rows
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, service_pb2, service_pb2_grpc

LABELS = ["bag", "boot", "trousers"]
GARMENTS = {"1": "trousers", "8": "bag", "9": "boot"}


def garments(name: str, limit: int) -> list[tuple[np.ndarray, str]]:
    found = rows(ROOT / f"data/fashion-mnist/{name}.csv.gz", limit)
    return [(picture, GARMENTS[label]) for picture, label in found if label in GARMENTS]


def outfits() -> list[tuple[np.ndarray, list[str]]]:
    """Pictures [28, 56] of one garment or two, and every tenth of none."""
    found, examples = garments("train-2000", 900), []
    for index, ((left, one), (right, other)) in enumerate(zip(found, found[1:], strict=False)):
        canvas = np.zeros((28, 56), dtype=np.uint8)
        canvas[index % 28, index // 28] = 1
        if index % 10:
            canvas[:, :28] = left
        if index % 10 and index % 3:
            canvas[:, 28:] = right
        worn = {one, other} if index % 3 else {one}
        examples.append((canvas, sorted(worn) if index % 10 else []))
    return examples


@pytest.fixture(scope="module")
def graft(addresses):
    with Graft(*addresses) as client:
        yield client


@pytest.fixture(scope="module")
def client(addresses):
    with InferenceServerClient(addresses[0]) as client:
        yield client


@pytest.fixture(scope="module")
def head(graft):
    """A head of two versions."""
    graft.import_examples("wardrobe", garments("train-2000", 300), split="train")
    graft.import_examples("wardrobe", garments("test-1000", 100), split="test")
    graft.train("wardrobe", l2=[10.0])
    return graft.train("wardrobe", l2=[1e-4])


@pytest.fixture(scope="module")
def outfit(graft):
    """A head that gives several labels."""
    graft.import_examples("outfits", outfits())
    return graft.train("outfits")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """[n, 28, 28, 1]"""
    return np.stack([picture for picture, _ in garments("test-1000", 40)])[..., None]


def classified(graft, head: str, pictures) -> np.ndarray:
    """The probabilities that Classify gives, [n, classes]."""
    answers = [graft.classify(head, picture, top_k=len(LABELS)).probabilities for picture in pictures]
    return np.array([[answer[label] for label in LABELS] for answer in answers])


def infer(client, made: InferInput, output: str = "probabilities", model: str = "wardrobe", **options) -> np.ndarray:
    return client.infer(model, [made], **options).as_numpy(output)


def same(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def texts(array: np.ndarray) -> list:
    return np.vectorize(bytes.decode, otypes=[object])(array).tolist()


def test_the_server_and_its_heads_describe_themselves(client, head, outfit):
    assert client.is_server_live() and client.is_server_ready()
    server = client.get_server_metadata()
    assert (server.name, list(server.extensions)) == ("graft-trainer", ["classification"])
    for version in ("", "1", "2"):
        assert client.is_model_ready("wardrobe", version)
    assert not client.is_model_ready("wardrobe", "3") and not client.is_model_ready("wardrobe", "x")
    assert not client.is_model_ready("nowhere") and not client.is_model_ready("a/b")
    model = client.get_model_metadata("wardrobe", as_json=True)
    assert (model["name"], model["versions"], model["platform"]) == ("wardrobe", ["2"], "graft_head")
    assert client.get_model_metadata("wardrobe", "1").versions == ["1"]
    shapes = {tensor["name"]: (tensor["datatype"], tensor["shape"]) for tensor in model["inputs"] + model["outputs"]}
    assert shapes == {
        "image": ("BYTES", ["-1"]),
        "embedding": ("FP32", ["-1", "1280"]),
        "probabilities": ("FP32", ["-1", "3"]),
        "label": ("BYTES", ["-1"]),
        "logits": ("FP32", ["-1", "3"]),
    }
    several = client.get_model_metadata("outfits")
    assert [output.name for output in several.outputs] == ["probabilities", "labels", "applies", "logits"]


def properties(client, name: str) -> dict[str, str]:
    """KServe's map, which Triton's stubs do not know. An entry is two texts, as fields 1 and 2: so begins a TensorMetadata."""
    unknown = UnknownFieldSet(client.get_model_metadata(name))
    parse = service_pb2.ModelMetadataResponse.TensorMetadata.FromString
    entries = [parse(field.data) for field in unknown if field.field_number == 6]
    return {entry.name: entry.datatype for entry in entries}


def test_images_and_embeddings_are_classified_as_by_classify(client, graft, head, pictures):
    wanted = classified(graft, "wardrobe", pictures[..., 0])
    found = client.infer("wardrobe", [tensor(pictures, "UINT8")], request_id="seven")
    response = found.get_response()
    assert (response.model_name, response.model_version, response.id) == ("wardrobe", "2", "seven")
    same(found.as_numpy("probabilities"), wanted)
    assert texts(found.as_numpy("label")) == [LABELS[row.argmax()] for row in wanted]
    logits = found.as_numpy("logits")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    same(powers / powers.sum(axis=1, keepdims=True), wanted)

    embeddings = graft.embed(list(pictures[..., 0])).embeddings
    same(infer(client, tensor(embeddings, "FP32", "embedding")), wanted)
    halves = infer(client, tensor(embeddings.astype(np.float16), "FP16", "embedding"))
    np.testing.assert_allclose(halves, wanted, atol=0.02)

    names = ("astronaut.png", "coffee.jpg", "chelsea.png")
    found = infer(client, tensor(files(*names), "BYTES"))
    same(found, classified(graft, "wardrobe", [IMAGES / name for name in names]))
    same(infer(client, tensor(files(*names)[:, None], "BYTES")), found)
    same(infer(client, tensor(pictures[0], "UINT8")), wanted[:1])


def test_a_version_is_the_newest_unless_it_is_named(client, graft, head, pictures):
    made = tensor(pictures, "UINT8")
    first, second = (infer(client, made, model_version=version) for version in ("1", "2"))
    same(first, classified(graft, "wardrobe@1", pictures[..., 0]))
    same(infer(client, made), second)
    assert np.abs(first - second).max() > 0.01
    assert client.infer("wardrobe@1", [made]).get_response().model_version == "1"


def test_outputs_are_those_that_are_wanted(client, head, pictures):
    made = tensor(pictures, "UINT8")
    everything = client.infer("wardrobe", [made])
    wanted = [InferRequestedOutput("label"), InferRequestedOutput("probabilities")]
    some = client.infer("wardrobe", [made], outputs=wanted)
    assert [output.name for output in some.get_response().outputs] == ["label", "probabilities"]
    assert texts(some.as_numpy("label")) == texts(everything.as_numpy("label"))
    same(some.as_numpy("probabilities"), everything.as_numpy("probabilities"))


def test_classes_are_given_as_triton_gives_them(client, head, pictures):
    made = tensor(pictures, "UINT8")
    numbers = client.infer("wardrobe", [made])
    for name in ("probabilities", "logits"):
        for count in (1, 2, 99):
            found = infer(client, made, name, outputs=[InferRequestedOutput(name, class_count=count)])
            assert found.shape == (len(pictures), min(count, len(LABELS)))
            for row, words in zip(numbers.as_numpy(name), texts(found), strict=True):
                parts = [text.split(":") for text in words]
                assert [int(index) for _, index, _ in parts] == np.argsort(-row)[:count].tolist()
                assert all(LABELS[int(index)] == label for _, index, label in parts)
                np.testing.assert_allclose([float(number) for number, _, _ in parts], -np.sort(-row)[:count], atol=1e-4)


def test_a_head_that_gives_several_labels_says_which_apply(client, graft, outfit):
    pictures = [picture for picture, _ in outfits()[:40]]
    answer = client.infer("outfits", [tensor(np.stack(pictures)[..., None], "UINT8")])
    answers = [graft.classify("outfits", picture).predictions for picture in pictures]
    wanted = [[(one.label, one.probability) for one in predictions if one.applies] for predictions in answers]
    found = [json.loads(text) for text in texts(answer.as_numpy("labels"))]
    assert found == [[label for label, _ in labels] for labels in wanted]
    assert {len(labels) for labels in found} >= {0, 1, 2}
    probabilities, applies = answer.as_numpy("probabilities"), answer.as_numpy("applies")
    assert applies.dtype == bool and applies.shape == probabilities.shape == (40, 3)
    for row, flags, labels in zip(probabilities, applies, wanted, strict=True):
        assert {LABELS[column] for column in np.flatnonzero(flags)} == {label for label, _ in labels}
        same(np.array([row[LABELS.index(label)] for label, _ in labels]), np.array([p for _, p in labels]))
    same(1 / (1 + np.exp(-answer.as_numpy("logits"))), probabilities)
    told = properties(client, "outfits")
    assert (json.loads(told["labels"]), told["multi_label"]) == (LABELS, "true")
    assert told["embedding_space"] == outfit.space and "embedding" in told["inputs"]


def test_typed_contents_are_as_good_as_raw_ones(addresses, client, graft, head, pictures):
    embedding = graft.embed([pictures[0, ..., 0]]).embeddings
    with grpc.insecure_channel(addresses[0]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for name, datatype, array, contents in [
            ("image", "BYTES", files("coffee.jpg"), {"bytes_contents": files("coffee.jpg").tolist()}),
            ("image", "UINT8", pictures[:1], {"uint_contents": pictures[0].flatten().tolist()}),
            ("embedding", "FP32", embedding, {"fp32_contents": embedding[0].tolist()}),
        ]:
            made = service_pb2.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=array.shape)
            made.contents.CopyFrom(service_pb2.InferTensorContents(**contents))
            answer = stub.ModelInfer(service_pb2.ModelInferRequest(model_name="wardrobe", inputs=[made]))
            found = np.frombuffer(answer.raw_output_contents[0], dtype="<f4")
            same(found[None], infer(client, tensor(array, datatype, name)))


def test_a_stream_answers_in_order_and_survives_a_bad_request(client, head, pictures):
    answers = Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    bad = tensor(np.array([b"no picture"], dtype=object), "BYTES")
    for index, made in enumerate([tensor(files("coffee.jpg"), "BYTES"), bad, tensor(pictures, "UINT8")]):
        client.async_stream_infer("wardrobe", [made], request_id=str(index))
    (first, _), (_, error), (last, _) = [answers.get(timeout=60) for _ in range(3)]
    client.stop_stream()
    assert first.get_response().id == "0" and last.get_response().id == "2"
    assert last.as_numpy("probabilities").shape == (len(pictures), 3)
    assert "InvalidArgument: inputs.image[0]" in error.message()


def test_the_trainer_says_what_was_wrong(client, head, outfit):
    photo = tensor(files("coffee.jpg"), "BYTES")
    for model, version, code, *words in [
        ("nowhere", "", "NOT_FOUND", "nowhere", "graft heads"),
        ("wardrobe", "3", "NOT_FOUND", "wardrobe@3"),
        ("a/b", "", "INVALID_ARGUMENT", "name", "a/b"),
        ("", "", "INVALID_ARGUMENT", "name"),
        ("x" * 100_000, "", "INVALID_ARGUMENT", "xxx…"),
    ]:
        refused(lambda m=model, v=version: client.get_model_metadata(m, v), code, *words)
        refused(lambda m=model, v=version: infer(client, photo, model=m, model_version=v), code, *words)
    nan = np.zeros((2, 1280), np.float32)
    nan[1, 7] = np.nan
    for made, *words in [
        (tensor(files("coffee.jpg"), "BYTES", "pixels"), "inputs.name", "pixels", "`image` and `embedding`"),
        (tensor(np.zeros((1, 28, 28, 1), np.float32), "FP32"), "inputs.datatype", "FP32", "UINT8"),
        (tensor(np.zeros((1, 28, 28, 4), np.uint8), "UINT8"), "inputs.shape", "[1, 28, 28, 4]", "3 (RGB)"),
        (tensor(np.zeros((257, 1, 1, 1), np.uint8), "UINT8"), "inputs.shape", "257", "256"),
        (tensor(np.zeros((1, 1, 20_000, 1), np.uint8), "UINT8"), "inputs.image[0]", "20000", "16384"),
        (tensor(np.array([*files("coffee.jpg"), b"text"], dtype=object), "BYTES"), "inputs.image[1]", "JPEG"),
        (tensor(np.zeros((1, 1279), np.float32), "FP32", "embedding"), "inputs.shape", "[n, 1280]"),
        (tensor(np.zeros((257, 1280), np.float32), "FP32", "embedding"), "inputs.shape", "257 embeddings"),
        (tensor(np.zeros((1, 1280), np.float64), "FP64", "embedding"), "inputs.datatype", "FP64", "FP16"),
        (tensor(nan, "FP32", "embedding"), "inputs.embedding[1]", "number 7 is NaN"),
        (tensor(np.full((1, 1280), 3e38, np.float32), "FP32", "embedding"), "inputs.embedding[0]", "too large"),
    ]:
        refused(lambda made=made: infer(client, made), "INVALID_ARGUMENT", *words)
    embedding = tensor(np.zeros((1, 1280), np.float32), "FP32", "embedding")
    for call, *words in [
        (lambda: client.infer("wardrobe", [photo, embedding]), "inputs", "2 tensors"),
        (lambda: wanted(client, "wardrobe", "labels"), "`label`"),
        (lambda: wanted(client, "outfits", "label"), "`labels`"),
        (lambda: wanted(client, "wardrobe", "label", class_count=2), "classification", "`label`"),
        (lambda: wanted(client, "wardrobe", "logits", class_count=-1), "classification", "from 1 on"),
        (lambda: wanted(client, "wardrobe", "logits", "logits"), "`logits` is given twice"),
    ]:
        refused(call, "INVALID_ARGUMENT", *words)
    told = {"embedding_space": head.space, "mine": True}
    assert infer(client, embedding, parameters=told).shape == (1, 3)
    told["embedding_space"] = "other@0"
    words = ("other@0", head.space, "wardrobe@2")
    refused(lambda: infer(client, embedding, parameters=told), "FAILED_PRECONDITION", *words)
    told["embedding_space"] = 7
    refused(lambda: infer(client, embedding, parameters=told), "INVALID_ARGUMENT", "parameters.embedding_space")
    shared = InferInput("image", [1], "BYTES").set_shared_memory("region", 9)
    refused(lambda: client.infer("wardrobe", [shared]), "INVALID_ARGUMENT", "shared_memory_region")


def wanted(client, model: str, *names: str, **options):
    photo = tensor(files("coffee.jpg"), "BYTES")
    return client.infer(model, [photo], outputs=[InferRequestedOutput(name, **options) for name in names])


def test_the_example_of_the_readme_runs(addresses, graft, head):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    scope = {}
    for block in (block for block in blocks if "triton" in block):
        block = block.replace("localhost:7400", addresses[0]).replace("localhost:7401", addresses[1])
        exec(block.replace("shoe.jpg", str(IMAGES / "coffee.jpg")).replace('"mine"', '"wardrobe"'), scope)
    assert scope["answer"].as_numpy("label")[0].decode() in LABELS
    assert scope["answer"].as_numpy("probabilities").shape == (1, 3)
