"""Bodies that were kept as evidence, for as long as their retention lasts."""

from __future__ import annotations

from sqlmodel import Session, select

from monitor.database.bodies import beginning
from monitor.database.tables import EvidenceRow


def beginning_of(session: Session, batch_id: int, most: int) -> bytes | None:
    """The first `most` bytes of what a batch came from; None where it was not kept, or no longer is."""
    body = session.exec(select(EvidenceRow.body).where(EvidenceRow.batch_id == batch_id).limit(1)).first()
    return None if body is None else beginning(body, most)
