"""`vigie notify test` against a real receiver on loopback, and one that is not there."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from monitor.cli import cli


@pytest.fixture
def receiver():
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def call(tmp_path, url, name):
    config = tmp_path / "vigie.yaml"
    config.write_text(json.dumps({"engine": {"url": "sqlite:///x.sqlite"}, "receivers": [{"name": "hook", "url": url}]}))
    return CliRunner().invoke(cli, ["notify", "test", name, "--config", str(config)])


def test_a_test_message_arrives_and_says_that_nothing_is_wrong(tmp_path, receiver):
    url, bodies = receiver
    result = call(tmp_path, url, "hook")
    assert (result.exit_code, result.output) == (0, "delivered to hook\n")
    assert "Nothing is wrong" in bodies[0]["message"]


def test_one_that_is_not_delivered_ends_with_3(tmp_path):
    result = call(tmp_path, "http://127.0.0.1:1/hook", "hook")
    assert result.exit_code == 3
    assert "not delivered" in result.output


def test_an_unknown_name_and_an_address_nobody_understands_end_with_2(tmp_path):
    assert "did you mean 'hook'?" in call(tmp_path, "http://127.0.0.1:1/hook", "hok").output
    result = call(tmp_path, "slakc://x/y", "hook")
    assert result.exit_code == 2
    assert "receivers[0].url: receiver hook: Apprise does not understand this slakc:// address" in result.output
