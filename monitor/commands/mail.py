"""`vigie mail`: read report mails from files, as the collectors would."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from collectors.mail import Report, parse
from collectors.mail.mime import LIMITS
from collectors.mail.report import Recipient
from monitor.commands.lazy import LazyGroup, Table
from monitor.commands.printing import print_json
from monitor.intake.wire import ParsedFile

LATER: Table = {
    "replay": ("monitor.commands.mail_replay", "replay", "Count mails from files, as if their mailbox had been read."),
    "parked": ("monitor.commands.mail_parked", "parked", "Mails that could not be used: look, read again, settle."),
}


@click.group(cls=LazyGroup, later=LATER)
def mail() -> None:
    """Read feedback reports, bounces, DMARC and TLS reports."""


@mail.command("parse", short_help="Say what each file is and what it says.")
@click.argument(
    "files",
    metavar="FILE…",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line per file.")
def parse_files(files: tuple[str, ...], as_json: bool) -> None:
    """Say what each FILE is and what it says; `-` is standard input.

    A FILE is a mail, or a DMARC, TLS or X-ARF report by itself (XML, JSON, gzip, zip).
    """
    for name in files:
        report = parse(_bytes(name))
        if as_json:
            print_json(ParsedFile(file=name, **report.to_json()))
        else:
            click.echo(f"{name}\n  {report.kind}: {summary(report)}")


def _bytes(name: str) -> bytes:
    """The file, no further than one byte beyond what is looked at."""
    if name == "-":
        return sys.stdin.buffer.read(LIMITS.size + 1)
    with Path(name).open("rb") as file:
        return file.read(LIMITS.size + 1)


def summary(report: Report) -> str:
    """What the report says, in lines a person reads."""
    if report.error:
        return report.error
    if feedback := report.feedback:
        who = ", ".join(feedback.recipients) or "someone unnamed"
        where = f" at {feedback.provider}" if feedback.provider else ""
        return f"{feedback.type} from {who}{where}, sent from {feedback.ip or 'an unknown IP'}"
    if aggregate := report.report:
        days = f", {aggregate.begin:%Y-%m-%d} to {aggregate.end:%Y-%m-%d}" if aggregate.begin and aggregate.end else ""
        return f"{aggregate.org} on {aggregate.domain}{days}: {aggregate.passed} passed, {aggregate.failed} failed"
    return "\n  ".join(map(_line, report.recipients)) or "nothing to count"


def _line(recipient: Recipient) -> str:
    why = recipient.judgement.category + (" (hard)" if recipient.hard else "")
    return f"{recipient.address} {recipient.action}, {why}: {recipient.diagnostic[:200]}"
