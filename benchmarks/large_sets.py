"""The large chains that several parts measure on: each is made once for all rounds, and used through copies."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ledger.records import Target, target_key
from storage import schema
from storage.chain_view import ChainView, PoolFilter

from .bench_chain import DATA
from .checks import expect, need
from .figures import Scale
from .large_chain import link_chain, load_chain
from .large_plan import FIRST_PAYEE, KEYED, Plan
from .signed import key

_PLAN: Final = "plan.txt"
_PLACE_BYTES: Final = 12


def copy_of(scale: Scale, plan: Plan, name: str) -> Path:
    """Return a new folder for a node whose chain is that of the plan; make this chain if no round has yet."""
    kept = (scale.kept or scale.folder) / f"large-{plan.pools}-{plan.settled}-{plan.height}"
    if not (kept / _PLAN).exists() or (kept / _PLAN).read_text() != str(plan):
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        load_chain(kept / DATA, plan)
        (kept / _PLAN).write_text(str(plan))
    folder = scale.folder / name
    folder.mkdir()
    link_chain(kept / DATA, folder / DATA)
    return folder


def pool_ids(view: ChainView, plan: Plan, numbers: Sequence[int]) -> list[bytes]:
    """Return the ids of the pools with these numbers."""
    return [_pool_id(view, plan, number) for number in numbers]


def _pool_id(view: ChainView, plan: Plan, number: int) -> bytes:
    place = schema.order(plan.created_at(number), number % plan.in_block)
    behind = int.from_bytes(place, "big") - 1
    found, cptx_hash = next(view.pools(PoolFilter(), behind.to_bytes(_PLACE_BYTES, "big")))
    expect(f"the place of pool {number}", place, found)
    return cptx_hash


def keyed(plan: Plan) -> int:
    """Return how many payees can sign."""
    return min(KEYED, plan.payees)


def address_of_keyed(number: int) -> bytes:
    """Return the address of a payee that can sign."""
    return key(FIRST_PAYEE + number).address


def expect_target(view: ChainView, cptx_hash: bytes, address: bytes, expected: Target) -> None:
    """Raise Wrong unless a target record at the head is this."""
    found = Target.decode(need(view, target_key(cptx_hash, address)))
    expect(f"the target record 0x{cptx_hash.hex()}/0x{address.hex()}", expected, found)
