-- The views of each example that are fitted on beside it, as the API tells them, in protobuf; nothing where there are none.
ALTER TABLE datasets ADD COLUMN augmentation BLOB;

-- Where the embedding of a view of an image is: a view is embedded once in each space. The recipe says how it is made.
CREATE TABLE view_embeddings (
    tenant  TEXT    NOT NULL,
    space   TEXT    NOT NULL,
    recipe  TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    view    INTEGER NOT NULL,
    segment TEXT    NOT NULL REFERENCES segments (id),
    row     INTEGER NOT NULL,
    PRIMARY KEY (tenant, space, recipe, hash, view)
) WITHOUT ROWID;
