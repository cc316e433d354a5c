// swift-tools-version: 6.1
import PackageDescription

/// C libraries, as Debian packages them; see the Makefile for the list that installs them.
let systemLibraries: [Target] = [
  .systemLibrary(
    name: "COpenBLAS", path: "Modules/COpenBLAS", providers: [.apt(["libopenblas-dev", "liblapacke-dev"])]),
  .systemLibrary(name: "CZlib", path: "Modules/CZlib", providers: [.apt(["zlib1g-dev"])]),
]

let libraries: [Target] = [
  .target(name: "Files"),
  .target(name: "Kernels", cSettings: [.headerSearchPath(".")]),
  .target(name: "LinearAlgebra", dependencies: ["COpenBLAS", "Kernels"]),
  .target(name: "Tensors", dependencies: ["LinearAlgebra", "Kernels"]),
  .target(name: "NeuralNetworks", dependencies: ["Tensors", "Kernels"]),
  .target(name: "CovariancePooling", dependencies: ["NeuralNetworks", "Tensors", "LinearAlgebra", "Kernels"]),
  .target(name: "Inference", dependencies: ["Tensors", "LinearAlgebra", "Kernels"]),
  .target(name: "Checkpoints", dependencies: ["Tensors", "Files", "CZlib"]),
  .target(
    name: "ImageReading",
    linkerSettings: ["jpeg", "webpdemux", "webp", "z"].map { .linkedLibrary($0) }),
  .target(name: "Vision", dependencies: ["Tensors", "Files", "ImageReading", "CZlib"]),
  .target(
    name: "ModelZoo",
    dependencies: ["NeuralNetworks", "CovariancePooling", "Inference", "Checkpoints", "Vision", "Files", "Kernels"]),
  // Apart, so that whoever depends on ModelZoo does not copy them.
  .target(name: "BundledWeights", resources: [.copy("Networks")]),
  .target(name: "Charts"),
  .target(name: "Training", dependencies: ["ModelZoo", "Charts", "Files"]),
]

let tools: [Target] = [
  .target(
    name: "Console",
    dependencies: ["Files", "LinearAlgebra", .product(name: "ArgumentParser", package: "swift-argument-parser")],
    plugins: ["StampCommit"]),
  .plugin(name: "StampCommit", capability: .buildTool()),
  .executableTarget(
    name: "zoo-eval",
    dependencies: [
      "ModelZoo", "BundledWeights", "Console", "Files",
      .product(name: "ArgumentParser", package: "swift-argument-parser"),
    ]),
  .executableTarget(
    name: "zoo-train",
    dependencies: ["Training", "Console", "Files", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
  .executableTarget(name: "classify", dependencies: ["ModelZoo"], path: "Examples/classify"),
  .executableTarget(name: "custom-operation", dependencies: ["ModelZoo"], path: "Examples/custom-operation"),
]

let tests: [Target] = [
  .testTarget(name: "FilesTests", dependencies: ["Files", "TestSupport"]),
  .testTarget(name: "ConsoleTests", dependencies: ["Console"]),
  .target(name: "TestSupport", dependencies: ["NeuralNetworks", "Tensors", "Kernels"], path: "Tests/TestSupport"),
  .testTarget(name: "LinearAlgebraTests", dependencies: ["LinearAlgebra", "Kernels", "TestSupport"]),
  .testTarget(
    name: "TensorsTests", dependencies: ["Tensors", "TestSupport"], resources: [.copy("Resources")]),
  .testTarget(name: "NeuralNetworksTests", dependencies: ["NeuralNetworks", "TestSupport"]),
  .testTarget(
    name: "CovariancePoolingTests", dependencies: ["CovariancePooling", "TestSupport"],
    resources: [.copy("Resources")]),
  .testTarget(name: "InferenceTests", dependencies: ["Inference", "NeuralNetworks", "TestSupport"]),
  .testTarget(
    name: "CheckpointsTests", dependencies: ["Checkpoints", "Files", "TestSupport"], exclude: ["Generators"],
    resources: [.copy("Resources")]),
  .testTarget(
    name: "VisionTests", dependencies: ["Vision", "Files", "TestSupport", "CZlib"], exclude: ["Generators"],
    resources: [.copy("Resources")]),
  .testTarget(
    name: "ModelZooTests",
    dependencies: ["ModelZoo", "BundledWeights", "Inference", "TestSupport", "ToolTestSupport"],
    resources: [.copy("Resources")]),
  .testTarget(name: "ChartsTests", dependencies: ["Charts"]),
  .testTarget(name: "DocumentationTests", dependencies: ["Training", "BundledWeights", "TestSupport"]),
  .target(
    name: "ToolTestSupport", dependencies: ["ModelZoo", "TestSupport"], path: "Tests/ToolTestSupport"),
  .testTarget(name: "ZooEvalTests", dependencies: ["zoo-eval", "ModelZoo", "Files", "ToolTestSupport"]),
  .testTarget(
    name: "TrainingTests",
    dependencies: ["zoo-train", "zoo-eval", "Training", "Files", "TestSupport", "ToolTestSupport"],
    resources: [.copy("Resources")]),
]

let package = Package(
  name: "swift-covpool",
  products: libraries.filter { !["Files", "Kernels", "ImageReading", "Charts"].contains($0.name) }.map {
    .library(name: $0.name, targets: [$0.name])
  }
    // What the programs in Benchmarks share with the tools; nothing in it is promised to others.
    + [.library(name: "ToolSupport", targets: ["Console", "Files", "Charts"])]
    + ["zoo-eval", "zoo-train"].map { .executable(name: $0, targets: [$0]) },
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: systemLibraries + libraries + tools + tests,
  swiftLanguageModes: [.v6]
)
