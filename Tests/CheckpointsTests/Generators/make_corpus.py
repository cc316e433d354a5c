"""Makes some two hundred checkpoints of every kind, whole and damaged, and corpus.json: what the reference readers make of each.

usage: make_corpus.py OUT   Needs torch, numpy and safetensors.
COVPOOL_CHECKPOINTS=OUT swift test --filter CheckpointCorpusTests compares. A row has the sum of every tensor's numbers that the
network needs, or why torch.load(weights_only=True) or safetensors refuses the file.
"""
import argparse, collections, datetime, enum, gzip, io, json, pathlib, random, struct, sys, warnings
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

warnings.simplefilter("ignore")
out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
torch.manual_seed(1)
chance = random.Random(1)
files, kinds = {}, {}


def weights(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    made = OrderedDict()
    for name, shape in (("conv1.weight", (4, 3, 3, 3)), ("layer1.0.conv1.weight", (4, 4, 3, 3)), ("bn1.running_var", (4,)), ("fc.weight", (5, 4)), ("fc.bias", (5,))):
        made[name] = torch.rand(shape, generator=generator).to(dtype)
    made["bn1.num_batches_tracked"] = torch.tensor(7)
    return made


def put(name, value, **options):
    for legacy in (False, True):
        stream = io.BytesIO()
        torch.save(value, stream, _use_new_zipfile_serialization=not legacy, **options)
        files[f"{name}{'_legacy' if legacy else ''}.pth"] = stream.getvalue()


class Color(enum.Enum):
    RED = 1


class Record:
    def __init__(self):
        self.lr, self.history = 0.1, [1, 2]


class Dictionary(dict):
    pass


class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 2)


state = weights()
put("bare", state)
put("plain_dict", dict(state))
put("parameters", OrderedDict((k, torch.nn.Parameter(v) if v.is_floating_point() else v) for k, v in state.items()))
for protocol in (2, 3, 4, 5):
    put(f"protocol_{protocol}", {"state_dict": state, "epoch": 3}, pickle_protocol=protocol)
for dtype in (torch.float16, torch.bfloat16, torch.float64):
    put(f"dtype_{str(dtype)[6:]}", weights(dtype=dtype))
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.rand(3))], 0.1, momentum=0.9)
adam = torch.optim.AdamW([torch.nn.Parameter(torch.rand(3))])
for each in (optimizer, adam):
    each.param_groups[0]["params"][0].grad = torch.ones(3)
    each.step()
tag = torch.nn.Parameter(state["fc.weight"].clone())
tag.note = {"a": 1}
beside = {
    "multistep": torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3]).state_dict(),
    "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3).state_dict(),
    "onecycle": torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9).state_dict(),
    "sgd": optimizer.state_dict(), "adamw": adam.state_dict(), "counter": Counter("aab"), "set": {1, 2}, "frozenset": frozenset((1,)),
    "complex": 1 + 2j, "bytes": b"abc", "bytearray": bytearray(b"abc"), "none": None, "nested": [[[{}]]], "big": 1 << 99, "negative": -5,
    "unicode": "größe 猫 😀", "size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float8_e4m3fn, "layout": torch.strided,
    "sparse": torch.eye(2).to_sparse(), "csr": torch.eye(2).to_sparse_csr(), "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "channels": torch.quantize_per_channel(torch.ones(2, 2), torch.ones(2), torch.zeros(2, dtype=torch.int64), 0, torch.quint8),
    "float8": torch.ones(2).to(torch.float8_e5m2), "uint16": torch.ones(2, dtype=torch.uint16), "uint64": torch.ones(2, dtype=torch.uint64),
    "complex_tensor": torch.ones(2, dtype=torch.complex64), "conjugate": torch.ones(2, dtype=torch.complex64).conj(), "meta": torch.ones(2, device="meta"),
    "nested_tensor": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "bool": torch.tensor([True]), "empty": torch.empty(0, 3), "scalar": torch.tensor(3.5),
    "view": torch.arange(20.0)[3:9:2], "transposed": torch.rand(3, 4).t(), "expanded": torch.ones(1).expand(7), "last": torch.rand(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "history": [{"step": i, "loss": chance.random(), "lr": 0.1} for i in range(40000)], "numbers": [chance.random() for _ in range(300000)],
    "namespace": argparse.Namespace(lr=0.1, layers=[1, 2]), "record": Record(), "enumeration": Color.RED, "ordered": OrderedDict(a=1),
    "default": defaultdict(list, a=[1]), "default_int": defaultdict(int), "deque": collections.deque([1, 2]), "dictionary": Dictionary(a=1), "path": pathlib.PurePosixPath("a/b"),
    "date": datetime.datetime(2020, 1, 2), "array": np.ones(3), "scalar32": np.float32(1.5), "scalar64": np.float64(2.5), "integer": np.int64(3), "bool_": np.bool_(True),
    "array_bool": np.array([True]), "function": torch.nn.functional.relu, "class": torch.nn.Linear, "module": Module(), "generator": torch.get_rng_state(), "slice": slice(1, 2),
    "range": range(3), "partial": __import__("functools").partial(int, "3"), "float_inf": float("inf"), "storage": torch.ones(3).untyped_storage(),
}
for name, value in beside.items():
    try:
        put(f"beside_{name}", {"state_dict": state, "extra": value})
        if name in ("counter", "set", "sparse", "uint16", "namespace", "array"):
            put(f"in_{name}", OrderedDict(list(state.items()) + [("extra", value)]))
    except Exception as error:
        print("not saved:", name, error)
put("attribute", OrderedDict(state, **{"fc.weight": tag}))
put("expanded_weight", OrderedDict(state, **{"bn1.running_var": torch.ones(1).expand(4)}))
put("shared", OrderedDict(state, **{"fc.weight": torch.rand(9, 4)[2:7], "layer1.0.conv1.weight": torch.rand(4, 4, 6, 3)[:, :, ::2]}))
put("sparse_weight", OrderedDict(state, **{"fc.weight": state["fc.weight"].to_sparse()}))
put("float8_weight", OrderedDict(state, **{"fc.weight": state["fc.weight"].to(torch.float8_e4m3fn)}))
put("whole_module", Module())
for name, prefix in {"module": "module.", "modules": "module.module.", "compiled": "_orig_mod.", "compiled_module": "module._orig_mod.", "features": "features.module."}.items():
    put(f"prefix_{name}", OrderedDict((prefix + k, v) for k, v in state.items()))
for key in ("state_dict", "model", "net", "model_state_dict", "state_dict_ema", "model_ema", "weights"):
    put(f"wrapped_{key}", {"epoch": 1, key: state, "best_acc1": torch.tensor(71.5)})
put("wrapped_twice", {"model": {"state_dict": state}})
put("two_wrapped", {"state_dict_ema": weights(5), "state_dict": state})
put("averaged", {"model_ema": OrderedDict([("n_averaged", torch.tensor(5))] + [("module." + k, v) for k, v in state.items()])})
put("nothing", {"epoch": 3}), put("a_list", [1, 2]), put("a_tensor", torch.ones(3))

bare = files["bare.pth"]
files["trailing.pth"], files["trailing_signature.pth"] = bare + bytes(700), bare + b"PK\5\6"
files["text.pth"], files["html.pth"] = b"no checkpoint", b"<!DOCTYPE html>"
files["lfs.pth"] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
files["gzip.pth"] = gzip.compress(bare)
for number in range(60):
    name = chance.choice(["bare.pth", "bare_legacy.pth", "protocol_4.pth", "beside_sgd.pth"])
    data = bytearray(files[name])
    if number % 2:
        data = data[:chance.randrange(len(data))]
    else:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    files[f"damaged_{number:02d}_{name}"] = bytes(data)

tensors = {k: v for k, v in state.items()}
st = save(tensors)
length = struct.unpack("<Q", st[:8])[0]
head, data = json.loads(st[8:8 + length]), st[8 + length:]


def safetensors(name, header, content=data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    files[f"{name}.safetensors"] = struct.pack("<Q", len(text)) + text + content


safetensors("plain", head)
safetensors("metadata", {"__metadata__": {"format": "pt", "a": "b"}, **head})
safetensors("metadata_null", {"__metadata__": None, **head})
safetensors("metadata_number", {"__metadata__": {"a": 1}, **head})
safetensors("key_note", {k: {**v, "note": 1} for k, v in head.items()})
safetensors("key_nested", {k: {**v, "note": {"a": [1, {"b": "]}"}], "c": None}} for k, v in head.items()})
safetensors("spaces", json.dumps(head).encode() + b"    ")
safetensors("longer", head, data + b"x"), safetensors("shorter", head, data[:-1])
safetensors("not_json", b"{nonsense"), safetensors("list", b"[]")
files["bfloat16.safetensors"] = save({k: v.to(torch.bfloat16) for k, v in tensors.items()})
files["float8.safetensors"] = save({**tensors, "extra": torch.ones(3).to(torch.float8_e4m3fn)})
files["complex.safetensors"] = save({**tensors, "extra": torch.ones(3, dtype=torch.complex64)})

table = []
NEEDED = [name for name in state if "num_batches" not in name]
for name, content in files.items():
    path = out / name
    path.write_bytes(content)
    row = {"file": name}
    try:
        if name.endswith(".safetensors"):
            with safe_open(path, "pt") as opened:
                found = {key: opened.get_tensor(key) for key in opened.keys()}
        else:
            found = torch.load(path, weights_only=True, map_location="cpu")
        for key in ("model", "state_dict", "state_dict", "net", "model_state_dict", "weights", "state_dict_ema", "model_ema"):
            if isinstance(found, dict) and isinstance(found.get(key), dict):
                found = found[key]
        found = {k.replace("_orig_mod.", "").replace("features.module.", "").replace("module.", ""): v for k, v in found.items()} if isinstance(found, dict) else {}
        row["sums"] = {k: float(found[k].to_dense().double().sum()) for k in NEEDED if k in found}
    except Exception as error:
        row["refused"] = f"{type(error).__name__}: {str(error)[:160]}"
    table.append(row)
(out / "corpus.json").write_text(json.dumps(table, indent=0))
print(f"{len(table)} checkpoints, {sum('refused' in row for row in table)} of them refused by the reference readers")
