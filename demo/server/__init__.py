"""One machine shared by strangers: who computes when, how much each may ask, what is kept, what is logged.

It may import `config`, and knows nothing of the page.
"""
