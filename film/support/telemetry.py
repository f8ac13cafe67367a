"""Switch off OpenVINO's telemetry: it reports its import to Google Analytics if it finds `openvino_telemetry`.

Imported before OpenVINO, which has a stand-in for when that module is missing.
"""

import sys

if "openvino" not in sys.modules:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
