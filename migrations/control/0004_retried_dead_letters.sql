-- Dead letters that a retry has brought into the target after all.
ALTER TABLE dead_letters ADD COLUMN retried INTEGER NOT NULL DEFAULT 0
  CHECK (retried >= 0 AND retried <= records);
