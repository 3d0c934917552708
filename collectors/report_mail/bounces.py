"""Bounces: which recipients could not be reached, one notification per mail or recipient (RFC 3464 and worse).

Asks IMAP mailboxes our return paths lead to; collectors.report_mail.facts.failures says what counts. May be wrong
where our MTA writes its own notifications into the same mailbox and its records are collected as well:
what it was answered during delivery is then counted twice.
"""

from __future__ import annotations

from typing import ClassVar

from collectors.contract import CollectorSettings
from collectors.report_mail.mail_source import MailboxCollector, MailboxSettings


class BouncesSettings(MailboxSettings):
    """Bounces come by the million and their traces keep the refusal: the mails are kept only on request."""

    keep_evidence: bool = False


class Bounces(MailboxCollector):
    """Every mailbox with the purpose `bounces`."""

    name: ClassVar[str] = "bounces"
    feeds: ClassVar[frozenset[str]] = frozenset(("hard_bounce", "soft_bounce", "block", "unattributed_bounce"))
    Settings: ClassVar[type[CollectorSettings]] = BouncesSettings
