"""The formats of records that are read, by name: how a format's records are separated in a file, and who reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from collectors.delivery import exim, kumomta, mailerq, momentum, opensmtpd, postfix, powermta
from collectors.delivery.outcomes import Reading, Stateless

Numbered = tuple[int, bytes]
Records = Callable[[Iterable[Numbered]], Iterator[Numbered]]


def one_a_line(lines: Iterable[Numbered]) -> Iterator[Numbered]:
    """A record is a line."""
    return iter(lines)


@dataclass(frozen=True, slots=True)
class Format:
    """`opened`: a new reader. `records`: numbered lines → records. `is_whole`: whether a record ends
    where it does. `json`: a body may be an object or an array as well.
    """

    opened: Callable[[], Reading]
    records: Records = one_a_line
    json: bool = False
    is_whole: Callable[[bytes], bool] = lambda _: True
    words: str = "log lines"


FORMATS: Mapping[str, Format] = {
    kumomta.FORMAT: Format(lambda: Stateless(kumomta.read), json=True, words="KumoMTA log records"),
    powermta.FORMAT: Format(powermta.PowerMta, powermta.whole_records, is_whole=powermta.is_whole, words="PowerMTA accounting records (CSV with its header line)"),
    postfix.FORMAT: Format(postfix.Postfix, words="lines of Postfix's log"),
    exim.FORMAT: Format(exim.Exim, words="lines of Exim's main log"),
    opensmtpd.FORMAT: Format(opensmtpd.OpenSmtpd, words="lines of OpenSMTPD's log"),
    momentum.FORMAT: Format(momentum.Momentum, words="lines of Momentum's mainlog, bouncelog and fbllog"),
    mailerq.FORMAT: Format(lambda: Stateless(mailerq.read), json=True, words="MailerQ's results"),
}
