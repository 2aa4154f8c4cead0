"""Accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.state import State
from light.record_json import account_json
from rpc.registry import Param, method
from rpc.shapes import Json
from rpc.values import ADDRESS

if TYPE_CHECKING:
    from rpc.ports import NodePort


@method("account_get", Param("address", ADDRESS), result="address, balance, nonce")
def account_get(node: NodePort, *, address: bytes) -> Json:
    """An account after the head: balance in base units and the nonce of its next transaction.

    An account that never was reads as zeros. What is pending is not counted.
    """
    return account_json(address, State(node.view()).account(address))


ACCOUNT_METHODS: Final = (account_get,)
