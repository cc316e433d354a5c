"""Times one network in PyTorch, eager, and prints a line of JSON: images per second, peak memory, logits of a given input.

usage: time_pytorch.py MODEL WEIGHTS BATCH THREADS [--logits INPUT.npy OUTPUT.npy]
"""
import json
import statistics
import sys
import time

import numpy
import torch

from networks import Network

model, weights, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
network = Network(model)
network.load_state_dict(torch.load(weights))
network.eval()
with torch.inference_mode():
    if "--logits" in sys.argv:
        images, output = sys.argv[sys.argv.index("--logits") + 1:][:2]
        numpy.save(output, network(torch.from_numpy(numpy.load(images))).numpy())
        sys.exit()
    x = torch.rand(batch, 3, 224, 224) * 4 - 2
    network(x)
    times = []
    while len(times) < 5 or sum(times) < 2:
        start = time.perf_counter()
        network(x)
        times.append(time.perf_counter() - start)
# Not getrusage: its figure takes over that of the process which started this one.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps(dict(imagesPerSecond=batch / statistics.median(times), version=torch.__version__,
                      peakMemoryMB=peak * 1024 / 1e6)))
