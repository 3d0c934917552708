"""The settings of notification: which receiver hears of what, in which groups, how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from monitor.config.quantities import Duration
from monitor.config.receivers import SecretWebUrl
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


class Heartbeat(_Part):
    """A watcher outside that hears `every` so often that we live, at a Healthchecks ping address or an Uptime Kuma push address.

    `matchers`: while an incident that matches fires, it hears that this is down; one address for each class of incidents.
    """

    name: str = Field(min_length=1)
    healthchecks: SecretWebUrl | None = None
    uptime_kuma: SecretWebUrl | None = None
    every: Duration = timedelta(minutes=1)
    matchers: Names = ()

    @field_validator("every")
    @classmethod
    def _not_too_often(cls, every: timedelta) -> timedelta:
        if not timedelta(seconds=10) <= every <= timedelta(days=1):
            raise ValueError("is from 10s to 1d")
        return every

    @model_validator(mode="after")
    def _one_way(self) -> Heartbeat:
        if (self.healthchecks is None) == (self.uptime_kuma is None):
            raise ValueError("has one way — write healthchecks or uptime_kuma")
        return self


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
    heartbeats: tuple[Heartbeat, ...] = ()
    digest_above: int = Field(default=10, ge=1, le=1000)

    _within_a_year = field_validator("group_wait", "group_interval", "repeat_interval")(_bounded)
