-- uses is outside of the document: it is no change of the resource.
CREATE TABLE profiles (
  id      TEXT PRIMARY KEY,
  app_id  TEXT NOT NULL REFERENCES apps (id),
  uses    INTEGER NOT NULL DEFAULT 0,
  version INTEGER NOT NULL,
  doc     TEXT NOT NULL
) STRICT;
CREATE INDEX profiles_by_app ON profiles (app_id, id);

-- Every revision that ever was; never changed, and kept when the profile goes.
CREATE TABLE profile_revisions (
  id       TEXT NOT NULL,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL,
  PRIMARY KEY (id, revision)
) STRICT, WITHOUT ROWID;
