"""Who failed, in bounces told in words instead of RFC 3464?

`read` takes a mail's headers and texts and returns its failed recipients with what was said about each. It asks
whether the mail is a bounce at all (written by a mail system, saying that something failed), cuts the returned
mail off, then looks for recipients in the places mail systems put them, best place first. Old and home-made
systems follow no document, so this is recognition of habits (`bounce_text_forms`): it may miss a recipient that
is named in prose only, and may take a helper's address for one. A notice of delay looks the same and is read
the same; whether it was given up is for the caller to tell.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.mail import bounce_text_forms as forms
from collectors.replies.judgement import judge, read_codes

TEXT_LIMIT, LINE_LIMIT, LINES, RECIPIENTS, DIAGNOSTIC_LIMIT = 200_000, 1_000, 4_000, 1_000, 1_500

_HEAD = re.compile(r"^\s{0,8}(?:[*>•·|-]{1,3}\s{0,3})?[\"'<\[(]{0,3}(?:smtp:)?\s?", re.IGNORECASE)
_AFTER = re.compile(r"^[\"'>\])]{0,3}\s?(?:$|[:;,.\-(\[\"=]|on\b|\.\.\.|\s)")
_TOPIC = re.compile(r"^\s{0,4}<([^<>@\s]{1,64}@[^<>\s]{1,255})>(?: \([^)]{1,255}\))?:(.*)$")
_BARE_NAME = re.compile(r"^\s{1,8}([A-Za-z0-9][\w.\-]{1,40})\s*$")
_RULE = re.compile(r"^[\s\-=*_#~+|.]{0,400}$")
_SECTION = re.compile(r"^\s{0,8}[-=*]{3,40}\s?\w[\w\s]{2,80}[-=*]{3,40}\s*$")
_CODE = re.compile(r"(?<![0-9.])(?:[45][0-5][0-9][ \-]|[45]\.[0-7]\.[0-9])")


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient the bounce names; codes are None where the words hold none."""

    address: str
    status: str | None
    reply_code: str | None
    diagnostic: str


def read(headers: Mapping[str, str], texts: Sequence[str]) -> tuple[Failure, ...]:
    """The failed recipients; empty when the mail is no bounce. Header names in lower case, values decoded."""
    if _is_lookalike(headers):
        return ()
    listed = [hit[0] for hit in forms.ADDRESS.finditer(headers.get("x-failed-recipients", "")[:20_000])]
    for number, text in enumerate(texts[:4]):
        lines = _report(text)
        if not (listed or _is_bounce(headers, lines)):
            continue
        # a later text may be the returned mail: it must itself say that something failed, and where
        if number and not _tells(lines):
            continue
        found = _recipients(lines, headers, listed, loosely=not number)
        if found:
            report, alone = tuple(lines), len(found) == 1
            return tuple(_failure(address, said, report, alone=alone) for address, said in found)
    return tuple(_failure(address, "", (), alone=False) for address in listed)


def _is_lookalike(headers: Mapping[str, str]) -> bool:
    """Feedback reports, DMARC and TLS reports, receipts, answers of people: not ours, whatever they quote."""
    kind = headers.get("content-type", "").lower()
    if "feedback-report" in kind or "disposition-notification" in kind or "tlsrpt" in kind:
        return True
    subject = headers.get("subject", "")[:300]
    if forms.LOOKALIKE.search(subject) and not forms.SUBJECT.search(subject):
        return True
    if headers.get("x-failed-recipients"):
        return False
    answers = "auto-replied" in headers.get("auto-submitted", "").lower() or any(
        headers.get(name) for name in ("x-autoreply", "x-autorespond", "x-vacation")
    )
    written_by_system = forms.DAEMON.search(headers.get("from", "")[:300]) is not None
    if answers or forms.ANSWER.search(subject):
        return not (written_by_system and forms.SUBJECT.search(subject))
    return bool(headers.get("list-unsubscribe")) and not written_by_system


def _is_bounce(headers: Mapping[str, str], lines: list[str]) -> bool:
    """Whether two of three hold: a mail system wrote it, the subject says so, the text tells of a failure."""
    subject = headers.get("subject", "")[:300]
    answered = forms.ANSWERED.match(subject)
    title = forms.SUBJECT.search(subject[answered.end() :] if answered else subject)
    titled = title is not None and not (answered and title.start() == 0)  # a person answering a bounce
    opening = _opening(lines)
    if not titled and forms.LOOKALIKE.search(opening):
        return False
    if forms.DELIVERED.search(opening) and "fail" not in opening.lower():
        return False
    writers = (headers[name][:300] for name in ("from", "return-path", "sender") if name in headers)
    system = any(forms.DAEMON.search(writer) for writer in writers)
    return (system or titled) if _tells(lines) else (system and titled)


def _opening(lines: list[str]) -> str:
    return "\n".join(lines[:60])[:4_000]


def _tells(lines: list[str]) -> bool:
    return forms.FAILURE.search(_opening(lines)) is not None


def _report(text: str) -> list[str]:
    """The lines before the returned mail."""
    lines: list[str] = []
    for line in text[:TEXT_LIMIT].splitlines()[:LINES]:
        cut = line[:LINE_LIMIT]
        if forms.RETURNED.search(cut):
            # some systems show the header of the returned mail first and name the recipients after it
            if any(forms.ADDRESS.search(before) for before in lines) or "header" not in cut.lower():
                break
            continue
        lines.append(cut)
    return lines


Found = list[tuple[str, str]]


def _recipients(lines: list[str], headers: Mapping[str, str], listed: list[str], *, loosely: bool) -> Found:
    """(address, what is said about it), from the best place that names any."""
    ours = {hit[0].lower() for name in ("to", "from", "return-path", "delivered-to") for hit in
            forms.ADDRESS.finditer(headers.get(name, "")[:2_000])}
    if listed:
        found = _unique([*_topics(lines), *_listed(lines, headers)], set())
        known = {address.lower(): said for address, said in found}
        return [(address, known.get(address.lower(), "")) for address in listed]
    topics = _unique(list(_topics(lines)), set())
    if topics:
        return topics
    places = [*_listed(lines, headers), *_labelled(lines)]
    for place in (places, _in_sentences(lines), _to_lines(lines)) if loosely else (places,):
        found = _unique(list(place), ours)
        if found:
            return found
    return _unique(places, set())


def _bare(hit: re.Match[str]) -> str:
    """The address without the name of an X.400 or DSN address type before it."""
    address = hit[0].strip("'")
    return address[5:] if address[:5].lower() == "smtp=" else address


def _unique(found: Found, ours: set[str]) -> Found:
    """Each address once, in order, with the best thing said about it: with a code, then the longest."""
    kept: dict[str, tuple[str, str]] = {}
    for address, said in found[: RECIPIENTS * 4]:
        key = address.lower()
        if key in ours or forms.NOT_A_RECIPIENT.search(address):
            continue
        if key not in kept:
            kept[key] = (address, said)
        elif _worth(said) > _worth(kept[key][1]):
            kept[key] = (kept[key][0], said)
    return list(kept.values())[:RECIPIENTS]


def _worth(said: str) -> tuple[bool, int]:
    return _CODE.search(said) is not None, len(said)


def _topics(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`<address>: text`, the way of qmail, Postfix, Courier and all that follow them."""
    for number, line in enumerate(lines):
        hit = _TOPIC.match(line)
        if hit and "@" in hit[1]:
            yield hit[1], _paragraph(hit[2], lines[number + 1 : number + 30], stop=_TOPIC)


def _paragraph(first: str, following: list[str], stop: re.Pattern[str]) -> str:
    """The rest of the line and the lines below it, up to an empty line after something was said."""
    said = [first.strip()] if first.strip() else []
    for line in following:
        if stop.match(line) or (said and not line.strip()):
            break
        if line.strip():
            said.append(line.strip())
    return " ".join(said)[:DIAGNOSTIC_LIMIT]


def _listed(lines: list[str], headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Addresses that begin a line below an announcement; what stands under each is said about it."""
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
        begins = _HEAD.match(line)
        if not (begins and begins.end() == hit.start()) and "SMTP=" not in line[: hit.start()]:
            if forms.ANNOUNCES.search(line):
                announced = number
            continue
        if number - announced <= 60 and _AFTER.match(line[hit.end() :]) and not forms.CONTACT.search(line):
            yield _bare(hit), _below(_bare(hit), line[hit.end() :], lines[number + 1 : number + 20])
            announced = number


def _below(address: str, rest: str, following: list[str]) -> str:
    """What stands behind and under an address, up to the next one; of an SMTP dialogue only the refusal."""
    said = [rest.strip(" :>\"'])-.")]
    following = _before_another(address, following)
    refused = next((number for number, line in enumerate(following) if forms.REFUSED.match(line)), 0)
    if _CODE.search(" ".join(following[:refused])):
        refused = 0
    for line in following[refused:]:
        if _SECTION.match(line) and any(said):
            break
        said.append("" if _RULE.match(line) else line.strip())
    return " ".join(filter(None, said))[:DIAGNOSTIC_LIMIT]


def _before_another(address: str, lines: list[str]) -> list[str]:
    """The lines up to one that begins with another address."""
    for number, line in enumerate(lines):
        begins = _HEAD.match(line)
        hit = forms.ADDRESS.match(line, begins.end()) if begins else None
        if hit and _bare(hit).lower() != address.lower() and _AFTER.match(line[hit.end() :]):
            return lines[:number]
    return lines


def _labelled(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`Failed recipient: address` and its many forms."""
    for number, line in enumerate(lines):
        for hit in itertools.islice(forms.ADDRESS.finditer(line), 20) if "@" in line else ():
            before = line[max(0, hit.start() - 80) : hit.start()]
            label = forms.LABELS.search(before)
            if label and not forms.CONTACT.search(before[: label.start()]):
                address = _bare(hit)
                yield address, _joined([line, *_before_another(address, lines[number + 1 : number + 12])])


def _in_sentences(lines: list[str]) -> Iterator[tuple[str, str]]:
    """An address in a sentence that tells of a failure and is not about whom to ask."""
    for number, line in enumerate(lines):
        if "@" not in line or forms.CONTACT.search(line):
            continue
        if forms.FAILURE.search(" ".join(lines[max(0, number - 2) : number + 3])):
            said = _joined(lines[number : number + 12])
            for hit in itertools.islice(forms.ADDRESS.finditer(line), 20):
                yield _bare(hit), said


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())[: DIAGNOSTIC_LIMIT * 2]


def _to_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`To: address` of the mail that failed, where nothing better is named."""
    for line in lines:
        label, colon, rest = line.strip().partition(":")
        named = colon and label.lower() in {"to", "an", "à", "para", "a"}
        hit = forms.ADDRESS.search(rest) if named else None
        if hit:
            yield hit[0], ""


def _failure(address: str, said: str, report: tuple[str, ...], *, alone: bool) -> Failure:
    """What the refusing server said; the whole report, where nothing telling is said about the recipient itself."""
    said = essence(said)
    status, reply_code = read_codes(None, None, said)
    if status is None and reply_code is None:
        refused = [line for line in report if forms.REFUSED.match(line)] if alone else []
        if refused:
            said = f"{_joined(refused)[:DIAGNOSTIC_LIMIT]} {said}".strip()
        elif not said or judge(None, None, said).category == "unknown":
            said = _whole(report)
        status, reply_code = read_codes(None, None, said)
    return Failure(address, status, reply_code, said)


@functools.lru_cache(maxsize=1)
def _whole(report: tuple[str, ...]) -> str:
    return essence(_joined([line for line in report if not _RULE.match(line)]))


def essence(said: str) -> str:
    """Without the courtesies: from the last words that introduce a server's answer on."""
    said = " ".join(said[: DIAGNOSTIC_LIMIT * 2].split())
    leads = [lead.end() for lead in forms.LEAD.finditer(said) if lead.end() < len(said) - 3]
    if leads:
        said = said[leads[-1] :]
    return forms.COURTESY.without(said).strip(" .,:;-=*")[:DIAGNOSTIC_LIMIT]
