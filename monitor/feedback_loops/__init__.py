"""Feedback loops: enrolments, and what mail goes out without one."""
