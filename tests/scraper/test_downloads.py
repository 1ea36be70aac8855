"""Which misses a crawl remembers, and how its summary tells them."""

from collections import Counter
from pathlib import Path

import pytest

from postergenre.data.manifest import Row
from postergenre.errors import InputError
from scraper import summary
from scraper.downloads import Miss, open_downloads
from scraper.private_hosts import refusal

PRIVATE = refusal("private", "10.0.0.5", 80)


@pytest.mark.parametrize(
    ("miss", "remembered"),
    [
        (Miss("failed", "u", "robots.txt: connection refused"), False),
        (Miss("failed", "u", "host name unknown"), False),
        (Miss("failed", "u", "robots.txt: HTTP 500"), False),
        (Miss("failed", "u", "no complete answer in time, 30 times in a row"), False),
        (Miss("failed", "u", "HTTP 407, through the proxy http://proxy.corp:3128", 407), False),
        (Miss("refused", "u", PRIVATE), False),
        (Miss("refused", "u", "a private address"), False),  # as earlier versions wrote it
        (Miss("refused", "u", "HTTP 202, a bot wall", 202), True),
        (Miss("refused", "u", "HTTP 403, 20 times in a row"), True),
        (Miss("refused", "u", "Forbidden by robots.txt"), True),
        (Miss("gone", "u", "HTTP 404", 404), True),
        (Miss("failed", "u", "HTTP 500", 500), True),
        (Miss("failed", "u", "larger than scrape.max_bytes"), True),
        (Miss("failed", "u", "max redirections reached"), True),
        (Miss("not-a-poster", "u", "the page shows no poster", 200), True),
    ],
)
def test_a_host_that_gave_no_answer_is_asked_again(tmp_path: Path, miss: Miss, remembered: bool) -> None:
    with open_downloads(tmp_path) as downloads:
        downloads.record_miss("http://a.test/1", miss)
    with open_downloads(tmp_path) as downloads:
        downloads.forget_unanswered()
        downloads.note_earlier_misses()
        downloads.record_miss("http://a.test/2", miss)
        assert downloads.get_miss("http://a.test/1") == (miss if remembered else None)
        assert downloads.is_earlier_miss("http://a.test/1") == remembered
        assert not downloads.is_earlier_miss("http://a.test/2")


def test_the_summary_tells_what_was_not_asked_again() -> None:
    rows = [Row(n, f"tt{n}", "", "", "gone", "HTTP 404", f"http://a.test/{n}") for n in range(3)]
    rows += [Row(n, f"tt{n}", "", "", "refused", "HTTP 403", f"http://b.test/{n}", "http://c.test/") for n in range(2)]
    rows += [Row(9, "tt9", "", "", "failed", "HTTP 500", "http://a.test/9")]
    earlier = {"http://a.test/0", "http://b.test/0", "http://b.test/1"}
    counts = summary.summarize(rows, earlier.__contains__)
    assert str(counts).splitlines() == [
        "6 catalogue rows: 3 gone, 2 refused, 1 failed",
        "  3 gone, HTTP 404 (1 of them not asked again)",
        "  2 refused, HTTP 403 (not asked again)",
        "  1 failed, HTTP 500",
    ]
    # The report stays as it is, however often the stage runs.
    assert counts.as_json()["reasons"] == ["3 gone, HTTP 404", "2 refused, HTTP 403", "1 failed, HTTP 500"]
    assert counts.refusals == Counter({"c.test": 2})
    with pytest.raises(
        InputError, match=r"gone, HTTP 404 \(3 times\) \(1 of them not asked again\); what came is kept"
    ):
        summary.check(counts, 0.5, {})
