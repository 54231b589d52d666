"""KerasHub's own unit tests, asked of `refimpl`: `python -m conformance.keras_hub_tests CHECKOUT`.

A checkout's test files run as they stand. Imports of `keras_hub.src` are answered by `refimpl`, and the base class of
the tests asks what KerasHub's asks, but for Keras's own internals. What is not asked is listed with its reason.
"""
