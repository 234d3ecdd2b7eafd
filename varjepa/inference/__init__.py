"""Using a trained model on new rows."""
