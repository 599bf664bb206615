-- The embedding space of a version, and what it takes in memory to serve, in bytes. NULL where it was not noted yet: it is in the
-- message and the file, and is noted when it is first needed.
ALTER TABLE heads ADD COLUMN space TEXT;
ALTER TABLE heads ADD COLUMN bytes INTEGER;

-- All that is asked of it is in the index: the rows are large.
CREATE INDEX heads_by_space ON heads (tenant, space, name, version, bytes);
