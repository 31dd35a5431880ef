from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.place import orphaned_segments, temporary_place, wait_until_gone
from tests.servers.waiting import wait_until


@pytest.fixture
def place() -> Iterator[Path]:
    """A TMPDIR of its own; after the test nothing may be in it, run from it, or be left in shared memory."""
    before = orphaned_segments()
    with temporary_place() as directory:
        yield directory
        wait_until_gone(directory)
        assert list(directory.iterdir()) == []
    # Those of other tests' servers, which are killed beside this one, go with them.
    wait_until(lambda: not orphaned_segments() - before, "the end of what is left in shared memory")
