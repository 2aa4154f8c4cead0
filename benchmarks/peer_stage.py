"""A chain, sellers with a resource on their shelves, and pools to pay from: what all peer benchmarks need."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from light.verify import Trust
from peers.chain_link import ChainLink
from peers.chunk_store import ChunkStore
from peers.manifest import Manifest
from peers.payment import Payment, Promise
from poolchain.devnet import devnet_keys
from poolchain.signing import sign_transaction
from tests.functional.node_process import NodeProcess

FEE: Final = 10**12
"""Of a transaction, in base units: the devnet's least."""
DURATION: Final = 100_000
VIEWER, *SELLERS = devnet_keys().accounts
"""The keys of devnet:0 and of devnet:1 to devnet:9."""
_PENDING_SECONDS: Final = 60.0


def trust_of(node: NodeProcess) -> Trust:
    """Return what a peer trusts."""
    return Trust(bytes.fromhex(node.banner["authority"][2:]), bytes.fromhex(node.banner["genesisHash"][2:]))


def domain_of(node: NodeProcess) -> Domain:
    """Return where signatures for this chain are valid."""
    return Domain.of(int(node.banner["chainId"], 16), bytes.fromhex(node.banner["genesisHash"][2:]))


def chain_link(node: NodeProcess, folder: Path) -> ChainLink:
    """Return a link to the node that is not connected yet."""
    return ChainLink(node.url, trust_of(node), folder / "head.json")


def create_pools(node: NodeProcess, resource_id: bytes, count: int, deposit: int) -> list[bytes]:
    """Commit pools of the viewer in few blocks; return their ids."""
    domain = domain_of(node)
    fields = {
        "resourceId": resource_id,
        "deposit": deposit,
        "collateral": deposit + 2 * 10**18,
        "duration": DURATION,
        "fee": FEE,
    }
    raws = [sign_transaction("CreatePool", {**fields, "nonce": nonce}, VIEWER, domain) for nonce in range(count)]
    node.call("tx_submitMany", [f"0x{raw.hex()}" for raw in raws])
    deadline = time.monotonic() + _PENDING_SECONDS
    while node.call("chain_status")["pending"] != "0x0":
        if time.monotonic() > deadline:
            raise TimeoutError("the pools are still pending after a minute")
        time.sleep(0.01)
    return [keccak256(raw) for raw in raws]


def handshake_body(node: NodeProcess, resource_id: bytes, cptx_hash: bytes, target: bytes) -> dict[str, object]:
    """Return what a viewer sends to shake hands."""
    name = f"0x{cptx_hash.hex()}"
    return {
        "version": 1,
        "resourceId": f"0x{resource_id.hex()}",
        "creation": node.call("proof_getTransaction", name),
        "poolState": node.call("proof_getState", {"cptxHash": name}),
        "targetState": node.call("proof_getState", {"cptxHash": name, "target": checksum_address(target)}),
    }


def sign_all(cptx_hash: bytes, target: bytes, totals: Sequence[int], domain: Domain) -> list[str]:
    """Return the payments of a pool to a target as they stand in a header."""
    payments = (Payment.sign(Promise(target, total, cptx_hash, 1), VIEWER, domain) for total in totals)
    return [f"0x{payment.encode().hex()}" for payment in payments]


def balance(node: NodeProcess, address: bytes) -> int:
    """Return what an account has, in base units."""
    return int(node.call("account_get", checksum_address(address))["balance"], 16)


def http_get(path: str, **headers: str) -> bytes:
    """Return a whole request; an underscore in a header's name stands for a hyphen."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def http_post(path: str, body: bytes) -> bytes:
    """Return a whole request with a body of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def stock(shelf: Path, manifest: Manifest, content: bytes) -> None:
    """Put all chunks of a single file on a seller's shelf, so that it need not fetch them."""
    with ChunkStore(shelf / manifest.resource_id.hex(), manifest) as store:
        for index in range(manifest.chunk_count):
            start = index * manifest.chunk_bytes
            store.put(index, manifest.verify_chunk(index, content[start : start + manifest.chunk_bytes]))


def encoded(body: dict[str, object]) -> bytes:
    """Return JSON as bytes."""
    return json.dumps(body).encode()
