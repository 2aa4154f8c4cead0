"""All methods of a node, one module for each family; the node is their context."""

from __future__ import annotations

from typing import Final

from .accounts import ACCOUNT_METHODS
from .chain import CHAIN_METHODS
from .dev import DEV_METHODS
from .ethereum import ETHEREUM_METHODS
from .pools import POOL_METHODS
from .proofs import PROOF_METHODS
from .subscriptions import SUBSCRIPTION_METHODS
from .transactions import TRANSACTION_METHODS

ALL_METHODS: Final = (
    *CHAIN_METHODS,
    *ACCOUNT_METHODS,
    *POOL_METHODS,
    *TRANSACTION_METHODS,
    *PROOF_METHODS,
    *SUBSCRIPTION_METHODS,
    *DEV_METHODS,
    *ETHEREUM_METHODS,
)
"""For `registry.Registry`, whose context has to be a `ports.NodePort`."""
