"""Google Postmaster Tools v2, from the wire to the store."""

import json
import shutil
import threading
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import select

from collectors.clients.http_settings import HttpSettings
from collectors.postmaster.google import GooglePostmaster, GoogleSettings
from monitor.database.tables import Customer, ParkedRow, Reading, SendingDomain, Series
from monitor.facts import Store
from monitor.intake.consequences import open_store
from monitor.intake.context import RunContext
from monitor.intake.run import Runner
from tests.servers.google_postmaster import Google, error
from tests.servers.http_api import Reply

NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)
ACME, BOLT = "news.acme.example", "bolt.example"
RECENT = date(2026, 11, 24)


@pytest.fixture
def google():
    with Google() as running:
        running.add(ACME)
        running.add(BOLT)
        yield running


@pytest.fixture
def store(migrated_file, tmp_path):
    with closing(open_store(f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'vigie.sqlite')}")) as opened:
        yield opened


@pytest.fixture
def world(store: Store, google):
    with store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
        session.flush()
        session.add_all([SendingDomain(domain=ACME, customer="acme"), SendingDomain(domain=BOLT, customer="bolt")])
    return World(store, google)


class World:
    def __init__(self, store, google):
        self.store, self.google = store, google
        self.credential = google.user()

    def run(self, days=0, **settings):
        now = NOW + timedelta(days=days)
        http = HttpSettings(**{"backoff": timedelta(0), "most_wait": timedelta(0), "tries": 2} | settings.pop("http", {}))
        collector = GooglePostmaster(GoogleSettings(
            base_url=self.google.base, token_url=f"{self.google.base}/token", http=http, **settings))
        secrets = {} if self.credential is None else {"google_postmaster": SecretStr(json.dumps(self.credential))}
        context = RunContext(self.store, "google_postmaster", secrets, threading.Event(), now)
        tally = Runner(self.store, lambda batches: self.store.intake(batches, now), lambda: now).run(collector, context, keep=True)
        self.tally = tally
        return {(each.measure, each.subject.domain, each.subject.aspect, each.at.date()): each for each in tally.seen}

    def readings(self, measure):
        with self.store.reading_session() as session:
            query = select(Series.domain, Reading.at, Reading.value, Reading.reason).join(Series, Series.id == Reading.series_id)
            return [(domain, at.date(), value, reason) for domain, at, value, reason in session.execute(
                query.where(Series.measure == measure).order_by(Series.domain, Reading.at, Reading.batch_id))]

    def access(self, domain):
        return next(each for each in self.tally.seen if each.measure == "source_access" and each.subject.domain == domain)


def spam(google, domain, day, value):
    google.figures[domain, "SPAM_RATE", "", day] = value


def test_every_metric_is_asked_with_its_filter_and_comes_out_under_its_aspect(world, google):
    google.figures |= {
        (ACME, "SPAM_RATE", "", RECENT): 0.0012,
        (ACME, "AUTH_SUCCESS_RATE", 'auth_type = "dmarc"', RECENT): 0.98,
        (ACME, "TLS_ENCRYPTION_RATE", 'traffic_direction = "inbound"', RECENT): {"doubleValue": 1.0},
        (ACME, "DELIVERY_ERROR_COUNT", "", RECENT): 1290,
        (ACME, "DELIVERY_ERROR_RATE", 'error_type = "reject" AND error_reason = "low_ip_reputation"', RECENT): 0.25,
    }
    seen = world.run()
    assert {(measure, aspect): each.value for (measure, domain, aspect, day), each in seen.items() if domain == ACME and day == RECENT} == {
        ("google_spam_rate", None): pytest.approx(0.0012), ("google_auth_rate", "dmarc"): 0.98, ("google_tls_rate", "inbound"): 1.0,
        ("google_error_count", None): 1290, ("google_error_rate", "reject/low_ip_reputation"): 0.25,
    }
    assert seen["google_spam_rate", ACME, None, RECENT].subject.customer == "acme"
    assert world.access(ACME).value == 1


def test_zero_is_a_value_and_a_day_without_a_row_is_none(world, google):
    spam(google, ACME, date(2026, 11, 20), 0.0)
    seen = world.run(backfill=timedelta(days=7))
    assert seen["google_spam_rate", ACME, None, date(2026, 11, 20)].value == 0
    missing = seen["google_spam_rate", ACME, None, date(2026, 11, 21)]
    assert (missing.value, missing.reason) == (None, "no_data")
    assert ("google_spam_rate", ACME, None, date(2026, 11, 25)) not in seen  # younger than the lag: nothing can be said
    assert world.tally.outcome == "partial"


def test_a_day_that_comes_late_or_changes_is_stored_as_it_became_known(world, google):
    spam(google, ACME, RECENT, 0.001)
    world.run(backfill=timedelta(days=1))
    spam(google, ACME, RECENT, 0.002)
    spam(google, ACME, RECENT - timedelta(days=1), 0.5)
    world.run(days=1)
    assert [(day, value) for domain, day, value, _ in world.readings("google_spam_rate") if domain == ACME and value is not None] == [
        (RECENT - timedelta(days=1), 0.5), (RECENT, 0.001), (RECENT, 0.002)]


def test_a_new_domain_is_asked_further_back_than_a_known_one(world, google):
    world.run()
    world.run(days=1)
    firsts = [date(**query["timeQuery"]["dateRanges"]["dateRanges"][0]["start"]) for query in google.queries]
    assert firsts == [date(2026, 10, 25)] * 2 + [date(2026, 11, 18)] * 2


def test_pages_of_domains_and_rows_are_all_read(world, google):
    google.page_size = 3
    for number in range(10):
        google.add(f"other{number}.example")
        spam(google, ACME, RECENT - timedelta(days=number), number / 1000)
    google.domains[BOLT] = google.domains.pop(BOLT)  # on the last page
    world.run()
    assert [value for domain, _, value, _ in world.readings("google_spam_rate") if domain == ACME and value is not None] == [
        pytest.approx(number / 1000) for number in range(9, -1, -1)]
    assert world.access(BOLT).value == 1


@pytest.mark.parametrize(("entry", "reason"), [
    (None, "not_registered"), ({"permission": "NONE"}, "permission_lost"), ({"verificationState": "UNVERIFIED"}, "not_registered")])
def test_a_domain_google_does_not_answer_for_says_why_and_leaves_the_others(world, google, entry, reason):
    google.domains.pop(ACME) if entry is None else google.add(ACME, **entry)
    spam(google, BOLT, RECENT, 0.1)
    world.run()
    assert (world.access(ACME).value, world.access(ACME).reason) == (None, reason)
    assert (BOLT, RECENT, 0.1, None) in world.readings("google_spam_rate")
    assert not [row for row in world.readings("google_spam_rate") if row[0] == ACME]


def test_a_permission_lost_after_the_list_does_not_cost_the_others_their_batch(world, google):
    spam(google, BOLT, RECENT, 0.1)
    google.instead["/domainStats:batchQuery"] = lambda _: google.domains[ACME].update(permission="NONE")
    world.run()
    assert world.access(ACME).reason == "permission_lost"
    assert (BOLT, RECENT, 0.1, None) in world.readings("google_spam_rate")


def test_feedback_ids_are_asked_one_by_one_and_those_above_the_bound_are_parked(world, google):
    google.feedback_ids[ACME, RECENT] = ["camp42", 'a "b"', "third"]
    google.figures[ACME, "FEEDBACK_LOOP_SPAM_RATE", 'feedback_loop_id = "camp42"', RECENT] = 0.01
    google.figures[ACME, "FEEDBACK_LOOP_SPAM_RATE", 'feedback_loop_id = "a \\"b\\""', RECENT] = 0.02
    seen = world.run(feedback_ids=2)
    assert {aspect: each.value for (measure, _, aspect, _), each in seen.items() if measure == "google_fbl_rate"} == {"camp42": 0.01, 'a "b"': 0.02}
    with world.store.reading_session() as session:
        (parked,) = session.execute(select(ParkedRow)).scalars()
    assert (parked.reason, "1 feedback ids" in parked.text) == ("too_large", True)


def test_compliance_is_read_from_both_blocks_and_no_unknown_word_is_a_yes(world, google):
    google.compliance[ACME] = {
        "complianceData": {"domainId": "acme.example", "rowData": [
            {"requirement": "SPF_AND_DKIM", "status": {"status": "COMPLIANT"}}, {"requirement": "DMARC_POLICY", "status": {"status": "NON_COMPLIANT"}},
            {"requirement": "ENCRYPTION", "status": {"status": "STATE_UNSPECIFIED"}}],
            "deliverabilityStatusVerdict": {"state": {"status": "NEEDS_WORK"}, "reason": "SPAM_RATE_HIGH"}},
        "subdomainComplianceData": {"domainId": ACME, "rowData": [],
                                    "honorUnsubscribeVerdict": {"status": {"status": "COMPLIANT"}}},
    }
    seen = {key[1:3]: each for key, each in world.run().items() if key[0] == "google_compliance"}
    assert {key: each.value for key, each in seen.items()} == {
        ("acme.example", "spf_and_dkim"): 1, ("acme.example", "dmarc_policy"): 0, ("acme.example", "encryption"): None,
        ("acme.example", "deliverability_verdict"): 0, (ACME, "honor_unsubscribe_verdict"): 1}
    assert seen["acme.example", "deliverability_verdict"].detail == {"status": "NEEDS_WORK", "reason": "SPAM_RATE_HIGH"}


def test_a_row_that_cannot_be_read_is_parked_and_the_rest_is_taken(world, google):
    google.figures |= {(ACME, "SPAM_RATE", "", RECENT): {"floatValue": "NaN"}, (BOLT, "SPAM_RATE", "", RECENT): 0.3}
    world.run()
    assert world.tally.parked == 1
    assert (BOLT, RECENT, 0.3, None) in world.readings("google_spam_rate")


def test_a_service_account_signs_for_whom_it_acts(world, google):
    world.credential = google.service_account()
    world.run()
    assert world.access(ACME).value == 1
    assert google.grants[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_a_token_that_is_refused_is_renewed_once(world, google):
    def expired(_):
        if len(google.grants) == 1:
            google.tokens.clear()
    google.instead["/v2/domains"] = expired
    world.run()
    assert (len(google.grants), world.access(ACME).value) == (2, 1)


def test_a_credential_that_has_ended_is_asked_about_once_until_it_is_another(world, google):
    google.ended = True
    world.run()
    world.run(days=1)
    assert (world.tally.outcome, world.tally.reason, len(google.grants)) == ("failed", "reauth_required", 1)
    google.ended, google.refresh_token = False, "1//another"
    world.credential = google.user()
    world.run(days=2)
    assert world.access(ACME).value == 1


@pytest.mark.parametrize(("reply", "reason"), [
    (error(429, "RESOURCE_EXHAUSTED", "This API version is no longer supported."), "removed"),
    (error(403, "PERMISSION_DENIED", "scopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "auth"),
    (error(429, "RESOURCE_EXHAUSTED", "Quota exceeded"), "quota"),
    (error(503, "UNAVAILABLE", "later"), "network"),
    (Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}), "auth"),
    (Reply(200, b"{not json"), "malformed"),
    (Reply(200, {"domains": "none"}), "malformed"),
])
def test_where_nothing_is_had_the_run_fails_with_the_reason(world, google, reply, reason):
    google.instead["/v2/domains"] = lambda _: reply
    world.run()
    assert (world.tally.outcome, world.tally.reason) == ("failed", reason)
    assert not world.readings("google_spam_rate")


def test_no_credential_says_what_to_do(world):
    world.credential = None
    world.run()
    assert (world.tally.reason, "secrets" in world.tally.text) == ("key_missing", True)


@pytest.mark.parametrize("credential", [[], {"type": "api_key"}, {"type": "authorized_user", "client_id": "x"},
                                        {"type": "service_account", "client_email": "x", "private_key": "no key"}])
def test_what_is_no_credential_is_refused_before_anything_is_asked(world, google, credential):
    world.credential = credential
    world.run()
    assert (world.tally.reason, google.asked) == ("config", [])


def test_the_days_quota_leaves_what_was_had_and_holds_over_a_restart(world, google):
    world.run(http={"per_day": 3})  # the list, the batch, one compliance
    assert {world.access(domain).reason for domain in (ACME, BOLT)} == {None, "quota"}
    count = len(google.asked)
    world.run(http={"per_day": 3})
    assert [request.path for request in google.asked[count:]] == ["/token"]


def test_no_secret_is_in_a_reading_a_text_or_a_log(world, google, caplog):
    caplog.set_level("DEBUG")
    google.instead["/complianceStatus"] = lambda request: error(403, "PERMISSION_DENIED", f"token {request.headers['authorization']} refused")
    world.run()
    whole = f"{caplog.text}{world.tally}{world.store.cursor('google_postmaster', 'progress')}"
    assert "permission_lost" in whole
    assert not [secret for secret in ("s3cret-of-acme", google.refresh_token, *google.tokens) if secret in whole]


@pytest.mark.parametrize("settings", [{"day_zone": "Mars"}, {"base_url": "http://google.example"}, {"reread": timedelta(0)}])
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError):
        GoogleSettings(**settings)
