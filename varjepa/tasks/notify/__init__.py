"""Messages to people about runs and versions."""
