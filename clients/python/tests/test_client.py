"""What people do with the client: a folder to a classifier, and everything around it, against real services."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from graft_client import (
    Answer,
    BadPicture,
    Embedding,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    TrainingFailed,
)
from PIL import Image
from samples import IMAGES, NAMES, TEST, TRAIN, folder, garments


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
    with pytest.raises(ValueError, match="1 or 3 channels.*many pictures are"):
        graft.classify(head, np.zeros((4, 28, 28), np.uint8))
    np.testing.assert_array_equal(graft.embed(path).embeddings, embedded.embeddings)
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


def test_errors_pickle_and_say_where(graft):
    with pytest.raises(NotFound) as found:
        graft.head("nobody@7")
    assert found.value.resource[0] == "head" and "nobody" in found.value.resource[1]
    with pytest.raises(PreconditionFailed) as refused:
        graft.create_dataset("views-none", views=None) and graft.train("views-none", progress=False)
    assert refused.value.violations
    copy = pickle.loads(pickle.dumps(found.value))
    assert (type(copy), str(copy), copy.address) == (NotFound, str(found.value), found.value.address)
    assert isinstance(copy, LookupError) and copy.address.startswith("http://127.0.0.1")


def test_threads_share_a_client(graft, head, test_pictures):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda pair: graft.classify(head, pair[0]).label, test_pictures))
        many = list(pool.map(lambda _: len(graft.embed([picture for picture, _ in test_pictures])), range(8)))
    assert answers == [answer.label for answer in graft.classify(head, [picture for picture, _ in test_pictures])]
    assert many == [len(test_pictures)] * 8


def test_what_is_not_installed_is_named(addresses, head):
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
