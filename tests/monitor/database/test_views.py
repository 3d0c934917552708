"""The views of the dashboards: made after every migration, readable by a role that can read nothing else."""

import json
from contextlib import closing

import psycopg
import pytest

from monitor.database import views
from monitor.database.engine import Engines
from monitor.database.schema import migrate
from monitor.intake.consequences import open_store
from tests.monitor.conftest import T, batch, counted

pytestmark = pytest.mark.real("postgres")


@pytest.fixture
def url(postgres_cluster):
    return postgres_cluster.fresh_database()


@pytest.fixture
def role(postgres_cluster, url):
    name = f"grafana_{url.rpartition('_')[2]}"
    postgres_cluster.execute(f"CREATE ROLE {name} LOGIN")
    return name


def as_role(url: str, role: str) -> str:
    return url.replace("vigie@", f"{role}@")


def allow(url: str, role: str) -> None:
    with closing(open_store(url)) as store, store.engine.begin() as connection:
        views.allow(connection, role)


def test_every_view_answers_and_none_shows_a_recipient_or_a_body(url):
    with psycopg.connect(url) as connection:
        for name in views.NAMES:
            cursor = connection.execute(f"SELECT * FROM {name} LIMIT 1".encode())
            columns = {column.name for column in cursor.description or ()}
            assert columns, name
            assert not columns & {"recipient_hash", "recipient_ref", "message_id", "message_hash", "body", "sha256", "scopes"}, name


def test_a_role_reads_the_views_and_no_table_and_writes_nothing(url, role):
    allow(url, role)
    with psycopg.connect(as_role(url, role), autocommit=True) as connection:
        for name in views.NAMES:
            connection.execute(f"SELECT count(*) FROM {name}".encode())
        for statement in ("SELECT 1 FROM trace", "SELECT 1 FROM setting", "SELECT 1 FROM api_key"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE mine (x int)")


def test_what_a_role_may_read_stays_when_the_views_are_made_anew(url, role, postgres_cluster):
    allow(url, role)
    engines = Engines(url)
    try:
        with engines.alone() as connection:
            views.drop_views(connection)
        assert postgres_cluster.execute("SELECT count(*) FROM pg_views WHERE viewname LIKE 'grafana%'", url.rpartition("/")[2]) == 0
        migrate(engines)
    finally:
        engines.dispose()
    with psycopg.connect(as_role(url, role)) as connection:
        assert connection.execute("SELECT count(*) FROM grafana_hourly").fetchone() == (0,)


def test_views_that_somebody_dropped_come_back_at_the_next_start(url, postgres_cluster):
    postgres_cluster.execute("DROP VIEW grafana_rule", url.rpartition("/")[2])
    with closing(open_store(url)) as store:
        store.migrate()
    assert postgres_cluster.execute("SELECT count(*) FROM grafana_rule", url.rpartition("/")[2]) == 0


def test_a_role_that_is_missing_or_may_do_everything_is_refused_with_what_to_do(url):
    with pytest.raises(views.RoleError, match=r'make it first: CREATE ROLE "nobody-there" LOGIN'):
        allow(url, "nobody-there")
    with pytest.raises(views.RoleError, match="a role of their own"):
        allow(url, "vigie")


def test_an_unknown_stays_apart_from_zero(url):
    with closing(open_store(url)) as store:
        store.intake([batch("1", counted(T, 0), counted(T, None, customer="bolt"))], T)
        store.roll_up()
    with psycopg.connect(url) as connection:
        shown = connection.execute("SELECT customer, total, readings, unknowns FROM grafana_hourly ORDER BY 1").fetchall()
    assert shown == [("acme", 0.0, 1, 0), ("bolt", None, 1, 1)]


def test_the_setting_that_names_the_readers_is_a_list(url, role):
    allow(url, role)
    allow(url, role)
    with psycopg.connect(url) as connection:
        (value,) = connection.execute("SELECT value FROM setting WHERE name = 'dashboard_readers'").fetchone()
    assert json.loads(value) == [role]
