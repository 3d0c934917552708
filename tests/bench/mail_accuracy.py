"""How often a parser reads right what the labelled mails beside the checkout say: the other half of a speed."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable
from email.parser import BytesParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from collectors.mail import parse

Labelled = list[tuple[bytes, Any]]


def accuracy(data: Path) -> dict[str, dict[str, str]]:
    """Per question and parser `right of all`; empty where the labelled mails are absent."""
    manifest = data / "MANIFEST.json"
    if not manifest.exists():
        return {}
    items = json.loads(manifest.read_text())["items"]
    bounces = [(_raw(data, item), _lower(label["addresses"])) for item in items
               if (label := item.get("expected_upstream") or {}).get("addresses") and label.get("is_bounce", True)]
    reports = [(_raw(data, item), label["report_id"]) for item in items
               if item["type"].startswith("dmarc-aggregate") and (label := item.get("expected_derived") or {}).get("report_id")]
    return {
        "bounce_recipients": {
            "vigie": _score(bounces, lambda raw: _lower(each.address for each in parse(raw).recipients), set.issubset),
            **_installed("flufl_bounce", "flufl", bounces, _flufl, set.issubset),
        },
        "dmarc_reports": {
            "vigie": _score(reports, lambda raw: (report := parse(raw).report) and report.id, str.__eq__),
            **_installed("parsedmarc", "parsedmarc", reports, _parsedmarc, str.__eq__),
        },
    }


def _installed(
    name: str, module: str, labelled: Labelled, make: Callable[[], Callable[[bytes], Any]], right: Callable[[Any, Any], bool]
) -> dict[str, str]:
    return {name: _score(labelled, make(), right)} if find_spec(module) else {}


def _score(labelled: Labelled, read: Callable[[bytes], Any], right: Callable[[Any, Any], bool]) -> str:
    count = 0
    for raw, label in labelled:
        with contextlib.suppress(Exception):  # a parser that raises has not read it
            count += bool(right(label, read(raw)))
    return f"{count} of {len(labelled)}"


def _flufl() -> Callable[[bytes], set[str]]:
    module = import_module("flufl.bounce")
    return lambda raw: _lower(each.decode() for each in module.all_failures(BytesParser().parsebytes(raw))[1])


def _parsedmarc() -> Callable[[bytes], Any]:
    module = import_module("parsedmarc")
    return lambda raw: module.parse_report_file(raw, offline=True)["report"]["report_metadata"]["report_id"]


def _raw(data: Path, item: dict[str, Any]) -> bytes:
    return (data / item["file"]).read_bytes()


def _lower(addresses: Iterable[str]) -> set[str]:
    return {re.sub(r"[<>\s]", "", address).lower() for address in addresses}
