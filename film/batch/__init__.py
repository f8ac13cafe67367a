"""Many films: which to make, which are complete, here or on a Ray cluster. It imports all but `cli`."""
