-- Version 1 of the queue's tables. Times are microseconds since 1970, UTC.

-- head marks the oldest message of each group: the one that may be delivered.
-- A message that is in_flight is on its way until visible_at.
CREATE TABLE queue_messages (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  grp        TEXT NOT NULL,
  dedup      TEXT NOT NULL,
  body       BLOB NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  in_flight  INTEGER NOT NULL DEFAULT 0,
  visible_at INTEGER NOT NULL DEFAULT 0,
  head       INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_groups ON queue_messages (grp, seq);
CREATE INDEX queue_heads ON queue_messages (seq) WHERE head = 1;

CREATE TABLE queue_dedup (
  grp     TEXT NOT NULL,
  dedup   TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  PRIMARY KEY (grp, dedup)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_dedup_by_time ON queue_dedup (sent_at);

CREATE TABLE queue_dead (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  grp      TEXT NOT NULL,
  dedup    TEXT NOT NULL,
  body     BLOB NOT NULL,
  attempts INTEGER NOT NULL
) STRICT;
