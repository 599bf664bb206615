-- What was right where a head was wrong. An answer of a version about one image has one correction.
CREATE TABLE corrections (
    id          TEXT    PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    head        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    -- Labels, a line each.
    predicted   TEXT    NOT NULL,
    labels      TEXT    NOT NULL,
    create_time INTEGER NOT NULL,
    UNIQUE (tenant, head, version, hash)
) WITHOUT ROWID;

-- Grows each time that an embedding comes into use: what is collected must not have come into use since it was looked at.
ALTER TABLE embeddings ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;

-- What refers to an embedding, and what a segment holds.
CREATE INDEX examples_by_hash ON examples (hash);
CREATE INDEX embeddings_by_segment ON embeddings (segment);
CREATE INDEX view_embeddings_by_segment ON view_embeddings (segment);

-- The file of a snapshot; empty for those of before, whose files are named for their content.
ALTER TABLE snapshots ADD COLUMN file TEXT NOT NULL DEFAULT '';
