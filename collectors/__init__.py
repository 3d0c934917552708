"""Facts about what we send, collected from the world. `discover()` is the way in; README.md says more."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points

from collectors.contract import Collector, CollectorError, Reason

GROUP = "vigie.collectors"
# name → "module:class", imported when asked for: a broken collector is named, not a traceback shown
BUILT_IN: dict[str, str] = {
    "abuse": "collectors.report_mail.abuse:Abuse",
    "bounces": "collectors.report_mail.bounces:Bounces",
    "dmarc_reports": "collectors.report_mail.dmarc_reports:DmarcReports",
    "dnsbl": "collectors.dnsbl:Dnsbl",
    "files": "collectors.delivery.files:Files",
    "feedback_loop": "collectors.report_mail.feedback_loop:FeedbackLoop",
    "google_postmaster": "collectors.postmaster.google:GooglePostmaster",
    "mail_drop": "collectors.report_mail.mail_drop:MailDrop",
}


def discover() -> dict[str, type[Collector]]:
    """Every collector by name: the built-in ones and those of installed packages.

    Raises CollectorError(config) naming the one that cannot be imported or takes a name already taken.
    """
    collectors = {name: _load(name, where) for name, where in BUILT_IN.items()}
    for plugin in entry_points(group=GROUP):
        if plugin.name in collectors:
            text = f"collector {plugin.name}: the name is taken, {_origin(plugin)} uses it too"
            raise CollectorError(Reason.CONFIG, text)
        collectors[plugin.name] = _load(plugin.name, plugin.value)
    return collectors


def _load(name: str, where: str) -> type[Collector]:
    module, _, attribute = where.partition(":")
    try:
        collector: type[Collector] = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise CollectorError(Reason.CONFIG, f"collector {name}: cannot import {where}: {error}") from error
    called = getattr(collector, "name", None)
    if called != name:
        raise CollectorError(Reason.CONFIG, f"collector {name}: {where} calls itself {called}")
    return collector


def _origin(plugin: EntryPoint) -> str:
    return f"package {plugin.dist.name}" if plugin.dist else plugin.value
