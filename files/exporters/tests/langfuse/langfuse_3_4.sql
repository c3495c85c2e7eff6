-- The tables of Langfuse 3 (traces, observations, scores) and 4 (events_core, scores) in ClickHouse,
-- with the columns that the exporter reads, their types, engines, partitions and orders.
CREATE TABLE traces (
    `id` String,
    `timestamp` DateTime64(3),
    `name` String,
    `user_id` Nullable(String),
    `project_id` String,
    `session_id` Nullable(String),
    `event_ts` DateTime64(3),
    `is_deleted` UInt8
) ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(timestamp)
PRIMARY KEY (project_id, toDate(timestamp)) ORDER BY (project_id, toDate(timestamp), id);

CREATE TABLE observations (
    `id` String,
    `trace_id` String,
    `project_id` String,
    `type` LowCardinality(String),
    `start_time` DateTime64(3),
    `end_time` Nullable(DateTime64(3)),
    `name` String,
    `level` LowCardinality(String),
    `provided_model_name` Nullable(String),
    `usage_details` Map(LowCardinality(String), UInt64),
    `cost_details` Map(LowCardinality(String), Decimal64(12)),
    `total_cost` Nullable(Decimal64(12)),
    `completion_start_time` Nullable(DateTime64(3)),
    `event_ts` DateTime64(3),
    `is_deleted` UInt8
) ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(start_time)
PRIMARY KEY (project_id, `type`, toDate(start_time))
ORDER BY (project_id, `type`, toDate(start_time), id);

CREATE TABLE scores (
    `id` String,
    `timestamp` DateTime64(3),
    `project_id` String,
    `trace_id` String,
    `name` String,
    `value` Float64,
    `data_type` String,
    `string_value` Nullable(String),
    `event_ts` DateTime64(3),
    `is_deleted` UInt8
) ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(timestamp)
PRIMARY KEY (project_id, toDate(timestamp), name)
ORDER BY (project_id, toDate(timestamp), name, id);

CREATE TABLE events_core (
    `project_id` String,
    `trace_id` String,
    `span_id` String,
    `parent_span_id` String,
    `start_time` DateTime64(6),
    `end_time` Nullable(DateTime64(6)),
    `name` String,
    `type` LowCardinality(String),
    `user_id` String,
    `session_id` String,
    `level` LowCardinality(String),
    `completion_start_time` Nullable(DateTime64(6)),
    `provided_model_name` String,
    `usage_details` Map(LowCardinality(String), UInt64),
    `cost_details` Map(LowCardinality(String), Decimal(18, 12)),
    `total_cost` Decimal(18, 12) ALIAS cost_details['total'],
    `event_ts` DateTime64(6),
    `is_deleted` UInt8
) ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(start_time)
PRIMARY KEY (project_id, toStartOfMinute(start_time), xxHash32(trace_id))
ORDER BY (project_id, toStartOfMinute(start_time), xxHash32(trace_id), span_id, start_time)
SAMPLE BY xxHash32(trace_id);
