"""Every URL of the API on one screen: method, path, handler, right, status, further refusals.

All but GET leave an entry in the audit trail, and so does what gives out a file; `changes=False`:
this one does not, it only asks.
"""

from service.accounts.model import Right
from service.api import (
    audience,
    audit,
    campaigns,
    caps,
    channels,
    departments,
    deputies,
    doubt,
    guests,
    holidays,
    imports,
    inbound,
    keys,
    lane_health,
    lint,
    login,
    messages,
    milestones,
    privacy,
    queue,
    rosters,
    routing,
    runs,
    schedules,
    segments,
    stops,
    templates,
    unmatched,
    users,
    webhooks,
)
from service.api.op import Op

PREFIX = "/api/v1"

R = Right
DEPARTMENT = "/departments/{department_id}"
CAMPAIGN = "/campaigns/{campaign_id}"

# fmt: off
OPS = (
    Op("GET",    "/departments", departments.list_departments, R.REPORTS),
    Op("POST",   "/departments", departments.create_department, R.ACCOUNTS, 201),
    Op("GET",    DEPARTMENT, departments.get_department, R.REPORTS),
    Op("PATCH",  DEPARTMENT, departments.edit_department, R.ACCOUNTS, errors=(409,)),
    Op("GET",    DEPARTMENT + "/counts", departments.get_counts, R.REPORTS),
    Op("GET",    DEPARTMENT + "/signatures", departments.list_signatures, R.REPORTS),
    Op("POST",   DEPARTMENT + "/signatures", departments.register_signature, R.ACCOUNTS, 201),
    Op("GET",    DEPARTMENT + "/extensions", departments.list_extensions, R.REPORTS),
    Op("POST",   DEPARTMENT + "/extensions", departments.register_extension, R.ACCOUNTS, 201),

    Op("GET",    "/guests", guests.list_guests, R.READ),
    Op("POST",   "/guests", guests.create_guests, R.IMPORT, 201),
    Op("DELETE", "/guests/{guest_id}", guests.delete_guest, R.IMPORT, 204),

    Op("GET",    "/users", users.list_users, R.READ),
    Op("POST",   "/users", users.create_user, R.ACCOUNTS, 201),
    Op("GET",    "/users/{user_id}", users.get_user, R.READ),
    Op("PATCH",  "/users/{user_id}", users.edit_user, R.ACCOUNTS, errors=(409,)),

    Op("POST",   "/users/{user_id}/password", login.give_password, R.ACCOUNTS, 201),
    Op("POST",   "/users/{user_id}/totp/reset", login.reset_totp, R.ACCOUNTS, 204),

    Op("POST",   "/login", login.login, None, 201),
    Op("POST",   "/logout", login.logout, None, 204),
    Op("GET",    "/sessions", login.list_sessions, None, errors=(404,)),
    Op("DELETE", "/sessions/{session_id}", login.end_session, None, 204),
    Op("GET",    "/me", login.get_me, None),
    Op("POST",   "/me/password", login.change_password, None, 204),
    Op("POST",   "/me/totp", login.begin_totp, None, 201),
    Op("POST",   "/me/totp/confirm", login.confirm_totp, None),

    Op("GET",    "/keys", keys.list_keys, R.ACCOUNTS),
    Op("POST",   "/keys", keys.create_key, R.ACCOUNTS, 201),
    Op("GET",    "/keys/{key_id}", keys.get_key, R.ACCOUNTS),
    Op("POST",   "/keys/{key_id}/activate", keys.activate_key, R.ACCOUNTS),
    Op("POST",   "/keys/{key_id}/rotate", keys.rotate_key, R.ACCOUNTS, 201),
    Op("POST",   "/keys/{key_id}/revoke", keys.revoke_key, R.ACCOUNTS, 204),
    Op("GET",    "/audit", audit.list_audit, R.AUDIT),
    Op("GET",    "/deputies", deputies.list_deputies, R.READ),
    Op("POST",   "/deputies", deputies.name_deputy, R.APPROVE, 201),
    Op("POST",   "/deputies/{deputy_id}/end", deputies.end_deputy, R.APPROVE),
    Op("PUT",    "/account/phone", deputies.set_own_phone, R.READ),

    Op("POST",   "/imports", imports.create_import, R.IMPORT, 202),
    Op("GET",    "/imports/{import_id}", imports.get_import, R.READ),
    Op("GET",    "/imports/{import_id}/rejects", imports.get_rejects, R.READ),
    Op("POST",   "/imports/{import_id}/undo", imports.undo_import, R.IMPORT, 202),
    Op("GET",    "/rosters", audience.list_rosters, R.READ),
    Op("PUT",    "/rosters/{name}/members", rosters.set_members, R.IMPORT, errors=(409,)),
    Op("GET",    "/areas", audience.list_areas, R.REPORTS),
    Op("GET",    "/suppressions", audience.list_suppressions, R.READ),
    Op("POST",   "/suppressions", audience.create_suppressions, R.SUPPRESS, 201),
    Op("DELETE", "/suppressions/{suppression_id}", audience.delete_suppression, R.SUPPRESS, 204),
    Op("GET",    "/caps", caps.list_caps, R.READ),
    Op("PUT",    "/caps", caps.set_caps, R.CHANNELS),

    Op("GET",    "/segments", segments.list_segments, R.READ),
    Op("POST",   "/segments", segments.create_segment, R.WRITE, 201),
    Op("POST",   "/segments/preview", segments.preview_segment, R.READ, changes=False),
    Op("POST",   "/segments/explain", segments.explain_segment, R.READ, changes=False),
    Op("GET",    "/segments/{segment_id}", segments.get_segment, R.READ),
    Op("PATCH",  "/segments/{segment_id}", segments.edit_segment, R.WRITE, errors=(409,)),

    Op("GET",    "/templates", templates.list_templates, R.READ),
    Op("POST",   "/templates", templates.create_template, R.WRITE, 201),
    Op("POST",   "/templates/lint", templates.lint_text, R.READ, changes=False),
    Op("GET",    "/templates/{template_id}", templates.get_template, R.READ),
    Op("POST",   "/templates/{template_id}/versions", templates.add_version, R.WRITE, 201),
    Op("POST",   "/templates/{template_id}/approve", templates.approve_template, R.APPROVE),
    Op("GET",    "/lint/rules", lint.get_rules, R.READ),
    Op("PUT",    "/lint/rules", lint.set_rules, R.ACCOUNTS),
    Op("GET",    "/lint/rules/history", lint.list_rule_changes, R.READ),
    Op("GET",    DEPARTMENT + "/sender", lint.get_sender, R.READ),
    Op("PUT",    DEPARTMENT + "/sender", lint.set_sender, R.ACCOUNTS),

    Op("GET",    "/campaigns", campaigns.list_campaigns, R.REPORTS),
    Op("POST",   "/campaigns", campaigns.create_campaign, R.PLAN, 201),
    Op("GET",    CAMPAIGN, campaigns.get_campaign, R.REPORTS),
    Op("PATCH",  CAMPAIGN, campaigns.edit_campaign, R.PLAN, errors=(409,)),
    Op("GET",    CAMPAIGN + "/preview", campaigns.preview_campaign, R.READ),
    Op("GET",    CAMPAIGN + "/runs", runs.list_runs, R.REPORTS),
    Op("POST",   CAMPAIGN + "/clone", campaigns.clone_campaign, R.PLAN, 201),
    Op("GET",    CAMPAIGN + "/milestones", milestones.list_milestones, R.READ),
    Op("POST",   CAMPAIGN + "/milestones", milestones.add_milestone, R.PLAN, 201),
    Op("POST",   CAMPAIGN + "/milestones/{milestone_id}/done", milestones.finish_milestone, R.PLAN),
    Op("POST",   CAMPAIGN + "/submit", campaigns.submit_campaign, R.SUBMIT),
    Op("POST",   CAMPAIGN + "/approve", campaigns.approve_campaign, R.APPROVE),
    Op("POST",   CAMPAIGN + "/test-send", campaigns.test_campaign, R.APPROVE, 202),
    Op("POST",   CAMPAIGN + "/return", campaigns.return_campaign, R.APPROVE),
    Op("POST",   CAMPAIGN + "/reject", campaigns.reject_campaign, R.APPROVE),
    Op("POST",   CAMPAIGN + "/release", campaigns.release_campaign, R.CONTROL),
    Op("POST",   CAMPAIGN + "/pause", campaigns.pause_campaign, R.CONTROL),
    Op("POST",   CAMPAIGN + "/resume", campaigns.resume_campaign, R.CONTROL),
    Op("POST",   CAMPAIGN + "/cancel", campaigns.cancel_campaign, R.CONTROL),

    Op("GET",    CAMPAIGN + "/fires", schedules.list_fires, R.REPORTS),
    Op("POST",   "/schedules/preview", schedules.preview_schedule, R.READ, changes=False),

    Op("GET",    "/holidays", holidays.get_holidays, R.READ),
    Op("PUT",    "/holidays", holidays.set_holidays, R.CALENDAR, errors=(409,)),
    Op("POST",   "/holidays/notice", holidays.import_notice, R.CALENDAR),
    Op("GET",    "/holidays/history", holidays.list_calendars, R.READ),
    Op("GET",    "/send-hours", holidays.get_send_hours, R.READ),
    Op("PUT",    "/send-hours", holidays.set_send_hours, R.CALENDAR, errors=(409,)),
    Op("GET",    "/send-hours/history", holidays.list_send_hours, R.READ),

    Op("GET",    "/stop-all", stops.get_stop, R.READ),
    Op("POST",   "/stop-all", stops.stop_all, R.STOP_ALL),
    Op("POST",   "/stop-all/lift", stops.lift_stop, R.STOP_ALL),
    Op("GET",    "/stop-all/record", stops.list_stops, R.READ),

    Op("GET",    "/runs/{run_id}", runs.get_run, R.REPORTS),
    Op("GET",    "/runs/{run_id}/report", runs.get_report, R.REPORTS),
    Op("GET",    "/runs/{run_id}/messages", runs.list_messages, R.READ),
    Op("POST",   "/runs/{run_id}/messages/{no}/unmask", privacy.unmask_message, R.UNMASK),
    Op("GET",    "/runs/{run_id}/inbound", inbound.count_run_inbound, R.READ),

    Op("POST",   "/messages", messages.send_messages, R.SEND, 202),
    Op("POST",   "/messages/status", messages.get_statuses, R.READ, changes=False),
    Op("GET",    "/messages/{message_id}", messages.get_message, R.READ),
    Op("POST",   "/messages/{message_id}/cancel", messages.cancel_message, R.SEND),

    Op("GET",    "/webhooks", webhooks.list_webhooks, R.READ),
    Op("POST",   "/webhooks", webhooks.create_webhook, R.WEBHOOKS, 201),
    Op("GET",    "/webhooks/{webhook_id}", webhooks.get_webhook, R.READ),
    Op("PATCH",  "/webhooks/{webhook_id}", webhooks.edit_webhook, R.WEBHOOKS),
    Op("DELETE", "/webhooks/{webhook_id}", webhooks.delete_webhook, R.WEBHOOKS, 204),
    Op("POST",   "/webhooks/{webhook_id}/secret", webhooks.renew_secret, R.WEBHOOKS),
    Op("POST",   "/webhooks/{webhook_id}/test", webhooks.send_test, R.WEBHOOKS, 202),
    Op("POST",   "/webhooks/{webhook_id}/replay", webhooks.replay, R.WEBHOOKS, 202),
    Op("GET",    "/webhooks/{webhook_id}/deliveries", webhooks.list_deliveries, R.READ),

    Op("GET",    "/inbound", inbound.list_inbound, R.READ),
    Op("GET",    "/inbound/{inbound_id}", inbound.get_inbound, R.READ),
    Op("POST",   "/inbound/{inbound_id}/take", inbound.take_inbound, R.SUPPRESS),
    Op("POST",   "/inbound/{inbound_id}/done", inbound.finish_inbound, R.SUPPRESS),

    Op("POST",   "/inbound/{inbound_id}/unmask", privacy.unmask_inbound, R.UNMASK),

    Op("POST",   "/contacts/{contact_id}/unmask", privacy.unmask_contact, R.UNMASK),
    Op("POST",   "/privacy/lookup", privacy.look_up_person, R.PRIVACY),
    Op("GET",    "/privacy/report", privacy.get_report_of_erasures, R.PRIVACY),
    Op("POST",   "/privacy/erase", privacy.erase_person, R.PRIVACY),

    Op("GET",    "/uncertain", doubt.list_doubts, R.READ),
    Op("POST",   "/uncertain/decide", doubt.decide_doubts, R.CONTROL, errors=(404,)),
    Op("POST",   "/uncertain/statement", doubt.read_statement, R.CONTROL, errors=(404,)),
    Op("GET",    "/uncertain/policies", doubt.list_policies, R.READ),
    Op("PUT",    "/uncertain/policies", doubt.set_policy, R.CHANNELS),
    Op("GET",    "/receipts/unmatched", unmatched.list_unmatched, R.READ),
    Op("GET",    "/receipts/unmatched/export", unmatched.export_unmatched, R.READ),
    Op("POST",   "/receipts/unmatched/dismiss", unmatched.dismiss_unmatched, R.CONTROL),
    Op("GET",    "/reports/reconciliation", unmatched.get_reconciliation, R.READ, errors=(404,)),

    Op("GET",    "/channels", channels.list_channels, R.READ),
    Op("POST",   "/channels", channels.create_channel, R.CHANNELS, 201),
    Op("GET",    "/channels/kinds", channels.list_kinds, R.READ),
    Op("GET",    "/channels/codes", channels.list_codes, R.READ),
    Op("PUT",    "/channels/codes", channels.put_code, R.CHANNELS),
    Op("DELETE", "/channels/codes", channels.delete_code, R.CHANNELS, 204, errors=(404,)),
    Op("GET",    "/channels/{channel_id}", channels.get_channel, R.READ),
    Op("PATCH",  "/channels/{channel_id}", channels.edit_channel, R.CHANNELS, errors=(409,)),
    Op("GET",    "/channels/{channel_id}/health", lane_health.get_health, R.READ),
    Op("GET",    "/channels/{channel_id}/queue", queue.get_queue, R.READ),
    Op("POST",   "/channels/{channel_id}/test", channels.test_channel, R.CHANNELS),

    Op("POST",   "/routes/explain", routing.explain_route, R.READ, changes=False),
    Op("POST",   "/routes/overrides/lookup", routing.look_up_override, R.READ),
    Op("POST",   "/routes/overrides/imports", routing.import_overrides, R.CHANNELS),
    Op("PUT",    "/routes/overrides", routing.set_override, R.CHANNELS),
    Op("DELETE", "/routes/overrides", routing.delete_override, R.CHANNELS, 204, errors=(404,)),
)
# fmt: on

CALLBACKS = "/callbacks/{channel}"
"""POST: where gateways call us, with a signature and without a key; `api/callbacks.py` answers."""
