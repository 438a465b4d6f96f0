"""AVRO object container files by columns (Apache Avro 1.12, "Object Container Files").

Read `schema` first, then `container`, `types`, `arrays`, `unions`, `digests`. It knows no set and
no restore: only columns of cells, as binary COPY sends them, and their AVRO.
"""
