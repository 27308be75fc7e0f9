"""Playback: a recorded stream is sent again, in recorded order per key, and goes on where a killed shard was.

`records` is what is read, `recordings` where from; `key_order`, `pacing` and `progress` decide what may be sent, when,
and what remains; `checkpoints` is what a shard leaves for its next run; `player` joins them, without a clock or Locust.
"""
