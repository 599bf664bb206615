-- The views of each example that are fitted on beside it, as the API tells them, in protobuf; nothing where there are none.
ALTER TABLE datasets ADD COLUMN augmentation BYTEA;

-- Where the embedding of a view of an image is: a view is embedded once in each space. The recipe says how it is made.
CREATE TABLE view_embeddings (
    tenant  TEXT COLLATE "C" NOT NULL,
    space   TEXT COLLATE "C" NOT NULL,
    recipe  TEXT COLLATE "C" NOT NULL,
    hash    BYTEA NOT NULL,
    view    BIGINT NOT NULL,
    segment TEXT COLLATE "C" NOT NULL REFERENCES segments (id),
    row     BIGINT NOT NULL,
    PRIMARY KEY (tenant, space, recipe, hash, view)
);
