"""What people do with the client: a folder to a classifier, and everything around it, against real services."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from graft_client import (
    Aborted,
    AlreadyExists,
    Answer,
    BadPicture,
    Embedding,
    Example,
    Graft,
    GraftError,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    TrainingFailed,
)
from PIL import Image
from samples import IMAGES, NAMES, TEST, TRAIN, folder, garments


@pytest.fixture(scope="module")
def graft(addresses):
    with Graft(*addresses) as client:
        yield client


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("photos"), garments(TRAIN, 900))


@pytest.fixture(scope="module")
def head(graft, photos):
    return graft.train(photos, "clothes", dataset="clothes", progress=False)


@pytest.fixture(scope="module")
def test_pictures():
    return garments(TEST, 60)


def test_a_folder_becomes_a_head_with_its_report(graft, photos, head, capfd):
    assert (head.id, head.labels, head.dataset) == ("clothes@1", sorted(NAMES.values()), "clothes")
    report = head.report
    assert report.accuracy > 0.9 and report.test_count > 0 and report.accuracy_interval[0] <= report.accuracy
    assert report.confusion.sum() == report.test_count == int(report.to_pandas()["support"].sum())
    assert list(head.to_pandas().index) == head.labels and report.confusion_to_pandas().shape == (3, 3)
    assert set(report.mistakes_to_pandas().columns) > {"id", "label", "predicted"}
    assert "suggested" in report.label_errors_to_pandas().columns
    page = head._repr_html_()
    assert "clothes@1" in page and all(label in page for label in head.labels) and "accuracy" in page
    assert pickle.loads(pickle.dumps(head)) == head and "clothes@1" in repr(head)
    # Again: nothing is embedded a second time, and the same head is fitted.
    again = graft.train(f"{photos}/", dataset="clothes", progress=True)
    assert again.version == 2 and again.report.accuracy == report.accuracy
    assert "train clothes" in capfd.readouterr().err
    assert graft.import_folder(photos, "clothes", progress=False).already_known == len(list(photos.glob("*/*.png")))


def test_a_folder_says_splits_and_what_it_lacks(graft, tmp_path):
    some = garments(TRAIN, 120)
    folder(tmp_path / "split" / "train", some[:12])
    folder(tmp_path / "split" / "val", some[12:15])
    (tmp_path / "split" / "train" / "bag" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "split" / "train" / "bag" / "broken.png").write_bytes(b"no picture")
    imported = graft.import_folder(tmp_path / "split", progress=False)
    assert imported.stored == 15 and list(imported.rejected) == ["train/bag/broken.png"]
    splits = {one.id.split("/")[0]: one.split for one in graft.examples("split")}
    assert splits == {"train": 1, "val": 2}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="a sub-folder a class"):
        graft.train(tmp_path / "empty")
    with pytest.raises(NotADirectoryError):
        graft.train("no/such/folder")
    (tmp_path / "bad" / "class").mkdir(parents=True)
    (tmp_path / "bad" / "class" / "x.png").write_bytes(b"no picture")
    with pytest.raises(TrainingFailed, match="class/x.png.*known format"):
        graft.train(tmp_path / "bad", progress=False)


def test_one_picture_in_every_form_has_one_answer(graft, head, tmp_path, test_pictures):
    pixels = test_pictures[0][0]
    path = tmp_path / "one.png"
    Image.fromarray(pixels).save(path)
    embedded = graft.embed([pixels])
    forms = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), pixels, pixels[..., None]]
    forms += [np.repeat(pixels[..., None], 3, axis=2), Image.open(path), Image.open(path).convert("RGBA")]
    forms += [Embedding(embedded.space, embedded.embeddings[0])]
    answers = [graft.classify(head, form, top_k=3) for form in forms]
    for answer in answers:
        assert isinstance(answer, Answer) and answer and answer.head == "clothes@1"
        assert answer.label == answers[0].label and answer.probability == pytest.approx(answers[0].probability, abs=1e-3)
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert answers[0].label in answers[0]._repr_html_()
    with pytest.raises(InvalidArgument) as bad:
        graft.classify(head, b"no picture")
    assert bad.value.field and "known format" in str(bad.value)


def test_a_turned_photo_is_turned_by_pillow_too(graft):
    encoded = (IMAGES.parents[2] / "../services/extractor/tests/corpus/jpeg-turned-6.jpg").resolve()
    there, here = graft.embed([encoded, Image.open(encoded)]).embeddings
    assert there @ here / np.linalg.norm(there) / np.linalg.norm(here) > 0.99


def test_many_are_streamed_in_their_order(graft, head, test_pictures):
    pictures = [picture for picture, _ in test_pictures]
    answers = graft.classify(head, pictures)
    assert [answer.label for answer in answers] == [graft.classify(head, picture).label for picture in pictures]
    right = sum(answer.label == label for answer, (_, label) in zip(answers, test_pictures, strict=True))
    assert right >= 0.8 * len(pictures)
    block = np.stack(pictures)[..., None]
    assert [answer.label for answer in graft.classify("clothes@1", block)] == [answer.label for answer in answers]
    mixed = list(graft.classify_stream(head, iter([pictures[0], b"no picture", pictures[1]])))
    assert [bool(answer) for answer in mixed] == [True, False, True]
    assert isinstance(mixed[1].error, BadPicture) and mixed[1].error.index == 1
    assert graft.classify(head, []) == []
    unknown = graft.classify(head, np.zeros((28, 28), np.uint8), detect_unknown=True)
    assert unknown.unknown == (unknown.probability < head.report.proto.unknown.threshold)


def test_many_heads_answer_at_once(graft, head, test_pictures):
    picture = test_pictures[0][0]
    named = graft.classify_by(picture, [head, "nowhere"], top_k=2)
    assert [one.head for one in named] == ["clothes@1", "nowhere"] and len(named[0].predictions) == 2
    assert not named[1] and "does not exist" in str(named[1].error)
    every = graft.classify_by(picture, every_head_of="efficientnet-lite0")
    assert any(one.head.startswith("clothes@") for one in every)
    streamed = list(graft.classify_stream_by([picture, b"bad"], ["clothes@1"]))
    assert streamed[0][0].label == named[0].label and streamed[1][0].error is not None
    with pytest.raises(ValueError, match="every_head_of"):
        graft.classify_by(picture, ["clothes"], alias="production")


def test_versions_are_promoted_compared_and_rolled_back(graft, head):
    second = graft.train("clothes", l2=[1000.0], kind="softmax", progress=False)
    assert second.version >= 2
    first = graft.promote(head, by="tests")
    assert first.alias.version == 1 and graft.classify("clothes@production", IMAGES / "coffee.jpg").head == "clothes@1"
    promoted = graft.promote(second, tolerance=1.0, expected_version=1)
    assert promoted.gate.tolerance == 1.0 and promoted.alias.version == second.version
    with pytest.raises(Aborted):
        graft.promote(head, expected_version=99)
    assert graft.rollback("clothes").alias.version == 1
    assert [one.name for one in graft.aliases("clothes")] == ["production"]
    assert [one.to_version for one in graft.promotions(head)] == [1, second.version, 1]
    split = graft.split_traffic(head, canary=second.version, percent=50, shadow=second.version)
    assert (split.canary.version, split.shadow_version) == (second.version, second.version)
    graft.classify("clothes@production", IMAGES / "coffee.jpg", sticky_key="user-1")
    assert graft.traffic("clothes").versions
    with pytest.raises(GraftError, match="alias|production"):
        graft.delete_head(head)
    compared = graft.diff(head, second)
    assert 0 <= compared.p_value <= 1 and compared.accuracies[0] == head.report.accuracy
    assert list(compared.to_pandas().index) == head.labels and "clothes@1" in compared._repr_html_()
    assert "first" in compared.disagreements_to_pandas().columns and "clothes@1" in str(compared)
    assert graft.delete_alias(head, "production").to_version == 0
    assert "clothes" in [one.name for one in graft.heads()] and graft.head("clothes@1") == graft.head(head)
    graft.delete_head(second)
    with pytest.raises(NotFound):
        graft.head(second)


def test_corrections_and_suggestions(graft, head, tmp_path):
    more = garments(TRAIN, 1000)[-12:]
    wrong, path = more[0][0], tmp_path / "wrong.png"
    Image.fromarray(wrong).save(path)
    answer = graft.classify(head, path)
    corrected = graft.correct(answer, path, "boot")
    assert (corrected.dataset, list(corrected.example.labels), corrected.head) == ("clothes", ["boot"], "clothes@1")
    assert graft.correct(head, wrong[::-1].copy(), "bag").example.id.startswith("correction-")
    kept = graft.corrections("clothes")
    assert len(kept) == 2 and list(kept[1].predicted) == [answer.label]
    waiting = [Example(picture, None, f"waiting-{index}") for index, (picture, _) in enumerate(more[1:])]
    assert graft.import_examples("clothes", waiting).stored == len(waiting)
    found = graft.suggest("clothes", head, count=3)
    assert len(found) == 3 and found[0].margin <= found[2].margin and found[0].id in found[0]._repr_html_()
    assert graft.relabel("clothes", {found[0].id: "bag", "nobody": "bag"}).keys() == {"nobody"}
    assert [one.id for one in graft.examples("clothes", label="bag") if one.id == found[0].id] == [found[0].id]
    assert graft.remove_examples("clothes", [found[1].hash, "nobody"]).keys() == {"nobody"}
    assert graft.dataset("clothes").unlabelled_count == len(waiting) - 2


def test_runs_are_watched_and_cancelled(graft, head):
    run = graft.start_training("clothes", "watched", kind="auto", seed=3)
    states = [now.state for now in graft.watch(run)]
    assert states[-1] == "succeeded" and graft.run(run.id).head == "watched@1"
    assert graft.cancel(run).state == "succeeded" and graft.wait(run.id, progress=False).ended
    assert run.id in [one.id for one in graft.runs("clothes")] and graft.runs("nowhere") == []
    stopped = graft.cancel(graft.start_training("clothes", "stopped", kind="auto", max_iterations=10_000, l2=[1e-6, 1e-5]))
    last = list(graft.watch(stopped))[-1]
    assert last.state in ("cancelled", "succeeded")
    if last.state == "cancelled":
        with pytest.raises(TrainingFailed, match="cancelled"):
            graft.wait(stopped, progress=False)
    with pytest.raises(ValueError, match="auto, softmax"):
        graft.train("clothes", kind="forest", progress=False)
    with pytest.raises(InvalidArgument) as refused:
        graft.train("clothes", l2=[-1.0], progress=False)
    assert "l2" in refused.value.field and refused.value.field in refused.value.violations


def test_datasets_and_their_snapshots(graft, tmp_path):
    made = graft.create_dataset("plain")
    assert made.example_count == 0 and made.create_time.tzinfo is not None
    with pytest.raises(AlreadyExists):
        graft.create_dataset("plain")
    graft.import_examples("plain", garments(TRAIN, 40), "train")
    before = graft.create_snapshot("plain")
    assert graft.create_snapshot("plain").id == before.id and graft.snapshot("plain", before.id) == before
    graft.remove_examples("plain", [next(graft.examples("plain")).hash])
    assert len(graft.embeddings("plain")) == before.example_count - 1
    assert len(graft.dataset("plain").embeddings(snapshot=before.id)) == before.example_count
    assert [one.id for one in graft.snapshots("plain")] == [before.id]
    assert graft.dataset_stats("plain").splits.train == before.example_count - 1
    assert "plain" in [one.name for one in graft.datasets()] and graft.dataset("plain").classes == sorted(NAMES.values())
    assert graft.dataset("plain").stats().dataset.name == "plain"
    graft.delete_dataset("plain")
    with pytest.raises(NotFound, match="plain"):
        graft.dataset("plain")
    assert graft.collect_garbage(dry_run=True).embedding_count >= 0
    with pytest.raises(PreconditionFailed, match="not of resnet"):
        graft.import_examples("clothes", garments(TRAIN, 20), backbone="resnet")


def test_heads_and_backbones_go_out_as_files(graft, head, tmp_path, test_pictures):
    file = graft.export_head(head, tmp_path / "clothes.safetensors")
    assert (tmp_path / "clothes.safetensors").read_bytes() == file
    copy = graft.import_head("copied", tmp_path / "clothes.safetensors", note="a copy")
    assert copy.labels == head.labels and copy.origin.exported_as == "clothes@1" and copy.origin.note == "a copy"
    picture = test_pictures[0][0]
    assert graft.classify(copy, picture).predictions == graft.classify(head, picture).predictions
    model = graft.export_backbone(tmp_path / "backbone.onnx")
    assert (tmp_path / "backbone.onnx").stat().st_size == model.size and os.listdir(tmp_path).count("backbone.onnx.part") == 0
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "backbone.onnx")
    assert [one.name for one in session.get_inputs()] == [model.input]
    with pytest.raises(NotFound):
        graft.export_backbone(tmp_path / "none.onnx", "resnet-9000")
    assert not list(tmp_path.glob("none*")) and graft.backbone().default


@pytest.mark.parametrize("classes", [2, 3])
def test_a_classifier_of_scikit_learn_is_served(graft, head, classes):
    from sklearn.linear_model import LogisticRegression

    table = graft.embeddings("clothes", "train")
    wanted = np.isin(table.labels, sorted(NAMES.values())[:classes])
    rows, labels = table.embeddings[wanted], np.array(table.labels)[wanted]
    model = LogisticRegression(max_iter=300).fit(rows, labels)
    served = graft.import_head(f"sklearn-{classes}", model, space=table.space)
    answers = graft.classify(served, [Embedding(table.space, row) for row in rows[:20]], top_k=classes)
    assert [answer.label for answer in answers] == list(model.predict(rows[:20]))
    chances = [[answer.probabilities[label] for label in model.classes_] for answer in answers]
    np.testing.assert_allclose(chances, model.predict_proba(rows[:20]), atol=1e-3)


def test_errors_pickle_and_say_where(graft):
    with pytest.raises(NotFound) as found:
        graft.head("nobody@7")
    copy = pickle.loads(pickle.dumps(found.value))
    assert (type(copy), str(copy), copy.address) == (NotFound, str(found.value), found.value.address)
    assert isinstance(copy, LookupError) and copy.address.startswith("http://127.0.0.1")


def test_what_is_not_installed_is_named(addresses):
    code = """
import sys
for name in ("pandas", "pyarrow", "sklearn", "tqdm", "PIL"):
    sys.modules[name] = None
from graft_client import Graft
graft = Graft(*sys.argv[1:])
table = graft.embeddings("clothes")
graft.train("clothes", "quiet", progress=True)
for call in (table.to_pandas, table.to_arrow, graft.head("quiet").to_pandas, lambda: __import__("graft_client.sklearn")):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    source = os.path.join(os.path.dirname(os.path.dirname(__file__)), "src")
    done = subprocess.run(
        [sys.executable, "-c", code, *addresses], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source}
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("'")[1] for line in lines] == [f"graft-client[{extra}]" for extra in ("pandas", "arrow", "pandas", "sklearn")]
    assert "train clothes: succeeded" in done.stderr
