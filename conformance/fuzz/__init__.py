"""The fuzzer: random models, inputs and calls, asked of two implementations, until they differ."""
