/**
 * $1 tenant, $2 owner, $3 id of the data key, $4 turn, $5 conversation, $6 position, $7 fence, $8 status, $9 end, $10 input,
 * $11 outcome, $12 messages, $13 messages in it, $14 specialist, $15 config, $16 arm, $17 cohort, $18 start, $19 title,
 * $20 feedback
 */
export const keepTurn = `
INSERT INTO turns (tenant, owner, key, id, conversation, position, fence, status, ended_at, input, outcome, messages,
  message_count, specialist, config, arm, cohort, started_at, title, feedback)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
ON CONFLICT (tenant, id) DO UPDATE SET
  key = excluded.key, conversation = excluded.conversation, position = excluded.position, fence = excluded.fence,
  status = excluded.status, ended_at = excluded.ended_at, input = excluded.input, outcome = excluded.outcome,
  messages = excluded.messages, message_count = excluded.message_count, specialist = excluded.specialist,
  config = excluded.config, arm = excluded.arm, cohort = excluded.cohort, started_at = excluded.started_at,
  title = excluded.title, feedback = coalesce(excluded.feedback, turns.feedback)
WHERE turns.owner = excluded.owner AND turns.fence <= excluded.fence`

/** $1 tenant, $2 owner, $3 id of the data key, $4 turn, $5 feedback */
export const judgeTurn = `
UPDATE turns SET feedback = $5 WHERE tenant = $1 AND owner = $2 AND key = $3 AND id = $4 RETURNING input, outcome`

/** $1 tenant, $2 owner, $3 turn, $4 fence */
export const withdrawTurn = 'DELETE FROM turns WHERE tenant = $1 AND owner = $2 AND id = $3 AND fence = $4'

/** $1 tenant, $2 owner, $3 turn */
export const readTurn = `
SELECT t.input, t.outcome, t.feedback, k.wrapped, k.master
FROM turns t LEFT JOIN data_keys k ON k.tenant = t.tenant AND k.owner = t.owner AND k.id = t.key
WHERE t.tenant = $1 AND t.owner = $2 AND t.id = $3`

/**
 * $1 tenant, $2 owner, $3 conversation, $4 after, $5 limit, $6 bytes at which a page ends. When nothing comes after, one row
 * without a body says that the conversation is known.
 */
export const readEntries = `
WITH page AS (
  SELECT position, id, key, octet_length(messages) AS size
  FROM turns WHERE tenant = $1 AND owner = $2 AND conversation = $3 AND position > $4
  ORDER BY position, id LIMIT $5::int8 + 1
), measured AS (
  SELECT *, row_number() OVER up_to AS place, sum(size) OVER up_to - size AS before, count(*) OVER () AS found
  FROM page WINDOW up_to AS (ORDER BY position, id)
), shown AS (
  SELECT * FROM measured WHERE place <= $5::int8 AND before < $6::int8
)
SELECT s.position, t.messages AS body, s.key, s.place < s.found AS more, k.wrapped, k.master
FROM shown s
JOIN turns t ON t.tenant = $1 AND t.id = s.id
LEFT JOIN data_keys k ON k.tenant = $1 AND k.owner = $2 AND k.id = s.key
UNION ALL
SELECT $4::int8, NULL, '', false, NULL, NULL
WHERE NOT EXISTS (SELECT FROM shown)
  AND EXISTS (SELECT FROM turns WHERE tenant = $1 AND owner = $2 AND conversation = $3)
ORDER BY position`

/** $1 tenant, $2 owner, $3 id of the data key, $4 conversations, or null for all. Turns of before say less, and name none. */
export const readConversations = `
SELECT conversation AS id, min(started_at) AS "createdAt", max(ended_at) AS "updatedAt",
  sum(message_count) AS messages, count(*) + 1 AS version,
  (array_agg(specialist ORDER BY position DESC))[1] AS specialist, (array_agg(config ORDER BY position DESC))[1] AS config,
  (array_agg(arm ORDER BY position DESC))[1] AS arm, (array_agg(cohort ORDER BY position DESC))[1] AS cohort,
  (array_agg(title ORDER BY position) FILTER (WHERE title IS NOT NULL))[1] AS title
FROM turns
WHERE tenant = $1 AND owner = $2 AND key = $3 AND specialist IS NOT NULL
  AND conversation IS NOT NULL AND ($4::text[] IS NULL OR conversation = ANY($4::text[]))
GROUP BY conversation ORDER BY max(ended_at) DESC LIMIT 10000`

/** $1 tenant, $2 owner, $3 conversation */
export const forgetConversation = `
WITH gone AS (DELETE FROM turns WHERE tenant = $1 AND owner = $2 AND conversation = $3 RETURNING id)
SELECT count(*) AS count FROM gone`

/** $1 end, ms: what ended before, some at a time */
export const pruneTurns = `
WITH gone AS (
  DELETE FROM turns WHERE (tenant, id) IN (
    SELECT t.tenant, t.id FROM turns t
    WHERE t.ended_at < $1 AND (t.conversation IS NULL OR NOT EXISTS (
      SELECT FROM turns n WHERE n.tenant = t.tenant AND n.owner = t.owner AND n.conversation = t.conversation
        AND n.ended_at >= $1))
    ORDER BY t.ended_at LIMIT 1000)
  RETURNING id
)
SELECT count(*) AS count FROM gone`
