"""Both services, called by a plain gRPC client and by the wrapper."""

import json

import grpc
import numpy as np
import pytest
from graft.v1 import dataset_pb2, dataset_pb2_grpc, extractor_pb2, extractor_pb2_grpc
from graft_client import BadPicture, Graft, GraftError, NotFound, PreconditionFailed, TrainingFailed, Views
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from samples import IMAGENET, IMAGES, REFERENCE, ROOT, rows

TRAINER = {f"graft.v1.{name}Service" for name in ("Dataset", "Training", "Head", "Classifier")}


@pytest.fixture(scope="module")
def graft(addresses):
    with Graft(*addresses) as client:
        yield client


def reference(name: str) -> np.ndarray:
    data = (REFERENCE / "parity.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    start, end = json.loads(data[8 : 8 + length])[name]["data_offsets"]
    return np.frombuffer(data[8 + length + start : 8 + length + end], dtype="<f4")


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("service, expected", [(0, TRAINER), (1, {"graft.v1.ExtractorService"})])
def test_health_and_reflection(addresses, service, expected):
    with grpc.insecure_channel(addresses[service]) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        # grpcio-reflection has stubs of v1alpha alone; v1, which is served, has the same messages under another name.
        ask = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (answer,) = ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        names = {listed.name for listed in answer.list_services_response.service}
        assert expected | {"grpc.health.v1.Health"} <= names


def test_embeddings_are_those_of_the_reference(graft):
    assert [backbone.name for backbone in graft.backbones()] == ["efficientnet-lite0", IMAGENET]
    fashion = [picture for picture, _ in rows(REFERENCE / "fashion8.csv", 8)]
    found = graft.embed([IMAGES / "astronaut.png", (IMAGES / "coffee.jpg").read_bytes(), *fashion], backbone=IMAGENET).embeddings
    assert found.shape == (10, 1280) and found.dtype == np.float32
    assert cosine(found[0], reference("astronaut.embedding")) >= 0.9999
    assert cosine(found[1], reference("coffee.embedding")) >= 0.999
    for index in range(8):
        assert cosine(found[2 + index], reference(f"fashion{index}.embedding")) >= 0.9999
    # A grey picture and the same in three channels are one picture.
    three = np.repeat(fashion[0][:, :, None], 3, axis=2)
    assert cosine(graft.embed([three], backbone=IMAGENET).embeddings[0], found[2]) >= 0.999999
    assert graft.embed([]).embeddings.shape == (0, 1280)


def test_a_classifier_from_rows_to_answers(graft):
    # Trousers, bags and ankle boots: far apart, so that few rows do.
    wanted = {"1", "8", "9"}
    train = [example for example in rows(ROOT / "data/fashion-mnist/train-2000.csv.gz", 300) if example[1] in wanted]
    test = [example for example in rows(ROOT / "data/fashion-mnist/test-1000.csv.gz", 100) if example[1] in wanted]
    imported = graft.import_examples("things", train, split="train")
    assert (imported.stored, imported.already_known, imported.rejected) == (len(train), 0, {})
    imported = graft.import_examples("things", [*test, (b"no picture", "8")], split="test")
    assert imported.stored == len(test) and list(imported.rejected) == [str(len(test))]
    assert "not an image of a known format" in imported.rejected[str(len(test))]
    assert graft.import_examples("things", train, split="train").already_known == len(train)
    with pytest.raises(PreconditionFailed, match="holds embeddings of efficientnet-lite0, not of"):
        graft.import_examples("things", train, backbone=IMAGENET)

    head = graft.train("things")
    assert (head.name, head.version, head.labels) == ("things", 1, sorted(wanted))
    assert head.report.test_count == len(test) and head.report.accuracy >= 0.95

    answers = [graft.classify("things", picture, top_k=3) for picture, _ in test]
    right = sum(answer.label == label for answer, (_, label) in zip(answers, test, strict=True))
    assert right == round(head.report.accuracy * len(test))
    assert all(abs(sum(one.probability for one in answer.predictions) - 1) < 1e-5 for answer in answers)

    graft.train("things", head="things-too")
    picture = test[0][0]
    named = graft.classify_by(picture, ["things", "nowhere", "things-too@1"], top_k=3)
    assert [one.head for one in named] == ["things@1", "nowhere", "things-too@1"]
    labels = [one.label for one in answers[0].predictions]
    assert [one.label for one in named[0].predictions] == labels and "does not exist" in str(named[1].error)
    every = {one.head: one.predictions for one in graft.classify_by(picture, every_head_of="efficientnet-lite0")}
    assert [one.label for one in every["things@1"]] == labels[:1] and "things-too@1" in every


def test_embeddings_go_out_and_a_head_comes_in(graft):
    pictures = rows(ROOT / "data/fashion-mnist/train-2000.csv.gz", 60)
    graft.import_examples("out", pictures, split="train")
    found = graft.embeddings("out")
    assert found.embeddings.shape == (len(found.ids), 1280) and found.embeddings.dtype == np.float32
    assert found.splits == ["train"] * len(found.ids) and graft.embeddings("out", split="test").ids == []
    labels = dict(zip(map(str, range(60)), [label for _, label in pictures], strict=True))
    assert found.labels == [labels[id] for id in found.ids]
    first = int(found.ids[0])
    np.testing.assert_allclose(graft.embed([pictures[first][0]]).embeddings[0], found.embeddings[0], rtol=1e-3, atol=1e-4)

    names = sorted(set(found.labels))
    means = np.stack([found.embeddings[np.array(found.labels) == name].mean(axis=0) for name in names])
    head = graft.import_head("means", {"weight": means}, backbone=found.space, labels=names, note="class means")
    assert (head.version, head.labels, head.origin.note) == (1, names, "class means")
    logits = means @ found.embeddings[0]
    assert graft.classify("means", pictures[first][0]).label == names[int(logits.argmax())]

    copy = graft.import_head("copy", graft.export_head("means"))
    assert (copy.labels, copy.space, copy.origin.exported_as) == (names, found.space, "means@1")
    ours = graft.import_head("each", {"weight": means, "bias": np.zeros(len(names))}, backbone=found.space, labels=names, sigmoid=True)
    assert ours.report.multi_label is not None
    with pytest.raises(GraftError, match="options.labels|weight"):
        graft.import_head("bad", {"weight": means}, backbone=found.space, labels=names[:2])


def test_several_labels_a_picture(graft):
    wanted = {"1": "trousers", "8": "bag", "9": "boot"}
    found = [example for example in rows(ROOT / "data/fashion-mnist/train-2000.csv.gz", 900) if example[1] in wanted]
    # Two garments in opposite corners; every ninth picture has one, and every tenth none.
    examples = []
    for index, ((first, one), (second, other)) in enumerate(zip(found, found[1:], strict=False)):
        canvas = np.zeros((56, 56), dtype=np.uint8)
        labels = {one, other} if index % 9 else {one}
        if index % 10:
            canvas[:28, :28] = first
            canvas[28:, 28:] = second if index % 9 else 0
        else:
            canvas[index % 56, index // 56], labels = 1, set()
        examples.append((canvas, sorted(wanted[label] for label in labels)))
    assert graft.import_examples("pairs", iter(examples)).stored == len(examples)
    with pytest.raises(PreconditionFailed, match="one label a picture"):
        graft.import_examples("things", [(found[0][0], ["1"])])
    head = graft.train("pairs")
    assert head.report.multi_label is not None and head.report.multi_label.micro_f1 > 0.85
    answers = [sorted(graft.classify("pairs", picture).labels) for picture, _ in examples[:40]]
    right = sum(answer == labels for answer, (_, labels) in zip(answers, examples, strict=False))
    assert right >= 32 and any(len(answer) == 2 for answer in answers) and [] in answers


def test_views_are_told_of_and_stay(graft, addresses):
    things = [example for example in rows(ROOT / "data/fashion-mnist/train-2000.csv.gz", 60) if example[1] in {"1", "9"}]
    imported = graft.import_examples("viewed", things, split="train", views=Views(2, ["flip"], seed=3))
    assert imported.stored == len(things)
    with grpc.insecure_channel(addresses[0]) as channel:
        stub = dataset_pb2_grpc.DatasetServiceStub(channel)
        kept = stub.GetDataset(dataset_pb2.GetDatasetRequest(name="viewed")).dataset.augmentation
    assert (kept.views, list(kept.kinds), kept.seed, kept.HasField("brightness")) == (2, [1], 3, False)
    assert graft.import_examples("viewed", things).already_known == len(things)
    with pytest.raises(PreconditionFailed, match="has 2 views"):
        graft.import_examples("viewed", things, views=Views(3))
    with pytest.raises(ValueError, match="flip, crop, colour are accepted"):
        graft.import_examples("viewed", things, views=Views(2, ["blur"]))
    assert graft.train("viewed").report.test_count > 0


def test_the_extractor_says_what_was_wrong(graft, addresses):
    with pytest.raises(BadPicture, match="not an image of a known format") as bad:
        graft.embed([IMAGES / "coffee.jpg", b"no picture"])
    assert (bad.value.index, bad.value.code, bad.value.field) == (1, grpc.StatusCode.INVALID_ARGUMENT, "image.encoded")
    with pytest.raises(ValueError, match="uint8"):
        graft.embed([np.zeros((28, 28))])
    with grpc.insecure_channel(addresses[1]) as channel:
        stub = extractor_pb2_grpc.ExtractorServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetBackbone(extractor_pb2.GetBackboneRequest(name="resnet-9000"))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    assert "resnet-9000" in refused.value.details() and "efficientnet-lite0" in refused.value.details()


def test_the_trainer_says_what_was_wrong(graft, addresses):
    with grpc.insecure_channel(addresses[0]) as channel:
        stub = dataset_pb2_grpc.DatasetServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.CreateDataset(dataset_pb2.CreateDatasetRequest(name="a/b"))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "name" in refused.value.details() and "a/b" in refused.value.details()
    with pytest.raises(NotFound, match="nowhere"):
        graft.classify("nowhere", IMAGES / "coffee.jpg")
    graft.import_examples("lonely", [(IMAGES / "coffee.jpg", "coffee")], split="train")
    with pytest.raises((GraftError, TrainingFailed), match="class"):
        graft.train("lonely")
