"""Networks that connect machines."""
