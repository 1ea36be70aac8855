"""How far a crawl is: a progress bar on a terminal, a line every half minute elsewhere."""

import sys
import time
from collections import Counter

from tqdm import tqdm

INTERVAL = 30  # seconds between two lines


class Progress:
    """Counts films by status, and shows how many are done, ok and failed, the rate, and the time left.

    total: films to ask for.
    """

    def __init__(self, total: int):
        self.total, self.counts, self.start = total, Counter[str](), time.monotonic()
        self._last_line = self.start
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, unit=" posters", desc="scrape", disable=not terminal, dynamic_ncols=True)

    def count(self, status: str) -> None:
        """Count one more film."""
        self.counts[status] += 1
        self._bar.set_postfix_str(self._ok_and_failed(), refresh=False)
        self._bar.update()
        if self._bar.disable and time.monotonic() - self._last_line >= INTERVAL:
            self._last_line = time.monotonic()
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """`scrape: 1,200 of 38,000 done, 1,180 ok, 20 failed, 9.8 a second, 1:02:35 left`"""
        done = self.counts.total()
        rate = done / max(time.monotonic() - self.start, 1e-9)
        left = tqdm.format_interval((self.total - done) / rate) if rate else "?"
        return f"scrape: {done:,} of {self.total:,} done, {self._ok_and_failed()}, {rate:.1f} a second, {left} left"

    def _ok_and_failed(self) -> str:
        return f"{self.counts['ok']:,} ok, {self.counts.total() - self.counts['ok']:,} failed"

    def close(self) -> None:
        """Remove the bar from the terminal's last line."""
        self._bar.close()
