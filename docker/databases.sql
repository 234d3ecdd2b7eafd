-- Two databases: MLflow and Prefect both keep a table "alembic_version". MLflow's is made by POSTGRES_DB.
CREATE DATABASE prefect;
