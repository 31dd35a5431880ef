"""Demand and limits in, recommended pool settings out, with the working shown; pure: no driver, no socket, no clock."""
