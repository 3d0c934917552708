"""Our own delivery records vouch for a message; reports about it do not."""

from datetime import UTC, datetime, timedelta

from collectors.contract import Identifiers
from collectors.observation import Batch, Subject, Trace
from monitor.facts.deliveries import of_message, of_messages, of_recipient, of_recipients
from monitor.intake.context import SentMail

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def take(store, source, key, *traces):
    store.intake([Batch(source, key, NOW, traces=traces)], NOW)


def sent(customer, message_id="<m1@bolt.example>", recipient=None, stream="newsletter"):
    return Trace("deferral", NOW, Subject(customer=customer, stream=stream), recipient=recipient, message_id=message_id)


def test_a_message_of_ours_is_found_with_or_without_its_brackets(store):
    take(store, "events/generic", "a", sent("bolt"))
    with store.reading_session() as session:
        for spelling in ("<m1@bolt.example>", "m1@bolt.example"):
            traces = of_message(session, spelling)
            assert (traces.customer, traces.stream) == ("bolt", "newsletter")
        assert of_message(session, "m2@bolt.example") is None


def test_what_a_report_said_of_a_message_does_not_vouch_for_the_next_report(store):
    take(store, "mail", "a", sent("bolt"))
    with store.reading_session() as session:
        assert of_message(session, "m1@bolt.example") is None


def test_a_message_two_customers_claim_is_nobodys(store):
    take(store, "events/generic", "a", sent("bolt"), sent("acme"))
    with store.reading_session() as session:
        assert of_message(session, "m1@bolt.example") is None


def test_a_flood_of_reports_about_a_message_does_not_hide_its_record(store):
    take(store, "events/generic", "a", sent("bolt"))
    take(store, "mail", "b", *[sent("acme") for _ in range(500)])
    with store.reading_session() as session:
        assert of_message(session, "m1@bolt.example").customer == "bolt"


def test_a_recipient_only_one_customer_has_sent_to_lately_is_his(store):
    take(store, "events/generic", "a", sent("bolt", recipient="ann@example.org"), sent("bolt", recipient="bob@example.org"),
         sent("acme", recipient="bob@example.org"))
    with store.reading_session() as session:
        since = NOW - timedelta(days=1)
        assert of_recipient(session, store.recipient_hash("ann@example.org"), since).customer == "bolt"
        assert of_recipient(session, store.recipient_hash("bob@example.org"), since) is None
        assert of_recipient(session, store.recipient_hash("ann@example.org"), NOW + timedelta(days=1)) is None


def test_many_are_looked_up_at_once_with_the_same_answers(store):
    take(store, "events/generic", "a", sent("bolt", "<m1@x>", "ann@example.org"), sent("bolt", "<m2@x>", "bob@example.org"),
         sent("acme", "<m2@x>", "bob@example.org"), sent("acme", "<m3@x>", stream="receipts"), sent("acme", "<m3@x>"))
    take(store, "mail", "b", *[sent("acme", "<m1@x>") for _ in range(150)], sent("acme", "<m4@x>", "eve@example.org"))
    ids = ["<m1@x>", "m1@x", "<m2@x>", "<m3@x>", "<m4@x>", "<m5@x>"]
    hashes = [store.recipient_hash(f"{name}@example.org") for name in ("ann", "bob", "eve", "nobody")]
    since = NOW - timedelta(days=1)
    with store.reading() as connection:
        messages = {each: of_message(connection, each) for each in ids}
        recipients = {each: of_recipient(connection, each, since) for each in hashes}
        assert (of_messages(connection, ids), of_recipients(connection, hashes, since)) == (messages, recipients)
    assert messages["m1@x"].customer == recipients[hashes[0]].customer == "bolt"


def test_what_was_looked_up_before_is_answered_without_the_database_and_nothing_else_is_guessed(store):
    take(store, "events/generic", "a", sent("bolt", recipient="ann@example.org"))
    records = SentMail(store, NOW)
    records.prepare([Identifiers(message_id="<m1@bolt.example>", recipient="ann@example.org"), Identifiers()])
    take(store, "events/generic", "b", sent("acme", recipient="ann@example.org"), sent("acme", "<m2@bolt.example>"))
    assert records.of_message("<m1@bolt.example>").customer == "bolt"
    assert records.of_recipient("ann@example.org").customer == "bolt"
    assert records.of_message("<m2@bolt.example>").customer == "acme"
    records.prepare([])
    assert records.of_recipient("ann@example.org") is None
