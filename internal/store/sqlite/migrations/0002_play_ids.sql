-- Where a play id leads: viewers look it up. A renewal leaves it alone.
ALTER TABLE leases ADD COLUMN play_id TEXT NOT NULL DEFAULT '';
UPDATE leases SET play_id = json_extract(doc, '$.PlayID');
CREATE INDEX leases_by_play_id ON leases (play_id);
