#!/bin/sh
# Run once by PostgreSQL's image when the database is made: Grafana's role, which may log in and nothing else
# (`vigie dashboards grant grafana` gives it the views).
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$(cat /run/secrets/grafana_database_password)" \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN NOINHERIT PASSWORD :'password';
SQL
