-- The catalogue: where requests can be sent, what customers can ask for, what it costs, who serves it.
-- `xtask catalog apply` alone writes these tables, in one transaction; the Worker reads all four in one batch
-- (crates/catalog/src/rows.rs has a struct for each). Every integer stays within 2^53 - 1, because D1 hands
-- integers over as JavaScript numbers. Lists and maps are JSON in TEXT. Truth values are 0 or 1.

CREATE TABLE upstreams (
  id TEXT PRIMARY KEY,
  dialects TEXT NOT NULL CHECK (json_type(dialects) = 'array'),
  base_url TEXT NOT NULL,
  -- The name of a Worker secret, never the secret. NULL: no credentials are sent.
  secret TEXT,
  -- Lower is tried first.
  priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 4294967295),
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  -- NULL: as the dialect wants it.
  auth TEXT CHECK (auth IN ('bearer', 'x-api-key', 'api-key', 'query')),
  query TEXT NOT NULL CHECK (json_type(query) = 'object'),
  timeouts_ms TEXT NOT NULL CHECK (json_type(timeouts_ms) = 'object'),
  responses_complete INTEGER NOT NULL CHECK (responses_complete IN (0, 1)),
  -- 0: it rejects the request field of that name and reports the usage of a stream unasked.
  stream_options INTEGER NOT NULL CHECK (stream_options IN (0, 1)),
  -- Dotted names of fields that are removed from this upstream's answers.
  strip TEXT NOT NULL CHECK (json_type(strip) = 'array')
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  id TEXT PRIMARY KEY,
  owned_by TEXT NOT NULL,
  display_name TEXT NOT NULL,
  -- Tokens, here and in the next two.
  context_window INTEGER NOT NULL CHECK (context_window BETWEEN 1 AND 9007199254740991),
  max_output_tokens INTEGER CHECK (max_output_tokens BETWEEN 1 AND 9007199254740991),
  image_tokens INTEGER CHECK (image_tokens BETWEEN 1 AND 9007199254740991),
  limit_field TEXT CHECK (limit_field IN ('max_tokens', 'max_completion_tokens', 'max_output_tokens')),
  hidden_reasoning INTEGER NOT NULL CHECK (hidden_reasoning IN (0, 1)),
  tokens_per_s INTEGER CHECK (tokens_per_s BETWEEN 1 AND 9007199254740991),
  capabilities TEXT NOT NULL CHECK (json_type(capabilities) = 'array'),
  -- Unix seconds.
  created INTEGER NOT NULL,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1))
) STRICT, WITHOUT ROWID;

-- A usage row names its price by (model_id, effective_at_ms), so a price is never deleted and never
-- overwritten: what leaves the catalogue, with its model or by a correction, is retired and stays as history.
-- That is why model_id is no foreign key. Prices that count have retired_at_ms = 0; it leads the key, so
-- that the Worker's read touches no history.
CREATE TABLE prices (
  model_id TEXT NOT NULL,
  effective_at_ms INTEGER NOT NULL,
  -- 0: the base tier; else the longest input, in tokens, that still has the base price.
  above_input INTEGER NOT NULL CHECK (above_input BETWEEN 0 AND 9007199254740991),
  -- 0, or when an apply took it out of the catalogue, in Unix milliseconds.
  retired_at_ms INTEGER NOT NULL DEFAULT 0,
  -- Pico-USD a token. NULL is "no such price", which is not 0.
  input INTEGER NOT NULL CHECK (input BETWEEN 0 AND 9007199254740991),
  output INTEGER CHECK (output BETWEEN 0 AND 9007199254740991),
  cache_read INTEGER CHECK (cache_read BETWEEN 0 AND 9007199254740991),
  cache_write_5m INTEGER CHECK (cache_write_5m BETWEEN 0 AND 9007199254740991),
  cache_write_1h INTEGER CHECK (cache_write_1h BETWEEN 0 AND 9007199254740991),
  -- Pico-USD a call.
  request INTEGER CHECK (request BETWEEN 0 AND 9007199254740991),
  web_search INTEGER CHECK (web_search BETWEEN 0 AND 9007199254740991),
  -- Pico-USD a token.
  audio_input INTEGER CHECK (audio_input BETWEEN 0 AND 9007199254740991),
  audio_output INTEGER CHECK (audio_output BETWEEN 0 AND 9007199254740991),
  PRIMARY KEY (retired_at_ms, model_id, effective_at_ms, above_input)
) STRICT, WITHOUT ROWID;

CREATE TABLE routes (
  model_id TEXT NOT NULL REFERENCES models (id),
  -- The place among the model's routes in the file: the order of equal priorities.
  position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 4294967295),
  upstream_id TEXT NOT NULL REFERENCES upstreams (id),
  upstream_model TEXT NOT NULL,
  -- NULL: the upstream's.
  priority INTEGER CHECK (priority BETWEEN 0 AND 4294967295),
  -- What the operator pays: a JSON object in pico-USD with the names of the price columns.
  cost TEXT CHECK (json_type(cost) = 'object'),
  PRIMARY KEY (model_id, position)
) STRICT, WITHOUT ROWID;
