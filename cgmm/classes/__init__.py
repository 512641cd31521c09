"""Classes that are described by mixtures: what a classifier learns, how it is fitted, and what it says of rows."""
