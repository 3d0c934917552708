"""What a person (or a program) sees of the demo: one line per thing that happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import click
import orjson

from collectors.observation import Trace
from collectors.traces import TraceKind
from monitor.database.tables import Incident, Transition
from monitor.database.transitions import TransitionKind, transitions_after
from monitor.facts import Store, Taken
from monitor.facts.following import newest_transition
from monitor.incidents.rows import incident_named
from monitor.notify.message import where

_COLOURS = {
    "world": "blue", "listing": "yellow", "complaint": "yellow", "incident": "red", "transition": "magenta",
    "notification": "cyan", "decision": "green",
}
_CONSEQUENCES = frozenset({"notification", "decision"})  # shown after the transition they follow from


class Show:
    """Prints events, from any thread, in the order they come in. `clock` dates those that have no `at`."""

    def __init__(self, clock: Callable[[], datetime], *, as_json: bool) -> None:
        self._clock = clock
        self._as_json = as_json
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._store: Store | None = None
        self._seen = 0
        self._listed: dict[tuple[str, str], float] = {}
        self._complaints: dict[tuple[str, str], int] = {}
        self.counts: dict[str, int] = {}

    def emit(self, event: Mapping[str, Any]) -> None:
        """One event; `at` is added where it is missing."""
        if event["event"] in _CONSEQUENCES:
            self.catch_up()
        event = {"event": event["event"], "at": self._clock(), **event}
        with self._lock:
            self.counts[event["event"]] = self.counts.get(event["event"], 0) + 1
            if self._as_json:
                click.echo(orjson.dumps(event, option=orjson.OPT_UTC_Z, default=str))
            else:
                colour = _COLOURS.get(event["event"])
                click.echo(f"{event['at']:%H:%M:%S}  {click.style(event['event'].ljust(12), fg=colour)}  {_words(event)}")

    def say(self, text: str) -> None:
        """What the demo does to the world (people only: the service does not know it)."""
        if not self._as_json:
            self.emit({"event": "world", "text": text})

    def taken(self, taken: Taken) -> None:
        """The facts of a batch that a person would want to see: changed listings, complaints."""
        for seen in taken.batch.observations:
            if seen.measure != "listing" or seen.value is None:
                continue
            target, dnsbl = seen.subject.ip or seen.subject.domain or "", seen.subject.dnsbl or ""
            if self._listed.get((target, dnsbl), 0.0) == seen.value:
                continue
            self._listed[target, dnsbl] = seen.value
            verdict = "listed" if seen.value else "not_listed"
            self.emit({"event": "listing", "at": seen.at, "target": target, "list": dnsbl, "verdict": verdict,
                       "codes": sorted(seen.detail.get("codes", ()))})
        for trace in taken.batch.traces:
            if trace.kind == TraceKind.COMPLAINT:
                self._complained(trace)

    def _complained(self, trace: Trace) -> None:
        """People see the first, second, fourth, eighth … complaint of a stream; programs every one."""
        about = trace.subject
        key = (about.customer or "", about.stream or "")
        total = self._complaints[key] = self._complaints.get(key, 0) + 1
        if self._as_json or total & (total - 1) == 0:
            self.emit({"event": "complaint", "at": trace.at, "customer": about.customer, "stream": about.stream,
                       "campaign": about.campaign, "ip": about.ip, "provider": about.provider, "total": total})

    def watch(self, store: Store) -> None:
        """Show from now on the transitions of this store."""
        self._store = store
        with store.reading_session() as session:
            self._seen = newest_transition(session)

    def catch_up(self) -> None:
        """Show the transitions that are new since the last look."""
        if self._store is None:
            return
        with self._reading:
            with self._store.reading_session() as session:
                newer = transitions_after(session, self._seen)
                rows = [row for row in newer if row.kind != "listing"]  # `taken` shows the answers themselves
                about = {TransitionKind.INCIDENT, TransitionKind.ACKNOWLEDGEMENT}
                incidents = {row.of: incident_named(session, row.of) for row in rows if row.kind in about}
            self._seen = max((row.id or 0 for row in newer), default=self._seen)
            for row in rows:
                self.emit(_transition(row, incidents.get(row.of)))


def _transition(row: Transition, incident: Incident | None) -> dict[str, Any]:
    change = {"at": row.at, "old": row.old, "new": row.new, "why": row.why, "rule": row.rule, "by": row.actor}
    if row.kind == "incident" and incident is not None:
        state = "resolved" if row.new == "ok" else row.new
        return {"event": "incident", "state": state, "incident": incident.id, "subject": incident.subject,
                "severity": incident.severity, **change}
    return {"event": "transition", "kind": row.kind, "of": row.of,
            "scope": row.evidence.get("scope") or (incident.subject if incident else None), **change}


def _words(event: Mapping[str, Any]) -> str:
    words = _WORDS.get(event["event"])
    return words(event) if words else str(event["text"])


def _listing_words(event: Mapping[str, Any]) -> str:
    return f"{event['target']} is {event['verdict'].replace('_', ' ')} on {event['list']}"


def _complaint_words(event: Mapping[str, Any]) -> str:
    return f"complaint {event['total']} about {event['customer']} {event['stream'] or ''} at {event['provider']}"


def _incident_words(event: Mapping[str, Any]) -> str:
    return f"{event['rule']} {event['state'].upper()} ({where(event['subject'])}): {event['why']}"


def _transition_words(event: Mapping[str, Any]) -> str:
    return f"{event['new']} {where(event['scope'] or {})}: {event['why']}"


def _notification_words(event: Mapping[str, Any]) -> str:
    return f"chat: {event['title']}\n" + "\n".join(f"{'':24}{line}" for line in event["body"].splitlines())


def _decision_words(event: Mapping[str, Any]) -> str:
    why = f": {event['why']}" if event["why"] else ""
    return f"may {event['customer']} {event['stream']} send from {event['ip']}? {event['decision'].upper()}{why}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "listing": _listing_words, "complaint": _complaint_words, "incident": _incident_words,
    "transition": _transition_words, "notification": _notification_words, "decision": _decision_words,
}
