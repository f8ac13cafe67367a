"""Frames between two frames: what runs a model, on which device, in tiles or whole, and at which times.

It imports only `support`, `media`, `networks` and `hub`, and decodes no video.
"""
