"""Who is believed when a report says that a recipient complained."""

import pytest

from collectors.providers import Provider, shipped
from collectors.report_mail.reporters import REPORTING_LABELS, reporters, speaks_for_provider

FROM = "feedback@receiver.example"


@pytest.mark.parametrize("row", reporters(), ids=lambda row: row.signs[0])
def test_a_row_speaks_for_known_providers_and_signs_with_no_domain_of_their_users(row):
    assert row.speaks_for <= shipped().rows.keys()
    for domain in row.signs:
        assert domain == domain.lower()
        assert not any(domain == known or known.endswith(f".{domain}") for known in PROVIDERS_DOMAINS) or row.senders
    assert all(sender.partition("@")[2] in row.signs for sender in row.senders)


PROVIDERS_DOMAINS = {domain.lstrip(".") for row in shipped().rows.values() for domain in row.domains}


def test_no_domain_stands_in_two_rows():
    domains = [domain for row in reporters() for domain in row.signs]
    assert len(domains) == len(set(domains))


@pytest.mark.parametrize(("signer", "provider"), [
    ("arf.mail.yahoo.com", "yahoo"), ("arf.mail.yahoo.com", "comcast"), ("arf.mail.yahoo.com", None),
    ("senderscore.net", "comcast"), ("comcastfbl.senderscore.net", "cox"), ("senderscore.net", None),
    ("fbl.cox.net", "cox"), ("feedback.laposte.net", "laposte"), ("email-abuse.amazonses.com", "yahoo"),
    ("fbl.zoho.com", "zoho"),
])
def test_a_reporting_domain_speaks_for_its_providers(signer, provider):
    assert speaks_for_provider({signer}, FROM, provider, {}, shipped())


@pytest.mark.parametrize(("signer", "provider"), [
    ("attacker.example", "gmail"), ("attacker.example", None), ("gmail.com", "gmail"), ("yahoo.com", "yahoo"),
    ("mail.yahoo.com", "yahoo"), ("arf.mail.yahoo.com", "gmail"), ("amazonses.com", "yahoo"), ("hotmail.com", "microsoft"),
    ("arf.mail.yahoo.com.attacker.example", "yahoo"), ("notsenderscore.net", "comcast"), ("fbl.attacker.example", None),
    ("fbl.cox.net", "comcast"), ("fbl.cox.net", None), ("senderscore.net", "gmail"), ("fbl.gmail.com.example", "gmail"),
    ("net", "cox"), ("", "cox"),
])
def test_nobody_else_does_not_even_a_providers_users(signer, provider):
    assert not speaks_for_provider({signer}, FROM, provider, {}, shipped())


def test_a_domain_that_signs_for_users_too_is_believed_from_the_reporting_address_only():
    assert speaks_for_provider({"hotmail.com"}, "staff@hotmail.com", "microsoft", {}, shipped())
    assert not speaks_for_provider({"hotmail.com"}, "stafff@hotmail.com", "microsoft", {}, shipped())
    assert not speaks_for_provider({"attacker.example"}, "staff@hotmail.com", "microsoft", {}, shipped())


def test_an_operator_adds_domains_for_named_providers_only():
    added = {"reports.isp.example": frozenset({"gmail"})}
    assert speaks_for_provider({"a.reports.isp.example"}, FROM, "gmail", added, shipped())
    assert not speaks_for_provider({"reports.isp.example"}, FROM, "yahoo", added, shipped())
    assert not speaks_for_provider({"isp.example"}, FROM, "gmail", added, shipped())


def test_a_reporting_domain_of_an_own_provider_speaks_for_it():
    own = shipped().with_own([Provider(id="town", name="Town", domains=("town.example",))])
    assert speaks_for_provider({"fbl.town.example"}, FROM, "town", {}, own)
    assert not speaks_for_provider({"fbl.town.example"}, FROM, "town", {}, shipped())


def test_labels_of_reporting_domains_are_no_recipient_domains():
    assert not any(shipped().of_domain(f"{label}.{domain}") == shipped().of_domain(domain) and f".{domain}" not in
                   {name for row in shipped().rows.values() for name in row.domains}
                   for label in REPORTING_LABELS for domain in PROVIDERS_DOMAINS)
