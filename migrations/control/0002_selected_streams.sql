-- Whether the bridge still selects the topic: one that it does not is not carried, and keeps its
-- checkpoints in case it is selected again.
ALTER TABLE streams ADD COLUMN
  is_selected INTEGER NOT NULL DEFAULT 1 CHECK (is_selected IN (0, 1));
