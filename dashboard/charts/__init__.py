"""Figures made of rows; nothing here asks the database or draws a page."""
