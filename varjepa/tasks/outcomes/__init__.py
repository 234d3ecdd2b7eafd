"""Labels that arrived later: how predictions and promises held up."""
