"""How a crawl is getting on: a line that renews itself on a terminal, one every half minute elsewhere."""

import sys
import time
from collections import Counter

from tqdm import tqdm

EVERY = 30  # seconds


class Progress:
    """Counts films by how they ended, and shows done, ok, failed, rate and the time left."""

    def __init__(self, total: int):
        self.total, self.counts, self.start = total, Counter[str](), time.monotonic()
        self._said = self.start
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, unit=" posters", desc="scrape", disable=not terminal, dynamic_ncols=True)

    def count(self, status: str) -> None:
        """One more film is done."""
        self.counts[status] += 1
        self._bar.set_postfix_str(self._ended(), refresh=False)
        self._bar.update()
        if self._bar.disable and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """`scrape: 1,200 of 38,000 done, 1,180 ok, 20 failed, 9.8 a second, 1:02:35 left`"""
        done = self.counts.total()
        rate = done / max(time.monotonic() - self.start, 1e-9)
        left = tqdm.format_interval((self.total - done) / rate) if rate else "?"
        return f"scrape: {done:,} of {self.total:,} done, {self._ended()}, {rate:.1f} a second, {left} left"

    def _ended(self) -> str:
        return f"{self.counts['ok']:,} ok, {self.counts.total() - self.counts['ok']:,} failed"

    def close(self) -> None:
        self._bar.close()
