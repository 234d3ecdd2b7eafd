"""What decides between two models: evidence, verdict, vetoes."""
