"""The companion: what only the book needs, a folder for each chapter."""
