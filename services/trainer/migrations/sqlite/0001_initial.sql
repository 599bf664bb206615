-- Every row belongs to a tenant. Immutable artifacts (segments, head weights) are files; these tables say which count.

CREATE TABLE datasets (
    id          INTEGER PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    backbone    TEXT    NOT NULL,
    space       TEXT    NOT NULL,
    dimension   INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    UNIQUE (tenant, name)
);

-- A file of embeddings of one space.
CREATE TABLE segments (
    id        TEXT    PRIMARY KEY,
    tenant    TEXT    NOT NULL,
    space     TEXT    NOT NULL,
    rows      INTEGER NOT NULL,
    checksum  BLOB    NOT NULL
) WITHOUT ROWID;

-- Where the embedding of an image is: an image is embedded once in each space.
CREATE TABLE embeddings (
    tenant  TEXT    NOT NULL,
    space   TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    segment TEXT    NOT NULL REFERENCES segments (id),
    row     INTEGER NOT NULL,
    PRIMARY KEY (tenant, space, hash)
) WITHOUT ROWID;

-- The primary key keeps an image from being in a dataset, and so in a split, twice.
CREATE TABLE examples (
    dataset INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    tenant  TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    label   TEXT    NOT NULL,
    split   INTEGER NOT NULL,
    PRIMARY KEY (dataset, hash)
) WITHOUT ROWID;

CREATE TABLE training_runs (
    id           TEXT    PRIMARY KEY,
    tenant       TEXT    NOT NULL,
    dataset      TEXT    NOT NULL,
    head         TEXT    NOT NULL,
    state        INTEGER NOT NULL,
    -- The run as the API tells it, in protobuf.
    message      BLOB    NOT NULL
) WITHOUT ROWID;

CREATE INDEX training_runs_by_state ON training_runs (state);

CREATE TABLE heads (
    tenant   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    -- The file of the weights.
    file     TEXT    NOT NULL UNIQUE,
    checksum BLOB    NOT NULL,
    -- The head as the API tells it, in protobuf.
    message  BLOB    NOT NULL,
    PRIMARY KEY (tenant, name, version)
) WITHOUT ROWID;

-- The highest version that a head ever had, so that a deleted version's number is never given again.
CREATE TABLE head_versions (
    tenant TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    latest INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
