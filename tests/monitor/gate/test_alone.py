"""The gate and the sender module run where nothing is installed."""

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.places import ROOT

MONITOR = ROOT / "monitor"
ALONE = ("gate", "sender")
DECIDES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import monitor.gate, monitor.sender, monitor.sender.recipient, monitor.sender.suppressions, monitor.sender.token
from datetime import datetime, timezone
from monitor.gate import Providers, Restriction, build_index, decide, read_request

now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
index = build_index(
    [Restriction("sus-1", {"customer": "acme", "provider": "gmail"}, "hold", "complaints")], version=7, built_at=now,
    providers=Providers({"gmail.com": "gmail"}, {"google": "gmail"}),
)
fields = {"customer": "acme", "ip": "::ffff:192.0.2.7", "domain": "b\u00fccher.example"}
answers = [decide(read_request(fields | more), index, now) for more in ({"recipient_domain": "GMAIL.com"}, {"provider": "orange"})]
foreign = sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"monitor", "__main__"})
print(json.dumps({
    "decisions": [answer.decision for answer in answers], "reason": answers[0].reasons[0].text, "foreign": foreign,
    "ours": sorted({".".join(name.split(".")[:2]) for name in sys.modules if name.startswith("monitor.")}),
}))
"""


def test_a_python_with_nothing_installed_imports_both_and_decides(tmp_path: Path):
    (tmp_path / "monitor").mkdir()
    shutil.copy(MONITOR / "__init__.py", tmp_path / "monitor")
    for room in ALONE:
        shutil.copytree(MONITOR / room, tmp_path / "monitor" / room, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-I", "-S", "-c", DECIDES, tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "decisions": ["hold", "send"], "reason": "complaints", "foreign": [], "ours": ["monitor.gate", "monitor.sender"],
    }


@pytest.mark.parametrize("path", [MONITOR / "__init__.py", *(path for room in ALONE for path in (MONITOR / room).rglob("*.py"))],
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_they_import_the_standard_library_and_each_other_only(path: Path):
    modules = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.add(node.module)
    allowed = {"monitor.gate"} | ({"monitor.sender"} if path.parent.name == "sender" else set())
    ours = {".".join(name.split(".")[:2]) for name in modules if name.partition(".")[0] == "monitor"}
    assert ours <= allowed
    assert {name.partition(".")[0] for name in modules} - {"monitor"} <= sys.stdlib_module_names


def test_the_linter_forbids_them_every_room_of_ours():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if "monitor.gate" in each.get("source_modules", ()))
    rooms = {f"monitor.{path.stem}" for path in MONITOR.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(contract["forbidden_modules"]) == {"collectors", "dashboards"} | (
        rooms - {"monitor.gate", "monitor.sender", "monitor.__init__", "monitor.__main__"}
    )
