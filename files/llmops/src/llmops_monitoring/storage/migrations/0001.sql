-- Events by day. The columns are those of storage/columns.py.
CREATE TABLE {schema}.{table} (
  event_id text COLLATE "C" NOT NULL,
  timestamp timestamptz NOT NULL,
  schema_version bigint NOT NULL,
  session_id text COLLATE "C",
  trace_id text COLLATE "C",
  span_id text COLLATE "C" NOT NULL,
  parent_span_id text COLLATE "C",
  operation_name text COLLATE "C" NOT NULL,
  operation_type text COLLATE "C" NOT NULL,
  duration_ms double precision NOT NULL,
  error boolean NOT NULL,
  error_type text COLLATE "C",
  cost double precision,
  model text COLLATE "C",
  input_tokens bigint,
  output_tokens bigint,
  total_tokens bigint,
  cached_input_tokens bigint,
  cache_write_tokens bigint,
  reasoning_tokens bigint,
  text_characters bigint,
  text_words bigint,
  text_bytes bigint,
  text_lines bigint,
  image_count bigint,
  image_pixels bigint,
  image_bytes bigint,
  image_width bigint,
  image_height bigint,
  image_format text COLLATE "C",
  stream_ended text COLLATE "C",
  stream_chunks bigint,
  stream_time_to_first_token_ms double precision,
  stream_gap_mean_ms double precision,
  stream_gap_max_ms double precision,
  custom_attributes jsonb NOT NULL,
  -- A unique key of a partitioned table has to name what it is partitioned by.
  PRIMARY KEY (event_id, timestamp)
) PARTITION BY RANGE (timestamp);

CREATE INDEX ON {schema}.{table} (session_id, timestamp DESC);
CREATE INDEX ON {schema}.{table} (trace_id, timestamp DESC);
CREATE INDEX ON {schema}.{table} (parent_span_id);
CREATE INDEX ON {schema}.{table} (operation_name, timestamp DESC);

-- Who writes need not own the table to have partitions made: the function runs as its owner.
CREATE FUNCTION {schema}.{add_partition}(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := left({table_name}, 54) || to_char(day, '_YYYYMMDD');
BEGIN
  IF to_regclass(format('%I.%I', {schema_name}, name)) IS NOT NULL THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext({schema_name} || '.' || {table_name}));
  EXECUTE format(
    'CREATE TABLE IF NOT EXISTS %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)',
    {schema_name}, name, {schema_name}, {table_name},
    day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00'
  );
END
$$;

-- Drops all days before the given one; returns how many there were.
CREATE FUNCTION {schema}.{drop_partitions}(before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text;
  dropped integer := 0;
BEGIN
  FOR name IN
    SELECT child.relname FROM pg_inherits
    JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent = to_regclass(format('%I.%I', {schema_name}, {table_name}))
      AND to_date(right(child.relname, 8), 'YYYYMMDD') < before
  LOOP
    EXECUTE format('DROP TABLE %I.%I', {schema_name}, name);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END
$$;

REVOKE ALL ON FUNCTION {schema}.{add_partition}(date) FROM PUBLIC;
REVOKE ALL ON FUNCTION {schema}.{drop_partitions}(date) FROM PUBLIC;
