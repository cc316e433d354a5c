import Checkpoints
import Foundation
import ModelZoo
import TestSupport
import Testing
import ToolTestSupport

/// Writes a network's tensors as safetensors after `change` had its way with them.
func writeNetwork(
  _ network: AnyNetwork<Float>, metadata: [String: String] = [:],
  change: (inout [(name: String, tensor: Tensor<Float>)]) -> Void = { _ in }
) throws -> String {
  var tensors = network.tensors.map { (name: $0.description.name, tensor: $0.tensor) }
  change(&tensors)
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
  try writeSafetensors(tensors, metadata: metadata, to: path)
  return path
}

@Suite struct CheckpointLoadingTests {
  @Test(arguments: PublishedHead.allCases) func `What is written is loaded, class count and d from the file`(
    _ head: PublishedHead
  ) throws {
    let network = hashFilled(try smallConfiguration(head))
    let path = try writeNetwork(network)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (loaded, report) = try AnyNetwork<Float>.load(configuration("resnet20-\(head)"), from: path)
    #expect(loaded.configuration == network.configuration)
    #expect(report.isComplete && report.warnings.isEmpty)
    for (got, want) in zip(loaded.tensors, network.tensors) {
      #expect(got.tensor.scalars == want.tensor.scalars, "\(got.description.name)")
    }
  }

  @Test func `MindSpore's names and flavour come from the file`() throws {
    for (depth, head) in [(18, PublishedHead.dropcov), (50, .gap)] {
      let small = try configuration("resnet\(depth)-\(head).mindspore", classes: 5, dimension: 16)
      let network = hashFilled(small)
      let path = try writeNetwork(network) { tensors in
        for index in tensors.indices {
          tensors[index].name = mindsporeName(tensors[index].name, small)
          if tensors[index].name == "eca_layer.conv.weight" {
            tensors[index].tensor = tensors[index].tensor.reshaped(to: [1, 1, 1, 3])
          }
        }
        tensors.append(("moments.conv1.weight", Tensor([1], repeating: 0)))
        tensors.append(("global_step", Tensor([1], repeating: 0)))
      }
      defer { try? FileManager.default.removeItem(atPath: path) }
      let (loaded, report) = try AnyNetwork<Float>.load(configuration("resnet\(depth)-\(head)"), from: path)
      #expect(loaded.configuration == small && report.warnings.isEmpty)
      #expect(loaded.tensors.map(\.tensor.scalars) == network.tensors.map(\.tensor.scalars))
    }
  }

  @Test func `Missing, unexpected and misshapen tensors are listed, at most five lines of them`() throws {
    let path = try writeNetwork(hashFilled(smallConfiguration(.gap))) { tensors in
      tensors.removeAll { $0.name == "layer1.0.bn1.weight" }
      tensors.append(("stranger", Tensor([2], repeating: 0)))
      let index = tensors.firstIndex { $0.name == "layer2.0.conv2.weight" }!
      tensors[index].tensor = Tensor([32, 32, 1, 1], repeating: 0)
    }
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = #expect(throws: LoadError.self) {
      try AnyNetwork<Float>.load(configuration("resnet20-gap"), from: path)
    }
    let lines = "\(error!)".split(separator: "\n")
    #expect(lines.count == 4)
    #expect(lines[0].contains("1 of another shape, 1 missing, 1 unexpected"))
    #expect(lines[1] == "  layer2.0.conv2.weight: expected [32, 32, 3, 3], found [32, 32, 1, 1]")
    #expect(lines[2] == "  missing: layer1.0.bn1.weight")
    #expect(lines[3] == "  unexpected: stranger")
  }

  @Test func `Another depth is recognised, and the list of differences is capped`() throws {
    let path = try writeNetwork(hashFilled(smallConfiguration(.fastmpn)))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = #expect(throws: LoadError.self) {
      try AnyNetwork<Float>.load(configuration("resnet32-fastmpn"), from: path)
    }
    let lines = "\(error!)".split(separator: "\n")
    #expect(lines[0].contains("it looks like resnet20-fastmpn"))
    #expect(lines.count == 6 && lines[5].contains("more"))
  }

  @Test func `A head of another kind is named`() throws {
    let path = try writeNetwork(hashFilled(smallConfiguration(.fastmpn)))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = #expect(throws: LoadError.self) {
      try AnyNetwork<Float>.load(configuration("resnet20-gap"), from: path)
    }
    #expect("\(error!)".contains("holds a covariance head") && "\(error!)".contains("use resnet20-fastmpn"))
  }

  @Test func `Fast-MPN weights run as DropCov and the reverse, with a warning`() throws {
    for (saved, asked, word) in [
      (PublishedHead.fastmpn, PublishedHead.dropcov, "Fast-MPN"), (.dropcov, .fastmpn, "DropCov"),
    ] {
      let path = try writeNetwork(hashFilled(smallConfiguration(saved)))
      defer { try? FileManager.default.removeItem(atPath: path) }
      let (network, report) = try AnyNetwork<Float>.load(configuration("resnet20-\(asked)"), from: path)
      #expect(network.configuration.headName == asked.rawValue)
      #expect(report.warnings.count == 1 && report.warnings[0].contains("looks like a \(word) network"))
    }
  }

  @Test func `NaN in the weights is warned of by name`() throws {
    let path = try writeNetwork(hashFilled(smallConfiguration(.gap))) { tensors in
      tensors[0].tensor.withUnsafeMutableScalars { $0[7] = .nan }
    }
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (_, report) = try AnyNetwork<Float>.load(configuration("resnet20-gap"), from: path)
    #expect(report.notFinite == ["conv1.weight"])
    #expect(report.warnings.count == 1 && report.warnings[0].contains("conv1.weight"))
  }

  @Test func `Iterations and scaling come from the file's metadata`() throws {
    let path = try writeNetwork(
      hashFilled(smallConfiguration(.fastmpn)), metadata: ["iterations": "3", "scaling": "frobenius"])
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (network, _) = try AnyNetwork<Float>.load(configuration("resnet20-fastmpn"), from: path)
    #expect(network.configuration.normalization == .newtonSchulz(NewtonSchulz(iterations: 3, scaling: .frobenius)))
  }

  @Test func `A file that is no network is told so`() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
    try writeSafetensors([(name: "a", tensor: Tensor<Float>([1], repeating: 0))], metadata: [:], to: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = #expect(throws: LoadError.self) {
      try AnyNetwork<Float>.load(configuration("resnet20-gap"), from: path)
    }
    #expect("\(error!)".contains("no 'conv1.weight'"))
  }
}

@Suite struct ZooTests {
  @Test func `Counts are the exact ones`() throws {
    let want: [(String, Int, Int)] = [
      ("resnet18", 11_689_512, 1_814_073_344), ("resnet18-fastmpn.d128", 19_499_304, 3_067_787_776),
      ("resnet18-fastmpn", 44_205_096, 3_105_272_832), ("resnet34", 21_797_672, 3_663_761_408),
      ("resnet34-mpn.d128", 29_607_464, 5_611_108_864), ("resnet34-dropcov", 54_313_256, 5_648_593_920),
      ("resnet50", 25_557_032, 4_089_184_256), ("resnet50-dropcov.d128", 32_027_432, 6_266_206_720),
      ("resnet50-fastmpn", 56_929_832, 6_342_226_944), ("resnet101", 44_549_160, 7_801_405_440),
      ("resnet101-mpn.d128", 51_019_560, 9_978_427_904), ("resnet101-fastmpn", 75_921_960, 10_054_448_128),
    ]
    for (name, parameters, multiplyAdds) in want {
      let counts = try Zoo.entry(named: name).counts
      #expect(counts.parameters == parameters && counts.multiplyAdds == multiplyAdds, "\(name)")
    }
    for (name, parameters) in [
      ("resnet20", 269_722), ("resnet32", 464_154), ("resnet44", 658_586), ("resnet56", 853_018),
    ] { #expect(try Zoo.entry(named: name).counts.parameters == parameters, "\(name)") }
  }

  @Test func `Names are unique and lead back to their entries`() throws {
    #expect(Set(Zoo.entries.map(\.name)).count == Zoo.entries.count)
    for entry in Zoo.entries {
      #expect(entry.configuration.name == entry.name)
      #expect(try Zoo.entry(named: entry.name).configuration == entry.configuration)
    }
  }

  @Test func `Any dimension may be asked for, and a wrong name gets suggestions`() throws {
    #expect(try Zoo.entry(named: "resnet50-fastmpn.d64").configuration.covariance?.dimension == 64)
    #expect(try Zoo.entry(named: "resnet50-mpn.mindspore.d256").configuration.covariance?.dimension == 256)
    for name in [
      "resnet50-fastmp", "resnet19", "resnet50.d128", "resnet50-fastmpn.d0", "", "vgg16", "resnet50-fastmpn.",
    ] {
      #expect(throws: ZooError.self) { try Zoo.entry(named: name) }
    }
    let error = #expect(throws: ZooError.self) { try Zoo.entry(named: "resnet50-fastmp") }
    #expect("\(error!)".contains("did you mean resnet50-fastmpn"))
  }

  @Test func `Published accuracies are the papers'`() throws {
    let want: [(String, Double?, String?)] = [
      ("resnet18", 70.47, "CVPR 2020"), ("resnet34-fastmpn", 77.11, "CVPR 2020"),
      ("resnet101-dropcov", 79.51, "NeurIPS 2022"), ("resnet18-dropcov.mindspore", 73.8, "TPAMI 2023 (MindSpore)"),
      ("resnet50-fastmpn.d128", 78.02, "CVPR 2020"), ("resnet50-mpn", nil, nil),
    ]
    for (name, top1, source) in want {
      let entry = try Zoo.entry(named: name)
      #expect(entry.publishedTop1 == top1 && entry.source == source, "\(name)")
    }
    // No published accuracy for R18 DropCov in PyTorch, though the joint table has its counts.
    #expect(try Zoo.entry(named: "resnet18-dropcov").publishedTop1 == nil)
    #expect(try Zoo.entry(named: "resnet34-fastmpn").published.contains { $0.top1 == 76.80 })
  }

  @Test func `ImageNet has its thousand classes`() {
    #expect(ImageNet.classNames.count == 1000 && ImageNet.indexOfWordNetID.count == 1000)
    #expect(ImageNet.classNames[0] == "tench" && ImageNet.indexOfWordNetID["n01440764"] == 0)
    #expect(ImageNet.indexOfWordNetID["n15075141"] == 999)
  }

  @Test func `A plan that gives a checkpoint's pages back leaves the network as it was`() throws {
    let found = try Zoo.checkpointInTheBox("resnet20-fastmpn")
    let path = try #require(found)
    let entry = try Zoo.entry(named: "resnet20-fastmpn")
    let (network, report) = try AnyNetwork<Float>.load(entry.configuration, from: path)
    let before = network.tensors.map { $0.tensor.copy().scalars }
    let shape: Shape = [1, network.configuration.inputChannels, 32, 32]
    let image = Tensor<Float>(shape, unit("image", count: shape.scalarCount))
    let first = try Plan(network.trace(input: shape))(image)
    #expect(network.tensors.map(\.tensor.scalars) == before)
    #expect(try Plan(network.trace(input: shape))(image).scalars == first.scalars)
    #expect(report.missing.isEmpty)
  }
}
