"""DMARC and TLS reports: who sends under our domains' names, and does it pass (RFC 9990, 9991; RFC 8460)?

Asks IMAP mailboxes that the `rua`, `ruf` and TLS `rua` of our domains' DNS records name;
collectors.report_mail.facts.aggregates says what counts. Late by a day or two. May be wrong where somebody forges
a report: set `authserv_id`.
"""

from __future__ import annotations

from typing import ClassVar

from collectors.report_mail.mail_source import MailboxCollector


class DmarcReports(MailboxCollector):
    """Every mailbox with the purpose `dmarc_reports`."""

    name: ClassVar[str] = "dmarc_reports"
    feeds: ClassVar[frozenset[str]] = frozenset(("dmarc_pass", "dmarc_fail", "tls_success", "tls_failure"))
