-- Garbage is found by going through embeddings and examples side by side, in the order of their hashes.
DROP INDEX examples_by_hash;
