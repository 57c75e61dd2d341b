-- A notice without a position has no place in its app's feed yet; the other
-- columns are filled with it.
ALTER TABLE notices ADD COLUMN app_id TEXT;
ALTER TABLE notices ADD COLUMN member_id TEXT;
ALTER TABLE notices ADD COLUMN at INTEGER;
ALTER TABLE notices ADD COLUMN position INTEGER;
CREATE INDEX notices_unplaced ON notices (position) WHERE position IS NULL;
CREATE UNIQUE INDEX notices_by_feed ON notices (app_id, position) WHERE position IS NOT NULL;
CREATE INDEX notices_by_member ON notices (app_id, member_id, position) WHERE position IS NOT NULL;
CREATE INDEX notices_by_time ON notices (at) WHERE position IS NOT NULL;

-- The highest position that an app ever had.
CREATE TABLE feed_ends (
  app_id   TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- failing_since is outside of the document: it is no change of the resource.
CREATE TABLE endpoints (
  id            TEXT PRIMARY KEY,
  app_id        TEXT NOT NULL REFERENCES apps (id),
  failing_since INTEGER,
  version       INTEGER NOT NULL,
  doc           TEXT NOT NULL
) STRICT;
CREATE INDEX endpoints_by_app ON endpoints (app_id, id);

-- What an endpoint has not got yet of one group.
CREATE TABLE cursors (
  endpoint_id TEXT NOT NULL,
  grp         TEXT NOT NULL,
  aggregate   TEXT NOT NULL,
  next        INTEGER NOT NULL,
  last        INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  due_at      INTEGER NOT NULL,
  claim       TEXT NOT NULL,
  PRIMARY KEY (endpoint_id, grp)
) STRICT, WITHOUT ROWID;
CREATE INDEX cursors_due ON cursors (endpoint_id, due_at);

CREATE TABLE dead_letters (
  id          TEXT PRIMARY KEY,
  endpoint_id TEXT NOT NULL,
  at          INTEGER NOT NULL,
  doc         TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letters_by_endpoint ON dead_letters (endpoint_id, id);
