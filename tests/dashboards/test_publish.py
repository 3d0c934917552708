"""Publishing with the real grafana-client against a server that answers as Grafana does; in an environment of its own."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from typing import NamedTuple

import pytest
import urllib3
from click.testing import CliRunner

from dashboards.boards import BOARDS
from monitor.commands.dashboards import dashboards
from tests.places import ROOT
from tests.servers.grafana import GrafanaServer

PYTHON = ROOT / ".venv" / "grafana" / "bin" / "python"
pytestmark = pytest.mark.real("grafana-client")


@pytest.fixture
def grafana(request):
    server = GrafanaServer(getattr(request, "param", ""))
    yield server
    server.close()


class Answer(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def vigie():
    """The command in the environment that has grafana-client, one process for all calls."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        [PYTHON, "-m", "tests.dashboards.driver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:

        def run(*arguments: str, token: str = "editor") -> Answer:
            process.stdin.write(json.dumps([arguments, token]) + "\n")
            process.stdin.flush()
            return Answer(*json.loads(process.stdout.readline()))

        yield run
        process.stdin.close()


@pytest.mark.parametrize("grafana", ["", "/grafana"], ids=["at the root", "under a path"], indirect=True)
def test_boards_are_made_once_and_left_alone_after(vigie, grafana):
    first = vigie("publish", "--url", grafana.url)
    assert (first.returncode, first.stdout.split("\n")[0]) == (0, "vigie-blocks created"), first.stderr
    assert "Grafana 13.2.3" in first.stderr
    assert len(grafana.boards) == len(BOARDS)
    assert {each["meta"]["folderUid"] for each in grafana.boards.values()} == {"vigie"}
    grafana.calls.clear()
    again = vigie("publish", "--url", grafana.url)
    assert {line.split()[1] for line in again.stdout.splitlines()} == {"unchanged"}
    assert not [call for call in grafana.calls if call[0] == "POST"]


def test_a_dry_run_writes_nothing_and_a_changed_or_moved_board_is_brought_back(vigie, grafana):
    dry = vigie("publish", "--url", grafana.url, "--dry-run")
    assert dry.returncode == 0
    assert "vigie-gate would be created" in dry.stdout
    assert (grafana.boards, grafana.folders) == ({}, {})
    vigie("publish", "--url", grafana.url)
    grafana.boards["vigie-gate"]["dashboard"]["title"] = "mine"
    grafana.boards["vigie-ip"]["meta"]["folderUid"] = "elsewhere"
    lines = vigie("publish", "--url", grafana.url).stdout.splitlines()
    assert [line for line in lines if not line.endswith("unchanged")] == ["vigie-gate updated", "vigie-ip moved"]
    assert grafana.boards["vigie-gate"]["dashboard"]["title"] == "Vigie: gate"
    assert grafana.boards["vigie-ip"]["meta"]["folderUid"] == "vigie"


def test_what_is_not_ours_or_comes_from_a_file_is_not_touched(vigie, grafana):
    vigie("publish", "--url", grafana.url)
    grafana.boards["vigie-blocks"]["meta"]["provisioned"] = True
    refused = vigie("publish", "--url", grafana.url)
    assert (refused.returncode, "comes from a file there" in refused.stderr) == (3, True)
    grafana.boards["vigie-blocks"] = {"meta": {}, "dashboard": {"uid": "vigie-blocks", "title": "theirs", "tags": [], "version": 4, "id": 1}}
    assert "not ours" in vigie("publish", "--url", grafana.url).stderr


@pytest.mark.parametrize(("token", "words"), [("nosuch", "the token is not accepted"), ("viewer", "needs the role Editor")])
def test_a_token_that_may_not_is_said_and_never_shown(vigie, grafana, token, words):
    refused = vigie("publish", "--url", grafana.url, token=token)
    assert refused.returncode == 3
    assert words in refused.stderr
    assert token not in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, b'{"message": "database is locked"}'), "Grafana answered 500: database is locked"),
        ((200, b"<html>hello</html>"), "no Grafana"),
        ((404, b'{"message": "Not found"}'), "is the path right?"),
        ((429, b'{"message": "slow down"}'), "fewer requests"),
    ],
)
def test_every_answer_that_is_no_success_is_a_sentence(vigie, grafana, answer, words):
    grafana.answer = answer
    refused = vigie("publish", "--url", grafana.url)
    assert (refused.returncode, words in refused.stderr, "Traceback" in refused.stderr) == (3, True, False), refused.stderr


def test_a_grafana_that_is_not_there_is_said(vigie, grafana):
    grafana.close()
    refused = vigie("publish", "--url", grafana.url)
    assert refused.returncode == 3
    assert "cannot be reached" in refused.stderr


def test_a_board_saved_by_somebody_between_is_kept_unless_asked(vigie, grafana, monkeypatch):
    vigie("publish", "--url", grafana.url)
    real = grafana.board

    def saved_between(uid):
        status, kept = real(uid)
        if uid == "vigie-gate" and status == 200:
            seen = json.loads(json.dumps(kept))
            seen["dashboard"]["version"] -= 1
            seen["dashboard"]["title"] = "as it was"
            return status, seen
        return status, kept

    monkeypatch.setattr(grafana, "board", saved_between)
    refused = vigie("publish", "--url", grafana.url)
    assert "changed in Grafana since" in refused.stderr
    assert "vigie-gate updated" in vigie("publish", "--url", grafana.url, "--overwrite").stdout


def test_the_service_never_imports_the_client_and_keeps_the_real_urllib3():
    code = "import sys, monitor.app, monitor.cli; sys.exit(any(name in sys.modules for name in ('grafana_client', 'niquests')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert vars(urllib3)["__version__"] == version("urllib3"), "grafana-client is in this environment: make a new .venv"


def test_without_the_client_publishing_says_how_to_get_it():
    refused = CliRunner().invoke(dashboards, ["publish", "--url", "http://127.0.0.1:1"], env={"GRAFANA_TOKEN": "x"})
    assert refused.exit_code == 3
    assert "make grafana" in refused.stderr
