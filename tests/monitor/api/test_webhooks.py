"""Relays' webhooks: proven by each relay's own signature, each event counted once, and nothing taken from strangers."""

import base64
import hashlib
import hmac
import json
from contextlib import closing
from datetime import timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from monitor.api.services import Hook
from monitor.config.settings import Api
from monitor.intake.consequences import open_store
from tests.monitor.api.running import NOW, running

CURVE, SNS, FORGER = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
PEM_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc123.pem"
CONFIRM_URL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-west-1:1:t&Token=x"
TOPIC = "arn:aws:sns:eu-west-1:1:t"
STAMP = int(NOW.timestamp())


def certificate():
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(SNS.public_key()).serial_number(1)
    signed = built.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1)).sign(SNS, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def der(key):
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.fixture
def requested():
    return []


@pytest.fixture
def vigie(database_url, requested):
    def get(url):
        requested.append(url)
        if url in (CONFIRM_URL, PEM_URL):
            return PEM if url == PEM_URL else b"<ok/>"
        raise httpx.ConnectError("nothing there")

    public = der(CURVE)
    hooks = {
        "sg": Hook("sendgrid", public, "acme"), "mg": Hook("mailgun", "mg-key", "acme"), "pm": Hook("postmark", "user:pass", "bolt"),
        "sp": Hook("sparkpost", "user:pass"), "mj": Hook("mailjet", "user:pass"), "br": Hook("brevo", "user:pass"),
        "md": Hook("mandrill", "md-key"), "re": Hook("resend", "whsec_" + base64.b64encode(b"key").decode()), "po": Hook("postal", der(SNS)),
        "aws": Hook("ses", "", "acme", frozenset({TOPIC}), get), "anyones": Hook("ses", "", "acme", frozenset(), get),
    }
    with closing(open_store(database_url)) as store, running(store, webhooks=hooks, settings=Api(console="open", public_url="https://vigie.example.com")) as started:
        yield started


PEM = certificate()




def counted(vigie, measure):
    return sum(row["value"] for row in vigie.client("read").get("/v1/readings", params={"measure": measure}).json())


def sendgrid(events, *, at=STAMP, key=CURVE):
    body = json.dumps(events).encode()
    signature = base64.b64encode(key.sign(str(at).encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    return {"content": body, "headers": {
        "X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": str(at)}}


def grid(event, number, **more):
    return {"email": "ann@gmail.com", "timestamp": STAMP - 60, "event": event, "sg_event_id": f"e{number}", "smtp-id": "<1@acme.example>",
            "ip": "192.0.2.7", "response": "250 ok", "customer": "bolt", **more}


GRID = [
    grid("processed", 1), grid("delivered", 2), grid("deferred", 3, response="421 4.7.0 try later", attempt="2"),
    grid("bounce", 4, type="bounce", status="5.1.1", reason="550 5.1.1 The email account that you tried to reach does not exist"),
    grid("bounce", 5, type="blocked", status="5.7.1", reason="550 5.7.1 blocked"), grid("dropped", 6, reason="Bounced Address"),
    grid("spamreport", 7), grid("open", 8), grid("click", 9), {"event": "delivered"}, {"x": 1}, 7,
]  # fmt: skip


def test_sendgrids_events_each_count_once(vigie):
    client = vigie.client()
    answer = client.post("/v1/events/sendgrid/sg", **sendgrid(GRID)).json()
    assert answer["outcomes"] == {"accepted": 1, "blocked": 1, "bounced": 1, "complained": 1, "deferred": 1, "delivered": 1, "not_attempted": 1}
    assert (answer["read"], answer["ignored"], answer["unreadable"]) == (7, {"click": 1, "open": 1}, 3)
    again = client.post("/v1/events/sendgrid/sg", **sendgrid([*reversed(GRID[:7]), grid("delivered", 20)])).json()
    assert (again["read"], again["ignored"]) == (1, {"duplicate": 7})
    assert (counted(vigie, "delivered"), counted(vigie, "complaint")) == (2, 1)
    readings = vigie.client("read").get("/v1/readings", params={"measure": "delivered", "customer": "acme"}).json()
    assert {row["subject"]["customer"] if "subject" in row else row["customer"] for row in readings} == {"acme"}


def test_a_post_that_is_not_sendgrids_is_refused(vigie):
    client, good = vigie.client(), sendgrid(GRID)
    forged = [
        {"content": good["content"]}, sendgrid(GRID, key=ec.generate_private_key(ec.SECP256R1())), sendgrid(GRID, at=STAMP - 301),
        sendgrid(GRID, at=STAMP + 301), {**good, "content": good["content"] + b" "},
        {"content": good["content"], "headers": {**good["headers"], "X-Twilio-Email-Event-Webhook-Signature": "x"}},
    ]  # fmt: skip
    assert [client.post("/v1/events/sendgrid/sg", **post).status_code for post in forged] == [403] * 6
    assert client.post("/v1/events/sendgrid/nowhere", **good).status_code == 404
    assert client.post("/v1/events/mailgun/sg", **good).status_code == 404
    assert counted(vigie, "delivered") == 0


def mailgun(event, token, *, at=STAMP, key="mg-key", **more):
    signature = hmac.new(key.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest()
    data = {"event": event, "timestamp": STAMP - 60.5, "recipient": "ann@gmail.com", "id": "same", "message": {"headers": {"message-id": "1@acme.example"}},
            "envelope": {"sender": "b@acme.example", "sending-ip": "192.0.2.7"}, "tags": ["nl"], **more}  # fmt: skip
    return {"json": {"signature": {"timestamp": str(at), "token": token, "signature": signature}, "event-data": data}}


@pytest.mark.parametrize(
    ("event", "more", "outcome"),
    [
        ("accepted", {}, "accepted"),
        ("delivered", {}, "delivered"),
        ("failed", {"severity": "temporary", "delivery-status": {"code": 421, "message": "4.7.0 later"}}, "deferred"),
        ("failed", {"severity": "permanent", "delivery-status": {"code": 550, "message": "5.1.1 no such user"}}, "bounced"),
        ("failed", {"severity": "permanent", "delivery-status": {"code": 602, "message": "too old"}}, "expired"),
        ("failed", {"severity": "permanent", "delivery-status": {"code": 605}}, "not_attempted"),
        ("failed", {"severity": "permanent", "reason": "suppress-complaint"}, "not_attempted"),
        ("rejected", {"reject": {"reason": "x"}}, "not_attempted"),
        ("complained", {}, "complained"),
    ],
)  # fmt: skip
def test_what_mailguns_events_mean(vigie, event, more, outcome):
    assert vigie.client().post("/v1/events/mailgun/mg", **mailgun(event, "t", **more)).json()["outcomes"] == {outcome: 1}


def test_a_token_of_mailguns_counts_once_whatever_comes_with_it(vigie):
    client = vigie.client()
    assert client.post("/v1/events/mailgun/mg", **mailgun("delivered", "t1")).json()["read"] == 1
    assert client.post("/v1/events/mailgun/mg", **mailgun("complained", "t1")).json()["ignored"] == {"duplicate": 1}
    assert client.post("/v1/events/mailgun/mg", **mailgun("opened", "t2")).json()["ignored"] == {"opened": 1}
    refused = [mailgun("delivered", "t3", key="x"), mailgun("delivered", "t3", at=STAMP - 301), {"json": {}}, {"content": b"["}]
    assert [client.post("/v1/events/mailgun/mg", **post).status_code for post in refused] == [403] * 4


def test_postmarks_posts_come_with_a_password(vigie):
    client = vigie.client()
    base = {"MessageID": "m1", "Email": "ann@gmail.com", "BouncedAt": NOW.isoformat(), "Details": "smtp;550 5.1.1 no such user", "ServerID": 1}
    posts = [
        {"RecordType": "Delivery", "MessageID": "m1", "Recipient": "ann@gmail.com", "DeliveredAt": "2026-01-02T03:00:00Z", "Details": "250 ok"},
        *({**base, "RecordType": "Bounce", "ID": number, "Type": kind} for number, kind in enumerate(
            ("HardBounce", "Transient", "Blocked", "InactiveRecipient", "AutoResponder", "SoftBounce", "HardBounce"))),
        {**base, "RecordType": "SpamComplaint", "ID": 99}, {"RecordType": "Open"},
    ]  # fmt: skip
    answers = [client.post("/v1/events/postmark/pm", json=post, auth=("user", "pass")).json() for post in posts]
    assert [next(iter(answer["outcomes"] or answer["ignored"])) for answer in answers] == [
        "delivered", "bounced", "deferred", "blocked", "not_attempted", "AutoResponder", "bounced", "bounced", "complained", "Open"]
    assert client.post("/v1/events/postmark/pm", json=posts[1], auth=("user", "pass")).json()["ignored"] == {"duplicate": 1}
    refused = client.post("/v1/events/postmark/pm", json=posts[0], auth=("user", "x"))
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Basic realm="vigie"')
    assert client.post("/v1/events/postmark/pm", content=b"{", auth=("user", "pass")).status_code == 400


def sns(message, *, key=SNS, version="2", **more):
    envelope = {"Type": "Notification", "MessageId": "m", "TopicArn": TOPIC, "Timestamp": NOW.isoformat(), "Message": json.dumps(message),
                "SigningCertURL": PEM_URL, "SignatureVersion": version, **more}  # fmt: skip
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    if envelope["Type"] != "Notification":
        names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    envelope["Signature"] = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()
    return {"content": json.dumps(envelope), "headers": {"Content-Type": "text/plain; charset=UTF-8"}}


MAIL = {"messageId": "0100", "timestamp": NOW.isoformat(), "source": "b@acme.example", "destination": ["ann@gmail.com", "bob@yahoo.com"],
        "commonHeaders": {"messageId": "<1@acme.example>"}, "tags": {"campaign": ["nl"]}}  # fmt: skip
AT = {"timestamp": NOW.isoformat()}
NOTICES = [
    ({"eventType": "Send"}, {"accepted": 2}),
    ({"notificationType": "Delivery", "delivery": {**AT, "recipients": ["ann@gmail.com"], "smtpResponse": "250 ok"}}, {"delivered": 1}),
    ({"eventType": "DeliveryDelay", "deliveryDelay": {**AT, "delayedRecipients": [
        {"emailAddress": "bob@yahoo.com", "status": "4.7.0", "diagnosticCode": "smtp; 421 4.7.0 later"}]}}, {"deferred": 1}),
    ({"notificationType": "Bounce", "bounce": {**AT, "feedbackId": "f1", "bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [
        {"emailAddress": "ann@gmail.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 no such user"},
        {"emailAddress": "bob@yahoo.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 no such user"}]}}, {"bounced": 2}),
    ({"notificationType": "Bounce", "bounce": {**AT, "feedbackId": "f2", "bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList",
        "bouncedRecipients": [{"emailAddress": "ann@gmail.com"}]}}, {"not_attempted": 1}),
    ({"notificationType": "Complaint", "complaint": {**AT, "feedbackId": "f3", "complainedRecipients": [
        {"emailAddress": "ann@gmail.com"}, {"emailAddress": "amy@gmail.com"}]}}, {"complained": 1}),
    ({"notificationType": "Complaint", "complaint": {**AT, "feedbackId": "f4", "complaintSubType": "OnAccountSuppressionList", "complainedRecipients": [
        {"emailAddress": "ann@gmail.com"}]}}, {"not_attempted": 1}),
    ({"eventType": "Reject", "reject": {"reason": "Bad content"}}, {"not_attempted": 2}),
]  # fmt: skip


def test_what_amazons_notices_mean_and_each_counts_once(vigie):
    client = vigie.client()
    for notice, outcomes in NOTICES:
        post = {**notice, "mail": MAIL}
        assert client.post("/v1/events/ses/aws", **sns(post)).json()["outcomes"] == outcomes
        again = client.post("/v1/events/ses/aws", **sns(post, MessageId="other", version="1")).json()
        assert (again["read"], again["ignored"]) == (0, {"duplicate": sum(outcomes.values())})
    assert client.post("/v1/events/ses/aws", **sns({"eventType": "Open", "mail": MAIL})).json()["ignored"] == {"Open": 2}
    assert (counted(vigie, "complaint"), counted(vigie, "hard_bounce")) == (1, 2)


def test_a_subscription_is_confirmed_once_it_is_proven(vigie, requested):
    post = sns({}, Type="SubscriptionConfirmation", Token="x", SubscribeURL=CONFIRM_URL)
    assert vigie.client().post("/v1/events/ses/aws", **post).json()["ignored"] == {"SubscriptionConfirmation": 1}
    assert requested.count(CONFIRM_URL) == 1
    elsewhere = sns({}, Type="SubscriptionConfirmation", Token="x", SubscribeURL="https://evil.example/")
    vigie.client().post("/v1/events/ses/aws", **elsewhere)
    forged = sns({}, key=FORGER, Type="SubscriptionConfirmation", Token="x", SubscribeURL=CONFIRM_URL)
    assert vigie.client().post("/v1/events/ses/aws", **forged).status_code == 403
    assert set(requested) <= {CONFIRM_URL, PEM_URL}
    assert requested.count(CONFIRM_URL) == 1


def test_a_notice_that_is_not_amazons_is_refused_and_one_of_anybodys_topic_holds_nobody(vigie, requested):
    notice, client = {**NOTICES[5][0], "mail": MAIL}, vigie.client()
    forged = [sns(notice, key=FORGER), sns(notice, SigningCertURL="https://evil.example/SimpleNotificationService-a.pem"), sns(notice, TopicArn="arn:other")]
    assert [client.post("/v1/events/ses/aws", **post).status_code for post in forged] == [403] * 3
    assert client.post("/v1/events/ses/aws", json=notice).status_code == 401
    assert "https://evil.example/SimpleNotificationService-a.pem" not in requested
    assert client.post("/v1/events/ses/anyones", **sns(notice)).json()["outcomes"] == {"complained": 1}
    assert (counted(vigie, "complaint"), counted(vigie, "unverified_complaint")) == (0, 1)


def spark(kind, number, **more):
    return {"msys": {"message_event": {"type": kind, "event_id": str(number), "timestamp": str(STAMP), "rcpt_to": "ann@gmail.com", "sending_ip": "192.0.2.7", **more}}}


PASSWORDS = {
    "sparkpost/sp": (
        [spark("injection", 1), spark("delivery", 2), spark("delay", 3, error_code="421", raw_reason="421 4.7.0 later"),
         spark("bounce", 4, bounce_class="10", error_code="550", raw_reason="550 5.1.1 no such user"), spark("out_of_band", 5, bounce_class="10"),
         spark("policy_rejection", 6), spark("spam_complaint", 7), spark("open", 8), {"msys": {}}],
        {"accepted": 1, "async_bounced": 1, "bounced": 1, "complained": 1, "deferred": 1, "delivered": 1, "not_attempted": 1}, {"open": 1, "ping": 1}),
    "mailjet/mj": (
        [{"event": event, "time": STAMP, "email": "ann@gmail.com", "MessageID": number, **more} for number, (event, more) in enumerate([
            ("sent", {"smtp_reply": "250 ok"}), ("bounce", {"error": "greylisted", "hard_bounce": False}), ("bounce", {"hard_bounce": True}),
            ("blocked", {"error": "preblocked"}), ("spam", {}), ("click", {})])],
        {"bounced": 1, "complained": 1, "deferred": 1, "delivered": 1, "not_attempted": 1}, {"click": 1}),
    "brevo/br": (
        [{"event": event, "ts_event": STAMP, "email": "ann@gmail.com", "message-id": "<1@acme.example>", "reason": "550 5.1.1 no such user"} for event in (
            "request", "delivered", "deferred", "soft_bounce", "hard_bounce", "blocked", "invalid_email", "spam", "opened")],
        {"accepted": 1, "bounced": 1, "complained": 1, "deferred": 2, "delivered": 1, "not_attempted": 2}, {"opened": 1}),
}  # fmt: skip


@pytest.mark.parametrize("place", PASSWORDS)
def test_relays_that_come_with_a_password(vigie, place):
    events, outcomes, ignored = PASSWORDS[place]
    answer = vigie.client().post(f"/v1/events/{place}", json=events, auth=("user", "pass")).json()
    assert (answer["outcomes"], answer["ignored"], answer["unreadable"]) == (outcomes, ignored, 0)
    again = vigie.client().post(f"/v1/events/{place}", json=events, auth=("user", "pass")).json()
    assert (again["read"], again["ignored"]["duplicate"]) == (0, sum(outcomes.values()))
    assert vigie.client().post(f"/v1/events/{place}", json=events).status_code == 401


def mandrill(events, key="md-key"):
    text = json.dumps(events)
    signed = f"https://vigie.example.com/v1/events/mandrill/mdmandrill_events{text}"
    signature = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    return {"data": {"mandrill_events": text}, "headers": {"X-Mandrill-Signature": signature}}


def test_mandrills_form_is_signed_with_its_address(vigie):
    events = [{"event": event, "_id": "m1", "ts": STAMP, "msg": {"email": "ann@gmail.com", "diag": "smtp;550 5.1.1 no such user", "tags": ["nl"]}}
              for event in ("send", "deferral", "hard_bounce", "soft_bounce", "reject", "spam", "open")]  # fmt: skip
    answer = vigie.client().post("/v1/events/mandrill/md", **mandrill(events)).json()
    assert answer["outcomes"] == {"accepted": 1, "bounced": 2, "complained": 1, "deferred": 1, "not_attempted": 1}
    assert vigie.client().post("/v1/events/mandrill/md", **mandrill(events)).json()["ignored"] == {"duplicate": 6, "open": 1}
    assert vigie.client().post("/v1/events/mandrill/md", **mandrill([])).json()["read"] == 0
    assert vigie.client().post("/v1/events/mandrill/md", **mandrill(events, "x")).status_code == 403


def resend(event, *, at=STAMP, key=b"key", name="msg_1", **data):
    body = json.dumps({"type": event, "created_at": NOW.isoformat(), "data": {"email_id": "e1", "from": "b@acme.example", "to": ["ann@gmail.com", "bob@yahoo.com"], **data}})
    signature = base64.b64encode(hmac.new(key, f"{name}.{at}.{body}".encode(), hashlib.sha256).digest()).decode()
    return {"content": body, "headers": {"svix-id": name, "svix-timestamp": str(at), "svix-signature": f"v1,AAAA v1,{signature}"}}


def test_resends_events_are_signed_and_dated(vigie):
    client = vigie.client()
    assert client.post("/v1/events/resend/re", **resend("email.delivered")).json()["outcomes"] == {"delivered": 2}
    assert client.post("/v1/events/resend/re", **resend("email.delivered")).json()["ignored"] == {"duplicate": 2}
    assert client.post("/v1/events/resend/re", **resend("email.bounced", name="2", bounce={"message": "550 5.1.1 no"})).json()["outcomes"] == {"bounced": 2}
    suppressed = resend("email.bounced", name="3", bounce={"type": "Permanent", "subType": "Suppressed", "message": "on the list"})
    assert client.post("/v1/events/resend/re", **suppressed).json()["outcomes"] == {"not_attempted": 2}
    refused = [resend("email.delivered", key=b"x", name="4"), resend("email.delivered", at=STAMP - 301, name="5")]
    assert [client.post("/v1/events/resend/re", **post).status_code for post in refused] == [403, 403]


def postal(event, uuid, key=SNS, **payload):
    message = {"to": "ann@gmail.com", "from": "b@acme.example", "message_id": "1@acme.example"}
    body = json.dumps({"event": event, "timestamp": STAMP, "uuid": uuid, "payload": {"message": message, **payload}}).encode()
    return {"content": body, "headers": {"X-Postal-Signature": base64.b64encode(key.sign(body, padding.PKCS1v15(), hashes.SHA1())).decode()}}


def test_postals_events_are_signed(vigie):
    client, outcomes = vigie.client(), []
    for number, event in enumerate(("MessageSent", "MessageDelayed", "MessageDeliveryFailed", "MessageHeld", "MessageBounced", "MessageLoaded")):
        answer = client.post("/v1/events/postal/po", **postal(event, str(number), output="550 5.1.1 no such user")).json()
        outcomes += list(answer["outcomes"] or answer["ignored"])
    assert outcomes == ["delivered", "deferred", "bounced", "held_by_us", "async_bounced", "MessageLoaded"]
    assert client.post("/v1/events/postal/po", **postal("MessageSent", "0")).json()["ignored"] == {"duplicate": 1}
    assert client.post("/v1/events/postal/po", **postal("MessageSent", "9", FORGER)).status_code == 403
