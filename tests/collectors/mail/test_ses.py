"""A notice of SES is read in whichever wrapping SNS, EventBridge or a queue hands it on."""

import json

import pytest

from collectors.mail import Kind, parse

ABOUT = {"messageId": "0002", "source": "news@customer.example", "destination": ["a@r.example", "b@r.example"]}
BOUNCE = {"notificationType": "Bounce", "mail": ABOUT, "bounce": {
    "bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [
        {"emailAddress": "a@r.example", "action": "failed", "status": "5.1.1",
         "diagnosticCode": "smtp; 550 5.1.1 user unknown"},
        {"emailAddress": "b@r.example", "status": "5.2.2", "diagnosticCode": "smtp; 552 5.2.2 mailbox full"}]}}
COMPLAINT = {"eventType": "Complaint", "mail": ABOUT, "complaint": {
    "complainedRecipients": [{"emailAddress": "a@r.example"}], "complaintFeedbackType": "abuse",
    "arrivalDate": "2026-03-10T08:00:00.123Z"}}
DELAY = {"eventType": "DeliveryDelay", "mail": ABOUT, "deliveryDelay": {
    "delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": "a@r.example", "status": "4.2.2"}]}}
FOOTER = "\n\n--\nIf you wish to stop receiving notifications from this topic, please click\nhttps://sns.example/\n"


def sns(message: object, **changes: object) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "x", "TopicArn": "arn:aws:sns:eu-west-1:1:t",
                       "Message": message, **changes}, indent=1)


WRAPPED = {
    "raw": json.dumps,
    "sns": lambda notice: sns(json.dumps(notice)),
    "sns, encoded twice": lambda notice: sns(json.dumps(json.dumps(notice))),
    "sns with an object": sns,
    "sns without its type": lambda notice: json.dumps({"Message": json.dumps(notice)}),
    "sns in sns": lambda notice: sns(sns(json.dumps(notice))),
    "eventbridge": lambda notice: json.dumps({"detail-type": "Email Bounced", "source": "aws.ses", "detail": notice}),
    "queue": lambda notice: json.dumps({"Records": [{"body": sns(json.dumps(notice))}]}),
    "lambda": lambda notice: json.dumps({"Records": [{"Sns": {"Message": json.dumps(notice)}}]}),
    "indented": lambda notice: json.dumps(notice, indent=2),
}


def mail(body: str, type_: str = "text/plain; charset=UTF-8") -> bytes:
    return ("From: AWS Notifications <no-reply@sns.amazonaws.com>\nTo: bounces@customer.example\n"
            "Subject: AWS Notification Message\nMessage-ID: <s2@sns.example>\n"
            f"Content-Type: {type_}\n\n{body}{FOOTER if type_.startswith('text') else ''}").encode()


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("deliver", [mail, lambda body: mail(body, "application/json"), str.encode],
                         ids=["in a mail", "as json", "bare"])
def test_every_recipient_of_a_bounce_is_read_in_every_wrapping(wrap, deliver) -> None:
    report = parse(deliver(wrap(BOUNCE)))
    assert report.kind is Kind.BOUNCE
    assert [(each.address, each.action, each.status, each.judgement.category) for each in report.recipients] == [
        ("a@r.example", "failed", "5.1.1", "invalid_recipient"), ("b@r.example", "failed", "5.2.2", "mailbox_full")]
    assert report.original_headers["message-id"] == "0002"


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_a_complaint_is_read_in_every_wrapping(wrap) -> None:
    report = parse(mail(wrap(COMPLAINT)))
    assert report.kind is Kind.ARF
    assert report.feedback is not None
    assert (report.feedback.original_rcpt_to, report.feedback.type) == (("a@r.example",), "abuse")
    assert report.feedback.arrival_at is not None


def test_a_delay_is_a_deferral() -> None:
    [recipient] = parse(mail(json.dumps(DELAY))).recipients
    assert (recipient.address, recipient.action, recipient.hard) == ("a@r.example", "delayed", False)


@pytest.mark.parametrize("type_", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
@pytest.mark.parametrize("deliver", [mail, str.encode], ids=["in a mail", "bare"])
def test_a_confirmation_of_a_subscription_is_other(type_: str, deliver) -> None:
    body = sns("You have chosen to subscribe to the topic …", Type=type_, SubscribeURL="https://sns.example/?Token=1")
    report = parse(deliver(body))
    assert (report.kind, report.error) == (Kind.OTHER, None)


@pytest.mark.parametrize("kind", ["Delivery", "Send", "Open", "Reject"])
def test_a_notice_of_anything_else_is_other(kind: str) -> None:
    assert parse(mail(sns(json.dumps({"eventType": kind, "mail": ABOUT})))).kind is Kind.OTHER


def test_several_notices_in_one_mail_are_each_read() -> None:
    report = parse(mail(json.dumps({"Records": [{"body": json.dumps(BOUNCE)}, {"body": json.dumps(COMPLAINT)}]})))
    assert [each.kind for each in report.all] == [Kind.BOUNCE, Kind.ARF]
    assert len({each.identity for each in report.all}) == 2


def test_a_notice_that_is_cut_off_is_unreadable_and_not_other() -> None:
    report = parse(mail(json.dumps(BOUNCE)[:200]).replace(FOOTER.encode(), b""))
    assert (report.kind, report.error) == (Kind.UNREADABLE, "a notice of SES, cut off or broken")


@pytest.mark.parametrize("text", ["{" * 100_000, '{"Message": ' * 50_000, '{"notificationType": ' + "[" * 100_000])
def test_hostile_json_costs_little(text: str) -> None:
    assert parse(mail("notificationType " + text)).kind in {Kind.OTHER, Kind.UNREADABLE}
