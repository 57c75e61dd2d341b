-- Records are JSON documents (doc); the other columns are what conditions and
-- indexes need. Times are microseconds since 1970, UTC.

CREATE TABLE commits (
  id TEXT PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commits_by_time ON commits (at);

CREATE TABLE apps (
  id      TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  doc     TEXT NOT NULL
) STRICT;

CREATE TABLE api_keys (
  id      TEXT PRIMARY KEY,
  app_id  TEXT NOT NULL REFERENCES apps (id),
  version INTEGER NOT NULL,
  doc     TEXT NOT NULL
) STRICT;
CREATE INDEX api_keys_by_app ON api_keys (app_id);

CREATE TABLE members (
  id          TEXT PRIMARY KEY,
  app_id      TEXT NOT NULL REFERENCES apps (id),
  app_user_id TEXT NOT NULL,
  version     INTEGER NOT NULL,
  doc         TEXT NOT NULL,
  UNIQUE (app_id, app_user_id)
) STRICT;
CREATE INDEX members_by_app ON members (app_id, id);

CREATE TABLE keys (
  id          TEXT PRIMARY KEY,
  app_id      TEXT NOT NULL REFERENCES apps (id),
  member_id   TEXT NOT NULL UNIQUE REFERENCES members (id) ON DELETE CASCADE,
  state       TEXT NOT NULL,
  fence_epoch INTEGER NOT NULL,
  fence_seq   INTEGER NOT NULL,
  version     INTEGER NOT NULL,
  doc         TEXT NOT NULL
) STRICT;
CREATE INDEX keys_by_app ON keys (app_id, id);
CREATE INDEX keys_by_app_state ON keys (app_id, state, id);
CREATE INDEX keys_by_state ON keys (state, id);

-- The secret itself, apart from everything that workers read.
CREATE TABLE key_strings (
  key_id TEXT PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
  string TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Where the hash of a stream key string leads.
CREATE TABLE key_hashes (
  hash       BLOB PRIMARY KEY,
  key_id     TEXT NOT NULL UNIQUE REFERENCES keys (id) ON DELETE CASCADE,
  generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- live_at is when a room went live, NULL unless a key carries it.
CREATE TABLE rooms (
  id        TEXT PRIMARY KEY,
  app_id    TEXT NOT NULL,
  member_id TEXT NOT NULL,
  state     TEXT NOT NULL,
  live_at   INTEGER,
  version   INTEGER NOT NULL,
  doc       TEXT NOT NULL
) STRICT;
CREATE INDEX rooms_by_app ON rooms (app_id, id);
CREATE INDEX rooms_by_app_state ON rooms (app_id, state, id);
CREATE INDEX rooms_by_member ON rooms (member_id, id);
CREATE INDEX rooms_by_member_state ON rooms (member_id, state, id);
CREATE INDEX rooms_by_state ON rooms (state, id);
CREATE INDEX rooms_live ON rooms (live_at, id) WHERE live_at IS NOT NULL;

CREATE TABLE posts (
  id      TEXT PRIMARY KEY,
  app_id  TEXT NOT NULL,
  version INTEGER NOT NULL,
  doc     TEXT NOT NULL
) STRICT;

-- watched = somebody holds the lease, or its (epoch, seq) is ahead of its
-- key's fence. A renewal sets neither key_id nor watched, so that it leaves
-- the index alone.
CREATE TABLE leases (
  key_id  TEXT PRIMARY KEY,
  epoch   INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  held    INTEGER NOT NULL,
  watched INTEGER NOT NULL,
  doc     TEXT NOT NULL
) STRICT;
CREATE INDEX leases_watched ON leases (key_id) WHERE watched = 1;

CREATE TABLE journal (
  aggregate TEXT NOT NULL,
  version   INTEGER NOT NULL,
  id        TEXT NOT NULL,
  doc       TEXT NOT NULL,
  PRIMARY KEY (aggregate, version, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
  id        TEXT PRIMARY KEY,
  aggregate TEXT NOT NULL,
  sequence  INTEGER NOT NULL,
  doc       TEXT NOT NULL,
  UNIQUE (aggregate, sequence)
) STRICT;

CREATE TABLE jobs (
  id     TEXT PRIMARY KEY,
  due_at INTEGER NOT NULL,
  doc    TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (due_at, id);
