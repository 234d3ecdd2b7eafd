"""What all steps share: reuse of results, what a result depends on, retries, files."""
