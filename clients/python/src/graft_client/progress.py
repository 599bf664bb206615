"""Progress bars: tqdm's, which suit terminals and notebooks, where it is installed."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

Progress = bool | None
"""True for a bar, or plain lines without tqdm; False for none; None for a bar where somebody looks: a terminal or a notebook."""


class Bar:
    """Shows how far something is."""

    def __init__(self, what: str, total: float | None, unit: str, progress: Progress):
        self._what, self._done, self._total = what, 0.0, total
        self._bar: Any = None
        self._plain = False
        self._note = ""
        if progress or (progress is None and _watched()):
            try:
                from tqdm.auto import tqdm
            except ImportError:
                self._plain = bool(progress)
            else:
                share = "{l_bar}{bar}| {elapsed}{postfix}" if unit == "" else None
                self._bar = tqdm(desc=what, total=total, unit=unit, bar_format=share, leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._plain and error is None:
            print(f"{self._what}: done", file=sys.stderr)

    def add(self, count: float) -> None:
        """So much more is done."""
        self.reach(self._done + count)

    def reach(self, done: float, note: str = "") -> None:
        """So much is done in all."""
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(max(done - self._done, 0))
        elif self._plain and note and note != self._note:
            self._note = note
            print(f"{self._what}: {note}", file=sys.stderr)
        self._done = max(done, self._done)


def _watched() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules
