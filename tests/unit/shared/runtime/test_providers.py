"""What ONNX Runtime is asked for."""

import json

from shared.runtime.execution import CPU, OPENVINO, Execution
from shared.runtime.providers import providers


def test_openvino_gets_a_stream_for_each_run_at_once() -> None:
    """Its settings are one JSON string below the device; cores are those of all streams together."""
    ((name, options),) = providers(Execution("bf16", OPENVINO, threads=2, runs=3))
    assert name == OPENVINO
    assert isinstance(options, dict)
    settings = json.loads(options.pop("load_config"))
    assert options == {"device_type": "CPU"}
    assert settings["CPU"].items() >= {
        ("INFERENCE_PRECISION_HINT", "bf16"),
        ("NUM_STREAMS", "3"),
        ("INFERENCE_NUM_THREADS", "6"),
    }


def test_a_head_is_run_in_fp32_on_the_cpu_where_its_encoder_is_bf16() -> None:
    """Anything else is run as its encoder."""
    assert Execution("bf16", OPENVINO, threads=2).of_head == Execution("fp32", CPU, threads=2)
    assert Execution("int8").of_head == Execution("int8")
