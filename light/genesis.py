"""The genesis file, checked against the genesis hash that the user trusts: whose the parameters are is no node's word.

Block 0's hash is known beforehand, its header names the hash of the genesis file as its parent, and the file names the
minimum fee, the reward, the interval and the rest. Only the allocations are not compared with block 0's stateRoot: who
needs a balance asks for its proof.
"""

from __future__ import annotations

import json

from crypto.hashing import keccak256
from ledger.errors import InvalidGenesis
from ledger.genesis import Genesis, parse_genesis

from .documents import read_sealed
from .errors import ProofRefused
from .verify import Trust

_MEMBERS = frozenset({"genesisHash", "genesis", "headerBytes"})


def verify_genesis(document: object, trust: Trust) -> Genesis:
    """Return the genesis of what chain_getGenesis answers, everything in it checked; raises ProofRefused.

    The chain id is the one of the genesis, so nothing else has to be known of the chain than `trust`.
    """
    if not isinstance(document, dict) or document.keys() != _MEMBERS:
        raise ProofRefused("MALFORMED", "expected {genesisHash, genesis, headerBytes}")
    block = read_sealed(document["headerBytes"], None)
    if document["genesisHash"] != _hex(trust.genesis_hash):
        raise ProofRefused(
            "WRONG_CHAIN", f"the genesis is {str(document['genesisHash'])[:66]}, trusted is {_hex(trust.genesis_hash)}"
        )
    if block.hash != trust.genesis_hash:
        raise ProofRefused("WRONG_CHAIN", f"block 0 has the hash {_hex(block.hash)}, not that of the trusted genesis")
    genesis = _read(document["genesis"])
    file_hash = keccak256(genesis.canonical_bytes())
    if file_hash != block.header.parent_hash:
        named = _hex(block.header.parent_hash)
        raise ProofRefused("WRONG_GENESIS", f"the file has the hash {_hex(file_hash)}, block 0 names {named}")
    if block.header != genesis.header(block.header.state_root):
        raise ProofRefused("WRONG_GENESIS", "block 0 is not the one that the file describes")
    if genesis.authority != trust.authority:
        raise ProofRefused(
            "WRONG_AUTHORITY", f"the authority is {_hex(genesis.authority)}, trusted is {_hex(trust.authority)}"
        )
    return genesis


def _read(found: object) -> Genesis:
    # Writing recurses, and a raised limit of recursion would let a deep value break the stack: so that comes first.
    members = found if isinstance(found, dict) else {}
    alloc = members.get("alloc")
    nested = alloc if isinstance(alloc, dict) else {}
    values = [*(value for value in members.values() if value is not nested), *nested.values()]
    if any(isinstance(value, (dict, list)) for value in values):
        raise ProofRefused("MALFORMED", "genesis: expected no object or array but alloc, and none in it")
    try:
        return parse_genesis(json.dumps(members).encode())
    except (InvalidGenesis, ValueError) as error:
        raise ProofRefused("MALFORMED", f"genesis: {error}") from error


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
