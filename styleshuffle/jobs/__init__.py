"""Folders of pictures: stylize their pictures, and pair outputs with contents and styles."""
