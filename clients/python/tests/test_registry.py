"""Versions, runs, datasets and feedback, against real services."""

import os

import numpy as np
import pytest
from graft_client import (
    Aborted,
    AlreadyExists,
    Embedding,
    Example,
    GraftError,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    TrainingFailed,
)
from PIL import Image
from samples import IMAGES, NAMES, TEST, TRAIN, garments


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
    plain = graft.train("clothes", "plain", label_errors=False, learning_curve=False, progress=False).report.proto
    full = graft.train("clothes", "full", label_errors=True, learning_curve=True, progress=False).report.proto
    assert not plain.HasField("label_errors") and not plain.HasField("learning_curve")
    assert full.HasField("label_errors") and full.HasField("learning_curve")
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


def test_heads_and_backbones_go_out_as_files(graft, head, tmp_path):
    file = graft.export_head(head, tmp_path / "clothes.safetensors")
    assert (tmp_path / "clothes.safetensors").read_bytes() == file
    copy = graft.import_head("copied", tmp_path / "clothes.safetensors", note="a copy")
    assert copy.labels == head.labels and copy.origin.exported_as == "clothes@1" and copy.origin.note == "a copy"
    picture = garments(TEST, 60)[0][0]
    assert graft.classify(copy, picture).probabilities == pytest.approx(graft.classify(head, picture).probabilities, abs=1e-5)
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
