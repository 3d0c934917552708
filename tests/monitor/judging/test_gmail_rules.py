"""Gmail's own figures and verdicts, judged from the store by the shipped rules, on every engine."""

from datetime import timedelta

import pytest

from collectors.observation import Observation, Subject
from monitor.config.load import read_rules
from monitor.database.tables import Incident, SendingDomain
from monitor.rules.conditions.table import RULE
from monitor.rules.load import SHIPPED
from tests.monitor.judging.world import World

RULES = [RULE.validate_python(source.data) for source in read_rules(SHIPPED) if source.data["id"].startswith("gmail-")]
NEWS = Subject(customer="acme", domain="news.acme.example", provider="gmail")


@pytest.fixture
def gmail(store):
    world = World(store, RULES)
    with store.session() as session:
        session.add(SendingDomain(domain=NEWS.domain, customer="acme"))
    return world


def day(world, days_ago):
    return world.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


def rate(world, days_ago, value):
    world.sees(Observation("google_spam_rate", NEWS, day(world, days_ago), value, None if value is not None else "no_data"))
    world.judged_every(2, times=3)


def states(world):
    return [(row.rule, row.state) for row in world.rows(Incident)]


def test_a_spam_rate_above_googles_line_fires_and_ends_below_its_target(gmail):
    rate(gmail, 2, 0.004)
    assert states(gmail) == [("gmail-spam-rate", "firing")]
    gmail.wait(days=1)
    rate(gmail, 2, 0.002)
    assert states(gmail) == [("gmail-spam-rate", "firing")]
    gmail.wait(days=1)
    rate(gmail, 2, 0.0005)
    assert states(gmail) == [("gmail-spam-rate", "ok")]


def test_a_day_that_is_not_known_neither_opens_nor_ends_anything(gmail):
    rate(gmail, 3, None)
    assert states(gmail) == []
    rate(gmail, 2, 0.004)
    gmail.wait(days=1)
    rate(gmail, 2, None)
    assert states(gmail) == [("gmail-spam-rate", "firing")]


def test_a_revision_below_the_line_takes_the_incident_back(gmail):
    rate(gmail, 2, 0.004)
    rate(gmail, 2, 0.0004)
    assert states(gmail) == [("gmail-spam-rate", "ok")]


def test_a_requirement_google_finds_not_met_is_an_incident_of_its_own(gmail):
    for aspect, value in (("dmarc_policy", 0.0), ("spf_and_dkim", 1.0)):
        detail = {"status": "COMPLIANT" if value else "NEEDS_WORK"}
        gmail.sees(Observation("google_compliance", NEWS._replace(aspect=aspect), gmail.now, value, None, detail))
    gmail.judged_every(2, times=3)
    (incident,) = gmail.rows(Incident)
    assert (incident.rule, incident.subject["aspect"]) == ("gmail-requirements", "dmarc_policy")
