"""Datasets as tables of pandas and pyarrow, and embeddings without copies."""

import numpy as np
import pyarrow
import pytest
from graft_client import Graft
from samples import TRAIN, garments, rows


@pytest.fixture(scope="module")
def graft(addresses):
    with Graft(*addresses) as client:
        client.import_examples("tables", [(picture, label) for picture, label in garments(TRAIN, 300)])
        client.import_examples("tables", [(rows(TRAIN, 1)[0][0], None)])
        sets = [(picture, [label, "thing"]) for picture, label in garments(TRAIN, 60)]
        client.import_examples("sets", [*sets, (np.zeros((9, 9), np.uint8), [])])
        yield client


def test_a_dataset_is_a_frame(graft):
    dataset = graft.dataset("tables")
    frame = dataset.to_pandas()
    assert list(frame.columns) == ["id", "hash", "label", "split", "embedding"] and frame.attrs["space"] == dataset.space
    assert len(frame) == dataset.example_count + dataset.unlabelled_count
    assert frame["embedding"][0].shape == (dataset.dimension,) and set(frame["hash"].str.len()) == {64}
    counts = dataset.counts_to_pandas()
    labelled = frame[frame["split"] != "unlabelled"]
    for split in ("train", "validation", "test"):
        assert (labelled[labelled["split"] == split]["label"].value_counts().reindex(counts.index).fillna(0) == counts[split]).all()
    assert frame[frame["split"] == "unlabelled"]["label"].isna().all()
    assert "tables" in dataset._repr_html_() and "tables" in repr(dataset)
    assert len(dataset.to_pandas("train")) == counts["train"].sum()


def test_a_dataset_is_a_table_of_arrow(graft):
    dataset = graft.dataset("tables")
    table = dataset.to_arrow()
    assert table.schema.field("embedding").type == pyarrow.list_(pyarrow.float32(), dataset.dimension)
    assert table.schema.metadata[b"space"].decode() == dataset.space
    whole = graft.embeddings("tables")
    column = table["embedding"].combine_chunks()
    np.testing.assert_array_equal(column.flatten().to_numpy().reshape(len(table), -1), whole.embeddings)
    # The table lies on the same memory.
    assert np.shares_memory(whole.to_arrow()["embedding"].chunk(0).values.to_numpy(), whole.embeddings)
    assert table["label"].to_pylist() == [label or None for label in whole.labels]


def test_labels_of_a_multi_label_dataset_are_lists(graft):
    table = graft.dataset("sets").to_arrow()
    assert table.schema.field("labels").type == pyarrow.list_(pyarrow.string())
    assert [] in table["labels"].to_pylist() and any("thing" in labels for labels in table["labels"].to_pylist())
    assert sorted(map(len, graft.dataset("sets").to_pandas()["labels"]))[0] == 0


def test_batches_of_a_dataset_are_on_the_bytes_of_their_messages(graft):
    whole = graft.embeddings("tables", "train")
    batches = list(graft.embedding_batches("tables", "train"))
    assert [id for batch in batches for id in batch.ids] == whole.ids
    np.testing.assert_array_equal(np.concatenate(batches), np.asarray(whole))
    assert all(not batch.embeddings.flags.writeable and not batch.embeddings.flags.owndata for batch in batches)
    assert whole.embeddings.flags.writeable
