"""The fixture of the methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.node_bench import NodeBench

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bench() -> Iterator[NodeBench]:
    bench = NodeBench()
    yield bench
    bench.close()
