"""AVRO object container files by columns (Apache Avro 1.12, "Object Container Files").

Read `schema` first, then `container`, `types`, `arrays`, `unions`, `digests`. The package knows
columns of cells, as binary COPY sends them, and their AVRO encoding, but neither sets nor restores.
Encoding whole columns with numpy takes 0.04 of the time of encoding record by record (see
tests/benchmarks/RESULTS.md), because no value becomes a Python object.
"""
