from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.place import orphaned_segments, temporary_place, wait_until_gone


@pytest.fixture
def place() -> Iterator[Path]:
    """A TMPDIR of its own; after the test nothing may be in it, run from it, or be left in shared memory."""
    before = orphaned_segments()
    with temporary_place() as directory:
        yield directory
        wait_until_gone(directory)
        assert list(directory.iterdir()) == []
    assert orphaned_segments() - before == set()
