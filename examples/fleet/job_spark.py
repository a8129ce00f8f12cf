"""Apache Spark over the folder of `edge-tools land`: a table of minutes, places and counts.

    pip install 'pyspark>=4.0,<5'                       # and Java 17 or 21
    python job_spark.py stream LANDED OUT               # for ever; Ctrl-C and start again at will
    python job_spark.py stream LANDED OUT --once        # what is there now, then end
    python job_spark.py batch LANDED OUT                # whole days again, with late rows

LANDED is FOLDER/landed. `stream` writes a minute when the watermark has passed its end, exactly
once: read OUT as Spark wrote it (its _spark_metadata), not by a glob. A heartbeat row of each box
moves the watermark when a place falls silent. Rows that are later than the watermark are left out
of the stream; `batch` counts them, and replaces its days. A track is a person as one camera numbers
them: somebody whom two cameras see is two tracks. `edge-tools fleet minutes` gives the same table.
"""

import argparse
import os

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # else it listens on all addresses

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

WATERMARK = "2 minutes"
KEY = ["device", "camera", "kind", "boot_id", "seq"]
SCHEMA = T.StructType(
    [T.StructField(name, T.StringType()) for name in ("device", "camera", "kind", "boot_id")]
    + [T.StructField(name, T.LongType()) for name in ("seq", "t_utc_ns", "person")]
    + [T.StructField("action", T.StringType()), T.StructField("dwell_s", T.DoubleType())]
)


def session(cores):
    """A Spark of this machine that listens to nobody else."""
    builder = SparkSession.builder.master(f"local[{cores}]")
    settings = {
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.sources.partitionOverwriteMode": "dynamic",
        "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming"
        ".state.RocksDBStateStoreProvider",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def timed(rows):
    """Rows with their time as a column."""
    micros = (F.col("t_utc_ns") / 1000).cast("long")
    return rows.withColumn("t", F.timestamp_micros(micros))


def minutes(rows):
    """The table: a row for each minute and camera. Rows of boxes themselves only move time."""
    track = F.concat_ws("/", "boot_id", F.col("person").cast("string"))
    seen = F.when(F.col("person") >= 0, track)
    leaves = (F.col("kind") == "presence") & (F.col("action") == "leave")
    falls = (F.col("kind") == "fall") & (F.col("action") == "fall")
    return (
        rows.where(~F.col("kind").isin("heartbeat", "heat"))
        .groupBy(F.window("t", "1 minute"), "device", "camera")
        .agg(
            F.count("*").alias("events"),
            F.size(F.collect_set(seen)).cast("long").alias("tracks"),
            F.sum(falls.cast("long")).alias("falls"),
            F.sum(F.when(leaves, F.col("dwell_s"))).alias("dwell_s"),
        )
        .select(
            F.col("window.start").alias("minute"),
            *("device", "camera", "events", "tracks", "falls", "dwell_s"),
        )
    )


def stream(spark, landed, out, once):
    """Write minutes as they end."""
    source = spark.readStream.schema(SCHEMA).option("recursiveFileLookup", "true")
    rows = timed(source.option("maxFilesPerTrigger", 2000).json(landed))
    kept = rows.withWatermark("t", WATERMARK).dropDuplicatesWithinWatermark(KEY)
    writer = minutes(kept).writeStream.format("parquet").outputMode("append")
    writer = writer.option("path", out).option("checkpointLocation", f"{out}.checkpoint")
    timing = {"availableNow": True} if once else {"processingTime": "10 seconds"}
    writer.trigger(**timing).start().awaitTermination()


def batch(spark, landed, out):
    """Write the table of all days that are landed; days of an earlier run are replaced."""
    source = spark.read.schema(SCHEMA).option("recursiveFileLookup", "true")
    table = minutes(timed(source.json(landed)).dropDuplicates(KEY))
    by_day = table.withColumn("day", F.to_date("minute"))
    by_day.write.mode("overwrite").partitionBy("day").parquet(out)


def main():
    """Run a job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=("stream", "batch"))
    parser.add_argument("landed")
    parser.add_argument("out")
    parser.add_argument("--once", action="store_true", help="end when all that is there is read")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    spark = session(arguments.cores)
    try:
        if arguments.job == "stream":
            stream(spark, arguments.landed, arguments.out, arguments.once)
        else:
            batch(spark, arguments.landed, arguments.out)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
