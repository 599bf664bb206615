"""What Ray's and Spark's workers run on each batch, on plain frames. The examples themselves need Ray and Spark, which are large."""

import ast
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pandas
import pytest
from graft_client import Graft, Unavailable
from graft_client.workers import EmbedColumn
from proxies import Line
from samples import IMAGES, TRAIN, folder, garments

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return sorted(folder(tmp_path_factory.mktemp("photos"), garments(TRAIN, 100)).glob("*/*.png"))


@pytest.fixture(scope="module")
def truth(addresses, paths):
    with Graft(*addresses) as graft:
        return graft.embed(paths).embeddings


def test_a_frame_and_a_dict_get_their_embeddings(addresses, paths, truth):
    frame = pandas.DataFrame({"path": map(str, paths), "n": range(len(paths))}, index=range(7, 7 + len(paths)))
    done = EmbedColumn("path", [addresses[1]])(frame)
    assert list(done.columns) == ["path", "n", "embedding", "embedding_error"] and list(done.index) == list(frame.index)
    np.testing.assert_array_equal(np.stack(done["embedding"]), truth)
    assert done["embedding_error"].isna().all() and "embedding" not in frame.columns
    batch = {"bytes": np.array([path.read_bytes() for path in paths], dtype=object)}
    found = EmbedColumn("bytes", [addresses[1]], to="vector")(batch)
    np.testing.assert_array_equal(found["vector"], truth)
    assert found["vector"].dtype == np.float32 and set(found["vector_error"]) == {None}


def test_what_cannot_be_embedded_is_told_in_its_row(addresses, paths, truth):
    frame = pandas.DataFrame({"bytes": [paths[0].read_bytes(), b"no picture", paths[1].read_bytes()]})
    (done,) = EmbedColumn("bytes", [addresses[1]]).partitions([frame])
    assert done["embedding"][1] is None and "known format" in done["embedding_error"][1]
    assert done["embedding"][0] == truth[0].tolist() and isinstance(done["embedding"][2], list)
    assert done["embedding_error"].isna().tolist() == [True, False, True]
    mixed = EmbedColumn("bytes", [addresses[1]])({"bytes": list(frame["bytes"])})["embedding"]
    assert mixed.dtype == np.float32 and np.isnan(mixed).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(EmbedColumn("bytes", [addresses[1]])({"bytes": [b"x"]})["embedding"]).shape == mixed[:1].shape
    empty = EmbedColumn("bytes", [addresses[1]])(frame[:0])
    assert len(empty) == 0 and "embedding" in empty.columns


def test_a_lost_extractor_is_left_for_another(addresses, paths, truth):
    lost = Line(addresses[1])
    lost.close()
    frame = pandas.DataFrame({"path": [str(path) for path in paths]})
    for order in ([lost.address, addresses[1]], [addresses[1], lost.address]):
        done = EmbedColumn("path", order)(frame)
        np.testing.assert_array_equal(np.stack(done["embedding"]), truth)
    with pytest.raises(Unavailable):
        EmbedColumn("path", [lost.address])(frame)


def test_each_process_has_a_client_of_its_own(addresses, paths, truth):
    embed = EmbedColumn("path", [addresses[1]])
    frame = pandas.DataFrame({"path": [str(path) for path in paths]})
    embed(frame)
    assert pickle.loads(pickle.dumps(embed))._client is None
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        done = pool.map(embed, [frame[:8], frame[8:16]])
    np.testing.assert_array_equal(np.stack(pandas.concat(done)["embedding"]), truth[:16])


@pytest.mark.parametrize("name, made", [("ray_embed", "fn_constructor"), ("spark_embed", "embed.partitions")])
def test_the_examples_use_what_is_tested_here(name, made):
    text = (EXAMPLES / f"{name}.py").read_text()
    ast.parse(text)
    assert "from graft_client.workers import EmbedColumn" in text and made in text and IMAGES.is_dir()
