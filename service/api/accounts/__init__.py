"""Departments, users, keys, logins and the audit trail over HTTP."""
