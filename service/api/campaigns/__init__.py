"""Campaigns over HTTP: plans, previews, reports, what comes after."""
