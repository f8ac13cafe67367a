"""What makes one machine serve many strangers: who computes when, how much each may ask, what is kept, what is said.

Knows nothing of Gradio or of photos: `studio.py` takes a request for anything that is told as `film.events`.
"""
