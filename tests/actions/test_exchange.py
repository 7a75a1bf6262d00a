"""An exchange never raises, stays within its bounds and knows whether the request went out."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.actions.receiver import CUT, HANG, Answer, Receiver, closed_url
from tripswitch.actions.attempt import AttemptState, judge
from tripswitch.actions.exchange import (
    MAX_ANSWER_BYTES,
    Exchange,
    exchange,
    open_client,
    retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW_NS = 1_795_485_401 * 10**9


def post(url: str, timeout_s: float = 10.0) -> Exchange:
    async def run() -> Exchange:
        async with open_client() as client:
            return await exchange(
                client,
                "POST",
                httpx.URL(url),
                headers={"a": "b"},
                body=b"{}",
                timeout_s=timeout_s,
                now_ns=NOW_NS,
            )

    return asyncio.run(run())


def state_of(status: int) -> AttemptState:
    return judge(Exchange(True, status, b"", None, "")).state


def test_an_answer_is_read() -> None:
    with Receiver(Answer(201, b"hello", {"Retry-After": "7"})) as receiver:
        found = post(receiver.url)
    assert found == Exchange(True, 201, b"hello", 7.0, "")
    assert receiver.posts[0].body == b"{}"
    assert receiver.posts[0].headers["a"] == "b"


def test_only_the_beginning_of_a_huge_answer_is_read() -> None:
    with Receiver(Answer(200, b"x" * 5_000_000)) as receiver:
        found = post(receiver.url)
    assert (found.status, len(found.body)) == (200, MAX_ANSWER_BYTES)


def test_a_redirect_is_not_followed() -> None:
    with (
        Receiver() as elsewhere,
        Receiver(Answer(307, b"", {"Location": elsewhere.url})) as receiver,
    ):
        found = post(receiver.url)
        assert not elsewhere.posts
    assert judge(found).state is AttemptState.FAILED


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid/", "ftp://127.0.0.1/", "http://127.0.0.1:0/"]
)
def test_what_cannot_be_reached_was_not_sent(url: str) -> None:
    found = post(url)
    assert (found.sent, found.status) == (False, None)
    assert judge(found).state is AttemptState.RETRY


def test_a_refused_connection_was_not_sent() -> None:
    found = post(closed_url())
    assert (found.sent, found.status) == (False, None)
    assert found.detail.startswith("not sent: ConnectError")


def test_a_failed_tls_handshake_was_not_sent() -> None:
    with Receiver() as receiver:
        found = post(receiver.url.replace("http://", "https://"))
        assert not receiver.posts
    assert (found.sent, found.status) == (False, None)


@pytest.mark.parametrize(("answer", "timeout_s"), [(HANG, 0.2), (CUT, 10.0)])
def test_a_lost_answer_may_have_acted(answer: Answer, timeout_s: float) -> None:
    with Receiver(answer) as receiver:
        found = post(receiver.url, timeout_s)
        assert len(receiver.posts) == 1
    assert (found.sent, found.status) == (True, None)
    assert judge(found).state is AttemptState.UNKNOWN


@pytest.fixture
def dripping_url() -> Iterator[str]:
    """An answer that never ends, a byte at a time, each well within a read time-out."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            try:
                while not stop.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    stop.set()
    thread.join()
    listener.close()


def test_a_dripping_answer_ends_in_time_and_keeps_its_status(dripping_url: str) -> None:
    found = post(dripping_url, timeout_s=0.3)
    assert found.status == 200
    assert set(found.body) == set(b"x")
    assert judge(found).state is AttemptState.DONE


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ((200, 201, 202, 204, 299), AttemptState.DONE),
        ((429, 500, 501, 503, 507, 599), AttemptState.RETRY),
        ((408, 502, 504), AttemptState.UNKNOWN),
        ((301, 304, 307, 400, 401, 403, 404, 409, 410, 422), AttemptState.FAILED),
    ],
)
def test_codes_mean_what_the_standards_say(statuses: tuple[int, ...], state: AttemptState) -> None:
    assert {state_of(status) for status in statuses} == {state}


def test_only_410_closes_the_endpoint() -> None:
    gone = [s for s in range(200, 600) if judge(Exchange(True, s, b"", None, "")).endpoint_gone]
    assert gone == [410]


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("99999999999999999999", 300.0),
        ("Tue, 24 Nov 2026 01:57:41 GMT", 60.0),
        ("Tue, 24 Nov 2020 01:57:41 GMT", 0.0),
        ("Tue, 24 Nov 9999999999999999999 01:57:41 GMT", None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_and_bounded(text: str, wait_s: float | None) -> None:
    assert retry_after(text, NOW_NS) == wait_s
