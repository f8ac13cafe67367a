"""Training of film-lite: the FILM network in Keras 3, its data, its losses, its loop, its export."""
