"""Estimators by scikit-learn's contract: fit, predict, forecast, score, explain, save and load."""
