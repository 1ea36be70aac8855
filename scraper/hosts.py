"""How each host is treated: asked slower when it says so, left alone when it will not have us."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

# Seconds of the first wait, of the longest, and of the longest that a host may ask for before it is left alone.
FIRST_WAIT, LONGEST_WAIT, PATIENCE = 1.0, 60.0, 600.0
# Refusals one after another, with no other answer between them, after which a host is left alone: a wait lies before
# each of the 429s, and a host that answers 403 may only lack one poster.
TOO_MANY = {401: 20, 403: 20, 429: 6}
# So many requests one after another that got no answer at all.
SILENCES = 30
# Seconds between requests after the first 429; each further one doubles them, each answer takes a hundredth off.
SLOWER = 0.02


class Closed(NamedTuple):
    """Why a host is not asked any more. blocked: it turned us away, rather than being down."""

    status: str
    reason: str
    blocked: bool


@dataclass
class Host:
    """What a crawl knows of one host.

    delay: seconds between two requests as params.yaml or its robots.txt ask. resume: when to ask again, by the
    monotonic clock.
    """

    delay: float
    slowed: float = 0.0
    resume: float = 0.0
    closed: Closed | None = None
    refusals: int = 0
    silences: int = 0

    def answered(self) -> None:
        """Any answer that is no refusal."""
        self.refusals = self.silences = 0
        self.slowed = self.slowed * 0.99 if self.slowed > SLOWER / 4 else 0.0

    def refused(self, http_status: int) -> None:
        """401 or 403."""
        self._count(http_status)

    def throttled(self, http_status: int, wait: float | None) -> None:
        """429, or 503 with `wait`: ask nothing for that many seconds, or for an exponentially growing time."""
        if wait is not None and wait > PATIENCE:
            self.closed = Closed("refused", f"HTTP {http_status}, it asks to wait {wait:,.0f} seconds", True)
            return
        now = time.monotonic()
        if now < self.resume:  # requests that were under way together are refused together, and count once
            return
        if http_status == 429:
            self.slowed = max(SLOWER, 2 * self.slowed)
            self._count(http_status)
        self.resume = now + (backoff(self.refusals) if wait is None else wait)

    def silent(self, reason: str) -> None:
        """No answer: nobody there, or nothing in time."""
        self.silences += 1
        if self.silences >= SILENCES and not self.closed:
            self.closed = Closed("failed", f"{reason}, {SILENCES} times in a row", False)

    def _count(self, http_status: int) -> None:
        self.refusals += 1
        if self.refusals >= TOO_MANY[http_status] and not self.closed:
            self.closed = Closed("refused", f"HTTP {http_status}, {self.refusals} times in a row", True)


@dataclass
class Hosts:
    """The hosts of a crawl by name. delay: seconds between two requests to one; own: names of which it is 0."""

    delay: float
    own: frozenset[str] = frozenset()
    known: dict[str, Host] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Host:
        return self.known.setdefault(name, Host(0.0 if name in self.own else self.delay))

    def blocked(self) -> dict[str, str]:
        """Those that turned us away, and how."""
        return {name: host.closed.reason for name, host in self.known.items() if host.closed and host.closed.blocked}


def backoff(attempt: int) -> float:
    """Seconds to wait before attempt 1, 2, ...: at most twice as long each time, up to a minute; at least half of that.

    The randomness keeps requests that failed together from coming back together ("equal jitter", M. Brooker,
    Exponential Backoff And Jitter, AWS Architecture Blog, 2015).
    """
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
    return random.uniform(longest / 2, longest)


def retry_after(headers: Mapping[str, bytes | None]) -> float | None:
    """The seconds that a Retry-After header asks for, given as such or as a date (RFC 9110, section 10.2.3)."""
    text = (headers.get("Retry-After") or b"").decode("latin-1").strip()
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
