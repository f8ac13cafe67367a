"""What makes one machine serve many strangers: who computes when, how much each may ask, what is kept, what is said.

Knows nothing of Gradio or of photos: `studio.py` takes any job that is told as `film.pipeline`'s events.
"""
