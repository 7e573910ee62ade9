"""One campaign in figures, a row for each week and carrier: the proof of a plan that goes on.

All figures come from the ledger, as a run's report has them, so target = Σ states in every row. A
week begins on Monday in China, and a run belongs to the week in which it fired. What a run sends
again is a row of its own, so that nobody is taken for two people in the row of a fire.
"""
