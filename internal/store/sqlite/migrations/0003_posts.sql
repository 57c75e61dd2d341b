-- Posts are listed as rooms are, and those of before get what was added since.

UPDATE posts SET doc = json_set(doc,
  '$.PlayID',     ifnull((SELECT json_extract(r.doc, '$.PlayID') FROM rooms r WHERE r.id = json_extract(posts.doc, '$.RoomID')), ''),
  '$.RecordFrom', ifnull((SELECT json_extract(r.doc, '$.RecordFrom') FROM rooms r WHERE r.id = json_extract(posts.doc, '$.RoomID')), 0),
  '$.RecordTo',   ifnull((SELECT json_extract(r.doc, '$.RecordTo') FROM rooms r WHERE r.id = json_extract(posts.doc, '$.RoomID')), 0),
  '$.Sequence', 1, '$.Revision', 1);

-- Nothing was made of them yet: a job takes each up.
INSERT INTO jobs (id, due_at, doc)
  SELECT 'job_archive_' || id, 0, json_object('ID', 'job_archive_' || id, 'Kind', 'ARCHIVE', 'PostID', id,
    'RoomID', json_extract(doc, '$.RoomID'), 'PlayID', json_extract(doc, '$.PlayID'), 'Attempts', 0, 'DueAt', '1970-01-01T00:00:00Z')
  FROM posts;

ALTER TABLE posts ADD COLUMN member_id TEXT NOT NULL DEFAULT '';
ALTER TABLE posts ADD COLUMN state TEXT NOT NULL DEFAULT '';
UPDATE posts SET member_id = json_extract(doc, '$.MemberID'), state = json_extract(doc, '$.State');
CREATE INDEX posts_by_app ON posts (app_id, id);
CREATE INDEX posts_by_app_state ON posts (app_id, state, id);
CREATE INDEX posts_by_member ON posts (member_id, id);
CREATE INDEX posts_by_member_state ON posts (member_id, state, id);
CREATE INDEX posts_by_state ON posts (state, id);
