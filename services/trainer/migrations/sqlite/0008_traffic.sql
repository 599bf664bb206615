-- The version that answers a part of an alias's requests, and that part, in ten-thousandths; and the version that is asked besides.
-- NULL where there is none. What they name is kept from being deleted by whoever deletes, under the lock of the head.
ALTER TABLE aliases ADD COLUMN canary_version INTEGER;
ALTER TABLE aliases ADD COLUMN canary_share INTEGER;
ALTER TABLE aliases ADD COLUMN shadow_version INTEGER;

-- The same as it is since the entry, where that is of a split.
ALTER TABLE promotions ADD COLUMN canary_version INTEGER;
ALTER TABLE promotions ADD COLUMN canary_share INTEGER;
ALTER TABLE promotions ADD COLUMN shadow_version INTEGER;
