"""Moonshine."""
