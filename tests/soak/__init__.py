"""A soak: kills aimed at named moments, two processes at once, full disks and hostile plugins. See `__main__.py`."""
