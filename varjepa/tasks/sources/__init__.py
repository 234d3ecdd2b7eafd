"""Opens tables wherever they lie: local files, object stores, the web, Delta, Iceberg, databases."""
