"""What `app.py` puts on the screen: two components, words, colours."""
