-- Calls that took effect, by the hash of caller and Idempotency-Key.
CREATE TABLE once (
  id         TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL,
  doc        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX once_by_expiry ON once (expires_at);
