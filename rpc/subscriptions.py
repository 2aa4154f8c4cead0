"""Who is told of new blocks over a WebSocket, and the telling.

Every event is built and encoded once, whoever it goes to. Nothing waits for a reader: what does not fit into a
session's queue closes the session. A full block is told in pieces, between which others get their turn.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from .block_events import Topic, block_events
from .errors import RpcError
from .values import quantity_text

if TYPE_CHECKING:
    from ledger.executed import ExecutedBlock

    from .session import Session
    from .shapes import Json

METHOD: Final = "chain_subscription"
BACKLOG_BLOCKS_MAX: Final = 2_000
"""Blocks that may wait to be told: far more than one commit has."""
_EVENTS_BETWEEN_PAUSES: Final = 32
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Subscription:
    """One topic that one session asked for; blocks up to `height` were there before it."""

    session: Session
    topic: Topic
    id: str
    height: int


class Subscriptions:
    """All subscriptions of a node. Use it on the event loop's thread only."""

    def __init__(self, per_session_max: int) -> None:
        """Begin with none; one session may have `per_session_max`."""
        self._per_session_max = per_session_max
        self._numbers = itertools.count(1)
        self._of_session: dict[Session, dict[str, _Subscription]] = {}
        self._of_topic: dict[Topic, dict[str, _Subscription]] = {}
        self._backlog: deque[ExecutedBlock] = deque()
        self._telling: asyncio.Task[None] | None = None

    def add(self, session: Session, topic: Topic, height: int) -> str:
        """Tell a session about the blocks above `height`; return the subscription's id. Raises RpcError LIMIT."""
        made = _Subscription(session, topic, quantity_text(next(self._numbers)), height)
        if session.is_closed:
            return made.id
        if session not in self._of_session:
            self._of_session[session] = {}
            session.on_close(lambda: self._forget(session))
        subscriptions = self._of_session[session]
        if len(subscriptions) >= self._per_session_max:
            raise RpcError("LIMIT", f"at most {self._per_session_max} subscriptions of one connection")
        subscriptions[made.id] = made
        self._of_topic.setdefault(topic, {})[made.id] = made
        return made.id

    def remove(self, session: Session, subscription_id: str) -> bool:
        """End a subscription; False if the session has none of this id."""
        found = self._of_session.get(session, {}).pop(subscription_id, None)
        if found is None:
            return False
        self._leave_topic(found)
        return True

    def publish(self, blocks: Sequence[ExecutedBlock]) -> None:
        """Begin to tell of committed blocks; returns at once (rpc.ports.BlockListener)."""
        if not self._of_topic:
            return
        if len(self._backlog) + len(blocks) > BACKLOG_BLOCKS_MAX:
            self._give_up(f"more than {BACKLOG_BLOCKS_MAX} blocks wait to be told")
            return
        self._backlog.extend(blocks)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell_all())

    def stop(self) -> None:
        """Tell nothing more."""
        self._backlog.clear()
        if self._telling is not None:
            self._telling.cancel()

    async def _tell_all(self) -> None:
        try:
            while self._backlog:
                await self._tell_block(self._backlog.popleft())
        except Exception:  # noqa: BLE001 - whatever fails, nobody may be left waiting for events
            # Whoever misses an event must know it: closing says so, going on would not.
            _log.exception("an event could not be made")
            self._give_up("events are missing")

    async def _tell_block(self, executed: ExecutedBlock) -> None:
        height = executed.tip.header.height
        for number, (topic, event) in enumerate(block_events(executed, self._of_topic), 1):
            self._tell(topic, height, event)
            if number % _EVENTS_BETWEEN_PAUSES == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _tell(self, topic: Topic, height: int, event: Json) -> None:
        result = msgspec.Raw(msgspec.json.encode(event))
        # A copy, because a session whose queue is full leaves while it is told.
        for subscription in [*self._of_topic.get(topic, {}).values()]:
            if subscription.height < height:
                subscription.session.notify(METHOD, {"subscription": subscription.id, "result": result})

    def _forget(self, session: Session) -> None:
        for subscription in self._of_session.pop(session, {}).values():
            self._leave_topic(subscription)

    def _leave_topic(self, subscription: _Subscription) -> None:
        others = self._of_topic[subscription.topic]
        del others[subscription.id]
        if not others:
            del self._of_topic[subscription.topic]

    def _give_up(self, reason: str) -> None:
        """Close every session with a subscription: they connect again and look at where the chain is."""
        _log.error("closing %d subscribed sessions: %s", len(self._of_session), reason)
        self._backlog.clear()
        for session in [*self._of_session]:
            session.close()
