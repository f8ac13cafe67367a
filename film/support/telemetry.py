"""Imported before OpenVINO is, which reports its own import to Google Analytics where it finds `openvino_telemetry`.

A package that works offline tells nobody that it is used; OpenVINO has a stand-in for when that module is missing.
"""

import sys

if "openvino" not in sys.modules:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
