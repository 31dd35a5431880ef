"""The real servers that the tests talk to: each started on demand on a free loopback port, and always stopped."""
