"""Blocks with one fault each, in the place of the next block of a chain."""

from __future__ import annotations

from collections.abc import Sequence

from tests.model import signing
from tests.model.encoding import block_hash, keccak, merkle_root
from tests.model.signing import Domain, with_high_s
from tests.model.small_chain import ALICE, ALICE_KEY, AUTHORITY_KEY, BOB, BOB_KEY, RESOURCE

from . import state_tree
from .ledger import Keeper, Made

Bad = tuple[str, Made, str, str]


def bad_blocks(keeper: Keeper, raws: Sequence[bytes]) -> None:
    """Record every bad block that can be made of what could be the next block."""
    good = keeper.attempt(1, *raws)
    for bad in [*sealed_badly(keeper, good), *linked_badly(keeper, good), *filled_badly(keeper, good)]:
        keeper.bad_block(*bad)
    for bad in [*rooted_badly(keeper, good), *too_large(keeper)]:
        keeper.bad_block(*bad)


def sealed_badly(keeper: Keeper, good: Made) -> list[Bad]:
    domain = keeper.domain
    assert good.seal is not None
    elsewhere = Domain(domain.chain_id, keccak(domain.genesis_hash))
    return [
        ("no seal", good._replace(seal=None), "WRONG_SEAL", "only block 0 has none"),
        ("sealed by Alice", good.resealed(ALICE_KEY, domain), "WRONG_SEAL", "not the authority's"),
        ("sealed for another genesis", good.resealed(AUTHORITY_KEY, elsewhere), "WRONG_SEAL", "not the authority's"),
        ("seal of the other form", good._replace(seal=with_high_s(good.seal)), "WRONG_SEAL", "s is not low"),
    ]


def linked_badly(keeper: Keeper, good: Made) -> list[Bad]:
    header, hashes, domain = good.header, keeper.hashes, keeper.domain
    older = hashes[-2] if len(hashes) > 1 else bytes(32)
    found = [
        (
            "another chain id",
            good.changed(domain, chainId=header["chainId"] + 1),
            "WRONG_CHAIN_ID",
            "not the genesis's",
        ),
        ("height too large", good.changed(domain, height=header["height"] + 1), "WRONG_HEIGHT", "not the next"),
        ("height of the parent", good.changed(domain, height=header["height"] - 1), "WRONG_HEIGHT", "not the next"),
        ("the parent's parent", good.changed(domain, parentHash=older), "WRONG_PARENT", "not the last block"),
        ("another authority", good.changed(domain, authority=ALICE), "WRONG_AUTHORITY", "not the genesis's"),
        (
            "earlier than the parent",
            good.changed(domain, timestamp=keeper.headers[-1]["timestamp"] - 1),
            "WRONG_TIMESTAMP",
            "at least the parent's",
        ),
    ]
    for name, leaves in (
        ("history without the parent", hashes[:-1]),
        ("history with the block itself", [*hashes, block_hash(header)]),
        ("history without block 0", hashes[1:]),
    ):
        changed = good.changed(domain, historyRoot=merkle_root(leaves))
        found.append((name, changed, "WRONG_HISTORY_ROOT", "over the hashes of blocks 0 to height - 1"))
    return found


def filled_badly(keeper: Keeper, good: Made) -> list[Bad]:
    """Transactions that are not those of the header, or that break a rule."""
    domain, raws = keeper.domain, good.raws
    more = good.changed(domain, txCount=len(raws) + 1)
    found = [
        ("txCount too large", more, "WRONG_TX_COUNT", "the block holds fewer"),
        ("txRoot of another block", good.changed(domain, txRoot=bytes(32)), "WRONG_TX_ROOT", "not over these bytes"),
    ]
    nonce = keeper.nonce(ALICE_KEY) + 7
    gap = signing.transfer(ALICE_KEY, domain, BOB, 1, 10, nonce)
    for name, raw in (("a transaction with a future nonce", gap), ("bytes that are no transaction", b"\x01")):
        listed = [*raws, raw]
        changed = good._replace(raws=listed).changed(domain, txCount=len(listed), txRoot=merkle_root(listed))
        found.append((name, changed, "INVALID_TRANSACTION", "it breaks a rule"))
    if raws:
        left_out = good._replace(raws=raws[:-1]).changed(domain, txCount=len(raws) - 1)
        found.append(("a transaction left out of the body", left_out, "WRONG_TX_ROOT", "not over these bytes"))
        twice = [*raws, raws[0]]
        changed = good._replace(raws=twice).changed(domain, txCount=len(twice), txRoot=merkle_root(twice))
        found.append(("a transaction twice", changed, "INVALID_TRANSACTION", "it breaks a rule"))
    if len(raws) > 1:
        found.append(("transactions in another order", good._replace(raws=raws[::-1]), "WRONG_TX_ROOT", "order counts"))
    return found


def rooted_badly(keeper: Keeper, good: Made) -> list[Bad]:
    """Roots that do not follow from the execution."""
    domain, header = keeper.domain, good.header
    why = "not what the execution comes to"
    found = [
        ("receiptsRoot of another block", good.changed(domain, receiptsRoot=bytes(32)), "WRONG_RECEIPTS_ROOT", why),
        ("stateRoot of another block", good.changed(domain, stateRoot=bytes(32)), "WRONG_STATE_ROOT", why),
    ]
    if keeper.state_root() != header["stateRoot"]:
        stale = good.changed(domain, stateRoot=keeper.state_root())
        found.append(("stateRoot of the parent", stale, "WRONG_STATE_ROOT", why))
    fork = keeper.fork()
    if expired := fork.model.begin_block(fork.height):
        # As if nothing had expired, or one pool fewer.
        for name, limit in (("no expiries", 0), ("one expiry left out", len(expired) - 1)):
            found.append((name, lazy(keeper, good, limit), "WRONG_STATE_ROOT", "expiries come first, all that are due"))
    records = {key: record for key, (_, record) in keeper.records().items()}
    if not good.raws and not expired:
        records[state_tree.account_key(bytes(20))] = state_tree.account_record(0, 0)
        kept = good.changed(domain, stateRoot=state_tree.state_root(records))
        found.append(("a record of zeros", kept, "WRONG_STATE_ROOT", "an account of zeros is absent"))
    return found


def lazy(keeper: Keeper, good: Made, limit: int) -> Made:
    """The block of somebody who closes fewer pools than are due."""
    fork = keeper.fork()
    fork.model.max_expiries = limit
    fork.model.begin_block(fork.height)
    for raw in good.raws:
        fork.model.apply(raw)
    return good.changed(keeper.domain, stateRoot=fork.state_root())


def too_large(keeper: Keeper) -> list[Bad]:
    """More than maxBlockTransactions, and more than maxBlockBytes, each without the other."""
    domain, nonce = keeper.domain, keeper.nonce(ALICE_KEY)
    transfers = [signing.transfer(ALICE_KEY, domain, BOB, 1, 10, nonce + count) for count in range(6)]
    creates = [signing.create_pool(ALICE_KEY, domain, RESOURCE, 100, 200, 50, 10, nonce + count) for count in range(4)]
    pool = keccak(creates[0])
    payment = signing.service_payment(ALICE_KEY, BOB_KEY, domain, 50, pool, 1, 10)
    why = "above the limit of the genesis"
    return [
        ("six transactions where five may be", keeper.attempt(1, *transfers), "BLOCK_TOO_LARGE", why),
        ("1323 bytes where 1300 may be", keeper.attempt(1, *creates, payment), "BLOCK_TOO_LARGE", why),
    ]
