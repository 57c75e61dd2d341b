-- turn is when the oldest message of a group may be delivered, after those with
-- lower ones; 0 = it is not the oldest. A group whose message was taken goes
-- behind the others, however many messages it has.
DROP INDEX queue_heads;
ALTER TABLE queue_messages RENAME COLUMN head TO turn;
UPDATE queue_messages SET turn = seq WHERE turn = 1;
CREATE INDEX queue_turns ON queue_messages (turn) WHERE turn > 0;
