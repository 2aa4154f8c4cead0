"""What methods of other nodes are called here: a hint for who tries the names that they know."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MINE: Final = "dev_mine"
_TIME: Final = "dev_increaseTime"
_SEALING: Final = "dev_setSealing"
_FAUCET: Final = "dev_faucet"
_SUBMIT: Final = "tx_submit"

OTHER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "evm_mine": _MINE,
        "anvil_mine": _MINE,
        "hardhat_mine": _MINE,
        "evm_increaseTime": _TIME,
        "anvil_increaseTime": _TIME,
        "evm_setAutomine": _SEALING,
        "anvil_setAutomine": _SEALING,
        "evm_setIntervalMining": _SEALING,
        "anvil_setIntervalMining": _SEALING,
        "anvil_setBalance": _FAUCET,
        "hardhat_setBalance": _FAUCET,
        "eth_sendRawTransaction": _SUBMIT,
        "eth_sendTransaction": _SUBMIT,
        "eth_signTypedData_v4": "tx_typedData",
        "eth_getProof": "proof_getState",
    }
)
"""Name elsewhere -> what does it here, or comes nearest."""
