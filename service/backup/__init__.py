"""Copies of the database on another disk, made and read by PostgreSQL's own programs.

What lies in the folder of the backups, for one cluster (by its system identifier):

    CLUSTER/base/20270112T183000Z-full/          a base backup: backup.json, and files *.age
    CLUSTER/base/20270113T183000Z-incremental/   what changed since the full one before it
    CLUSTER/log/000000010000000000000003.gz.age  a segment of the write-ahead log
    CLUSTER/log/000000010000000000000004.partial.gz.age   the last one, as far as it is written

A name that begins with a dot is not finished. No master key is ever in a backup.
"""
