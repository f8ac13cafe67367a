"""FILM as OpenVINO graphs, built from a model's variables. It imports no other sub-package, and reads no files."""
