"""Coverage of conditions: which pairs of values of what a fault can hide behind some case reaches."""
