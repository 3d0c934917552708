"""MailerQ's results: the JSON of a message with `results`, one entry an attempt; only the last is news.

Source: Copernica, MailerQ 5.6, JSON results. An attempt was accepted only where its state is `message` or later; `process/timeout` is an
expiry; what failed at our own side (`dns`, `bind`, `storage`, `process`) was no attempt at the provider. Times have no zone: this
machine's is taken.

May be wrong: who looks at the queue of retries and at the results sees an attempt twice; each is another JSON text, so post one of
the two only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from collectors.delivery.fields import (
    LONGEST_NAME,
    LONGEST_TEXT,
    ip_of,
    mail_address,
    stated_time,
    status_code,
)
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.replies.judgement_table import Category

FORMAT = "mailerq"
_OURS = frozenset({"bind", "storage", "process", "rule", "inline", "pause"})


def read(line: bytes) -> Read:
    """One message. Never raises."""
    try:
        return _read(orjson.loads(line))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError) as error:
        return Unreadable(f"{error.args[0]}: missing" if isinstance(error, KeyError) else f"not a result of MailerQ: {error}")


def _read(message: Mapping[str, Any]) -> Read:
    results = message["results"]
    if not isinstance(results, list):
        raise TypeError("results: a list is wanted")
    if not results:
        return Ignored("no attempt")
    last = results[-1]
    state, result, code = str(last["state"]), str(last["result"]), _code(last.get("code"))
    outcome = _outcome(state, result, code)
    if outcome is None:
        return Ignored(f"{state}/{result}"[:LONGEST_NAME])
    text = last.get("description")
    text = text if isinstance(text, str) else ""
    mta = last.get("mta")
    return [Event(
        outcome, stated_time(str(last["time"])), mail_address(message.get("recipient")), sender=mail_address(message.get("envelope")),
        names=_names(message), ip=ip_of(last.get("from")), mx=mta if isinstance(mta, str) else None, message_id=_text(message.get("message-id")),
        status=status_code(_text(last.get("status"))), reply_code=code, text=text[:LONGEST_TEXT] or None,
        category=Category.EXPIRED if outcome is Outcome.EXPIRED else Category.DOMAIN_NOT_FOUND if state == "dns" and outcome is Outcome.BOUNCED else None,
    )]  # fmt: skip


def _outcome(state: str, result: str, code: str | None) -> Outcome | None:
    if result == "accepted":
        return Outcome.DELIVERED if state == "message" else None
    if (state, result) == ("process", "timeout"):
        return Outcome.EXPIRED
    if state in _OURS:
        return Outcome.NOT_ATTEMPTED
    if result == "error" and code and code.startswith("5"):
        return Outcome.BOUNCED
    if result == "error" and state == "dns":
        return Outcome.NOT_ATTEMPTED
    return Outcome.DEFERRED if result in ("error", "timeout", "lost", "invalid") else None


def _code(stated: Any) -> str | None:
    text = str(stated) if isinstance(stated, int | str) and not isinstance(stated, bool) else ""
    return text if len(text) == 3 and text.isascii() and text.isdigit() and text[0] in "245" else None


def _names(message: Mapping[str, Any]) -> dict[str, str]:
    """Tags and own properties of the message, for the operator's mapping."""
    tags = message.get("tags")
    names = {f"meta:{name}": value for name, value in message.items() if isinstance(value, str) and name not in ("mime", "recipient", "envelope")}
    if isinstance(tags, list) and tags and isinstance(tags[0], str):
        names["campaign"] = tags[0]
    return {name: value[:LONGEST_NAME] for name, value in names.items() if value}


def _text(value: Any) -> str | None:
    return value.strip("<> ") or None if isinstance(value, str) else None
