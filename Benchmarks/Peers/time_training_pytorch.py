"""Times training steps of PyTorch eager on random images; prints one JSON object like training-step's.

usage: time_training_pytorch.py MODEL BATCH THREADS STEPS
"""
import json
import statistics
import sys
import time

import torch

from networks import STAGES, make_network

model, batch, threads, steps = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(threads)
torch.manual_seed(0)
network = make_network(model)
network.train()
optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
depth = int(model.partition("-")[0].removeprefix("resnet"))
size, classes = (224, 1000) if depth in STAGES else (32, 10)
images, labels = torch.randn(batch, 3, size, size), torch.arange(batch) % classes
times = []
for step in range(steps + 2):
    start = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(images), labels).backward()
    optimizer.step()
    times.append(time.perf_counter() - start)
with open("/proc/self/status") as file:
    memory = next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e6
print(json.dumps(dict(model=model, batchSize=batch, imagesPerSecond=batch / statistics.median(times[2:]),
                      peakMemoryMB=memory, version=torch.__version__)))
