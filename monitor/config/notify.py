"""The settings of notification: which receiver hears of what, in which groups, how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator

from monitor.config.quantities import Duration
from monitor.config.settings import Names, _Part

LONGEST = timedelta(days=366)


def _bounded(duration: timedelta | None) -> timedelta | None:
    if duration is not None and duration > LONGEST:
        raise ValueError("is longer than a year — write a shorter duration")
    return duration


class Escalation(_Part):
    """Who is notified too of an incident that fires for so long without anybody having acknowledged it."""

    after: Duration
    receiver: str = Field(min_length=1)


class Route(_Part):
    """Which incidents go to a receiver; what is left out is as in the route above. The first that matches takes it, and with
    `continue` the next ones are asked too.

    Incidents with equal `group_by` are one message: `group_wait` after the first of them, then every `group_interval` at most.
    Left out: each incident is a message. `repeat_interval`: how often what still fires is said again (`0s`: never).
    """

    matchers: Names = ()
    receiver: str | None = None
    group_by: Names | None = None
    group_wait: Duration | None = None
    group_interval: Duration | None = None
    repeat_interval: Duration | None = None
    continue_: bool = Field(default=False, alias="continue")
    escalate: tuple[Escalation, ...] | None = None
    routes: tuple[Route, ...] = ()

    _within_a_year = field_validator("group_wait", "group_interval", "repeat_interval")(_bounded)


class Inhibition(_Part):
    """While an incident that matches `source` fires, nobody is notified of those that match `target` with `equal` labels."""

    source: Annotated[Names, Field(min_length=1)]
    target: Annotated[Names, Field(min_length=1)]
    equal: Names = ()


class Flapping(_Part):
    """An incident that fires for the `times`th time `within` is called flapping once; its next ones are notified of only
    when they last. `times: 0`: never.
    """

    times: int = Field(default=4, ge=0, le=100)
    within: Duration = timedelta(hours=6)


class Notify(_Part):
    """Who is notified. Without `routes` every receiver hears of what its own severities, rules and customers let through.

    `digest_above`: so many messages a minute each receiver gets; what is more goes out as one.
    """

    receiver: str | None = None
    group_by: Names | None = None
    group_wait: Duration = timedelta(0)
    group_interval: Duration = timedelta(0)
    repeat_interval: Duration = timedelta(0)
    escalate: tuple[Escalation, ...] = ()
    routes: tuple[Route, ...] = ()
    inhibit: tuple[Inhibition, ...] = ()
    flapping: Flapping = Flapping()
    digest_above: int = Field(default=10, ge=1, le=1000)

    _within_a_year = field_validator("group_wait", "group_interval", "repeat_interval")(_bounded)
