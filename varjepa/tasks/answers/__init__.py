"""What commands answer with `--json`, key by key; flows and tasks build these, tables on the terminal read them."""
