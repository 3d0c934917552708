import pytest

from collectors.providers import shipped
from collectors.report_mail.report_sender import is_vouched_for, speaks_for

SERVER = "mx.example.com"


def vouched(results: str, sender: str = "Feedback <fbl@arf.example.org>") -> bool:
    return is_vouched_for({"from": sender, "authentication-results": results}, SERVER)


@pytest.mark.parametrize("results", [
    "mx.example.com; dkim=pass header.d=arf.example.org",
    "MX.example.com 1; spf=pass smtp.mailfrom=x@example.net; DKIM = pass (2048-bit key) header.i=@example.org",
    "mx.example.com; dkim=fail header.d=arf.example.org; dkim=pass header.d=example.org header.s=s1",
    "mx.example.com (nested (comment; dkim=fail)); dmarc=pass (p=REJECT) header.from=arf.example.org",
    'mx.example.com; dkim/1=pass header.d="example.org"',
])
def test_a_signature_of_the_from_domain_or_its_parent_is_enough(results):
    assert vouched(results)


@pytest.mark.parametrize("results", [
    "",
    "mx.example.com",
    "mx.example.com; none",
    "mx.example.com; dkim=fail header.d=arf.example.org",
    "mx.example.com; dkim=pass header.d=example.net",
    "mx.example.com; dkim=pass header.d=ple.org",
    "mx.example.com; dkim=pass header.d=org",
    "mx.example.com; dkim=pass header.d=deeper.arf.example.org",
    "mx.example.com; spf=pass smtp.mailfrom=fbl@arf.example.org",
    "mx.example.com; dkim=none (dkim=pass header.d=arf.example.org)",
    'mx.example.com; spf=pass smtp.mailfrom="; dkim=pass header.d=arf.example.org"@example.net',
    'mx.example.com; spf=pass smtp.mailfrom="\\"; dkim=pass header.d=arf.example.org"@example.net',
    'mx.example.com; spf=none (" ) smtp.mailfrom="; dkim=pass header.d=arf.example.org',
    "mx.example.com; spf=none (sender (said ); dkim=pass header.d=arf.example.org",
    "mx.example.com; spf=fail smtp.helo=dkim=pass header.d=arf.example.org",
    "mx.attacker.example; dkim=pass header.d=arf.example.org",
    "attacker.mx.example.com; dkim=pass header.d=arf.example.org",
    "(" * 5000 + "mx.example.com; dkim=pass header.d=arf.example.org",
])
def test_anything_else_is_not(results):
    assert not vouched(results)


def test_a_mail_without_sender_is_not_vouched_for():
    assert not vouched("mx.example.com; dkim=pass header.d=example.org", sender="")


@pytest.mark.parametrize(("sender", "recipient", "speaks"), [
    ("feedback@arf.mail.yahoo.com", "ann@yahoo.fr", True),
    ("staff@hotmail.com", "ann@outlook.de", True),
    ("mailer-daemon@mx.example.org", "ann@example.org", True),
    ("postmaster@example.org", "ann@DE.example.org", True),
    ("fbl@example.net", None, True),
    ("fbl@attacker.example", "ann@yahoo.fr", False),
    ("fbl@yahoo.com.attacker.example", "ann@yahoo.fr", False),
    ("fbl@notexample.org", "ann@example.org", False),
    ("fbl@org", "ann@example.org", False),
    ("", "ann@example.org", False),
    ("fbl@example.net", "", False),
])
def test_a_sender_speaks_for_recipients_of_its_own_domain_or_provider(sender, recipient, speaks):
    assert speaks_for({"from": sender}, recipient, shipped()) is speaks
