"""What a damage is done to, and the list of all damages by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from crypto.hashing import keccak256
from light.verify import Trust
from tests.model.small_chain import BOB

from .forest import Case, Forest, Json
from .places import Place, change, deep_places, value_at


@dataclass(frozen=True)
class Victim:
    """A valid document, where it comes from, and the dice for what is done to it."""

    forest: Forest
    case: Case
    document: Json
    chance: Random

    @cached_property
    def places(self) -> list[Place]:
        return deep_places(self.document)

    def named(self, name: str) -> list[Place]:
        return [place for place in self.places if place[-1] == name]

    def draw(self, places: list[Place]) -> Place | None:
        return self.chance.choice(places) if places else None

    def sealed_place(self) -> Place:
        """Where some header with its seal is: () is the document itself."""
        return self.chance.choice([place[:-1] for place in self.named("header")])

    def with_sealed(self, place: Place, sealed: Json) -> Json:
        found = self.document
        for name in ("header", "seal"):
            found = change(found, (*place, name), sealed[name])
        return found

    def path_place(self) -> Place | None:
        return self.draw(self.named("path"))

    def edit_path(self, edit: Callable[[list[str]], list[str]]) -> Json | None:
        place = self.path_place()
        return None if place is None else change(self.document, place, edit(list(value_at(self.document, place))))

    def member(self, name: str) -> Json | None:
        found = self.document.get(name)
        return found if isinstance(found, dict) else None


Damage = Callable[[Victim], Json | None]
DAMAGES: dict[str, Damage] = {}


def damage(name: str) -> Callable[[Damage], Damage]:
    def keep(function: Damage) -> Damage:
        assert name not in DAMAGES
        DAMAGES[name] = function
        return function

    return keep


def trusts(trust: Trust) -> Iterator[tuple[str, Trust]]:
    """What somebody else trusts: no document of this chain convinces them."""
    yield "another authority is trusted", Trust(BOB, trust.genesis_hash)
    yield "another genesis is trusted", Trust(trust.authority, keccak256(trust.genesis_hash))
