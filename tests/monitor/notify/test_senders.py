"""Each way of sending, against a receiver on loopback that behaves, fails, hangs, and takes without answering."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from monitor.notify.chat import Chat
from monitor.notify.sender import Outgoing
from monitor.notify.senders import post
from monitor.notify.senders.mattermost import Mattermost, MattermostHook
from monitor.notify.senders.pagerduty import PagerDuty
from monitor.notify.senders.slack import Slack, SlackHook
from monitor.notify.senders.webhook import Webhook
from tests.servers.receivers import (
    HANG,
    TAKE_AND_HANG,
    MattermostServer,
    PagerDutyServer,
    Receiver,
    SlackServer,
)
from tests.servers.smtp import SmtpServer
from tests.waiting import eventually

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECRET = "a-secret-of-some-length"


def message(event="firing", incident="inc-1", thread=None, title="[FIRING] critical: <b>a_b</b> & co", **more):
    item = {
        "incident": incident, "event": event, "title": title, "summary": "too many", "url": "http://vigie.example/incidents/inc-1",
        "labels": {"rule": "complaint-rate", "severity": "critical", "customer": "acme"}, "started_at": "2026-01-05T12:00:00+00:00",
        "links": {"Acknowledge": "http://vigie.example/act/x"}, **more,
    }
    return Outgoing(f"{incident}:{event}:chat", event, "critical", title, "What: a_b > 0.3 %\nMore: http://vigie.example/a_b", NOW, [item], thread)


def test_slack_edits_the_first_message_when_it_is_over_and_keeps_the_rest_in_its_thread():
    with SlackServer() as server:
        slack = Slack("xoxb-1", "#cell", f"{server.url}/api")
        first = slack.send(message())
        assert first.error is None
        worse = slack.send(message("worsened", thread=first.thread))
        over = slack.send(message("resolved", thread=worse.thread, title="[RESOLVED] critical: a"))
        assert over.error is None
        root, reply, last = server.messages.values()
    assert root["edited"]
    assert root["text"] == "[RESOLVED] critical: a"
    assert (reply["thread_ts"], last["thread_ts"]) == (first.thread["ts"],) * 2
    assert reply["text"] == "[FIRING] critical: &lt;b&gt;a_b&lt;/b&gt; &amp; co"
    assert reply["attachments"][0]["blocks"][1]["elements"][0]["url"] == "http://vigie.example/act/x"
    assert root["attachments"][0]["color"] == "#2eb67d"
    assert len(root["attachments"][0]["blocks"]) == 1  # nothing is left to acknowledge
    assert reply["metadata"]["event_payload"] == {"key": "inc-1:worsened:chat"}


def test_slack_says_what_it_refuses_though_it_answers_200():
    with SlackServer() as server:
        assert Slack("wrong", "#cell", f"{server.url}/api").send(message()).error == "auth: invalid_auth"
        slack = Slack("xoxb-1", "#cell", f"{server.url}/api")
        first = slack.send(message())
        server.messages.clear()
        assert "thread_not_found" in slack.send(message("worsened", thread=first.thread)).error


def test_mattermost_edits_too_and_posts_anew_where_the_thread_was_deleted():
    with MattermostServer() as server:
        bot = Mattermost(server.url, "bot-1", "channel-id")
        first = bot.send(message())
        over = bot.send(message("resolved", thread=first.thread))
        root, reply = server.posts.values()
        assert root["edited"]
        assert reply["root_id"] == "post0" == over.thread["post"]
        assert reply["message"] == r"\[FIRING\] critical: <b\>a\_b</b\> & co"
        assert "http://vigie.example/a_b" in reply["props"]["attachments"][0]["text"]
        server.posts.clear()
        assert bot.send(message("worsened", thread=first.thread)).thread == {"post": "post0"}
        assert Mattermost(server.url, "wrong", "c").send(message()).error == "auth: answered 401"


def test_pagerduty_has_an_alert_per_incident_that_a_repeat_does_not_double():
    with PagerDutyServer() as server:
        pager = PagerDuty("R1", f"{server.url}/v2/enqueue")
        many = Outgoing("digest:1", "firing", "critical", "two", "text", NOW, [message().items[0], message(incident="inc-2", title="x" * 3000).items[0]])
        server.plan.extend(["ok", 503])
        assert pager.send(many).error == "refused: answered 503"
        assert pager.send(many).error is None
        assert pager.send(message("resolved")).error is None
        assert server.alerts == {"inc-1": "resolved", "inc-2": "triggered"}
        assert pager.send(message("resolved", incident="inc-never")).error is None
        assert PagerDuty("wrong", server.url).send(message()).error == "refused: answered 400"


def test_a_web_hook_is_signed_over_id_time_and_body_and_keeps_its_id():
    with Receiver() as server:
        hook = Webhook(f"{server.url}/in", SECRET)
        server.plan.append(500)
        assert hook.send(message()).error == "refused: answered 500"
        assert hook.send(message()).error is None
        (headers,), (raw,) = server.headers, server.raw
        signed = f"inc-1:firing:chat.{int(NOW.timestamp())}.".encode() + raw
        expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["webhook-id"] == "inc-1:firing:chat"
        ((_, body),) = server.taken
        assert body["incidents"][0]["labels"]["customer"] == "acme"
    for short in ("short", "whsec_c2hvcnQ=", "whsec_*"):
        with pytest.raises(ValueError, match=r"too short|no base64"):
            Webhook("http://x", short)


@pytest.fixture(params=["slack", "slack hook", "mattermost", "mattermost hook", "pagerduty", "web hook"])
def any_sender(request):
    with Receiver() as server:
        server.answer = lambda *_: (200, {"ok": True, "ts": "1", "id": "1", "channel": "C"})
        yield server, {
            "slack": Slack("t", "c", server.url), "slack hook": SlackHook(server.url), "mattermost": Mattermost(server.url, "t", "c"),
            "mattermost hook": MattermostHook(server.url), "pagerduty": PagerDuty("R", server.url), "web hook": Webhook(server.url, SECRET),
        }[request.param]


def test_trouble_of_every_kind_is_an_error_in_words_and_429_says_when_again(any_sender, monkeypatch):
    server, sender = any_sender
    redirected = (302, {"location": f"{server.url}/elsewhere"})
    server.plan.extend([503, (429, {"retry-after": "17"}), (429, {"retry-after": "Mon, 05 Jan 2026 12:01:00 GMT"}), redirected])
    results = [sender.send(message()) for _ in range(5)]
    assert [result.error and result.error.split(":")[0] for result in results] == ["refused", "quota", "quota", "refused", None]
    assert [result.retry_after for result in results[:3]] == [None, timedelta(seconds=17), timedelta(minutes=1)]
    assert "127.0.0.1" not in "".join(result.error or "" for result in results)
    monkeypatch.setattr(post, "ANSWER_SECONDS", 0.3)
    for step in (HANG, TAKE_AND_HANG):
        server.plan.append(step)
        assert sender.send(message()).error.startswith("timeout")
    eventually(lambda: len(server.taken) == 2)  # taken, though no answer came: it comes again under the same key


def test_nobody_there_is_an_error():
    with Receiver() as server:
        url = server.url
    assert Webhook(url, SECRET).send(message()).error.startswith("network:")


def test_mail_arrives_with_its_title_and_a_refusal_is_tried_again():
    with SmtpServer() as server:
        chat = Chat("mail", f"mailto://127.0.0.1:{server.port}/dana@example.org?from=vigie@example.org&mode=insecure")
        server.refuse = 1
        assert chat.send(message()).error is not None
        assert chat.send(message(title="[FIRING] critical: 40 IPs")).error is None
        ((recipients, mail),) = server.mails
    assert recipients == ["dana@example.org"]
    assert mail["Subject"] == "[FIRING] critical: 40 IPs"
    assert "What: a_b > 0.3 %" in mail.get_body(("plain",)).get_content()
