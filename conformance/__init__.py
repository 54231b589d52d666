"""The conformance suite: asks any implementation the same questions and says where the first difference is."""
