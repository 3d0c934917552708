"""Which names in the configuration does nothing have: customers and rules of receivers, trusted mailboxes, providers, the overflow pool?

No more than a warning: whatever is named may be added to the inventory later.
"""

from __future__ import annotations

from collections.abc import Collection

from monitor.config.load import Config
from monitor.config.validation import did_you_mean
from monitor.inventory.known import KnownNames

_OR_ADD = "Otherwise add it to the inventory."


def unknown_names(config: Config, known: KnownNames, rules: Collection[str]) -> list[str]:
    """Each such name with its line, what was meant and what to do."""
    faults: list[str] = []
    for place, receiver in enumerate(config.receivers):
        line = config.source.line_of(("receivers", place, "name"))
        unknown = [f"{fault} {_OR_ADD}" for name in receiver.customers for fault in known.unknown({"customer": name})]
        unknown += [f"no rule {name} — {did_you_mean(name, rules)}" for name in receiver.rules if name not in rules]
        faults += [f"{config.path}:{line}: receiver {receiver.name}: {fault}" for fault in unknown]
    for name, settings in config.collectors.items():
        spoken_for = frozenset().union(*getattr(settings, "reporters", {}).values())
        for key, dimension, names in (
            ("trusted_mailboxes", "mailbox", getattr(settings, "trusted_mailboxes", ())), ("reporters", "provider", spoken_for)
        ):
            unknown = [fault for each in sorted(names) for fault in known.unknown({dimension: each})]
            line = config.source.line_of(("collectors", name, key)) if unknown else 0
            faults += [f"{config.path}:{line}: collectors.{name}.{key}: {fault} {_OR_ADD}" for fault in unknown]
    return faults + _in_warm_ups(config, known)


def _in_warm_ups(config: Config, known: KnownNames) -> list[str]:
    """The overflow pool, and providers whose zone is named. A provider is named by its id here."""
    named: list[tuple[tuple[str, ...], dict[str, str | None]]] = [(("warmup", "overflow"), {"pool": config.warmup.overflow})]
    named += [(("warmup", "zones", provider), {"provider": provider}) for provider in config.warmup.zones]
    return [
        f"{config.path}:{config.source.line_of(path)}: {'.'.join(path)}: {fault} {_OR_ADD}"
        for path, about in named for fault in known.unknown(about)
    ]  # fmt: skip
