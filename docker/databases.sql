-- Two databases, because MLflow and Prefect both use a table "alembic_version". POSTGRES_DB creates that of MLflow.
CREATE DATABASE prefect;
