from collections.abc import Iterator

import pytest

from monitor.store import Store
from tests.monitor.api.running import Vigie, running


@pytest.fixture
def vigie(store: Store) -> Iterator[Vigie]:
    with running(store) as started:
        yield started
