"""What the comparisons share: running this package's tools and the peers, and writing what they say."""
import csv
import json
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).parent
NAMES = dict(openvino="OpenVINO", onnxruntime="onnxruntime", compiled="torch.compile", pytorch="PyTorch eager")

# A wrong OPENBLAS_CORETYPE would slow OpenBLAS down several times; everybody runs without it.
environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def run(*command):
    """What a command prints; stops if it fails."""
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout


def timed_by(tool, folder, *arguments):
    """What one of this package's tools writes as its results."""
    results = folder / "results.json"
    run(tool, *arguments, "--results", results)
    return json.loads(results.read_text())


class Peer:
    """A process that has a network loaded in one runtime and waits for commands."""

    def __init__(self, runtime, model, weights, onnx, batch, threads, seconds):
        command = [sys.executable, here / "time_peer.py", runtime, model, weights, onnx, batch, threads, seconds]
        self.errors = open(onnx.with_suffix(f".{runtime}.log"), "w+")
        self.process = subprocess.Popen(list(map(str, command)), env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.version = self.answer()["version"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            sys.exit(f"a peer stopped:\n{self.errors.read()}")
        return json.loads(line)

    def ask(self, *command):
        print(*command, file=self.process.stdin, flush=True)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()


def processor():
    """The processor's name, and as virtual machines often know only a part of it, its family and model."""
    with open("/proc/cpuinfo") as file:
        fields = dict(map(str.strip, line.split(":", 1)) for line in file if ":" in line)
    name = fields.get("model name", "unknown")
    return f"{name} (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else name


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def print_table(header, rows):
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
