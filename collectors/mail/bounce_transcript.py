"""The SMTP dialogue a bounce quotes: what the server answered to each recipient.

sendmail, Courier, InterScan, mobile carriers and many gateways print the commands they sent and the answers they
got. A refusal belongs to the recipient named in the line itself, else to the command before it. A refusal of
HELO, MAIL FROM or DATA concerns every recipient that has none of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from collectors.mail import bounce_text_forms as forms

_MOST_ANSWER = 1_500  # characters kept of what was answered about one recipient
_MARKS = (">>>", "<<<", "...", "-->")  # without one of them nothing is a dialogue
_COMMAND = re.compile(
    r"^\s{0,8}(?:>>>|sent <<<|-->|==>|c:)\s{0,3}"
    r"(rcpt to|mail from|data|helo|ehlo|lhlo|auth|starttls|\.|quit|rset)\b[ :]{0,3}(.*)$",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"^\s{0,8}(?:<<<|received >>>|<--|<==|s:)?\s{0,3}([45][0-5][0-9](?:[ -].*)?)$", re.IGNORECASE
)
# `<address>... text`, with or without codes before it
_ABOUT = re.compile(
    r"^(?:[45][0-5][0-9][ -])?\s{0,2}(?:#?[45]\.[0-7]\.[0-9]{1,3} )?<?"
    r"([^\s<>@]{1,64}@[^\s<>:]{1,255}?)>?(?:\.\.\.|:)\s(.{1,})$"
)
_OF_THE_SENDER = re.compile(r"\S{1,4}(?: <<<)? ?(?:mail|helo|ehlo|lhlo|auth|starttls)", re.IGNORECASE)


@dataclass(slots=True)
class Transcript:
    """Answers by recipient (address in lower case → as written, texts), and those about the whole mail."""

    written: dict[str, str] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=dict)
    of_all: list[str] = field(default_factory=list)

    def add(self, address: str, text: str) -> None:
        key = address.lower()
        self.written.setdefault(key, address)
        texts = self.answers.setdefault(key, [])
        if text not in texts:
            texts.append(text)

    def about(self, address: str) -> str:
        """What was answered about a recipient, or about the mail; empty where nothing was."""
        return " ".join(self.answers.get(address.lower()) or self.of_all)[:_MOST_ANSWER]

    def refused(self) -> list[tuple[str, str]]:
        """The recipients that are refused in it, in order, with what was answered."""
        return [(written, self.about(key)) for key, written in self.written.items()]


def read(lines: Sequence[str]) -> Transcript:
    """The dialogue in these lines; empty where none is quoted."""
    transcript = Transcript()
    if not any(mark in line for line in lines for mark in _MARKS):
        return transcript
    address, step = "", ""
    for line in lines:
        if command := _COMMAND.match(line):
            hit = forms.ADDRESS.search(command[2]) if command[1][:4].lower() == "rcpt" else None
            address = hit[0] if hit else ""
            step = "" if hit else line.strip()
            continue
        answer = _ANSWER.match(line)
        text = answer[1] if answer else line.strip()
        about = _ABOUT.match(text) if "..." in text or answer else None
        if answer and (_OF_THE_SENDER.match(step) or (about and "sender" in text.lower())):
            transcript.of_all.append(f"{step} <<< {text}".strip())
        elif about:
            if answer or not transcript.answers.get(about[1].lower()):
                transcript.add(about[1], text)
        elif answer and address:
            transcript.add(address, text)
        elif answer and step:
            transcript.of_all.append(f"{step} <<< {text}")
    return transcript
