"""What a crawl says while it goes on."""

import io
import re
import sys

import pytest

from scraper.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_every_half_minute_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("scraper.progress.time.monotonic", lambda: now)
    going = Progress(2000)
    for status in ["ok"] * 8 + ["gone"] * 2:
        now += 10
        going.count(status)
    going.close()
    assert capsys.readouterr().err.splitlines() == [
        "scrape: 3 of 2,000 done, 3 ok, 0 failed, 0.1 a second, 5:32:50 left",
        "scrape: 6 of 2,000 done, 6 ok, 0 failed, 0.1 a second, 5:32:20 left",
        "scrape: 9 of 2,000 done, 8 ok, 1 failed, 0.1 a second, 5:31:50 left",
    ]


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    going = Progress(4)
    for status in ("ok", "ok", "failed"):
        going.count(status)
    going.close()
    last = screen.getvalue().split("\r")[-1]
    assert re.search(r"3/4 .*posters/s.*2 ok, 1 failed", last), last
