"""The command lines. Only this room prints."""
