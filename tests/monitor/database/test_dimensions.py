"""The tables of the database and of the inventory have the dimensions they should."""

from dataclasses import fields

from collectors.contract import Attribution
from collectors.dimensions import DIMENSIONS, Use, names
from monitor.database.engine import table
from monitor.database.tables import Series, TraceRow
from monitor.facts import wire
from monitor.inventory.items import KINDS
from monitor.restrictions.suspensions import SCOPE_DIMENSIONS
from monitor.rules.conditions.table import RULE


def test_series_have_a_column_for_each_dimension_of_a_subject():
    assert [column.name for column in table(Series).columns] == ["id", "measure", "key", *names(Use.SUBJECT)]


def test_traces_have_a_column_for_each_dimension_of_a_trace():
    assert set(names(Use.TRACE)) <= {column.name for column in table(TraceRow).columns}
    assert set(names(Use.TRACE)) <= wire.Trace.model_fields.keys()


def test_what_a_report_is_attributed_to_has_every_dimension_of_a_trace():
    assert set(names(Use.TRACE)) <= {field.name for field in fields(Attribution)}


def test_whoever_says_which_values_a_dimension_has_is_a_part_of_the_inventory():
    assert {row.owner for row in DIMENSIONS if row.owner} <= set(KINDS)


def test_a_rule_counts_by_whatever_a_number_is_about_and_a_suspension_can_name():
    by = names(Use.SUBJECT | Use.SCOPE)
    assert by == ("customer", "stream", "campaign", "ip", "domain", "provider")
    assert set(by) <= set(SCOPE_DIMENSIONS)
    rule = {"id": "x", "condition": "ratio", "signal": "complaints", "above": 0.003, "clear": {"below": 0.001}}
    assert RULE.validate_python({**rule, "by": by}).by == by
