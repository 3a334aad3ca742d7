-- Times are microseconds since 1970, UTC. Text in `spec` columns is JSON. docs/data-model.md tells
-- what each table is for.

CREATE TABLE meta (
  only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
  deployment_id   TEXT    NOT NULL,
  incarnation     INTEGER NOT NULL CHECK (incarnation >= 1),
  revision        INTEGER NOT NULL CHECK (revision >= 0),
  key_check       BLOB,
  created_at_us   INTEGER NOT NULL
) STRICT;

CREATE TABLE applied_migrations (
  number          INTEGER PRIMARY KEY,
  name            TEXT    NOT NULL,
  checksum        TEXT    NOT NULL,
  applied_at_us   INTEGER NOT NULL
) STRICT;

CREATE TABLE credentials (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  name            TEXT    NOT NULL UNIQUE,
  version         INTEGER NOT NULL CHECK (version >= 1),
  kind            TEXT    NOT NULL,
  username        TEXT    NOT NULL,
  not_after_us    INTEGER,
  updated_at_us   INTEGER NOT NULL
) STRICT;

-- Sealed, see server/security/secret_box.h. Only the newest version is kept.
CREATE TABLE credential_secrets (
  credential_id   INTEGER NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
  version         INTEGER NOT NULL,
  sealed          BLOB    NOT NULL,
  PRIMARY KEY (credential_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints (
  name            TEXT    PRIMARY KEY,
  generation      INTEGER NOT NULL CHECK (generation >= 1),
  spec            TEXT    NOT NULL,
  credential      TEXT    REFERENCES credentials (name),
  cluster_id      TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE bridges (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  name            TEXT    NOT NULL UNIQUE,
  generation      INTEGER NOT NULL CHECK (generation >= 1),
  spec            TEXT    NOT NULL,
  source_endpoint TEXT    NOT NULL REFERENCES endpoints (name),
  target_endpoint TEXT    NOT NULL REFERENCES endpoints (name),
  is_paused       INTEGER NOT NULL DEFAULT 0 CHECK (is_paused IN (0, 1)),
  -- Whether the first complete survey has resolved where streams start: later ones start at the
  -- earliest record.
  is_start_resolved INTEGER NOT NULL DEFAULT 0 CHECK (is_start_resolved IN (0, 1)),
  source_cluster_id TEXT  NOT NULL DEFAULT '',
  target_cluster_id TEXT  NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE bridge_revisions (
  bridge_id       INTEGER NOT NULL,
  generation      INTEGER NOT NULL,
  spec            TEXT    NOT NULL,
  actor           TEXT    NOT NULL,
  at_us           INTEGER NOT NULL,
  PRIMARY KEY (bridge_id, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  bridge_id       INTEGER NOT NULL REFERENCES bridges (id) ON DELETE CASCADE,
  topic           TEXT    NOT NULL,
  target_topic    TEXT    NOT NULL,
  source_epoch    INTEGER NOT NULL DEFAULT 1 CHECK (source_epoch >= 1),
  is_paused       INTEGER NOT NULL DEFAULT 0 CHECK (is_paused IN (0, 1)),
  -- Partitions that are there at the target and take records.
  target_partitions INTEGER NOT NULL DEFAULT 0 CHECK (target_partitions >= 0),
  created_at_us   INTEGER NOT NULL,
  UNIQUE (bridge_id, topic)
) STRICT;

-- One row per partition. next_offset moves in one statement only: the compare-and-set of a commit.
CREATE TABLE checkpoints (
  stream_id       INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
  partition       INTEGER NOT NULL CHECK (partition >= 0),
  incarnation     INTEGER NOT NULL,
  epoch           INTEGER NOT NULL CHECK (epoch >= 0),
  owner_relay     TEXT    REFERENCES relays (name),
  next_offset     INTEGER NOT NULL CHECK (next_offset >= 0),
  anchor_offset   INTEGER,
  anchor_ts_ms    INTEGER,
  anchor_hash     INTEGER,
  updated_at_us   INTEGER NOT NULL,
  PRIMARY KEY (stream_id, partition),
  CHECK ((anchor_offset IS NULL) = (anchor_hash IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE assignment_log (
  id              INTEGER PRIMARY KEY,
  stream_id       INTEGER NOT NULL,
  partition       INTEGER NOT NULL,
  incarnation     INTEGER NOT NULL,
  epoch           INTEGER NOT NULL,
  relay           TEXT,
  start_offset    INTEGER NOT NULL,
  reason          TEXT    NOT NULL,
  at_us           INTEGER NOT NULL
) STRICT;

-- Kept for ever, also when their stream is gone.
CREATE TABLE gaps (
  stream_id       INTEGER NOT NULL,
  partition       INTEGER NOT NULL,
  from_offset     INTEGER NOT NULL,
  to_offset       INTEGER NOT NULL CHECK (to_offset > from_offset),
  cause           TEXT    NOT NULL CHECK (cause IN ('retention', 'skipped')),
  bridge          TEXT    NOT NULL,
  topic           TEXT    NOT NULL,
  at_us           INTEGER NOT NULL,
  PRIMARY KEY (stream_id, partition, from_offset, to_offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE filtered_ranges (
  stream_id       INTEGER NOT NULL,
  partition       INTEGER NOT NULL,
  from_offset     INTEGER NOT NULL,
  to_offset       INTEGER NOT NULL CHECK (to_offset > from_offset),
  records         INTEGER NOT NULL CHECK (records > 0),
  reason          TEXT    NOT NULL CHECK (reason IN ('echo')),
  at_us           INTEGER NOT NULL,
  PRIMARY KEY (stream_id, partition, from_offset)
) STRICT, WITHOUT ROWID;

-- Names are never used again.
CREATE TABLE relays (
  name            TEXT    PRIMARY KEY,
  labels          TEXT    NOT NULL,
  certificate_serial TEXT NOT NULL,
  certificate_not_after_us INTEGER NOT NULL,
  is_revoked      INTEGER NOT NULL DEFAULT 0 CHECK (is_revoked IN (0, 1)),
  version         TEXT    NOT NULL DEFAULT '',
  librdkafka      TEXT    NOT NULL DEFAULT '',
  enrolled_at_us  INTEGER NOT NULL,
  last_seen_us    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolment_tokens (
  id              TEXT    PRIMARY KEY,
  hash            BLOB    NOT NULL,
  relay           TEXT    NOT NULL,
  labels          TEXT    NOT NULL,
  request_id      TEXT    NOT NULL,
  expires_at_us   INTEGER NOT NULL,
  used_at_us      INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE api_tokens (
  id              TEXT    PRIMARY KEY,
  hash            BLOB    NOT NULL,
  name            TEXT    NOT NULL,
  role            TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  created_at_us   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What makes a repeated call harmless. Kept for 7 days.
CREATE TABLE requests (
  request_id      TEXT    PRIMARY KEY,
  body_hash       BLOB    NOT NULL,
  response        BLOB    NOT NULL,
  at_us           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  at_us           INTEGER NOT NULL,
  actor           TEXT    NOT NULL,
  action          TEXT    NOT NULL,
  object          TEXT    NOT NULL,
  reason          TEXT    NOT NULL,
  request_id      TEXT    NOT NULL
) STRICT;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit rows are never replaced'); END;
