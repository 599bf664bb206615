-- Which replica fits a run. What these columns mean, and why none of them is a time, is told in store/leases.rs.
ALTER TABLE training_runs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE training_runs ADD COLUMN lease INTEGER NOT NULL DEFAULT 0;
ALTER TABLE training_runs ADD COLUMN beat INTEGER NOT NULL DEFAULT 0;
ALTER TABLE training_runs ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE training_runs ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;

-- One row: the id of this database, which its bucket carries too.
CREATE TABLE identity (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL
);
