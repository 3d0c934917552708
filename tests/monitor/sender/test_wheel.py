"""`make sender`: the wheel installs where there is no index, needs nothing, and decides."""

import subprocess
import sys
import tomllib
import zipfile

from monitor.sender.wheel import build
from tests.places import ROOT

DECIDES = """
import json, sys
from datetime import datetime, timezone
import vigie_sender, vigie_sender.recipient, vigie_sender.suppressions, vigie_sender.token
from vigie_sender.gate import Restriction, build_index, decide, read_request
now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
index = build_index([Restriction("sus-1", {"customer": "acme"}, "hold", "complaints")], version=7, built_at=now)
words = [decide(read_request({"customer": name}), index, now).decision for name in ("acme", "bolt")]
foreign = sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"vigie_sender", "__main__"})
from vigie_sender import AsyncGate, Gate, Held
with Gate("http://127.0.0.1:9", "vigie_key") as gate:
    words += [gate.state, gate.ask(customer="acme").decision]
print(json.dumps([words, [name for name in foreign if not name.startswith("_")]]))
"""
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_it_is_installed_without_an_index_into_an_empty_environment_and_decides(tmp_path):
    wheel = build(tmp_path / "dist")
    assert wheel.name == f"vigie_sender-{VERSION}-py3-none-any.whl"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--disable-pip-version-check", wheel],
                   check=True, cwd=tmp_path)
    ran = subprocess.run([python, "-I", "-c", DECIDES], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.stdout.strip(), ran.stderr) == ('[["hold", "send", "empty", "hold"], []]', "")
    files = subprocess.run([sys.executable, "-m", "pip", "--python", python, "check", "--disable-pip-version-check"],
                           capture_output=True, text=True, check=False, cwd=tmp_path)
    assert files.returncode == 0, files.stdout


def test_nothing_in_it_names_the_service_and_the_same_sources_give_the_same_bytes(tmp_path):
    wheel, again = build(tmp_path / "one"), build(tmp_path / "two")
    assert wheel.read_bytes() == again.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}
    assert {"vigie_sender/__init__.py", "vigie_sender/token.py", "vigie_sender/gate/decide.py"} <= sources.keys()
    assert "vigie_sender/wheel.py" not in sources
    assert [name for name, text in sources.items() if "import monitor" in text or "from monitor" in text] == []
