"""The boards: their files are what the builders make, each panel says what it is, and every query answers on a real PostgreSQL."""

import html
import json
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dashboards.board import NO_DATA
from dashboards.boards import BOARDS
from dashboards.build import GENERATED, built, drifted, write
from dashboards.check import Answer, answer_faults, faults, run
from dashboards.expand import Asked, Period, expanded
from dashboards.picture import drawn
from monitor.demo import history
from monitor.intake.consequences import open_store

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MONTH = Period(NOW - timedelta(days=30), NOW)
DAY = Period(NOW - timedelta(days=1), NOW)


def documents():
    return {path.stem: json.loads(path.read_text()) for path in sorted(GENERATED.glob("*.json"))}


def test_the_files_are_what_the_builders_make():
    assert drifted() == [], "vigie dashboards build"


@pytest.mark.parametrize("slug", [board.slug for board in BOARDS])
def test_a_board_has_no_fault(slug):
    assert faults(documents()[slug]) == []


def test_writing_again_changes_nothing_and_removes_what_is_no_board(tmp_path):
    assert len(write(tmp_path)) == len(BOARDS)
    assert write(tmp_path) == []
    (tmp_path / "old.json").write_text("{}")
    assert [path.name for path in write(tmp_path)] == ["old.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(built())


def test_faults_are_found():
    board = documents()["gate"]
    panel = next(each for each in board["panels"] if each["type"] == "table")
    panel["description"] = ""
    panel["fieldConfig"]["defaults"].pop("noValue")
    panel["targets"][0]["datasource"]["uid"] = "mine"
    panel["targets"][0]["rawSql"] = "SELECT 1 FROM trace WHERE ${nosuch:sqlstring}"
    panel["gridPos"]["y"] = 0
    problems = "\n".join(faults(board))
    for words in ("no description", "no words for no data", "names the data source mine", "reads no view", "nosuch", "lies on"):
        assert words in problems, words


def test_macros_and_variables_become_what_grafana_sends():
    sql = "SELECT 1 FROM x WHERE $__timeFilter(time) AND ('__all__' IN (${customer:sqlstring}) OR customer IN (${customer:sqlstring}))"
    assert expanded(sql, DAY, {}) == (
        "SELECT 1 FROM x WHERE time BETWEEN '2026-03-03T12:00:00Z' AND '2026-03-04T12:00:00Z'"
        " AND ('__all__' IN ('__all__') OR customer IN ('__all__'))"
    )
    assert "IN ('o''neill','bolt')" in expanded(sql, DAY, {"customer": ["o'neill", "bolt"]})
    with pytest.raises(ValueError, match=r"\$__timeGroup is no macro"):
        expanded("$__timeGroup(time,'1h')", DAY, {})


def test_answers_that_grafana_cannot_draw_are_found():
    query = Asked("board: panel", "time_series", "")
    assert answer_faults(query, Answer(["at", "value"], [])) == ["board: panel: a time series here has time, metric and value, not at, value"]
    unsorted = Answer(["time", "metric", "value"], [(NOW, "a", 1), (NOW - timedelta(1), "a", None)])
    assert answer_faults(query, unsorted) == ["board: panel: rows are not sorted by time"]
    assert answer_faults(query, Answer(["time", "metric", "value"], [(NOW, "a", "1")])) == ["board: panel: value is not a number in every row"]


@pytest.fixture(scope="module")
def filled(postgres_cluster):
    """A database with the demo's history, read by a role that may only read the views."""
    from monitor.database import views

    url = postgres_cluster.fresh_database()
    postgres_cluster.execute("CREATE ROLE boards LOGIN")
    with closing(open_store(url)) as store:
        history.write(store, NOW, 7)
        with store.engine.begin() as connection:
            views.allow(connection, "boards")
    return url.replace("vigie@", "boards@")


@pytest.fixture
def ask(filled):
    with psycopg.connect(filled, autocommit=True) as connection:

        def answer(sql: str) -> Answer:
            cursor = connection.execute(sql.encode())
            return Answer([column.name for column in cursor.description or ()], cursor.fetchall())

        yield answer


@pytest.mark.real("postgres")
@pytest.mark.parametrize("period", [DAY, MONTH], ids=["hours", "days"])
@pytest.mark.parametrize("slug", [board.slug for board in BOARDS])
def test_every_query_answers_in_the_shape_grafana_draws(slug, period, ask):
    for chosen in ({}, {"customer": ["acme"], "provider": ["gmail", "orange"], "ip": ["192.0.2.10"]}):
        for query, _, wrong in run(documents()[slug], ask, period, chosen):
            assert wrong == [], query.where


@pytest.mark.real("postgres")
def test_a_rate_is_what_was_counted_and_no_rate_where_nothing_was_sent(ask):
    board = documents()["overview"]
    table = next(query for query, _, _ in run(board, ask, MONTH) if query.where.endswith("By customer"))
    rows = {row[0]: row[1:4] for row in ask(expanded(table.sql, MONTH, {})).rows}
    with_history = random.Random("history 7")
    days = [batch for batch in history.batches(NOW, with_history) if MONTH.since <= batch.at <= MONTH.until]
    for customer in ("acme", "bolt"):
        seen = [each for batch in days for each in batch.observations if each.subject.customer == customer]
        delivered = sum(each.value for each in seen if each.measure == "delivered")
        complaints = sum(each.value for each in seen if each.measure == "complaint")
        # days beyond fourteen: a day that is only in part within the period is not in it
        assert rows[customer][2] == rows[customer][1] / rows[customer][0]
        assert abs(rows[customer][0] - delivered) < 0.05 * delivered
        assert abs(rows[customer][1] - complaints) <= 0.2 * complaints + 5
    nothing = ask(expanded(table.sql, MONTH, {"customer": ["nobody"]}))
    assert nothing.rows == []
    assert NO_DATA.startswith("no data")


@pytest.mark.real("postgres")
def test_every_board_about_mail_shows_something_of_the_history(ask):
    for slug in ("overview", "provider", "customer", "ip", "domain", "complaints", "blocks"):
        shown = [query.where for query, answer, _ in run(documents()[slug], ask, MONTH) if query.format != "variable" and answer.rows]
        assert len(shown) >= 3, (slug, shown)


@pytest.mark.real("postgres")
def test_a_board_is_drawn_with_its_data_or_the_words_for_none(ask):
    for slug, document in documents().items():
        page = drawn(document, ask, MONTH)
        assert html.escape(document["description"]) in page
        for panel in document["panels"]:
            assert panel["type"] == "text" or html.escape(panel["title"]) in page, slug
    page = drawn(documents()["overview"], ask, MONTH)
    assert "<rect" in page
    assert "<polyline" in page
    assert "no open incident for this choice" in page
    assert "<script" not in drawn({**documents()["gate"], "title": "<script>"}, ask, MONTH)


@pytest.mark.real("postgres")
def test_a_warm_up_is_shown_with_its_plan_and_what_was_sent(postgres_cluster):
    url = postgres_cluster.fresh_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO warm_up (id, ip, provider, open_key, plan, per_day, zone, standing, step, day, returned, recorded, judged_day, sent_day,"
            " evidence_since, stuck_days, waiting_days, actor, reason, started_at, changed_at, changes) VALUES ('alw-1', '192.0.2.7', 'gmail', 'k',"
            " 'careful', '[50, 100, 200]', 'UTC', 'warming', 1, '2026-03-04', 0, 40, '2026-03-03', '2026-03-03', now(), 0, 0, 'ann', 'new', now(), now(), 0)"
        )
        connection.execute(
            "INSERT INTO warm_up_day (warm_up, day, standing, step, cap, returned, recorded, was, move, why, figures, judged_at)"
            " VALUES ('alw-1', '2026-03-03', 'warming', 0, 50, 0, 48, 'warming', 'advance', 'all delivered', '{}', now())"
        )

        def answer(sql: str) -> Answer:
            cursor = connection.execute(sql.encode())
            return Answer([column.name for column in cursor.description or ()], cursor.fetchall())

        shown = {query.where: answer for query, answer, wrong in run(documents()["warmup"], answer, MONTH) if not wrong}
    lines = shown["vigie-warmup: Cap and sent, day by day"].rows
    assert [(row[1], row[2]) for row in lines] == [("192.0.2.7 gmail cap", 50), ("192.0.2.7 gmail sent", 48)]
    (standing,) = shown["vigie-warmup: Standings"].rows
    assert standing[:6] == ("192.0.2.7", "gmail", "warming", "careful", 1, "100")
