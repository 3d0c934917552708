"""How `vigie check-config` prints what is wrong, or that all is well."""

from __future__ import annotations

from monitor.wire import Wire


class Mistake(Wire):
    file: str
    line: int | None
    message: str


class Checked(Wire):
    """Nothing is wrong; what is configured, counted."""

    ok: bool = True
    collectors: int
    rules: int
    receivers: int
