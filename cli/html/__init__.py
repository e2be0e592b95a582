"""The report as one HTML file: parts, charts, words in two languages, and the page."""
