-- What a translated answer lost on its way to the client, as `name=count, …`; NULL: nothing.
ALTER TABLE journal ADD COLUMN dropped TEXT;

DROP VIEW usage;

-- One row for each admitted request.
CREATE VIEW usage AS
SELECT
    id AS request_id,
    account_id,
    key_id,
    endpoint,
    model,
    upstream,
    input_tokens,
    cache_read_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    output_tokens,
    reasoning_tokens,
    web_searches,
    status,
    billing_status,
    settled_by,
    -amount_nano_usd AS cost_nano_usd,
    uncollected_nano_usd,
    lost_nano_usd,
    price_version,
    unpriced,
    dropped,
    created_at_ms,
    at_ms AS settled_at_ms,
    seq
FROM journal
WHERE kind = 'usage';
