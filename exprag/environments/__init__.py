"""Live environments: sessions restored by replay, and episodes of scripted experts."""
