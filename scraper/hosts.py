"""How the crawl treats each host: it slows down when asked to, and stops asking a host that turns it away."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from scraper.private_hosts import Kind
from scraper.tasks import Status

# Names of this machine. Where they are allowed at all, they are asked without delay.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Seconds: the first wait, the longest wait, and the longest wait that a host may ask for before we stop asking it.
FIRST_WAIT, LONGEST_WAIT, PATIENCE = 1.0, 60.0, 600.0
# So many refusals in a row close a host. Six 429s are enough, since each was followed by a wait. A single 403 may mean
# one missing poster, so those take more.
TOO_MANY = {401: 20, 403: 20, 429: 6}
# So many challenges in a row close a host. They are meant for robots, whichever poster is asked for.
WALLS = 6
# So many requests in a row without any answer close a host.
SILENCES = 30
# Seconds between requests after the first 429. Each further 429 doubles them, each answer takes a hundredth off.
SLOWER = 0.02


class Closed(NamedTuple):
    """Why a host is not asked any more.

    status: what becomes of its posters.
    reason: a few words for the manifest.
    blocked: whether the host turned us away; else it is down.
    """

    status: Status
    reason: str
    blocked: bool


@dataclass
class Host:
    """What a crawl knows of one host.

    delay: seconds between two requests, as params.yaml or robots.txt ask.
    slowed: seconds between two requests because of 429s.
    resume: when to ask again, by the monotonic clock.
    closed: why it is not asked any more.
    address_kind: what its name's address is, where that is not allowed.
    proxy: through which it was asked last, "" for directly.
    refusals: refusals in a row.
    silences: requests in a row without an answer.
    """

    delay: float
    slowed: float = 0.0
    resume: float = 0.0
    closed: Closed | None = None
    address_kind: Kind = "public"
    proxy: str = ""
    refusals: int = 0
    silences: int = 0

    def note_answer(self) -> None:
        """Note an answer that is no refusal."""
        self.refusals = self.silences = 0
        self.slowed = self.slowed * 0.99 if self.slowed > SLOWER / 4 else 0.0

    def note_refusal(self, http_status: int) -> None:
        """Note a 401, 403 or 429."""
        self._count_refusal(f"HTTP {http_status}", TOO_MANY[http_status])

    def note_wall(self, reason: str) -> None:
        """Note an answer that is a challenge to robots."""
        self._count_refusal(reason, WALLS)

    def _count_refusal(self, reason: str, limit: int) -> None:
        self.refusals += 1
        if self.refusals >= limit and not self.closed:
            self.closed = Closed("refused", f"{reason}, {self.refusals} times in a row", True)

    def throttle(self, http_status: int, wait: float | None) -> None:
        """Pause after a 429, or after a 503 that asks for it.

        wait: seconds that the host asks for; None for a time that grows exponentially.
        """
        if wait is not None and wait > PATIENCE:
            self.closed = Closed("refused", f"HTTP {http_status}, it asks to wait {wait:,.0f} seconds", True)
            return
        now = time.monotonic()
        if now < self.resume:  # requests that were under way together are refused together, and count once
            return
        if http_status == 429:
            self.slowed = max(SLOWER, 2 * self.slowed)
            self.note_refusal(http_status)
        self.resume = now + (backoff(self.refusals) if wait is None else wait)

    def note_silence(self, reason: str) -> None:
        """Note a request that got no answer in time, or found nobody there."""
        self.silences += 1
        if self.silences >= SILENCES and not self.closed:
            self.closed = Closed("failed", f"{reason}, {SILENCES} times in a row", False)


@dataclass
class Hosts:
    """The hosts of a crawl by name.

    delay: seconds between two requests to one host.
    undelayed: names of hosts without that delay.
    known: the hosts so far.
    """

    delay: float
    undelayed: frozenset[str] = frozenset()
    known: dict[str, Host] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Host:
        return self.known.setdefault(name, Host(0.0 if name in self.undelayed else self.delay))

    def blocked(self) -> dict[str, str]:
        """The hosts that turned us away, each with the reason."""
        return {name: host.closed.reason for name, host in self.known.items() if host.closed and host.closed.blocked}


def backoff(attempt: int) -> float:
    """Seconds to wait before attempt 1, 2, ...: random between half of a limit and the limit.

    The limit doubles with each attempt, up to a minute. The randomness keeps requests that failed together from coming
    back together ("equal jitter", M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015).
    """
    limit = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
    return random.uniform(limit / 2, limit)


def retry_after(headers: Mapping[str, bytes | None]) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or as a date (RFC 9110, section 10.2.3)."""
    text = (headers.get("Retry-After") or b"").decode("latin-1").strip()
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
