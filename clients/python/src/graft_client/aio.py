"""The client for programs that run an event loop."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, overload

from .answer import Answer
from .config import Context
from .connection import connect
from .dataset import DatasetInfo
from .embeddings import Embeddings
from .head import HeadName
from .loops import Driver, feed, method
from .ops import classifying, contents, embedding, feedback, importing, promotion, registry, training
from .picture import Input, Many, is_one
from .retry import RESUME, Retry, Settings


class AsyncGraft:
    """Both services of Graft, asked from one event loop. It has the calls of `Graft`, with the same arguments.

    What gives one value is awaited; what gives values as they come is iterated over with `async for`. Pictures may come from an
    asynchronous iterator too; files are read on threads.
    """

    def __init__(
        self,
        trainer: str | None = None,
        extractor: str | None = None,
        *,
        context: str | None = None,
        config: str | os.PathLike[str] | None = None,
        token: str | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        server_name: str | None = None,
        timeout: float | None = None,
        retry: Retry = Retry(),  # noqa: B008
        resume: Retry = RESUME,
    ):
        given = Context(trainer, extractor, token, None, ca_file, cert_file, key_file, server_name)
        self._driver = Driver(connect(given, context, config), Settings(retry, resume, timeout))

    @property
    def driver(self) -> Driver:
        """What makes the calls."""
        return self._driver

    async def __aenter__(self) -> AsyncGraft:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    def __repr__(self) -> str:
        connection = self._driver.connection
        return f"<AsyncGraft trainer={connection.trainer.url} extractor={connection.extractor.url}>"

    # Backbones and embeddings.
    backbones = method(embedding.backbones)
    backbone = method(embedding.backbone)
    export_backbone = method(embedding.export_backbone)
    embed = method(embedding.embed)
    embed_batches = feed(embedding.embed_batches)

    # Datasets.
    import_examples = method(importing.import_examples)
    import_folder = method(importing.import_folder)
    create_dataset = method(contents.create_dataset)
    delete_dataset = method(contents.delete_dataset)
    dataset_stats = method(contents.dataset_stats)
    relabel = method(contents.relabel)
    remove_examples = method(contents.remove_examples)
    create_snapshot = method(contents.create_snapshot)
    snapshot = method(contents.snapshot)
    snapshots = method(contents.snapshots)
    embeddings = method(contents.embeddings)
    examples = feed(contents.examples)
    embedding_batches = feed(contents.embedding_batches)

    # Training.
    train = method(training.train)
    start_training = method(training.start_training)
    wait = method(training.wait)
    run = method(training.run)
    runs = method(training.runs)
    cancel = method(training.cancel)
    watch = feed(training.watch)

    # Heads.
    head = method(registry.head)
    heads = method(registry.heads)
    delete_head = method(registry.delete_head)
    diff = method(registry.diff)
    traffic = method(registry.traffic)
    export_head = method(registry.export_head)
    import_head = method(registry.import_head)
    promote = method(promotion.promote)
    rollback = method(promotion.rollback)
    delete_alias = method(promotion.delete_alias)
    aliases = method(promotion.aliases)
    promotions = method(promotion.promotions)
    split_traffic = method(promotion.split_traffic)

    # Classification; `classify` is below.
    classify_by = method(classifying.classify_by)
    classify_stream = feed(classifying.classify_stream)
    classify_stream_by = feed(classifying.classify_stream_by)

    # Feedback and maintenance.
    correct = method(feedback.correct)
    corrections = method(feedback.corrections)
    suggest = method(feedback.suggest)
    collect_garbage = method(feedback.collect_garbage)

    async def dataset(self, name: str) -> AsyncDataset:
        """One dataset."""
        return AsyncDataset(await self._driver.run(contents.dataset(name)), self._driver)

    async def datasets(self) -> list[AsyncDataset]:
        """The datasets, sorted by name."""
        return [AsyncDataset(one, self._driver) for one in await self._driver.run(contents.datasets())]

    @overload
    async def classify(  # type: ignore[overload-overlap]
        self, head: HeadName, pictures: Input, *, top_k: int = ..., detect_unknown: bool = ..., sticky_key: str = ...
    ) -> Answer: ...

    @overload
    async def classify(
        self, head: HeadName, pictures: Many, *, top_k: int = ..., detect_unknown: bool = ..., sticky_key: str = ...
    ) -> list[Answer]: ...

    async def classify(
        self, head: HeadName, pictures: Any, *, top_k: int = 0, detect_unknown: bool = False, sticky_key: str = ""
    ) -> Answer | list[Answer]:
        """See `Graft.classify`. What a head says of a picture; of many, a list of answers in their order, for which they are streamed.
        """
        options: dict[str, Any] = {"top_k": top_k, "detect_unknown": detect_unknown, "sticky_key": sticky_key}
        if is_one(pictures):
            return await self._driver.run(classifying.classify_one(head, pictures, **options))
        return await self._driver.run(classifying.classify_list(head, pictures, **options))


class AsyncDataset(DatasetInfo):
    """A dataset, and what is in it."""

    def __init__(self, info: DatasetInfo, driver: Driver):
        super().__init__(info.proto)
        object.__setattr__(self, "_driver", driver)

    _driver: Driver

    @property
    def driver(self) -> Driver:
        """What makes the calls."""
        return self._driver

    async def embeddings(self, split: str = "", snapshot: str = "") -> Embeddings:
        """Its embeddings with their labels, of one split or all, as it is now or as a snapshot has it."""
        return await self._driver.run(contents.embeddings(self.name, split, snapshot))

    async def to_pandas(self, split: str = "", snapshot: str = "") -> Any:
        """Its examples as a `pandas.DataFrame`: id, hash, label (or labels), split, embedding."""
        return (await self.embeddings(split, snapshot)).to_pandas()

    async def to_arrow(self, split: str = "", snapshot: str = "") -> Any:
        """Its examples as a `pyarrow.Table`: id, hash, label (or labels), split, embedding (a list of fixed size)."""
        return (await self.embeddings(split, snapshot)).to_arrow()

    async def stats(self) -> Any:
        """What it holds and what is odd about it: classes, duplicates, conflicts."""
        return await self._driver.run(contents.dataset_stats(self.name))
