#!/bin/sh
# Makes the cluster where there is none, gives its owner the password that is in the file, and becomes PostgreSQL.
# The superuser has no password: only who is in this container becomes it, by the socket.
set -eu
umask 077
configuration=/etc/event_store/postgresql.conf

# Reads statements, a line each, and ends at the first that fails. None of them gets into a log.
alone() {
  postgres --single -D "$1" -c config_file="$configuration" -c exit_on_error=on postgres >/dev/null
}

# A password is a literal: what is twice in it is once in its value.
password=$(sed "s/'/''/g" /run/secrets/owner_password)

if [ ! -e "$PGDATA" ]; then
  # What was interrupted is begun anew; only a whole cluster gets the name.
  rm -rf "$PGDATA.new"
  initdb --pgdata="$PGDATA.new" --username=postgres --auth-local=peer --auth-host=scram-sha-256 --encoding=UTF8 \
    --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 --data-checksums --no-instructions
  alone "$PGDATA.new" <<SQL
CREATE ROLE llmops_owner LOGIN CREATEROLE
CREATE DATABASE llmops OWNER llmops_owner
SQL
  mv "$PGDATA.new" "$PGDATA"
fi

alone "$PGDATA" <<SQL
ALTER ROLE llmops_owner PASSWORD '$password'
SQL
unset password

exec postgres -D "$PGDATA" -c config_file="$configuration"
