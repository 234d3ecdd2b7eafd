"""Before the first retrain: init and doctor."""
