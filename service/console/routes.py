"""Every page of the console on one screen: method, address, function, the right that it takes.

The address is the noun. A POST without `again` is a button; with it a form, which is shown again
with what was typed when it is refused.

One module: it is one table.
"""

from service.accounts.people.model import Right
from service.console.account import entrance
from service.console.account import pages as account
from service.console.duty import queue, replies, uncertain_texts
from service.console.duty import stop as stopping
from service.console.office import departments as office_departments
from service.console.office import keys as office_keys
from service.console.office import people as office_people
from service.console.page import OpenPage, WebPage
from service.console.plans import acts as plan_acts
from service.console.plans import lists as plans
from service.console.plans import plan, planner
from service.console.runs import acts as run_acts
from service.console.runs import pages as runs
from service.console.texts import pages as texts
from service.console.today import pages as today

R = Right

# fmt: off
OPEN_PAGES = (
    OpenPage("GET",  "/login", entrance.show_login),
    OpenPage("POST", "/login", entrance.log_in),
    OpenPage("POST", "/language", entrance.choose_language),
    OpenPage("POST", "/scheme", entrance.choose_scheme),
)

PAGES = (
    WebPage("GET",  "/today", today.show_today),
    WebPage("GET",  "/today/now", today.show_now, is_part=True, is_polled=True),
    WebPage("GET",  "/today/day", today.show_day, R.REPORTS, heavy=True, is_part=True),
    WebPage("GET",  "/today/week", today.show_week, R.REPORTS, heavy=True, is_part=True),

    WebPage("GET",  "/runs", runs.show_runs, R.REPORTS),
    WebPage("GET",  "/runs/{run_id}", runs.show_run, R.REPORTS),
    WebPage("GET",  "/runs/{run_id}/progress", runs.show_progress, R.REPORTS, is_part=True,
         is_polled=True),
    WebPage("POST", "/runs/{run_id}/pause", run_acts.pause, R.CONTROL),
    WebPage("POST", "/runs/{run_id}/resume", run_acts.resume, R.CONTROL,
         again=run_acts.show_resume),
    WebPage("GET",  "/runs/{run_id}/cancel", run_acts.show_cancel, R.REPORTS),
    WebPage("POST", "/runs/{run_id}/cancel", run_acts.cancel, again=run_acts.show_cancel),

    WebPage("GET",  "/duty", queue.show_duty, R.READ),
    WebPage("GET",  "/duty/stop", stopping.show_stop, R.READ),
    WebPage("POST", "/duty/stop", stopping.stop, R.STOP_ALL, again=stopping.show_stop),
    WebPage("POST", "/duty/stop/lift", stopping.lift, R.STOP_ALL, again=stopping.show_stop),
    WebPage("GET",  "/duty/doubt", uncertain_texts.show_uncertain, R.READ),
    WebPage("POST", "/duty/doubt/ask", uncertain_texts.ask, R.CONTROL, reads=True),
    WebPage("POST", "/duty/doubt", uncertain_texts.decide, R.CONTROL, again=uncertain_texts.ask),
    WebPage("POST", "/duty/doubt/statement", uncertain_texts.read_statement, R.CONTROL,
         again=uncertain_texts.show_uncertain, takes_file=True),
    WebPage("POST", "/duty/doubt/policy", uncertain_texts.set_policy, R.CHANNELS,
         again=uncertain_texts.show_uncertain),
    WebPage("GET",  "/duty/replies", replies.show_replies, R.READ),
    WebPage("GET",  "/duty/replies/{inbound_id}", replies.show_reply, R.READ),
    WebPage("POST", "/duty/replies/{inbound_id}/take", replies.take, R.SUPPRESS),
    WebPage("POST", "/duty/replies/{inbound_id}/done", replies.finish, R.SUPPRESS,
         again=replies.show_reply),
    WebPage("POST", "/duty/replies/{inbound_id}/unmask", replies.unmask, R.UNMASK,
         again=replies.show_reply),
    WebPage("GET",  "/masked", replies.show_masked, is_part=True, is_polled=True),

    WebPage("GET",  "/texts", texts.show_texts, R.READ),
    WebPage("GET",  "/texts/library", texts.show_library, R.READ),
    WebPage("GET",  "/texts/new", texts.show_new, R.WRITE, heavy=True),
    WebPage("POST", "/texts/new", texts.create_text, R.WRITE, again=texts.show_new, heavy=True),
    WebPage("POST", "/texts/check", texts.show_check, R.READ, heavy=True, is_part=True, reads=True),
    WebPage("GET",  "/texts/{template_id}", texts.show_text, R.READ),
    WebPage("GET",  "/texts/{template_id}/readers", texts.show_readers, R.READ, heavy=True,
         is_part=True),
    WebPage("GET",  "/texts/{template_id}/edit", texts.show_edit, R.WRITE, heavy=True),
    WebPage("POST", "/texts/{template_id}/edit", texts.edit_text, R.WRITE, again=texts.show_edit,
         heavy=True),
    WebPage("GET",  "/texts/{template_id}/compare/{old}/{new}", texts.show_comparison, R.READ),
    WebPage("POST", "/texts/{template_id}/approve", texts.approve_text, R.APPROVE,
         again=texts.show_text),
    WebPage("GET",  "/plans", plans.show_plans, R.REPORTS),
    WebPage("GET",  "/plans/new", planner.show_new, R.PLAN),
    WebPage("POST", "/plans/new", planner.create, R.PLAN, again=planner.show_new, heavy=True),
    WebPage("POST", "/plans/new/side", planner.show_side, R.PLAN, heavy=True, is_part=True,
         reads=True),
    WebPage("GET",  "/plans/{campaign_id}/edit", planner.show_edit, R.PLAN),
    WebPage("POST", "/plans/{campaign_id}/edit", planner.edit, R.PLAN, again=planner.show_edit,
         heavy=True),
    WebPage("POST", "/plans/{campaign_id}/side", planner.show_side, R.PLAN, heavy=True,
         is_part=True, reads=True),
    WebPage("GET",  "/plans/{campaign_id}", plan.show_plan, R.REPORTS),
    WebPage("POST", "/plans/{campaign_id}/submit", plan_acts.submit, R.SUBMIT,
         again=plan.show_plan),
    WebPage("POST", "/plans/{campaign_id}/pause", plan_acts.pause, R.CONTROL, again=plan.show_plan),
    WebPage("GET",  "/plans/{campaign_id}/resume", plan_acts.show_resume, R.CONTROL),
    WebPage("POST", "/plans/{campaign_id}/resume", plan_acts.resume, R.CONTROL,
         again=plan_acts.show_resume),
    WebPage("GET",  "/plans/{campaign_id}/release", plan_acts.show_release, R.CONTROL),
    WebPage("POST", "/plans/{campaign_id}/release", plan_acts.release, R.CONTROL,
         again=plan_acts.show_release),
    WebPage("GET",  "/plans/{campaign_id}/cancel", plan_acts.show_cancel, R.CONTROL),
    WebPage("POST", "/plans/{campaign_id}/cancel", plan_acts.cancel, R.CONTROL,
         again=plan_acts.show_cancel),
    WebPage("POST", "/plans/{campaign_id}/clone", plan_acts.clone, R.PLAN, again=plan.show_plan),
    WebPage("POST", "/plans/{campaign_id}/milestones", plan_acts.add_milestone, R.PLAN,
         again=plan.show_plan),
    WebPage("POST", "/plans/{campaign_id}/milestones/{milestone_id}/done",
         plan_acts.finish_milestone,
         R.PLAN, again=plan.show_plan),
    WebPage("GET",  "/plans/{campaign_id}/return", plan_acts.show_return, R.APPROVE),
    WebPage("POST", "/plans/{campaign_id}/return", plan_acts.send_back, R.APPROVE,
         again=plan_acts.show_return),
    WebPage("GET",  "/plans/{campaign_id}/reject", plan_acts.show_reject, R.APPROVE),
    WebPage("POST", "/plans/{campaign_id}/reject", plan_acts.reject, R.APPROVE,
         again=plan_acts.show_reject),

    WebPage("GET",  "/office", office_departments.show_departments, R.ACCOUNTS),
    WebPage("GET",  "/office/departments", office_departments.show_departments, R.ACCOUNTS),
    WebPage("GET",  "/office/departments/new", office_departments.show_new_department, R.ACCOUNTS),
    WebPage("POST", "/office/departments/new", office_departments.create_department, R.ACCOUNTS,
         again=office_departments.show_new_department),
    WebPage("GET",  "/office/departments/{department_id}", office_departments.show_department,
         R.ACCOUNTS),
    WebPage("POST", "/office/departments/{department_id}", office_departments.edit_department,
         R.ACCOUNTS, again=office_departments.show_department),
    WebPage("POST", "/office/departments/{department_id}/signatures/{proposal_id}/confirm",
         office_departments.confirm_signature, R.ACCOUNTS,
         again=office_departments.show_department),
    WebPage("GET",  "/office/users", office_people.show_users, R.ACCOUNTS),
    WebPage("GET",  "/office/users/new", office_people.show_new_user, R.ACCOUNTS),
    WebPage("POST", "/office/users/new", office_people.create_user, R.ACCOUNTS,
         again=office_people.show_new_user),
    WebPage("GET",  "/office/users/{user_id}", office_people.show_user, R.ACCOUNTS),
    WebPage("POST", "/office/users/{user_id}", office_people.edit_user, R.ACCOUNTS,
         again=office_people.show_user),
    WebPage("POST", "/office/users/{user_id}/grants/{grant_id}/confirm",
         office_people.confirm_grant, R.ACCOUNTS, again=office_people.show_user),
    WebPage("POST", "/office/users/{user_id}/service", office_people.set_service, R.ACCOUNTS,
         again=office_people.show_user),
    WebPage("POST", "/office/users/{user_id}/password", office_people.give_password, R.ACCOUNTS,
         again=office_people.show_user),
    WebPage("POST", "/office/users/{user_id}/password/confirm", office_people.confirm_password,
         R.ACCOUNTS, again=office_people.show_user),
    WebPage("POST", "/office/users/{user_id}/authenticator/reset",
         office_people.reset_authenticator, R.ACCOUNTS, again=office_people.show_user),
    WebPage("GET",  "/office/keys", office_keys.show_keys, R.ACCOUNTS),
    WebPage("GET",  "/office/keys/new", office_keys.show_new_key, R.ACCOUNTS),
    WebPage("POST", "/office/keys/new", office_keys.create_key, R.ACCOUNTS,
         again=office_keys.show_new_key),
    WebPage("POST", "/office/keys/{key_id}/activate", office_keys.activate_key, R.ACCOUNTS,
         again=office_keys.show_keys),
    WebPage("POST", "/office/keys/{key_id}/rotate", office_keys.rotate_key, R.ACCOUNTS,
         again=office_keys.show_keys),
    WebPage("GET",  "/office/keys/{key_id}/revoke", office_keys.show_revoke, R.ACCOUNTS),
    WebPage("POST", "/office/keys/{key_id}/revoke", office_keys.revoke_key, R.ACCOUNTS,
         again=office_keys.show_revoke),

    WebPage("POST", "/logout", entrance.log_out),
    WebPage("GET",  "/account", account.show_account),
    WebPage("GET",  "/account/password", account.show_password),
    WebPage("POST", "/account/password", account.change_password, again=account.show_password),
    WebPage("GET",  "/account/authenticator", account.show_authenticator),
    WebPage("POST", "/account/authenticator", account.begin_authenticator,
         again=account.show_authenticator),
    WebPage("POST", "/account/authenticator/confirm", account.confirm_authenticator,
         again=account.show_authenticator),
    WebPage("POST", "/account/sessions/{session_id}/end", account.end_session),
)
# fmt: on
