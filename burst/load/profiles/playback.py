"""Load from a recording: its records are sent again, in recorded order per key, at a speed-up or at a rate.

    IG_API_KEY=... BURST_PLAYBACK='{"source": "recording.jsonl", "key": "account"}' \\
        locust -f locustfiles/playback.py --headless -H http://127.0.0.1:8080 --burst-rate 1400

Locust's users are only senders: one takes the record that was due first and may be sent, and says how it ended.
Acknowledged records go into the checkpoint every 100 records or second. A record that cannot be read ends the process
(exit 2), and so does another run that takes the checkpoint over (exit 3); both are said. When the recording is spent
the users idle, because a task that ends by itself counts as failed.
"""

import itertools
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from locust import FastHttpUser, events, runners, task

from burst.load import (
    load_settings,
    load_shares,
    locust_account,
    locust_options,
    send_account,
    send_schedule,
    sending_client,
    task_processes,
)
from burst.load.playback import (
    checkpoints,
    key_order,
    pacing,
    playback_settings,
    player,
    progress,
    recordings,
    records,
    shard_records,
    templates,
)

LOOK_SECONDS = 0.05
FLUSH_LOOK_SECONDS = 0.02
LAST_FLUSH_SECONDS = 5.0
SPAWN_RATE = 100.0
"""Above this Locust logs a warning at every change; it spawns at once what it is told of in one second."""
READ_AT_END_SECONDS = 2.0
"""How long a process that ends reads on, to count what became due and was not read while too much waited."""
BROKEN, FENCED = 2, 3
MOST_NAMED = 10
"""How many records that were refused for good the log names."""

log = logging.getLogger("burst.load")

sending_client.require_client_that_sends_once()  # at import, so that preflight and the run both refuse


class TaskPlayback:
    """This process's shard of a playback. `player` has its value from GO on."""

    def __init__(
        self, share: load_shares.LoadShare, settings: playback_settings.PlaybackSettings, api_key: str, counts: Any
    ) -> None:
        self.share, self.settings = share, settings
        self.headers = {share.key_header: api_key, "Content-Type": "application/json"}
        self.template = templates.RecordTemplate(settings.template)
        self.player: player.Player | None = None
        self.account = send_account.SendAccount(share, counts.writer if counts else None)
        self._counts = counts
        self._idle: list[AsyncResult[key_order.Sending]] = []
        self._flushing = BoundedSemaphore()
        self._runner: Any = None
        self._ended = False
        self._fenced = False
        self._told_gaps = False
        self.failure = ""
        """Why the playback ended the process; empty where it did not."""
        if counts:
            counts.counts_sending = False
            counts.before_write = self.count_due
        self.store = playback_settings.open_store(settings.checkpoint)
        self.checkpoint, self.reading = self._open()

    def _open(self) -> tuple[progress.Checkpoint, Any]:
        """Take the checkpoint over, and read the first record, so that what is wrong is known before GO."""
        files, settings = recordings.list_files(self.settings.source), self.settings
        count, index = self.share.shard_count, self.share.stream.shard_index
        most_records = settings.max_events and task_processes.split_own(settings.max_events, os.environ)
        checkpoint = progress.Checkpoint()
        if self.store is not None:
            owner = checkpoints.CheckpointOwner(
                scope=self.share.stream.scope,
                shard_index=index,
                shard_count=count,
                attempt=playback_settings.name_attempt(os.environ),
                recording=recordings.describe(files, key=settings.key, shard_count=count),
                continues=settings.continues,
            )
            checkpoint = self.store.take_over(owner)
        shard = shard_records.ShardReading(
            files=files,
            key=settings.key,
            at=settings.at,
            shard_index=index,
            shard_count=count,
            most_records=most_records,
        )
        reading = shard.read_from(checkpoint)
        first = list(itertools.islice(reading, 1))
        log.info("%s: %d records of this shard were acknowledged before", settings.source, checkpoint.acknowledged)
        if not first:
            log.warning("no record is left for this shard: it sends nothing")
        return checkpoint, itertools.chain(first, reading)

    # From GO on

    def begin(self, runner: Any) -> None:
        """Announce that all users are ready, wait for GO, and play."""
        self._runner = runner
        self.share.announce_ready()
        while not self.share.may_start():
            gevent.sleep(load_shares.GO_POLL_SECONDS)
        started = time.monotonic()
        speed_up = self.settings.speed_up
        pace = (
            send_schedule.list_arrivals(self.share, started) if speed_up is None else pacing.SpeedUp(speed_up, started)
        )
        schedule = pacing.PlaybackSchedule(pace)
        self.player = player.Player(self.reading, self.checkpoint, schedule, started)
        self.account.begin(schedule, started)
        gevent.spawn(self.end_where_it_fails, self._flush_when_due)
        self._play(self.player)

    def end_where_it_fails(self, act: Callable[..., None], *values: Any) -> None:
        """Run a part of the playback; a failure that nobody foresaw ends the process, as one of the recording does."""
        try:
            act(*values)
        except Exception as exc:
            log.exception("the playback broke off")
            self._fail(f"the playback broke off: {exc!r}", BROKEN)

    def _play(self, playing: player.Player) -> None:
        """Let go what is due, for ever; and see that there are senders enough."""
        senders, looked_at = self._runner.user_count, 0.0
        while not self._ended:
            now = time.monotonic()
            try:
                reads_more = playing.read_ahead(now)
            except records.RecordingError as exc:
                self._fail(str(exc), BROKEN)
                return
            playing.release(now)
            self.hand_out()
            self._tell_gaps(playing)
            if now - looked_at >= LOOK_SECONDS and senders < self.share.most_senders:
                looked_at = now
                is_behind = playing.order.ready > 0 and not self._idle
                if self._runner.state == runners.STATE_RUNNING and is_behind and not playing.flushes.must_pause:
                    senders = min(2 * senders, self.share.most_senders)
                    self._runner.start(senders, max(SPAWN_RATE, senders))
            next_due = playing.find_next_due()
            pause = LOOK_SECONDS if next_due is None else min(LOOK_SECONDS, max(0.0, next_due - time.monotonic()))
            gevent.sleep(0 if reads_more else pause)

    def _tell_gaps(self, playing: player.Player) -> None:
        if playing.has_too_many_gaps and not self._told_gaps:
            self._told_gaps = True
            words = (
                "%d stretches of records have no acknowledgement, as many as a checkpoint holds: nothing more is read "
                "until one has, and what becomes due meanwhile is late"
            )
            log.error(words, player.MOST_GAPS)

    def hand_out(self) -> None:
        """Give senders that wait what may be sent."""
        while self._idle and (sending := self._take_ready()) is not None:
            self._idle.pop().set(sending)

    def _take_ready(self) -> key_order.Sending | None:
        return self.player.take() if self.player is not None and not self._ended else None

    def take(self) -> key_order.Sending:
        """What a sender sends next; it waits for it as long as it takes."""
        sending = self._take_ready()
        if sending is not None:
            return sending
        handed: AsyncResult[key_order.Sending] = AsyncResult()
        self._idle.append(handed)
        try:
            taken: key_order.Sending = handed.get()
        finally:
            if handed in self._idle:
                self._idle.remove(handed)
        return taken

    def send(self, client: Any, sending: key_order.Sending) -> None:
        """Send one record, and note how it ended."""
        playing, now = self.player, time.monotonic()
        if playing is None:
            return
        if not sending.tries:
            self.account.record(sending.slot, now)
        due_at = self.account.find_utc(sending.slot.due)
        filling = templates.RecordFilling(
            scope=self.share.stream.scope,
            shard=self.share.stream.shard_index,
            record=sending.record,
            due_at=due_at,
            sent_at=self.account.find_utc(now),
        )
        try:
            body = self.template.fill(filling)
        except records.RecordingError as exc:
            self._fail(str(exc), BROKEN)
            return
        context = {locust_account.DUE_AT: due_at}
        response = client.post(self.share.route, data=body, headers=self.headers, context=context)
        self._note_answer(playing, sending, response.status_code or 0)
        self.hand_out()

    def _note_answer(self, playing: player.Player, sending: key_order.Sending, status: int) -> None:
        if 200 <= status < 300:
            playing.acknowledge(sending)
        elif player.is_refused_for_good(status):
            playing.stop_key(sending)
            self._mark("playback key stopped")
            mark = sending.record.mark
            words = "%s row %d was answered %d: nothing more of its key is sent in this run"
            level = logging.ERROR if playing.order.stopped_keys <= MOST_NAMED else logging.DEBUG
            log.log(level, words, mark.file, mark.row, status)
        else:
            playing.retry(sending, time.monotonic())
            self._mark("playback sent again")

    # The checkpoint

    def _flush_when_due(self) -> None:
        while not self._ended:
            gevent.sleep(FLUSH_LOOK_SECONDS)
            if self.player is not None and self.player.flushes.is_due(time.monotonic()):
                self.flush(self.player)

    def flush(self, playing: player.Player) -> None:
        """Write the checkpoint; a store that is away is tried again later, and anything else ends the playback."""
        if self.store is None:
            return
        with self._flushing:
            playing.flushes.begin()
            away_since = playing.flushes.away_since
            try:
                self.store.save(playing.progress.to_checkpoint())
            except checkpoints.CheckpointAway as exc:
                playing.flushes.note_away(time.monotonic())
                self._mark("checkpoint away")
                if away_since is None:
                    log.error("%s; what is acknowledged is kept in memory, and tried again", exc)
                return
            except checkpoints.CheckpointError as exc:
                self._fail(str(exc), FENCED)
                return
            now = time.monotonic()
            playing.flushes.note_saved(now)
            if away_since is not None:
                log.warning("the checkpoint is written again after %.1f s without", now - away_since)
        self.hand_out()

    def finish(self) -> None:
        """The last flush, once no sender is at work."""
        self._ended = True
        if self.player is None or self.store is None or self._fenced:
            return
        with gevent.Timeout(LAST_FLUSH_SECONDS, False):
            self.flush(self.player)
        if self.player.flushes.unflushed:
            log.error(
                "the checkpoint lacks %d acknowledged records: a run that goes on sends them again",
                self.player.flushes.unflushed,
            )
        self.store.close()

    # The account

    def count_unread(self) -> None:
        """Count what became due and was never read, where reading had paused because too much waited."""
        self._ended = True  # records read from now on are counted alone: none behind them may be sent
        give_up_at = time.monotonic() + READ_AT_END_SECONDS
        try:
            while self.player is not None and time.monotonic() < give_up_at:
                if not self.player.read_unsent(give_up_at - READ_AT_END_SECONDS):
                    return
        except records.RecordingError:
            return  # nothing behind it is known to be due

    def count_due(self) -> None:
        """Count what became due by now."""
        self.account.count_due(time.monotonic())

    def summarize(self) -> str:
        """One line at the end."""
        playing = self.player
        if playing is None:
            return "ended before GO: nothing was sent"
        return (
            f"{self.account.summarize()}; {playing.acknowledged} were acknowledged, {playing.sent_again} sent again, "
            f"{playing.order.stopped_keys} keys stopped, {playing.flushes.unflushed} acknowledged and in no checkpoint"
        )

    def _mark(self, name: str) -> None:
        if self._counts:
            self._counts.mark(name)

    def _fail(self, words: str, code: int) -> None:
        """End the process: nothing more is sent, and the last checkpoint holds what was acknowledged."""
        log.error("%s", words)
        self._fenced = self._fenced or code == FENCED
        self.failure = self.failure or words
        if self._ended:
            return
        self._ended = True
        self._runner.environment.process_exit_code = code
        gevent.spawn(self._runner.quit)


class PlaybackUser(FastHttpUser):
    """One sender: waits for a record that may be sent, and sends it."""

    host = os.environ.get(load_settings.HOST)
    connection_timeout = 5.0
    network_timeout = 10.0
    # The key goes to the host alone: no redirect is followed, and the host has to show a valid certificate.
    max_redirects = 0
    insecure = False
    ssl_context_factory = staticmethod(sending_client.trust_as_canary)
    sending: key_order.Sending | None = None

    def wait_time(self) -> float:
        """Wait for the next record in Locust's own waiting state, from which Locust ends a user at once."""
        self.sending = playback_of(self.environment).take()
        return 0.0

    @task
    def push(self) -> None:
        """Send the record that the user waited for; on its first turn a user has none yet."""
        sending, self.sending = self.sending, None
        if sending is not None:
            playing = playback_of(self.environment)
            playing.end_where_it_fails(playing.send, self.client, sending)


def playback_of(environment: Any) -> TaskPlayback:
    """The process's shard, which `prepare` put on Locust's environment."""
    playback: TaskPlayback = environment.burst_playback
    return playback


@events.init.add_listener
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    """Read the settings, the checkpoint and the first record; what is wrong ends the process, and nothing is sent."""
    try:
        if not isinstance(runner, runners.LocalRunner):
            raise load_settings.SettingError(
                "master, worker and --processes would each send the whole share: "
                f"start tasks with {load_settings.SHARD_COUNT}"
            )
        if not (environment.host or PlaybackUser.host or environment.web_ui):
            raise load_settings.SettingError(f"no host: give one by --host or {load_settings.HOST}")
        share = load_shares.read_share(load_settings.read_options(environment.parsed_options))
        settings = playback_settings.read_settings(os.environ)
        counts = getattr(environment, "burst_account", None)
        playback = TaskPlayback(share, settings, load_settings.read_api_key(), counts)
    except (load_settings.SettingError, records.RecordingError, checkpoints.CheckpointError) as exc:
        log.error("%s", exc)
        sys.exit(BROKEN)
    environment.burst_playback = playback
    beginning = gevent.Greenlet(playback.end_where_it_fails, playback.begin, runner)

    @environment.events.spawning_complete.add_listener
    def begin(**_: Any) -> None:
        beginning.start()  # a change of the number of users calls this again, which changes nothing

    @environment.events.quitting.add_listener
    def count_unread(**_: Any) -> None:
        playback.count_unread()

    @environment.events.quit.add_listener
    def finish(**_: Any) -> None:
        playback.finish()
        log.info("%s", playback.summarize())
        if playback.failure:
            log.error("the playback ended: %s", playback.failure)  # last, where the end of a task is looked for


locust_options.offer_settings()
