"""What libpq itself does with connection parameters, so that a target means to us what it means to the driver."""
