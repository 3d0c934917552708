"""Which incidents a silence is about."""

from datetime import timedelta

import pytest

from monitor.facts import Store
from monitor.incidents.silences import silence
from tests.monitor.conftest import T


def made(store: Store, **matchers: str) -> dict[str, str]:
    until = T + timedelta(hours=1)
    with store.session() as session:
        return silence(session, matchers=matchers, actor="dana", reason="known", now=T, until=until).matchers


def test_matchers_are_kept_in_the_form_incidents_have(sqlite_store: Store):
    written = {"ip": "::ffff:192.0.2.7", "domain": "News.Example.COM.", "provider": "Google", "customer": "Acme"}
    assert made(sqlite_store, **written) == {
        "ip": "192.0.2.7", "domain": "news.example.com", "provider": "gmail", "customer": "Acme",
    }
    assert made(sqlite_store, target="2001:DB8::0:1") == {"target": "2001:db8::1"}
    assert made(sqlite_store, target="Example.COM") == {"target": "example.com"}
    with pytest.raises(ValueError, match="no IP address"):
        made(sqlite_store, ip="x")


def test_a_silence_can_be_about_every_dimension_that_incidents_have(sqlite_store: Store):
    for name in ("pool", "dnsbl", "operator", "mailbox", "seed", "aspect", "collector", "rule", "incident"):
        assert made(sqlite_store, **{name: "x"}) == {name: "x"}
    with pytest.raises(ValueError, match="cannot match on kind; known: customer, stream"):
        made(sqlite_store, kind="marketing")
