"""What `app.py` puts on the screen: components, orders, words, colours."""
