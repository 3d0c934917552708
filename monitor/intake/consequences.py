"""What follows from which facts in Vigie, and how a store is opened that writes it with them."""

from __future__ import annotations

from datetime import timedelta

from monitor.config.settings import Engine, NewSeries, Retention
from monitor.facts import Store
from monitor.facts.consequences import Consequences, FromTraces
from monitor.facts.store import DEFAULT_NEW_SERIES, DEFAULT_RETENTION
from monitor.listings.rows import write_listings
from monitor.suppressions.rows import SUPPRESSING, suppress_recipients

CONSEQUENCES = Consequences(
    answers={"listing": write_listings}, traces=(FromTraces(SUPPRESSING, suppress_recipients),)
)


def open_store(
    url: str, hash_key: bytes | None = None, bucket: timedelta = timedelta(0), read_url: str | None = None,
    keep: Retention = DEFAULT_RETENTION, new_series: NewSeries = DEFAULT_NEW_SERIES,
) -> Store:
    """A store as the service uses it; see Store."""
    return Store(
        url, consequences=CONSEQUENCES, hash_key=hash_key, bucket=bucket, read_url=read_url, keep=keep, new_series=new_series
    )


def configured_store(engine: Engine) -> Store:
    """The store the configuration names."""
    key, replica = engine.hash_key, engine.read_url
    return open_store(
        engine.url.get_secret_value(), key.get_secret_value().encode() if key else None, engine.bucket,
        replica.get_secret_value() if replica else None, engine.retention, engine.new_series,
    )
