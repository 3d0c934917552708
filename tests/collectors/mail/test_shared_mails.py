"""Third-party mails beside the checkout, where they are: all are read, hostile ones cheaply, labelled ones
rightly."""

import collections
import json
from typing import Any

import pytest

from collectors.mail import Kind, parse
from tests.places import SHARED_DATA

DATA = SHARED_DATA / "mail"
if not (DATA / "MANIFEST.json").exists():
    pytest.skip("the labelled third-party mails are not beside this checkout", allow_module_level=True)

ITEMS: list[dict[str, Any]] = json.loads((DATA / "MANIFEST.json").read_text())["items"]
KINDS = {
    "arf": "arf",
    "arf-legacy-jmrp": "arf",
    "dmarc-failure-mail": "dmarc_failure",
    "tlsrpt-json": "tls_report",
    "tlsrpt-mail": "tls_report",
    "xarf": "xarf",
    "xarf-json": "xarf",
    "dmarc-aggregate-xml": "dmarc_aggregate",
    "dmarc-aggregate-gz": "dmarc_aggregate",
    "dmarc-aggregate-zip": "dmarc_aggregate",
    "dmarc-aggregate-mail": "dmarc_aggregate",
}


def test_every_mail_is_read_without_an_error_of_ours() -> None:
    for item in ITEMS:
        report = parse((DATA / item["file"]).read_bytes())
        assert not (report.error or "").partition(":")[0].endswith("Error"), (item["file"], report.error)


def test_reports_with_a_form_of_their_own_are_all_known() -> None:
    wrong = [
        item["file"]
        for item in ITEMS
        if item["type"] in KINDS and parse((DATA / item["file"]).read_bytes()).kind != KINDS[item["type"]]
    ]
    assert wrong == []


def test_what_must_be_refused_is_refused() -> None:
    for item in ITEMS:
        if (item.get("expected_derived") or {}).get("rejected"):
            assert parse((DATA / item["file"]).read_bytes()).kind in {Kind.UNREADABLE, Kind.OTHER}, item[
                "file"
            ]


def test_feedback_reports_agree_with_their_labels() -> None:
    labelled: collections.Counter[str] = collections.Counter()
    right: collections.Counter[str] = collections.Counter()
    for item in ITEMS:
        label = item.get("expected_derived") or {}
        feedback = parse((DATA / item["file"]).read_bytes()).feedback if item["type"].startswith("arf") else None
        if feedback is None:
            continue
        answers = {
            "feedback_type": feedback.type,
            "source_ip": feedback.source_ip or feedback.inferred.source_ip,
            "original_mail_from": feedback.mail_from,
            "original_rcpt_to": list(feedback.recipients),
        }
        for name, answer in answers.items():
            if label.get(name):
                labelled[name] += 1
                right[name] += str(answer).lower() == str(label[name]).lower()
    assert labelled["feedback_type"] > 30
    assert {name: right[name] / labelled[name] for name in labelled if right[name] < 0.99 * labelled[name]} == {}


def test_notifications_name_the_recipients_of_their_labels() -> None:
    labelled = right = 0
    for item in ITEMS:
        label = (item.get("expected_derived") or {}).get("recipients")
        if item["type"] == "dsn" and label:
            addresses = {recipient.address.lower() for recipient in parse((DATA / item["file"]).read_bytes()).recipients}
            named = {
                str(address.get(name)).lower()
                for address in label
                for name in ("final_recipient", "original_recipient")
            }
            labelled, right = labelled + 1, right + (bool(addresses) and addresses <= named)
    assert right >= 0.98 * labelled
