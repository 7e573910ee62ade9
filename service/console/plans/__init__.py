"""Campaigns: the list, the planner, a campaign and its life, signing, the calendar, joint plans."""
