"""A package of somebody else: a data set, a kind, a metric, an objective and cards."""
