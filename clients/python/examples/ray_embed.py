"""Embed a large set of images with Ray Data: many workers, many extractors.

    python ray_embed.py 's3://bucket/images/' 's3://bucket/embeddings/' a:7401 b:7401

Ray reads the images and spreads them over workers; each worker has a client of its own and uses one of the extractors, and another
when that one is lost. Extractors do the work, so a worker needs next to no core.
"""

import sys

import ray
from graft_client.workers import EmbedColumn

# Workers for each extractor: enough that none waits for pictures.
WORKERS = 4
# Rows of a batch. A client keeps no more than about 64 MiB of pictures on their way, however large a batch is.
BATCH = 512


def main(images: str, output: str, extractors: list[str], backbone: str = "") -> None:
    data = ray.data.read_binary_files(images, include_paths=True)
    embedded = data.map_batches(
        EmbedColumn,
        fn_constructor_args=["bytes", extractors],
        fn_constructor_kwargs={"backbone": backbone},
        batch_format="numpy",
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=WORKERS * max(len(extractors), 1)),
        # A worker waits for an extractor: let it take no core from those that read.
        num_cpus=0,
    )
    embedded.drop_columns(["bytes"]).write_parquet(output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
