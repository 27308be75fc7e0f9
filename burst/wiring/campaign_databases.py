"""Steps that change a database, and the settings of a database that a step overrides: both are staged changes.

What a step overrides is a stage file of two stages: the first one sets it, the second one waits for a person. So the
staged changes pause while the step runs, and putting back is their own roll-back, with its proof.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from burst.control import campaigning
from burst.domain.basics import errors
from burst.domain.course import campaign_files, courses
from burst.domain.staging import stage_results
from burst.kit import files
from burst.wiring import staged_changes

RECOVERED = "recovered.txt"
"""Stands in the folder of a campaign that was made from run control: what the other machine overrode is not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSteps:
    """The staged changes of one campaign, each in a folder beneath its own."""

    file: campaign_files.CampaignFile
    folder: Path
    operator: str
    said_yes: bool
    say: campaigning.Say

    def _request(self, dsn: str, *, rolls_back: bool = False) -> staged_changes.StagingRequest:
        return staged_changes.StagingRequest(
            operator=self.operator, said_yes=self.said_yes, dsn_reference=dsn, rolls_back=rolls_back
        )

    # A step

    def take(self, step: campaign_files.StageStep, run_id: str) -> campaigning.StepEnd | campaigning.StepCut:
        """Begins the staged changes of a step."""
        try:
            content = files.read_named_text(Path(step.file), "stage.file")
            view = staged_changes.begin(content, step.file, self.folder / run_id, self._request(step.dsn), self.say)
        except (errors.UsageError, errors.Refused, errors.Unavailable) as exc:
            return self._describe_failure(run_id, exc)
        return _describe_end(view)

    def go_on(self, step: campaign_files.StageStep, run_id: str, *, rolls_back: bool = False) -> campaigning.StepAnswer:
        """Goes on with staged changes that were cut. At a pause it is for a person to go on, and not for the campaign.

        With `rolls_back` they are taken back.
        """
        try:
            view = staged_changes.look(self.folder / run_id)
        except errors.EvidenceIncomplete as exc:
            return campaigning.NeverBegan(reason=str(exc))
        if view.staging.ended or (view.staging.pause is not None and not rolls_back):
            return _describe_end(view)
        try:
            request = self._request(step.dsn, rolls_back=rolls_back)
            return _describe_end(staged_changes.resume(self.folder / run_id, request, self.say))
        except (errors.UsageError, errors.Refused, errors.Unavailable) as exc:
            return self._describe_failure(run_id, exc)

    def _describe_failure(self, run_id: str, exc: errors.BurstError) -> campaigning.StepEnd | campaigning.StepCut:
        """A refusal before anything was applied is an end; later it leaves the staged changes as they are."""
        try:
            staged_changes.look(self.folder / run_id)
        except errors.EvidenceIncomplete:
            return campaigning.StepEnd(end="FAILED", exit_code=exc.exit_code, reason=str(exc))
        return campaigning.StepCut(exit_code=exc.exit_code, reason=str(exc))

    # What a step overrides

    def set_override(self, step: campaign_files.StepSection, override: campaign_files.DatabaseOverride, n: int) -> None:
        """Makes the settings, or goes on making them. Raises `errors.Refused` where the server does not have them."""
        folder = self.folder / f"override_{step.name}_{n}"
        request = self._request(override.dsn)
        try:
            view = staged_changes.look(folder)
            if view.staging.pause is None and not view.staging.ended:
                view = staged_changes.resume(folder, request, self.say)
        except errors.EvidenceIncomplete:
            content = self._write_file(override)
            view = staged_changes.begin(content, f"the overrides of step {step.name}", folder, request, self.say)
        if view.staging.pause is None:
            reason = view.staging.roll_back.reason if view.staging.roll_back else "they did not come to their pause"
            raise errors.Refused(f"the settings of step {step.name} are not in effect: {reason}")

    def _write_file(self, override: campaign_files.DatabaseOverride) -> str:
        statements = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in override.settings.items()]
        stages = {"override": {"apply": statements}, "put_back": {"confirm": True, "apply": [{"command": ["true"]}]}}
        return json.dumps(
            {
                "schema": "burst.stages/v1",
                "environment": self.file.environment,
                "roll_back_to": "start",
                "stages": stages,
            }
        )

    def put_back(self, step: campaign_files.StepSection, override: campaign_files.DatabaseOverride) -> None:
        """Takes back the last override of a step. Raises `errors.StillRunning` where that is not proved."""
        folders = sorted(
            self.folder.glob(f"override_{step.name}_*"), key=lambda path: int(path.name.rpartition("_")[2])
        )
        if not folders and (self.folder / RECOVERED).exists():
            raise errors.StillRunning(
                f"step {step.name} changed settings of a database from another machine, and only the folder of the "
                "campaign there can put them back: resume the campaign there"
            )
        for folder in folders[-1:]:
            self._take_back(step, override, folder)

    def _take_back(
        self, step: campaign_files.StepSection, override: campaign_files.DatabaseOverride, folder: Path
    ) -> None:
        try:
            view = staged_changes.look(folder)
            if not view.staging.ended:
                request = self._request(override.dsn, rolls_back=True)
                view = staged_changes.resume(folder, request, self.say)
        except errors.EvidenceIncomplete:
            return  # nothing was applied
        except errors.BurstError as exc:
            raise errors.StillRunning(
                f"the settings of step {step.name} are not put back: {exc}; act now: "
                f"burst db resume {folder} --roll-back"
            ) from exc
        if view.staging.outcome != "rolled-back":
            differences = "; ".join(view.staging.roll_back.differences) if view.staging.roll_back else ""
            raise errors.StillRunning(
                f"the settings of step {step.name} are not as they were ({view.staging.outcome}): {differences}; "
                f"see burst db status {folder}"
            )


def _describe_end(view: staged_changes.StagingView) -> campaigning.StepEnd | campaigning.StepCut:
    staging = view.staging
    if staging.outcome is None:
        pause = staging.pause
        reason = "they were cut" if pause is None else f"pause in stage {pause.stage}: {pause.reason}"
        return campaigning.StepCut(
            exit_code=stage_results.PAUSED, reason=f"{reason}; go on: burst db resume {view.folder}"
        )
    code = stage_results.EXIT_CODES[staging.outcome]
    words = staging.roll_back.reason if staging.roll_back is not None else f"every stage of {view.folder.name} stays"
    return campaigning.StepEnd(end="PASS" if code == 0 else "HOLD", exit_code=code, reason=words)


def name_override(state: courses.StepState) -> int:
    """The number of the next override of a step: that of the attempt it is made for."""
    return len(state.attempts) + 1
