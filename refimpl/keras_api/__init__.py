"""What scripts for Keras expect beyond the definition: lists of variables, its objects, data frames, tensors.

Nothing here computes. Whoever reads the definition can leave this room out.
"""
