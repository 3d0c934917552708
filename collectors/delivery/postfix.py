"""Postfix's log: one outcome a `to=` line, joined with the lines of the same queue id before it.

Source: Postfix 3.12 (log_adhoc.c, bounce.c, defer.c, sent.c, qmgr_active.c, cleanup_milter.c). Short queue ids are used again: a mail
ends at `removed`, and a new `client=`, `uid=` or Message-ID begins another one. `expired` stands on a line without a recipient: it
holds for every recipient still deferred. What the queue manager gives back without trying (programs `error` and `retry`) is no
attempt; probes of addresses are no mail; what came in (postscreen, NOQUEUE, rejects) is ignored by the program.

May be wrong: a line does not show the sending address, `transports` of the configuration do; a content filter that is reached by SMTP
counts as a receiver; a mail whose first lines are in a log that was not given has no Message-ID; a line cut by the system's
log (1,024 or 2,048 bytes) loses the end of its reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from collectors.delivery.fields import LONGEST_NAME, LONGEST_TEXT, mail_address, reply_code
from collectors.delivery.open_messages import OpenMessages
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.delivery.syslog import LogLine, log_line
from collectors.replies.judgement_table import Category

FORMAT = "postfix"
Key = tuple[str, str, str]  # host, instance, queue id
_QUEUE_ID = re.compile(r"(?P<id>[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]+): (?P<rest>.*)", re.DOTALL)
_TO = re.compile(
    r"to=<(?P<to>.*?)>, (?:orig_to=<.*?>, )?relay=(?P<relay>.*?), (?:[a-z_]+=[^,]*, )*?dsn=(?P<dsn>\d\.\d{1,3}\.\d{1,3}), "
    r"status=(?P<word>[A-Za-z]+) \((?P<text>.*)", re.DOTALL
)
_EXPIRED = re.compile(r"from=<(?P<sender>.*?)>, status=(?:force-)?expired, returned to sender")
_ACTIVE = re.compile(r"from=<(?P<sender>.*?)>, size=\d+, nrcpt=\d+ \(queue active\)")
_MESSAGE_ID = re.compile(r"(?P<resent>resent-)?message-id=(?P<id>.*)", re.DOTALL)
_NOTICE = re.compile(r"(?:sender|postmaster) .*notification: \S+")
_LOGIN = re.compile(r"sasl_username=([^,\s]+)")
_BY_MILTER = re.compile(r"milter-(?P<what>reject|discard|hold): \S+ from .*?: (?P<text>.*?)(?:; from=<(?P<sender>.*?)>)?(?: to=<(?P<to>.*?)>)?(?: proto=|$)")
_BY_CLEANUP = re.compile(r"(?P<what>reject|discard|hold): .*?; from=<(?P<sender>.*?)> to=<(?P<to>.*?)>[^:]*: (?P<text>.*)")
_ANSWERED = re.compile(r"(?:said|refused to talk to me): (?P<code>[245]\d\d)\b")
_WORDS: Mapping[str, Outcome] = {
    "sent": Outcome.DELIVERED, "bounced": Outcome.BOUNCED, "deferred": Outcome.DEFERRED, "SOFTBOUNCE": Outcome.DEFERRED,
}
_SUBMISSION = {"reject": Outcome.REFUSED_BY_US, "discard": Outcome.REFUSED_BY_US, "hold": Outcome.HELD_BY_US}
_PROBES = frozenset({"deliverable", "undeliverable"})
_NO_ATTEMPT = frozenset({"error", "retry"})
_NOT_SMTP = frozenset({"local", "virtual", "pipe", "discard", "lmtp"})
_SERVICES = _NO_ATTEMPT | _NOT_SMTP | {"smtp"}
_CUT = "cut short"
_LONGEST_WHOLE = 900  # bytes; syslog cuts longer lines at 1,024 or 2,048


class Postfix:
    """Reads the lines of one or more machines' logs in their order."""

    def __init__(self) -> None:
        self._messages: OpenMessages[Key] = OpenMessages()
        self._written_on = datetime(1970, 1, 1, tzinfo=UTC)

    def begin(self, written_at: datetime, *, goes_on: bool = False) -> None:  # noqa: ARG002 - a log goes on in the next file
        """The mails on their way stay: a log goes on in the next file."""
        self._written_on = written_at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def __call__(self, record: bytes) -> Read:
        try:
            line = log_line(record.decode("utf-8", "replace"), self._written_on)
        except ValueError as error:
            return Unreadable(str(error))
        instance, *rest = line.tag.split("/")
        service = rest[-1] if rest else ""
        if not instance.startswith("postfix") or not service:
            return Ignored(line.tag.partition("/")[0][:LONGEST_NAME] or "syslog")
        hit = _QUEUE_ID.fullmatch(line.text)
        if hit is None:
            return Ignored(service[:LONGEST_NAME])
        return self._about(line, service, (line.host, instance, hit["id"]), hit["rest"])

    def _about(self, line: LogLine, service: str, key: Key, text: str) -> Read:
        if text.startswith("to=<"):
            return self._recipient(line, service, key, text)
        read = _BY_SERVICE.get(service)
        return read(self, line, key, text) if read else Ignored(service[:LONGEST_NAME])

    def _recipient(self, line: LogLine, service: str, key: Key, text: str) -> Read:
        hit = _TO.fullmatch(text)
        if hit is None:
            return Unreadable(_CUT if "status=" not in text else "no line of an attempt as Postfix writes it")
        if not hit["text"].endswith(")") and len(text.encode()) < _LONGEST_WHOLE:
            return Unreadable(_CUT)
        if hit["word"] in _PROBES:
            return Ignored("address probe")
        outcome = _WORDS.get(hit["word"])
        if outcome is None:
            return Ignored(f"status={hit['word']}"[:LONGEST_NAME])
        message, recipient = self._messages.known(key), hit["to"]
        reply, host = hit["text"].removesuffix(")"), _host(hit["relay"])
        if outcome is Outcome.DEFERRED:
            message.deferred(recipient, hit["dsn"], reply, host)
        else:
            message.done(recipient)
        if service in _NOT_SMTP:
            return Ignored(service)
        if service in _NO_ATTEMPT:
            outcome = Outcome.NOT_ATTEMPTED
        return [self._event(line, key, outcome, recipient, (hit["dsn"], reply, host))]

    def _event(
        self, line: LogLine, key: Key, outcome: Outcome, recipient: str | None, answer: tuple[str | None, str | None, str | None]
    ) -> Event:
        message, (status, text, host) = self._messages.known(key), answer
        answer_code = _ANSWERED.search(text or "")
        return Event(
            outcome, line.at, mail_address(recipient), sender=message.sender, names=message.names, source=_transport(line.tag), mx=host,
            message_id=message.message_id, status=status, reply_code=answer_code["code"] if answer_code else reply_code(text or ""),
            text=(text or "")[:LONGEST_TEXT] or None, category=Category.EXPIRED if outcome is Outcome.EXPIRED else None,
            node=line.host,
        )  # fmt: skip

    def _queue_manager(self, line: LogLine, key: Key, text: str) -> Read:
        if text == "removed":
            self._messages.end(key)
            return []
        if active := _ACTIVE.fullmatch(text):
            self._messages.known(key).sender = mail_address(active["sender"])
            return []
        if expired := _EXPIRED.match(text):
            return self._expired(line, key, expired["sender"])
        return Unreadable(_CUT) if text.startswith("from=<") else Ignored("qmgr")

    def _expired(self, line: LogLine, key: Key, sender: str) -> Read:
        """Of a mail whose attempts are not in this log, at least one recipient's."""
        message = self._messages.known(key)
        message.sender = message.sender or mail_address(sender)
        if not message.waiting:
            return [self._event(line, key, Outcome.EXPIRED, None, (None, None, None))]
        return [self._event(line, key, Outcome.EXPIRED, recipient, answer) for recipient, answer in message.waiting.items()]

    def _received(self, line: LogLine, key: Key, text: str) -> Read:
        if not text.startswith(("client=", "uid=")):
            return Ignored(line.tag.rpartition("/")[2][:LONGEST_NAME])
        message = self._messages.begin(key)
        if login := _LOGIN.search(text):
            message.names["meta:sasl_username"] = login[1][:LONGEST_NAME]
        return []

    def _cleanup(self, line: LogLine, key: Key, text: str) -> Read:
        if stated := _MESSAGE_ID.fullmatch(text):
            return self._message_id(key, stated["id"].strip().strip("<>") or None, resent=bool(stated["resent"]))
        refused = _BY_MILTER.match(text) or _BY_CLEANUP.match(text)
        if refused is None:
            return Ignored("cleanup")
        message = self._messages.known(key)
        message.sender = message.sender or mail_address(refused["sender"])
        return [self._event(line, key, _SUBMISSION[refused["what"]], refused["to"], (None, refused["text"], None))]

    def _message_id(self, key: Key, message_id: str | None, *, resent: bool) -> Read:
        message = self._messages.known(key)
        if message.message_id is not None and message.message_id != message_id and not resent:
            message = self._messages.begin(key)  # the id of another mail: this queue id was used again
        if not resent:
            message.message_id = message_id
        return []

    def _bounce(self, _line: LogLine, _key: Key, text: str) -> Read:
        return [] if _NOTICE.match(text) else Ignored("bounce")


_BY_SERVICE: Mapping[str, Callable[[Postfix, LogLine, Key, str], Read]] = {
    "qmgr": Postfix._queue_manager,  # noqa: SLF001 - the table of its own methods
    "nqmgr": Postfix._queue_manager,  # noqa: SLF001
    "smtpd": Postfix._received,  # noqa: SLF001
    "qmqpd": Postfix._received,  # noqa: SLF001
    "pickup": Postfix._received,  # noqa: SLF001
    "cleanup": Postfix._cleanup,  # noqa: SLF001
    "bounce": Postfix._bounce,  # noqa: SLF001
}


def _host(relay: str) -> str | None:
    """The name in `host[ip]:25`; None for `none`, `local` and an address without a name."""
    name = relay.partition("[")[0]
    return name if "[" in relay and name else None


def _transport(tag: str) -> str:
    """What a `transports` setting names: the middle of `postfix/out7/smtp`, the last part of `postfix/smtp-out7`, else the instance."""
    instance, *rest = tag.split("/")
    if len(rest) > 1:
        return rest[0]
    return rest[0] if rest[0] not in _SERVICES else instance
