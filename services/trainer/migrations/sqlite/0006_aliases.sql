-- The history of aliases: each time that one was put on a version, put back, or deleted. It is never changed, and outlives its head.
CREATE TABLE promotions (
    tenant       TEXT    NOT NULL,
    head         TEXT    NOT NULL,
    -- Counted from 1 for each head.
    number       INTEGER NOT NULL,
    alias        TEXT    NOT NULL,
    action       INTEGER NOT NULL,
    -- The version that the alias was on; NULL if it was not there.
    from_version INTEGER,
    -- The version that it is on since; NULL if it was deleted.
    to_version   INTEGER,
    -- The number of the promotion that putting this one back returns to; NULL if there is none.
    earlier      INTEGER,
    who          TEXT    NOT NULL,
    forced       INTEGER NOT NULL,
    create_time  INTEGER NOT NULL,
    PRIMARY KEY (tenant, head, number)
) WITHOUT ROWID;

-- Names for versions of heads that can be moved. The key to the heads keeps a version from being deleted that an alias is on.
CREATE TABLE aliases (
    tenant    TEXT    NOT NULL,
    head      TEXT    NOT NULL,
    alias     TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    -- The number of the promotion that put it there.
    promotion INTEGER NOT NULL,
    PRIMARY KEY (tenant, head, alias),
    FOREIGN KEY (tenant, head, version) REFERENCES heads (tenant, name, version),
    FOREIGN KEY (tenant, head, promotion) REFERENCES promotions (tenant, head, number)
) WITHOUT ROWID;

CREATE INDEX aliases_by_version ON aliases (tenant, head, version);
