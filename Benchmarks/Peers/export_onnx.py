"""Writes a network as ONNX. usage: export_onnx.py MODEL WEIGHTS OUTPUT.onnx"""
import sys

import torch

from networks import make_network

model, weights, output = sys.argv[1:]
network = make_network(model)
network.load_state_dict(torch.load(weights))
network.eval()
torch.onnx.export(network, (torch.zeros(2, 3, 224, 224),), output, input_names=["images"], output_names=["logits"],
                  dynamic_shapes=({0: torch.export.Dim("batch")},), dynamo=True)
