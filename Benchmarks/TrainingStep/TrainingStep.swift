import ArgumentParser
import Console
import Foundation
import ModelZoo

/// Times steps of SGD on random images, for comparison with other systems: `Benchmarks/Peers/compare_training.py`.
@main
struct TrainingStep: ParsableCommand {
  static func main() { ToolMain.run(Self.self) }

  static let configuration = CommandConfiguration(
    commandName: "training-step", abstract: "Times training steps on random images; prints one JSON object.")

  @Argument(help: "A network's name.") var model: String
  @Option(name: .customLong("batch-size"), help: "Images in a batch.") var batchSize = 128
  @Option(help: "Timed steps, after two to warm up.") var steps = 5
  @Option(help: "Threads.") var threads: Int?
  @Option(help: "Height and width of the images; by default the network's.") var size: Int?

  func run() throws {
    try Resources.useThreads(threads)
    keepFreedMemory()
    let entry = try Zoo.entry(named: model)
    var network = AnyNetwork<Float>(entry.configuration)
    network.initialize()
    let size = size ?? entry.configuration.imageSize
    let shape: Shape = [batchSize, entry.configuration.inputChannels, size, size]
    let images = RandomStream(seed: 1, name: "images").normal(shape, deviation: Float(1))
    let labels = (0..<batchSize).map { $0 % entry.configuration.classes }
    var optimizer = SGD<Float>(momentum: 0.9, weightDecay: 1e-4)
    var times: [Double] = []
    for step in 0..<steps + 2 {
      let start = ContinuousClock.now
      let result = try valueWithGradients(of: network, random: RandomStream(seed: UInt64(step), name: "step")) {
        SoftmaxCrossEntropy(labels: labels).applied(to: $0(images))
      }
      optimizer.step(&network, result.gradients, learningRate: 0.01)
      network.apply(result.updates)
      let elapsed = ContinuousClock.now - start
      if step >= 2 { times.append(Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18) }
    }
    let median = times.sorted()[times.count / 2]
    let values: [String: Any] = [
      "model": model, "batchSize": batchSize, "imagesPerSecond": Double(batchSize) / median,
      "peakMemoryMB": Output.peakMemoryMB, "blas": BLASInfo.current.version, "kernel": BLASInfo.current.kernel,
    ]
    try Output.deliver(
      String(decoding: try JSONSerialization.data(withJSONObject: values, options: .sortedKeys), as: UTF8.self) + "\n")
  }
}
