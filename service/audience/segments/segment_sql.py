"""A segment rule as one SQL condition on a department's people, values as parameters only.

Three-valued: `(sql) IS TRUE` is the target, `(sql) IS NULL` is counted as age_unclear. Only `age`
can be NULL, where a person's band is unknown or straddles the comparison. Nobody matches who has
left every roster, or whose rosters have all expired; no rule sees links that have ended.
"""
