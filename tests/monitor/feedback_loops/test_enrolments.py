from datetime import UTC, datetime, timedelta

import pytest

from collectors.providers import shipped
from monitor.feedback_loops.enrolments import (
    MOVES,
    Enrolment,
    Sent,
    State,
    check_move,
    coverage,
    subject_name,
)
from monitor.inventory.items import Customer, Domain, Inventory, Ip, Pool

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
OURS = Inventory(
    customers={"acme": Customer(id="acme"), "bolt": Customer(id="bolt")},
    pools={"shared": Pool(name="shared")},
    ips={address: Ip(address=address, pool="shared") for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3")}
    | {"198.51.100.1": Ip(address="198.51.100.1", customer="acme"), "198.51.100.9": Ip(address="198.51.100.9")},
    domains={"acme.example.com": Domain(domain="acme.example.com", customer="acme"),
             "bolt.example.net": Domain(domain="bolt.example.net", customer="bolt")},
)


def sent(*counts):
    """Of (ip, domain, provider, messages)."""
    made = Sent()
    for ip, domain, provider, messages in counts:
        made.add(ip, domain, provider, messages)
    return made


def covered(counts, *enrolments):
    return coverage(OURS, sent(*counts), shipped().rows, enrolments, NOW)


def enrolled(provider, kind, subject, state=State.ACTIVE, ends_at=None):
    return Enrolment(provider, kind, subject, state, ends_at)


ALLOWED = {
    (None, "wanted"), (None, "requested"), (None, "active"), (None, "refused"),
    ("wanted", "requested"), ("wanted", "active"), ("wanted", "refused"),
    ("requested", "wanted"), ("requested", "active"), ("requested", "refused"),
    ("active", "lapsed"),
    ("lapsed", "wanted"), ("lapsed", "requested"), ("lapsed", "active"), ("lapsed", "refused"),
    ("refused", "wanted"), ("refused", "requested"),
}  # fmt: skip


@pytest.mark.parametrize("new", State)
@pytest.mark.parametrize("old", [None, *State])
def test_every_state_either_may_become_every_other_or_says_why_not(old, new):
    assert set(MOVES) == {None, *State}
    if (old, new) in ALLOWED or old is new:
        check_move(old, new)
    else:
        with pytest.raises(ValueError, match="cannot become"):
            check_move(old, new)


@pytest.mark.parametrize(
    ("kind", "written", "name"),
    [
        ("ip", " 192.0.2.7 ", "192.0.2.7"), ("ip", "192.0.2.7/32", "192.0.2.7"), ("ip", "192.0.2.0/24", "192.0.2.0/24"),
        ("ip", "2001:DB8::1", "2001:db8::1"), ("domain", "News.Example.COM.", "news.example.com"),
        ("account", "", "account"), ("account", "postmaster@example.com", "postmaster@example.com"),
    ],
)
def test_a_subject_has_one_spelling(kind, written, name):
    assert subject_name(kind, written) == name


@pytest.mark.parametrize(("kind", "written"), [("ip", "nowhere"), ("ip", "192.0.2.7/24"), ("domain", "example"), ("domain", "")])
def test_a_subject_that_is_no_ip_or_domain_is_refused(kind, written):
    with pytest.raises(ValueError, match=r"."):
        subject_name(kind, written)


def test_a_gap_is_what_sends_to_a_provider_with_a_loop_and_is_not_enrolled():
    coverage = covered(
        [("192.0.2.1", "acme.example.com", "microsoft", 700), ("192.0.2.2", "bolt.example.net", "microsoft", 200),
         ("198.51.100.1", "acme.example.com", "microsoft", 5_000)],
        enrolled("microsoft", "ip", "192.0.2.2"),
    )
    (gap,) = coverage.gaps
    assert [(group.owner, group.subjects, group.delivered) for group in gap.groups] == [
        ("customer acme", ("198.51.100.1",), 5_000), ("pool shared", ("192.0.2.1",), 700)]
    assert gap.summary == "2 IPs send to Outlook.com and Hotmail (5,700 a week) without its feedback loop"
    assert gap.action.startswith("enrol these IPs at https://substrate.office.com")
    assert coverage.without == ()


def test_a_loop_keyed_by_domain_asks_for_the_domain_whatever_the_ip():
    (gap,) = covered([("192.0.2.1", "bolt.example.net", "yahoo", 1_200_000)], enrolled("yahoo", "ip", "192.0.2.1")).gaps
    assert (gap.keyed_by, gap.subjects) == ("domain", ["bolt.example.net"])
    assert gap.summary == "1 domain sends to Yahoo, AOL (1,200,000 a week) without its feedback loop"
    assert covered([("192.0.2.1", "bolt.example.net", "yahoo", 9)], enrolled("yahoo", "domain", "bolt.example.net")).gaps == ()


@pytest.mark.parametrize("provider", ["gmail", "apple", "microsoft365", "orange", "att", "other"])
def test_a_provider_without_reports_is_named_and_never_a_gap(provider):
    coverage = covered([("192.0.2.1", "acme.example.com", provider, 100)])
    assert coverage.gaps == ()
    assert [each.provider for each in coverage.without] == [provider]


def test_it_is_said_why_a_provider_has_no_loop():
    summaries = [each.summary for each in covered([("192.0.2.1", "x.example", name, n) for name, n in
                                                   (("gmail", 9), ("free", 8), ("att", 7))]).without]
    assert summaries == ["Gmail: counts only, no reports (Feedback-ID counts in Postmaster Tools only)",
                         "Free: has no feedback loop", "AT&T: whether it has a feedback loop is not known"]


@pytest.mark.parametrize(
    ("enrolment", "covers"),
    [
        (enrolled("microsoft", "ip", "192.0.2.0/28"), True),
        (enrolled("microsoft", "ip", "192.0.2.128/28"), False),
        (enrolled("microsoft", "ip", "2001:db8::/32"), False),
        (enrolled("microsoft", "account", "account"), True),
        (enrolled("microsoft", "domain", "acme.example.com"), False),
        (enrolled("yahoo", "ip", "192.0.2.1"), False),
        (enrolled("microsoft", "ip", "192.0.2.1", State.REQUESTED), False),
        (enrolled("microsoft", "ip", "192.0.2.1", State.LAPSED), False),
        (enrolled("microsoft", "ip", "192.0.2.1", ends_at=NOW), False),
        (enrolled("microsoft", "ip", "192.0.2.1", ends_at=NOW + timedelta(seconds=1)), True),
    ],
)
def test_only_an_active_enrolment_of_the_subject_covers_it(enrolment, covers):
    assert bool(covered([("192.0.2.1", "acme.example.com", "microsoft", 5)], enrolment).gaps) is not covers


def test_what_is_asked_for_already_is_said():
    counts = [("192.0.2.1", "x.example", "microsoft", 5), ("192.0.2.2", "x.example", "microsoft", 5)]
    requested = enrolled("microsoft", "ip", "192.0.2.1", State.REQUESTED)
    (gap,) = covered(counts, requested).gaps
    assert gap.requested == ("192.0.2.1",)
    assert gap.action.endswith("1 asked for already")
    (gap,) = covered(counts[:1], requested).gaps
    assert gap.action.startswith("wait for its answer")


def test_a_loop_with_no_known_key_wants_the_account():
    (gap,) = covered([("192.0.2.1", "x.example", "zoho", 50)]).gaps
    assert (gap.keyed_by, gap.summary) == ("account", "we send to Zoho Mail (50 a week) without its feedback loop")
    assert covered([("192.0.2.1", "x.example", "zoho", 50)], enrolled("zoho", "account", "account")).gaps == ()


def test_nothing_is_a_gap_that_sends_nothing_or_is_not_ours():
    assert covered([("192.0.2.1", "x.example", "microsoft", 0)]).gaps == ()
    assert covered([("203.0.113.5", "x.example", "microsoft", 10)]).gaps == ()


def test_mail_that_does_not_show_its_domain_is_neither_covered_nor_a_gap():
    counts = [("192.0.2.1", None, "yahoo", 70), (None, "acme.example.com", "yahoo", 30)]
    coverage = covered(counts, enrolled("yahoo", "domain", "acme.example.com"))
    assert coverage.gaps == ()
    assert [(each.kind, each.delivered) for each in coverage.without] == [("unattributed", 70)]
    assert covered(counts, enrolled("yahoo", "account", "account")).without == ()
