"""One table of dimensions: what is written out elsewhere equals it."""

from collectors.dimensions import BY_NAME, DIMENSIONS, Use, names
from collectors.observation import Subject


def test_every_dimension_has_one_row_with_a_use_and_a_meaning():
    assert len(BY_NAME) == len(DIMENSIONS)
    assert all(row.use and row.meaning for row in DIMENSIONS)


def test_a_subject_has_the_dimensions_of_subjects_in_their_order():
    assert Subject._fields == names(Use.SUBJECT)


def test_what_a_suspension_is_about_the_gate_can_distinguish():
    assert set(names(Use.SCOPE)) <= set(names(Use.GATE))
