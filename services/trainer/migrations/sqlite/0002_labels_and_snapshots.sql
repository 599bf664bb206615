-- Whether an example may have several labels, or none.
ALTER TABLE datasets ADD COLUMN multi_label INTEGER NOT NULL DEFAULT 0;

-- The id that an example was first imported under; empty for those of before.
ALTER TABLE examples ADD COLUMN id TEXT NOT NULL DEFAULT '';

CREATE INDEX examples_by_id ON examples (dataset, id);

-- The labels of examples: one each, unless the dataset is multi-label.
CREATE TABLE example_labels (
    dataset INTEGER NOT NULL,
    tenant  TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    label   TEXT    NOT NULL,
    PRIMARY KEY (dataset, hash, label),
    FOREIGN KEY (dataset, hash) REFERENCES examples (dataset, hash) ON DELETE CASCADE
) WITHOUT ROWID;

INSERT INTO example_labels (dataset, tenant, hash, label) SELECT dataset, tenant, hash, label FROM examples;

ALTER TABLE examples DROP COLUMN label;

-- Other times that an image came: under another id, or with other labels.
CREATE TABLE appearances (
    dataset INTEGER NOT NULL,
    tenant  TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    id      TEXT    NOT NULL,
    -- The labels that it came with, a line each, where they are not the example's: a conflict.
    labels  TEXT,
    PRIMARY KEY (dataset, hash, id),
    FOREIGN KEY (dataset, hash) REFERENCES examples (dataset, hash) ON DELETE CASCADE
) WITHOUT ROWID;

-- The splits of images that were removed: if they come back, it is to these.
CREATE TABLE removed_examples (
    dataset INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    tenant  TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    split   INTEGER NOT NULL,
    PRIMARY KEY (dataset, hash)
) WITHOUT ROWID;

-- Datasets as they were at one moment; they outlive their datasets. The list of examples is a file.
CREATE TABLE snapshots (
    tenant      TEXT    NOT NULL,
    dataset     TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    space       TEXT    NOT NULL,
    multi_label INTEGER NOT NULL,
    examples    INTEGER NOT NULL,
    checksum    BLOB    NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (tenant, dataset, id)
) WITHOUT ROWID;
