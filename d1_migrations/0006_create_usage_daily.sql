-- What each account's requests used and cost by the day of UTC on which they were made, and between which rows of
-- the journal they stand, so that a search for few among many knows where to look.
CREATE TABLE usage_daily (
    account_id TEXT NOT NULL,
    -- Days since 1970-01-01.
    day INTEGER NOT NULL,
    -- Empty: the account's owner, without a key.
    key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    status TEXT NOT NULL,
    requests INTEGER NOT NULL,
    -- Input of every kind.
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    -- Those of the output.
    reasoning_tokens INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (account_id, day, key_id, model, endpoint, status)
) STRICT, WITHOUT ROWID;

-- Rows of the journal that are no request: a list of them must not read all requests. They are few, so that it
-- costs nothing.
CREATE INDEX journal_other ON journal (account_id, seq) WHERE kind <> 'usage';

-- Counts each row once, for it runs only for one that was inserted. A late settle (an adjustment that has a model)
-- changes what a request cost, and is no second request: its counts are those of the whole request, of which the
-- expired hold's row has told some, and are left out. No sum passes 2^53 - 1: D1 hands integers over as JavaScript
-- numbers, and a row must not be refused for a sum.
CREATE TRIGGER journal_daily AFTER INSERT ON journal WHEN NEW.model IS NOT NULL
BEGIN
    INSERT INTO usage_daily (account_id, day, key_id, model, endpoint, status, requests, input_tokens, output_tokens,
        reasoning_tokens, cost_nano_usd, first_seq, last_seq)
    VALUES (NEW.account_id, coalesce(NEW.created_at_ms, NEW.at_ms) / 86400000, coalesce(NEW.key_id, ''), NEW.model,
        coalesce(NEW.endpoint, ''), coalesce(NEW.status, ''), NEW.kind = 'usage',
        (NEW.kind = 'usage') * min(9007199254740991, coalesce(NEW.input_tokens, 0) + coalesce(NEW.cache_read_tokens, 0)
            + coalesce(NEW.cache_write_5m_tokens, 0) + coalesce(NEW.cache_write_1h_tokens, 0)),
        (NEW.kind = 'usage') * coalesce(NEW.output_tokens, 0), (NEW.kind = 'usage') * coalesce(NEW.reasoning_tokens, 0),
        -NEW.amount_nano_usd, NEW.seq, NEW.seq)
    ON CONFLICT (account_id, day, key_id, model, endpoint, status) DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = min(9007199254740991, input_tokens + excluded.input_tokens),
        output_tokens = min(9007199254740991, output_tokens + excluded.output_tokens),
        reasoning_tokens = min(9007199254740991, reasoning_tokens + excluded.reasoning_tokens),
        cost_nano_usd = max(-9007199254740991, min(9007199254740991, cost_nano_usd + excluded.cost_nano_usd)),
        first_seq = min(first_seq, excluded.first_seq),
        last_seq = max(last_seq, excluded.last_seq);
END;

-- What is there already.
INSERT INTO usage_daily (account_id, day, key_id, model, endpoint, status, requests, input_tokens, output_tokens,
    reasoning_tokens, cost_nano_usd, first_seq, last_seq)
SELECT account_id, coalesce(created_at_ms, at_ms) / 86400000, coalesce(key_id, ''), model, coalesce(endpoint, ''),
    coalesce(status, ''), sum(kind = 'usage'),
    CAST(min(9007199254740991, total((kind = 'usage') * (coalesce(input_tokens, 0.0) + coalesce(cache_read_tokens, 0)
        + coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)))) AS INTEGER),
    CAST(min(9007199254740991, total((kind = 'usage') * coalesce(output_tokens, 0))) AS INTEGER),
    CAST(min(9007199254740991, total((kind = 'usage') * coalesce(reasoning_tokens, 0))) AS INTEGER),
    sum(-amount_nano_usd), min(seq), max(seq)
FROM journal
WHERE model IS NOT NULL
GROUP BY account_id, coalesce(created_at_ms, at_ms) / 86400000, coalesce(key_id, ''), model, coalesce(endpoint, ''),
    coalesce(status, '');
