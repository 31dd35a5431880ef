"""What several dialects need: percent-encoding, URLs, `key=value;` lists, and what each driver calls its options."""
