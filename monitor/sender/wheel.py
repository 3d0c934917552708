"""`python -m monitor.sender.wheel DIR`: this module and the gate as a wheel of their own, `vigie-sender`.

What a sender's machine installs: the package `vigie_sender` with the gate as `vigie_sender.gate`, under the version of the
project, the standard library and nothing else. A wheel is a zip archive with three more files (PEP 427), so that no
tool is needed to make one; the same sources give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "vigie_sender"
_FOLDERS = {"monitor/sender": PACKAGE, "monitor/gate": f"{PACKAGE}/gate"}
_LEFT_OUT = {Path(__file__).name}  # it is for whoever has the sources
_IMPORTS = ((re.compile(r"\bmonitor\.sender\b"), PACKAGE), (re.compile(r"\bmonitor\.gate\b"), f"{PACKAGE}.gate"))
_AT = (1980, 1, 1, 0, 0, 0)  # of every file in the archive
_WHEEL = "Wheel-Version: 1.0\nGenerator: vigie\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build(folder: Path) -> Path:
    """Write the wheel into `folder` and say where it is. Raises OSError."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name = f"{PACKAGE}-{project['version']}"
    files = dict(_sources())
    files[f"{name}.dist-info/METADATA"] = _metadata(project)
    files[f"{name}.dist-info/WHEEL"] = _WHEEL
    files[f"{name}.dist-info/licenses/LICENSE"] = (ROOT / "LICENSE").read_text("utf-8")
    files[f"{name}.dist-info/RECORD"] = _record(files, f"{name}.dist-info/RECORD")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            member = zipfile.ZipInfo(path, _AT)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(member, text.encode())
    return wheel


def _sources() -> Iterator[tuple[str, str]]:
    yield f"{PACKAGE}/py.typed", ""
    for folder, package in _FOLDERS.items():
        for path in sorted((ROOT / folder).glob("*.py")):
            if path.name not in _LEFT_OUT:
                text = path.read_text("utf-8")
                for pattern, new in _IMPORTS:
                    text = pattern.sub(new, text)
                yield f"{package}/{path.name}", text


def _metadata(project: dict[str, str]) -> str:
    return (
        f"Metadata-Version: 2.4\nName: vigie-sender\nVersion: {project['version']}\n"
        "Summary: What a sender runs beside its MTA: Vigie's gate, tokens and suppressions\n"
        f"License-Expression: {project['license']}\nLicense-File: LICENSE\nRequires-Python: {project['requires-python']}\n"
        "Description-Content-Type: text/markdown\n\n"
        + (ROOT / "monitor/sender/README.md").read_text("utf-8").replace("monitor.sender", PACKAGE)
    )


def _record(files: dict[str, str], own: str) -> str:
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}")
    return "\n".join([*lines, f"{own},,"]) + "\n"


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
