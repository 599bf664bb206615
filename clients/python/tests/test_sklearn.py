"""`GraftEmbedder` is a transformer as scikit-learn wants them, and works on pictures."""

import pickle
from pathlib import Path

import numpy as np
import pandas
import pytest
from graft_client import BadPicture, Graft, PreconditionFailed
from graft_client.sklearn import GraftEmbedder
from PIL import Image
from samples import IMAGENET, IMAGES, TEST, TRAIN, folder, garments, rows
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator


@pytest.fixture(scope="module")
def pictures():
    return np.stack([picture for picture, _ in rows(TRAIN, 40)])


@pytest.fixture(scope="module")
def embeddings(addresses, pictures):
    with Graft(*addresses) as graft:
        return graft.embed(list(pictures)).embeddings


def test_it_is_as_scikit_learn_wants_it(addresses):
    # The checks bring rows of any numbers: each is a picture of one pixel row here.
    embedder = GraftEmbedder(addresses[1], shape=(1, -1), value_range=(-110, 110))
    # None is expected to fail.
    results = check_estimator(embedder, on_skip=None)
    done = {result["check_name"] for result in results if result["status"] == "passed"}
    assert len(done) > 30 and {"check_transformer_general", "check_estimators_pickle", "check_n_features_in"} <= done
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}


def test_every_form_of_pictures_is_taken(addresses, pictures, embeddings, tmp_path):
    embedder = GraftEmbedder(addresses[1])
    paths = []
    for index, picture in enumerate(pictures[:6]):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(picture).save(paths[-1])
    forms = [
        pictures[:6],
        pictures[:6, ..., None],
        list(pictures[:6]),
        paths,
        [str(path) for path in paths],
        np.array([str(path) for path in paths]),
        pandas.Series([str(path) for path in paths]),
        pandas.DataFrame({"path": [str(path) for path in paths]}),
        np.array([[path] for path in paths], dtype=object),
        [path.read_bytes() for path in paths],
        [Image.open(path) for path in paths],
        pictures[:6] / 255,
    ]
    for form in forms[:-1]:
        np.testing.assert_array_equal(embedder.fit_transform(form), embeddings[:6])
    scaled = clone(embedder).set_params(value_range=(0, 1))
    np.testing.assert_array_equal(scaled.fit_transform(forms[-1]), embeddings[:6])
    flat = GraftEmbedder(addresses[1], shape=(28, 28))
    table = pictures[:6].reshape(6, -1)
    for numbers in (table, table.astype(np.float64), table.tolist(), pandas.DataFrame(table)):
        np.testing.assert_array_equal(flat.fit_transform(numbers), embeddings[:6])
    colour = GraftEmbedder(addresses[1], shape=(28, 28, 3))
    np.testing.assert_allclose(colour.fit_transform(np.repeat(table, 3, axis=1)), embeddings[:6], rtol=1e-3, atol=1e-4)


def test_what_is_no_picture_is_refused(addresses, pictures):
    embedder = GraftEmbedder(addresses[1])
    table = pictures.reshape(len(pictures), -1)
    for wrong, words in [
        (table, "shape="),
        (pictures.astype(float) - 300, "value_range"),
        ("one.png", "a list of pictures"),
    ]:
        with pytest.raises(ValueError, match=words):
            embedder.fit(wrong)
    with pytest.raises(ValueError, match="no pictures of shape"):
        GraftEmbedder(addresses[1], shape=(28, 27)).fit(table)
    with pytest.raises(NotFittedError):
        embedder.transform(pictures)
    with pytest.raises(BadPicture, match="picture 1"):
        embedder.fit(pictures).transform([IMAGES / "coffee.jpg", b"no picture"])


def test_it_keeps_to_the_space_that_it_was_fitted_in(addresses, pictures):
    embedder = GraftEmbedder(addresses[1], IMAGENET).fit(pictures)
    names = embedder.get_feature_names_out()
    assert embedder.space_.startswith(f"{IMAGENET}@") and len(names) == 1280 and names[0] == "graftembedder0"
    copy = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(copy.transform(pictures[:2]), embedder.transform(pictures[:2]))
    assert not hasattr(clone(embedder), "space_")
    frame = clone(embedder).set_output(transform="pandas").fit_transform(pictures[:2])
    assert list(frame.columns) == list(names)
    copy.space_ = embedder.space_[:-1] + ("0" if embedder.space_[-1] != "0" else "1")
    with pytest.raises((PreconditionFailed, LookupError)):
        copy.transform(pictures[:2])


def test_a_pipeline_learns(addresses):
    train, test = garments(TRAIN, 300), garments(TEST, 100)
    pipeline = make_pipeline(GraftEmbedder(addresses[1], shape=(28, 28)), LogisticRegression(max_iter=300))
    flat = [np.stack([picture for picture, _ in part]).reshape(len(part), -1) for part in (train, test)]
    pipeline.fit(flat[0], [label for _, label in train])
    assert pipeline.score(flat[1], [label for _, label in test]) > 0.9


def test_the_example_runs(addresses, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "examples")
    from sklearn_pipeline import main

    photos = folder(tmp_path, garments(TRAIN, 120))
    assert main(str(photos), *addresses) == min(path.name for path in photos.iterdir())
    assert "accuracy" in capsys.readouterr().out
