"""Alertmanager's API v2: its own clients list incidents as alerts, and put on, ask for and end silences.

Who may call, and what a key bound to a customer sees, is as everywhere here; errors are JSON texts, as that API has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from typing import Annotated, Any

import yaml
from fastapi import Depends, Query, Response
from pydantic import Field
from sqlmodel import Session

from monitor.access.keys import Caller
from monitor.api.alertmanager import (
    Alert,
    AlertGroup,
    GettableSilence,
    PostableSilence,
    Quietened,
    ReceiverName,
    SilenceId,
    Status,
    alert_of,
    group_labels,
    silence_of,
)
from monitor.api.given import NO_NUL, Given, Look, Operates, Reads, only_own
from monitor.api.problem import Problem, refusals
from monitor.api.route import ForeignRoute, new_router
from monitor.api.services import Services
from monitor.config.quantities import duration_text
from monitor.database.paging import MOST, Page
from monitor.database.tables import Silence
from monitor.incidents import silences
from monitor.incidents.matchers import Matcher, Operator, all_match, parse
from monitor.incidents.patterns import Pattern
from monitor.incidents.rows import common_labels, firing_incidents
from monitor.incidents.silences import RULE_LABELS, labels_of, silences_at
from monitor.notify.quiet import Quiet, deliveries_of_whole
from monitor.notify.routing import Delivery, Route

router = new_router("Alertmanager", ForeignRoute)
_Filters = Annotated[list[Annotated[str, Field(max_length=1000, pattern=NO_NUL)]], Query(alias="filter", max_length=16)]
_MaybePattern = Annotated[str | None, Query(max_length=500, pattern=NO_NUL)]
_STARTED = datetime.now(UTC)


class Chosen:
    """Which alerts are asked for: by matchers, receiver and whether anybody is notified of them."""

    def __init__(
        self, filters: _Filters = [], receiver: _MaybePattern = None, *,  # noqa: B006 - FastAPI copies it
        active: bool = True, silenced: bool = True, inhibited: bool = True, unprocessed: bool = True,
    ) -> None:  # fmt: skip
        del unprocessed  # none is
        self.matchers = _parsed(filters)
        with _requests():
            self._receiver = None if receiver is None else Pattern(receiver)
        self._active, self._silenced, self._inhibited = active, silenced, inhibited

    def takes(self, alert: Alert) -> bool:
        if not all_match(self.matchers, alert.labels):
            return False
        if self._receiver is not None and not any(self._receiver.matches(each.name) for each in alert.receivers):
            return False
        status = alert.status
        if status.inhibited_by and not status.silenced_by:
            return self._inhibited
        return self._silenced if status.state == "suppressed" else self._active


Asked = Annotated[Chosen, Depends(Chosen)]


@router.get("/api/v2/status")
def status(services: Given, caller: Reads) -> Status:
    """Version, and the routes as Alertmanager would write them (`amtool config routes` reads them).

    A customer's key is given its own receivers and no routes: these name other customers.
    """
    version = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
    return Status(
        cluster={"status": "disabled", "peers": []}, version_info=version | {"version": metadata.version("vigie")},
        config={"original": yaml.safe_dump(_written(services, caller), sort_keys=False)}, uptime=_STARTED,
    )  # fmt: skip


@router.get("/api/v2/alerts")
def alerts(services: Given, caller: Reads, look: Look, chosen: Asked) -> list[Alert]:
    """What fires or recovers, the newest first."""
    listed = look(lambda session: _alerts(services, caller, session))
    return [alert for alert, _ in listed if chosen.takes(alert)]


@router.get("/api/v2/alerts/groups")
def groups(services: Given, caller: Reads, look: Look, chosen: Asked) -> list[AlertGroup]:
    """The same by receiver, in the groups they are notified of."""
    made: dict[tuple[str, str], AlertGroup] = {}
    for alert, deliveries in look(lambda session: _alerts(services, caller, session)):
        if not chosen.takes(alert):
            continue
        for each in deliveries:
            name = ReceiverName(name=each.receiver)
            empty = AlertGroup(labels=dict(group_labels(each)), receiver=name, alerts=[])
            made.setdefault((each.receiver, each.group_key), empty).alerts.append(alert)
    return [made[key] for key in sorted(made)]


@router.get("/api/v2/receivers")
def receivers(services: Given, caller: Reads) -> list[ReceiverName]:
    """Their names; a customer's key is given those that hear of that customer alone."""
    return [ReceiverName(name=name) for name in _names(services, caller)]


@router.get("/api/v2/silences")
def list_silences(services: Given, caller: Reads, look: Look, filters: _Filters = []) -> list[GettableSilence]:  # noqa: B006
    """Silences, those that have ended last; `filter` compares with what their matchers name."""
    matchers = _parsed(filters)
    page = look(lambda session: silences.find_silences(session, services.now(), Page(MOST), ended=True, customer=caller.customer))
    shown = [silence_of(row, services.now()) for row in page.rows if _is_about(row.matchers, matchers)]
    order = {"active": 0, "pending": 1, "expired": 2}
    return sorted(shown, key=lambda each: order[each.status.state])


@router.get("/api/v2/silence/{silence_id}")
def silence(services: Given, caller: Reads, look: Look, silence_id: str) -> GettableSilence:
    """One silence."""
    with refusals():
        row = look(lambda session: silences.silence_named(session, silence_id, caller.customer))
    return silence_of(row, services.now())


@router.post("/api/v2/silences")
def put_silence(services: Given, caller: Operates, wanted: PostableSilence) -> SilenceId:
    """Notify nobody of matching incidents. Who asks is the key, beside the name it gives itself."""
    now = services.now()
    actor = caller.name if wanted.created_by in {"", caller.name} else f"{caller.name} ({wanted.created_by})"
    with _requests(), services.store.session() as session:
        matchers = silences.check_matchers([shape.matcher for shape in wanted.matchers], services.gate.providers, services.configured.get(RULE_LABELS, ()))
        only_own(services, caller, {each.name: each.value for each in matchers if each.operator is Operator.EQUAL})
        if wanted.id:
            silences.check_end(session, wanted.id, caller.customer, may_end_others=services.settings.customers_lift)
            silences.end_silence(session, wanted.id, actor=actor, reason="changed: another takes its place", now=now)
        row = silences.put_silence(
            session, silences.Wanted(matchers, wanted.ends_at, wanted.starts_at), actor=actor, reason=wanted.comment,
            now=now, by_customer=caller.customer, known=services.configured,
        )  # fmt: skip
        return SilenceId(silence_id=row.id)


@router.delete("/api/v2/silence/{silence_id}")
def end_silence(services: Given, caller: Operates, silence_id: str) -> Response:
    """End a silence."""
    with refusals(), services.store.session() as session:
        silences.check_end(session, silence_id, caller.customer, may_end_others=services.settings.customers_lift)
        silences.end_silence(session, silence_id, actor=caller.name, reason="ended by a client of Alertmanager's API", now=services.now())
    return Response()


def _alerts(services: Services, caller: Caller, session: Session) -> list[tuple[Alert, list[Delivery]]]:
    now, routing = services.now(), services.routing
    in_force = _quiet_for(caller, session, silences_at(session, now))
    incidents = firing_incidents(session)
    given = common_labels(session)
    every = [labels_of(row, given.get((row.rule, row.open_key))) for row in incidents]
    wholes = {row.id for row in incidents if row.member_count is not None}
    listed = []
    for row, labels in zip(incidents, every, strict=True):
        if caller.customer not in {None, row.subject.get("customer")}:
            continue
        if row.id in wholes:
            parts = [each for part, each in zip(incidents, every, strict=True) if part.part_of == row.id]
            deliveries = deliveries_of_whole(Quiet(routing), row.id, parts)
        else:
            deliveries = routing.deliveries(labels)
        # a member is notified of with the incident it is part of
        part_of = [row.part_of] if row.part_of is not None and row.part_of in wholes else []
        quiet = silences.silenced_by(in_force, labels), [*part_of, *routing.inhibited_by(labels, every)]
        if caller.customer is not None:  # what is not its own is not named to it
            deliveries = [each for each in deliveries if each.receiver in _names(services, caller)]
            quiet = quiet[0], []
        listed.append((alert_of(row, labels, deliveries, _quiet(caller, in_force, quiet), services.settings.address), deliveries))
    return listed


def _quiet(caller: Caller, in_force: Sequence[Silence], quiet: tuple[list[str], list[str]]) -> Quietened:
    """That it is quiet, and because of what; a customer is named no silence that is not about it alone."""
    silenced_by, inhibited_by = quiet
    named = {row.id for row in in_force if caller.customer in {None, row.matchers.get("customer")}}
    return Quietened(bool(silenced_by or inhibited_by), [each for each in silenced_by if each in named], inhibited_by)


def _quiet_for(caller: Caller, session: Session, in_force: list[Silence]) -> list[Silence]:
    """Those that keep quiet whom the caller speaks for: a customer's own touch nobody but that customer."""
    made = silences.made_by_customers(session, [row.id for row in in_force])
    return [row for row in in_force if made.get(row.id) in {None, caller.customer}]


def _names(services: Services, caller: Caller) -> list[str]:
    return [
        each.name for each in services.routing.receivers if caller.customer is None or each.customers == {caller.customer}
    ]


def _is_about(equal: Mapping[str, str], matchers: Sequence[Matcher]) -> bool:
    return all_match(matchers, {"alertname": equal.get("rule", ""), **equal})


def _parsed(filters: Sequence[str]) -> list[Matcher]:
    with _requests():
        return [parse(text) for text in filters]


@contextmanager
def _requests() -> Iterator[None]:
    """What is asked for and cannot be: 400, as that API answers."""
    try:
        with refusals():
            yield
    except Problem as problem:
        if problem.status_code != 422:
            raise
        raise Problem(400, problem.detail) from None


def _written(services: Services, caller: Caller) -> dict[str, Any]:
    names = [{"name": name} for name in _names(services, caller)]
    root = services.routing.root
    route = _route(root)
    if root.receiver is None or caller.customer is not None:  # every receiver is asked: as many branches that go on
        route = {"receiver": "nobody", "routes": [{"receiver": each["name"], "continue": True} for each in names]}
        names = [{"name": "nobody"}, *names]
    return {"route": route, "receivers": names}


def _route(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {"receiver": route.receiver, "continue": route.goes_on, "matchers": [str(each) for each in route.matchers]}
    if route.group_by is not None:
        made["group_by"] = ["alertname" if name == "rule" else name for name in route.group_by]
    for key, span in (("group_wait", route.group_wait), ("group_interval", route.group_interval), ("repeat_interval", route.repeat_interval)):
        if span:
            made[key] = duration_text(span)
    return {key: value for key, value in made.items() if value} | ({"routes": [_route(each) for each in route.routes]} if route.routes else {})
