"""The receivers of a configuration: whom messages go to, and how each is spoken to."""

from __future__ import annotations

from monitor.config.load import Config, ConfigError, ConfigErrors
from monitor.notify.chat import Chat
from monitor.notify.message import Receiver


def configured_receivers(config: Config) -> tuple[list[Receiver], dict[str, Chat]]:
    """Who wants which messages, and their addresses by name; nobody is spoken to yet.

    Raises ConfigErrors with file and line of every address that Apprise does not understand.
    """
    receivers, chats = [], {}
    problems: list[ConfigError] = []
    for place, each in enumerate(config.receivers):
        url = each.url.get_secret_value()
        receivers.append(Receiver(each.name, url, each.severities, frozenset(each.rules), frozenset(each.customers)))
        try:
            chats[each.name] = Chat(each.name, url)
        except ValueError as error:
            problems.append(config.source.error(("receivers", place, "url"), str(error)))
    if problems:
        raise ConfigErrors(problems)
    return receivers, chats
