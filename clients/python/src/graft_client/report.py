"""How a head did on the examples held out for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from graft.v1 import head_pb2

from .html import notes, table
from .optional import need


@dataclass(frozen=True)
class Report:
    """The evidence that a head was accepted on. `proto` has all of it."""

    proto: head_pb2.Report
    labels: tuple[str, ...] = ()
    """The classes, in the order of `confusion`."""

    @property
    def accuracy(self) -> float:
        """The part of the test split that was classified rightly, 0 to 1."""
        return self.proto.accuracy

    @property
    def accuracy_interval(self) -> tuple[float, float] | None:
        """The 95% interval of the accuracy; None without a test split."""
        if not self.proto.HasField("intervals"):
            return None
        return self.proto.intervals.accuracy.low, self.proto.intervals.accuracy.high

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1, 0 to 1."""
        return self.proto.macro_f1

    @property
    def log_loss(self) -> float:
        """The mean negative logarithm of the probability of the right class, in nats."""
        return self.proto.log_loss

    @property
    def train_count(self) -> int:
        """Examples fitted on."""
        return self.proto.train_count

    @property
    def test_count(self) -> int:
        """Examples held out and measured on."""
        return self.proto.test_count

    @property
    def multi_label(self) -> head_pb2.MultiLabelReport | None:
        """What else there is to say of a head that gives sets of labels; None of others."""
        return self.proto.multi_label if self.proto.HasField("multi_label") else None

    @property
    def confusion(self) -> npt.NDArray[np.uint64]:
        """Counts by right class (row) and predicted class (column)."""
        side = len(self.proto.classes)
        found = np.array(self.proto.confusion, dtype=np.uint64)
        return found.reshape(side, side) if len(found) == side * side else np.zeros((0, 0), dtype=np.uint64)

    @property
    def warnings(self) -> list[str]:
        """What speaks against using the head as it is, the gravest first."""
        # Stubs take `Warning` for Python's own.
        found: Any = self.proto.warnings
        return [warning.message for warning in found]

    @property
    def snapshot(self) -> str:
        """The id of the snapshot that it was fitted and measured on."""
        return self.proto.snapshot

    def figures(self) -> dict[str, float]:
        """The figures of the whole."""
        found = {name: getattr(self, name) for name in ("accuracy", "macro_f1", "log_loss", "train_count", "test_count")}
        if self.multi_label is not None:
            found["micro_f1"] = self.multi_label.micro_f1
        return found

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row a class: precision, recall, f1, support, train_count."""
        pandas = need("pandas", "to_pandas")
        return pandas.DataFrame(self._classes(), columns=list(CLASS_COLUMNS)).set_index("label")

    def confusion_to_pandas(self) -> Any:
        """The confusion as a `pandas.DataFrame`: rows are right, columns predicted."""
        pandas = need("pandas", "confusion_to_pandas")
        names = [one.label for one in self.proto.classes] if self.confusion.size else []
        return pandas.DataFrame(self.confusion, index=pandas.Index(names, name="right"), columns=names)

    def mistakes_to_pandas(self) -> Any:
        """The wrong answers on the test split with the most confidence, as a `pandas.DataFrame`."""
        return self._listed(self.proto.mistakes, ("id", "label", "predicted", "confidence", "label_probability", "hash"))

    def label_errors_to_pandas(self) -> Any:
        """Examples whose label is likely wrong, the likeliest first, as a `pandas.DataFrame`."""
        names = ("id", "label", "suggested", "label_probability", "suggested_probability", "hash")
        return self._listed(self.proto.label_errors.errors, names)

    def _listed(self, found: Any, names: tuple[str, ...]) -> Any:
        pandas = need("pandas", "a table")
        return pandas.DataFrame([[getattr(one, name) for name in names] for one in found], columns=list(names))

    def _classes(self) -> list[list[Any]]:
        return [[getattr(one, name) for name in CLASS_COLUMNS] for one in self.proto.classes]

    def __str__(self) -> str:
        shown = (f"{name} {value:.4g}" for name, value in self.figures().items())
        return ", ".join(shown)

    def _repr_html_(self) -> str:
        figures = table("Report", ["figure", "value"], [(name, f"{value:.4g}") for name, value in self.figures().items()])
        rows = [[f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row] for row in self._classes()]
        return figures + table("Classes", CLASS_COLUMNS, rows) + notes("Warnings", self.warnings)


CLASS_COLUMNS = ("label", "precision", "recall", "f1", "support", "train_count")
