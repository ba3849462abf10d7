"""The built-in chat models."""
