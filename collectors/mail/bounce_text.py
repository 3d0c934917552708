"""Who failed, in bounces written in words instead of RFC 3464?

`read` takes a mail's headers and texts and returns its failed recipients with what is written about each. It asks
whether the mail is a bounce at all (written by a mail system, saying that something failed), cuts the returned
mail off, then looks for recipients in the places mail systems put them (`bounce_places`), best place first; what a
server answered stands there or in the dialogue that is quoted (`bounce_transcript`). Old and home-made systems
follow no document, so this is recognition of habits (`bounce_text_forms`): it may miss a recipient that is named
in prose only, and may take a helper's address for one. A notice of delay looks the same and is read the same;
whether it was given up is for the caller to decide.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collectors.mail import bounce_places as places
from collectors.mail import bounce_text_forms as forms
from collectors.mail import bounce_transcript
from collectors.mail.bounce_places import Named, joined
from collectors.mail.bounce_transcript import Transcript
from collectors.replies.judgement import judge, read_codes

TEXT_LIMIT, LINE_LIMIT, LINES, RECIPIENTS, DIAGNOSTIC_LIMIT = 400_000, 1_000, 12_000, 5_000, 1_500

_NO_NAMES: frozenset[str] = frozenset()


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
    field = headers.get("x-failed-recipients", "")
    failed = [hit[0] for hit in forms.ADDRESS.finditer(field)] if field else []
    for number, text in enumerate(texts[:4]):
        lines = _report(text)
        if not (failed or _is_bounce(headers, lines)):
            continue
        # a later text may be the returned mail: it must itself say that something failed, and where
        if number and not _is_about_a_failure(lines):
            continue
        transcript = bounce_transcript.read(lines)
        named = _recipients(lines, headers, failed, transcript, loosely=not number)
        if named:
            return _failures(named, tuple(lines), transcript)
    return tuple(_failure(address, "", (), Transcript()) for address in failed)


def by_recipient(text: str) -> dict[str, str]:
    """What a text says about each recipient it names: address in lower case → words. Empty where it names none."""
    lines = _report(text)
    named = _unique([*places.topics(lines), *places.listed(lines, {}), *places.labelled(lines)])
    transcript = bounce_transcript.read(lines)
    about = {address.lower(): essence(words) for address, words in (named or transcript.refused())}
    return {
        address: words if places.CODE.search(words) else f"{transcript.about(address)} {words}".strip()
        for address, words in about.items()
    }


def names_somebody(text: str, sender: str) -> bool:
    """Whether a text holds an address that is neither the sender's nor that of a helper."""
    for hit in forms.ADDRESS.finditer(text[:DIAGNOSTIC_LIMIT * 4]):
        if hit[0].lower() not in sender.lower() and not (forms.HELPER.search(hit[0]) or forms.NOBODY.search(hit[0])):
            return True
    return False


def is_cut(texts: Sequence[str]) -> bool:
    """Whether a report is longer than what is read of it, so that recipients may be missing."""
    for text in texts[:1]:
        lines = _report(text)
        if len(lines) >= LINES or sum(map(len, lines)) + len(lines) >= TEXT_LIMIT - LINE_LIMIT:
            return True
    return False


def _is_lookalike(headers: Mapping[str, str]) -> bool:
    """Feedback reports, DMARC and TLS reports, receipts, answers of people: not ours, whatever they quote."""
    kind = headers.get("content-type", "").lower()
    if "feedback-report" in kind or "disposition-notification" in kind or "tlsrpt" in kind:
        return True
    subject = headers.get("subject", "")[:300]
    titled = forms.SUBJECT.search(subject) is not None
    if forms.LOOKALIKE.search(subject) and not titled:
        return True
    if headers.get("x-failed-recipients"):
        return False
    written_by_system = forms.DAEMON.search(headers.get("from", "")[:300]) is not None
    if forms.ANSWER.search(subject) or any(
        headers.get(name) for name in ("x-autoreply", "x-autorespond", "x-vacation")
    ):
        return not (written_by_system and titled)
    if "auto-replied" in headers.get("auto-submitted", "").lower():
        return not (written_by_system or _is_titled(subject))  # many mail systems mark their bounces so
    return bool(headers.get("list-unsubscribe")) and not written_by_system


def _is_bounce(headers: Mapping[str, str], lines: list[str]) -> bool:
    """Whether two of three hold: a mail system wrote it, the subject says so, the text speaks of a failure."""
    subject = headers.get("subject", "")[:300]
    titled = _is_titled(subject)
    opening = _opening(lines)
    if not titled and forms.LOOKALIKE.search(opening):
        return False
    if forms.DELIVERED.search(opening) and "fail" not in opening.lower():
        return False
    writers = (headers[name][:300] for name in ("from", "return-path", "sender") if name in headers)
    system = any(forms.DAEMON.search(writer) for writer in writers)
    return (system or titled) if _is_about_a_failure(lines) else (system and titled)


def _is_titled(subject: str) -> bool:
    """Whether the subject speaks of a failure, and is not that of a person answering a bounce."""
    answered = forms.ANSWERED.match(subject)
    title = forms.SUBJECT.search(subject[answered.end() :] if answered else subject)
    return title is not None and not (answered and title.start() == 0)


def _opening(lines: list[str]) -> str:
    return "\n".join(lines[:60])[:4_000]


def _is_about_a_failure(lines: list[str]) -> bool:
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


def _recipients(
    lines: list[str], headers: Mapping[str, str], failed: list[str], transcript: Transcript, *, loosely: bool
) -> Named:
    """(address, what is written about it), from the best place that names any."""
    if failed:
        under = _unique([*places.topics(lines), *places.listed(lines, headers)])
        known = {address.lower(): text for address, text in under}
        return [(address, known.get(address.lower(), "")) for address in failed[:RECIPIENTS]]
    if topics := _unique(list(places.topics(lines))):
        return topics
    ours = {hit[0].lower() for name in ("to", "from", "return-path", "delivered-to") for hit in
            forms.ADDRESS.finditer(headers.get(name, "")[:2_000])}
    structured = [*places.listed(lines, headers), *places.labelled(lines)]
    if named := _unique(structured, ours) or _unique(transcript.refused(), ours):
        return named
    for place in (places.in_sentences, places.to_lines) if loosely else ():
        if named := _unique(list(place(lines)), ours, helpers=False):
            return named
    return _unique(structured)


def _unique(named: Named, ours: set[str] | frozenset[str] = _NO_NAMES, *, helpers: bool = True) -> Named:
    """Each address once, in order, with the best text about it: with a code, then the longest.

    Left out are `ours`, addresses nobody has, and `postmaster@` and its kind unless `helpers`.
    """
    kept: dict[str, tuple[str, str]] = {}
    for address, text in named:
        key = address.lower()
        if key in ours or forms.NOBODY.search(address) or (not helpers and forms.HELPER.search(address)):
            continue
        if key not in kept:
            kept[key] = (address, text)
        elif _worth(text) > _worth(kept[key][1]):
            kept[key] = (kept[key][0], text)
    return list(kept.values())[:RECIPIENTS]


def _worth(text: str) -> tuple[bool, int]:
    return places.CODE.search(text) is not None, len(text)


def _failures(named: Named, report: tuple[str, ...], transcript: Transcript) -> tuple[Failure, ...]:
    """The report as a whole speaks for a recipient only where it has no words for any single one."""
    alone = len(named) == 1
    whole = report if alone or not any(text and _says_something(essence(text)) for _, text in named) else ()
    return tuple(_failure(address, text, whole, transcript, alone=alone) for address, text in named)


def _refusals(report: tuple[str, ...]) -> str:
    return joined([line for line in report if forms.REFUSED.match(line)])[:DIAGNOSTIC_LIMIT]


@functools.lru_cache(maxsize=8)
def _says_something(text: str) -> bool:
    return judge(None, None, text).category != "unknown"


def _failure(
    address: str, text: str, whole: tuple[str, ...], transcript: Transcript, *, alone: bool = False
) -> Failure:
    """What the refusing server said about the recipient: beside its name, in the dialogue, or in the report."""
    text = essence(text)
    status, reply_code = _codes(text)
    if status is None and reply_code is None:
        answer = transcript.about(address) or (_refusals(whole) if alone else "")
        if answer:
            text = answer if _says_something(answer) else f"{answer} {text}".strip()
        elif whole and not (text and _says_something(text)):
            text = _essence_of_all(whole)
        status, reply_code = _codes(text)
    return Failure(address, status, reply_code, text)


@functools.lru_cache(maxsize=8)  # the report as a whole may speak for thousands
def _codes(text: str) -> tuple[str | None, str | None]:
    return read_codes(None, None, text)


@functools.lru_cache(maxsize=1)
def _essence_of_all(report: tuple[str, ...]) -> str:
    return essence(joined([line for line in report if not places.RULE.match(line)]))


def essence(text: str) -> str:
    """Without the courtesies: from the last words that introduce a server's answer on."""
    text = " ".join(text[: DIAGNOSTIC_LIMIT * 2].split())
    leads = [lead.end() for lead in forms.LEAD.finditer(text) if lead.end() < len(text) - 3]
    if leads:
        text = text[leads[-1] :]
    return forms.COURTESY.without(text).strip(" .,:;-=*")[:DIAGNOSTIC_LIMIT]
