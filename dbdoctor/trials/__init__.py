"""Real SQLAlchemy pools, tried through faults."""
