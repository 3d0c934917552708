from collectors.dimensions import Use, names
from monitor.database.engine import table
from monitor.database.tables import Series, TraceRow


def test_series_have_a_column_for_each_dimension_of_a_subject():
    assert [column.name for column in table(Series).columns] == ["id", "measure", "key", *names(Use.SUBJECT)]


def test_traces_have_a_column_for_each_dimension_of_a_trace():
    assert set(names(Use.TRACE)) <= {column.name for column in table(TraceRow).columns}
