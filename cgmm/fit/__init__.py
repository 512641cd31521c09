"""A fit: from a user's arguments and rows to the state of a fitted estimator."""
