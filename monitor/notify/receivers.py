"""The receivers of a configuration: whom messages go to, how each is spoken to, and the routes that lead there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from monitor.config import notify as written
from monitor.config import receivers as written_receivers
from monitor.config.load import Config, ConfigError, ConfigErrors
from monitor.config.validation import did_you_mean
from monitor.incidents.matchers import Matcher, parse
from monitor.incidents.silences import MATCHER_DIMENSIONS, canonical_matcher
from monitor.notify.chat import Chat
from monitor.notify.heartbeat import Healthchecks, Heartbeat, UptimeKuma
from monitor.notify.message import Receiver
from monitor.notify.routing import NETWORK, Flapping, Inhibition, Route, Routing, Step
from monitor.notify.sender import Sends
from monitor.notify.senders.mattermost import Mattermost, MattermostHook
from monitor.notify.senders.pagerduty import PagerDuty
from monitor.notify.senders.slack import Slack, SlackHook
from monitor.notify.senders.webhook import Webhook

_Place = tuple[str | int, ...]


def configured_receivers(config: Config) -> tuple[list[Receiver], dict[str, Sends]]:
    """Who wants which messages, and how each is spoken to, by name; nobody is spoken to yet.

    Raises ConfigErrors with file and line of every address that Apprise does not understand.
    """
    receivers: list[Receiver] = []
    senders: dict[str, Sends] = {}
    problems: list[ConfigError] = []
    for place, each in enumerate(config.receivers):
        receivers.append(Receiver(
            each.name, each.severities, frozenset(each.rules), frozenset(each.customers), each.contact, each.links and not each.contact
        ))
        try:
            senders[each.name] = _sender(each)
        except ValueError as error:
            problems.append(config.source.error(("receivers", place, "url" if each.url else "webhook"), str(error)))
    if problems:
        raise ConfigErrors(problems)
    return receivers, senders


def _sender(settings: written_receivers.Receiver) -> Sends:
    """How it is spoken to. Raises ValueError."""
    if settings.slack is not None:
        return _slack(settings.slack)
    if settings.mattermost is not None:
        return _mattermost(settings.mattermost)
    if (pager := settings.pagerduty) is not None:
        return PagerDuty(pager.routing_key.get_secret_value(), pager.url)
    if (hook := settings.webhook) is not None:
        return Webhook(hook.url.get_secret_value(), hook.secret.get_secret_value())
    assert settings.url is not None  # one of them is given
    return Chat(settings.name, settings.url.get_secret_value())


def _slack(settings: written_receivers.Slack) -> Sends:
    if settings.webhook is not None:
        return SlackHook(settings.webhook.get_secret_value())
    assert settings.token is not None
    return Slack(settings.token.get_secret_value(), str(settings.channel), settings.api)


def _mattermost(settings: written_receivers.Mattermost) -> Sends:
    if settings.webhook is not None:
        return MattermostHook(settings.webhook.get_secret_value())
    assert settings.token is not None
    return Mattermost(str(settings.server), settings.token.get_secret_value(), str(settings.channel))


def configured_routing(config: Config, receivers: Sequence[Receiver], labels: Iterable[str] = ()) -> Routing:
    """The tree of routes with its receivers. `labels`: those that rules give. Raises ConfigErrors with file and line of what
    leads nowhere.
    """
    reader = _Reader(config, {*MATCHER_DIMENSIONS, *labels})
    settings = config.notify
    top = Route(
        (), settings.receiver, settings.group_by, settings.group_wait, settings.group_interval, settings.repeat_interval,
        escalate=reader.steps(settings.escalate, ("notify", "escalate")),
    )  # fmt: skip
    reader.check_receiver(settings.receiver, ("notify", "receiver"))
    if settings.routes and settings.receiver is None:
        reader.fault(("notify",), "receiver is missing — name who hears of what no route matches")
    reader.check_labels(set(settings.group_by or ()) - {NETWORK}, ("notify", "group_by"))
    root = replace(top, routes=reader.routes(settings.routes, top, ("notify", "routes")))
    inhibitions = [reader.inhibition(each, ("notify", "inhibit", i)) for i, each in enumerate(settings.inhibit)]
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return Routing(receivers, root, inhibitions, Flapping(settings.flapping.times, settings.flapping.within))


def configured_heartbeats(config: Config, labels: Iterable[str] = ()) -> tuple[list[Heartbeat], dict[str, Sends]]:
    """The watchers outside, and how each is spoken to, by the name of its receiver. Raises ConfigErrors."""
    reader = _Reader(config, {*MATCHER_DIMENSIONS, *labels})
    beats: list[Heartbeat] = []
    senders: dict[str, Sends] = {}
    for place, each in enumerate(config.notify.heartbeats):
        beat = Heartbeat(each.name, each.every, reader.matchers(each.matchers, ("notify", "heartbeats", place, "matchers")))
        if beat.receiver in senders:
            reader.fault(("notify", "heartbeats", place, "name"), f"'{each.name}' is there twice — give each its own")
        beats.append(beat)
        if each.healthchecks is not None:
            senders[beat.receiver] = Healthchecks(each.healthchecks.get_secret_value())
        elif each.uptime_kuma is not None:
            senders[beat.receiver] = UptimeKuma(each.uptime_kuma.get_secret_value())
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return beats, senders


class _Reader:
    """Makes routes of settings, and gathers what is wrong with them."""

    def __init__(self, config: Config, labels: set[str]) -> None:
        self._config, self._labels = config, labels
        self._known = [each.name for each in config.receivers]
        self.problems: list[ConfigError] = []

    def fault(self, place: _Place, text: str) -> None:
        self.problems.append(self._config.source.error(place, text))

    def routes(self, settings: Iterable[written.Route], above: Route, place: _Place) -> tuple[Route, ...]:
        """The branches below `above`, with what they inherit."""
        made = []
        for i, each in enumerate(settings):
            here = (*place, i)
            self.check_receiver(each.receiver, (*here, "receiver"))
            self.check_labels(set(each.group_by or ()) - {NETWORK}, (*here, "group_by"))
            steps = above.escalate if each.escalate is None else self.steps(each.escalate, (*here, "escalate"))
            route = Route(
                self.matchers(each.matchers, (*here, "matchers")), each.receiver or above.receiver,
                above.group_by if each.group_by is None else each.group_by,
                _either(each.group_wait, above.group_wait), _either(each.group_interval, above.group_interval),
                _either(each.repeat_interval, above.repeat_interval), each.continue_, steps,
                name=f"{above.name}.{i}" if above.name else str(i),
            )  # fmt: skip
            made.append(replace(route, routes=self.routes(each.routes, route, (*here, "routes"))))
        return tuple(made)

    def inhibition(self, each: written.Inhibition, place: _Place) -> Inhibition:
        self.check_labels(each.equal, (*place, "equal"))
        return Inhibition(
            self.matchers(each.source, (*place, "source")), self.matchers(each.target, (*place, "target")), each.equal
        )

    def steps(self, settings: Iterable[written.Escalation], place: _Place) -> tuple[Step, ...]:
        made = []
        for i, each in enumerate(settings):
            self.check_receiver(each.receiver, (*place, i, "receiver"))
            made.append(Step(each.after, each.receiver))
        return tuple(sorted(made, key=lambda step: step.after))

    def matchers(self, texts: Iterable[str], place: _Place) -> tuple[Matcher, ...]:
        made = []
        for text in texts:
            try:
                matcher = canonical_matcher(parse(text))
            except ValueError as error:
                self.fault(place, str(error))
                continue
            self.check_labels([matcher.name], place)
            made.append(matcher)
        return tuple(made)

    def check_labels(self, names: Iterable[str], place: _Place) -> None:
        for name in names:
            if name not in self._labels:
                self.fault(place, f"no label '{name}' — {did_you_mean(name, self._labels)}")

    def check_receiver(self, name: str | None, place: _Place) -> None:
        if name is not None and name not in self._known:
            self.fault(place, f"no receiver '{name}' — {did_you_mean(name, self._known)}")


def _either(own: timedelta | None, inherited: timedelta) -> timedelta:
    return inherited if own is None else own
