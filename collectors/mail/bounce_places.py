"""Where mail systems name the recipients that failed, and what they write about each.

Places of structure (a topic, a line of a list, a label) are sure: an address there is a recipient whoever it is,
`postmaster@` and `support@` too. Sentences and `To:` lines are less so; there such names belong to helpers.
Each function yields (address, text about it) in the order of the report.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from collectors.mail import bounce_text_forms as forms

TEXT_MOST = 1_500  # characters kept about one recipient
Named = list[tuple[str, str]]

_HEAD = re.compile(r"^\s{0,8}(?:[*>•·|-]{1,3}\s{0,3})?[\"'<\[(]{0,3}(?:smtp(?::| <))?\s?", re.IGNORECASE)
_AFTER = re.compile(r"^[\"'>\])]{0,3}\s?(?:$|[:;,.\-(\[\"=]|on\b|\.\.\.|\s)")
# What follows an address that is the topic of its line, whatever else the line says.
_TOPICAL = re.compile(r"^[\"'>\])]{0,3}\s?(?::|[45][0-5][0-9][ -])")
_TOPIC = re.compile(r"^\s{0,4}<([^<>@\s]{1,64}@[^<>\s]{1,255})>(?: \([^)]{1,255}\))?:(.*)$")
_BARE_NAME = re.compile(r"^\s{1,8}([A-Za-z0-9][\w.\-]{1,40})\s*$")
_SECTION = re.compile(r"^\s{0,8}[-=*]{3,40}\s?\w[\w\s]{2,80}[-=*]{3,40}\s*$")
_DIALOGUE = re.compile(r"^\s{0,8}(?:>>>|sent <<<) ?rcpt to", re.IGNORECASE)
RULE = re.compile(r"^[\s\-=*_#~+|.]{0,400}$")
CODE = re.compile(r"(?<![0-9.])(?:[45][0-5][0-9][ \-]|[45]\.[0-7]\.[0-9])")


def bare(hit: re.Match[str]) -> str:
    """The address without the name of an X.400 or DSN address type before it."""
    address = hit[0].strip("'")
    return address[5:] if address[:5].lower() == "smtp=" else address


def joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())[: TEXT_MOST * 2]


def topics(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`<address>: text`, the way of qmail, Postfix, Courier and all that follow them."""
    for number, line in enumerate(lines):
        hit = _TOPIC.match(line)
        if hit and "@" in hit[1]:
            yield hit[1], _paragraph(hit[2], lines[number + 1 : number + 30], stop=_TOPIC)


def _paragraph(first: str, following: list[str], stop: re.Pattern[str]) -> str:
    """The rest of the line and the lines below it, up to an empty line after a text."""
    kept = [first.strip()] if first.strip() else []
    for line in following:
        if stop.match(line) or (kept and not line.strip()):
            break
        if line.strip():
            kept.append(line.strip())
    return " ".join(kept)[:TEXT_MOST]


def listed(lines: list[str], headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Addresses that begin a line below an announcement; what stands under each is about it."""
    announced = -100
    for number, line in enumerate(lines):
        hit = forms.ADDRESS.search(line) if "@" in line else None
        if hit is None:
            name = _BARE_NAME.match(line) if number - announced <= 2 else None
            if name and "not accepting mail" in lines[announced]:
                domain = forms.ADDRESS.search(headers.get("from", "")[:300])
                if domain:
                    yield f"{name[1]}@{domain[0].rpartition('@')[2].lower()}", lines[announced]
            if forms.ANNOUNCES.search(line) or (line.endswith(":") and not forms.CONTACT.search(line)):
                announced = number
            continue
        if not _begins(line, hit) and "SMTP=" not in line[: hit.start()]:
            if forms.ANNOUNCES.search(line):
                announced = number
            continue
        rest = line[hit.end() :]
        if number - announced <= 60 and _AFTER.match(rest) and not _names_a_helper(lines, number, hit):
            yield bare(hit), _below(bare(hit), rest, lines[number + 1 : number + 20])
            announced = number


def _begins(line: str, hit: re.Match[str]) -> bool:
    """Whether an address begins its line, bullets and brackets aside."""
    head = _HEAD.match(line, 0, hit.start())
    return head is not None and head.end() == hit.start()


def _names_a_helper(lines: list[str], number: int, hit: re.Match[str]) -> bool:
    """Whether an address that begins a line is that of somebody to ask."""
    line = lines[number]
    if _TOPICAL.match(line[hit.end() :]):
        return False
    if forms.CONTACT.search(f"{line[: hit.start()]} {line[hit.end() :]}"):
        return True
    return _is_sent_to_a_helper(lines, number, hit[0])


def _is_sent_to_a_helper(lines: list[str], number: int, address: str) -> bool:
    """Whether the line before ends in words such as "please write to", for names helpers have."""
    before = lines[number - 1] if number else ""
    return forms.HELPER.search(address) is not None and forms.CONTACT.search(before) is not None


def _below(address: str, rest: str, following: list[str]) -> str:
    """What stands behind and under an address, up to the next one; of an SMTP dialogue only the refusal."""
    kept = [rest.strip(" :>\"'])-.")]
    following = _before_another(address, following)
    refused = next((number for number, line in enumerate(following) if forms.REFUSED.match(line)), 0)
    if CODE.search(" ".join(following[:refused])):
        refused = 0
    step = next((number for number in range(refused) if forms.STEP.search(following[number])), refused)
    for line in following[step:]:
        if _SECTION.match(line) and (any(kept) or "transcript" in line.lower()):
            break
        kept.append("" if RULE.match(line) else line.strip())
    return " ".join(filter(None, kept))[:TEXT_MOST]


def _before_another(address: str, lines: list[str]) -> list[str]:
    """The lines up to one that begins with, labels, or sends to another address."""
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        begins = _HEAD.match(line)
        hit = forms.ADDRESS.match(line, begins.end()) if begins else None
        if hit is None or not _AFTER.match(line[hit.end() :]):
            hit = forms.ADDRESS.search(line)
            if not hit or not (_DIALOGUE.match(line) or _LABELLED.match(line[: hit.start()])):
                continue
        if bare(hit).lower() != address.lower():
            return lines[:number]
    return lines


_LABELLED = re.compile(
    r"^\s{0,8}(?:(?:failed|final|rejected|bad) )?(?:recipient|address|to|user)(?: address)?\s?:\s{0,3}[<\[(]{0,2}(?:smtp:)?$",
    re.IGNORECASE,
)


def labelled(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`Failed recipient: address` and its many forms."""
    for number, line in enumerate(lines):
        for hit in itertools.islice(forms.ADDRESS.finditer(line), 20) if "@" in line else ():
            before = line[max(0, hit.start() - 80) : hit.start()]
            label = forms.LABELS.search(before)
            if not label or forms.CONTACT.search(before[: label.start()]):
                continue
            address = bare(hit)
            if not _is_sent_to_a_helper(lines, number, address):
                yield address, joined([line, *_before_another(address, lines[number + 1 : number + 12])])


def in_sentences(lines: list[str]) -> Iterator[tuple[str, str]]:
    """An address in a sentence that speaks of a failure and is not about whom to ask."""
    for number, line in enumerate(lines):
        if "@" not in line or forms.CONTACT.search(line):
            continue
        if forms.FAILURE.search(" ".join(lines[max(0, number - 2) : number + 3])):
            text = joined(lines[number : number + 12])
            for hit in itertools.islice(forms.ADDRESS.finditer(line), 20):
                yield bare(hit), text


def to_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`To: address` of the mail that failed, where nothing better is named."""
    for line in lines:
        label, colon, rest = line.strip().partition(":")
        named = colon and label.lower() in {"to", "an", "à", "para", "a"}
        hit = forms.ADDRESS.search(rest) if named else None
        if hit:
            yield hit[0], ""
