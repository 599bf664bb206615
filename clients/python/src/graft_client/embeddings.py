"""Embeddings as arrays and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import BadPicture
from .optional import need

Floats = npt.NDArray[np.float32]


def fixed_lists(embeddings: npt.NDArray[Any]) -> Any:
    """The rows as a column of pyarrow, on the same memory."""
    arrow = need("pyarrow", "to_arrow")
    return arrow.FixedSizeListArray.from_arrays(arrow.array(embeddings.reshape(-1)), embeddings.shape[1])


def rows(data: bytes, dimension: int, dtype: str = "<f4") -> npt.NDArray[Any]:
    """The rows that a message has packed, on the message's own bytes: read-only."""
    return np.frombuffer(data, dtype=dtype).reshape(-1, dimension)


@dataclass(frozen=True)
class Embedded:
    """The embeddings of pictures, a row a picture. `numpy.asarray` of it is `embeddings`."""

    embeddings: Floats
    """float32 [pictures, dimension]. Of a batch it lies on the bytes of the message and is read-only."""
    ids: list[str]
    """The path or URI of each picture; its position where it has none."""
    indices: npt.NDArray[np.int64]
    """The position of each among the pictures that were given."""
    space: str
    """The embedding space, NAME@HASH."""
    failures: list[BadPicture] = field(default_factory=list)
    """Pictures that could not be embedded."""
    views: npt.NDArray[np.uint32] | None = None
    """The view of each row where views were asked for: 0 is the picture itself."""

    def __len__(self) -> int:
        return len(self.embeddings)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.embeddings, dtype=dtype, copy=copy)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`: id, and embedding, a list of fixed size."""
        arrow = need("pyarrow", "to_arrow")
        columns = {"id": arrow.array(self.ids, arrow.string()), "embedding": fixed_lists(self.embeddings)}
        return arrow.table(columns).replace_schema_metadata({"space": self.space})

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with the numbers of an embedding in a row of columns, and the ids as its index."""
        pandas = need("pandas", "to_pandas")
        return pandas.DataFrame(self.embeddings, index=pandas.Index(self.ids, name="id"))


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a dataset, a row an example. `numpy.asarray` of it is `embeddings`."""

    space: str
    """The embedding space, NAME@HASH."""
    embeddings: Floats
    """float32 [rows, dimension]."""
    ids: list[str]
    """The ids that the examples were imported with."""
    hashes: list[str]
    """BLAKE3 of each image's content, in hexadecimal."""
    labels: list[str] | list[list[str]]
    """The label of each, empty while it waits for one; of a multi-label dataset all labels of each."""
    splits: list[str]
    """train, validation, test or unlabelled."""
    multi_label: bool = False
    """Whether an example may have several labels, or none."""

    def __len__(self) -> int:
        return len(self.embeddings)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.embeddings, dtype=dtype, copy=copy)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`: id, hash, label (of a multi-label dataset labels, a list), split, and embedding, a list of fixed size."""
        arrow = need("pyarrow", "to_arrow")
        label_type = arrow.list_(arrow.string()) if self.multi_label else arrow.string()
        name = "labels" if self.multi_label else "label"
        columns = {
            "id": arrow.array(self.ids, arrow.string()),
            "hash": arrow.array(self.hashes, arrow.string()),
            name: arrow.array(self._known_labels(), label_type),
            "split": arrow.array(self.splits, arrow.string()),
            "embedding": fixed_lists(self.embeddings),
        }
        table = arrow.table(columns)
        return table.replace_schema_metadata({"space": self.space})

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`: id, hash, label (or labels), split, and embedding, an array in each row; `attrs["space"]` is the space."""
        pandas = need("pandas", "to_pandas")
        frame = pandas.DataFrame(
            {
                "id": self.ids,
                "hash": self.hashes,
                "labels" if self.multi_label else "label": self._known_labels(),
                "split": self.splits,
                "embedding": list(self.embeddings),
            }
        )
        frame.attrs["space"] = self.space
        return frame

    def _known_labels(self) -> Sequence[Any]:
        return self.labels if self.multi_label else [label or None for label in self.labels]
