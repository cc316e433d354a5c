"""Draws swift-covpool.docc/modules.svg: the modules and which of them use which. usage: python3 Documentation/modules.py"""
import pathlib

WIDTH, HEIGHT, ROW = 860, 596, 72
# name: (centre, row from the top, width, what is in it)
MODULES = {
    "zoo-eval, zoo-train": (300, 0, 200, "arguments in, report out"),
    "Benchmarks": (560, 0, 200, "a package of its own"),
    "Training": (430, 1, 200, "loop, run directory, recipes"),
    "ModelZoo": (430, 2, 330, "a folder for each architecture; loading, evaluation"),
    "CovariancePooling": (130, 3, 210, "normalisations, pooling head"),
    "Inference": (350, 3, 170, "plans"),
    "Checkpoints": (540, 3, 170, "files of tensors"),
    "Vision": (730, 3, 170, "images, data sets"),
    "NeuralNetworks": (130, 4, 210, "modules, layers, optimisers"),
    "Tensors": (430, 5, 330, "tensors, operations and pullbacks, the tape"),
    "LinearAlgebra": (430, 6, 330, "products, decompositions, threads"),
    "Kernels": (300, 7, 170, "C loops"),
    "OpenBLAS, LAPACKE": (530, 7, 190, "system library"),
    "libjpeg, libwebp, zlib": (740, 7, 190, "system libraries"),
}
USES = [
    ("zoo-eval, zoo-train", "Training"), ("Benchmarks", "Training"), ("Training", "ModelZoo"),
    ("ModelZoo", "CovariancePooling"), ("ModelZoo", "Inference"), ("ModelZoo", "Checkpoints"), ("ModelZoo", "Vision"),
    ("CovariancePooling", "NeuralNetworks"), ("NeuralNetworks", "Tensors"), ("Inference", "Tensors"),
    ("Checkpoints", "Tensors"), ("Vision", "Tensors"), ("Tensors", "LinearAlgebra"), ("LinearAlgebra", "Kernels"),
    ("LinearAlgebra", "OpenBLAS, LAPACKE"), ("Vision", "libjpeg, libwebp, zlib"),
]
OUTSIDE = {"OpenBLAS, LAPACKE", "libjpeg, libwebp, zlib"}
PROGRAMS = {"zoo-eval, zoo-train", "Benchmarks"}
BOX = 44


def top(name):
    return 24 + MODULES[name][1] * ROW


def arrow(user, used):
    """From the user's lower edge to the used one's upper edge; several arrows at one edge are spread over it."""
    users = sorted((u for u, m in USES if m == used), key=lambda u: MODULES[u][0])
    uses = sorted((m for u, m in USES if u == user), key=lambda m: MODULES[m][0])
    x1, _, w1, _ = MODULES[user]
    x2, _, w2, _ = MODULES[used]
    start = x1 - w1 / 2 + w1 * (uses.index(used) + 1) / (len(uses) + 1)
    end = x2 - w2 / 2 + w2 * (users.index(user) + 1) / (len(users) + 1)
    y1, y2 = top(user) + BOX, top(used)
    middle = (y1 + y2) / 2
    return f'<path d="M{start:.0f} {y1} C{start:.0f} {middle:.0f} {end:.0f} {middle:.0f} {end:.0f} {y2 - 2}"/>'


def box(name):
    x, _, width, text = MODULES[name]
    kind = "outside" if name in OUTSIDE else "program" if name in PROGRAMS else "library"
    return (f'<rect class="{kind}" x="{x - width / 2:.0f}" y="{top(name)}" width="{width}" height="{BOX}" rx="6"/>'
            f'<text class="name" x="{x}" y="{top(name) + 18}">{name}</text>'
            f'<text x="{x}" y="{top(name) + 34}">{text}</text>')


lines = [
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">',
    "<title>Modules: an arrow leads to what is used</title>",
    "<style>text{font:12px Helvetica,Arial,sans-serif;text-anchor:middle;fill:#333}.name{font-size:14px;font-weight:bold;fill:#111}"
    "rect{stroke:#555}.library{fill:#e3edf7}.program{fill:#e6f2e1}.outside{fill:#f3eee2;stroke-dasharray:4 3}"
    "path{fill:none;stroke:#666;stroke-width:1.3;marker-end:url(#tip)}</style>",
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<polygon points="0,0 8,4 0,8" fill="#666"/></marker>',
    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff" style="stroke:none"/>',
    *(arrow(*use) for use in USES), *(box(name) for name in MODULES), "</svg>",
]
path = pathlib.Path(__file__).parent / "swift-covpool.docc" / "modules.svg"
path.write_text("\n".join(lines) + "\n")
