// swift-tools-version: 6.1
import PackageDescription

/// Entries for libFuzzer, one for each reader of files; `make fuzz TARGET=pictures` builds and starts one. They are a package
/// of their own because everything in it is built with the fuzzer's instrumentation.
func entry(_ name: String, _ product: String) -> Target {
  .executableTarget(
    name: name, dependencies: ["FuzzDriver", .product(name: product, package: "swift-covpool")],
    swiftSettings: [.unsafeFlags(["-parse-as-library", "-sanitize=fuzzer,address"])],
    linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])])
}

let package = Package(
  name: "fuzzing",
  dependencies: [.package(name: "swift-covpool", path: "..")],
  targets: [.target(name: "FuzzDriver"), entry("FuzzPictures", "Vision"), entry("FuzzCheckpoints", "Checkpoints")],
  swiftLanguageModes: [.v6]
)
