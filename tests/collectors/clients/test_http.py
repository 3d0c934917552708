"""The HTTP client against a real server on loopback; its clock and its waits are the test's."""

import gzip
import logging
import socket
from datetime import UTC, datetime, timedelta

import pytest

from collectors.clients.http import HttpClient, Request
from collectors.clients.http_settings import HttpSettings, checked_base
from collectors.contract import CollectorError, Reason
from tests.servers.http_api import HttpApi, Reply, packed

NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)


class Clock:
    """Time passes only by waiting."""

    def __init__(self):
        self.waited = 0.0

    def monotonic(self):
        return self.waited

    def sleep(self, seconds):
        self.waited += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def api():
    with HttpApi(lambda _: Reply(body={"ok": True})) as server:
        yield server


def client(clock, saved=None, now=NOW, **settings):
    stopping = settings.pop("stopping", lambda: False)
    waiting_of = settings.pop("waiting_of", lambda _: None)
    return HttpClient(HttpSettings(**settings), now, saved, stopping=stopping, monotonic=clock.monotonic, sleep=clock.sleep,
                      waiting_of=waiting_of)


def in_turn(*replies):
    """The first, the second …, and the last for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def get(api, path="/data", **more):
    return Request("GET", f"{api.base}{path}", **more)


def refused(http, request):
    with pytest.raises(CollectorError) as caught:
        http.send(request)
    return caught.value


def test_a_good_answer_is_had_at_once(api, clock):
    with client(clock) as http:
        answer = http.send(get(api, params={"day": "2026-11-20"}))
    assert (answer.status, answer.json()) == (200, {"ok": True})
    assert api.asked[0].query == {"day": "2026-11-20"}
    assert clock.waited == 0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again_with_doubling_waits(api, clock, status):
    api.answer = in_turn(Reply(status), Reply(status), Reply(status), Reply(body={"ok": 1}))
    with client(clock) as http:
        assert http.send(get(api)).json() == {"ok": 1}
    assert 7 <= clock.waited <= 10.5  # 1, 2 and 4 s, each up to half longer


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
def test_what_does_not_pass_is_not_asked_again(api, clock, status):
    api.answer = lambda _: Reply(status, {"error": "no"}, {"Location": f"{api.base}/elsewhere"})
    with client(clock) as http:
        assert http.send(get(api)).status == status
    assert [request.path for request in api.asked] == ["/data"]


def test_retry_after_is_the_least_that_is_waited(api, clock):
    api.answer = in_turn(Reply(429, headers={"Retry-After": "17"}), Reply())
    with client(clock) as http:
        http.send(get(api))
    assert clock.waited == 17


def test_retry_after_may_be_a_date(api, clock):
    api.answer = in_turn(Reply(503, headers={"Retry-After": "Fri, 27 Nov 2026 06:00:30 GMT"}), Reply())
    with client(clock) as http:
        http.send(get(api))
    assert clock.waited == 30


def test_a_wait_in_the_text_counts_like_retry_after(api, clock):
    api.answer = in_turn(Reply(429, {"detail": "Expected available in 9.0 seconds."}), Reply())
    with client(clock, waiting_of=lambda answer: 9.0 if b"9.0 seconds" in answer.body else None) as http:
        http.send(get(api))
    assert clock.waited == 9


def test_a_wait_above_the_most_ends_the_run_and_holds_over_a_restart(api, clock):
    api.answer = in_turn(Reply(429, headers={"Retry-After": "3600"}), Reply())
    with client(clock) as http:
        error = refused(http, get(api))
    assert error.reason is Reason.QUOTA
    assert "07:00 UTC" in error.text
    with client(clock, http.saved(), NOW + timedelta(minutes=59)) as early:
        assert refused(early, get(api)).reason is Reason.QUOTA
    assert len(api.asked) == 1
    with client(clock, early.saved(), NOW + timedelta(minutes=61)) as late:
        assert late.send(get(api)).status == 200


def test_the_days_quota_holds_over_a_restart_and_ends_at_midnight(api, clock):
    with client(clock, per_day=3) as http:
        http.send(get(api))
        http.send(get(api))
    with client(clock, http.saved(), per_day=3) as again:
        again.send(get(api))
        error = refused(again, get(api))
    assert (error.reason, len(api.asked)) == (Reason.QUOTA, 3)
    with client(clock, again.saved(), NOW + timedelta(days=1), per_day=3) as tomorrow:
        assert tomorrow.send(get(api)).status == 200


def test_a_429_for_good_is_not_asked_again(api, clock):
    api.answer = lambda _: Reply(429, {"error": {"message": "This API version is no longer supported."}})
    with client(clock) as http:
        assert http.send(get(api)).status == 429
    assert (len(api.asked), clock.waited) == (1, 0)


def test_after_the_last_try_the_reason_is_that_of_the_last_answer(api, clock):
    api.answer = lambda _: Reply(503, b"<html>down</html>", {"Content-Type": "text/html"})
    with client(clock, tries=3) as http:
        error = refused(http, get(api))
    assert (error.reason, len(api.asked)) == (Reason.NETWORK, 3)
    assert "html" not in error.text


def test_what_may_not_be_repeated_is_asked_once(api, clock):
    api.answer = lambda _: Reply(500)
    with client(clock) as http:
        assert refused(http, Request("POST", f"{api.base}/test", repeatable=False)).reason is Reason.NETWORK
    assert len(api.asked) == 1


def test_requests_of_one_host_keep_their_distance(api, clock):
    with client(clock, per_second=0.5) as http:
        for _ in range(4):
            http.send(get(api))
    assert clock.waited == pytest.approx(6)


def test_only_what_changed_since_it_was_kept_is_asked_for(api, clock):
    api.answer = lambda request: (Reply(304) if request.headers.get("if-none-match") == '"v1"' else Reply(headers={"ETag": '"v1"'}))
    with client(clock) as http:
        first = http.send(get(api, conditional=True))
        assert not http.send(get(api, conditional=True)).unchanged  # its facts are not stored yet
        http.keep(first)
    with client(clock, http.saved()) as later:
        assert later.send(get(api, conditional=True)).unchanged
        assert later.send(get(api)).status == 200


def test_too_large_a_body_is_refused_packed_or_not(api, clock):
    for reply in (Reply(body=b"x" * 2000), packed(Reply(body=b"x" * 2_000_000))):
        api.answer = lambda _, reply=reply: reply
        with client(clock, max_body=1000 if not reply.headers else 10_000) as http:
            assert refused(http, get(api)).reason is Reason.TOO_LARGE


def test_a_packed_body_is_unpacked_and_a_broken_one_is_malformed(api, clock):
    api.answer = lambda _: packed(Reply(body={"ok": True}))
    with client(clock) as http:
        assert http.send(get(api)).json() == {"ok": True}
        api.answer = lambda _: Reply(body=b"nothing packed", headers={"Content-Encoding": "gzip"})
        assert refused(http, get(api)).reason is Reason.MALFORMED
        api.answer = lambda _: Reply(body=b"x", headers={"Content-Encoding": "br"})
        assert refused(http, get(api)).reason is Reason.MALFORMED


def test_a_cut_answer_is_asked_again_and_never_half_taken(api, clock):
    whole = {"rows": list(range(100))}
    api.answer = in_turn(Reply(body=whole, cut=50), Reply(body=gzip.compress(b"{}")[:-6], headers={"Content-Encoding": "gzip"}),
                         Reply(body=whole))
    with client(clock) as http:
        assert http.send(get(api)).json() == whole
    assert len(api.asked) == 3


def test_a_slow_answer_is_a_timeout(api, clock):
    api.answer = lambda _: Reply(after=5)
    with client(clock, timeout=timedelta(seconds=0.2), tries=1) as http:
        assert refused(http, get(api)).reason is Reason.TIMEOUT


def test_nobody_there_is_network(clock):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with client(clock, tries=2) as http:
        assert refused(http, Request("GET", url)).reason is Reason.NETWORK


def test_a_page_instead_of_data_is_a_login(api, clock):
    api.answer = lambda _: Reply(body=b"\r\n<!DOCTYPE html><title>Sign in</title>")
    with client(clock) as http, pytest.raises(CollectorError) as caught:
        http.send(get(api)).json()
    assert caught.value.reason is Reason.AUTH


def test_no_secret_is_in_an_error_a_log_or_what_is_saved(api, clock, caplog):
    secret = "k3y-of-acme-0123456789"
    api.answer = lambda request: Reply(403, {"detail": f"key {secret} is not valid", "url": f"/data?key={secret}"})
    caplog.set_level(logging.DEBUG)
    with client(clock) as http:
        http.hide(secret)
        answer = http.send(get(api, params={"key": secret}, headers={"Authorization": f"Bearer {secret}"}))
        error = http.refusal(answer)
        assert api.asked[0].query == {"key": secret}
        assert error.reason is Reason.AUTH
        api.answer = lambda _: Reply(after=5)
    with client(clock, tries=1, timeout=timedelta(seconds=0.2)) as slow:
        late = refused(slow, get(api, f"/data?key={secret}"))
    assert secret not in f"{error}{error.text}{late}{answer!r}{caplog.text}{http.saved()}{slow.saved()}"


def test_a_stopping_service_does_not_wait(api, clock):
    api.answer = lambda _: Reply(429, headers={"Retry-After": "50"})
    with client(clock, stopping=lambda: True) as http:
        assert "stopping" in refused(http, get(api)).text
    assert clock.waited == 0


@pytest.mark.parametrize("url", ["http://api.example", "https://api.example/", "https://u:p@api.example", "api.example", "https://a.example?key=1"])
def test_a_base_url_that_would_leak_or_break_is_refused(url):
    with pytest.raises(ValueError, match=r"write https|at its end"):
        checked_base(url)


def test_a_base_url_on_loopback_may_be_plain():
    assert checked_base("http://127.0.0.1:8080/api") == "http://127.0.0.1:8080/api"


def test_a_size_carries_its_unit():
    assert HttpSettings(max_body="32MiB").max_body == 32 * 1024**2
    with pytest.raises(ValueError, match="32MiB"):
        HttpSettings(max_body="32 potatoes")
