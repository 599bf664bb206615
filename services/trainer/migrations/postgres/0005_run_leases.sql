-- Which replica fits a run. What these columns mean, and why none of them is a time, is told in store/leases.rs.
ALTER TABLE training_runs ADD COLUMN owner TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE training_runs ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;
ALTER TABLE training_runs ADD COLUMN beat BIGINT NOT NULL DEFAULT 0;
ALTER TABLE training_runs ADD COLUMN losses BIGINT NOT NULL DEFAULT 0;
ALTER TABLE training_runs ADD COLUMN cancelled BIGINT NOT NULL DEFAULT 0;

-- One row: the id of this database, which its bucket carries too.
CREATE TABLE identity (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT COLLATE "C" NOT NULL
);
