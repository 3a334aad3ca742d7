-- The life of a source topic that a stream made from here on carries, where one before has ended:
-- the topic was seen re-created, truncated or gone. Kept when the streams of before are gone, so
-- that new records never get the ids of old ones.
CREATE TABLE source_lives (
  source_cluster  TEXT    NOT NULL,
  topic           TEXT    NOT NULL,
  source_epoch    INTEGER NOT NULL CHECK (source_epoch > 1),
  PRIMARY KEY (source_cluster, topic)
) STRICT, WITHOUT ROWID;
