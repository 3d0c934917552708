"""Who wrote a report: a mail system at all, and whose feedback loop, by the marks it carries.

Asked in order, the first row that fits wins; the name is the provider's as used everywhere. Marks are what
the sender of a report chose to write, not proof: only its DKIM signature is (verified where the mail is
fetched).
"""

from __future__ import annotations

import re

from collectors.mail import fields
from collectors.mail.mime import Part

# (provider, field of the report mail or "user-agent" of the report, pattern)
_MARKS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (provider, name, re.compile(pattern, re.IGNORECASE))
    for provider, name, pattern in (
        ("yahoo", "user-agent", r"^yahoo!"),
        ("aol", "user-agent", r"^aol scomp"),
        ("microsoft", "user-agent", r"^jmrp/"),
        ("zoho", "user-agent", r"^zoho"),
        ("netease", "user-agent", r"^ntes"),
        ("linkedin", "from", r"@linkedin\.com\b"),
        ("yahoo", "from", r"@(?:[\w.-]+\.)?yahoo(?:-inc)?\.com\b"),
        ("aol", "from", r"scomp@aol\.(?:net|com)\b"),
        ("microsoft", "from", r"@(?:[\w.-]+\.)?(?:hotmail|outlook|microsoft|live)\.com\b"),
        ("zoho", "from", r"@fbl\.zoho"),
        ("mailru", "from", r"@(?:[\w.-]+\.)?mail\.ru\b|@mailru"),
        ("laposte", "from", r"laposte"),
        ("orange", "from", r"orange\.fr"),
        ("sfr", "from", r"sfr\.fr|@sfrfbl\."),
        ("rackspace", "from", r"rackspace|emailsrvr"),
        ("roadrunner", "from", r"@(?:[\w.-]+\.)?(?:rr\.com|roadrunner)|@rrfbl\."),
        ("fastmail", "from", r"fastmail|messagingengine"),
    )
)
_SYSTEM = re.compile(r"mailer-?daemon|postmaster|mail[ -]delivery|double-bounce", re.IGNORECASE)
# feedbackloop@comcastfbl.senderscore.net, feedbackloop@fbl.cox.com, feedbackloop@feedback.bluetie.com
_SENDERSCORE = re.compile(r"@([a-z0-9-]+?)-?fbl\.senderscore\.net", re.IGNORECASE)
_ISP_OWN = re.compile(
    r"(?:feedbackloop|fbl|abuse)@(?:fbl|feedback|feedbackloop)\.([a-z0-9-]+)\.", re.IGNORECASE
)


def is_from_a_system(mail: Part) -> bool:
    """Whether a mail system wrote the mail, not a mailbox: by its name, or because nobody is to answer."""
    nobody = "return-path" in mail.fields and not fields.address(mail.get("return-path"))
    return nobody or _SYSTEM.search(mail.get("from")) is not None


def provider(mail: Part, user_agent: str) -> str | None:
    """The provider whose user reported; None when no mark is known."""
    sender = mail.get("from")
    for name, where, mark in _MARKS:
        if mark.search(user_agent if where == "user-agent" else sender):
            return name
    for naming in (_SENDERSCORE, _ISP_OWN):
        if match := naming.search(sender):
            return match[1].lower()
    old = re.match(r"(\w+) feedback loop", user_agent, re.IGNORECASE)  # "comcast Feedback Loop (V0.01)"
    return old[1].lower() if old else None
