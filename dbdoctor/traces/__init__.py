"""Reads what the recorder wrote, outside of the application."""
