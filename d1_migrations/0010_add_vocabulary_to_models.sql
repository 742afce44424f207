-- The family of the tokenizer's vocabulary, which decides how the Worker counts text. The names are those of the
-- enum `Vocabulary` of crates/dialect.
ALTER TABLE models ADD COLUMN vocabulary TEXT NOT NULL DEFAULT 'common'
  CHECK (vocabulary IN ('common', 'single_digit', 'qwen', 'llama', 'deepseek', 'mistral', 'command', 'cl100k', 'unknown'));
