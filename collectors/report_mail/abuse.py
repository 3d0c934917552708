"""Mail to our abuse addresses: what people and machines write to abuse@ (RFC 2142), as letters to be answered.

Asks IMAP mailboxes of our abuse addresses. Reports in a known form count as everywhere; a letter in nobody's
form becomes a trace with its subject and the mail itself as evidence, from which people make a case.
May be wrong in taking advertising for a letter: nothing is filtered here.
"""

from __future__ import annotations

from typing import ClassVar

from collectors.report_mail.mail_source import MailboxCollector


class Abuse(MailboxCollector):
    """Every mailbox with the purpose `abuse`."""

    name: ClassVar[str] = "abuse"
    feeds: ClassVar[frozenset[str]] = frozenset()
