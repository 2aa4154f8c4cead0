"""Pools and what their targets have had from them."""

# Functions and parameters have the names that callers use.
# ruff: noqa: N802, N803

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ledger.records import PoolStatus, target_key
from ledger.state import State
from light.record_json import pool_json, target_json
from rpc.errors import RpcError, invalid_params
from rpc.registry import Param, method
from rpc.shapes import Json
from rpc.values import ADDRESS, HASH, UINT64_MAX, byte_string, bytes_text, nullable, one_of, quantity, quantity_text
from storage.chain_view import PoolFilter

if TYPE_CHECKING:
    from ledger.records import Pool
    from rpc.ports import NodePort
    from storage.chain_view import ChainView

SCANNED_MAX: Final = 2_000
"""Pools that one call looks at: a filter that few pass must not keep the node busy."""
_PLACE_BYTES: Final = 12
_TAG_BYTES: Final = 4
_CURSOR: Final = byte_string(minimum=_TAG_BYTES + _PLACE_BYTES, maximum=_TAG_BYTES + _PLACE_BYTES)


@method("pool_get", Param("cptxHash", HASH), result="the pool")
def pool_get(node: NodePort, *, cptxHash: bytes) -> Json:
    """A pool after the head, also a closed one.

    From expiresAt on a pool takes no settlements, even while it still waits with status open for
    its turn to be closed. Unknown: POOL_UNKNOWN.
    """
    return pool_json(cptxHash, _need_pool(State(node.view()), cptxHash))


@method("pool_getTarget", Param("cptxHash", HASH), Param("target", ADDRESS), result="cptxHash, target, seq, paid")
def pool_getTarget(node: NodePort, *, cptxHash: bytes, target: bytes) -> Json:
    """What one payee has had from a pool: settlements so far and their total.

    The next payment has tgtSeq seq + 1 and an amount above paid. Zeros where nothing was settled.
    Unknown pool: POOL_UNKNOWN.
    """
    state = State(node.view())
    _need_pool(state, cptxHash)
    return target_json(cptxHash, target, state.target(cptxHash, target))


class _Wanted(NamedTuple):
    """Which pools are listed; None lets all pass."""

    creator: bytes | None
    target: bytes | None
    resource_id: bytes | None
    status: PoolStatus | None

    def passes(self, view: ChainView, cptx_hash: bytes, pool: Pool) -> bool:
        """Tell whether a pool is wanted, whatever index it came from."""
        return (
            (self.creator is None or pool.creator == self.creator)
            and (self.resource_id is None or pool.resource_id == self.resource_id)
            and (self.status is None or pool.status is self.status)
            and (self.target is None or view.get(target_key(cptx_hash, self.target)) is not None)
        )


@method(
    "pool_list",
    Param("creator", nullable(ADDRESS), default=None),
    Param("target", nullable(ADDRESS), default=None, about="an address to which the pool has paid, or null"),
    Param("resourceId", nullable(HASH), default=None),
    Param("status", nullable(one_of("open", "expired", "slashed")), default=None),
    Param("cursor", nullable(_CURSOR), default=None, about="the cursor of the page before; null for the first"),
    Param(
        "limit", nullable(quantity(1, UINT64_MAX)), default=None, about="the most pools of a page; null for maxPageSize"
    ),
    result="pools, cursor",
)
def pool_list(
    node: NodePort,
    *,
    creator: bytes | None,
    target: bytes | None,
    resourceId: bytes | None,
    status: str | None,
    cursor: bytes | None,
    limit: int | None,
) -> Json:
    """Pools in the order of their creation (createdAt, index in the block), a page at a time.

    The page goes on behind `cursor`, which is null at the end and only there: a page may be short
    or empty and yet not the last, for one call looks at a bounded number of pools. A cursor stays
    good while blocks come. A limit above maxPageSize: LIMIT; a cursor of another chain:
    INVALID_PARAMS.
    """
    page_size = _page_size(limit, node.limits.page_size_max)
    tag = node.domain.genesis_hash[:_TAG_BYTES]
    if cursor is not None and cursor[:_TAG_BYTES] != tag:
        raise invalid_params("cursor", "a cursor of this chain", bytes_text(cursor))
    wanted = _Wanted(creator, target, resourceId, None if status is None else PoolStatus[status.upper()])
    pools, place = _page(node.view(), wanted, cursor[_TAG_BYTES:] if cursor else None, page_size)
    return {"pools": pools, "cursor": None if place is None else bytes_text(tag + place)}


def _page(
    view: ChainView, wanted: _Wanted, behind: bytes | None, page_size: int
) -> tuple[list[dict[str, Any]], bytes | None]:
    """Return the next pools, and the place of the last one looked at; None when there are no more."""
    state = State(view)
    pools: list[dict[str, Any]] = []
    scanned, last = 0, None
    entries = view.pools(PoolFilter(wanted.creator, wanted.target, wanted.resource_id), behind)
    for place, cptx_hash in entries:
        if len(pools) == page_size or scanned == SCANNED_MAX:
            return pools, last
        pool = _need_pool(state, cptx_hash)
        if wanted.passes(view, cptx_hash, pool):
            pools.append(pool_json(cptx_hash, pool))
        scanned, last = scanned + 1, place
    return pools, None


def _page_size(limit: int | None, page_size_max: int) -> int:
    if limit is not None and limit > page_size_max:
        raise RpcError("LIMIT", f"a limit of at most {quantity_text(page_size_max)}", quantity_text(limit))
    return limit or page_size_max


def _need_pool(state: State, cptx_hash: bytes) -> Pool:
    pool = state.pool(cptx_hash)
    if pool is None:
        raise RpcError("POOL_UNKNOWN", "the id of a committed pool", bytes_text(cptx_hash))
    return pool


POOL_METHODS: Final = (pool_get, pool_getTarget, pool_list)
