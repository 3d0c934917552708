"""What Prometheus scrapes: every metric listed once, described, and without a customer's name."""

import re
import subprocess

import pytest

from monitor.api import metrics
from monitor.metrics import Metric, MetricType, text_of
from tests.monitor.api.test_alertmanager import incident

LISTED = [each.metric for each in metrics.STORED] + [each for each in vars(metrics).values() if isinstance(each, Metric)]


def test_every_metric_has_a_name_of_its_own_and_counters_say_so():
    names = [metric.name for metric in LISTED]
    assert len(names) == len(set(names)) > 10
    for metric in LISTED:
        assert re.fullmatch(r"vigie_[a-z0-9_]+", metric.name)
        assert metric.meaning.endswith(".")
        assert "\n" not in metric.meaning
        assert metric.name.endswith("_total") == (metric.type is MetricType.COUNTER)


def test_labels_are_escaped():
    assert text_of([(Metric("vigie_x", "X."), [({"b": 'a"\\\n', "a": "1"}, 0.5)])]) == (
        '# HELP vigie_x X.\n# TYPE vigie_x gauge\nvigie_x{a="1",b="a\\"\\\\\\n"} 0.5\n'
    )


@pytest.mark.real("promtool")
def test_prometheus_reads_what_is_scraped_and_finds_no_fault_with_it(vigie):
    with vigie.store.session() as session:
        session.add(incident("inc-acme", "acme"))
    answer = vigie.client().get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.text
    for metric in LISTED:
        if metric is not metrics.REPLICA_AGE:
            assert f"# TYPE {metric.name} {metric.type}\n" in text
    assert "acme" not in text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
