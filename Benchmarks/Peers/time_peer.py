"""One network in one runtime: prints a line of JSON when it is ready, and another after each line that it reads.

usage: time_peer.py RUNTIME MODEL WEIGHTS ONNX BATCH THREADS SECONDS
RUNTIME is pytorch, compiled, onnxruntime or openvino; the first two read WEIGHTS, the others ONNX.
A line "time" times the network for about SECONDS, a line "logits INPUT.npy OUTPUT.npy" computes its logits.
"""
import json
import statistics
import sys
import time

import numpy

runtime, model, weights, onnx = sys.argv[1:5]
batch, threads, seconds = int(sys.argv[5]), int(sys.argv[6]), float(sys.argv[7])


def pytorch():
    import torch

    from networks import make_network

    torch.set_num_threads(threads)
    network = make_network(model)
    network.load_state_dict(torch.load(weights))
    network.eval()
    if runtime == "compiled":
        import torch._inductor.config

        torch._inductor.config.freezing = True
        network = torch.compile(network)

    def infer(x):
        with torch.inference_mode():
            return network(torch.from_numpy(x)).numpy()

    return torch.__version__, infer


def onnxruntime():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_free_dimension_override_by_name("batch", batch)
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return onnxruntime.__version__, lambda x: session.run(None, {name: x})[0]


def openvino():
    import openvino

    core = openvino.Core()
    network = core.read_model(onnx)
    network.reshape([batch, 3, 224, 224])
    # Two streams with THROUGHPUT, several requests at a time, were not faster.
    compiled = core.compile_model(network, "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    return openvino.__version__.split("-")[0], lambda x: request.infer([x], share_inputs=True)[0]


version, run = dict(pytorch=pytorch, compiled=pytorch, onnxruntime=onnxruntime, openvino=openvino)[runtime]()
shape = (512, 14, 14) if model.startswith("head-") else (3, 224, 224)
images = numpy.random.default_rng(0).random((batch, *shape), numpy.float32) * 4 - 2
for _ in range(3):
    run(images)


def peak_memory():
    # Not getrusage: its figure takes over that of the process which started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6


def measure():
    run(images)
    times = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        run(images)
        times.append(time.perf_counter() - start)
    return dict(imagesPerSecond=batch / statistics.median(times), peakMemoryMB=peak_memory())


print(json.dumps(dict(version=version)), flush=True)
for line in sys.stdin:
    command, *paths = line.split()
    if command == "time":
        print(json.dumps(measure()), flush=True)
    else:
        inputs = numpy.load(paths[0])
        rows = numpy.concatenate([run(numpy.resize(inputs[i:i + batch], images.shape)) for i in range(0, len(inputs), batch)])
        numpy.save(paths[1], rows[:len(inputs)])
        print("{}", flush=True)
