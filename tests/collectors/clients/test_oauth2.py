"""Access tokens from real programs and from a token endpoint on loopback; what goes wrong is named and shows no secret."""

import sys
from dataclasses import replace

import pytest

from collectors.clients.oauth2 import AccessTokens, CommandTokens, Grant, RefreshedTokens, Token
from collectors.contract import CollectorError, Reason
from tests.servers.oauth import AuthorizationServer
from tests.waiting import free_port


class Kept:
    """What a store keeps, in memory."""

    def __init__(self, token=None):
        self.token = token

    def load(self):
        return self.token

    def save(self, refresh_token):
        self.token = refresh_token


class Full(Kept):
    def save(self, refresh_token):
        raise OSError(f"disk full, cannot write {refresh_token}")


@pytest.fixture
def server():
    with AuthorizationServer() as started:
        yield started


@pytest.fixture
def grant(server):
    return Grant("fbl", server.token_url, "vigie", "refresh-0", "opensesame", "imap offline_access")


def command(program, seconds=30.0):
    return CommandTokens("fbl", (sys.executable, "-c", program), seconds)


def refused(fetch):
    with pytest.raises(CollectorError) as caught:
        fetch()
    return caught.value


# ── kept in memory ──


def test_a_token_is_asked_for_once_and_renewed_before_it_expires():
    now, made = [0.0], iter(Token(f"t{number}", 3600) for number in range(9))
    tokens = AccessTokens(lambda: next(made), lambda: now[0])
    assert [tokens.current(), tokens.current()] == ["t0", "t0"]
    now[0] = 3299
    assert tokens.current() == "t0"
    now[0] = 3301
    assert tokens.current() == "t1"


def test_a_refused_token_is_replaced_once_however_many_threads_were_refused_with_it():
    made = iter(Token(f"t{number}", 3600) for number in range(9))
    tokens = AccessTokens(lambda: next(made))
    tokens.current()
    assert [tokens.after_refusal("t0"), tokens.after_refusal("t0"), tokens.current()] == ["t1"] * 3


def test_a_token_is_not_used_again_after_its_renewal_failed():
    made = iter([Token("t0", 3600)])
    tokens = AccessTokens(lambda: next(made))
    tokens.current()
    with pytest.raises(StopIteration):
        tokens.after_refusal("t0")
    with pytest.raises(StopIteration):
        tokens.current()


# ── from a command ──


def test_a_command_prints_an_access_token_and_is_run_without_a_shell():
    tokens = CommandTokens("fbl", (sys.executable, "-c", "import sys; print('ya29.' + sys.argv[1])", "a$(id)b;c"))
    assert refused(tokens).reason is Reason.MALFORMED  # as an argument, not as a program
    assert command("print('ya29.a0-_b')")().text == "ya29.a0-_b"


@pytest.mark.parametrize(("program", "reason", "shown"), [
    ("print('opensesame'); exit(3)", Reason.AUTH, "ended with status 3"),
    ("print('two opensesame')", Reason.MALFORMED, "must be one word"),
    ("print('opensesame\\x01auth=Bearer')", Reason.MALFORMED, "must be one word"),
    ("", Reason.MALFORMED, "must be one word"),
    ("while True: print('opensesame' * 999)", Reason.TOO_LARGE, "printed more than"),
])
def test_what_a_command_does_wrong_is_named_and_its_output_is_not_shown(program, reason, shown):
    error = refused(command(program))
    assert (error.reason, shown in error.text, "opensesame" in error.text) == (reason, True, False)
    assert error.text.startswith("fbl: token_command ")


@pytest.mark.parametrize("program", [
    "import time; time.sleep(999)",
    "import sys, time; sys.stdout.close(); time.sleep(999)",
    "import subprocess; subprocess.run(['sleep', '999'])",
])
def test_a_command_that_hangs_is_ended_with_all_it_started(program):
    assert refused(command(program, 1.0)).reason is Reason.TIMEOUT


def test_a_program_that_cannot_be_run_is_a_mistake_of_configuration():
    error = refused(CommandTokens("fbl", ("/nowhere/token", "opensesame")))
    assert (error.reason, "opensesame" in error.text) == (Reason.CONFIG, False)


# ── from a token endpoint ──


def test_a_refresh_token_gives_an_access_token_for_as_long_as_the_server_says(server, grant):
    assert RefreshedTokens(grant, Kept())() == Token("access-fbl-0", 3600)
    assert server.asked == [{"grant_type": "refresh_token", "refresh_token": "refresh-0", "client_id": "vigie",
                             "client_secret": "opensesame", "scope": "imap offline_access"}]


@pytest.mark.parametrize(("expires_in", "seconds"), [
    ("1200", 1200), (None, 3600), ("soon", 3600), (-5, 0), (10**12, 86_400), (float("nan"), 3600)])
def test_a_strange_lifetime_is_no_reason_to_do_without_the_token(server, grant, expires_in, seconds):
    server.expires_in = expires_in
    assert RefreshedTokens(grant, Kept())().seconds == seconds


def test_a_rotated_refresh_token_is_kept_and_used_from_then_on(server, grant):
    server.rotates, kept = True, Kept()
    tokens = RefreshedTokens(grant, kept)
    tokens()
    assert kept.token == server.refresh_token == "refresh-1"
    tokens()
    RefreshedTokens(grant, kept)()  # another process, or this one after a restart
    assert [form["refresh_token"] for form in server.asked] == ["refresh-0", "refresh-1", "refresh-2"]


def test_where_another_process_used_the_refresh_token_the_one_it_kept_is_used(server, grant):
    server.rotates, kept = True, Kept()
    here, there = RefreshedTokens(grant, kept), RefreshedTokens(grant, kept)
    here()
    there()
    assert here().text in server.valid


def test_a_stored_token_that_is_refused_gives_way_to_the_configured_one(server, grant):
    assert RefreshedTokens(grant, Kept("refresh-old"))().text in server.valid


def test_a_rotated_token_that_cannot_be_stored_is_not_lost_and_not_logged(server, grant, caplog):
    server.rotates = True
    tokens = RefreshedTokens(grant, Full())
    tokens()
    assert tokens().text in server.valid
    assert "could not be stored yet: OSError" in caplog.text
    assert "refresh-" not in caplog.text


@pytest.mark.parametrize(("answer", "reason", "shown"), [
    ((400, {"error": "invalid_grant", "error_description": "AADSTS700082: refresh-0 \x1b[31m expired\r\nTrace"}),
     Reason.AUTH, "HTTP 400, invalid_grant, AADSTS700082: […]"),
    ((401, {"error": "invalid_client", "error_description": "opensesame is wrong"}), Reason.AUTH, "[…] is wrong"),
    ((403, b"<html>no</html>"), Reason.AUTH, "HTTP 403) — check client_id"),
    ((404, {}), Reason.NOT_FOUND, "check token_url"),
    ((302, {}), Reason.REFUSED, "check token_url"),
    ((429, {"error": ["?"]}), Reason.QUOTA, "asked again at the next turn"),
    ((503, b""), Reason.NETWORK, "asked again at the next turn"),
    ((200, b"not json"), Reason.MALFORMED, "no access token"),
    ((200, b"[" * 60_000), Reason.MALFORMED, "no access token"),
    ((200, {"access_token": "two words"}), Reason.MALFORMED, "no access token"),
    ((200, b" " * 70_000), Reason.TOO_LARGE, "check token_url"),
])
def test_what_the_token_endpoint_answers_is_sorted_and_shows_no_secret(server, grant, answer, reason, shown):
    server.answer = answer
    error = refused(RefreshedTokens(grant, Kept()))
    assert error.reason is reason
    assert shown in error.text
    assert error.text.isprintable()
    assert not [secret for secret in ("refresh-0", "opensesame") if secret in error.text]


def test_a_token_endpoint_out_of_reach_is_a_fault_of_the_network(grant):
    error = refused(RefreshedTokens(replace(grant, url=f"http://127.0.0.1:{free_port()}/token"), Kept()))
    assert error.reason is Reason.NETWORK


def test_no_repr_shows_a_secret(grant):
    assert "refresh-0" not in repr(grant)
    assert "opensesame" not in repr(grant)
