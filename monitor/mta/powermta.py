"""Restrictions → commands of PowerMTA's `pmta`, printed or run one by one without a shell. `plan` is pure.

Source: PowerMTA 5.0 User's Guide: `pause queue D/V`, `resume queue`, `set queue --mode=backoff|normal`, `disable source IP D/V`,
`enable source`, `pause job`, `resume job`. A queue is domain/virtual MTA; a customer is spoken of only where `customers` names the
virtual MTAs that nobody else sends from, and never widened. PowerMTA itself forgets modes when it restarts: `--again` says all anew.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from collectors.providers import ProviderTable
from monitor.config.mta import PowerMta
from monitor.gate import Effect, Restriction
from monitor.mta.kumomta.translate import NotExactError, Unspoken

_WORD = re.compile(r"[A-Za-z0-9._*@:+-]{1,253}")  # what may stand in a command: no option, no blank
_RUN_SECONDS = 30
_LIFTS = {"pause": "resume", "disable": "enable"}
Command = tuple[str, ...]


class Plan(NamedTuple):
    """What is to be in force as commands, and what PowerMTA cannot be given."""

    commands: tuple[Command, ...]
    unspoken: tuple[Unspoken, ...]


def plan(restrictions: Iterable[Restriction], settings: PowerMta, providers: ProviderTable, now: datetime) -> Plan:
    """The commands that put in force what is in force at `now`; the same restrictions give the same commands."""
    commands: dict[Command, None] = {}
    unspoken: list[Unspoken] = []
    for row in restrictions:
        if row.until is not None and row.until <= now:
            continue
        try:
            commands |= dict.fromkeys(_commands(row, settings, providers))
        except NotExactError as error:
            unspoken.append(Unspoken(row.id, row.scope, str(error)))
    return Plan(tuple(sorted(commands)), tuple(unspoken))


def difference(wanted: Sequence[Command], before: Iterable[Command]) -> list[Command]:
    """What takes PowerMTA from the one to the other: what is gone is lifted first."""
    known = set(before)
    return [*(lift_of(command) for command in sorted(known - set(wanted))), *(command for command in wanted if command not in known)]


def lift_of(command: Command) -> Command:
    if command[0] == "set":
        return (*command[:2], "--mode=normal", *command[3:])
    return (_LIFTS[command[0]], *command[1:])


def run(prefix: Sequence[str], command: Command) -> None:
    """Raises OSError, or subprocess.SubprocessError where it fails."""
    subprocess.run([*prefix, *command], check=True, capture_output=True, text=True, timeout=_RUN_SECONDS)  # noqa: S603 - no shell, words checked


def _commands(row: Restriction, settings: PowerMta, providers: ProviderTable) -> Iterator[Command]:
    scope, hold = dict(row.scope), row.effect is Effect.HOLD
    domains = _domains(scope.pop("provider", None), providers)
    if scope.keys() == {"ip"}:
        if not hold:
            raise NotExactError("a source is disabled or enabled, and has no rate")
        yield from (("disable", "source", _word(scope["ip"]), f"{domain}/*") for domain in domains)
    elif "campaign" in scope and scope.keys() <= {"customer", "campaign"}:
        if domains != ["*"] or not hold:
            raise NotExactError("a job is paused whole: it has no rate, and no part at one provider")
        yield "pause", "job", _word(scope["campaign"])
    elif scope.keys() <= {"customer"}:
        for vmta in _vmtas(scope.get("customer"), settings):
            for domain in domains:
                yield ("pause", "queue", f"{domain}/{vmta}") if hold else ("set", "queue", "--mode=backoff", f"{domain}/{vmta}")
    else:
        raise NotExactError(f"PowerMTA's queues know no {' and '.join(sorted(scope.keys() - {'customer'}))}")


def _vmtas(customer: str | None, settings: PowerMta) -> Sequence[str]:
    if customer is None:
        return ("*",)
    if customer not in settings.customers:
        raise NotExactError(f"mta.powermta.customers does not say which virtual MTAs are {customer}'s alone")
    return [_word(name) for name in settings.customers[customer]]


def _domains(provider: str | None, providers: ProviderTable) -> list[str]:
    if provider is None:
        return ["*"]
    if provider not in providers.rows:
        if provider == "other":
            raise NotExactError("PowerMTA knows domains, not all that are left")
        return [_word(provider)]
    return sorted(_word(name.removeprefix(".")) for name, at in providers.domains.items() if at == provider)


def _word(text: str) -> str:
    if not _WORD.fullmatch(text) or text.startswith("-"):
        raise NotExactError(f"{text!r} cannot stand in a command")
    return text
