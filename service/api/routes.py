"""Every URL of the API on one screen: method, path, handler, right, status, further refusals.

All but GET leave an entry in the audit trail, and so does what gives out a file; `changes=False`:
this one does not, it only asks. What changes anything is for live keys without limits alone;
`test_keys=True`: for trial and test keys, too; `scoped_keys=True`: for keys with limits of area or
roster, too; `logged_in=True`: for no key, but whoever has logged in. `replayable=False`: the answer
shows a secret or a person, and is not kept for a retry. `seconds=LONG`: its statements count, read
or write so much that they may take longer than others. `heavy=True`: it works through much for one
request, so that a caller has two of them at once (`service/api/http/admission.py`). `reads`: takes
in its file before there is a connection to the database.

One module: it is one table.
"""

from dataclasses import replace

from service.accounts.people.model import Right
from service.api import acts
from service.api.accounts import (
    audit,
    departments,
    deputies,
    direct_limits,
    guests,
    keys,
    login,
    me,
    notices,
    user_names,
    users,
    work,
)
from service.api.audience import (
    areas,
    contacts,
    import_list,
    imports,
    opt_out_holds,
    rosters,
    segment_terms,
    segments,
    suppression_entries,
    suppressions,
)
from service.api.calendar import festivals, holidays, schedules
from service.api.campaigns import (
    calendar,
    campaign_preview,
    campaign_report,
    campaigns,
    follow_ups,
    leg_preview,
    legs,
    lifecycle,
    milestones,
)
from service.api.channels import channel_changes, channel_health, channels, prefixes, routing
from service.api.content import library, lint, offers, previews, signatures, templates, versions
from service.api.http.op import Op
from service.api.privacy import privacy, retention
from service.api.sending import (
    caps,
    filings,
    inbound,
    list_files,
    lookup,
    messages,
    queue,
    run_export,
    run_list,
    run_progress,
    runs,
    stops,
    uncertain,
    unmatched,
)
from service.api.webhooks import webhooks
from service.storage.postgres import COUNT_SECONDS

PREFIX = "/api/v1"

R = Right
LONG = COUNT_SECONDS
PREVIEW = 30.0
"""How long a statement of a preview or a list of lists may take: somebody waits for its answer. A
preview of 120,000 people takes a third of a second (docs/performance.md)."""
DEPARTMENT = "/departments/{department_id}"
CAMPAIGN = "/campaigns/{campaign_id}"

# fmt: off
_OPS = (
    Op("GET",    "/departments", departments.list_departments, R.REPORTS),
    Op("GET",    "/departments/names", departments.list_department_names, R.PLAN),
    Op("POST",   "/departments", departments.create_department, R.ACCOUNTS, 201),
    Op("GET",    DEPARTMENT, departments.get_department, R.REPORTS),
    Op("PATCH",  DEPARTMENT, departments.edit_department, R.ACCOUNTS, errors=(409,)),
    Op("GET",    DEPARTMENT + "/counts", departments.get_counts, R.REPORTS,
       seconds=LONG, heavy=True),
    Op("GET",    DEPARTMENT + "/signatures", signatures.list_signatures, R.REPORTS),
    Op("POST",   DEPARTMENT + "/signatures", signatures.register_signature, R.ACCOUNTS, 201),
    Op("POST",   DEPARTMENT + "/signatures/{proposal_id}/confirm", signatures.confirm_signature,
       R.ACCOUNTS),
    Op("GET",    DEPARTMENT + "/extensions", departments.list_extensions, R.REPORTS),
    Op("POST",   DEPARTMENT + "/extensions", departments.register_extension, R.ACCOUNTS, 201),
    Op("DELETE", DEPARTMENT + "/extensions/{extension}",
                 departments.end_extension, R.ACCOUNTS, 204),

    Op("GET",    DEPARTMENT + "/direct-limits", direct_limits.list_limits, R.REPORTS),
    Op("POST",   DEPARTMENT + "/direct-limits", direct_limits.propose_limit, R.ACCOUNTS, 201),
    Op("POST",   DEPARTMENT + "/direct-limits/{proposal_id}/confirm", direct_limits.confirm_limit,
       R.ACCOUNTS),

    Op("GET",    "/guests", guests.list_guests, R.READ),
    Op("POST",   "/guests", guests.create_guests, R.IMPORT, 201),
    Op("DELETE", "/guests/{guest_id}", guests.delete_guest, R.IMPORT, 204),

    Op("GET",    "/users", users.list_users, R.READ),
    Op("POST",   "/users", users.create_user, R.ACCOUNTS, 201),
    Op("GET",    "/users/names", user_names.list_user_names, None),
    Op("GET",    "/users/{user_id}", users.get_user, R.READ),
    Op("PATCH",  "/users/{user_id}", users.edit_user, R.ACCOUNTS, errors=(409,)),
    Op("GET",    "/users/{user_id}/grants", users.list_grants, R.ACCOUNTS),
    Op("POST",   "/users/{user_id}/grants/{grant_id}/confirm", users.confirm_grant, R.ACCOUNTS),

    Op("POST",   "/users/{user_id}/password", login.give_password, R.ACCOUNTS, 201,
       replayable=False),
    Op("POST",   "/users/{user_id}/password/confirm", login.confirm_password, R.ACCOUNTS, 204),
    Op("POST",   "/users/{user_id}/totp/reset", login.reset_totp, R.ACCOUNTS, 204),

    Op("POST",   "/login", login.login, None, 201),
    Op("POST",   "/logout", login.logout, None, 204, logged_in=True),
    Op("GET",    "/sessions", me.list_sessions, None, errors=(404,)),
    Op("DELETE", "/sessions/{session_id}", me.end_session, None, 204),
    Op("GET",    "/me", me.get_me, None, scoped_keys=True),
    Op("POST",   "/me/password", me.change_password, None, 204, logged_in=True),
    Op("POST",   "/me/totp", me.begin_totp, None, 201, replayable=False, logged_in=True),
    Op("POST",   "/me/totp/confirm", me.confirm_totp, None, replayable=False, logged_in=True),

    Op("GET",    "/keys", keys.list_keys, R.ACCOUNTS),
    Op("POST",   "/keys", keys.create_key, R.ACCOUNTS, 201, replayable=False),
    Op("GET",    "/keys/{key_id}", keys.get_key, R.ACCOUNTS),
    Op("POST",   "/keys/{key_id}/activate", keys.activate_key, R.ACCOUNTS),
    Op("POST",   "/keys/{key_id}/rotate", keys.rotate_key, R.ACCOUNTS, 201, replayable=False),
    Op("POST",   "/keys/{key_id}/revoke", keys.revoke_key, R.ACCOUNTS, 204),
    Op("GET",    "/audit", audit.list_audit, R.AUDIT),
    Op("GET",    "/deputies", deputies.list_deputies, R.READ),
    Op("POST",   "/deputies", deputies.name_deputy, R.APPROVE, 201),
    Op("POST",   "/deputies/{deputy_id}/confirm", deputies.confirm_deputy, R.APPROVE),
    Op("POST",   "/deputies/{deputy_id}/end", deputies.end_deputy, R.APPROVE),
    Op("PUT",    "/account/phone", deputies.set_own_phone, None, errors=(409,)),
    Op("POST",   "/account/phone/code", deputies.prove_own_phone, None),
    Op("GET",    "/account/notices", notices.get_notices, None),
    Op("PUT",    "/account/notices", notices.set_notices, None),

    Op("POST",   "/imports", imports.create_import, R.IMPORT, 202, scoped_keys=True,
       seconds=LONG, heavy=True),
    Op("GET",    "/imports", import_list.list_imports, R.READ),
    Op("GET",    "/imports/{import_id}", imports.get_import, R.READ),
    Op("GET",    "/imports/{import_id}/rejects/rules", import_list.list_reject_rules, R.READ),
    Op("GET",    "/imports/{import_id}/rejects", imports.get_rejects, R.READ,
       seconds=LONG, heavy=True),
    Op("POST",   "/imports/{import_id}/undo", imports.undo_import, R.IMPORT, 202),
    Op("GET",    "/rosters", rosters.list_rosters, R.READ, seconds=PREVIEW, heavy=True),
    Op("GET",    "/rosters/{name}", rosters.get_roster, R.READ, seconds=PREVIEW, heavy=True),
    Op("PUT",    "/rosters/{name}/members", rosters.set_members, R.IMPORT, errors=(409,),
       scoped_keys=True, seconds=LONG, heavy=True),
    Op("PATCH",  "/rosters/{name}", rosters.confirm_roster, R.IMPORT, scoped_keys=True,
       seconds=LONG),
    Op("GET",    "/contacts", contacts.list_contacts, R.READ),
    Op("POST",   "/contacts", contacts.create_contact, R.IMPORT, 201),
    Op("POST",   "/contacts/lookup", contacts.look_up_contacts, R.READ),
    Op("GET",    "/contacts/{contact_id}", contacts.get_contact, R.READ),
    Op("PATCH",  "/contacts/{contact_id}", contacts.edit_contact, R.IMPORT),
    Op("DELETE", "/contacts/{contact_id}", contacts.delete_contact, R.IMPORT, 204),
    Op("GET",    "/areas", areas.list_areas, R.REPORTS),
    Op("GET",    "/areas/{code}", areas.get_area, R.REPORTS),
    Op("POST",   "/areas", areas.create_area, R.AREAS, 201),
    Op("PATCH",  "/areas/{code}", areas.edit_area, R.AREAS, errors=(409,), seconds=LONG),
    Op("POST",   "/areas/{code}/renames/{rename_id}/confirm", areas.confirm_rename, R.AREAS,
       seconds=LONG),
    Op("GET",    "/suppressions", suppressions.list_suppressions, R.READ),
    Op("POST",   "/suppressions", suppressions.create_suppressions, R.SUPPRESS, 201, seconds=LONG),
    Op("POST",   "/suppressions/lookup", suppressions.look_up_suppressions, R.READ, test_keys=True),
    Op("POST",   "/suppressions/imports", suppressions.import_suppressions, R.SUPPRESS,
       seconds=LONG, heavy=True, read_file=suppressions.read_list),
    Op("POST",   "/suppressions/export", suppressions.export_suppressions, R.SUPPRESS,
       seconds=LONG, heavy=True),
    Op("GET",    "/suppressions/held", opt_out_holds.list_holds, R.READ),
    Op("POST",   "/suppressions/held/{hold_id}/count", opt_out_holds.count_hold, R.SUPPRESS,
       seconds=LONG),
    Op("POST",   "/suppressions/held/{hold_id}/drop", opt_out_holds.drop_hold, R.SUPPRESS),
    Op("GET",    "/suppressions/entries", suppression_entries.list_suppression_entries, R.READ),
    Op("GET",    "/suppressions/entries/{entry_id}",
                 suppression_entries.get_suppression_entry, R.READ),
    Op("POST",   "/suppressions/entries/{entry_id}/count",
       suppression_entries.count_suppression_entry, R.SUPPRESS, seconds=LONG),
    Op("POST",   "/suppressions/entries/{entry_id}/drop",
       suppression_entries.drop_suppression_entry, R.SUPPRESS, seconds=LONG),
    Op("DELETE", "/suppressions/{suppression_id}",
                 suppressions.delete_suppression, R.SUPPRESS, 204),
    Op("GET",    "/caps", caps.list_caps, R.READ),
    Op("PUT",    "/caps", caps.set_caps, R.CHANNELS),

    Op("GET",    "/segments", segments.list_segments, R.READ),
    Op("POST",   "/segments", segments.create_segment, R.WRITE, 201, test_keys=True),
    Op("POST",   "/segments/preview", segments.preview_segment, R.READ, changes=False,
       seconds=PREVIEW, heavy=True),
    Op("POST",   "/segments/explain", segments.explain_segment, R.READ, changes=False,
       seconds=PREVIEW, heavy=True),
    Op("POST",   "/segments/compose", segment_terms.compose_segment, R.READ, changes=False,
       seconds=PREVIEW, heavy=True),
    Op("GET",    "/segments/terms", segment_terms.list_terms, R.READ, seconds=PREVIEW, heavy=True),
    Op("GET",    "/segments/{segment_id}", segments.get_segment, R.READ),
    Op("PATCH",  "/segments/{segment_id}", segments.edit_segment, R.WRITE, errors=(409,)),

    Op("GET",    "/templates", templates.list_templates, R.READ),
    Op("POST",   "/templates", templates.create_template, R.WRITE, 201, test_keys=True),
    Op("POST",   "/templates/lint", templates.lint_text, R.READ, changes=False, heavy=True),
    Op("GET",    "/templates/library", library.list_library, R.READ),
    Op("GET",    "/templates/{template_id}", templates.get_template, R.READ),
    Op("GET",    "/templates/{template_id}/versions", versions.list_template_versions, R.READ),
    Op("POST",   "/templates/{template_id}/versions", templates.add_version, R.WRITE, 201),
    Op("POST",   "/templates/{template_id}/approve", templates.approve_template, R.APPROVE),
    Op("GET",    "/templates/{template_id}/preview", previews.preview_template, R.READ,
       seconds=PREVIEW, heavy=True),
    Op("POST",   "/templates/{template_id}/offers", offers.offer_template, R.APPROVE, 201),
    Op("GET",    "/offers", offers.list_offers, R.READ, heavy=True),
    Op("GET",    "/offers/{offer_id}", offers.get_offer, R.READ),
    Op("POST",   "/offers/{offer_id}/take", offers.take_offer, R.WRITE, 201),
    Op("POST",   "/offers/{offer_id}/withdraw", offers.withdraw_offer, R.CONTROL, seconds=LONG),
    Op("GET",    "/templates/{template_id}/filings", filings.list_filings, R.READ),
    Op("PUT",    "/templates/{template_id}/filings",
       filings.set_filing, R.CHANNELS, errors=(409,), full_replace=True),
    Op("PUT",    "/channels/{channel_id}/filing", filings.set_filing_required, R.CHANNELS),
    Op("GET",    "/lint/rules", lint.get_rules, R.READ),
    Op("PUT",    "/lint/rules", lint.set_rules, R.ACCOUNTS, full_replace=True),
    Op("POST",   "/lint/rules/proposals/{proposal_id}/confirm", lint.confirm_rules, R.ACCOUNTS),
    Op("GET",    "/lint/rules/history", lint.list_rule_changes, R.READ),
    Op("GET",    DEPARTMENT + "/sender", lint.get_sender, R.READ),
    Op("PUT",    DEPARTMENT + "/sender", lint.set_sender, R.ACCOUNTS, full_replace=True),
    Op("POST",   DEPARTMENT + "/sender/proposals/{proposal_id}/confirm", lint.confirm_sender,
       R.ACCOUNTS),

    Op("GET",    "/work", work.get_work, R.REPORTS),
    Op("GET",    "/calendar", calendar.list_calendar, R.REPORTS, seconds=LONG, heavy=True),
    Op("GET",    "/calendar/days", calendar.list_calendar_days, R.REPORTS,
       seconds=LONG, heavy=True),

    Op("GET",    "/campaigns", campaigns.list_campaigns, R.REPORTS),
    Op("POST",   "/campaigns", campaigns.create_campaign, R.PLAN, 201, test_keys=True),
    Op("GET",    CAMPAIGN, campaigns.get_campaign, R.REPORTS),
    Op("PATCH",  CAMPAIGN, campaigns.edit_campaign, R.PLAN, errors=(409,), test_keys=True),
    Op("GET",    CAMPAIGN + "/preview", campaign_preview.preview_campaign, R.READ,
       seconds=PREVIEW, heavy=True),
    Op("GET",    CAMPAIGN + "/runs", runs.list_runs, R.REPORTS),
    Op("GET",    CAMPAIGN + "/report", campaign_report.get_campaign_report, R.REPORTS,
       seconds=LONG, heavy=True),
    Op("GET",    CAMPAIGN + "/report/export", campaign_report.export_campaign_report, R.REPORTS,
       seconds=LONG, heavy=True),
    Op("POST",   CAMPAIGN + "/clone", campaigns.clone_campaign, R.PLAN, 201, test_keys=True),
    Op("GET",    CAMPAIGN + "/milestones", milestones.list_milestones, R.READ),
    Op("POST",   CAMPAIGN + "/milestones", milestones.add_milestone, R.PLAN, 201, test_keys=True),
    Op("POST",   CAMPAIGN + "/milestones/{milestone_id}/done", milestones.finish_milestone, R.PLAN,
       test_keys=True),
    Op("POST",   CAMPAIGN + "/submit", campaigns.submit_campaign, R.SUBMIT, test_keys=True,
       seconds=LONG),
    Op("POST",   CAMPAIGN + "/approve", campaigns.approve_campaign, R.APPROVE, test_keys=True,
       seconds=LONG),
    Op("POST",   CAMPAIGN + "/test-send", campaigns.test_campaign, R.APPROVE, 202),
    Op("POST",   CAMPAIGN + "/return", campaigns.return_campaign, R.APPROVE, test_keys=True),
    Op("POST",   CAMPAIGN + "/reject", campaigns.reject_campaign, R.APPROVE, test_keys=True),
    Op("POST",   CAMPAIGN + "/release", lifecycle.release_campaign, R.CONTROL),
    Op("POST",   CAMPAIGN + "/pause", lifecycle.pause_campaign, R.CONTROL),
    Op("POST",   CAMPAIGN + "/resume", lifecycle.resume_campaign, R.CONTROL),
    Op("POST",   CAMPAIGN + "/cancel", lifecycle.cancel_campaign, R.CONTROL),

    Op("GET",    CAMPAIGN + "/fires", schedules.list_fires, R.REPORTS),
    Op("GET",    CAMPAIGN + "/top-up", follow_ups.get_top_up, R.READ, seconds=LONG, heavy=True),
    Op("POST",   CAMPAIGN + "/top-up", follow_ups.top_up, R.CONTROL, 202, seconds=LONG),
    Op("GET",    CAMPAIGN + "/steps", schedules.list_steps, R.REPORTS),
    Op("GET",    CAMPAIGN + "/legs", legs.list_plan_legs, R.REPORTS),
    Op("GET",    "/legs", legs.list_legs, R.REPORTS),
    Op("POST",   "/legs/preview", leg_preview.preview_legs, R.PLAN, changes=False,
       seconds=PREVIEW, heavy=True),
    Op("GET",    "/legs/{leg_id}", legs.get_leg, R.REPORTS),
    Op("POST",   "/legs/{leg_id}/take", legs.take_leg, R.CONTROL, seconds=LONG),
    Op("POST",   "/legs/{leg_id}/return", legs.return_leg, R.CONTROL),
    Op("POST",   "/legs/{leg_id}/ask", legs.ask_again, R.SUBMIT),
    Op("POST",   "/schedules/preview", schedules.preview_schedule, R.READ, changes=False,
       heavy=True),

    Op("GET",    "/festivals", festivals.list_festivals, R.READ),
    Op("POST",   "/schedules/festival", festivals.plan_around, R.READ, changes=False),
    Op("GET",    "/holidays", holidays.get_holidays, R.READ),
    Op("PUT",    "/holidays", holidays.set_holidays, R.CALENDAR, errors=(409,), full_replace=True),
    Op("POST",   "/holidays/notice", holidays.import_notice, R.CALENDAR),
    Op("GET",    "/holidays/history", holidays.list_calendars, R.READ),
    Op("GET",    "/send-hours", holidays.get_send_hours, R.READ),
    Op("PUT",    "/send-hours", holidays.set_send_hours, R.CALENDAR, errors=(409,),
       full_replace=True),
    Op("GET",    "/send-hours/history", holidays.list_send_hours, R.READ),

    Op("GET",    "/stop-all", stops.get_stop, R.READ),
    Op("POST",   "/stop-all", stops.stop_all, R.STOP_ALL),
    Op("POST",   "/stop-all/lift", stops.lift_stop, R.STOP_ALL),
    Op("GET",    "/stop-all/record", stops.list_stops, R.READ),

    Op("GET",    "/runs", run_list.list_all_runs, R.REPORTS),
    Op("GET",    "/runs/{run_id}", runs.get_run, R.REPORTS),
    Op("POST",   "/runs/{run_id}/cancel", runs.cancel_run, None),
    Op("GET",    "/runs/{run_id}/progress", run_progress.get_progress, R.REPORTS),
    Op("GET",    "/runs/{run_id}/report", runs.get_report, R.REPORTS, seconds=LONG, heavy=True),
    Op("GET",    "/runs/{run_id}/report/export", run_export.export_run_report, R.REPORTS,
       seconds=LONG, heavy=True),
    Op("GET",    "/runs/{run_id}/missed", follow_ups.get_missed, R.READ, seconds=LONG, heavy=True),
    Op("POST",   "/runs/{run_id}/resend-missed", follow_ups.resend_missed, R.CONTROL, 202,
       seconds=LONG),
    Op("POST",   "/runs/{run_id}/correction", follow_ups.correct_run, R.PLAN, 201, seconds=LONG),
    Op("GET",    "/runs/{run_id}/evidence", runs.get_evidence, R.AUDIT, errors=(409,),
       media="application/zip", seconds=LONG, heavy=True),
    Op("GET",    "/evidence-key", runs.get_evidence_key, R.REPORTS),
    Op("GET",    "/runs/{run_id}/messages", runs.list_messages, R.READ),
    Op("POST",   "/runs/{run_id}/messages/{no}/unmask", privacy.unmask_message, R.UNMASK,
       replayable=False),
    Op("GET",    "/runs/{run_id}/inbound", inbound.count_run_inbound, R.READ,
       seconds=LONG, heavy=True),

    Op("POST",   "/messages", messages.send_messages, R.SEND, 202, errors=(404,),
       test_keys=True, scoped_keys=True),
    Op("POST",   "/messages/status", messages.get_statuses, R.READ, changes=False, heavy=True),
    Op("POST",   "/messages/lookup", lookup.look_up_messages, R.READ, seconds=LONG, heavy=True),
    Op("GET",    "/messages/{message_id}", messages.get_message, R.READ),
    Op("POST",   "/messages/{message_id}/cancel", messages.cancel_message, R.SEND),

    Op("GET",    "/webhooks", webhooks.list_webhooks, R.READ),
    Op("POST",   "/webhooks", webhooks.create_webhook, R.WEBHOOKS, 201, replayable=False),
    Op("GET",    "/webhooks/{webhook_id}", webhooks.get_webhook, R.READ),
    Op("PATCH",  "/webhooks/{webhook_id}", webhooks.edit_webhook, R.WEBHOOKS, errors=(409,)),
    Op("DELETE", "/webhooks/{webhook_id}", webhooks.delete_webhook, R.WEBHOOKS, 204),
    Op("POST",   "/webhooks/{webhook_id}/secret", webhooks.renew_secret, R.WEBHOOKS,
       replayable=False),
    Op("POST",   "/webhooks/{webhook_id}/test", webhooks.send_test, R.WEBHOOKS, 202),
    Op("POST",   "/webhooks/{webhook_id}/replay", webhooks.replay, R.WEBHOOKS, 202, seconds=LONG),
    Op("GET",    "/webhooks/{webhook_id}/deliveries", webhooks.list_deliveries, R.READ),

    Op("GET",    "/inbound", inbound.list_inbound, R.READ),
    Op("GET",    "/inbound/{inbound_id}", inbound.get_inbound, R.READ),
    Op("POST",   "/inbound/{inbound_id}/take", inbound.take_inbound, R.SUPPRESS),
    Op("POST",   "/inbound/{inbound_id}/done", inbound.finish_inbound, R.SUPPRESS),

    Op("POST",   "/inbound/{inbound_id}/unmask", privacy.unmask_inbound, R.UNMASK,
       replayable=False),

    Op("POST",   "/contacts/{contact_id}/unmask", privacy.unmask_contact, R.UNMASK,
       replayable=False),
    Op("POST",   "/privacy/lookup", privacy.look_up_person, R.PRIVACY, replayable=False,
       seconds=LONG, heavy=True),
    Op("GET",    "/privacy/report", privacy.get_report_of_erasures, R.PRIVACY,
       seconds=LONG, heavy=True),
    Op("GET",    "/privacy/retention", retention.get_retention, R.PRIVACY),
    Op("POST",   "/privacy/retention/agree", retention.agree_to_retention, R.PRIVACY,
       replayable=False),
    Op("POST",   "/privacy/erase", privacy.erase_person, R.PRIVACY, seconds=LONG),

    Op("GET",    "/uncertain", uncertain.list_doubts, R.READ),
    Op("POST",   "/uncertain/decide", uncertain.decide_doubts, R.CONTROL, errors=(404,),
       seconds=LONG),
    Op("POST",   "/uncertain/statement", uncertain.read_statement, R.CONTROL, errors=(404,),
       seconds=LONG, heavy=True),
    Op("GET",    "/uncertain/policies", uncertain.list_policies, R.READ),
    Op("PUT",    "/uncertain/policies", uncertain.set_policy, R.CHANNELS),

    Op("GET",    "/list-files", list_files.list_list_files, R.REPORTS),
    Op("POST",   "/list-files", list_files.draw_list, R.CONTROL, 201, errors=(404,)),
    Op("GET",    "/list-files/{list_id}", list_files.get_list_file, R.REPORTS,
       seconds=LONG, heavy=True),
    Op("POST",   "/list-files/{list_id}/archive", list_files.fetch_archive, R.CONTROL,
       media="application/pkcs7-mime", replayable=False, seconds=LONG, heavy=True),
    Op("POST",   "/list-files/{list_id}/results", list_files.read_results_file, R.CONTROL,
       seconds=LONG, heavy=True),
    Op("POST",   "/list-files/{list_id}/counts", list_files.give_counts, R.CONTROL, seconds=LONG),

    Op("GET",    "/receipts/unmatched", unmatched.list_unmatched, R.READ),
    Op("GET",    "/receipts/unmatched/export", unmatched.export_unmatched, R.READ,
       seconds=LONG, heavy=True),
    Op("POST",   "/receipts/unmatched/dismiss", unmatched.dismiss_unmatched, R.CONTROL,
       seconds=LONG),
    Op("POST",   "/receipts/unmatched/{receipt_id}/unmask", privacy.unmask_unmatched, R.UNMASK,
       replayable=False),
    Op("GET",    "/reports/reconciliation", unmatched.get_reconciliation, R.READ, errors=(404,),
       seconds=LONG, heavy=True),

    Op("GET",    "/channels", channels.list_channels, R.READ),
    Op("POST",   "/channels", channels.create_channel, R.CHANNELS, 201),
    Op("GET",    "/channels/kinds", channels.list_kinds, R.READ),
    Op("GET",    "/channels/codes", channels.list_codes, R.READ),
    Op("PUT",    "/channels/codes", channels.put_code, R.CHANNELS),
    Op("DELETE", "/channels/codes", channels.delete_code, R.CHANNELS, 204, errors=(404,)),
    Op("GET",    "/channels/{channel_id}", channels.get_channel, R.READ),
    Op("PATCH",  "/channels/{channel_id}", channels.edit_channel, R.CHANNELS, errors=(409,)),
    Op("GET",    "/channels/{channel_id}/changes", channel_changes.list_changes, R.CHANNELS),
    Op("POST",   "/channels/{channel_id}/changes", channel_changes.propose_change, R.CHANNELS, 201),
    Op("POST",   "/channels/{channel_id}/changes/{change_id}/confirm",
       channel_changes.confirm_change, R.CHANNELS),
    Op("GET",    "/channels/{channel_id}/health", channel_health.get_health, R.READ),
    Op("GET",    "/channels/{channel_id}/queue", queue.get_queue, R.READ, seconds=LONG, heavy=True),
    Op("POST",   "/channels/{channel_id}/test", channels.test_channel, R.CHANNELS),

    Op("GET",    "/prefixes", prefixes.get_prefixes, R.READ),
    Op("POST",   "/prefixes/imports", prefixes.import_prefixes, R.CHANNELS,
       seconds=LONG, heavy=True, read_file=prefixes.read_table),
    Op("DELETE", "/prefixes", prefixes.delete_prefixes, R.CHANNELS, 204, errors=(404,),
       seconds=LONG),
    Op("POST",   "/routes/explain", routing.explain_route, R.READ, test_keys=True),
    Op("POST",   "/routes/overrides/lookup", routing.look_up_override, R.READ),
    Op("POST",   "/routes/overrides/imports", routing.import_overrides, R.CHANNELS,
       seconds=LONG, heavy=True, read_file=routing.read_list),
    Op("PUT",    "/routes/overrides", routing.set_override, R.CHANNELS),
    Op("DELETE", "/routes/overrides", routing.delete_override, R.CHANNELS, 204, errors=(404,)),
)
# fmt: on


def _guarded(op: Op) -> Op:
    """What changes a campaign keeps to those of the caller's mode, whatever handler it has."""
    changes = op.method != "GET" and "campaign_id" in op.parameters
    return replace(op, guard=lifecycle.need_own_mode) if changes else op


OPS = tuple(map(_guarded, _OPS))
acts.take_table(OPS)

CALLBACKS = "/callbacks/{channel}"
"""POST: where gateways call us, with a signature and without a key; `api/callbacks.py` answers."""
