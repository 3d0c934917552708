"""How many report mails are read per second on one core, beside other parsers over the same mails in the
same run.

`python -m tests.bench.mail` prints one JSON line. The mails are the labelled third-party ones beside the
checkout where they are, else our own cases. `stdlib` is BytesParser (compat32), walk and decode of every
part: less than what `parse` does, which also classifies, attributes and judges. A library that is not
installed gives null.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import time
import warnings
from collections.abc import Callable
from email.parser import BytesParser
from typing import Any

from collectors.mail import parse
from tests.bench.mail_accuracy import accuracy
from tests.bench.mail_attacks import attacks
from tests.places import MAIL_CASES, SHARED_DATA

SHARED = SHARED_DATA / "mail"
MAIL_TYPES = {
    "arf",
    "arf-legacy-jmrp",
    "dsn",
    "bounce-nonstandard",
    "dmarc-aggregate-mail",
    "dmarc-failure-mail",
    "tlsrpt-mail",
    "mdn",
    "xarf",
    "other",
}
ROUNDS = 7


def mails() -> list[bytes]:
    manifest = SHARED / "MANIFEST.json"
    if manifest.exists():
        items = json.loads(manifest.read_text())["items"]
        return [(SHARED / item["file"]).read_bytes() for item in items if item["type"] in MAIL_TYPES]
    return [path.read_bytes() for path in sorted(MAIL_CASES.glob("*/message.eml"))]


def stdlib(raw: bytes) -> None:
    for part in BytesParser().parsebytes(raw).walk():
        if not part.is_multipart():
            part.get_payload(decode=True)


def parsedmarc() -> Callable[[bytes], object]:
    module = importlib.import_module("parsedmarc")
    return lambda raw: module.parse_report_email(raw, offline=True)


def flufl_bounce() -> Callable[[bytes], object]:
    module = importlib.import_module("flufl.bounce")
    return lambda raw: module.all_failures(BytesParser().parsebytes(raw))


def mail_parser() -> Callable[[bytes], object]:
    module = importlib.import_module("mailparser")
    parser: Callable[[bytes], object] = module.parse_from_bytes
    return parser


OTHERS = {
    "parsedmarc": ("parsedmarc", parsedmarc),
    "flufl_bounce": ("flufl", flufl_bounce),
    "mail_parser": ("mailparser", mail_parser),
}


def seconds(read: Callable[[bytes], object], raws: list[bytes]) -> float:
    """Processor time of one pass. A parser that raises on a mail has at least tried it."""
    began = time.process_time()
    for raw in raws:
        with contextlib.suppress(Exception):
            read(raw)
    return time.process_time() - began


def run() -> dict[str, Any]:
    raws = mails()
    # by turns, because the machine is shared
    turns = [(seconds(parse, raws), seconds(stdlib, raws)) for _ in range(ROUNDS)]
    ours, theirs = (min(turn) for turn in zip(*turns, strict=True))
    ratio: dict[str, float | None] = {"stdlib": round(theirs / ours, 2)}
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            for name, (module, make) in OTHERS.items():
                installed = importlib.util.find_spec(module) is not None
                ratio[name] = round(seconds(make(), raws) / ours, 2) if installed else None
            right = accuracy(SHARED)
    finally:
        logging.disable(logging.NOTSET)
    figures = {"messages_per_second": round(len(raws) / ours), "mails": len(raws), **attacks(SHARED)}
    return {"bench": "mail", "figures": figures, "ratio": ratio, "right": right}


if __name__ == "__main__":
    print(json.dumps(run()))
