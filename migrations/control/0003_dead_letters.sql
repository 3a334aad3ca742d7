-- Records that a target refused for good and keeps among its dead letters, by what they were
-- refused for; kept also when their stream is gone.
CREATE TABLE dead_letters (
  stream_id       INTEGER NOT NULL,
  partition       INTEGER NOT NULL,
  error           TEXT    NOT NULL,
  from_offset     INTEGER NOT NULL,
  to_offset       INTEGER NOT NULL CHECK (to_offset > from_offset),
  records         INTEGER NOT NULL CHECK (records > 0),
  bridge          TEXT    NOT NULL,
  topic           TEXT    NOT NULL,
  first_at_us     INTEGER NOT NULL,
  last_at_us      INTEGER NOT NULL,
  PRIMARY KEY (stream_id, partition, error)
) STRICT, WITHOUT ROWID;
