"""What a delivery status notification says in words for people, as a whole and about each recipient (RFC 6522)."""

from __future__ import annotations

import functools
import re

from collectors.mail import bounce_text, html_text
from collectors.mail.mime import Part

_MOST_WORDS, _MOST_PREAMBLE, _MOST_OPENING = 200_000, 8_000, 4_000
_FIELDS_BEGIN = re.compile(
    r"^(?:Reporting-MTA|Final-Recipient|Original-Recipient)[ \t]*:", re.IGNORECASE | re.MULTILINE
)


class Words:
    """What was written for people, which often knows more than the fields; read when it is asked for."""

    def __init__(self, mail: Part) -> None:
        self._mail = mail

    @functools.cached_property
    def all(self) -> str:
        """The first text, else the first HTML, else what stands before the first part."""
        texts = [part for part in self._mail.parts if part.type.startswith("text/") and not part.is_mail]
        words = next((part.text(_MOST_WORDS) for part in texts if part.type == "text/plain"), "")
        if not words.strip():
            words = next((html_text.words(part.text()) for part in texts if part.type == "text/html"), "")
        if not words.strip():
            words = self._mail.raw(_MOST_PREAMBLE).partition(b"\n--")[0].decode("utf-8", "replace")
        return _FIELDS_BEGIN.split(words, maxsplit=1)[0]

    @functools.cached_property
    def _by_address(self) -> dict[str, str]:
        return bounce_text.by_recipient(self.all)

    @functools.cached_property
    def _of_everybody(self) -> str:
        """The words as a whole, where they are not about some of the recipients only."""
        if self._by_address or bounce_text.names_somebody(self.all, self._mail.get("to")):
            return ""
        return bounce_text.essence(self.all)

    @functools.cached_property
    def _opening(self) -> tuple[str, str]:
        words = self.all[:_MOST_OPENING]
        return words, words.lower()

    def about(self, address: str, *, alone: bool) -> str:
        """The words about one recipient; all of them where it is `alone` or where they name nobody."""
        if alone:
            return bounce_text.essence(self.all)
        return self._by_address.get(address.lower()) or self._under(address) or self._of_everybody

    def _under(self, address: str) -> str:
        """The paragraph that begins with an address."""
        words, low = self._opening
        at = low.find(address.lower())
        return words[at : at + 1_000].partition("\n\n")[0] if at >= 0 else ""
