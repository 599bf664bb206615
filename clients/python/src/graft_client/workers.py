"""Batches of frames, as Ray Data and Spark give them to their workers.

A worker is sent an object of this module, and makes a client of its own when its first batch comes; any number of workers share any
number of extractors. What is embedded is a column of paths, URIs or bytes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .client import Graft
from .embeddings import Embedded
from .errors import Unavailable
from .optional import need
from .retry import RESUME, Retry


class EmbedColumn:
    """Adds the embeddings of a column of pictures to frames: `embedding`, and `embedding_error` where one could not be embedded.

    It is given pandas frames (`__call__` one, `partitions` many), or dicts of columns, as `map_batches` and `mapInPandas` do.
    Nothing of it but its arguments is pickled.
    """

    def __init__(
        self,
        column: str,
        extractors: Sequence[str] = (),
        *,
        backbone: str = "",
        space: str = "",
        to: str = "embedding",
        token: str | None = None,
        ca_file: str | None = None,
    ):
        """
        - `column`: the pictures: paths, bytes or URIs (`graft_client.Uri`).
        - `extractors`: their addresses. Each worker uses one, chosen by chance, and another when that is lost. That of the context
          unless told.
        - `backbone`: NAME or NAME@HASH; `space`: NAME@HASH, another one is refused. Tell one of them so that all extractors, whatever
          they serve, give embeddings of one space.
        - `to`: the column that is added.
        """
        self.column, self.extractors, self.backbone, self.space, self.to = column, list(extractors), backbone, space, to
        self.token, self.ca_file = token, ca_file
        self._client: Graft | None = None
        self._process = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_client": None, "_process": 0}

    def __call__(self, batch: Any) -> Any:
        """The frame, or the dict of columns, with the embeddings.

        A frame has None where a picture could not be embedded. A dict has one array [rows, dimension], with NaN there.
        """
        found = self._embed(list(batch[self.column]))
        errors: list[Any] = [None] * len(batch[self.column])
        for failure in found.failures:
            errors[failure.index] = str(failure)
        if isinstance(batch, dict):
            whole = np.full((len(errors), found.embeddings.shape[1]), np.nan, dtype=np.float32)
            whole[found.indices] = found.embeddings
            return {**batch, self.to: whole, f"{self.to}_error": np.array(errors, dtype=object)}
        pandas = need("pandas", "EmbedColumn")
        rows: list[Any] = [None] * len(errors)
        for row, index in zip(found.embeddings, found.indices, strict=True):
            rows[index] = row
        added = {self.to: pandas.Series(rows, index=batch.index, dtype=object), f"{self.to}_error": errors}
        return batch.assign(**added)

    def partitions(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The same of many frames, as `mapInPandas` gives them. Embeddings are lists, which Spark takes."""
        for batch in batches:
            done = self(batch)
            done[self.to] = [None if row is None else row.tolist() for row in done[self.to]]
            yield done

    def _embed(self, pictures: list[Any]) -> Embedded:
        left = len(self.extractors)
        while True:
            try:
                return self._graft().embed(pictures, self.backbone, space=self.space, on_error="keep")
            except Unavailable:
                left -= 1
                if left <= 0:
                    raise
                self._next()

    def _graft(self) -> Graft:
        # A forked process must not use the connections of the one that it comes from.
        if self._client is None or self._process != os.getpid():
            if len(self.extractors) > 1 and self._process != os.getpid():
                random.SystemRandom().shuffle(self.extractors)
            address = self.extractors[0] if self.extractors else None
            # One that is lost is not waited for where there are others.
            resume = Retry() if len(self.extractors) > 1 else RESUME
            self._client = Graft(None, address, token=self.token, ca_file=self.ca_file, resume=resume)
            self._process = os.getpid()
        return self._client

    def _next(self) -> None:
        self.extractors = self.extractors[1:] + self.extractors[:1]
        if self._client is not None:
            self._client.close()
        self._client = None

