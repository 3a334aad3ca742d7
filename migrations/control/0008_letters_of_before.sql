-- By which a letter that is counted for a bridge which was made anew is told to be the same one:
-- the cluster and the life of the topic that it was read of. An empty cluster: its bridge was
-- deleted before this was kept, and nobody knows.
ALTER TABLE dead_letters ADD COLUMN source_epoch INTEGER NOT NULL DEFAULT 1
  CHECK (source_epoch >= 1);
ALTER TABLE dead_letters ADD COLUMN source_cluster TEXT NOT NULL DEFAULT '';

UPDATE dead_letters SET
  source_epoch = (SELECT s.source_epoch FROM streams s WHERE s.id = stream_id),
  source_cluster = (SELECT b.source_cluster FROM streams s
                    JOIN bridge_sources b ON b.bridge_id = s.bridge_id WHERE s.id = stream_id)
WHERE stream_id IN (SELECT id FROM streams);

CREATE INDEX dead_letters_by_topic ON dead_letters (bridge, topic, partition, error);
