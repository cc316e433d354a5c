"""Loads a network in PyTorch and classifies one picture, as a program does that is started for it.

usage: first_prediction.py MODEL WEIGHTS PICTURE THREADS
"""
import sys

import numpy
import torch
from PIL import Image

from networks import make_network

model, weights, picture, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
with torch.device("meta"):  # what is loaded need not be filled first
    network = make_network(model)
network.load_state_dict(torch.load(weights, mmap=True), assign=True)
network.eval()
pixels = Image.open(picture).convert("RGB").resize((256, 256), Image.BILINEAR).crop((16, 16, 240, 240))
x = (numpy.asarray(pixels, dtype=numpy.float32) / 255 - [.485, .456, .406]) / [.229, .224, .225]
with torch.inference_mode():
    print(network(torch.from_numpy(x.astype(numpy.float32).transpose(2, 0, 1)[None])).argmax().item())
