"""The search for better settings: Optuna proposes, the steps of a retrain train, MLflow records."""
