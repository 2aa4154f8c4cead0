"""What a cacher asks, and how much it lets stand: from its settings and the chain's parameters. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from .book import Caps, SettlePolicy
from .chain_link import Parameters
from .handshake import Terms
from .manifest import Manifest

_NO_CAP: Final = 1 << 128
"""Above every amount."""


@dataclass(frozen=True, slots=True)
class CacherSettings:
    """How a cacher sells. Amounts in base units; None is the default that follows from the chain's parameters."""

    price_per_chunk: int
    origin_url: str | None = None
    resource_ids: tuple[bytes, ...] = ()
    """What is sold; empty for all that the origin lists and all that is on disk."""
    fee: int | None = None
    """Of a settlement; by default the chain's least."""
    first_amount: int | None = None
    """The least first payment; by default two settlement fees, and at least the price of a chunk."""
    unsettled_max: int | None = None
    """The absolute cap in one pool; by default none but the share of the deposit."""
    share_of_deposit: tuple[int, int] = (1, 2)
    worth_factor: int = 20
    quiet_seconds: float = 30.0
    margin_blocks: int = 50
    live_chunk_seconds: int = 1
    stop_seconds: float = 60.0
    """How long settlements may take at the end."""


class PriceList:
    """The terms of each resource, the caps and the policy of one cacher."""

    def __init__(self, settings: CacherSettings, parameters: Parameters) -> None:
        """Fill in what the settings leave to the chain's parameters."""
        price = settings.price_per_chunk
        fee = parameters.min_fee if settings.fee is None else settings.fee
        first = 2 * fee if settings.first_amount is None else settings.first_amount
        self.terms = Terms(
            resource_id=b"",
            price_per_chunk=price,
            chunk_count=0,
            first_amount=max(first, price),
            settlement_fee=fee,
            reward=parameters.reward,
            margin_blocks=settings.margin_blocks,
            block_interval=parameters.block_interval,
        )
        """What is the same for all resources."""
        unsettled_max = _NO_CAP if settings.unsettled_max is None else settings.unsettled_max
        self.caps = Caps(unsettled_max, settings.share_of_deposit, self.terms.first_amount)
        self.policy = SettlePolicy(
            fee, parameters.reward, settings.worth_factor, settings.quiet_seconds, settings.margin_blocks
        )
        self._live_chunk_seconds = settings.live_chunk_seconds
        self._terms_of: dict[bytes, tuple[Manifest, Terms]] = {}
        """Resource -> the manifest that its terms were made of, and they."""

    def of(self, manifest: Manifest) -> Terms:
        """Return the terms of a resource as its manifest is now."""
        made_of, terms = self._terms_of.get(manifest.resource_id, (None, self.terms))
        if made_of is not manifest:
            is_live = manifest.live is not None and not manifest.live.ended
            terms = replace(
                self.terms,
                resource_id=manifest.resource_id,
                chunk_count=manifest.chunk_count,
                live_chunk_seconds=self._live_chunk_seconds if is_live else None,
            )
            self._terms_of[manifest.resource_id] = manifest, terms
        return terms
