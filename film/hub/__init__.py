"""Which models exist, how they come to this machine, and how they become OpenVINO models.

It imports only `support`, `media` and `networks`.
"""
