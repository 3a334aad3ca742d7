-- By which a cluster tells the lives of a topic apart, as first seen; empty: it has not told.
ALTER TABLE streams ADD COLUMN topic_id TEXT NOT NULL DEFAULT '';
