"""Real programs, each labelled as leaking or healthy, and what `leaks` makes of all of them at once."""
