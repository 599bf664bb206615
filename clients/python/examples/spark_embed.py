"""Embed a large set of images with Spark: many executors, many extractors.

    spark-submit spark_embed.py 's3a://bucket/images/' 's3a://bucket/embeddings/' a:7401 b:7401

Each task has a client of its own and uses one of the extractors, and another when that one is lost. Extractors do the work; there should
be a few tasks for each.
"""

import sys

from graft_client.workers import EmbedColumn
from pyspark.sql import SparkSession

# Rows of a frame that a task is given. They are in memory with their pictures.
BATCH = 512


def main(images: str, output: str, extractors: list[str], backbone: str = "") -> None:
    spark = SparkSession.builder.appName("graft-embed").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH))
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(images)
    embed = EmbedColumn("content", extractors, backbone=backbone)
    embedded = files.select("path", "content").mapInPandas(
        embed.partitions, "path string, content binary, embedding array<float>, embedding_error string"
    )
    embedded.drop("content").write.parquet(output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
