"""Events of a load program: an id is scope, shard and number, so it is unique in a run and the same in a replay."""

import time
from dataclasses import dataclass, field

from burst.load import event_bodies, event_kinds, event_mix

PUSH_PATH = event_kinds.PUSH_PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """The deliveries of one task, numbered from 0."""

    scope: str
    shard_index: int
    shard_count: int = 1
    kinds: event_kinds.EventKinds = event_kinds.REFERENCE
    _rule: event_mix.ShareRule = field(init=False, repr=False, compare=False)
    _order: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rule = event_mix.ShareRule(
            duplicates=self.kinds.duplicates,
            malformed=self.kinds.malformed,
            shard_index=self.shard_index,
            shard_count=self.shard_count,
        )
        object.__setattr__(self, "_rule", rule)
        object.__setattr__(self, "_order", self.kinds.order)

    def look(self, sequence: int) -> event_mix.Delivery:
        """What delivery number `sequence` is."""
        return self._rule.look(sequence)

    def event_id(self, sequence: int) -> str:
        """The id of the event that delivery number `sequence` carries: a duplicate's is that of an earlier one."""
        return self._name_event(self.look(sequence).number)

    def encode(self, sequence: int) -> str:
        """The body to push for one delivery: the same each time it is sent."""
        delivery = self.look(sequence)
        if delivery.kind is event_mix.DeliveryKind.MALFORMED:
            return self._fill(self.kinds.malformed_template, delivery.number)
        new = self.look(delivery.number) if delivery.kind is event_mix.DeliveryKind.DUPLICATE else delivery
        turn = event_mix.choose_turn(new.ordinal, len(self._order), self.shard_count)
        return self._fill(self.kinds.templates[self._order[turn]], new.number)

    def _fill(self, template: event_bodies.BodyTemplate, number: int) -> str:
        return template.fill(
            event_bodies.Filling(
                event_id=self._name_event(number),
                scope=self.scope,
                shard=self.shard_index,
                sequence=number,
                spread=number * self.shard_count + self.shard_index,
                sent_at=time.time(),
            )
        )

    def _name_event(self, number: int) -> str:
        return event_bodies.name_event(self.scope, self.shard_index, number)
