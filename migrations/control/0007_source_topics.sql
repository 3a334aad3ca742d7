-- The cluster that a bridge reads, as topics' lives are stored for: by its endpoint until it has
-- told its id.
CREATE VIEW bridge_sources AS
SELECT id AS bridge_id,
       iif(source_cluster_id <> '', source_cluster_id, source_endpoint) AS source_cluster
FROM bridges;

-- By which a cluster tells the lives of a topic apart, as the last stream that was made for it has
-- seen it. Kept when the streams are gone, so that a topic which was made anew meanwhile is known.
CREATE TABLE source_topics (
  source_cluster  TEXT    NOT NULL,
  topic           TEXT    NOT NULL,
  topic_id        TEXT    NOT NULL,
  PRIMARY KEY (source_cluster, topic)
) STRICT, WITHOUT ROWID;

INSERT INTO source_topics (source_cluster, topic, topic_id)
SELECT b.source_cluster, s.topic, s.topic_id
FROM streams s JOIN bridge_sources b ON b.bridge_id = s.bridge_id WHERE s.topic_id <> ''
ORDER BY s.id
ON CONFLICT (source_cluster, topic) DO UPDATE SET topic_id = excluded.topic_id;
