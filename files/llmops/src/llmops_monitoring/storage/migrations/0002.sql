-- Who asks for a time and not for an operation reads that part of the day alone. Events come almost by time, so that
-- this index takes some kilobytes a day, and little when writing.
CREATE INDEX ON {schema}.{table} USING brin (timestamp) WITH (pages_per_range = 32, autosummarize = on);
