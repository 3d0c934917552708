"""A link in a message leads to a page that changes nothing until a person presses its button."""

from datetime import timedelta

import pytest
from sqlmodel import select

from monitor.console import Console, build_actions
from monitor.database.tables import Incident, Silence
from monitor.notify.links import Link, LinkError, Links
from tests.monitor.api.running import NOW, running
from tests.monitor.api.test_operate import incident

FORM = {"action": "acknowledge", "who": "Dana <x>", "reason": "on it", "hours": "4"}


@pytest.fixture
def act(store):
    links = Links(store.recipients.derived, "http://vigie.example")
    actions = build_actions(Console(store, lambda: vigie.clock()), links)  # noqa: PLW0108 - it is started later
    with running(store, actions=actions) as vigie:
        with store.session() as session:
            session.add(incident("inc-1"))
        yield vigie, vigie.client(), links.of("inc-1", "cell", NOW)["Acknowledge or silence"].removeprefix("http://vigie.example")


def stored(vigie):
    with vigie.store.reading_session() as session:
        return session.get(Incident, "inc-1"), list(session.exec(select(Silence)))


def test_fetching_shows_and_only_the_button_acts(act):
    vigie, client, link = act
    for _ in range(2):
        answer = client.get(link)
        assert (answer.status_code, "complaint-rate" in answer.text) == (200, True)
        assert client.head(link).status_code in {200, 405}
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert (answer.headers["x-robots-tag"], answer.headers["cache-control"]) == ("noindex", "no-store")
    row, silences = stored(vigie)
    assert (row.acked_at, silences) == (None, [])
    answer = client.post(link, data=FORM)
    assert (answer.status_code, "Acknowledged for 4 h" in answer.text, "Dana &lt;x&gt;" in answer.text) == (200, True, True)
    row, _ = stored(vigie)
    assert (row.acked_by, row.ack_reason, row.ack_until) == ("Dana <x> (link to cell)", "on it", NOW + timedelta(hours=4))
    assert client.post(link, data={**FORM, "action": "silence", "hours": "1"}).status_code == 200
    _, (made,) = stored(vigie)
    assert (made.matchers, made.until) == ({"incident": "inc-1"}, NOW + timedelta(hours=1))


def test_what_is_no_form_of_ours_changes_nothing(act):
    vigie, client, link = act
    wrong = [{}, {**FORM, "who": ""}, {**FORM, "reason": " "}, {**FORM, "hours": "9000"}, {**FORM, "action": "lift"}, {**FORM, "who": "a\nb"}]
    assert [client.post(link, data=form).status_code for form in wrong] == [422] * len(wrong)
    assert "open the link again" in client.post(link, data={**FORM, "hours": "9" * 5_000}).text
    assert client.post(link, content=b"\xff\xfe").status_code == 422
    assert stored(vigie)[0].acked_at is None


def test_a_link_is_good_for_a_week_for_one_incident_and_cannot_be_made_up(act):
    vigie, client, link = act
    broken = [link[:-1], link[:-4] + "AAAA", link.replace("/act/", "/act/x"), "/act/x", "/act/%00.x"]
    assert {client.get(each).status_code for each in broken} == {410}
    other = Links(lambda purpose: b"another key", "").token(Link("inc-1", "cell", NOW + timedelta(days=1)))
    assert client.post(f"/act/{other}", data=FORM).status_code == 410
    vigie.clock.move(days=7)
    assert "was good until" in client.post(link, data=FORM).text
    assert stored(vigie)[0].acked_at is None


def test_what_has_ended_is_not_acknowledged(act):
    vigie, client, link = act
    with vigie.store.session() as session:
        row = session.get(Incident, "inc-1")
        row.ended_at = NOW
        session.add(row)
    assert "<form" not in client.get(link).text
    assert "has ended" in client.post(link, data=FORM).text


def test_the_key_of_links_is_of_the_database_and_of_no_customer(store):
    links = Links(store.recipients.derived, "")
    token = links.token(Link("inc-1", "cell", NOW))
    with pytest.raises(LinkError, match="was good until"):
        links.read(token, NOW)
    assert links.read(token, NOW - timedelta(seconds=1)) == Link("inc-1", "cell", NOW)
    assert store.recipients.derived("links in messages") != store.customer_key("links in messages")
