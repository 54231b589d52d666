"""Makes the goldens from implementations that are not `refimpl`."""
