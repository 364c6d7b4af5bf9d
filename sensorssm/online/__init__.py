"""The O(1) stepper around a fitted estimator: one reading in, one result out."""
