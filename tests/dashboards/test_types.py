"""Every board and the options of each of its panels are of the types that Grafana's own front end is compiled with (npm @grafana/schema)."""

import json
import subprocess
from pathlib import Path

import pytest

from dashboards.build import GENERATED

NODE = Path(__file__).parent / "node"
pytestmark = pytest.mark.real("tsc")

_RAW = "./node_modules/@grafana/schema/dist/types/raw"  # its files of panels are not among what the package exports
_KINDS = ("barchart", "stat", "table", "text", "timeseries")
# JSON has words where TypeScript has enums; what is left out has a default
_HEAD = f"""\
import type {{ Dashboard }} from '{_RAW}/dashboard/x/types.gen';
{"".join(f"import type * as {kind} from '{_RAW}/composable/{kind}/panelcfg/x/types.gen';{chr(10)}" for kind in _KINDS)}
type Json<T> = T extends string ? `${{T}}` : T extends (infer U)[] ? Json<U>[] : T extends object ? {{ [K in keyof T]?: Json<T[K]> }} : T;
"""


def _typescript(document):
    for note in document["annotations"]["list"]:
        del note["target"]  # typed for Grafana's own annotations only; of SQL it is the query (dashboards/check.py looks at that)
    lines = [_HEAD, f"export const board: Json<Dashboard> = {json.dumps(document)};"]
    for number, panel in enumerate(each for each in document["panels"] if each["type"] != "row"):
        kind = panel["type"]
        lines.append(f"export const options{number}: Json<{kind}.Options> = {json.dumps(panel.get('options') or {})};")
        custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom")
        if custom:
            lines.append(f"export const custom{number}: Json<{kind}.FieldConfig> = {json.dumps(custom)};")
    return "\n".join(lines)


def _checked(folder, sources):
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    for name, text in sources.items():
        (folder / f"{name}.ts").write_text(text)
    compiler = NODE / "node_modules" / ".bin" / "tsc"
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler", "--preserveSymlinks"]
    return subprocess.run([compiler, *options, *(f"{name}.ts" for name in sources)], capture_output=True, text=True, cwd=folder, check=False)


def test_every_board_is_of_grafanas_types(tmp_path):
    sources = {path.stem: _typescript(json.loads(path.read_text())) for path in GENERATED.glob("*.json")}
    assert len(sources) > 10
    checked = _checked(tmp_path, sources)
    assert checked.returncode == 0, checked.stdout


def test_a_wrong_word_and_an_unknown_field_are_found(tmp_path):
    board = json.loads((GENERATED / "gate.json").read_text())
    board["nosuch"] = 1
    chart = next(each for each in board["panels"] if each["type"] == "timeseries")
    chart["options"]["legend"]["displayMode"] = "hologram"
    checked = _checked(tmp_path, {"wrong": _typescript(board)})
    assert checked.returncode != 0
    assert '"nosuch"' in checked.stdout
    assert '"hologram"' in checked.stdout
