"""Exim's main log: `=>`, `->`, `>>` delivered, `**` failed, `==` deferred; joined with the `<=` line of the same message.

Source: Exim 4.96, specification, chapter "Log files". A line is `YYYY-MM-DD HH:MM:SS[.mmm] [±hhmm] [pid] MSGID FLAG …`; through syslog
with that system's beginning before it. A message id has 16 characters, from 4.97 on 23. `retry time not reached` is no attempt. The
sending address (`I=`) stands there only with the log selectors `outgoing_interface` and `incoming_interface`.

May be wrong: without the selector `received_recipients` and `sender_on_delivery` a mail whose `<=` line was not given has no sender; a
554 greeting is final here where other systems defer.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from collectors.delivery.fields import (
    LONGEST_NAME,
    LONGEST_TEXT,
    ip_of,
    mail_address,
    reply_code,
    stated_time,
    status_code,
)
from collectors.delivery.open_messages import OpenMessages
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.delivery.syslog import log_line
from collectors.replies.judgement_table import Category

FORMAT = "exim"
_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?) (?:\[\d+\] )?(?P<rest>.+)", re.DOTALL
)
_ABOUT = re.compile(r"(?P<id>[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4}) (?P<rest>.*)", re.DOTALL)
_FLAG = re.compile(r"(?P<flag><=|=>|->|>>|\*\*|==|\*>|\(=\)) (?P<rest>.+)", re.DOTALL)
_ADDRESS = re.compile(r'(?P<to>"(?:[^"\\]|\\.)*"@\S+|\S+?)(?=:? |:?$)(?: <(?P<original>[^>]*)>)?')
_FIELD = re.compile(r"(?<= )(R|T|F|P|I|H|X|C|id|U|A)=(\"(?:[^\"\\]|\\.)*\"|\[[^\]]*\](?::\d+)?|\S+)")
_HOST = re.compile(r"host (?P<name>\S+) \[(?P<ip>[0-9a-fA-F.:]+)\](?::\d+)?")
_MAILER = re.compile(r" H=(?P<name>\S+)")
_REPLY = re.compile(r"(?:\[[^\]]+\](?::\d+)?|after [^:]*(?::<[^>]*>)?[^:]*|host [^:]+): (?P<reply>[245]\d\d[ -].*)", re.DOTALL)
_AFTER = re.compile(r"(?: (?:DT|QT|RT)=\S+)+$")
_NO_ATTEMPT = ("retry time not reached", "queue_domains", "queue_smtp", "routing deferred", "serialization")
_EXPIRED = "retry timeout exceeded"
_LOCAL = frozenset({"local_delivery", "address_file", "address_pipe", "address_reply", "mail_spool", "maildir_home", "procmail_pipe", "lmtp_delivery"})
_OUTCOMES = {"=>": Outcome.DELIVERED, "->": Outcome.DELIVERED, ">>": Outcome.DELIVERED, "**": Outcome.BOUNCED, "==": Outcome.DEFERRED}
_CUT = "cut short"


class Exim:
    """Reads the lines of one machine's main log in their order."""

    def __init__(self) -> None:
        self._messages: OpenMessages[str] = OpenMessages()
        self._written_on = datetime(1970, 1, 1, tzinfo=UTC)

    def begin(self, written_at: datetime, *, goes_on: bool = False) -> None:  # noqa: ARG002 - a log goes on in the next file
        """The mails on their way stay: a log goes on in the next file."""
        self._written_on = written_at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def __call__(self, record: bytes) -> Read:
        text, node = record.decode("utf-8", "replace"), None
        line = _LINE.fullmatch(text)
        try:
            if line is None:
                logged = log_line(text, self._written_on)
                if not logged.tag.startswith("exim"):
                    return Ignored(logged.tag[:LONGEST_NAME] or "syslog")
                line, node = _LINE.fullmatch(logged.text), logged.host
            at, rest = (stated_time(line["at"]), line["rest"]) if line else (logged.at, logged.text)
        except ValueError as error:
            return Unreadable(str(error) if line else "does not begin as a line of Exim's main log does")
        about = _ABOUT.fullmatch(rest)
        if about is None:
            return Ignored("main log")
        return self._about(at, about["id"], about["rest"], node)

    def _about(self, at: datetime, key: str, rest: str, node: str | None) -> Read:
        if rest == "Completed" or rest.startswith("Completed "):
            self._messages.end(key)
            return []
        flagged = _FLAG.fullmatch(rest)
        if flagged is None:
            return Unreadable(_CUT) if rest.strip() in ("", "<", "=", "-", ">", "*", "<=", "=>", "->", "**", "==") else Ignored("main log")
        flag, text = flagged["flag"], flagged["rest"]
        if flag == "<=":
            return self._received(key, text)
        outcome = _OUTCOMES.get(flag)
        if outcome is None:
            return Ignored(flag)
        return self._recipient(at, key, outcome, text, node)

    def _received(self, key: str, text: str) -> Read:
        fields = dict(_FIELD.findall(f" {text}"))
        message = self._messages.known(key)  # a cutthrough delivery stands before its reception
        message.sender = mail_address(text.split(" ", 1)[0])
        message.message_id = fields.get("id", "").strip("<>") or None
        if login := fields.get("A"):
            message.names["meta:auth"] = login.rpartition(":")[2][:LONGEST_NAME]
        return []

    def _recipient(self, at: datetime, key: str, outcome: Outcome, text: str, node: str | None) -> Read:
        hit = _ADDRESS.match(text)
        if hit is None or " " not in text:
            return Unreadable(_CUT)
        rest = text[hit.end() :]
        fields = dict(_FIELD.findall(rest))
        transport = fields.get("T", "")
        if outcome is Outcome.DELIVERED and ("H" not in fields or transport in _LOCAL):
            if "R" not in fields and "T" not in fields:
                return Unreadable(_CUT)
            return Ignored(transport[:LONGEST_NAME] or "local")
        why = _AFTER.sub("", _why(rest)) if outcome is not Outcome.DELIVERED else ""
        if outcome is not Outcome.DELIVERED and not why:
            return Unreadable(_CUT)
        message = self._messages.known(key)
        outcome = _sorted(outcome, why)
        host, reply = _HOST.search(why), _REPLY.search(why)
        stated = reply["reply"] if reply else (fields.get("C", "").strip('"') if outcome is Outcome.DELIVERED else "")
        mailer = _MAILER.search(rest)
        name = (host and host["name"]) or (mailer and mailer["name"]) or ""
        recipient = hit["to"] if "@" in hit["to"] else hit["original"] or hit["to"]
        return [Event(
            outcome, at, mail_address(recipient), sender=message.sender or mail_address(fields.get("F") or fields.get("P")),
            names=message.names, ip=ip_of(fields.get("I")), source=transport or None, mx=name if "." in name and "[" not in name else None,
            message_id=message.message_id, status=status_code(stated[4:]), reply_code=reply_code(stated),
            text=why.replace("\\n", " ")[:LONGEST_TEXT] or None, category=Category.EXPIRED if outcome is Outcome.EXPIRED else None, node=node,
        )]  # fmt: skip


def _sorted(outcome: Outcome, why: str) -> Outcome:
    if outcome is Outcome.BOUNCED and _EXPIRED in why:
        return Outcome.EXPIRED
    if outcome is Outcome.DEFERRED and any(words in why for words in _NO_ATTEMPT):
        return Outcome.NOT_ATTEMPTED
    return outcome


def _why(rest: str) -> str:
    """The reason of a failure: `R=x T=y: text`, `R=x T=y defer (-53): text`, `: text`."""
    return rest.partition(": ")[2] if ": " in rest else ""
