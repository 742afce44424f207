-- Request fields beyond those of its dialects that an upstream takes, as a JSON array of names.
ALTER TABLE upstreams ADD COLUMN passes TEXT NOT NULL DEFAULT '[]' CHECK (json_type(passes) = 'array');

-- 1: no limit of a request bounds what the model reasons.
ALTER TABLE models ADD COLUMN reasoning_beyond_limit INTEGER NOT NULL DEFAULT 0
  CHECK (reasoning_beyond_limit IN (0, 1));
