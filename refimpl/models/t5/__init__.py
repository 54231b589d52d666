"""T5: 1.0, 1.1 and Flan-T5."""
