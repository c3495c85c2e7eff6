-- The tables of Langfuse 2 that the exporter reads, with its columns, types and indexes on times.
CREATE TYPE "ObservationType" AS ENUM ('SPAN', 'EVENT', 'GENERATION');
CREATE TYPE "ObservationLevel" AS ENUM ('DEBUG', 'DEFAULT', 'WARNING', 'ERROR');
CREATE TYPE "ScoreDataType" AS ENUM ('CATEGORICAL', 'NUMERIC', 'BOOLEAN');
CREATE TYPE "ScoreSource" AS ENUM ('ANNOTATION', 'API', 'EVAL');

CREATE TABLE traces (
    id text PRIMARY KEY,
    external_id text,
    timestamp timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    name text,
    user_id text,
    metadata jsonb,
    release text,
    version text,
    project_id text NOT NULL,
    public boolean NOT NULL DEFAULT false,
    bookmarked boolean NOT NULL DEFAULT false,
    tags text[] DEFAULT ARRAY[]::text[],
    input jsonb,
    output jsonb,
    session_id text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX traces_timestamp_idx ON traces (timestamp);

CREATE TABLE observations (
    id text PRIMARY KEY,
    trace_id text,
    project_id text NOT NULL,
    type "ObservationType" NOT NULL,
    start_time timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    end_time timestamp(3),
    name text,
    metadata jsonb,
    parent_observation_id text,
    level "ObservationLevel" NOT NULL DEFAULT 'DEFAULT',
    status_message text,
    version text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    model text,
    internal_model text,
    internal_model_id text,
    "modelParameters" jsonb,
    input jsonb,
    output jsonb,
    prompt_tokens integer NOT NULL DEFAULT 0,
    completion_tokens integer NOT NULL DEFAULT 0,
    total_tokens integer NOT NULL DEFAULT 0,
    unit text,
    input_cost numeric(65, 30),
    output_cost numeric(65, 30),
    total_cost numeric(65, 30),
    calculated_input_cost numeric(65, 30),
    calculated_output_cost numeric(65, 30),
    calculated_total_cost numeric(65, 30),
    completion_start_time timestamp(3),
    prompt_id text
);
CREATE INDEX observations_start_time_idx ON observations (start_time);

CREATE TABLE scores (
    id text PRIMARY KEY,
    timestamp timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    project_id text NOT NULL,
    name text NOT NULL,
    value double precision,
    source "ScoreSource" NOT NULL,
    author_user_id text,
    comment text,
    trace_id text NOT NULL,
    observation_id text,
    config_id text,
    string_value text,
    data_type "ScoreDataType" NOT NULL DEFAULT 'NUMERIC',
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX scores_timestamp_idx ON scores (timestamp);
