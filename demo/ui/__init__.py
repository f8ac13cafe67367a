"""What a visitor sees: layout, components, HTML, style, and what changes while a film is made.

It may import `server` and `config`.
"""
