import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from monitor.api import serve
from monitor.api.serve import AddressError
from tests.waiting import PATIENCE_SECONDS, ended, eventually, free_port


async def _app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


def test_it_answers_until_asked_to_stop_and_says_where(capfd):
    port, stop, answers = free_port(), threading.Event(), []
    thread = threading.Thread(target=serve, args=(_quiet_lifespan, "127.0.0.1", port, stop))
    thread.start()
    written = []
    eventually(lambda: written.append(capfd.readouterr().err) or "".join(written).endswith("\n"))
    answers.append(httpx.get(f"http://127.0.0.1:{port}/").text)
    stop.set()
    assert ended(thread)
    assert answers == ["here"]
    assert "".join(written) == f"Vigie answers on http://127.0.0.1:{port}\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0"])
def test_it_listens_where_it_is_configured_by_name_or_address(host):
    port, stop, ready = free_port(), threading.Event(), threading.Event()
    serving = threading.Thread(target=serve, args=(_quiet_lifespan, host, port, stop), kwargs={"on_ready": ready.set})
    serving.start()
    assert ready.wait(PATIENCE_SECONDS)
    assert httpx.get(f"http://localhost:{port}/").text == "here"
    stop.set()
    assert ended(serving)


def test_an_address_of_another_machine_is_said_at_once():
    with pytest.raises(AddressError, match="cannot listen on"):
        serve(_app, "192.0.2.1", free_port(), threading.Event())


def test_a_port_in_use_is_said_at_once():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(AddressError, match=r"cannot listen on .*in use"):
            serve(_app, "127.0.0.1", other.getsockname()[1], threading.Event())


def test_a_request_under_way_is_answered_before_it_stops():
    port, stop, ready, called = free_port(), threading.Event(), threading.Event(), threading.Event()

    async def slow(scope, receive, send):
        if scope["type"] == "http":
            called.set()
            await asyncio.to_thread(stop.wait, PATIENCE_SECONDS)
            await asyncio.sleep(0.5)  # the server has begun to stop by now, or will while this is answered
        await _quiet_lifespan(scope, receive, send)

    serving = threading.Thread(target=serve, args=(slow, "127.0.0.1", port, stop), kwargs={"on_ready": ready.set})
    serving.start()
    assert ready.wait(PATIENCE_SECONDS)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(httpx.get, f"http://127.0.0.1:{port}/")
        assert called.wait(PATIENCE_SECONDS)
        stop.set()
        assert answer.result(PATIENCE_SECONDS).text == "here"
    assert ended(serving)


def test_no_more_connections_are_open_at_once_than_are_allowed_half_open_ones_too():
    port, stop, ready = free_port(), threading.Event(), threading.Event()
    serving = threading.Thread(target=serve, args=(_quiet_lifespan, "127.0.0.1", port, stop),
                               kwargs={"on_ready": ready.set, "connections": 4})
    serving.start()
    assert ready.wait(PATIENCE_SECONDS)
    half_open = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    for sock in half_open:
        sock.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    with socket.create_connection(("127.0.0.1", port)) as fifth:
        fifth.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        fifth.settimeout(0.5)
        with pytest.raises(TimeoutError):
            fifth.recv(1)
        half_open.pop().close()
        fifth.settimeout(PATIENCE_SECONDS)
        assert fifth.recv(15) == b"HTTP/1.1 200 OK"
    for sock in half_open:
        sock.close()
    stop.set()
    assert ended(serving)


async def _quiet_lifespan(scope, receive, send):
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await _app(scope, receive, send)
