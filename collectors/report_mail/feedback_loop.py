"""Feedback loops: which recipients reported our mail as unwanted, one mail per report (RFC 5965, 6449, 9477).

Asks IMAP mailboxes where mailbox providers deliver their reports; collectors.report_mail.facts.complaints says what
counts. May be wrong where a provider hides the recipient, the sending IP and our identifiers alike (the report
is then counted as unattributed). Without `authserv_id` or `trusted_mailboxes` no report can be distinguished from a forged one:
complaints are then counted as unverified, but for those that bring back our own token.
"""

from __future__ import annotations

from typing import ClassVar

from collectors.report_mail.mail_source import MailboxCollector


class FeedbackLoop(MailboxCollector):
    """Every mailbox with the purpose `feedback_loop`."""

    name: ClassVar[str] = "feedback_loop"
    feeds: ClassVar[frozenset[str]] = frozenset(("complaint", "unverified_complaint", "report", "unattributed_report"))
