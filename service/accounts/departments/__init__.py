"""Departments, and names that look alike."""
