"""How the shipped models were trained: their data, the training, the scores."""
