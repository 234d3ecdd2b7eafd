"""From a finished model to a version: card, comparison, registration, gate."""
