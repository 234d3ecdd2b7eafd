"""Set-up before the first retrain: init and doctor."""
