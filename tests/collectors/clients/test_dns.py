"""The DNS client against servers that are dead, slow, hostile or simply many."""

import collections
import random
import socket
import threading
import time

from collectors.clients.dns import Lane, Pace, Pacer, Question, Server, ask
from collectors.clients.dns_wire import A_IN, TXT_IN, encode_name
from collectors.contract import Reason
from tests.servers.dns_hostile import Drops, Hostile, Late, clean, listed, truncated
from tests.waiting import PATIENCE_SECONDS, free_port

ZONE = "bl.example.net"
MANY = 50  # attempts: where an answer does come, however busy the machine is


def question(number, rdtype=A_IN, zone=ZONE):
    return Question(encode_name(f"{number}.2.0.192.{zone}") + b"\0" + rdtype, number)


def at(server):
    return Server("127.0.0.1", server.port)


def replies(lanes, pace=None, **options):
    return [reply for chunk in ask(lanes, pace, **options) for reply in chunk]


def settled(server, count):
    """Whether so many questions have arrived, and no more in the moment after."""
    if len(server.asked) < count:
        return False
    time.sleep(0.2)  # what must not happen can only be waited for
    return True


def test_every_question_gets_exactly_one_reply():
    with Hostile({ZONE: clean}) as server:
        lanes = [Lane([at(server)], [question(n) for n in range(lane, 250, 5)]) for lane in range(5)]
        assert sorted(reply.token for reply in replies(lanes)) == list(range(250))


def test_ids_and_ports_are_many():
    with Hostile({ZONE: clean}) as server:
        replies([Lane([at(server)], [question(n) for n in range(200)])])
        assert len({query.ident for query in server.asked}) > 190
        assert len({query.port for query in server.asked}) == Pace().sockets


def test_what_is_in_flight_is_bounded_per_operator_and_per_server():
    with Hostile({ZONE: lambda q: None}) as server:
        lanes = [Lane([at(server)], [question(n) for n in range(50)], window=8) for _ in range(5)]
        long = {"timeout_seconds": PATIENCE_SECONDS, "overdue_seconds": PATIENCE_SECONDS}
        replies(lanes, Pace(window=30, **long), stopping=lambda: settled(server, 30))
        assert len(server.asked) == 30
    with Hostile({ZONE: lambda q: None}) as server:
        lanes = [Lane([at(server)], [question(n) for n in range(9)], window=8)]
        replies(lanes, Pace(**long), stopping=lambda: settled(server, 8))
        assert len(server.asked) == 8


def test_a_lost_question_is_asked_again_with_another_id_from_another_port():
    with Hostile({ZONE: lambda q: None if q.nth == 1 else listed(q)}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=0.5, attempts=MANY))
        assert reply.answer.addresses == (b"\x7f\0\0\2",)
        assert server.asked[0].ident != server.asked[1].ident
        assert server.asked[0].port != server.asked[1].port
        assert reply.elapsed_seconds >= 0.5


def test_silence_ends_at_the_deadline():
    with Hostile({ZONE: lambda q: None}) as server:
        started = time.monotonic()
        (reply,) = replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=0.1))
        assert (reply.answer, reply.reason) == (None, Reason.TIMEOUT)
        assert time.monotonic() - started >= 0.2
        assert len(server.asked) == 2


def test_a_late_answer_is_not_taken_for_that_of_the_second_question():
    held = []

    def first_when_asked_again(q):
        held.extend(listed(q) if q.nth == 1 else ())
        return None if q.nth == 1 else [*held, *clean(q)]

    with Hostile({ZONE: first_when_asked_again}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])], Pace(timeout_seconds=0.5, attempts=MANY))
        assert reply.answer.addresses == ()


def test_a_closed_port_is_a_network_fault_at_once():
    (reply,) = replies([Lane([Server("127.0.0.1", free_port(socket.SOCK_DGRAM))], [question(7)])], Pace(timeout_seconds=PATIENCE_SECONDS))
    assert reply.reason == Reason.NETWORK
    assert reply.elapsed_seconds < PATIENCE_SECONDS / 2  # it did not wait for a time-out


def test_a_server_the_kernel_will_not_send_to_is_a_network_fault():
    (reply,) = replies([Lane([Server("255.255.255.255", 53)], [question(7)])])
    assert reply.reason == Reason.NETWORK


def test_the_next_resolver_takes_over_from_a_dead_or_refusing_one():
    dead, unreachable = Server("127.0.0.1", free_port(socket.SOCK_DGRAM)), Server("255.255.255.255", 53)  # the kernel refuses broadcast
    with Hostile({ZONE: listed}) as good, Hostile({}) as refusing:
        for first in (dead, unreachable, at(refusing)):
            (reply,) = replies([Lane([first, at(good)], [question(7)])])
            assert reply.answer.addresses == (b"\x7f\0\0\2",)


def test_ipv6_resolvers_are_asked_too():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        listener.bind(("::1", 0))
        listener.settimeout(PATIENCE_SECONDS)
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
        assert [query.over_tcp for query in server.asked] == [False, True]


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
        slow = Lane([at(server)], [question(n) for n in range(5)], pacer=Pacer(0.05))
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


def test_it_stops_when_asked_to_and_closes_its_sockets():
    with Hostile({ZONE: lambda q: None}) as server:
        started = time.monotonic()
        lanes = [Lane([at(server)], [question(7)])]
        assert replies(lanes, Pace(timeout_seconds=PATIENCE_SECONDS), stopping=lambda: bool(server.asked)) == []
        assert time.monotonic() - started < PATIENCE_SECONDS / 2  # it did not wait for the answer


def test_a_slow_reader_loses_no_answers():
    with Hostile({ZONE: clean}) as server:
        heard = []
        # the answers lie in the sockets while the reader is away for longer than a question may take; the server has
        # all that time to give them, however busy the machine is
        for chunk in ask([Lane([at(server)], [question(n) for n in range(150)])], Pace(timeout_seconds=5, attempts=1)):
            if not heard:
                time.sleep(5.2)
            heard.extend(reply.reason for reply in chunk)
        assert heard == [None] * 150


def test_a_flood_of_forgeries_does_not_drown_the_truth():
    def flood(query):
        return [bytes([n, n]) + query.reply(rcode=3)[2:] for n in range(200)] + listed(query)

    with Hostile({ZONE: flood}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])])
        assert reply.answer is not None


def test_a_truncated_answer_comes_over_tcp_in_however_many_pieces():
    with Hostile({ZONE: truncated}, tcp={ZONE: lambda q: [Drops(listed(q)[0])]}) as server:
        (reply,) = replies([Lane([at(server)], [question(7)])])
        assert reply.answer.addresses == (b"\x7f\0\0\2",)


def test_truncated_and_no_tcp_at_one_resolver_is_asked_at_the_next():
    for tcp in ({"listen_tcp": False}, {"tcp": {ZONE: lambda q: []}}, {"tcp": {ZONE: lambda q: [Late(b"", 30)]}}):
        with Hostile({ZONE: truncated}, **tcp) as first, Hostile({ZONE: listed}) as second:
            (reply,) = replies([Lane([at(first), at(second)], [question(7)])], Pace(timeout_seconds=0.5))
            assert reply.answer.addresses == (b"\x7f\0\0\2",)


def test_tcp_connections_that_hang_hold_up_nobody_else():
    zones = {"hangs.example.net": truncated, ZONE: clean}
    with Hostile(zones, tcp={"hangs.example.net": lambda q: [Late(b"", 60)]}) as server:
        hanging = Lane([at(server)], [question(n, zone="hangs.example.net") for n in range(60)])
        fine = Lane([at(server)], [question(n) for n in range(100, 200)])
        order = []
        for chunk in ask([hanging, fine], Pace(timeout_seconds=1)):
            order += [reply.token for reply in chunk]
            if order and min(order) < 100 and not hanging.closed:
                hanging.close(Reason.TIMEOUT)
        assert sorted(order) == sorted([*range(60), *range(100, 200)])
        assert min(order[:100]) >= 100
        assert sum(query.over_tcp for query in server.asked) < 20


def test_a_lane_that_is_closed_is_not_asked_further_and_every_question_has_its_reply():
    with Hostile({ZONE: lambda q: None}) as server:
        lane = Lane([at(server)], window=4)
        for number in range(50):
            lane.add(question(number))
        heard = []
        for chunk in ask([lane], Pace(timeout_seconds=0.1)):
            heard += chunk
            lane.close(Reason.TIMEOUT)
        assert sorted(reply.token for reply in heard) == list(range(50))
        assert {reply.reason for reply in heard} == {Reason.TIMEOUT}
        assert len(server.asked) <= 12


def test_a_resolver_that_dies_with_everything_in_flight_ends_in_replies():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = Server("127.0.0.1", silent.getsockname()[1])
        threading.Thread(target=lambda: ([silent.recv(512) for _ in range(200)], silent.close())).start()
        lanes = [Lane([server], [question(f"{lane}-{n}") for n in range(100)]) for lane in range(40)]
        assert len(replies(lanes, Pace(timeout_seconds=2, attempts=5, window=512))) == 4000


def test_lists_that_are_silent_leave_the_window_to_others():
    silent = {f"s{n}.example.net": (lambda q: None) for n in range(10)}
    with Hostile({**silent, ZONE: clean}) as server:
        lanes = [Lane([at(server)], [question(n, zone=zone) for n in range(32)]) for zone in silent]
        lanes.append(Lane([at(server)], [question(n) for n in range(100, 200)]))
        seen = []
        for chunk in ask(lanes, Pace(timeout_seconds=20, overdue_seconds=0.02), stopping=lambda seen=seen: len(seen) == 100):
            seen.extend(chunk)
        assert {reply.token for reply in seen} == set(range(100, 200))


def test_a_resolver_that_went_silent_is_passed_over_while_another_answers():
    with Hostile({ZONE: lambda q: None}) as gone, Hostile({ZONE: clean}) as good:
        lane = Lane([at(gone), at(good)], [question(n) for n in range(300)])
        seen = replies([lane], Pace(timeout_seconds=0.5))
        assert {reply.reason for reply in seen} == {None}
        assert len(gone.asked) < 200


def test_a_line_that_loses_a_third_leaves_almost_nothing_unanswered():
    loss = random.Random(7)
    with Hostile({ZONE: lambda q: None if loss.random() < 1 / 3 else clean(q)}) as server:
        lanes = [Lane([at(server)], [question(n) for n in range(lane, 1000, 10)]) for lane in range(10)]
        seen = replies(lanes, Pace(timeout_seconds=0.3))
        assert len(seen) == 1000
        assert sum(reply.answer is None for reply in seen) < 30


def test_a_resolver_that_answers_so_many_a_second_is_asked_no_faster():
    answered = collections.Counter()

    def limited(q):
        span = int(time.monotonic() * 5)
        answered[span] += 1
        return clean(q) if answered[span] <= 60 else None

    with Hostile({ZONE: limited}) as server:
        lanes = [Lane([at(server)], [question(n) for n in range(lane, 1500, 10)]) for lane in range(10)]
        seen = replies(lanes, Pace(timeout_seconds=0.5))
        assert len(seen) == 1500
        assert sum(reply.answer is None for reply in seen) < 75
        assert len(server.asked) < 4500


def test_lanes_of_one_operator_share_its_pace_repeats_and_tcp_included():
    def lossy(q):
        return truncated(q) if q.name.startswith("1.") else None if q.nth == 1 else clean(q)

    with Hostile({ZONE: lossy, "b.example.net": lossy}, tcp={ZONE: clean, "b.example.net": clean}) as server:
        pacer = Pacer(0.05)
        lanes = [Lane([at(server)], [question(n, zone=zone) for n in range(5)], pacer=pacer) for zone in (ZONE, "b.example.net")]
        started = time.monotonic()
        assert len(replies(lanes, Pace(timeout_seconds=0.3))) == 10
        assert time.monotonic() - started >= (len(server.asked) - 1) * 0.05 * 0.98


def test_lanes_may_be_added_while_answers_are_read():
    with Hostile({ZONE: clean}) as first, Hostile({ZONE: clean}) as other:
        lanes = [Lane([at(first)], [question(0)])]
        seen = []
        for chunk in ask(lanes):
            seen += [reply.token for reply in chunk]
            if len(lanes) == 1:
                lanes.append(Lane([at(other)], [question(1)]))
        assert seen == [0, 1]
