"""No input raises, hangs or swells: our own cases mutated, and inputs built to hurt."""

import base64
import gzip
import random
import subprocess
import sys
import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.mail import Kind, parse
from tests.places import MAIL_CASES, ROOT
from tests.waiting import PATIENCE_SECONDS

SEEDS = [path.read_bytes() for path in sorted(MAIL_CASES.glob("*/message.*"))]
# what hangs runs into the timeout of every test; how long hostile mails take is measured by the benchmark
quiet = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def check_that_it_is_read(raw: bytes) -> None:
    report = parse(raw)
    assert report.kind in Kind
    assert report.identity
    assert (report.error is not None) or report.kind is not Kind.UNREADABLE
    assert not (report.error or "").startswith(
        ("TypeError", "AttributeError", "IndexError", "KeyError", "RecursionError")
    )
    report.to_json()


@quiet
@given(raw=st.binary(max_size=2_000))
def test_random_bytes_are_read(raw: bytes) -> None:
    check_that_it_is_read(raw)


@quiet
@given(seed=st.sampled_from(SEEDS), data=st.data())
def test_a_cut_off_mail_is_read(seed: bytes, data: st.DataObject) -> None:
    check_that_it_is_read(seed[: data.draw(st.integers(0, len(seed)))])


@quiet
@given(seed=st.sampled_from(SEEDS), luck=st.randoms(use_true_random=False))
def test_a_mail_with_bytes_changed_is_read(seed: bytes, luck: random.Random) -> None:
    raw = bytearray(seed)
    for _ in range(luck.randint(1, 40)):
        raw[luck.randrange(len(raw))] = luck.randrange(256)
    check_that_it_is_read(bytes(raw))


@quiet
@given(first=st.sampled_from(SEEDS), second=st.sampled_from(SEEDS), luck=st.randoms(use_true_random=False))
def test_two_mails_spliced_are_read(first: bytes, second: bytes, luck: random.Random) -> None:
    lines, more = first.split(b"\n"), second.split(b"\n")
    at = luck.randrange(len(lines))
    check_that_it_is_read(b"\n".join([*lines[:at], *more[luck.randrange(len(more)) :], *lines[at:]]))


@quiet
@given(seed=st.sampled_from(SEEDS), luck=st.randoms(use_true_random=False))
def test_lines_lost_doubled_and_shuffled_are_read(seed: bytes, luck: random.Random) -> None:
    lines = seed.split(b"\n")
    luck.shuffle(lines) if luck.random() < 0.2 else None
    check_that_it_is_read(b"\n".join(line for line in lines for _ in range(luck.choice((0, 1, 1, 1, 2)))))


@quiet
@given(seed=st.sampled_from(SEEDS), depth=st.integers(1, 40), coded=st.booleans())
def test_a_mail_wrapped_in_mails_is_read(seed: bytes, depth: int, coded: bool) -> None:
    raw = seed
    for _ in range(depth if not coded else min(depth, 6)):
        head = b"Content-Type: message/rfc822\n"
        raw = head + (
            b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(raw) if coded else b"\n" + raw
        )
    check_that_it_is_read(raw)


@quiet
@given(seed=st.sampled_from(SEEDS), charset=st.sampled_from(["utf-16", "utf-7", "cp037", "utf-32"]))
def test_a_mail_in_a_charset_nobody_sends_is_read(seed: bytes, charset: str) -> None:
    check_that_it_is_read(seed.decode("latin-1").encode(charset, "replace"))


FIELDS = b"From: a@example.org\nSubject: x\n"
MIXED = FIELDS + b"Content-Type: multipart/mixed; boundary=b\n\n"
STATUS = (
    FIELDS + b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
)
ROW = b"<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>"
N = 4_000_000
HOSTILE = {
    "fields": b"a:b\n" * (N // 4),
    "folds": FIELDS + b"X: a" + b"\n b" * (N // 3) + b"\n\nbody",
    "semicolons": FIELDS + b"Content-Type: a/b" + b";" * N + b"\n\n",
    "quotes": FIELDS + b"Content-Type: multipart/mixed; " + b';a="' * (N // 4) + b"\n\n",
    "encoded words": FIELDS + b"Subject: " + b"=?a?q?b?= " * (N // 10) + b"\n\n",
    "half encoded words": FIELDS + b"Subject: " + b"=?a?q?" * (N // 6) + b"\n\n",
    "recipients": FIELDS + b"To: " + b"a@example.org, " * (N // 15) + b"\n\n",
    "one word": FIELDS + b"To: " + b"a" * N + b"\nReturn-Path: " + b"b" * N + b"\n\n",
    "punctuation": b"Subject: " + b"!" * N + b"\n\n",
    "delimiters": MIXED + b"--b\n" * (N // 4),
    "almost delimiters": MIXED + b"--bx\n" * (N // 5),
    "nested parts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(9_000)
    ),
    "nested mails": b"Content-Type: message/rfc822\n\n" * (N // 30),
    "blank lines": b"\n" * N + b"x",
    "From lines": b"From \n" * (N // 6),
    "open tags": FIELDS + b"Content-Type: text/html\n\n" + b"<style" * (N // 6),
    "dashes": FIELDS
    + b"Content-Type: multipart/report; boundary=b\n\n--b\n\nfailed the published DMARC policy\n"
    + b"-" * N,
    "recipients of a status": STATUS
    + b"".join(b"Final-Recipient: rfc822; a%d@b.c\nAction: failed\n\n" % n for n in range(80_000)),
    "codings": STATUS + b"Content-Transfer-Encoding: base64\n" * (N // 34),
    "declarations": b"<feedback>" + b"<!DOCTYPE" * (N // 9),
    "words of a bounce": b"From: MAILER-DAEMON@x.org\nSubject: failure notice\n\n"
    + b"could not deliver <a@example.org>: 550 \n" * (N // 40),
    "one long line": b"From: MAILER-DAEMON@x.org\nSubject: failure notice\n\n"
    + b"user unknown 550 5.1.1 " * (N // 23),
    "hops": STATUS
    + b"--b\nContent-Type: message/rfc822\n\n"
    + (b"Received: " + b"[10.0.0.1] " * 5_000 + b"\n") * 70,
    "records": b"<feedback>" + ROW * (N // len(ROW)) + b"</feedback>",
    "elements": b"<feedback>" + b"<p/>" * (N // 4) + b"</feedback>",
    "broken elements": b"<feedback><record>" + b"<p>" * (N // 3) + b"</feedback>",
    "attributes": b"<feedback " + b" ".join(b"a%d='1'" % n for n in range(N // 12)) + b"></feedback>",
    "brackets": b'{"a":' + b"[" * N,
    "empty gzip members": gzip.compress(b"", mtime=0) * (N // 20),
    "a gzip bomb": gzip.compress(bytes(17_000_000), mtime=0),
    "many gzip bombs": MIXED + (b"--b\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n"
                                + base64.encodebytes(gzip.compress(b" " * 15_900_000, mtime=0))) * 100,
    "many reports": gzip.compress(b"<feedback><p/></feedback>" * (N // 8), mtime=0),
    "lists of reports": gzip.compress(b"[" + b"{}," * (N // 4) + b"{}]", mtime=0),
    "reports line by line": gzip.compress(b"{}\n" * (N // 4), mtime=0),
    "uuencoded": FIELDS + b"\nbegin 644 x\n" + (b"M" + b"\xff" * 60 + b"\n") * (N // 62),
    "base64 that never ends": FIELDS + b"Content-Type: application/zip\n\n" + b"H4sI\n" * (N // 5),
    "headers of headers": FIELDS + b"\n" + b"Content-A: b\n\n" * (N // 14),
    "a source ip": MIXED + b"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nSource-IP: " + b"1.1." * N,
    "objects": b'{"policies":[' + b"{}," * (N // 3) + b'{}],"report-id":"x"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_input_built_to_hurt_is_read_in_time(name: str) -> None:
    check_that_it_is_read(HOSTILE[name])


def test_all_of_them_together_stay_within_the_memory_of_one_worker() -> None:
    script = textwrap.dedent("""
        import resource, sys
        from collectors.mail import parse
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        from tests.collectors.mail.test_robustness import HOSTILE
        for raw in HOSTILE.values():
            parse(raw)
        swollen = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(swollen - sum(map(len, HOSTILE.values())) // 1024)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    )
    assert int(done.stdout) < 200_000, "kilobytes above the inputs themselves"
