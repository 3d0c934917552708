"""How quickly the boards' queries answer with a year of data: `make bench ONLY=pages`.

A PostgreSQL of its own with a year of daily and 14 days of hourly sums of `IPS` addresses (environment, default 1,000) of 100 customers at
three providers, 600 listings, 300 incidents and 100,000 traces. Every query of every board is asked over a week, a month and a year, with all
chosen and with one customer; reference: the sum of one measure over the same month, in the same run.
"""

import json
import os
import statistics
from contextlib import closing
from datetime import UTC, datetime, timedelta
from time import perf_counter

import psycopg

from dashboards.build import GENERATED
from dashboards.expand import Period, expanded, queries
from monitor.database.partitions import ensure_parts
from monitor.intake.consequences import open_store
from tests.servers.postgres import Cluster

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PERIODS = {"week": timedelta(days=7), "month": timedelta(days=30), "year": timedelta(days=365)}
_FILL = """
INSERT INTO customer (id, name, id_headers) SELECT 'c' || n, 'C' || n, '{{}}' FROM generate_series(0, 99) n;
INSERT INTO sending_ip (address, customer, role) SELECT '10.' || n / 65536 || '.' || n / 256 % 256 || '.' || n % 256, 'c' || n % 100, 'mta' FROM generate_series(0, {ips} - 1) n;
INSERT INTO series (measure, key, customer, stream, ip, provider)
  SELECT measure, measure || n || provider, 'c' || n % 100, 'news', '10.' || n / 65536 || '.' || n / 256 % 256 || '.' || n % 256, provider
  FROM generate_series(0, {ips} - 1) n, unnest(ARRAY['delivered', 'complaint', 'block', 'hard_bounce']) measure, unnest(ARRAY['gmail', 'yahoo', 'orange']) provider;
INSERT INTO reading_daily (series_id, start, readings, unknowns, total)
  SELECT id, day, 1, 0, CASE measure WHEN 'delivered' THEN 5000 ELSE 3 END FROM series, generate_series('2025-06-01Z'::timestamptz, '2026-05-31Z', interval '1 day') day;
INSERT INTO reading_hourly (series_id, start, readings, unknowns, total)
  SELECT id, hour, 1, 0, CASE measure WHEN 'delivered' THEN 200 ELSE 1 END FROM series, generate_series('2026-05-18Z'::timestamptz, '2026-05-31T23:00Z', interval '1 hour') hour;
INSERT INTO listing (target, dnsbl, phase, baseline, codes, hits, clean_answers, first_seen_at, last_seen_at, confirmed_at, checked_at, detail)
  SELECT '10.0.' || n / 256 || '.' || n % 256, 'zen', 'listed', false, '[]', 3, 0, '2026-05-30Z', '2026-05-31Z', '2026-05-30Z', '2026-05-31Z', '{{}}' FROM generate_series(0, 599) n;
INSERT INTO incident (id, rule, subject_key, open_key, subject, state, severity, summary, evidence, started_at, fired_at, judged_at, notified_members)
  SELECT 'inc-' || n, 'complaint-rate', n::text, n::text, json_build_object('customer', 'c' || n % 100, 'provider', 'gmail'), 'firing', 'critical', 'complaint rate 0.4 %', '{{}}',
  '2026-05-30Z', '2026-05-30Z', '2026-05-31Z', '[]' FROM generate_series(0, 299) n;
INSERT INTO trace (id, batch_id, at, known_at, kind, customer, ip, provider, category, status, reply_code, text, count, source)
  SELECT n, 1, '2026-05-02Z'::timestamptz + n * interval '26 seconds', '2026-05-31Z', 'block', 'c' || n % 100, '10.0.0.' || n % 256, 'orange', 'reputation_ip', '5.7.1', '550',
  'refused ' || n % 50, 1, 'mta' FROM generate_series(1, 99000) n;
"""


def run():
    ips = int(os.environ.get("IPS", "1000"))
    cluster = Cluster(autovacuum="on", shared_buffers="512MB").start()
    try:
        url = cluster.fresh_database(migrated=False)
        _fill(url, ips)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
            return _asked(connection, ips)
    finally:
        cluster.stop()


def _fill(url, ips):
    with closing(open_store(url)) as store:
        store.migrate()
        days = [NOW - timedelta(days=each) for each in range(366)]
        with store.engine.begin() as connection:
            ensure_parts(connection, {"reading_daily": days, "reading_hourly": days[:20], "trace": days[:62]})
            for statement in _FILL.format(ips=ips).split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement.replace("%", "%%"))


def _asked(connection, ips):
    seconds = {}
    for path in sorted(GENERATED.glob("*.json")):
        for query in queries(json.loads(path.read_text())):
            for name, span in PERIODS.items():
                for chosen in ({}, {"customer": ["c7"]}):
                    sql = expanded(query.sql, Period(NOW - span, NOW), chosen)
                    seconds[query.where, name, bool(chosen)] = _timed(connection, sql)
    reference = _timed(connection, "SELECT sum(total) FROM reading_daily WHERE start > '2026-05-02Z' AND series_id IN (SELECT id FROM series WHERE measure = 'delivered')")
    worst = sorted(seconds, key=seconds.__getitem__)[-8:]
    p95 = statistics.quantiles(seconds.values(), n=20)[-1]
    return {
        "bench": "pages",
        "figures": {"boards_p95_ms": p95 * 1e3, "boards_median_ms": statistics.median(seconds.values()) * 1e3, "queries": len(seconds), "ips": ips,
                    "slowest_ms": {f"{where} ({span}{', a customer' if narrow else ''})": round(seconds[where, span, narrow] * 1e3) for where, span, narrow in worst}},
        "ratio": {"p95_to_a_month_of_one_measure": p95 / reference},
    }


def _timed(connection, sql):
    took = []
    for _ in range(2):
        began = perf_counter()
        connection.execute(sql.encode()).fetchall()
        took.append(perf_counter() - began)
    return min(took)
