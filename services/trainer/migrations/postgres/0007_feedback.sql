-- What was right where a head was wrong. An answer of a version about one image has one correction.
CREATE TABLE corrections (
    id          TEXT COLLATE "C" PRIMARY KEY,
    tenant      TEXT COLLATE "C" NOT NULL,
    head        TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    hash        BYTEA NOT NULL,
    -- Labels, a line each.
    predicted   TEXT COLLATE "C" NOT NULL,
    labels      TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    UNIQUE (tenant, head, version, hash)
);

-- Grows each time that an embedding comes into use: what is collected must not have come into use since it was looked at.
ALTER TABLE embeddings ADD COLUMN uses BIGINT NOT NULL DEFAULT 0;

-- What refers to an embedding, and what a segment holds.
CREATE INDEX examples_by_hash ON examples (hash);
CREATE INDEX embeddings_by_segment ON embeddings (segment);
CREATE INDEX view_embeddings_by_segment ON view_embeddings (segment);

-- The file of a snapshot; empty for those of before, whose files are named for their content.
ALTER TABLE snapshots ADD COLUMN file TEXT COLLATE "C" NOT NULL DEFAULT '';
