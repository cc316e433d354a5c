// swift-tools-version: 6.1
import PackageDescription

// Programs that time, in a package of their own: whoever depends on the libraries resolves and builds none of them.
// `make test` builds them beside the libraries; `swift run -c release --package-path Benchmarks mpn-bench` starts one.
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// Products of the package above.
func own(_ names: String...) -> [Target.Dependency] { names.map { .product(name: $0, package: "swift-covpool") } }

let package = Package(
  name: "benchmarks",
  products: ["mpn-bench", "training-step"].map { .executable(name: $0, targets: [$0]) },
  dependencies: [
    .package(name: "swift-covpool", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    .target(name: "AllocationCounting", path: "AllocationCounting"),
    .executableTarget(
      name: "mpn-bench",
      dependencies: own("ModelZoo", "BundledWeights", "ToolSupport") + [
        "AllocationCounting", argumentParser, .product(name: "Histogram", package: "hdrhistogram-swift"),
      ], path: "MPNBench"),
    .executableTarget(
      name: "training-step", dependencies: own("ModelZoo", "ToolSupport") + [argumentParser], path: "TrainingStep"),
    .testTarget(name: "MPNBenchTests", dependencies: own("ModelZoo") + ["mpn-bench"]),
  ],
  swiftLanguageModes: [.v6]
)
