"""Words that code, messages, pages and docs do without; `python -m tests.words` says where they stand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.places import ROOT

# said nowhere → what is said instead (README of the words: one per thing, the field's own first)
INSTEAD = {
    "brake": "restriction, suspension", "brakes": "restrictions, suspensions", "braking": "restricting", "braked": "restricted",
    "told": "notified, given, reported", "tell": "notify, report, say", "tells": "reports, says", "telling": "notifying",
    "clue": "identifier", "clues": "identifiers", "desk": "abuse cases", "waist": "", "door": "client",
    "mend": "repair", "mends": "repairs", "mended": "repaired", "heal": "recover", "heals": "recovers",
    "healed": "recovered", "grown": "", "blindness": "own health",
    "untold": "unattributed",
}
NO_NAMES = frozenset({"said", "one", "found", "asked", "told"})  # of variables and parameters
_SUFFIXES = {".py", ".md", ".html", ".css", ".yaml", ".toml", ".yml"}
# what others wrote: mails, texts of mail systems, the words of lists; migrations, which never change, and their tests; and these words
_OTHERS = re.compile(
    r"monitor/database/migrations/versions/|tests/monitor/database/test_(words|plain_words|dimensions)_migration\.py|tests/(test_)?words\.py"
    r"|tests/.*/cases/|tests/monitor/config/invalid/|collectors/replies/.*\.yaml|collectors/dnsbl/catalogue\.json"
)
_FIXED = re.compile(r"\.tell\(\)")  # Python's place in a file
_CODE = re.compile(r"`[^`]*`")  # in the change log: names as they were, for whoever has to replace them


__all__ = ["ROOT", "faults", "files"]


def files() -> list[str]:
    """Paths of all texts of ours, from the root."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\n")
    ours = [name for name in tracked if Path(name).suffix in _SUFFIXES and not _OTHERS.match(name)]
    return sorted(name for name in ours if (ROOT / name).exists())


def faults(name: str) -> list[str]:
    """What a file says that it should not, with its lines."""
    text = (ROOT / name).read_text("utf-8")
    if name == "CHANGELOG.md":
        text = _CODE.sub(lambda code: "\n" * code[0].count("\n"), text)
    lines = [f"{name}:{number}: {word} (say: {INSTEAD[word]})" if INSTEAD[word] else f"{name}:{number}: {word}"
             for number, line in enumerate(text.splitlines(), 1) for word in _parts(line) if word in INSTEAD]
    return lines + [f"{name}:{line}: a variable named {word}" for line, word in _names(name, text) if name.endswith(".py")]


def _parts(line: str) -> Iterator[str]:
    """The words of a line, names taken apart: `MailboxDoor`, `desk_pages`."""
    for run in re.findall(r"[A-Za-z]+", _FIXED.sub("", line)):
        yield from (part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", run))


def _names(name: str, text: str) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in NO_NAMES:
            yield node.lineno, node.id
        elif isinstance(node, ast.arg) and node.arg in NO_NAMES:
            yield node.lineno, node.arg


def main() -> int:
    lines = [line for name in files() for line in faults(name)]
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
