"""From what the user typed to a Target: DSN dialects, config files, live engines."""
