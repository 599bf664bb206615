"""The same calls from an event loop."""

import asyncio

import numpy as np
import pytest
from graft_client import AsyncGraft, BadPicture, Graft, NotFound
from samples import IMAGES, TEST, TRAIN, folder, garments


def run(work):
    return asyncio.run(asyncio.wait_for(work, 120))


def test_a_classifier_from_a_folder_to_answers(addresses, tmp_path):
    photos = folder(tmp_path / "photos", garments(TRAIN, 200))
    test = garments(TEST, 60)

    async def work():
        async with AsyncGraft(*addresses) as graft:
            head = await graft.train(photos, "async", dataset="async", progress=False)
            dataset = await graft.dataset("async")
            table = await dataset.to_arrow()
            assert table.num_rows == dataset.example_count and "async" in [one.name for one in await graft.datasets()]
            assert len(await dataset.to_pandas()) == len(await dataset.embeddings()) and (await dataset.stats()).splits
            one = await graft.classify(head, test[0][0])
            many = await graft.classify(head, [picture for picture, _ in test])
            streamed = [answer async for answer in graft.classify_stream(head, source(test))]
            assert one.label == many[0].label and [answer.label for answer in streamed] == [answer.label for answer in many]
            # Many calls at once on one connection.
            heads = await asyncio.gather(*(graft.head("async") for _ in range(50)))
            assert {one.id for one in heads} == {"async@1"}
            run = await graft.start_training("async", "watched-async")
            assert [now.state async for now in graft.watch(run)][-1] == "succeeded"
            with pytest.raises(NotFound):
                await graft.head("nobody")
            copy = await graft.import_head("copied-async", await graft.export_head(head))
            assert copy.labels == head.labels and "http://" in repr(graft)
            return head, many

    async def source(examples):
        for picture, _ in examples:
            await asyncio.sleep(0)
            yield picture

    head, answers = run(work())
    with Graft(*addresses) as graft:
        straight = graft.classify(head, [picture for picture, _ in test])
    for one, other in zip(straight, answers, strict=True):
        assert one.label == other.label and one.probability == pytest.approx(other.probability, abs=1e-5)


def test_a_stream_that_is_left_or_cancelled_ends(addresses):
    pictures = [picture for picture, _ in garments(TRAIN, 200)]

    async def work():
        async with AsyncGraft(*addresses) as graft:
            batches = graft.embed_batches(pictures * 20)
            async for batch in batches:
                assert len(batch)
                break
            await batches.aclose()
            task = asyncio.create_task(graft.embed(pictures * 200))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            found = await graft.embed([IMAGES / "coffee.jpg", *pictures[:3]])
            assert found.ids == [str(IMAGES / "coffee.jpg"), "1", "2", "3"] and np.asarray(found).shape == (4, 1280)
            with pytest.raises(BadPicture, match="picture 1"):
                await graft.embed([pictures[0], b"no picture"])

    run(work())


def test_an_error_of_an_asynchronous_source_is_the_callers(addresses):
    async def broken():
        yield IMAGES / "coffee.jpg"
        raise KeyError("mine")

    async def work():
        async with AsyncGraft(*addresses) as graft:
            with pytest.raises(KeyError, match="mine"):
                await graft.embed(broken())

    run(work())
