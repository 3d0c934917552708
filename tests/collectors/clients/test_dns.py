"""The DNS door against servers that are dead, slow, hostile or simply many."""

import socket
import time

from collectors.clients.dns import Lane, Pace, Question, Server, ask
from collectors.clients.dns_wire import A_IN, TXT_IN, encode_name
from collectors.contract import Reason
from tests.servers.dns_hostile import Hostile, Late, clean, listed, truncated

ZONE = "bl.example.net"


def question(number, rdtype=A_IN, zone=ZONE):
    return Question(encode_name(f"{number}.2.0.192.{zone}") + b"\0" + rdtype, number)


def at(server):
    return Server("127.0.0.1", server.port)


def replies(lanes, pace=None, **options):
    return [reply for chunk in ask(lanes, pace, **options) for reply in chunk]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_every_question_gets_exactly_one_reply():
    with Hostile({ZONE: clean}) as server:
        lanes = [Lane([at(server)], [question(n) for n in range(lane, 250, 5)]) for lane in range(5)]
        assert sorted(reply.token for reply in replies(lanes)) == list(range(250))


def test_ids_and_ports_are_many():
    with Hostile({ZONE: clean}) as server:
        replies([Lane([at(server)], [question(n) for n in range(200)])])
        assert len({asked.ident for asked in server.asked}) > 190
        assert len({asked.port for asked in server.asked}) == Pace().sockets


def test_what_is_in_flight_is_bounded_per_operator_and_per_server():
    with Hostile({ZONE: lambda q: None}) as server:
        lanes = [Lane([at(server)], [question(n) for n in range(50)], window=8) for _ in range(5)]
        started = time.monotonic()
        replies(lanes, Pace(timeout_seconds=9, window=30), stopping=lambda: time.monotonic() - started > 0.3)
        assert len(server.asked) == 30
    with Hostile({ZONE: lambda q: None}) as server:
        started = time.monotonic()
        lanes = [Lane([at(server)], [question(n) for n in range(9)], window=8)]
        replies(lanes, Pace(timeout_seconds=0.3, attempts=1), stopping=lambda: time.monotonic() - started > 0.2)
        assert len(server.asked) == 8


def test_a_lost_question_is_asked_again_with_another_id_from_another_port():
    with Hostile({ZONE: lambda q: None if q.nth == 1 else listed(q)}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=0.1))
        assert reply.answer.addresses == (b"\x7f\0\0\2",)
        assert len(server.asked) == 2
        assert server.asked[0].ident != server.asked[1].ident
        assert server.asked[0].port != server.asked[1].port
        assert reply.elapsed_seconds >= 0.1


def test_silence_ends_at_the_deadline():
    with Hostile({ZONE: lambda q: None}) as server:
        started = time.monotonic()
        (reply,) = replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=0.1))
        assert (reply.answer, reply.reason) == (None, Reason.TIMEOUT)
        assert 0.2 <= time.monotonic() - started < 1
        assert len(server.asked) == 2


def test_a_late_answer_is_not_taken_for_that_of_the_second_question():
    with Hostile({ZONE: lambda q: [Late(listed(q)[0], 0.15)] if q.nth == 1 else [Late(clean(q)[0], 0.08)]}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=0.1))
        assert reply.answer.addresses == ()


def test_a_closed_port_is_a_network_fault_at_once():
    started = time.monotonic()
    (reply,) = replies([Lane([Server("127.0.0.1", free_port())], [question(7)])])
    assert reply.reason == Reason.NETWORK
    assert time.monotonic() - started < 1


def test_a_server_the_kernel_will_not_send_to_is_a_network_fault():
    (reply,) = replies([Lane([Server("255.255.255.255", 53)], [question(7)])])
    assert reply.reason == Reason.NETWORK


def test_the_next_resolver_takes_over_from_a_dead_or_refusing_one():
    dead, unreachable = Server("127.0.0.1", free_port()), Server("255.255.255.255", 53)  # the kernel refuses broadcast
    with Hostile({ZONE: listed}) as good, Hostile({}) as refusing:
        for first in (dead, unreachable, at(refusing)):
            (reply,) = replies([Lane([first, at(good)], [question(7)])])
            assert reply.answer.addresses == (b"\x7f\0\0\2",)


def test_ipv6_resolvers_are_asked_too():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        listener.bind(("::1", 0))
        listener.settimeout(2)
        server = Server("::1", listener.getsockname()[1])
        running = ask([Lane([server], [question(7)])], Pace(timeout_seconds=0.2, attempts=1))
        (reply,) = next(running)
        assert reply.reason == Reason.TIMEOUT
        assert listener.recv(512)[12:] == question(7).wire
        assert str(server).startswith("[::1]:")


def test_a_truncated_answer_is_fetched_over_tcp():
    with Hostile({ZONE: truncated}, tcp={ZONE: listed}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])])
        assert reply.answer.addresses == (b"\x7f\0\0\2",)
        assert [asked.over_tcp for asked in server.asked] == [False, True]


def test_a_truncated_answer_without_tcp_is_a_timeout():
    with Hostile({ZONE: truncated}, listen_tcp=False) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])])
        assert (reply.answer, reply.reason) == (None, Reason.TIMEOUT)


def test_nonsense_over_tcp_is_no_answer():
    nonsense = {
        "still truncated": truncated,
        "another id": lambda q: [b"\0\0" + listed(q)[0][2:]],
        "nothing": lambda q: [],
        "empty": lambda q: [b""],
        "cut": lambda q: [listed(q)[0][:-3]],
    }
    for name, behaviour in nonsense.items():
        with Hostile({ZONE: truncated}, tcp={ZONE: behaviour}) as server:
            (reply,) = replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=0.3))
            assert reply.answer is None or reply.answer.malformed, name


def test_a_text_question_is_answered_with_texts():
    text = b"\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\5\4spam"
    with Hostile({ZONE: lambda q: [q.reply(text)]}) as server:
        (reply,) = replies([Lane([at(server)], [question(7, TXT_IN)])])
        assert reply.answer.texts == ("spam",)


def test_a_paced_lane_keeps_its_distance_while_others_go_on():
    with Hostile({ZONE: clean, "fast.example.net": clean}) as server:
        slow = Lane([at(server)], [question(n) for n in range(5)], interval_seconds=0.05)
        fast = Lane([at(server)], [question(n, zone="fast.example.net") for n in range(50, 90)])
        started = time.monotonic()
        order = [reply.token for reply in replies([slow, fast])]
        assert time.monotonic() - started >= 0.2
        assert order.index(4) == 44


def test_questions_may_be_added_while_answers_are_read():
    with Hostile({ZONE: clean}) as server:
        lane = Lane([at(server)], [question(0)])
        seen = []
        for chunk in ask([lane]):
            for reply in chunk:
                seen.append(reply.token)
                if reply.token < 3:
                    lane.add(question(reply.token + 1))
        assert seen == [0, 1, 2, 3]


def test_it_stops_when_told_and_closes_its_sockets():
    with Hostile({ZONE: lambda q: None}) as server:
        started = time.monotonic()
        assert replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=20), stopping=lambda: time.monotonic() - started > 0.1) == []
        assert time.monotonic() - started < 1


def test_a_slow_reader_loses_no_answers():
    with Hostile({ZONE: clean}) as server:
        heard = []
        for chunk in ask([Lane([at(server)], [question(n) for n in range(150)])], Pace(timeout_seconds=1, attempts=1)):
            if not heard:
                time.sleep(1.2)
            heard.extend(reply.reason for reply in chunk)
        assert heard == [None] * 150


def test_a_flood_of_forgeries_does_not_drown_the_truth():
    def flood(asked):
        return [bytes([n, n]) + asked.reply(rcode=3)[2:] for n in range(200)] + listed(asked)

    with Hostile({ZONE: flood}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])])
        assert reply.answer is not None
