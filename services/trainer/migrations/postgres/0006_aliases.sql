-- The history of aliases: each time that one was put on a version, put back, or deleted. It is never changed, and outlives its head.
CREATE TABLE promotions (
    tenant       TEXT COLLATE "C" NOT NULL,
    head         TEXT COLLATE "C" NOT NULL,
    -- Counted from 1 for each head.
    number       BIGINT NOT NULL,
    alias        TEXT COLLATE "C" NOT NULL,
    action       BIGINT NOT NULL,
    -- The version that the alias was on; NULL if it was not there.
    from_version BIGINT,
    -- The version that it is on since; NULL if it was deleted.
    to_version   BIGINT,
    -- The number of the promotion that putting this one back returns to; NULL if there is none.
    earlier      BIGINT,
    who          TEXT COLLATE "C" NOT NULL,
    forced       BIGINT NOT NULL,
    create_time  BIGINT NOT NULL,
    PRIMARY KEY (tenant, head, number)
);

-- Names for versions of heads that can be moved. The key to the heads keeps a version from being deleted that an alias is on.
CREATE TABLE aliases (
    tenant    TEXT COLLATE "C" NOT NULL,
    head      TEXT COLLATE "C" NOT NULL,
    alias     TEXT COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    -- The number of the promotion that put it there.
    promotion BIGINT NOT NULL,
    PRIMARY KEY (tenant, head, alias),
    FOREIGN KEY (tenant, head, version) REFERENCES heads (tenant, name, version),
    FOREIGN KEY (tenant, head, promotion) REFERENCES promotions (tenant, head, number)
);

CREATE INDEX aliases_by_version ON aliases (tenant, head, version);
