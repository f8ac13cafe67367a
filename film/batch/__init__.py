"""Many films: which to make, which are complete, made here or on a Ray cluster. It imports all but `cli`."""
