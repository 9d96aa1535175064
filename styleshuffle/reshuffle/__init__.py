"""The method: from features of content and style to a picture. Knows features only: no files, no command line."""
