from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.delivery.generic import OUTCOMES, decode
from collectors.measures import MEASURES

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVENT = {"at": "2026-01-02T03:00:10Z", "outcome": "delivered", "customer": "acme"}


def line(**fields):
    return orjson.dumps({name: value for name, value in (EVENT | fields).items() if value is not None})


def one(**fields):
    decoded = decode([line(**fields)], key="k", now=NOW)
    assert decoded.errors == ()
    return decoded.batch


def error(raw, **given):
    decoded = decode([raw], key="k", now=NOW, **given)
    assert decoded.accepted == 0
    return decoded.errors[0].error


def test_an_event_becomes_a_count():
    batch = one(stream="news", campaign="spring", ip="2001:DB8::1", domain="Example.com.", recipient_domain="GMAIL.com", count=7)
    (observation,) = batch.observations
    assert (observation.measure, observation.value) == ("delivered", 7.0)
    assert observation.at == datetime(2026, 1, 2, 3, 0, 10, tzinfo=UTC)
    assert {name: value for name, value in observation.subject._asdict().items() if value} == {
        "customer": "acme", "stream": "news", "campaign": "spring", "ip": "2001:db8::1", "domain": "example.com",
        "provider": "gmail",
    }
    assert (batch.source, batch.key, batch.traces) == ("events/generic", "k", ())


def test_events_of_one_minute_and_subject_are_added_up_and_dated_by_the_newest():
    lines = [line(), line(at="2026-01-02T03:00:59Z", count=4), line(at="2026-01-02T03:01:00Z"), line(customer="bolt")]
    decoded = decode(lines, key="k", now=NOW)
    assert sorted((each.value, each.at.second) for each in decoded.batch.observations) == [(1, 0), (1, 10), (5, 59)]
    assert (decoded.accepted, decoded.messages) == (4, {"delivered": 7})


@pytest.mark.parametrize(
    "at", ["2026-01-02T03:00:10Z", "2026-01-02T04:00:10+01:00", "2026-01-02 03:00:10.5+00:00", 1767322810, 1767322810.5]
)
def test_a_time_is_iso_8601_with_a_zone_or_seconds_since_1970(at):
    assert one(at=at).observations[0].at.replace(microsecond=0) == datetime(2026, 1, 2, 3, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "at",
    [None, "2026-01-02T03:00:10", "yesterday", True, 1767322810000, float("1e400"), [], "2026-01-02T03:15:10Z",
     "2020-01-02T03:00:00Z", "0001-01-01T00:00:00+14:00"],
)
def test_a_time_that_says_no_instant_or_cannot_be_is_refused(at):
    raw = b'{"at": 1e400, "outcome": "sent"}' if at == float("inf") else line(at=at)
    assert error(raw).startswith(("at: ", "not JSON"))


@pytest.mark.parametrize(
    ("outcome", "measure"),
    [("delivered", "delivered"), ("Bounced", "hard_bounce"), ("soft-bounce", "soft_bounce"), ("DEFERRED", "deferral"),
     ("transient failure", "deferral"), ("blocked", "block"), ("spam", "complaint"), ("unsubscribed", "unsubscribe")],
)
def test_senders_may_use_their_own_words_for_an_outcome(outcome, measure):
    assert one(outcome=outcome).observations[0].measure == measure


def test_every_outcome_is_a_counted_measure():
    assert {MEASURES[measure].kind for measure in OUTCOMES.values()} == {"count"}
    assert all(word == word.lower().replace("-", "_") for word in OUTCOMES)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"outcome": None}, "outcome: missing"),
        ({"outcome": "exploded"}, "outcome: one of"),
        ({"outcome": 5}, "outcome: one of"),
        ({"count": 0}, "count: "),
        ({"count": -3}, "count: "),
        ({"count": 1.5}, "count: "),
        ({"count": True}, "count: "),
        ({"count": 10_000_001}, "count: "),
        ({"ip": "nowhere"}, "ip: "),
        ({"customer": None}, "customer, ip or domain"),
        ({"customer": ["acme"]}, "customer: "),
        ({"stream": "x" * 256}, "stream: "),
        ({"recipient": "ann"}, "recipient: "),
        ({"status": "5" * 33, "recipient": "a@example.org", "outcome": "bounce"}, "status: "),
    ],
)
def test_what_is_wrong_is_said_with_its_field(fields, field):
    assert error(line(**fields)).startswith(field)


@pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b"\xff\xfe", b"nan", "{'at': 1}"])
def test_what_is_no_object_is_said_to_be_none(raw):
    assert error(raw).startswith("not ")


def test_a_bad_line_is_parked_as_it_came_and_the_others_count():
    decoded = decode([line(), b"{oops", b"", line()], key="k", now=NOW, first_line=11)
    assert (decoded.accepted, [each.line for each in decoded.errors]) == (2, [12])
    (parked,) = decoded.batch.parked
    assert (parked.source, parked.reason, parked.body) == ("line 12", "malformed", b"{oops")


def test_very_many_bad_lines_are_parked_together_and_none_is_lost():
    decoded = decode([b"{%d" % number for number in range(500)], key="k", now=NOW)
    assert len(decoded.errors) == 500
    assert len(decoded.batch.parked) == 101
    assert b"".join(parked.body for parked in decoded.batch.parked).count(b"{") == 500


def test_domains_of_no_known_provider_are_one_series():
    lines = [line(recipient=f"ann@firm{number}.example") for number in range(50)]
    (observation,) = decode(lines, key="k", now=NOW).batch.observations
    assert (observation.subject.provider, observation.value) == ("other", 50)
    assert one().observations[0].subject.provider is None


def test_what_was_not_delivered_and_names_its_recipient_leaves_a_trace():
    (trace,) = one(
        outcome="bounce", recipient="Bob@example.org", message_id="<1@example.com>", status="5.1.1", text="no such user"
    ).traces
    assert (trace.kind, trace.recipient, trace.message_id) == ("bounce", "Bob@example.org", "<1@example.com>")
    assert (trace.category, trace.status, trace.text, trace.at.second) == ("hard_bounce", "5.1.1", "no such user", 10)
    assert one(outcome="bounce").traces == ()
    assert one(outcome="delivered", recipient="bob@example.org").traces == ()
    assert {one(outcome=word, recipient="b@example.org").traces[0].kind for word in ("complaint", "deferral", "block")} == {
        "complaint", "deferral", "block",
    }


def test_a_wordy_server_is_cut_short_and_not_refused():
    (trace,) = one(outcome="block", recipient="b@example.org", text="x" * 5000).traces
    assert len(trace.text) == 2000


def test_fields_we_do_not_ask_for_are_left_alone():
    assert one(colour="red", nested={"a": [1]}).observations[0].value == 1


def test_a_customer_is_filled_in_and_what_it_counts_under_is_settled():
    nameless = line(customer=None)
    (observation,) = decode([nameless], key="k", now=NOW, customer="acme").batch.observations
    assert observation.subject.customer == "acme"

    def counted(subject):
        if subject.ip == "203.0.113.8":
            raise ValueError("ip: this key is bound to acme")
        return subject._replace(ip=None)

    batch = decode([line(outcome="bounced", ip="192.0.2.1", recipient="ann@example.org")], key="k", now=NOW, counted=counted).batch
    assert (batch.observations[0].subject.ip, batch.traces[0].subject.ip) == (None, "192.0.2.1")
    assert error(line(ip="::ffff:203.0.113.8"), counted=counted) == "ip: this key is bound to acme"


_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text()
_names = st.sampled_from([*EVENT, "count", "ip", "recipient", "x"])


@given(st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=6)))
def test_nothing_a_sender_can_send_breaks_the_reader(value):
    decoded = decode([value], key="k", now=NOW)
    assert decoded.accepted + len(decoded.errors) == (0 if isinstance(value, str) and not value.strip() else 1)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(raw):
    decoded = decode([raw], key="k", now=NOW + timedelta(days=1))
    assert decoded.accepted + len(decoded.errors) == (1 if raw.strip() else 0)
