"""The script and style of the page, in modules; `exprag.html` puts them into one file."""
