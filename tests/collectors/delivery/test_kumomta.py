"""KumoMTA's records: what counts as what, and every trap of theirs."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from collectors.delivery.counting import counted, lines_of, record_key
from collectors.delivery.kumomta import QueueName, queue_name, read
from collectors.delivery.outcomes import Ignored, Outcome, Unreadable
from collectors.observation import Subject
from collectors.providers import shipped
from collectors.traces import TraceKind

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = NOW - timedelta(minutes=3)


def record(**changes):
    base = {
        "type": "Delivery", "id": "1d98076abbbc11ed940250ebf67f93bd", "sender": "b@acme.example", "recipient": "u@gmail.com",
        "queue": "nl-42:acme@gmail.com", "site": "ip-3->(alt1|alt2)?.gmail-smtp-in.l.google.com@smtp_client", "size": 0,
        "response": {"code": 250, "enhanced_code": {"class": 2, "subject": 0, "detail": 0}, "content": "OK id=x", "command": "."},
        "peer_address": {"name": "gmail-smtp-in.l.google.com.", "addr": "142.251.2.27"}, "timestamp": int(AT.timestamp()),
        "event_time": f"{AT:%Y-%m-%dT%H:%M:%S}.123456789Z", "created": int(AT.timestamp()) - 10, "num_attempts": 0,
        "bounce_classification": "Uncategorized", "egress_pool": "pool0", "egress_source": "ip-3",
        "source_address": {"address": "192.0.2.7:53210"}, "feedback_report": None, "meta": {}, "headers": {},
        "delivery_protocol": "ESMTP", "reception_protocol": "ESMTP", "nodeid": "557f3ad4-2c8c-11ee-976e-782d7e12e173",
    }
    return {**base, **changes}


def replied(code, content, kind="Bounce", enhanced=None, **changes):
    parts = enhanced and dict(zip(("class", "subject", "detail"), map(int, enhanced.split(".")), strict=True))
    return record(type=kind, response={"code": code, "enhanced_code": parts, "content": content, "command": None}, **changes)


def line(each):
    return each if isinstance(each, bytes) else json.dumps(each).encode()


def events(each):
    return read(line(each))


def whose(event, provider):
    return Subject(customer=event.names.get("tenant"), campaign=event.names.get("campaign"), ip=event.ip, provider=provider)


def count(*records, **more):
    lines = lines_of([line(each) for each in records], read, "events/kumomta")
    return counted(lines, source="events/kumomta", key="k", now=NOW, providers=shipped(), whose=whose, **more)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (record(), "delivered"),
        (record(type="Reception", site=""), "accepted"),
        (replied(421, "4.7.28 rate limited", "TransientFailure"), "deferred"),
        (replied(550, "5.1.1 The email account that you tried to reach does not exist", enhanced="5.1.1"), "bounced"),
        (replied(552, "5.2.2 The recipient's inbox is out of storage space", enhanced="5.2.2"), "bounced"),
        (replied(550, "5.7.1 Our system has detected that this message is likely unsolicited mail.", enhanced="5.7.1"), "blocked"),
        (replied(550, "5.7.26 This mail has been blocked because the sender is unauthenticated.", enhanced="5.7.26"), "blocked"),
        (replied(551, "Next delivery time would be too late", "Expiration", enhanced="5.4.7", site=""), "expired"),
        (replied(551, "Administrator bounced with reason: x", "AdminBounce", enhanced="5.7.1", site=""), "not_attempted"),
        (replied(550, "5.7.1 relaying denied", "Rejection", queue="", site="", recipient=""), "refused_by_us"),
        (replied(550, "5.1.1 no such user", "OOB", enhanced="5.1.1"), "async_bounced"),
        (replied(451, "KumoMTA internal: scheduled queue is suspended: too many complaints", "TransientFailure", enhanced="4.4.4",
                 site="nl-42:acme@gmail.com"), "held_by_us"),
        (replied(451, "KumoMTA internal: no sources for x pool=`p` are eligible for selection at this time", "TransientFailure", site=""), "held_by_us"),
    ],
)
def test_what_counts_as_what(given, outcome):
    assert count(given).as_counts()["outcomes"] == {outcome: 1}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (record(reception_protocol="LogRecord", delivery_protocol="Lua", queue="http://vigie:8008.tsa.kumomta"), "LogRecord"),
        (record(type="Reception", reception_protocol="LogRecord"), "LogRecord"),
        (record(queue="http://10.0.0.1:8008/token.tsa.kumomta", reception_protocol=None), "LogRecord"),
        (record(delivery_protocol="Maildir"), "Maildir"),
        (record(delivery_protocol="Lua"), "Lua"),
        (record(type="Delayed"), "Delayed"),
        (record(type="XferOut"), "XferOut"),
        (record(type="AdminRebind"), "AdminRebind"),
        (record(type="SomethingNew"), "SomethingNew"),
        (b"delivered u@gmail.com by a template", "template"),
    ],
)
def test_what_says_nothing_of_mail_to_a_provider_is_ignored_by_its_kind(given, kind):
    assert events(given) == Ignored(kind)


@pytest.mark.parametrize(
    "given",
    [b"{", b'{"type": "Delivery"}', b"{}", b'{"type": 7}', record(response=None), record(response={"content": "x"}), record(recipient=7),
     record(event_time="yesterday"), record(event_time=None, timestamp="x"), record(event_time="9999-12-31T23:59:59Z"),
     record(event_time=None, timestamp=1e30), record(type="Feedback"), record(queue=[]), record(headers=[1]),
     record(response={"code": 250, "enhanced_code": {"class": 2}, "content": "x"}), line(record())[:-40]],
)  # fmt: skip
def test_what_cannot_be_understood_says_why_and_raises_nothing(given):
    answer = events(given)
    assert isinstance(answer, Unreadable)
    assert answer.reason


def test_a_record_without_event_time_is_dated_by_its_seconds():
    (event,) = events({key: value for key, value in record().items() if key != "event_time"})
    assert event.at == AT.replace(microsecond=0)
    (event,) = events(record())
    assert event.at.microsecond == 123456


def test_each_recipient_of_a_list_is_one_outcome():
    answer = count(record(recipient=["a@gmail.com", "b@yahoo.com"], queue="acme@gmail.com"))
    assert (answer.read, answer.outcomes) == (1, {Outcome.DELIVERED: 2})
    assert {seen.subject.provider for seen in answer.batch.observations} == {"gmail", "yahoo"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("nl-42:acme@gmail.com", ("nl-42", "acme", "gmail.com", None)),
        ("acme@gmail.com!mx.example", (None, "acme", "gmail.com", "mx.example")),
        ("nl-42:@gmail.com", ("nl-42", None, "gmail.com", None)),
        ("gmail.com", (None, None, "gmail.com", None)),
        ("a:b:c@gmail.com", ("a", "b:c", "gmail.com", None)),
        ("", (None, None, None, None)),
    ],
)
def test_the_name_of_a_queue_says_campaign_tenant_and_domain(name, parts):
    assert queue_name(name) == QueueName(*parts)


@pytest.mark.parametrize(
    ("address", "ip"),
    [("192.0.2.7:0", "192.0.2.7"), ("[2001:db8::7]:25", "2001:db8::7"), ("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "2001:db8::7"),
     ("/run/sock", None), ("0.0.0.0:0", None), (None, None)],
)
def test_the_sending_address_is_read_with_and_without_its_port(address, ip):
    (event,) = events(record(source_address={"address": address}))
    assert event.ip == ip


def test_the_provider_of_an_unknown_domain_is_that_of_the_host_that_answered():
    answer = count(record(recipient="u@workspace.example", queue="acme@workspace.example"), record(recipient="u@nobody.example", peer_address=None))
    assert [seen.subject.provider for seen in answer.batch.observations] == ["gmail", "other"]


def test_a_name_may_stand_in_a_header_or_in_meta_as_a_text_or_a_list():
    (event,) = events(record(headers={"X-Customer": ["acme"], "message-id": "<m@acme.example>"}, meta={"job": "nl-1", "n": 7}))
    assert event.names == {"tenant": "acme", "campaign": "nl-42", "pool": "pool0", "header:x-customer": "acme",
                           "header:message-id": "<m@acme.example>", "meta:job": "nl-1"}
    assert event.message_id == "<m@acme.example>"


FEEDBACK = {"feedback_type": "abuse", "user_agent": "x", "version": 1, "arrival_date": "2026-01-01T00:00:00Z", "source_ip": "192.0.2.7",
            "original_mail_from": "b@acme.example", "original_rcpt_to": ["u@yahoo.com"], "reported_domain": [], "extensions": {"a": [[1, 2]]},
            "original_message": [72, 105], "supplemental_trace": {"recipient": "u@yahoo.com", "tenant": "acme", "campaign": "nl-42"}}


def test_a_complaint_is_dated_by_the_mail_complained_of_and_believed_only_where_somebody_vouches_for_it():
    given = record(type="Feedback", recipient="fbl@acme.example", queue="acme.example", feedback_report=FEEDBACK)
    plain, trusted = count(given), count(given, trust=frozenset({Outcome.COMPLAINED}))
    assert plain.outcomes == {Outcome.COMPLAINED: 1}
    (seen,), (trace,) = plain.batch.observations, plain.batch.traces
    assert (seen.measure, seen.at, seen.subject.customer, seen.subject.provider) == (
        "unverified_complaint", datetime(2026, 1, 1, tzinfo=UTC), "acme", "yahoo")
    assert (trace.kind, trace.recipient, trace.verified) == (TraceKind.COMPLAINT, "u@yahoo.com", False)
    assert trusted.batch.observations[0].measure == "complaint"
    other = record(type="Feedback", feedback_report={**FEEDBACK, "feedback_type": "not-spam"})
    assert events(other) == Ignored("Feedback: not-spam")


def test_a_late_bounce_that_anybody_can_have_sent_suppresses_nobody():
    (trace,) = count(replied(550, "5.1.1 no such user", "OOB", enhanced="5.1.1")).batch.traces
    assert (trace.kind, trace.hard, trace.verified) == (TraceKind.BOUNCE, True, False)


def test_a_dead_recipient_is_a_hard_bounce_and_leaves_a_trace():
    answer = count(replied(550, "5.1.1 The email account that you tried to reach does not exist", enhanced="5.1.1"))
    (seen,), (trace,) = answer.batch.observations, answer.batch.traces
    assert (seen.measure, trace.hard, trace.category, trace.status, trace.reply_code) == ("hard_bounce", True, "invalid_recipient", "5.1.1", "550")
    assert answer.categories == {"invalid_recipient": 1}


def test_the_same_record_counts_once_and_repeats_are_named():
    twice = [record(), record(), record(recipient="other@gmail.com")]
    answer = count(*twice)
    assert (answer.read, answer.ignored, answer.outcomes) == (2, {"duplicate": 1}, {Outcome.DELIVERED: 2})
    again = count(*twice, known=frozenset({record_key("events/kumomta", line(record()))}))
    assert (again.read, again.ignored) == (1, {"duplicate": 2})


def test_records_given_are_those_read_ignored_and_unreadable():
    given = [record(), b"", b"  ", record(type="XferIn"), b"{", record(reception_protocol="LogRecord")]
    answer = count(*given)
    assert (answer.read, sum(answer.ignored.values()), len(answer.unreadable)) == (1, 2, 1)
    assert [parked.body for parked in answer.batch.parked] == [b"{"]


def test_the_counts_of_a_minute_are_one_number_dated_by_its_newest_event():
    first = record(event_time="2026-01-02T03:01:10Z")
    second = record(event_time="2026-01-02T03:01:50Z", id="x")
    (seen,) = count(first, second).batch.observations
    assert (seen.value, seen.at) == (2.0, datetime(2026, 1, 2, 3, 1, 50, tzinfo=UTC))
