"""Streams: bounded, in order where that is said, and resumed when they are lost."""

import asyncio
import threading
from itertools import count

import numpy as np
import pytest
from graft_client import AsyncGraft, BadPicture, Graft, InvalidArgument, NotFound, Retry, Views, group, outbox
from proxies import Line
from samples import TEST, TRAIN, garments, rows


@pytest.fixture(scope="module")
def pictures():
    return [picture for picture, _ in rows(TRAIN, 300)]


@pytest.fixture(scope="module")
def truth(graft, pictures):
    return graft.embed(pictures).embeddings


def test_batches_are_whole_and_on_the_bytes_of_their_messages(graft, pictures, truth):
    batches = list(graft.embed_batches(iter(pictures)))
    indices = np.concatenate([batch.indices for batch in batches])
    assert sorted(indices) == list(range(len(pictures)))
    np.testing.assert_array_equal(np.concatenate(batches)[np.argsort(indices)], truth)
    assert all(not batch.embeddings.flags.owndata and not batch.embeddings.flags.writeable for batch in batches)
    half = np.concatenate([batch.embeddings for batch in graft.embed_batches(pictures[:8], half=True)])
    assert half.dtype == np.float16 and half.shape == (8, truth.shape[1])


def test_no_more_is_read_than_there_is_room_for(graft, pictures, monkeypatch):
    monkeypatch.setattr(outbox, "WINDOW_ITEMS", 32)
    taken = 0

    def endless():
        nonlocal taken
        for index in count():
            taken = index + 1
            yield pictures[index % len(pictures)]

    got = 0
    batches = graft.embed_batches(endless())
    for batch in batches:
        got += len(batch)
        # The window, and the message that is being filled.
        assert taken - got <= 32 + group.MESSAGE_ITEMS
        if got >= 200:
            break
    batches.close()
    before = taken
    threading.Event().wait(0.3)
    assert taken == before, "a stream that was given up reads nothing more"


def test_bytes_on_their_way_are_bounded_too(graft, pictures, monkeypatch):
    monkeypatch.setattr(outbox, "WINDOW_BYTES", 10_000)
    monkeypatch.setattr(group, "MESSAGE_BYTES", 1_000)
    taken = got = 0

    def counted():
        nonlocal taken
        for picture in pictures:
            taken += 1
            yield picture

    for batch in graft.embed_batches(counted()):
        got += len(batch)
        # Each has 784 bytes and a little more.
        assert taken - got <= 15
    assert got == len(pictures)


def test_views_come_with_their_pictures(graft, pictures, truth, lines, monkeypatch):
    monkeypatch.setattr(group, "MESSAGE_ITEMS", 8)
    views = Views(2, ["flip"], seed=1)
    with Graft(None, lines[1].address, retry=Retry(attempts=8)) as other:
        batches = list(other.embed_batches(cutting(pictures[:60], lines[1], 20), views=views))
    keys = [(index, view) for batch in batches for index, view in zip(batch.indices, batch.views, strict=True)]
    assert sorted(keys) == [(index, view) for index in range(60) for view in range(3)]
    plain = {key: row for key, row in zip(keys, np.concatenate(batches), strict=True) if key[1] == 0}
    np.testing.assert_array_equal([plain[index, 0] for index in range(60)], truth[:60])
    table = graft.embed(pictures[:3])
    assert table.to_pandas().shape == (3, 1280) and table.to_arrow()["embedding"].type.list_size == 1280


def test_an_error_of_the_source_is_the_callers(graft, pictures):
    def broken():
        yield from pictures[:5]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        graft.embed(broken())
    with pytest.raises(FileNotFoundError):
        graft.embed(["nowhere.png"])
    with pytest.raises(TypeError, match="int is no picture"):
        graft.embed([1])


def test_bad_pictures_are_raised_or_kept(graft, pictures):
    mixed = [pictures[0], b"no picture", pictures[1]]
    with pytest.raises(BadPicture, match="picture 1: .*not an image of a known format") as bad:
        graft.embed(mixed)
    assert (bad.value.index, bad.value.id, bad.value.field) == (1, "", "image.encoded")
    found = graft.embed(mixed, on_error="keep")
    assert found.ids == ["0", "2"] and list(found.indices) == [0, 2] and found.embeddings.shape[0] == 2
    assert [failure.index for failure in found.failures] == [1]
    with pytest.raises(ValueError, match="raise or keep"):
        graft.embed(mixed, on_error="ignore")
    with pytest.raises(NotFound, match="resnet-9000"):
        graft.embed(pictures[:1], "resnet-9000")


def test_what_cannot_be_read_or_is_too_large_is_one_picture_among_others(graft, pictures, tmp_path):
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate((16 << 20) + 1)
    mixed = [pictures[0], "nowhere.png", large, bytes((16 << 20) + 1), pictures[1]]
    found = graft.embed(mixed, on_error="keep")
    assert list(found.indices) == [0, 4] and [failure.id for failure in found.failures] == ["nowhere.png", str(large), ""]
    assert "No such file" in str(found.failures[0]) and "at most 16777216" in str(found.failures[1])
    with pytest.raises(ValueError, match="at most 16777216"):
        graft.embed([large])
    imported = graft.import_examples("unreadable", [(picture, "a") for picture in mixed], "train")
    assert imported.stored == 2 and list(imported.rejected) == ["nowhere.png", str(large), "3"]
    graft.import_examples("unreadable", [(picture, "b") for picture in pictures[2:4]], "train")
    head = graft.train("unreadable", kind="prototype", progress=False)
    answers = graft.classify(head, mixed)
    assert [bool(answer) for answer in answers] == [True, False, False, False, True]
    assert answers[1].error.index == 1 and answers[1].head == head.id
    nothing = graft.embed(["nowhere.png"] * 3000, on_error="keep")
    assert len(nothing) == 0 and len(nothing.failures) == 3000 and nothing.embeddings.shape == (0, 1280)


@pytest.fixture
def lines(addresses):
    made = [Line(address) for address in addresses]
    yield made
    for line in made:
        line.close()


def cutting(pictures, line, every):
    for index, picture in enumerate(pictures):
        if index and index % every == 0:
            line.cut()
        yield picture


def test_a_lost_stream_of_embeddings_goes_on(lines, pictures, truth, monkeypatch):
    monkeypatch.setattr(group, "MESSAGE_ITEMS", 8)
    with Graft(None, lines[1].address, retry=Retry(attempts=8)) as graft:
        found = graft.embed(cutting(pictures, lines[1], 100))
    assert lines[1].connections >= 3
    np.testing.assert_array_equal(found.embeddings, truth)


def test_a_service_that_is_started_again_is_waited_for(lines, pictures, truth, monkeypatch):
    monkeypatch.setattr(group, "MESSAGE_ITEMS", 8)
    monkeypatch.setattr(outbox, "WINDOW_ITEMS", 32)

    def restarting():
        for index, picture in enumerate(pictures[:100]):
            if index == 80:
                lines[1].down()
                threading.Timer(2.0, lines[1].up).start()
            yield picture

    # Longer than calls are tried.
    with Graft(None, lines[1].address, retry=Retry(attempts=2)) as graft:
        found = graft.embed(restarting())
    np.testing.assert_array_equal(found.embeddings, truth[:100])


def test_a_lost_stream_of_an_event_loop_goes_on(lines, pictures, truth, monkeypatch):
    monkeypatch.setattr(group, "MESSAGE_ITEMS", 8)

    async def slow():
        for index, picture in enumerate(pictures):
            if index in (100, 200):
                lines[1].cut()
            if index % 16 == 0:
                await asyncio.sleep(0.001)
            yield picture

    async def embed():
        async with AsyncGraft(None, lines[1].address, retry=Retry(attempts=8)) as graft:
            return await graft.embed(slow())

    found = asyncio.run(embed())
    assert lines[1].connections >= 3
    np.testing.assert_array_equal(found.embeddings, truth)


def test_a_lost_import_and_a_lost_classification_go_on(lines, monkeypatch):
    train, test = garments(TRAIN, 300), garments(TEST, 150)
    monkeypatch.setattr(group, "MESSAGE_ITEMS", 8)
    with Graft(lines[0].address, lines[1].address, retry=Retry(attempts=8)) as graft:
        imported = graft.import_examples("cut", cutting(train, lines[0], 30), split="train")
        assert imported.stored + imported.already_known == len(train) and not imported.rejected
        assert graft.dataset("cut").example_count == len(train)
        head = graft.train("cut", progress=False)
        before = lines[0].connections
        answers = list(graft.classify_stream(head, cutting([picture for picture, _ in test], lines[0], 20)))
        assert lines[0].connections > before
        straight = [graft.classify(head, picture) for picture, _ in test]
        assert [answer.label for answer in answers] == [answer.label for answer in straight]


def test_a_service_that_stays_away_is_given_up(lines, pictures):
    lines[1].close()
    with Graft(None, lines[1].address, retry=Retry(attempts=2)) as graft, pytest.raises(ConnectionError):
        graft.embed(pictures[:3])


def test_an_error_of_the_stream_itself_is_typed(graft, pictures):
    with pytest.raises(InvalidArgument) as refused:
        graft.classify_by(pictures[0], ["x"], every_head_of="")
    assert refused.value.field and refused.value.violations
    with pytest.raises(NotFound):
        list(graft.classify_stream("nowhere", pictures[:2]))
