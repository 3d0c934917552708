"""Delivery status notifications: what became of each recipient (RFC 3464, 3461, 6522, 6533).

Read as they arrive: groups without or with too many blank lines, a wrong boundary, a cut-off end, fields in
the mail's own body, a forwarded notification. The returned mail is never searched: it may itself be a
notification, about somebody else. `Original-Recipient` is preferred: it is the address we sent to.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from collectors.mail import fields, original, sources
from collectors.mail.dsn_words import Words
from collectors.mail.mime import Part
from collectors.mail.report import Kind, Recipient, Report
from collectors.replies.judgement import Judgement, judge, read_codes

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_OF_A_RECIPIENT = frozenset({
    "original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code",
    "last-attempt-date", "final-log-id", "will-retry-until", "x-actual-recipient",
})
_OF_THE_MAIL = ("original-envelope-id", "reporting-mta", "x-postfix-queue-id", "x-postfix-sender")
_NAMES = frozenset({"original-recipient", "final-recipient"})
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
# xtext of what may stand in an address: `+2B` is a plus; the `+20` of `pat+2026@` is none.
_XTEXT = re.compile(r"\+(2[1345679ABDF]|3[DF]|40|5[EF]|60|7[BCDE])")
_TAGGED = re.compile(r"\+(?!2[1345679ABDF]|3[DF]|40|5[EF]|60|7[BCDE])")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_TYPED = re.compile(r"^\s*([\w.+-]*[A-Za-z][\w.+-]*)\s*;\s*(.*)$", re.DOTALL)
_ACTIONS = {
    "failed": "failed", "failure": "failed", "fail": "failed", "delayed": "delayed", "delay": "delayed",
    "delivered": "delivered", "relayed": "relayed", "expanded": "expanded",
}
# A block of status fields somewhere in the raw mail, ending where the next part or the returned mail begins.
_LOOSE = re.compile(
    rb"^(?:Reporting-MTA|Final-Recipient|Original-Recipient)[ \t]*:.*?"
    rb"(?=^--\S|^Content-Type[ \t]*:[ \t]*(?:message/|text/rfc822)|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
# Proofpoint encodes the fields of a recipient inside the part and says so in a field before them.
_CODED = re.compile(
    rb"Content-Transfer-Encoding:[ \t]*+base64[^\n]*+\n(?:[\w-]++:[^\n]*+\n){0,9}+\r?\n([A-Za-z0-9+/=\s]++)",
    re.IGNORECASE,
)
_BY_SMTP = re.compile(r"\s*smtp\b", re.IGNORECASE)
_NO_NAME = re.compile(r"[\s/|:;,]")
_ANOTHER_LINE = re.compile(r"[45][0-9][0-9][ -]")  # of a reply, where the fold of its field was lost
_MOST_RECIPIENTS, _MOST_BLOCK, _MOST_DIAGNOSTIC = 20_000, 8_000_000, 4_000


@dataclass(slots=True)
class _Group:
    """The fields of one recipient."""

    fields: dict[str, str]

    def starts_anew(self, name: str, blank: bool) -> bool:
        """Whether a field belongs to the next recipient: it repeats one, or names one after a blank line."""
        named = _NAMES & self.fields.keys()
        return name in self.fields or (blank and name in _NAMES and bool(named) and "action" in self.fields)


def read(mail: Part) -> Report | None:
    """The notification if the mail is one; None otherwise."""
    blocks = [part.content() for part in mail.parts if part.type in _STATUS_TYPES]
    if not blocks and (mail.type.startswith("multipart/") or sources.is_from_a_system(mail)):
        blocks = [loose[0] for part in mail.parts if not part.children and (loose := _loose(part))]
    if not blocks:
        return None
    stated, groups, cut = _groups(blocks)
    words = Words(mail)
    alone = len(groups) == 1
    rows = (recipient(group.fields, words, alone=alone) for group in groups)
    recipients = _distinct(_sent_to(row, mail, alone) for row in rows if row)
    if not recipients:
        return None
    return Report(
        kind=Kind.DSN,
        recipients=recipients,
        remarks=(f"only the first {len(groups)} recipients were read",) if cut else (),
        original_headers=original.headers(mail.attached, stated),
    )


def _sent_to(row: Recipient, mail: Part, alone: bool) -> Recipient:
    """A recipient that cannot be an address ("system account", a path) is whom the returned mail was sent to."""
    broken = alone and "@" not in row.address and _NO_NAME.search(row.address)
    named = original.infer(mail.attached).original_rcpt_to if broken else ()
    return replace(row, address=named[0], final_recipient=row.address) if len(named) == 1 else row


def nameless(mail: Part) -> Report | None:
    """A notification that names nobody, neither in its fields nor in words that could be read."""
    if any(part.type in _STATUS_TYPES for part in mail.parts):
        return Report(Kind.DSN, original_headers=original.headers(mail.attached))
    return None


def rejected(part: Part, mail: Part) -> Report | None:
    """The recipient of a receipt (RFC 8098) whose words say the mail was rejected."""
    stated = {name: value for name, value, _ in fields.block(part.content()[:_MOST_BLOCK])}
    named = {name: stated[name] for name in _NAMES & stated.keys()}
    row = recipient(named | {"action": "failed"}, Words(mail))
    return Report(Kind.BOUNCE, recipients=(row,)) if row else None


def _distinct(rows: Iterable[Recipient]) -> tuple[Recipient, ...]:
    return tuple({(row.address, row.action, row.status): row for row in rows}.values())


def _groups(blocks: list[bytes]) -> tuple[dict[str, str], list[_Group], bool]:
    """Fields about the mail as a whole, those of each recipient, and whether there are more than that."""
    stated: dict[str, str] = {}
    groups: list[_Group] = []
    for block in blocks[:10]:
        group: _Group | None = None
        last = ""
        plain = _CODED.sub(lambda coded: b"\n" + fields.base64(coded[1]), block[:_MOST_BLOCK])
        for name, value, blank in fields.block(plain, strays=True):
            if not name:
                if group and last == "diagnostic-code" and _ANOTHER_LINE.match(value):
                    group.fields[last] += f" {value}"
                continue
            last = name
            if name not in _OF_A_RECIPIENT:
                if name in _OF_THE_MAIL:
                    stated.setdefault(name, _untyped(value))
                continue
            if group is None or group.starts_anew(name, blank):
                if len(groups) >= _MOST_RECIPIENTS:
                    return stated, groups, True
                group = _Group({})
                groups.append(group)
            group.fields[name] = value
    return stated, groups, any(len(block) > _MOST_BLOCK for block in blocks) or len(blocks) > 10


def _loose(part: Part) -> re.Match[bytes] | None:
    """Status fields that lost their own part, in a text or in a multipart that fell apart."""
    if not part.type.startswith(("text/", "multipart/", "message/", "application/")):
        return None
    content = part.content()[:_MOST_BLOCK]
    return _LOOSE.search(content) if b"-Recipient:" in content or b"-recipient:" in content else None


def recipient(stated: Mapping[str, str], words: Words | str, *, alone: bool = True) -> Recipient | None:
    """One recipient of a notification's fields, None when nobody is named.

    `words` are those for people; where the recipient is not `alone`, only those about its address count.
    """
    first = _address(stated.get("original-recipient", ""))
    last = _address(stated.get("final-recipient", ""))
    address = first if "@" in first else last or first or _address(stated.get("x-actual-recipient", ""))
    if not address or not {"action", "status", "diagnostic-code"} & stated.keys():
        return None  # named, and then cut off: nothing was stated about it
    field = stated.get("status", "")
    code = _STATUS.search(field)
    status = code[1] if code else None
    diagnostic = _untyped(stated.get("diagnostic-code", ""))[:_MOST_DIAGNOSTIC]
    remote = _untyped(stated.get("remote-mta", "")) or None
    judgement = _judge(status, diagnostic, remote)
    if status is not None and status.startswith("2"):
        pass  # it arrived; what the words say is not about why
    elif judgement.category == "unknown" or not diagnostic:
        about = words if isinstance(words, str) else words.about(address, alone=alone)
        comment = field[code.end() :].strip(" ()") if code else ""
        judgement = _judge(status, "\n".join(filter(None, (diagnostic, comment, about))), remote)
    elif judgement.reply_code is None and alone and _BY_SMTP.match(stated["diagnostic-code"]):
        about = words if isinstance(words, str) else words.all
        judgement = replace(judgement, reply_code=_reply_in(about[:_MOST_DIAGNOSTIC], judgement.status))
    return Recipient(
        address=address,
        action=_action(stated.get("action", ""), status),
        status=status or judgement.status,
        diagnostic=diagnostic,
        judgement=judgement,
        final_recipient=last if last != address else None,
        remote_mta=remote,
    )


@functools.lru_cache(maxsize=8)  # one notification gives thousands of recipients the same reason
def _judge(status: str | None, text: str, remote: str | None) -> Judgement:
    return judge(status, None, text, remote=remote)


@functools.lru_cache(maxsize=8)
def _reply_in(words: str, status: str | None) -> str | None:
    """The reply code the words hold, where it is of the class of the status."""
    _, reply_code = read_codes(status, None, words)
    return reply_code if reply_code and reply_code[0] == (status or "5")[0] else None


def _action(stated: str, status: str | None) -> str:
    word = re.match(r"[a-z]*", stated.strip().lower())
    if word and word[0] in _ACTIONS:
        return _ACTIONS[word[0]]
    return {"2": "delivered", "4": "delayed"}.get((status or "5")[0], "failed")


def _untyped(value: str) -> str:
    """`smtp; 550 no` → `550 no`; what has no type is kept."""
    typed = _TYPED.match(value)
    return typed[2].strip() if typed else value.strip()


def _address(value: str) -> str:
    kind, _, rest = value.partition(";")
    address = fields.address(rest) if rest else fields.address(kind)
    if _XTEXT.search(address) and not _TAGGED.search(address):
        address = _XTEXT.sub(lambda code: chr(int(code[1], 16)), address)
    if "\\x{" in address:
        address = _UNITEXT.sub(_letter, address)
    return address


def _letter(code: re.Match[str]) -> str:
    number = int(code[1], 16)
    return chr(number) if number < 0xD800 or 0xDFFF < number <= 0x10FFFF else "\ufffd"
