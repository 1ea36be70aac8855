"""How the crawl treats a host, without one."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scraper.hosts import PATIENCE, SILENCES, Host, Hosts, backoff, retry_after


def test_waits_grow_to_a_minute_and_differ() -> None:
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60)):
        waits = {backoff(attempt) for _ in range(50)}
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 1


@pytest.mark.parametrize(("text", "seconds"), [(b"17", 17.0), (b" 3 ", 3.0), (b"", None), (b"soon", None)])
def test_retry_after_is_seconds(text: bytes, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds


def test_retry_after_is_a_date() -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    longest = (later - datetime.now(UTC)).total_seconds()
    wait = retry_after({"Retry-After": format_datetime(later, usegmt=True).encode()})
    assert wait is not None
    assert (later - datetime.now(UTC)).total_seconds() <= wait <= longest
    assert retry_after({"Retry-After": b"Mon, 01 Jan 2001 00:00:00 GMT"}) == 0.0
    assert retry_after({}) is None


def test_a_host_that_refuses_again_and_again_is_left_alone() -> None:
    host = Host(0.0)
    for _ in range(19):
        host.note_refusal(403)
    host.note_answer()
    for _ in range(19):
        host.note_refusal(403)
    assert not host.closed
    host.note_refusal(403)
    assert host.closed == ("refused", "HTTP 403, 20 times in a row", True)


def test_refusals_of_requests_that_were_under_way_together_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.hosts.time.monotonic", lambda: 1000.0)
    host = Host(0.0)
    for _ in range(50):
        host.throttle(429, None)
    assert host.refusals == 1
    assert not host.closed
    assert 1000.5 <= host.resume <= 1001


@pytest.mark.parametrize("http_status", [429, 503])
def test_a_busy_host_waits_as_long_as_it_asks_for(monkeypatch: pytest.MonkeyPatch, http_status: int) -> None:
    monkeypatch.setattr("scraper.hosts.time.monotonic", lambda: 1000.0)
    host = Host(0.0)
    host.throttle(http_status, 17.0)
    assert host.resume == 1017


def test_a_host_slows_down_with_each_refusal_and_recovers_with_answers() -> None:
    host = Host(0.0)
    delays = []
    for _ in range(3):
        host.throttle(429, 0.0)
        delays.append(host.slowed)
    assert delays == [0.02, 0.04, 0.08]
    for _ in range(1000):
        host.note_answer()
    assert host.slowed == 0.0


def test_who_asks_for_more_patience_than_there_is_is_left_alone() -> None:
    host = Host(0.0)
    host.throttle(503, PATIENCE)
    assert not host.closed
    host.throttle(503, PATIENCE + 1)
    assert host.closed is not None
    assert host.closed.reason == "HTTP 503, it asks to wait 601 seconds"


def test_a_dead_host_is_no_blocked_one() -> None:
    hosts = Hosts(0.5, undelayed=frozenset({"localhost"}))
    assert (hosts["a"].delay, hosts["localhost"].delay) == (0.5, 0.0)
    for _ in range(SILENCES):
        hosts["a"].note_silence("connection refused")
    assert hosts["a"].closed == ("failed", "connection refused, 30 times in a row", False)
    assert hosts.blocked() == {}
