-- Whether an example may have several labels, or none.
ALTER TABLE datasets ADD COLUMN multi_label BIGINT NOT NULL DEFAULT 0;

-- The id that an example was first imported under; empty for those of before.
ALTER TABLE examples ADD COLUMN id TEXT COLLATE "C" NOT NULL DEFAULT '';

CREATE INDEX examples_by_id ON examples (dataset, id);

-- The labels of examples: one each, unless the dataset is multi-label.
CREATE TABLE example_labels (
    dataset BIGINT NOT NULL,
    tenant  TEXT COLLATE "C" NOT NULL,
    hash    BYTEA NOT NULL,
    label   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (dataset, hash, label),
    FOREIGN KEY (dataset, hash) REFERENCES examples (dataset, hash) ON DELETE CASCADE
);

INSERT INTO example_labels (dataset, tenant, hash, label) SELECT dataset, tenant, hash, label FROM examples;

ALTER TABLE examples DROP COLUMN label;

-- Other times that an image came: under another id, or with other labels.
CREATE TABLE appearances (
    dataset BIGINT NOT NULL,
    tenant  TEXT COLLATE "C" NOT NULL,
    hash    BYTEA NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    -- The labels that it came with, a line each, where they are not the example's: a conflict.
    labels  TEXT COLLATE "C",
    PRIMARY KEY (dataset, hash, id),
    FOREIGN KEY (dataset, hash) REFERENCES examples (dataset, hash) ON DELETE CASCADE
);

-- The splits of images that were removed: if they come back, it is to these.
CREATE TABLE removed_examples (
    dataset BIGINT NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    tenant  TEXT COLLATE "C" NOT NULL,
    hash    BYTEA NOT NULL,
    split   BIGINT NOT NULL,
    PRIMARY KEY (dataset, hash)
);

-- Datasets as they were at one moment; they outlive their datasets. The list of examples is a file.
CREATE TABLE snapshots (
    tenant      TEXT COLLATE "C" NOT NULL,
    dataset     TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    space       TEXT COLLATE "C" NOT NULL,
    multi_label BIGINT NOT NULL,
    examples    BIGINT NOT NULL,
    checksum    BYTEA NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (tenant, dataset, id)
);
