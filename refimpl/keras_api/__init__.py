"""What scripts for Keras expect beyond the definition: views and translations, nothing that computes."""
