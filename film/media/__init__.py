"""Photos, videos and sound, read and written. It imports only `support`, and knows no model."""
