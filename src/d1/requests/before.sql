-- The newest rows that fit, from ?2 downwards.
-- ?1 account, ?2 first row, ?3 and ?4 days, ?5 key, ?6 model, ?7 route, ?8 status (NULL: any), ?9 and ?10 time of
-- the request in milliseconds (from, before), ?11 the most rows to look at, ?12 the most rows to find.
-- `top`: the newest row that can fit; `bottom`: the oldest; `edge`: the last that is looked at.
WITH fitting AS MATERIALIZED (
    SELECT max(min(last_seq, CAST(?2 AS INTEGER))) AS top, min(first_seq) AS bottom
    FROM usage_daily
    WHERE account_id = ?1 AND day BETWEEN ?3 AND ?4 AND first_seq <= ?2
      AND (?5 IS NULL OR key_id = ?5) AND (?6 IS NULL OR model = ?6)
      AND (?7 IS NULL OR endpoint = ?7) AND (?8 IS NULL OR status = ?8)
),
looked AS MATERIALIZED (
    SELECT top, bottom, max(bottom, top - CAST(?11 AS INTEGER) + 1) AS edge FROM fitting
)
SELECT (SELECT edge FROM looked) AS seen, (SELECT bottom FROM looked) AS last, json_group_array(json_object(
    'seq', seq, 'id', id, 'kind', kind, 'at_ms', at_ms, 'amount', amount_nano_usd, 'key_id', key_id,
    'endpoint', coalesce(endpoint, ''), 'model', model, 'input', coalesce(input_tokens, 0),
    'cache_read', coalesce(cache_read_tokens, 0), 'cache_write_5m', coalesce(cache_write_5m_tokens, 0),
    'cache_write_1h', coalesce(cache_write_1h_tokens, 0), 'output', coalesce(output_tokens, 0),
    'reasoning', coalesce(reasoning_tokens, 0), 'web_searches', coalesce(web_searches, 0), 'status', status,
    'billing_status', billing_status, 'settled_by', settled_by, 'uncollected', coalesce(uncollected_nano_usd, 0),
    'dropped', dropped, 'created_at_ms', coalesce(created_at_ms, at_ms)
)) AS rows
FROM (
    SELECT * FROM journal
    WHERE account_id = ?1 AND seq <= (SELECT top FROM looked) AND seq >= (SELECT edge FROM looked)
      AND model IS NOT NULL AND created_at_ms >= ?9 AND created_at_ms < ?10
      AND (?5 IS NULL OR key_id = ?5) AND (?6 IS NULL OR model = ?6)
      AND (?7 IS NULL OR endpoint = ?7) AND (?8 IS NULL OR status = ?8)
    ORDER BY seq DESC LIMIT ?12
)
