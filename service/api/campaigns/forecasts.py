"""What each fire to come of a campaign will amount to, as whoever plans or approves is told."""

from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out
from service.campaigns.audience.recipients import parts_of
from service.campaigns.core.model import Campaign
from service.campaigns.core.plan_warnings import loss_notes
from service.dispatch.forecast.cap_losses import Sees, in_all
from service.dispatch.forecast.fire_forecast import foretell
from service.dispatch.forecast.fire_forecast_store import save_forecast, saved_forecast


class CauseOut(Out):
    """Whose text has the same words."""

    campaign_id: UUID | None = Field(description="Null: another department's, or a direct send.")
    name: str | None
    department: str
    people: int = Field(description="Of another department in tens.")


class FireForecastOut(Out):
    """What a fire to come will amount to, beside all other plans that are approved by now."""

    fires_at: Instant
    sends_from: Instant
    text_no: int
    target: int = Field(description="People who will be in its run.")
    excluded: dict[str, int] = Field(
        description="People who will be left out of it, by reason: same_text and capped for the"
        " caps' sake, opted_out, no_route and so on."
    )
    waits: int = Field(description="Of the target: whose text leaves later, by the caps.")
    stopped: int = Field(description="Of the target: whose text the caps stop.")
    same_text: list[CauseOut] = Field(
        description="Whose words those had who are left out, wait or are stopped for them."
    )
    exact: bool = Field(
        description="Whether all is counted one by one; else what other departments' plans take is"
        " in tens."
    )


class ForecastOut(Out):
    """The fires to come, at most 53 of them; a correction, drill or plan for newcomers has none."""

    fires: list[FireForecastOut]
    plans_left_out: int = Field(description="Other plans of the time that were not looked at.")


async def forecast_out(
    call: Call, campaign: Campaign, rule: str, sees: Sees | None = None
) -> ForecastOut:
    """What the fires to come of a campaign with this rule amount to now, for the user or for
    whoever sees the plans of these departments; of a joint plan, in all its legs together.
    """
    found = [
        await foretell(call.conn, sees or call.user.sees, own, own_rule, call.now)
        for own, own_rule in await parts_of(call.conn, campaign, rule)
    ]
    return ForecastOut(
        fires=[
            FireForecastOut.model_validate(in_all(fires))
            for fires in zip(*(one.fires for one in found), strict=False)
        ],
        plans_left_out=max((one.left_out for one in found), default=0),
    )


async def keep_forecast(call: Call, campaign: Campaign) -> None:
    """Foretell a campaign that was just submitted, and keep it for whoever approves it: as its own
    department may know it, whoever submits it.
    """
    if campaign.submitted_at is None or campaign.frozen_rule is None:
        return
    whose = campaign.department_id
    found = await forecast_out(call, campaign, campaign.frozen_rule, lambda other: other == whose)
    await save_forecast(
        call.conn, campaign.id, campaign.submitted_at, found.model_dump(mode="json")
    )


async def told_at_submission(
    call: Call, campaign: Campaign
) -> tuple[ForecastOut | None, list[str]]:
    """What was foretold when a campaign was submitted, and what of it is to be noted."""
    if campaign.submitted_at is None:
        return None, []
    saved = await saved_forecast(call.conn, campaign.id, campaign.submitted_at)
    if saved is None:
        return None, []
    return ForecastOut.model_validate(saved), list(loss_notes(saved["fires"]))
