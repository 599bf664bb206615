"""When a call is made again, and after how long.

A call is made again if it may (`Method.safe`: it changes nothing, or twice is as good as once) and the service was unavailable for
a moment (UNAVAILABLE), or says itself when to come back (RESOURCE_EXHAUSTED with RetryInfo).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .errors import GraftError, ResourceExhausted, Unavailable


@dataclass(frozen=True)
class Retry:
    """How often a call is made, and how long the pauses in between are."""

    attempts: int = 4
    """How often a call is made at the most; 1 for no retries."""
    first_pause: float = 0.1
    """Seconds before the second attempt. They double with each, and up to half of them is taken off by chance."""
    longest_pause: float = 2.0
    """Seconds that no pause is longer than, whatever the service asks for."""

    def pause(self, error: GraftError, attempt: int) -> float | None:
        """Seconds to wait after the failed attempt of this number, counted from 1; None to give up."""
        again = isinstance(error, Unavailable) or (isinstance(error, ResourceExhausted) and error.retry_after is not None)
        if not again or attempt >= self.attempts:
            return None
        doubled = min(self.first_pause * 2.0 ** min(attempt - 1, 30), self.longest_pause)
        spread = doubled * (1 - random.random() / 2)
        return min(max(spread, error.retry_after or 0), self.longest_pause)


RESUME = Retry(attempts=10, longest_pause=5.0)
"""About 20 seconds: as long as a service takes to be started again."""


@dataclass(frozen=True)
class Settings:
    """What is true of every call of a client."""

    retry: Retry = Retry()
    resume: Retry = RESUME
    """How streams that were lost are opened again, as long as nothing comes. One that never gave an answer is a call like others."""
    timeout: float | None = None
    """Seconds that a call and its retries may take together; None for what suits the call."""
