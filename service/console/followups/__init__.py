"""Follow-ups: those whom a run missed, by village; visits on a phone and on paper."""
